"""
Where clips land, and how they are put there: on a disk by a rename, in an object storage by one final write.

Either way nothing is at the clip's place before all of it is. On its way a clip is a local file: beside its place on a
disk, in the worker's folder for temporary files for any other storage.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_minimax.api.redaction import harmless_cause, redact
from airflow_provider_minimax.api.storable import printable
from airflow_provider_minimax.delivery.cleanup import is_named_as_ours
from airflow_provider_minimax.delivery.naming import LONGEST_NAME, name_for
from airflow_provider_minimax.delivery.part_file import COMPANION
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.paths import as_text, local_path, parents_in, read_path, refused, storage_of
from airflow_provider_minimax.purchases.receipt import Owner
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SUFFIX

if TYPE_CHECKING:
    from airflow_provider_minimax.paths import AnyPath

# Room for a clip of the usual size, and what is kept beside it.
ROOM = 32 * 1024**2
# The least that S3 takes as a part.
_BLOCK = 5 * 1024**2
_PIECE = 1024**2
_UPLOADS = 3
# What appears in these appears whole, so there is no need to write under another name first.
_APPEARS_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "memory"})
_BUCKETS = _APPEARS_WHOLE - {"memory"}
_S3 = ("s3", "s3a")
# What each calls the type of an object. Without it a browser that is given the object's address saves it, and shows
# nothing.
_CONTENT_TYPE = {**dict.fromkeys(_S3, "ContentType"), **dict.fromkeys(("gs", "gcs"), "content_type")}


def destination_of(output_path: AnyPath, owner: Owner | None, *, written: str | None = None) -> Destination:
    """
    Return the place that an ``output_path`` means.

    :param output_path: a path or URL, as text or as a path object; one that ends with a slash is a folder, in which the
        clip gets a name made of its task's.
    :param owner: the task that the clip is for; without one, a folder is refused.
    :param written: the template that it was rendered from, in which the author alone may have written ``..``; ``None``
        if it was not rendered.
    :raises MinimaxRequestError: it is no path, too long, or of a storage that this Airflow does not know.
    """
    output = read_path(output_path)
    if written is not None and str(output_path).strip() == "None":
        raise _refused(output_path, "its template became None; a value that it names is not there")
    if written is not None and parents_in(output) > parents_in(written):
        raise _refused(output, "a value in it leads out of its folder by .., which only the DAG itself may write")
    if str(as_text(output_path)).strip().rpartition("/")[2] in (".", ".."):
        raise _refused(output_path, "is a folder; name a file in it, or put a slash at its end")
    if output.endswith("/"):
        if owner is None:
            raise _refused(output_path, "is a folder; give the path of a file in it")
        output += name_for(owner)
    name = output.rpartition("/")[2]
    if len(name.encode()) > LONGEST_NAME:
        raise _refused(output_path, f"the file's name must not have more than {LONGEST_NAME} bytes")
    if name.endswith(SUFFIX) or is_named_as_ours(name):
        raise _refused(output_path, "such a name is that of a receipt, or of a file on its way, which this takes away")
    path = local_path(output)
    if path is None:
        scheme, _, rest = output.partition("://")
        if scheme in _BUCKETS and "/" not in rest:
            raise _refused(output_path, "is a bucket; name a file in it, or put a slash at its end")
        return StoragePlace(output)
    # Unlike Path's own, this is no error where the folder above may not be looked into.
    if os.path.isdir(path):
        raise _refused(output_path, "is a folder; put a slash at its end to have clips named in it, or name one")
    return LocalPlace(path)


class Destination(ABC):
    """The place of one clip, and of what lies next to it."""

    probe_is_invisible: bool
    """Whether nobody will ever see that :meth:`check` was here."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return printable(self.url)

    @property
    def name(self) -> str:
        """The clip's file name."""
        return PurePosixPath(self.url).name

    @abstractmethod
    def sibling(self, ending: str) -> Destination:
        """Return the place of something that belongs to the clip: ``clip.mp4`` and ``.poster.jpg`` make one name."""

    @abstractmethod
    def rejected(self, number: int = 1) -> Destination:
        """Return the place of a clip that was rejected: ``clip.rejected.mp4``, then ``clip.rejected.2.mp4``."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything is here."""

    @abstractmethod
    def part_file(self, name: str) -> Path:
        """Return where to gather the bytes of the clip; ``name`` tells this clip from any other that goes here."""

    @abstractmethod
    def check(self) -> None:
        """
        Find out whether a clip can be put here, before it is paid for.

        :raises MinimaxRequestError: it never can.
        :raises MinimaxStorageError: it cannot just now.
        """

    @abstractmethod
    def put(self, file: Path, *, overwrite: bool) -> bool:
        """
        Put a file here, all of it or nothing.

        :param file: the file; it is moved.
        :param overwrite: whether it may replace another.
        :return: whether it is here now; if not, another is.
        :raises MinimaxStorageError: it cannot be written just now.
        """

    @abstractmethod
    def put_bytes(self, content: bytes, content_type: str) -> None:
        """Put something small here in place of whatever is; raises :class:`MinimaxStorageError`."""

    def _is_no_file(self) -> bool:
        """Whether what is here is a link to nothing, a pipe or a device, which is not to be opened."""
        return False

    @abstractmethod
    def _open(self) -> BinaryIO:
        """Open what is here."""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open what is here, to read it."""
        with self._trouble("read"):
            file = self._open()
        with file:
            yield file

    def look(self, sha256: str | None) -> OutputState:
        """Return what is here, held against the hash that should be, if that is known."""
        if not self.exists():
            return OutputState.MISSING
        if sha256 is None or self._is_no_file():
            return OutputState.DIFFERS
        with self._trouble("read"), self.open() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return OutputState.MATCHES if digest == sha256 else OutputState.DIFFERS

    @contextmanager
    def _trouble(self, done: str) -> Iterator[None]:
        """Turn whatever a storage raises into our error: each kind of storage has errors of its own."""
        try:
            yield
        except MinimaxError:
            raise
        except Exception as error:
            raise MinimaxStorageError(
                f"{self.url} cannot be {done} ({redact(f'{type(error).__name__}: {error}')})",
                hint="See to the storage, then run this again: that buys nothing.",
            ) from harmless_cause(error)


class LocalPlace(Destination):
    """
    A place on a disk of this worker.

    :param path: the absolute path.
    """

    probe_is_invisible = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def sibling(self, ending: str) -> LocalPlace:
        """Return the place of something that belongs to the clip."""
        return LocalPlace(self.path.with_name(self.path.name + ending))

    def rejected(self, number: int = 1) -> LocalPlace:
        """Return the place of a clip that was rejected."""
        return LocalPlace(self.path.with_name(_rejected(self.path.name, number)))

    def exists(self) -> bool:
        """Whether anything is here, be it a link to nothing."""
        return os.path.lexists(self.path)

    def _is_no_file(self) -> bool:
        return not os.path.isfile(self.path)

    def part_file(self, name: str) -> Path:
        """Return a hidden file beside the clip's place, so that a rename is all that is left to do."""
        with self._trouble("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_name(f".{self.path.name}.{name}.part")

    def check(self) -> None:
        """Write to the folder under the longest name that is to come, and see how much room its disk has."""
        folder = self.path.parent
        probe = self.path.with_name(f".{self.path.name}.{token_hex(6)}.{token_hex(4)}.part{COMPANION}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("xb") as file:
                    file.write(b"\0" * 4096)
            finally:
                probe.unlink(missing_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise _unwritable(self.url, f"its folder cannot be written by this worker ({why})") from harmless_cause(
                error
            )
        if free < ROOM:
            raise _unwritable(
                self.url, f"its disk has only {free / 1e6:.0f} MB left, and {ROOM / 1e6:.0f} MB are wanted for a clip"
            )

    def put(self, file: Path, *, overwrite: bool) -> bool:
        """Give the file its name."""
        with self._trouble("written"):
            self._make_usual(file)
            if not overwrite:
                return _named_newly(file, self.path)
            file.replace(self.path)
            return True

    def _make_usual(self, file: Path) -> None:
        """Give a part file, which nobody else may write to, the permissions that new files have in this folder."""
        usual = self._on_its_way()
        try:
            with usual.open("xb") as new:
                mode = stat.S_IMODE(os.fstat(new.fileno()).st_mode)
        finally:
            usual.unlink(missing_ok=True)
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        # A file system without permissions has none to give.
        with suppress(OSError), open(handle, "rb"):
            os.fchmod(handle, mode)

    def put_bytes(self, content: bytes, content_type: str) -> None:
        """Write something small beside its place, and give it its name."""
        unfinished = self._on_its_way()
        with self._trouble("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("xb") as file:
                    file.write(content)
                unfinished.replace(self.path)
            finally:
                unfinished.unlink(missing_ok=True)

    def _on_its_way(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{token_hex(4)}.new")

    def _open(self) -> BinaryIO:
        # A pipe is not waited for, whatever was here a moment ago.
        file = open(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")  # noqa: SIM115 - the caller closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("it is no file")
        return file


def _named_newly(file: Path, path: Path) -> bool:
    """Give a file a name if that is free."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links. There somebody else may take the name between these two lines.
        if os.path.lexists(path):
            return False
        file.replace(path)
    else:
        # The clip has its name. That the file has its old one too, the next who comes by will see to.
        with suppress(OSError):
            file.unlink()
    return True


class StoragePlace(Destination):
    """
    A place in any storage that Airflow's object storage knows.

    :param url: such as ``s3://my_aws_conn@bucket/clips/a.mp4``.
    """

    # Buckets may keep versions of what is gone, and tell others of what comes.
    probe_is_invisible = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            self._storage, self._path = storage_of(url)
        except MinimaxRequestError:
            raise
        except ValueError as error:
            raise _refused(
                url,
                f"this Airflow has no storage for {url.partition('://')[0]}:// ({redact(str(error))}); install the "
                "provider that brings it, such as apache-airflow-providers-amazon[s3fs] for s3://",
            ) from harmless_cause(error)
        except Exception as error:
            raise _unwritable(
                url, f"the storage cannot be reached ({redact(f'{type(error).__name__}: {error}')})"
            ) from harmless_cause(error)
        self._scheme = url.partition("://")[0]

    def sibling(self, ending: str) -> StoragePlace:
        """Return the place of something that belongs to the clip."""
        return StoragePlace(self.url + ending)

    def rejected(self, number: int = 1) -> StoragePlace:
        """Return the place of a clip that was rejected."""
        folder, slash, name = self.url.rpartition("/")
        return StoragePlace(f"{folder}{slash}{_rejected(name, number)}")

    def exists(self) -> bool:
        """Whether an object is here."""
        with self._trouble("reached"):
            return bool(self._storage.exists(self._path))

    def part_file(self, name: str) -> Path:
        """Return a file in this worker's folder for temporary files, which a retry on the same worker finds again."""
        folder = Path(tempfile.gettempdir()) / f"airflow-provider-minimax-{os.getuid()}"
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            found = folder.lstat()
        except OSError as error:
            raise MinimaxStorageError(
                f"{folder} cannot be written, where clips are gathered on their way ({error.strerror})",
                hint="See to the worker's folder for temporary files, or set TMPDIR to another one.",
            ) from harmless_cause(error)
        if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
            # In a folder that all may write to, somebody else may have been first.
            raise MinimaxStorageError(
                f"{folder} is not a folder of this user's alone, so clips are not gathered there",
                hint="Take it away, or set TMPDIR to another folder for the workers.",
            )
        return folder / f"{hashlib.sha256(self.url.encode()).hexdigest()[:16]}.{name}.part"

    def check(self) -> None:
        """Write an object of no bytes beside the clip's place, and take it away again."""
        probe = f"{self._path}.{uuid4().hex}.check"
        try:
            self._storage.pipe_file(probe, b"")
        except Exception as error:
            raise _unwritable(
                self.url, f"cannot be written ({redact(f'{type(error).__name__}: {error}')})"
            ) from harmless_cause(error)
        with suppress(Exception):
            # Whoever may write but not delete is left with an empty object.
            self._storage.rm_file(probe)

    def put(self, file: Path, *, overwrite: bool) -> bool:
        """Write the file in one go, under another name first where a reader could see half of it."""
        with self._trouble("written"):
            if not overwrite and self._storage.exists(self._path):
                return False
            uploads = Retrying(
                retry=retry_if_exception(_may_pass),
                stop=stop_after_attempt(_UPLOADS),
                wait=wait_random_exponential(multiplier=1, max=10),
                reraise=True,
            )
            uploads(self._upload, file)
        # Who comes by later takes away what cannot be taken away now: the clip is in its place.
        with suppress(OSError):
            file.unlink()
        return True

    def _upload(self, file: Path) -> None:
        if self._scheme in _APPEARS_WHOLE:
            self._write(file, self._path)
            return
        unfinished = f"{self._path}.{uuid4().hex}.part"
        try:
            self._write(file, unfinished)
            self._storage.mv(unfinished, self._path)
        except BaseException:
            with suppress(Exception):
                self._storage.rm_file(unfinished)
            raise

    def _write(self, file: Path, path: str) -> None:
        options = self._typed("video/mp4")
        if self._scheme in _S3:
            # One part in memory; writing to an open file has four.
            self._storage.put_file(str(file), path, chunksize=_BLOCK, max_concurrency=1, **options)
            return
        out = self._storage.open(path, "wb", block_size=_BLOCK, **options)
        try:
            with file.open("rb") as content:
                while piece := content.read(_PIECE):
                    out.write(piece)
            out.close()
        except BaseException:
            _give_up(out)
            raise

    def put_bytes(self, content: bytes, content_type: str) -> None:
        """Write something small."""
        with self._trouble("written"):
            self._storage.pipe_file(self._path, content, **self._typed(content_type))

    def _typed(self, content_type: str) -> dict[str, str]:
        name = _CONTENT_TYPE.get(self._scheme)
        return {name: content_type} if name else {}

    def _open(self) -> BinaryIO:
        opened: BinaryIO = self._storage.open(self._path, "rb", block_size=_BLOCK)
        return opened


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def _give_up(out: Any) -> None:
    """Leave a file unwritten and its parts deleted: closing it would publish what was written so far."""
    with suppress(Exception):
        out.discard()
    with suppress(AttributeError):
        out.closed = True


def _rejected(name: str, number: int) -> str:
    path = PurePosixPath(name)
    return f"{path.stem}.rejected{f'.{number}' if number > 1 else ''}{path.suffix}"


def _refused(output_path: Any, problem: str) -> MinimaxRequestError:
    return refused("output_path", output_path, problem)


def _unwritable(output_path: str, problem: str) -> MinimaxStorageError:
    return MinimaxStorageError(
        f"output_path={output_path!r}: {problem}",
        billing=NOTHING_BOUGHT,
        hint="See to the place or give another one, then run this again.",
    )
