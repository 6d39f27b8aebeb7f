"""Dead links, and hosts that say odd things about a good file, which is delivered nevertheless."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import zlib
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from airflow_provider_minimax.api.http import encodings
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.task import VideoFile
from airflow_provider_minimax.delivery import download as downloads
from airflow_provider_minimax.delivery.download import download
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.emulator.clips import film
from airflow_provider_minimax.exceptions import MinimaxDownloadError
from tests.delivery.hosts import Host, answer

FILM = film("512P", 6)
PLATFORM = "http://127.0.0.1:1"


@pytest.fixture
def host():
    """Start file hosts, and stop them."""
    started: list[Host] = []

    def start(reply: Any) -> Host:
        started.append(Host(reply))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def fetched(tmp_path: Path):
    """Fetch a clip from its links, without waiting between attempts."""
    naps: list[float] = []

    def fetch(url: str, backup_url: str | None = None) -> bytes:
        transport = Transport(Endpoint("minimax", PLATFORM, "key", timeout=5))
        with PartFile(tmp_path / "x.part") as clip:
            download(
                transport,
                lambda: VideoFile(url, backup_url=backup_url),
                clip,
                log=logging.getLogger(__name__),
                sleep=naps.append,
            )
            return clip.path.read_bytes()

    fetch.naps = naps
    return fetch


def refused() -> str:
    """A link behind which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/clip.mp4"


# -- the second link ---------------------------------------------------------------------------------------------------

DEAD = {
    "spent": lambda headers, number: answer(b"", "403 Forbidden"),
    "away": lambda headers, number: answer(b"", "404 Not Found"),
    "asking too much": lambda headers, number: answer(b"", "400 Bad Request"),
    "broken": lambda headers, number: answer(b"", "500 Internal Server Error"),
    "busy": lambda headers, number: answer(b"", "503 Service Unavailable", Retry_After=30),
    "a page": lambda headers, number: answer(b"<html>Not here</html>", Content_Type="text/html"),
    "empty": lambda headers, number: answer(b""),
    "no http": lambda headers, number: b"SSH-2.0-OpenSSH_9.9\r\n",
    "to the cloud": lambda headers, number: answer(b"", "302 Found", Location="http://169.254.169.254/"),
    "in a circle": lambda headers, number: answer(b"", "302 Found", Location="/clip.mp4"),
    "compressed by nobody knows what": lambda headers, number: answer(bytes(50), Content_Encoding="dcb"),
    "larger than any clip": lambda headers, number: answer(FILM[:100], Content_Length=10**12),
}


@pytest.mark.parametrize("reply", DEAD.values(), ids=DEAD.keys())
def test_a_dead_link_costs_one_attempt_and_no_wait_if_there_is_another(reply, host, fetched):
    dead, living = host(reply), host(lambda headers, number: answer(FILM))
    assert fetched(dead.url, living.url) == FILM
    assert len(living.requests) == 1
    assert fetched.naps == [0.0]


@pytest.mark.parametrize(
    "link",
    ["http://no-such-host.invalid/clip.mp4", "http://[::bad/clip.mp4", "ftp://127.0.0.1/clip.mp4", "http://\u2603..x/"],
)
def test_so_does_a_link_that_leads_to_no_host(link, host, fetched):
    assert fetched(link, host(lambda headers, number: answer(FILM)).url) == FILM
    assert fetched(refused(), host(lambda headers, number: answer(FILM)).url) == FILM


def test_links_are_tried_in_turn_until_one_is_well(host, fetched):
    first = host(lambda headers, number: answer(b"", "503 Service Unavailable"))
    second = host(lambda headers, number: answer(FILM) if number == 2 else answer(b"", "404 Not Found"))
    assert fetched(first.url, second.url) == FILM
    assert (len(first.requests), len(second.requests)) == (2, 2)


def test_two_dead_links_take_no_more_attempts_than_one(host, fetched):
    hosts = [host(DEAD["away"]), host(DEAD["spent"])]
    with pytest.raises(MinimaxDownloadError, match="refused the clip's link"):
        fetched(hosts[0].url, hosts[1].url)
    assert sum(len(one.requests) for one in hosts) == downloads.ATTEMPTS


def test_a_link_of_which_half_came_is_gone_on_with(host, fetched):
    """The other one may be of another copy, of which half is here of no use."""

    def breaks_once(headers: dict[str, str], number: int) -> Any:
        if number == 1:
            return answer(FILM[:20_000], Content_Length=len(FILM), ETag='"a"')
        start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
        part = f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"
        return answer(FILM[start:], "206 Partial Content", Content_Range=part, ETag='"a"')

    first, second = host(breaks_once), host(lambda headers, number: answer(FILM))
    assert fetched(first.url, second.url) == FILM
    assert (len(first.requests), len(second.requests)) == (2, 0)


def test_one_that_always_breaks_at_the_same_place_is_left_for_the_other(host, fetched):
    first = host(lambda headers, number: answer(FILM[:20_000], Content_Length=len(FILM)))
    assert fetched(first.url, host(lambda headers, number: answer(FILM)).url) == FILM


def test_the_platforms_second_link_is_tried(connect, minimax_emulator, tmp_path, monkeypatch):
    """BLTCY names two; the hook knows both, and the operator fetches by the second."""
    from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
    from tests.fakes import FakeTaskInstance

    connect("bltcy")
    minimax_emulator.configure(lifecycle="polls", polls=1)
    minimax_emulator.fault("http", operation="download", status=404)
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a boat",
        first_frame_image="https://files.example/frame.png",
        output_path=str(tmp_path / "clip.mp4"),
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.01,
    ).execute({"ti": FakeTaskInstance()})
    asked = [request["path"] for request in minimax_emulator.requests if request["operation"] == "download"]
    assert [path.startswith("/files/backup/") for path in asked] == [False, True]


def test_no_link_of_a_file_is_shown():
    assert "secret" not in repr(VideoFile("https://a.example/?secret", backup_url="https://b.example/?secret"))


# -- plain links -------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and cdn.example, and its key."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("cdn.example")]
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "host.pem").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "host.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tmp_path / "host.pem", tmp_path / "host.key"


@pytest.mark.parametrize("redirects", [False, True])
def test_a_plain_link_of_an_https_platform_is_followed_over_https(redirects, authority, host):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority)

    def reply(headers: dict[str, str], number: int) -> bytes:
        if redirects and number == 1:
            return answer(b"", "302 Found", Location=secure.url)
        return answer(FILM)

    secure = host(reply)
    secure.encrypt(context)
    assert secure.url.startswith("http://")
    transport = Transport(Endpoint("minimax", "https://127.0.0.1:1", "key", timeout=5, verify=str(authority[0])))
    with transport.fetch(secure.url) as stream:
        assert b"".join(stream.chunks) == FILM


@pytest.mark.parametrize(("name", "is_its_own"), [("cdn.example", True), ("other.example", False)])
def test_a_host_is_connected_to_by_address_and_known_by_its_name(name, is_its_own, authority, host, monkeypatch):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority)
    server = host(lambda headers, number: answer(FILM))
    server.encrypt(context)
    numeric = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **options: numeric("127.0.0.1" if host == name else host, *rest, **options),
    )
    transport = Transport(Endpoint("minimax", "https://127.0.0.1:1", "key", timeout=5, verify=str(authority[0])))
    link = server.url.replace("http://127.0.0.1", f"https://{name}")
    if is_its_own:
        with transport.fetch(link) as stream:
            assert b"".join(stream.chunks) == FILM
        assert server.requests[0]["host"].startswith("cdn.example:")
    else:
        with pytest.raises(MinimaxDownloadError, match="CERTIFICATE_VERIFY_FAILED"), transport.fetch(link):
            pass


# -- compressed on its way ---------------------------------------------------------------------------------------------


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress(FILM)),
    "x-gzip": ("x-gzip", gzip.compress(FILM)),
    "gzip in members": ("gzip", gzip.compress(FILM[:1000]) + gzip.compress(FILM[1000:])),
    "gzip with something behind it": ("gzip", gzip.compress(FILM) + bytes(100)),
    "deflate": ("deflate", zlib.compress(FILM)),
    "deflate without its envelope": ("deflate", bare(FILM)),
    "br": ("br", brotli.compress(FILM, quality=1)),
    "zstd": ("zstd", zstandard.compress(FILM)),
    "twice": ("gzip, br", brotli.compress(gzip.compress(FILM), quality=1)),
}


@pytest.mark.parametrize(("coding", "packed"), PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize("has_length", [True, False])
def test_a_host_that_compresses_though_it_was_asked_not_to_is_understood(coding, packed, has_length, host, fetched):
    whole = answer(packed, Content_Encoding=coding)
    if not has_length:
        whole = whole.replace(b"\r\nContent-Length", b"\r\nX-Length")
    assert fetched(host(lambda headers, number: whole).url) == FILM


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_no_part_of_it_is_asked_for_after_a_break(coding, host, fetched, tmp_path: Path):
    """Half of what is compressed is half of nothing."""
    packed = PACKED[coding][1]
    whole = {"Content_Encoding": coding, "ETag": '"a"'}
    server = host(lambda headers, number: answer(packed[: len(packed) // 2 if number == 1 else None], **whole))
    assert fetched(server.url) == FILM
    assert ["range" in request for request in server.requests] == [False, False]


@pytest.mark.parametrize("coding", ["identity", "binary", "aws-chunked", "utf-8", "gzip"])
def test_a_header_that_is_wrong_about_a_plain_clip_is_no_matter(coding, host, fetched):
    assert fetched(host(lambda headers, number: answer(FILM, Content_Encoding=coding)).url) == FILM


@pytest.mark.parametrize("coding", ["dcb", "gzip, gzip, gzip", "x" * 300])
def test_what_cannot_be_decoded_is_said(coding, host, fetched):
    server = host(lambda headers, number: answer(bytes(100), Content_Encoding=coding))
    with pytest.raises(MinimaxDownloadError, match=r"sent the clip encoded as .* cannot be decoded here"):
        fetched(server.url)


def test_so_is_what_needs_a_package_that_is_not_here(host, fetched, monkeypatch):
    monkeypatch.setattr(encodings, "find_spec", lambda name: None)
    with pytest.raises(MinimaxDownloadError, match=r"encoded as br.*install brotli"):
        fetched(host(lambda headers, number: answer(PACKED["br"][1], Content_Encoding="br")).url)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_bytes_that_are_not_what_the_header_says_are_an_error_of_ours(coding, host, fetched):
    noise = bytes(range(7, 255)) * 8
    with pytest.raises(MinimaxDownloadError, match="cannot be decompressed|instead of an MP4"):
        fetched(host(lambda headers, number: answer(noise, Content_Encoding=coding)).url)


BOMBS = {
    "gzip": lambda content: gzip.compress(content),
    "br": lambda content: brotli.compress(content, quality=5),
    "zstd": lambda content: zstandard.compress(content),
}


@pytest.mark.parametrize("coding", BOMBS)
def test_a_few_bytes_that_stand_for_too_many_are_left_early(coding, host, fetched, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 3_000_000)
    packed = BOMBS[coding](FILM[:12] + bytes(64_000_000))
    largest = 0
    write = PartFile.write

    def measured(self: PartFile, chunk: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(chunk))
        write(self, chunk)
        assert self.size < 5_000_000

    monkeypatch.setattr(PartFile, "write", measured)
    with pytest.raises(MinimaxDownloadError, match="sends more than 3000000 bytes"):
        fetched(host(lambda headers, number: answer(packed, Content_Encoding=coding)).url)
    assert largest <= 4 * 1024 * 1024


def test_endless_bytes_that_decode_to_nothing_are_refused(host, fetched, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 1_000_000)
    nothing = b"\0\0\0\xff\xff" * 20_000
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = packer.compress(FILM[:1000]) + packer.flush(zlib.Z_FULL_FLUSH)
    server = host(lambda headers, number: answer(head + nothing * 50, Content_Encoding="deflate"))
    with pytest.raises(MinimaxDownloadError, match="sends more than 1000000 bytes"):
        fetched(server.url)


# -- names of versions, and parts --------------------------------------------------------------------------------------

UNSPEAKABLE = ['"caf\xe9"', '"a\x01b"', '"' + "x" * 1000 + '"', '"', "W/", '""W/"\xff']


@pytest.mark.parametrize("tag", UNSPEAKABLE)
def test_a_version_that_cannot_be_sent_back_is_dropped_and_the_file_begun_again(tag, host, fetched):
    server = host(
        lambda headers, number: answer(FILM[: 20_000 if number == 1 else None], Content_Length=len(FILM), ETag=tag)
    )
    assert fetched(server.url) == FILM
    assert "range" not in server.requests[1]


LIARS = {
    "416 for ever": lambda headers, number: (
        answer(b"", "416 Range Not Satisfiable", Content_Range="bytes */9")
        if "range" in headers
        else answer(FILM[: 20_000 if number == 1 else None], Content_Length=len(FILM), ETag='"a"')
    ),
    "206 without being asked": lambda headers, number: answer(
        FILM, "206 Partial Content", Content_Range=f"bytes 0-{len(FILM) - 1}/{len(FILM)}"
    ),
    "numbers of a thousand digits": lambda headers, number: (
        answer(FILM, "206 Partial Content", Content_Range=f"bytes 0-{'9' * 5000}/{'9' * 5000}")
        if number == 1
        else answer(FILM)
    ),
    "If-Range is ignored": lambda headers, number: (
        answer(
            FILM[20_000:], "206 Partial Content", Content_Range=f"bytes 20000-{len(FILM) - 1}/{len(FILM)}", ETag='"b"'
        )
        if "range" in headers
        else answer(FILM[: 20_000 if number == 1 else None], Content_Length=len(FILM), ETag='"a"')
    ),
    "an odd date": lambda headers, number: answer(
        FILM[: 20_000 if number == 1 else None],
        Content_Length=len(FILM),
        Date="Sat, 21 Nov 99999999999999999999 10:00:00 GMT",
        Last_Modified="Sat, 21 Nov 2026 10:00:00 GMT",
    ),
}


@pytest.mark.parametrize("reply", LIARS.values(), ids=LIARS.keys())
def test_a_host_that_answers_ranges_wrongly_is_outlived(reply, host, fetched):
    assert fetched(host(reply).url) == FILM


def test_bytes_of_another_version_are_never_appended(host, fetched):
    """The host ignores If-Range, and says itself that the rest is of another file."""
    other = film("720P", 6)

    def reply(headers: dict[str, str], number: int) -> bytes:
        if number == 1:
            return answer(FILM[:20_000], Content_Length=len(FILM), ETag='"a"')
        if "range" in headers:
            part = f"bytes 20000-{len(other) - 1}/{len(other)}"
            return answer(other[20_000:], "206 Partial Content", Content_Range=part, ETag='"b"')
        return answer(other, ETag='"b"')

    assert fetched(host(reply).url) == other


def test_a_part_that_is_larger_than_the_file_is_begun_again(host, fetched, tmp_path: Path):
    with PartFile(tmp_path / "x.part") as part:
        part.begin('"a"')
        part.write(FILM + bytes(100))
    server = host(
        lambda headers, number: (
            answer(b"", "416 Range Not Satisfiable", Content_Range=f"bytes */{len(FILM)}")
            if "range" in headers
            else answer(FILM, ETag='"a"')
        )
    )
    assert fetched(server.url) == FILM


@pytest.mark.parametrize("kind", [b"free", b"wide", b"skip", b"styp", b"uuid"])
def test_a_clip_that_begins_with_another_box_is_a_clip(kind, host, fetched):
    clip = b"\0\0\0\x10" + kind + bytes(8) + FILM
    assert fetched(host(lambda headers, number: answer(clip)).url) == clip
