"""What a receipt says and how it is read back, and what makes two requests the same."""

from __future__ import annotations

import base64
import json

import pytest

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxReceiptError, MinimaxTaskFailedError, error_from_event
from airflow_provider_minimax.purchases.fingerprint import describe_request, fingerprint_of
from airflow_provider_minimax.purchases.receipt import Receipt, read_receipt
from tests.receipts.samples import delivered, failed, intent, submitted

ACCOUNT = {"platform": "minimax", "base_url": "https://api.minimax.io", "minimax_conn_id": "minimax_default"}
FIELDS = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}
PICTURE = base64.b64encode(b"picture").decode()


def mark(account: dict[str, str] | None = None, **fields: object) -> str:
    return fingerprint_of(VideoRequest.of(FIELDS | fields), account or ACCOUNT)


@pytest.mark.parametrize("receipt", [intent(), submitted(), failed("1027"), delivered(), submitted(max_tries=None)])
def test_a_receipt_is_read_back_as_it_was_written(receipt):
    assert read_receipt(receipt.as_json(), "here") == receipt
    assert read_receipt(receipt.as_values(), "here") == receipt


def test_a_receipt_of_before_there_were_two_apis_is_of_the_first():
    values = submitted().as_values()
    del values["api_version"]
    assert read_receipt(values, "here").api_version == "v1"


def test_the_reason_of_a_failure_survives():
    receipt = read_receipt(failed("1027").as_json(), "here")
    assert str(error_from_event(receipt.failure)) == "the remote task failed (code 1027, task T1)."


def spoiled(**changes: object) -> bytes:
    return json.dumps(submitted().as_values() | changes).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not whole"),
        (submitted().as_json()[:-40], "is not whole"),
        (b"\xff\xfe\x00", "is not whole"),
        (b"[]", "was not written by this provider"),
        (b'{"task_id": "1"}', "was not written by this provider"),
        (spoiled(schema=2), "has schema 2, and this version reads up to 1"),
        (spoiled(phase="lost"), "is damaged (phase:"),
        (spoiled(owner="me"), "is damaged (owner:"),
        (spoiled(intended_at="2026-11-21T12:00:00"), "is damaged (intended_at:"),
        (spoiled(phase="lost", provider_version="99.1"), "was written by version 99.1 of this provider"),
        (spoiled(minimax_task_id=None), "phase submitted without a minimax_task_id"),
        (spoiled(phase="delivered"), "phase delivered without a sha256"),
    ],
)
def test_what_cannot_be_read_is_never_taken_for_nothing(content, said):
    with pytest.raises(MinimaxReceiptError) as raised:
        read_receipt(content, "/clips/a.mp4.receipt.json")
    assert said in str(raised.value)
    assert "/clips/a.mp4.receipt.json" in str(raised.value)
    assert "Nothing was bought." in str(raised.value)


def test_the_fields_of_schema_1_stay_as_they_are():
    """Receipts outlive releases: a changed field needs a new schema number."""
    assert list(Receipt.model_json_schema(by_alias=True)["properties"]) == [
        *("kind", "schema", "phase", "fingerprint", "asked", "attempt"),
        *("platform", "minimax_conn_id", "model", "owner"),
        *("max_tries", "try_number", "submissions", "replaced", "unanswered", "has_callback"),
        *("provider_version", "request", "cost"),
        *("intended_at", "lost_at", "minimax_task_id", "api_version", "submitted_at", "started_at", "finished_at"),
        *("failure", "output_path"),
        *("sha256", "size", "delivered_at", "facts", "media", "previews"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a dog"},
        {"model": "MiniMax-Hailuo-02"},
        {"duration": 10},
        {"resolution": "1080P"},
        {"prompt_optimizer": False},
        {"aigc_watermark": True},
        {"first_frame_image": "https://files.example/a.png"},
        {"extra_body": {"seed": 1}},
        {"ratio": "16:9"},
        {"extra": {"prompt_expansion_mode": "quality"}},
        {"reference_images": ["https://files.example/a.png"]},
        {"reference_videos": ["mm_file://1"]},
    ],
)
def test_everything_that_shapes_the_clip_is_in_the_fingerprint(fields):
    assert mark(**fields) != mark()


@pytest.mark.parametrize("field", ["platform", "base_url", "minimax_conn_id"])
def test_so_is_where_it_is_bought(field):
    assert mark(ACCOUNT | {field: "another"}) != mark()


def test_what_does_not_shape_the_clip_is_not():
    assert mark(callback_url="https://me.example/hook") == mark()


def test_pictures_count_by_their_bytes():
    frame = mark(first_frame_image=f"data:image/png;base64,{PICTURE}")
    assert frame == mark(first_frame_image=f"data:image/jpeg;base64,{PICTURE}")
    assert frame != mark(first_frame_image=f"data:image/png;base64,{base64.b64encode(b'other').decode()}")
    assert frame != mark(last_frame_image=f"data:image/png;base64,{PICTURE}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X-Amz-Date=20261121T120000Z&X-Amz-Signature=abc", "X-Amz-Date=20261121T130000Z&X-Amz-Signature=def"),
        ("X-Goog-Expires=60&X-Goog-Signature=1", "X-Goog-Expires=61&X-Goog-Signature=2"),
        ("sv=2025-01-01&se=2026&sr=b&sp=r&sig=abc", "sv=2025-01-01&se=2027&sr=b&sp=r&sig=def"),
        ("OSSAccessKeyId=k&Expires=1&Signature=s", "OSSAccessKeyId=k&Expires=2&Signature=t"),
        ("q-ak=k&q-sign-time=1;2&q-signature=s&x-cos-security-token=t", "q-ak=k&q-sign-time=2;3&q-signature=t"),
        ("X-Tos-Date=1&X-Tos-Signature=s", "X-Tos-Date=2&X-Tos-Signature=t"),
    ],
)
def test_a_url_that_is_signed_again_at_each_try_is_the_same_image(one, other):
    frames = {mark(first_frame_image=f"https://bucket.example/a.png?{query}") for query in (one, other)}
    assert len(frames) == 1
    assert mark(first_frame_image=f"https://bucket.example/b.png?{one}") not in frames
    assert mark(first_frame_image=f"https://bucket.example/a.png?version=2&{one}") not in frames


SIGNED_AGAIN = [
    ("https://p.supabase.co/storage/v1/object/sign/frames/{}.png?token=", ""),
    ("https://p.supabase.co/storage/v1/render/image/sign/frames/{}.png?width=300&token=", ""),
    ("https://zone.b-cdn.net/{}.png?expires=1&token_path=%2F&token=", ""),
    ("https://f001.backblazeb2.com/file/frames/{}.png?Authorization=", ""),
    ("https://imagedelivery.net/account/{}/public?sig=1&exp=", ""),
    ("https://me.imgix.net/{}.png?w=300&s=", ""),
    ("https://cdn.discordapp.com/attachments/1/{}/boat.png?ex=1&is=2&hm=", "&"),
    ("https://cdn.example/{}.png?auth_key=1790000000-0-0-", ""),
    ("https://cdn.example/{}.png?hdnts=exp=1~acl=/*~hmac=", ""),
    ("https://b.obs.example/{}.png?AccessKeyId=k&x-obs-security-token=", ""),
]


@pytest.mark.parametrize(("address", "after"), SIGNED_AGAIN)
def test_so_is_one_that_is_signed_as_its_host_does(address, after):
    frames = {mark(first_frame_image=f"{address.format(1)}{signature}{after}") for signature in ("a1", "b2")}
    assert len(frames) == 1
    assert mark(first_frame_image=f"{address.format(2)}a1{after}") not in frames
    assert mark(first_frame_image=f"{address.format(1)}a1&page=2{after}") not in frames


@pytest.mark.parametrize(
    "address",
    [
        "https://files.example/view?token=",
        "https://files.example/view?Authorization=",
        "https://files.example/view?s=",
        "https://files.example/view?ex=",
        "https://zone.b-cdn.net.files.example/view?token=",
        "https://files.example/storage/v1/object/public/view?token=",
    ],
)
def test_what_may_be_the_name_of_a_picture_tells_pictures_apart(address):
    """No two pictures may be taken for one, so a name is a signature's only where the host is known for it."""
    assert mark(first_frame_image=f"{address}1") != mark(first_frame_image=f"{address}2")


SECRET = "SIGNATURE0123456789"
SIGNED = [
    *("X-Amz-Signature={}", "token={}", "alt=media&token={}", "sv=1&sig={}", "Authorization={}", "auth_key={}"),
    *("verify=1-{}", "s={}", "ixsig={}", "hdnts=exp=1~hmac={}", "__token__={}", "hm={}", "access_token={}", "{}"),
    *("w=300&key={}", "v={}", "version={}", "format=png&x={}", "token%3D{}", "a=1;sig={}"),
]


@pytest.mark.parametrize("query", SIGNED)
def test_no_signature_is_kept_whatever_its_parameter_is_called(query):
    for signed in (f"https://files.example/a.png?{query}", f"https://files.example/a.png#{query}"):
        signed = signed.format(SECRET)
        for written in (signed, signed.upper(), f" {signed}", signed.replace("https", "s3")):
            request = VideoRequest.model_construct(
                **FIELDS, first_frame_image=written, extra_body={"deep": [{"picture": written}]}
            )
            assert SECRET not in json.dumps(describe_request(request)).upper()
            assert "FILES.EXAMPLE/A.PNG" in json.dumps(describe_request(request)).upper()


@pytest.mark.parametrize(
    "grown",
    [
        {"request": {"prompt": "\x9b" * 500_000}},
        {"request": {"extra_body": {"picture": "a" * 2_000_000}}},
        {"facts": {"task_id": "T1", "prompt": "a" * 2_000_000}},
    ],
)
def test_a_receipt_never_grows_beyond_what_is_read_again(grown):
    receipt = read_receipt(submitted(**grown).as_json(), "here")
    assert receipt.minimax_task_id == "T1"
    assert receipt.facts in (None, {"task_id": "T1"})


def test_a_signature_that_an_earlier_version_kept_is_gone_with_the_next_write():
    frames = {"first_frame_image": f"https://a.example/b.png?token={SECRET}", "prompt": "https://a.example?b=c says"}
    receipt = read_receipt(intent(request=frames).as_json(), "here")
    assert receipt.request == {"first_frame_image": "https://a.example/b.png", "prompt": frames["prompt"]}
    assert SECRET.encode() not in receipt.as_json()


def test_a_pictures_size_form_and_version_are_kept():
    for query in ("w=300&h=200&q=80&dpr=1.5", "width=300&format=webp&fit=crop", "v=2", "alt=media"):
        address = f"https://files.example/a.png?{query}"
        assert (
            describe_request(VideoRequest.of(FIELDS | {"first_frame_image": address}))["first_frame_image"] == address
        )


def test_a_prompt_is_kept_as_it_was_written():
    prompt = "https://a.example/b?c=d is what the cat types\x1b.\n\u202eIt purrs.#1"
    request = VideoRequest.of(FIELDS | {"prompt": prompt})
    assert describe_request(request)["prompt"] == prompt
    receipt = intent(request=describe_request(request))
    assert read_receipt(receipt.as_json(), "here").request["prompt"] == prompt
    assert not {"\x1b", "\u202e"} & set(receipt.as_json().decode())


def test_the_password_of_a_url_is_not_shown():
    request = VideoRequest.of(FIELDS | {"first_frame_image": "https://me:SECRET@files.example:8443/a.png"})
    assert describe_request(request)["first_frame_image"] == "https://files.example:8443/a.png"


def test_a_fingerprint_is_the_same_on_every_machine_and_release():
    """Receipts are compared across upgrades: this value must not change."""
    assert mark(duration=6, extra_body={"b": 1, "a": [True, None]}) == (
        "04e3c9f2c936d69da01adc8c72548701f325672dc6e37bd5c92eeef22ecc3875"
    )


def test_what_a_newer_version_added_is_read_over_and_kept():
    """Both versions write the same receipts while an upgrade is under way."""
    receipt = read_receipt(spoiled(bonus={"points": 1}), "here")
    assert receipt.minimax_task_id == "T1"
    assert receipt.failed(MinimaxTaskFailedError("no clip")).as_values()["bonus"] == {"points": 1}


def test_characters_that_no_disk_and_no_database_takes_do_not_keep_a_receipt_from_being_written():
    """They come in a platform's words, after the purchase."""
    receipt = submitted().failed(MinimaxTaskFailedError("bad \ud800 and \0"))
    assert read_receipt(receipt.as_json(), "here").failure["message"] == "bad \\ud800 and \\x00"
