"""
The process that decodes clips: it receives a file and a task, and answers; see ``decoder.py``.

It imports neither Airflow nor our errors, so it starts in a fraction of a second. It exits when the process that
started it is gone, or after a while without requests.
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
# A 4K clip takes half of it.
MEMORY = 4 * 1024**3
# The other process stops waiting long before; this limit is for when that process is dead.
_LONGEST_TASK = 120
_MOST_PROCESSORS = 4
LENGTHS = struct.Struct(">II")


def _examine(file: BinaryIO, level: Any, expected: dict[str, Any]) -> tuple[Any, bytes]:
    return asdict(examine(file, level, ExpectedClip(**expected))), b""


def _facts(file: BinaryIO) -> tuple[Any, bytes]:
    with opened(file) as clip:
        return asdict(clip.facts), b""


def _poster(file: BinaryIO) -> tuple[Any, bytes]:
    return None, draw.poster(file)


def _contact_sheet(file: BinaryIO, name: str, model: str | None) -> tuple[Any, bytes]:
    return None, draw.contact_sheet(file, name, model)


def _sheet_item(file: BinaryIO, size: tuple[int, int], four: bool) -> tuple[Any, bytes]:
    picture, words = draw.sheet_item(file, (size[0], size[1]), four=four)
    return words, picture


_TASKS: dict[str, Callable[..., tuple[Any, bytes]]] = {
    "examine": _examine,
    "facts": _facts,
    "poster": _poster,
    "contact_sheet": _contact_sheet,
    "sheet_item": _sheet_item,
}


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side is gone or silent."""
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
    """
    Serve the socket that this process was started with.

    :param descriptor: the socket's file descriptor.
    """
    # FFmpeg starts a thread for each processor, and each takes memory.
    with suppress(AttributeError, OSError):
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, random.sample(sorted(processors), min(_MOST_PROCESSORS, len(processors))))
    # Imported before the limits are set, which are meant for decoding.
    for module in ("av", "PIL.Image", "PIL.ImageFont"):
        import_module(module)
    # On systems without this limit, the time limit remains.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as connection, suppress(TimeoutError, EOFError, ConnectionError):
        serve(connection)
