"""
Clips are decoded in a process of its own, which may take neither long nor much, and whose death is nobody else's.

What comes from outside goes through half a million lines of C. A film can be made to decode for days, to fill the
memory, or to crash its reader; none of that may happen to the process that is about to deliver a clip that was paid
for. The decoder is started when it is first needed, serves one clip at a time, and ends when it has nothing to do.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_minimax.media.clip import MediaFacts, UnreadableClipError

LONGEST = 60.0
"""Seconds until a clip counts as one that cannot be decoded; any that was bought takes one or two."""

_LENGTHS = struct.Struct(">II")
_LARGEST_HEAD = 1024**2
# Of a picture that comes back.
_LARGEST_CONTENT = 64 * 1024**2
# Of a clip that has to be copied here first.
_LARGEST_CLIP = 1024**3
_BLOCK = 1024**2
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from airflow_provider_minimax.media.decoder_main import main; main(int(sys.argv[2]))"
)


class DecoderFailedError(Exception):
    """The decoder did not get to an end with a clip; says why in a few words. It need not be the clip's fault."""


def decode(task: str, file: Path | BinaryIO, **options: Any) -> tuple[Any, bytes]:
    """
    Have something done with a clip.

    :param task: what, by its name in ``decoder_main.py``.
    :param file: a path, or a file open for reading that can seek; it stays open.
    :param options: what the task needs to know besides, as plain JSON values.
    :return: a plain JSON value, and bytes.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises DecoderFailedError: it took too long or too much, or the decoder crashed or cannot be started.
    :raises OSError: the file itself cannot be read.
    """
    with _descriptor_of(file) as descriptor, _lock:
        answer, content = _ask(descriptor, {"task": task, "options": options})
    if "value" in answer:
        return answer["value"], content
    if "unreadable" in answer:
        raise UnreadableClipError(answer["unreadable"])
    if "os_error" in answer:
        raise OSError(*answer["os_error"])
    raise DecoderFailedError(str(answer.get("failed")))


def facts_of_clip(file: Path | BinaryIO) -> MediaFacts:
    """
    Return what a clip's file says of itself.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :raises ImportError: PyAV is not installed.
    :raises UnreadableClipError: the clip cannot be decoded here, whatever the reason.
    :raises OSError: the file itself cannot be read.
    """
    if sys.modules.get("av", ...) is None or find_spec("av") is None:
        raise ImportError("PyAV is not installed")
    try:
        return MediaFacts(**decode("facts", file)[0])
    except DecoderFailedError as error:
        raise UnreadableClipError(f"it cannot be decoded ({error})") from None


class _Decoder:
    """The process, while it runs."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.is_fresh = True
        ours, theirs = socket.socketpair()
        path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
        with theirs, ExitStack() as on_error:
            on_error.enter_context(ours)
            self._process = subprocess.Popen(  # noqa: S603 - nothing in it is from outside
                [sys.executable, "-I", "-c", _PROGRAM, path, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                # Threads with a heap each would use up the memory that it may have.
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            on_error.pop_all()
        self.connection = ours

    def ask(self, descriptor: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a file with a request; what comes back is believed no further than it must be."""
        ends_at = time.monotonic() + LONGEST
        text = json.dumps(request).encode()
        self.connection.settimeout(LONGEST)
        socket.send_fds(self.connection, [b"\0"], [descriptor])
        self.connection.sendall(struct.pack(">I", len(text)) + text)
        head, content = _LENGTHS.unpack(self._read(_LENGTHS.size, ends_at))
        if head > _LARGEST_HEAD or content > _LARGEST_CONTENT:
            raise DecoderFailedError("its decoder answered with far too much")
        answer = json.loads(self._read(head, ends_at))
        self.is_fresh = False
        return answer, self._read(content, ends_at)

    def _read(self, length: int, ends_at: float) -> bytes:
        content = bytearray()
        while len(content) < length:
            self.connection.settimeout(max(ends_at - time.monotonic(), 0.001))
            block = self.connection.recv(min(length - len(content), 2**20))
            if not block:
                raise EOFError
            content += block
        return bytes(content)

    def end(self) -> str:
        """End the process, and say how it ended if it did so before."""
        self.connection.close()
        if self.pid != os.getpid():
            return ""
        with suppress(subprocess.TimeoutExpired):
            # What closed its side is on its way out.
            self._process.wait(0.2)
        code = self._process.poll()
        self._process.kill()
        self._process.wait()
        return "" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"


_lock = threading.Lock()
_decoder: _Decoder | None = None


def _ask(descriptor: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    global _decoder
    while True:
        if _decoder is None or _decoder.pid != os.getpid():
            try:
                _decoder = _Decoder()
            except OSError as error:
                raise DecoderFailedError(f"its decoder cannot be started ({error})") from error
        decoder = _decoder
        try:
            return decoder.ask(descriptor, request)
        except TimeoutError:
            _end()
            raise DecoderFailedError(f"its pictures cannot be decoded within {LONGEST:g} s") from None
        except (EOFError, ConnectionError):
            how = _end()
            # One that had nothing to do for a while may just have ended.
            if decoder.is_fresh:
                raise DecoderFailedError(f"its decoder ended early ({how or 'without a word'})") from None
        except BaseException:
            # Half an answer may be left in the line.
            _end()
            raise


@atexit.register
def _end() -> str:
    global _decoder
    decoder, _decoder = _decoder, None
    return decoder.end() if decoder is not None else ""


@contextmanager
def _descriptor_of(file: Path | BinaryIO) -> Iterator[int]:
    """Give a descriptor of the file, or of a copy where it is on no disk of this machine."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            yield opened.fileno()
        return
    with suppress(OSError, AttributeError):
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield file.fileno()
            return
    file.seek(0)
    with tempfile.TemporaryFile(prefix="minimax-") as copy:
        length = 0
        while block := file.read(_BLOCK):
            length += len(block)
            if length > _LARGEST_CLIP:
                raise UnreadableClipError(f"it is larger than {_LARGEST_CLIP // 1024**3} GB")
            copy.write(block)
        copy.flush()
        yield copy.fileno()
