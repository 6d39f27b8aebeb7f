"""Short films, painted with Pillow and encoded with PyAV when a test asks for them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from PIL import Image, ImageDraw, ImageFilter

SIZE = (640, 360)
FRAMES = 48


def encode(frames: Iterable[Image.Image], *, fps: int = 24, crf: int = 28, keyint: int = 250) -> bytes:
    """Return the file of a film, its index in front."""
    options = {"crf": str(crf), "preset": "ultrafast", "g": str(keyint)}
    with TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps, options=options)
            stream.pix_fmt = "yuv420p"
            for number, frame in enumerate(frames):
                if number == 0:
                    stream.width, stream.height = frame.size
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
        return path.read_bytes()


def still(size: tuple[int, int] = SIZE) -> Image.Image:
    """A still life: many discs, a little out of focus."""
    dice = random.Random(7)
    picture = Image.radial_gradient("L").resize(size).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, radius = dice.randrange(size[0]), dice.randrange(size[1]), dice.randrange(5, 90)
        colour = tuple(dice.randrange(256) for _ in "rgb")
        pen.ellipse([x, y, x + radius, y + radius], fill=colour)
    return picture.filter(ImageFilter.GaussianBlur(1))


def at_night(picture: Image.Image) -> Image.Image:
    return picture.point(lambda level: level // 12)


def frozen(picture: Image.Image, frames: int = FRAMES) -> Iterator[Image.Image]:
    return (picture for _ in range(frames))


def zoom(picture: Image.Image, by: float, frames: int = FRAMES) -> Iterator[Image.Image]:
    width, height = picture.size
    for number in range(frames):
        scale = 1 + by * number / frames
        left, top = (width - width / scale) / 2, (height - height / scale) / 2
        yield picture.resize(picture.size, Image.Resampling.BICUBIC, box=(left, top, width - left, height - top))


def moving(size: tuple[int, int] = SIZE, frames: int = FRAMES) -> Iterator[Image.Image]:
    """A ball crosses a plain."""
    width, height = size
    for number in range(frames):
        picture = Image.new("RGB", size, "#b06030")
        x = int(width * 0.8 * number / frames)
        ImageDraw.Draw(picture).ellipse([x, height // 3, x + height // 5, height // 3 + height // 5], fill="white")
        yield picture


def fading_in(picture: Image.Image, black: int, frames: int = FRAMES) -> Iterator[Image.Image]:
    """Black for so many frames, then ever brighter."""
    for number in range(frames):
        share = max(0, number - black) / (frames - black)
        yield Image.blend(Image.new("RGB", picture.size), picture, share)


def flickering(picture: Image.Image, radius: int, frames: int = FRAMES) -> Iterator[Image.Image]:
    """Nothing moves but one small light."""
    for number in range(frames):
        lit = picture.copy()
        light = 255 if number % 12 < 6 else 60
        ImageDraw.Draw(lit).ellipse([300, 150, 300 + 2 * radius, 150 + 2 * radius], fill=(light, light, light))
        yield lit


def saved(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path
