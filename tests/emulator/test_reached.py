"""The emulator as others reach it: over TLS, without a prefix, behind a proxy, and not from pages of other sites."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from airflow_provider_minimax.emulator import Emulator, EmulatorClient, contract_v2
from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.app import LARGEST_BODY
from airflow_provider_minimax.emulator.bodies import MIB
from tests.emulator.customer import QUERY, SUBMIT, TEXT_ORDER, browser

EVIL = "http://evil.example"


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure():
    with Emulator(tls=True, lifecycle="polls", polls=1) as emulator:
        yield emulator


def test_a_client_that_does_not_trust_the_authority_gets_nothing(secure):
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(secure.url)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_certificate_is_good_for_this_machines_names_by_the_strictest_rules(secure, name):
    strict = ssl.create_default_context(cafile=secure.ca_file)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    port = int(secure.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with strict.wrap_socket(plain, server_hostname=name) as wrapped:
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


def test_a_name_that_is_allowed_is_in_the_certificate_too():
    with Emulator(tls=True, allowed_hosts=["emulator.internal"]) as emulator:
        trusting = ssl.create_default_context(cafile=emulator.ca_file)
        with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])), timeout=30) as plain:
            with trusting.wrap_socket(plain, server_hostname="emulator.internal") as wrapped:
                assert ("DNS", "emulator.internal") in wrapped.getpeercert()["subjectAltName"]


def test_the_key_is_never_left_on_the_disk_and_the_authority_goes_with_the_emulator():
    with Emulator(tls=True) as emulator:
        authority = Path(emulator.ca_file)
        assert sorted(path.name for path in authority.parent.iterdir()) == ["ca.pem", "certificate.pem"]
        assert "PRIVATE" not in "".join(path.read_text() for path in authority.parent.iterdir())
    assert (authority.exists(), emulator.ca_file) == (False, None)


def test_a_client_elsewhere_controls_it_with_the_authority(secure):
    client = EmulatorClient(secure.url, ca_file=secure.ca_file)
    assert client.settings["lifecycle"] == "polls"
    with pytest.raises(ssl.SSLCertVerificationError):
        EmulatorClient(secure.url).reset()


def test_broken_answers_break_over_tls_as_well(secure):
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=secure.ca_file))
    key = {"Authorization": f"Bearer {secure.api_key()}"}
    with trusting:
        secure.fault("lost_answer", operation="submit")
        with pytest.raises(httpx.TransportError):
            trusting.post(f"{secure.base_url()}/v1/video_generation", json=TEXT_ORDER, headers=key)
        task_id = secure.purchases[-1]["task_id"]
        query = f"{secure.base_url()}/v1/query/video_generation"
        file_id = trusting.get(query, params={"task_id": task_id}, headers=key).json()["file_id"]
        retrieve = f"{secure.base_url()}/v1/files/retrieve"
        link = trusting.get(retrieve, params={"file_id": file_id}, headers=key).json()["file"]["download_url"]
        secure.fault("truncated", operation="download", after_bytes=1000)
        with pytest.raises(httpx.TransportError):
            trusting.get(link)


# -- at the root -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ADDRESSES)
def test_any_platform_can_be_at_the_root_and_keeps_its_prefix(platform):
    path, order = SUBMIT[platform]
    with Emulator(root=platform, lifecycle="polls", polls=1) as emulator:
        assert emulator.base_url(platform) == emulator.url
        key = {"Authorization": f"Bearer {emulator.api_key(platform)}"}
        for base in (emulator.url, f"{emulator.url}/{platform}"):
            answer = httpx.post(base + path, json=order, headers=key).json()
            task_id = answer.get("task_id") or answer["id"]
            assert httpx.get(base + QUERY[platform].format(task_id), headers=key).status_code == 200
        assert {purchase["platform"] for purchase in emulator.purchases} == {platform}
        assert httpx.get(f"{emulator.url}/v9/nothing").status_code == 404
        assert emulator.requests[-1]["operation"] == "unknown"
        assert "MiniMax video emulator" in httpx.get(emulator.url).text


def test_an_unknown_platform_at_the_root_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="no platform 'hailuo'; the emulator has minimax,"):
        Emulator(root="hailuo")


# -- behind a proxy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"X-Forwarded-Proto": "https", "Host": "video.example"}, "https://video.example"),
        ({"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "video.example:8443"}, "https://video.example:8443"),
        ({"X-Forwarded-Host": "[::1]:9000, 10.0.0.1"}, "http://[::1]:9000"),
        ({"X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "a b/c"}, None),
    ],
)
def test_links_lead_to_where_the_client_sees_the_emulator(minimax, h3, emulator, headers, origin):
    origin = origin or emulator.url
    task_id = minimax.buy()
    emulator.set_job(task_id, "success")
    file_id = minimax.query(task_id)["file_id"]
    answer = minimax.get("/v1/files/retrieve", params={"file_id": file_id}, headers=headers).json()
    link = answer["file"]["download_url"]
    assert link.startswith(f"{origin}/files/")
    emulator.configure(redirects=1)
    here = link.replace(origin, emulator.url)
    step = browser.get(here, headers=headers)
    assert step.headers["Location"].startswith(f"{origin}/files/")
    assert browser.get(step.headers["Location"].replace(origin, emulator.url)).content[4:8] == b"ftyp"


def test_the_page_shows_the_addresses_by_which_it_is_seen(emulator):
    page = browser.get(emulator.url, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "video.example"})
    assert "https://video.example/minimax" in page.text


# -- pages of other sites ----------------------------------------------------------------------------------------------

CONTROL = [
    ("GET", "/"),
    ("GET", "/_emulator/state"),
    ("POST", "/_emulator/settings"),
    ("PUT", "/_emulator/film"),
    ("DELETE", "/_emulator/film"),
    ("POST", "/_emulator/faults"),
    ("DELETE", "/_emulator/faults"),
    ("POST", "/_emulator/jobs/1"),
    ("POST", "/_emulator/release"),
    ("POST", "/_emulator/reset"),
]
FOREIGN = {
    "a name that leads here": {"Host": "evil.example"},
    "the same with a port": {"Host": "evil.example:8765"},
    "a name like ours": {"Host": "localhost.evil.example"},
    "an address elsewhere": {"Host": "203.0.113.9:8765"},
    "no name": {"Host": ""},
    "nonsense": {"Host": "[::1"},
    "a page elsewhere": {"Origin": EVIL},
    "a page elsewhere over TLS": {"Origin": "https://evil.example:8443"},
    "a page of nowhere": {"Origin": "null"},
    "a page of another port of this machine": {"Origin": "http://127.0.0.1:1"},
    "a forwarded name": {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize(("method", "path"), CONTROL)
def test_pages_of_other_sites_neither_read_nor_change_anything(minimax, emulator, method, path, headers):
    task_id = minimax.buy()
    answer = browser.request(method, emulator.url + path, headers=headers)
    # An empty or broken Host does not even reach the control endpoint.
    assert answer.status_code == 403 or (answer.status_code == 400 and "Host" in headers and "." not in headers["Host"])
    assert task_id not in answer.text
    assert len(emulator.purchases) == 1


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.1:80", "[::1]:8765"])
def test_this_machine_is_let_in_by_any_of_its_names(emulator, host):
    for origin in ({}, {"Origin": f"http://{host}"}):
        assert browser.get(f"{emulator.url}/_emulator/state", headers={"Host": host, **origin}).status_code == 200


def test_a_refusal_says_what_to_do_about_a_name_of_ones_own(emulator):
    answer = browser.get(f"{emulator.url}/_emulator/state", headers={"Host": "emulator:8765"})
    assert answer.json() == {
        "error": "Host 'emulator:8765' is not allowed: use an address of this machine, or start the emulator with "
        "--allow-host and that name, without a port"
    }
    with Emulator(allowed_hosts=["Emulator"]) as other:
        assert browser.get(f"{other.url}/_emulator/state", headers={"Host": "emulator:8765"}).status_code == 200


def test_the_platforms_answer_by_any_name(minimax):
    assert minimax.get("/v1/query/video_generation", headers={"Host": "api.minimax.io"}).status_code == 200


def test_a_control_request_of_any_size_is_bounded(emulator):
    answer = browser.post(f"{emulator.url}/_emulator/settings", content=b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()) == (400, {"error": "the body must not be larger than 1 MiB"})


PART_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


def chunks(size: int) -> Iterator[bytes]:
    """A body whose length is not announced."""
    yield PART_HEAD
    for _ in range(size // 1024):
        yield b" " * 1024


@pytest.mark.parametrize("path", ["/v1/video_generation", "/v2/video_generation", "/v1/files/upload"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_larger_than_any_platform_takes_is_refused_with_413(path, announced, minimax, emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.emulator.app.LARGEST_BODY", MIB)
    kind = "multipart/form-data; boundary=x" if path.endswith("upload") else "application/json"
    body = PART_HEAD + b" " * 2 * MIB if announced else chunks(2 * MIB)
    answer = minimax.post(path, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.text) == (413, "413 the body must not be larger than 1 MiB")
    assert [request["status"] for request in emulator.requests] == [413]
    assert emulator.purchases == []


def test_the_limit_of_a_body_is_above_what_platforms_take():
    assert LARGEST_BODY > 2 * 20 * MIB * 4 / 3  # two pictures for v1, in Base64
    assert LARGEST_BODY > contract_v2.LARGEST_BODY
    assert max(contract_v2.LARGEST_FILES.values()) < LARGEST_BODY
