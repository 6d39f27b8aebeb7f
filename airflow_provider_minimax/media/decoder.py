"""
Decodes clips in a separate process, with limits on time and memory, whose crash harms no other process.

Clips come from outside and go through half a million lines of C. A file can be made to decode for days, to fill the
memory, or to crash its reader; none of that may happen to the process that is about to deliver a paid clip. The decoder
process starts when it is first needed, handles one clip at a time, and exits when it is idle.
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
"""Seconds after which decoding is stopped; a normal clip takes one or two."""

_LENGTHS = struct.Struct(">II")
_LARGEST_HEAD = 1024**2
# Of a picture in an answer.
_LARGEST_CONTENT = 64 * 1024**2
# Of a clip that must be copied to this machine first.
_LARGEST_CLIP = 1024**3
_BLOCK = 1024**2
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from airflow_provider_minimax.media.decoder_main import main; main(int(sys.argv[2]))"
)


class DecoderFailedError(Exception):
    """The decoder could not process a clip, which need not be the clip's fault; the message says why in a few words."""


def decode(task: str, file: Path | BinaryIO, **options: Any) -> tuple[Any, bytes]:
    """
    Run a task on a clip in the decoder process.

    :param task: its name in ``decoder_main.py``.
    :param file: a path, or a file open for reading that can seek; it stays open.
    :param options: the task's other arguments, plain JSON values.
    :return: the task's result: a plain JSON value, and bytes.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises DecoderFailedError: it took too much time or memory, or the decoder crashed or cannot be started.
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
    Return what a clip's file says about itself.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :raises ImportError: PyAV is not installed.
    :raises UnreadableClipError: the clip cannot be decoded here, for any reason.
    :raises OSError: the file itself cannot be read.
    """
    if sys.modules.get("av", ...) is None or find_spec("av") is None:
        raise ImportError("PyAV is not installed")
    try:
        return MediaFacts(**decode("facts", file)[0])
    except DecoderFailedError as error:
        raise UnreadableClipError(f"it cannot be decoded ({error})") from None


class _Decoder:
    """A running decoder process."""

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
                # Separate heaps for each thread would use up its memory limit.
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            on_error.pop_all()
        self.connection = ours

    def ask(self, descriptor: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a file with a request, and return the answer, whose size is limited: the decoder may be under attack."""
        ends_at = time.monotonic() + LONGEST
        text = json.dumps(request).encode()
        self.connection.settimeout(LONGEST)
        socket.send_fds(self.connection, [b"\0"], [descriptor])
        self.connection.sendall(struct.pack(">I", len(text)) + text)
        head, content = _LENGTHS.unpack(self._read(_LENGTHS.size, ends_at))
        if head > _LARGEST_HEAD or content > _LARGEST_CONTENT:
            raise DecoderFailedError("its decoder sent too long an answer")
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
        """End the process. If it had ended before, return how."""
        self.connection.close()
        if self.pid != os.getpid():
            return ""
        with suppress(subprocess.TimeoutExpired):
            # A process that closed its socket is about to exit.
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
            raise DecoderFailedError(f"decoding took more than {LONGEST:g} s") from None
        except (EOFError, ConnectionError):
            how = _end()
            # An idle decoder may just have exited; only a fresh one that ends is a failure.
            if decoder.is_fresh:
                raise DecoderFailedError(f"its decoder ended early ({how or 'for an unknown reason'})") from None
        except BaseException:
            # The rest of an answer may still be in the socket.
            _end()
            raise


@atexit.register
def _end() -> str:
    global _decoder
    decoder, _decoder = _decoder, None
    return decoder.end() if decoder is not None else ""


@contextmanager
def _descriptor_of(file: Path | BinaryIO) -> Iterator[int]:
    """Yield a descriptor of the file, or of a copy if it is not on a disk of this machine."""
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
