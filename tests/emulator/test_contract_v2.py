"""What a request to MiniMax's second API may say."""

from __future__ import annotations

import base64

import pytest

from tests.emulator.customer import IMAGE, PICTURE, V2_ORDER, V2Customer

WEB = "https://example.org/file"
MIB = 1024 * 1024


def text(words: str = "a fox in the snow") -> dict[str, object]:
    return {"type": "text", "text": words}


def image(role: str | None = None, url: str = IMAGE) -> dict[str, object]:
    item: dict[str, object] = {"type": "image_url", "image_url": {"url": url}}
    return item if role is None else {**item, "role": role}


def video(role: str | None = "reference_video", url: str = WEB) -> dict[str, object]:
    item: dict[str, object] = {"type": "video_url", "video_url": {"url": url}}
    return item if role is None else {**item, "role": role}


def audio(role: str | None = "reference_audio", url: str = WEB) -> dict[str, object]:
    item: dict[str, object] = {"type": "audio_url", "audio_url": {"url": url}}
    return item if role is None else {**item, "role": role}


def data(kind: str, size: int = 4) -> str:
    return f"data:{kind};base64," + base64.b64encode(bytes(size)).decode()


def with_content(*items: dict[str, object], **changes: object) -> dict[str, object]:
    return {**V2_ORDER, "content": list(items), **changes}


def without(*names: str, **order: object) -> dict[str, object]:
    return {name: value for name, value in {**V2_ORDER, **order}.items() if name not in names}


H3_MAX = {**V2_ORDER, "model": "MiniMax-H3-Max"}
H3_LITE = {**V2_ORDER, "model": "MiniMax-H3-Lite"}
REFERENCE = [text(), image("reference_image")]
FRAMES = [text(), image("first_frame"), image("last_frame")]

# Name: the body, the mode it is understood as, and the ratio that its task shows.
GOOD = {
    "text": (V2_ORDER, "text", "16:9"),
    "2K for 15 seconds": ({**V2_ORDER, "resolution": "2K", "duration": 15}, "text", "16:9"),
    "longest text": (with_content(text("x" * 7000)), "text", "16:9"),
    "callback and watermark": ({**V2_ORDER, "callback_url": WEB, "aigc_watermark": True}, "text", "16:9"),
    "Max in 480P": ({**H3_MAX, "resolution": "480P"}, "text", "16:9"),
    "Max with extra": ({**H3_MAX, "extra": {"prompt_expansion_mode": "quality"}}, "text", "16:9"),
    "Max with nothing in extra": ({**H3_MAX, "extra": {}}, "text", "16:9"),
    "Highspeed": ({**V2_ORDER, "model": "MiniMax-H3-Highspeed", "duration": 4}, "text", "16:9"),
    "Lite in 480P": ({**H3_LITE, "resolution": "480P"}, "text", "16:9"),
    "image without a role": (with_content(text(), image()), "first_frame", "adaptive"),
    "image before the text": (with_content(image("first_frame"), text()), "first_frame", "adaptive"),
    "frame without a ratio": (without("ratio", content=[text(), image()]), "first_frame", "adaptive"),
    "both frames": (with_content(*FRAMES), "first_and_last_frame", "adaptive"),
    "last frame alone": (with_content(text(), image("last_frame")), "first_and_last_frame", "adaptive"),
    "reference": (with_content(*REFERENCE, ratio="9:16"), "reference", "9:16"),
    "reference without a ratio": (without("ratio", content=REFERENCE), "reference", "adaptive"),
    "all kinds of reference": (with_content(*REFERENCE, video(), audio()), "reference", "16:9"),
    "as many as can be": (
        with_content(text(), *[image("reference_image")] * 6, *[video()] * 3, *[audio()] * 3),
        "reference",
        "16:9",
    ),
    "nine images": (with_content(text(), *[image("reference_image")] * 9), "reference", "16:9"),
    "Lite with a reference and a ratio": ({**H3_LITE, "content": REFERENCE}, "reference", "16:9"),
    "HEIC": (with_content(text(), image(url=data("image/heic"))), "first_frame", "adaptive"),
    "video and audio in the body": (
        with_content(text(), video(url=data("video/mp4")), audio(url=data("audio/wav"))),
        "reference",
        "16:9",
    ),
}
BAD = {
    "no model": without("model"),
    "no content": without("content"),
    "no resolution": without("resolution"),
    "no duration": without("duration"),
    "no ratio for text": without("ratio"),
    "adaptive ratio for text": {**V2_ORDER, "ratio": "adaptive"},
    "unknown ratio": {**V2_ORDER, "ratio": "2:1"},
    "unknown ratio beside a frame": with_content(text(), image(), ratio="2:1"),
    "Lite with a reference and no ratio": without("ratio", model="MiniMax-H3-Lite", content=REFERENCE),
    "Lite with a reference and any ratio": {**H3_LITE, "content": REFERENCE, "ratio": "adaptive"},
    "unknown model": {**V2_ORDER, "model": "MiniMax-H4"},
    "model of v1": {**V2_ORDER, "model": "MiniMax-Hailuo-2.3", "duration": 6},
    "unknown field": {**V2_ORDER, "prompt_optimizer": True},
    "480P on H3": {**V2_ORDER, "resolution": "480P"},
    "2K on Max": {**H3_MAX, "resolution": "2K"},
    "2K in lower case": {**V2_ORDER, "resolution": "2k"},
    "3 seconds": {**V2_ORDER, "duration": 3},
    "16 seconds": {**V2_ORDER, "duration": 16},
    "4 seconds on Max": {**H3_MAX, "duration": 4},
    "duration as text": {**V2_ORDER, "duration": "5"},
    "extra on H3": {**V2_ORDER, "extra": {"prompt_expansion_mode": "quality"}},
    "extra with a slip": {**H3_MAX, "extra": {"prompt_expansion_mode": "balance"}},
    "extra with something else": {**H3_MAX, "extra": {"seed": 1}},
    "extra as text": {**H3_MAX, "extra": "quality"},
    "watermark as text": {**V2_ORDER, "aigc_watermark": "true"},
    "callback by ftp": {**V2_ORDER, "callback_url": "ftp://example.org"},
    "content as text": {**V2_ORDER, "content": "a fox"},
    "no text": with_content(image()),
    "empty text": with_content(text(" ")),
    "two texts": with_content(text(), text()),
    "text too long": with_content(text("x" * 7001)),
    "text with a role": with_content({**text(), "role": "first_frame"}),
    "unknown type": with_content(text(), {"type": "file", "file": {"url": WEB}}),
    "type of another": with_content(text(), {"type": "image_url", "video_url": {"url": WEB}}),
    "flat address": with_content(text(), {"type": "image_url", "image_url": WEB}),
    "something beside the address": with_content(text(), {"type": "image_url", "image_url": {"url": WEB, "a": 1}}),
    "two images without roles": with_content(text(), image(), image()),
    "video without a role": with_content(text(), video(None)),
    "unknown role": with_content(text(), image("subject")),
    "role as a list": with_content(text(), {**image(), "role": ["first_frame"]}),
    "role of another type": with_content(text(), image("reference_video")),
    "base video": with_content(text(), video("base_video")),
    "two first frames": with_content(text(), image("first_frame"), image("first_frame")),
    "frame and reference": with_content(text(), image("first_frame"), image("reference_image")),
    "ten images": with_content(text(), *[image("reference_image")] * 10),
    "four videos": with_content(text(), *[video()] * 4),
    "four audios": with_content(*REFERENCE, *[audio()] * 4),
    "thirteen files": with_content(text(), *[image("reference_image")] * 8, *[video()] * 3, *[audio()] * 2),
    "audio alone": with_content(text(), audio()),
    "GIF": with_content(text(), image(url=data("image/gif"))),
    "format in capitals": with_content(text(), image(url=data("image/PNG"))),
    "video for an image": with_content(text(), image(url=data("video/mp4"))),
    "not base64": with_content(text(), image(url="data:image/png;base64,#")),
    "empty file": with_content(text(), image(url=data("image/png", 0))),
    "image too large": with_content(text(), image(url=data("image/png", 30 * MIB + 1))),
    "audio too large": with_content(*REFERENCE, audio(url=data("audio/mp3", 15 * MIB + 1))),
    "body too large": with_content(text(), *[image("reference_image", data("image/png", 25 * MIB))] * 2),
    "file that was not uploaded": with_content(text(), image(url="mm_file://1")),
    "file of the system": with_content(text(), image(url="file:///fox.png")),
}


def assert_refused(answer, status: int, kind: str, code: int) -> None:
    body = answer.json()
    assert (answer.status_code, set(body), body["type"]) == (status, {"type", "error", "request_id"}, "error")
    assert (body["error"]["type"], body["error"]["http_code"]) == (kind, str(status))
    assert body["error"]["message"].endswith(f" ({code})")


@pytest.mark.parametrize(("body", "mode", "ratio"), GOOD.values(), ids=GOOD.keys())
def test_what_the_documents_allow_is_made(h3, emulator, body, mode, ratio):
    emulator.configure(callbacks="ignored")
    answer = h3.order(body)
    (purchase,) = emulator.purchases
    assert (answer.status_code, answer.json()) == (200, {"task_id": purchase["task_id"]})
    assert (purchase["api"], purchase["mode"], purchase["model"]) == ("v2", mode, body["model"])
    assert h3.query(purchase["task_id"])["ratio"] == ratio


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_and_not_bought(h3, emulator, body):
    assert_refused(h3.order(body), 400, "bad_request_error", 2013)
    assert emulator.purchases == []


@pytest.mark.parametrize(
    ("content", "kind"), [(b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")]
)
def test_a_body_that_is_no_json_object_is_refused(h3, content, kind):
    answer = h3.post("/v2/video_generation", content=content, headers={"Content-Type": kind})
    assert_refused(answer, 400, "bad_request_error", 2013)


def test_each_api_sells_its_own_models(minimax, h3, emulator):
    minimax.order(model="MiniMax-H3")
    h3.order(model="MiniMax-Hailuo-02", duration=6)
    assert emulator.purchases == []


def test_a_forbidden_prompt_is_refused_at_once(h3, emulator):
    answer = h3.order(content=[text("Forbidden fruit")])
    assert_refused(answer, 422, "unprocessable_entity_error", 1026)
    assert emulator.purchases == []


@pytest.mark.parametrize(
    ("platform", "key", "code"),
    [
        ("minimax", "", 1004),
        ("minimax", "emulator-key-cn", 1004),
        ("minimax", "wrong", 2049),
        ("minimax-cn", "emulator-key", 1004),
    ],
)
def test_a_key_is_refused_by_status(customer, platform, key, code):
    other = V2Customer(platform, key)
    for answer in (other.order(), other.get("/v2/query/video_generation/1"), other.remove("1")):
        assert_refused(answer, 401, "authorized_error", code)


def test_a_purchase_shows_files_as_digests(h3, emulator):
    h3.order(with_content(*REFERENCE, video(url=data("video/mp4"))))
    items = emulator.purchases[0]["body"]["content"]
    assert [item["type"] for item in items] == ["text", "image_url", "video_url"]
    assert all(items[at][items[at]["type"]]["url"].startswith("sha256:") for at in (1, 2))


def test_a_file_that_was_uploaded_can_be_named(h3, emulator):
    file_id = h3.upload("fox.png", PICTURE).json()["file"]["file_id"]
    answer = h3.order(with_content(text(), image(url=f"mm_file://{file_id}")))
    assert answer.json() == {"task_id": emulator.purchases[0]["task_id"]}


def test_a_file_lives_for_seven_days(h3, emulator, monkeypatch):
    file_id = h3.upload("fox.png", PICTURE).json()["file"]["file_id"]
    monkeypatch.setattr("airflow_provider_minimax.emulator.world.SEVEN_DAYS", 0)
    assert_refused(h3.order(with_content(text(), image(url=f"mm_file://{file_id}"))), 400, "bad_request_error", 2013)
    assert emulator.purchases == []


def test_a_file_of_another_kind_or_another_account_is_refused(customer, h3):
    file_id = h3.upload("fox.png", PICTURE).json()["file"]["file_id"]
    address = f"mm_file://{file_id}"
    assert_refused(h3.order(with_content(text(), video(url=address))), 400, "bad_request_error", 2013)
    other = V2Customer("minimax-cn")
    assert_refused(other.order(with_content(text(), image(url=address))), 400, "bad_request_error", 2013)


def test_a_clip_that_was_made_can_be_a_reference(minimax, h3):
    file_id = minimax.finish(minimax.buy())["file_id"]
    assert h3.order(with_content(text(), video(url=f"mm_file://{file_id}"))).json()["task_id"]


PRICES = {
    "H3": (V2_ORDER, {"usd": 0.40, "cny": 2.50}),
    "H3 in 2K": ({**V2_ORDER, "resolution": "2K", "duration": 10}, {"usd": 1.30, "cny": 8.00}),
    "Max": ({**H3_MAX, "resolution": "480P"}, {"usd": 0.25}),
    "pictures beyond the free ones": (
        with_content(text(), *[image("reference_image")] * 7),
        {"usd": 0.48, "cny": 2.50},
    ),
    "seconds that are sent": (with_content(text(), video()), {"usd": 0.80, "cny": 5.00}),
    "Lite": (H3_LITE, None),
}


@pytest.mark.parametrize(("body", "price"), PRICES.values(), ids=PRICES.keys())
def test_a_list_price_goes_by_the_second(h3, emulator, body, price):
    h3.order(body)
    assert emulator.purchases[0]["price"] == price
