"""
A real object storage for tests: moto's S3 on a socket of its own, and the misfortunes that object storages have.

``ObjectStoragePath("s3://<bucket>/<key>")`` leads there, in this process, while the fixture ``s3_bucket`` is in use; in
a child of it, after ``attach("s3", fs=filesystem(endpoint))``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

KEY, SECRET = "clips-key", "clips-secret"
WRITING = ("PUT", "POST", "DELETE")


@dataclass(slots=True)
class Refusal:
    """Which requests are turned away, and how."""

    methods: tuple[str, ...]
    containing: str
    status: str
    code: str


@dataclass(slots=True)
class Porter:
    """
    What stands before moto, as WSGI: it writes requests down, checks the key, and refuses what a test wants refused.

    moto lets two conditional writes pass at once, S3 does not; so here they come one after the other.
    """

    app: Any
    key: str = KEY
    requests: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    one_at_a_time: Any = field(default_factory=threading.Lock)

    def reset(self) -> None:
        self.key = KEY
        self.requests.clear()
        self.refusals.clear()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING")
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{'?' if query else ''}{query}"
        self.requests.append(request)
        with _whole_body(environ), self.one_at_a_time if "HTTP_IF_NONE_MATCH" in environ else nullcontext():
            if refusal := self._refusal(request, environ):
                start_response(refusal.status, [("Content-Type", "application/xml")])
                return [f"<Error><Code>{refusal.code}</Code><Message>Refused</Message></Error>".encode()]
            answer: Iterable[bytes] = self.app(environ, start_response)
            return answer

    def _refusal(self, request: str, environ: dict[str, Any]) -> Refusal | None:
        if f"Credential={self.key}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            return Refusal((), "", "403 Forbidden", "InvalidAccessKeyId")
        method = environ["REQUEST_METHOD"]
        return next((r for r in self.refusals if method in r.methods and r.containing in request), None)


@contextmanager
def _whole_body(environ: dict[str, Any]) -> Iterator[None]:
    """Read what the application leaves unread: a client that is still sending would not see the answer."""
    from werkzeug.wsgi import get_input_stream

    body = environ["wsgi.input"] = get_input_stream(environ)
    environ["wsgi.input_terminated"] = True
    yield
    while body.read(2**20):
        pass


@dataclass(frozen=True, slots=True)
class Server:
    """A running S3, and the file system of a worker that has the right key."""

    endpoint: str
    porter: Porter
    storage: Any


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket on a running S3, which tests look into past the wire."""

    name: str
    server: Server

    def url(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    @property
    def requests(self) -> list[str]:
        """What was asked since the test began, each as ``PUT /bucket/key?query``."""
        return list(self.server.porter.requests)

    def keys(self) -> list[str]:
        return sorted(self._inside().keys)

    def read(self, key: str) -> bytes:
        content: bytes = self._inside().keys[key].value
        return content

    def put(self, key: str, content: bytes) -> None:
        _backend().put_object(self.name, key, content)

    def unfinished_uploads(self) -> list[str]:
        """The keys of the multipart uploads that nobody completed or aborted: they cost, and are not listed."""
        return sorted(upload.key_name for upload in self._inside().multiparts.values())

    def remove(self) -> None:
        """Take the bucket away, with all that is in it."""
        self._inside().keys.clear()
        _backend().delete_bucket(self.name)

    def change_key(self) -> None:
        """Let the server know another key only, so that ours is wrong from now on."""
        self.server.porter.key = "another-key"

    def make_read_only(self) -> None:
        """Answer 403 to all that writes."""
        self.refuse(*WRITING)

    def refuse(
        self, *methods: str, containing: str = "", status: str = "403 Forbidden", code: str = "AccessDenied"
    ) -> None:
        """Turn away the requests of these methods whose path or query contains a text, until :meth:`forgive`."""
        self.server.porter.refusals.append(Refusal(methods, containing, status, code))

    def forgive(self) -> None:
        """Turn nobody away any more, and know our key again."""
        self.server.porter.refusals.clear()
        self.server.porter.key = KEY

    def _inside(self) -> Any:
        return _backend().buckets[self.name]


def _backend() -> Any:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def filesystem(endpoint: str) -> Any:
    """The file system of a worker that has the right key."""
    from s3fs import S3FileSystem

    return S3FileSystem(key=KEY, secret=SECRET, endpoint_url=endpoint, skip_instance_cache=True)


@contextmanager
def running() -> Iterator[Server]:
    """Run an S3 on a free port of 127.0.0.1, in a thread."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: Any, **__: Any) -> None:
            pass

    porter = Porter(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, porter, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield Server(endpoint, porter, filesystem(endpoint))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """The one S3 of a test session."""
    with running() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, to which Airflow's ``s3://`` leads."""
    from airflow.sdk.io import attach
    from airflow.sdk.io.store import _STORE_CACHE

    bucket = Bucket(f"clips-{uuid4().hex[:8]}", s3_server)
    s3_server.storage.invalidate_cache()
    s3_server.storage.mkdir(bucket.name)
    s3_server.porter.reset()
    monkeypatch.delitem(_STORE_CACHE, "s3", raising=False)
    attach("s3", fs=s3_server.storage)
    # From Airflow 3.2 on, the methods of a path without a connection (exists, iterdir, write_bytes, …) go past what is
    # attached, to a file system of fsspec's own; only path.fs and path.open() do not.
    for name, value in (("ENDPOINT_URL", bucket.endpoint), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    yield bucket
    s3_server.porter.reset()
    _backend().reset()
