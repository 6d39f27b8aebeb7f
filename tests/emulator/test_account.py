"""Files that an account uploads, and what it has left."""

from __future__ import annotations

import hashlib
import time

import pytest

from tests.emulator.customer import V2Customer

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("filename", "kind"), [("fox.PNG", "image"), ("fox.heic", "image"), ("fox.mov", "video"), ("fox.mp3", "audio")]
)
def test_a_file_can_be_uploaded(h3, emulator, filename, kind):
    answer = h3.upload(filename, b"a fox").json()
    described = answer["file"]
    assert answer["base_resp"] == {"status_code": 0, "status_msg": "success"}
    assert isinstance(described.pop("file_id"), int)
    assert abs(described.pop("created_at") - time.time()) < 60
    assert described == {"bytes": 5, "filename": filename, "purpose": "video_generation_input"}
    (upload,) = emulator.uploads
    assert (upload["filename"], upload["kind"], upload["bytes"]) == (filename, kind, 5)
    assert upload["digest"] == f"sha256:{hashlib.sha256(b'a fox').hexdigest()[:16]}"


BAD_FILES = {
    "unknown suffix": ("fox.gif", b"a fox", "video_generation_input"),
    "no suffix": ("fox", b"a fox", "video_generation_input"),
    "empty": ("fox.png", b"", "video_generation_input"),
    "image too large": ("fox.png", bytes(30 * MIB + 1), "video_generation_input"),
    "audio too large": ("fox.wav", bytes(15 * MIB + 1), "video_generation_input"),
    "another purpose": ("fox.png", b"a fox", "voice_clone"),
}


@pytest.mark.parametrize(("filename", "content", "purpose"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_cannot_be_used_is_refused(h3, emulator, filename, content, purpose):
    answer = h3.upload(filename, content, purpose)
    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (400, 2013)
    assert emulator.uploads == []


def test_uploads_are_listed_by_their_purpose_and_deleted(h3, customer, emulator):
    first, second = (h3.upload(name, b"a fox").json()["file"] for name in ("fox.png", "fox.mov"))
    assert h3.get("/v1/files/list?purpose=video_generation_input").json()["files"] == [first, second]
    assert h3.get("/v1/files/list?purpose=voice_clone").json()["files"] == []
    assert h3.get("/v1/files/list").json()["base_resp"]["status_code"] == 2013
    assert V2Customer("minimax-cn").get("/v1/files/list?purpose=video_generation_input").json()["files"] == []
    order = {"file_id": first["file_id"], "purpose": "video_generation_input"}
    for wrong in ({"file_id": 1}, {"file_id": str(first["file_id"])}, {"purpose": "video_generation"}):
        answer = h3.post("/v1/files/delete", json=order | wrong)
        assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)
    assert h3.post("/v1/files/delete", json=order).json() == {
        "file_id": first["file_id"],
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }
    assert [upload["file_id"] for upload in emulator.uploads] == [str(second["file_id"])]


@pytest.mark.parametrize("path", ["/account/query_balance", "/v1/token_plan/remains"])
def test_an_account_is_shown_to_nobody_else(customer, path):
    assert V2Customer("minimax", "wrong").get(path).json()["base_resp"]["status_code"] == 2049


def test_an_upload_wants_a_key(customer, emulator):
    answer = V2Customer("minimax", "wrong").upload("fox.png", b"a fox")
    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2049)
    assert emulator.uploads == []


def test_list_prices_are_taken_from_the_balance(minimax, h3, emulator):
    emulator.configure(balance=1.0)
    minimax.buy()
    h3.buy()
    answer = h3.get("/account/query_balance").json()
    assert (answer["available_amount"], answer["cash_balance"]) == ("0.32", "0.32")
    assert answer["base_resp"]["status_code"] == 0


def test_what_the_balance_does_not_cover_is_refused(minimax, h3, emulator):
    emulator.configure(balance=0.40)
    first = h3.buy()
    refused = h3.order()
    assert (refused.status_code, refused.json()["error"]["type"]) == (402, "insufficient_balance_error")
    assert minimax.order().json()["base_resp"]["status_code"] == 1008
    h3.remove(first)
    assert h3.order().status_code == 200


def test_the_mainland_pays_in_its_own_currency(customer, emulator):
    emulator.configure(balance=10.0)
    buyer = V2Customer("minimax-cn")
    buyer.buy()
    assert buyer.get("/account/query_balance").json()["available_amount"] == "7.50"


def test_without_a_balance_any_number_of_clips_can_be_bought(h3):
    h3.buy()
    assert h3.get("/account/query_balance").json()["available_amount"] == "1000.00"


def test_a_key_that_pays_as_it_goes_has_no_plan(h3):
    answer = h3.get("/v1/token_plan/remains").json()
    assert answer == {"model_remains": [], "base_resp": {"status_code": 0, "status_msg": "success"}}
