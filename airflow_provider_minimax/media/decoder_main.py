"""
The process that decodes clips: it is sent a file and what to do with it, and answers; see ``decoder.py``.

It has neither Airflow nor our errors, so it starts in a fraction of a second. It ends with whoever started it, or when
nothing was asked of it for a while.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any, BinaryIO

from airflow_provider_minimax.media import draw
from airflow_provider_minimax.media.clip import UnreadableClipError, opened
from airflow_provider_minimax.media.examine import ExpectedClip, examine

IDLE_TIME = 10.0
# A clip of 4K takes half of it.
MEMORY = 4 * 1024**3
# Whoever asks gives up long before; this is for when nobody is left to do so.
_LONGEST_TASK = 120
_MOST_PROCESSORS = 4
LENGTHS = struct.Struct(">II")


def _examine(file: BinaryIO, level: Any, wanted: dict[str, Any]) -> tuple[Any, bytes]:
    return asdict(examine(file, level, ExpectedClip(**wanted))), b""


def _facts(file: BinaryIO) -> tuple[Any, bytes]:
    with opened(file) as clip:
        return asdict(clip.facts), b""


def _poster(file: BinaryIO) -> tuple[Any, bytes]:
    return None, draw.poster(file)


def _contact_sheet(file: BinaryIO, name: str, model: str | None) -> tuple[Any, bytes]:
    return None, draw.contact_sheet(file, name, model)


def _place(file: BinaryIO, size: tuple[int, int], four: bool) -> tuple[Any, bytes]:
    picture, words = draw.place(file, (size[0], size[1]), four=four)
    return words, picture


_TASKS: dict[str, Callable[..., tuple[Any, bytes]]] = {
    "examine": _examine,
    "facts": _facts,
    "poster": _poster,
    "contact_sheet": _contact_sheet,
    "place": _place,
}


def serve(connection: socket.socket) -> None:
    """Answer until the other side is gone or silent."""
    connection.settimeout(IDLE_TIME)
    while True:
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if not descriptors:
            return
        (length,) = struct.unpack(">I", _read(connection, 4))
        request = json.loads(_read(connection, length))
        signal.alarm(_LONGEST_TASK)
        with os.fdopen(descriptors[0], "rb") as file:
            answer, content = _answer(file, request)
        signal.alarm(0)
        head = json.dumps(answer).encode()
        connection.sendall(LENGTHS.pack(len(head), len(content)) + head + content)


def _answer(file: BinaryIO, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        value, content = _TASKS[request["task"]](file, **request["options"])
    except UnreadableClipError as error:
        return {"unreadable": str(error)}, b""
    except MemoryError:
        return {"failed": f"it takes more than {MEMORY // 1024**3} GB of memory"}, b""
    except OSError as error:
        return {"os_error": [error.errno, error.strerror or str(error)]}, b""
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}, b""
    return {"value": value}, content


def _read(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        block = connection.recv(length - len(content))
        if not block:
            raise EOFError
        content += block
    return content


def main(descriptor: int) -> None:
    """Serve the socket that this process was started with."""
    # FFmpeg has as many threads as there are processors, and each takes of the memory.
    with suppress(AttributeError, OSError):
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, random.sample(sorted(processors), min(_MOST_PROCESSORS, len(processors))))
    # Loaded before the limits, which are for what a clip makes them do.
    for module in ("av", "PIL.Image", "PIL.ImageFont"):
        import_module(module)
    # Where there are no such limits, the one on time remains.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as connection, suppress(TimeoutError, EOFError, ConnectionError):
        serve(connection)
