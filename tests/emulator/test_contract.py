"""What a create request may say, on MiniMax's own page and on those that offer less."""

from __future__ import annotations

import base64

import pytest

from tests.emulator.customer import IMAGE, TEXT_ORDER

SUBJECT = {"type": "character", "image": [IMAGE]}
LARGE = "data:image/png;base64," + base64.b64encode(bytes(20 * 1024 * 1024)).decode()

GOOD = {
    "text": TEXT_ORDER,
    "ten seconds": {**TEXT_ORDER, "duration": 10, "resolution": "768P"},
    "all options": {**TEXT_ORDER, "prompt_optimizer": False, "fast_pretreatment": True, "aigc_watermark": True},
    "callback": {**TEXT_ORDER, "callback_url": "https://example.org/hook"},
    "longest prompt": {**TEXT_ORDER, "prompt": "x" * 2000},
    "first frame, no prompt": {"model": "I2V-01", "first_frame_image": IMAGE},
    "image by URL": {"model": "I2V-01-live", "first_frame_image": "https://example.org/fox.jpg"},
    "512P": {"model": "MiniMax-Hailuo-02", "first_frame_image": IMAGE, "resolution": "512P", "duration": 10},
    "first and last": {"model": "MiniMax-Hailuo-02", "first_frame_image": IMAGE, "last_frame_image": IMAGE},
    "last frame alone": {"model": "MiniMax-Hailuo-02", "last_frame_image": IMAGE},
    "subject": {"model": "S2V-01", "subject_reference": [SUBJECT]},
}
BAD = {
    "no model": {"prompt": "a fox"},
    "unknown model": {**TEXT_ORDER, "model": "MiniMax-Hailuo-9"},
    "lower-case model": {**TEXT_ORDER, "model": "minimax-hailuo-2.3"},
    "no prompt": {"model": "MiniMax-Hailuo-2.3"},
    "empty prompt": {**TEXT_ORDER, "prompt": " "},
    "prompt too long": {**TEXT_ORDER, "prompt": "x" * 2001},
    "unknown field": {**TEXT_ORDER, "seed": 1},
    "field with a blank": {**TEXT_ORDER, "prompt_optimizer ": True},
    "duration as text": {**TEXT_ORDER, "duration": "6"},
    "duration as a truth": {**TEXT_ORDER, "duration": True},
    "option as text": {**TEXT_ORDER, "prompt_optimizer": "true"},
    "duration of 7": {**TEXT_ORDER, "duration": 7},
    "1080P for 10 seconds": {**TEXT_ORDER, "duration": 10, "resolution": "1080P"},
    "512P without an image": {"model": "MiniMax-Hailuo-02", "prompt": "a fox", "resolution": "512P"},
    "resolution in lower case": {**TEXT_ORDER, "resolution": "768p"},
    "fast model without an image": {**TEXT_ORDER, "model": "MiniMax-Hailuo-2.3-Fast"},
    "last frame on 2.3": {**TEXT_ORDER, "first_frame_image": IMAGE, "last_frame_image": IMAGE},
    "fast pretreatment on 01": {"model": "T2V-01", "prompt": "a fox", "fast_pretreatment": True},
    "image by file": {"model": "I2V-01", "first_frame_image": "file:///fox.png"},
    "image as GIF": {"model": "I2V-01", "first_frame_image": "data:image/gif;base64,R0lG"},
    "image not base64": {"model": "I2V-01", "first_frame_image": "data:image/png;base64,#"},
    "image empty": {"model": "I2V-01", "first_frame_image": "data:image/png;base64,"},
    "image too large": {"model": "I2V-01", "first_frame_image": LARGE},
    "subject with a size": {"model": "S2V-01", "subject_reference": [SUBJECT], "resolution": "720P"},
    "two subjects": {"model": "S2V-01", "subject_reference": [SUBJECT, SUBJECT]},
    "subject on 2.3": {**TEXT_ORDER, "subject_reference": [SUBJECT]},
    "subject and frame": {"model": "S2V-01", "subject_reference": [SUBJECT], "first_frame_image": IMAGE},
    "callback by ftp": {**TEXT_ORDER, "callback_url": "ftp://example.org"},
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD.keys())
def test_what_the_documents_allow_is_made(minimax, emulator, body):
    emulator.configure(callbacks="ignored")
    answer = minimax.order(body).json()
    assert answer["base_resp"] == {"status_code": 0, "status_msg": "success"}
    assert [purchase["task_id"] for purchase in emulator.purchases] == [answer["task_id"]]


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_and_not_bought(minimax, emulator, body):
    answer = minimax.order(body)
    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)
    assert emulator.purchases == []


@pytest.mark.parametrize(
    ("content", "kind"), [(b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")]
)
def test_a_body_that_is_no_json_object_is_refused(minimax, content, kind):
    answer = minimax.post("/v1/video_generation", content=content, headers={"Content-Type": kind})
    assert answer.json()["base_resp"]["status_code"] == 2013


@pytest.mark.parametrize("word", ["forbidden", "Forbidden fruit"])
def test_a_forbidden_prompt_is_refused_at_once(minimax, emulator, word):
    assert minimax.order(prompt=word).json()["base_resp"]["status_code"] == 1026
    assert emulator.purchases == []


def test_a_censored_prompt_is_paid_for_and_fails_at_the_end(minimax, emulator):
    task_id = minimax.buy(prompt="a censored fox")
    minimax.query(task_id)
    assert minimax.query(task_id)["base_resp"]["status_code"] == 1027
    assert len(emulator.purchases) == 1


def test_a_purchase_records_what_was_ordered_without_its_images(minimax, emulator):
    minimax.order({"model": "MiniMax-Hailuo-02", "first_frame_image": IMAGE, "resolution": "512P"})
    (purchase,) = emulator.purchases
    assert purchase["price"] == {"usd": 0.10, "cny": 0.60}
    assert (purchase["mode"], purchase["resolution"], purchase["duration"]) == ("first_frame", "512P", 6)
    assert purchase["body"]["first_frame_image"].startswith("sha256:")
    assert len(purchase["body"]["first_frame_image"]) == len("sha256:") + 16


REFUSED_BY_BLTCY = {
    "no image": {"first_frame_image": None},
    "no prompt": {"prompt": None},
    "fields that only MiniMax has": {"callback_url": "https://example.org/"},
    "key with a blank": {"prompt_optimizer ": True},
    "512P": {"model": "MiniMax-Hailuo-02", "resolution": "512P"},
}


@pytest.mark.parametrize("changes", REFUSED_BY_BLTCY.values(), ids=REFUSED_BY_BLTCY.keys())
def test_bltcy_takes_only_what_its_pages_name(customer, changes):
    order = {**TEXT_ORDER, "first_frame_image": IMAGE} | changes
    body = {name: value for name, value in order.items() if value is not None}
    assert customer("bltcy").order(body).json()["base_resp"]["status_code"] == 2013


def test_bltcy_has_a_page_for_first_and_last_frame(customer):
    assert customer("bltcy").buy(model="MiniMax-Hailuo-02", last_frame_image=IMAGE)


@pytest.mark.parametrize(
    "body",
    [TEXT_ORDER, {**TEXT_ORDER, "duration": 6, "prompt_optimizer ": True}, {"model": "I2V-01", "duration": 6}],
    ids=["no duration", "key with a blank", "no prompt"],
)
def test_chainhub_requires_model_prompt_and_duration_and_takes_no_blank_key(customer, body):
    assert customer("chainhub").order(body).json()["base_resp"]["status_code"] == 2013


NOVITA_GOOD = {
    "video-01 from an image": ("minimax-video-01", {"prompt": "a fox", "image_url": IMAGE}),
    "02 between frames": (
        "minimax-hailuo-02",
        {"prompt": "a fox", "image": IMAGE, "end_image": IMAGE, "duration": 10},
    ),
    "2.3 from text": ("minimax-hailuo-2.3-t2v", {"prompt": "a fox", "resolution": "1080P", "duration": 6}),
    "2.3 from an image": (
        "minimax-hailuo-2.3-i2v",
        {"prompt": "a fox", "image": IMAGE, "enable_prompt_expansion": False},
    ),
    "fast": ("minimax-hailuo-2.3-fast-i2v", {"prompt": "a fox", "image": IMAGE, "duration": 10}),
}
NOVITA_BAD = {
    "video-01 without a prompt": ("minimax-video-01", {"image_url": IMAGE}),
    "video-01 with a duration": ("minimax-video-01", {"prompt": "a fox", "duration": 6}),
    "video-01 with MiniMax's name": ("minimax-video-01", {"prompt": "a fox", "first_frame_image": IMAGE}),
    "02 with the old name": ("minimax-hailuo-02", {"prompt": "a fox", "image_url": IMAGE}),
    "02 in 512P": ("minimax-hailuo-02", {"prompt": "a fox", "image": IMAGE, "resolution": "512P"}),
    "02 without a prompt": ("minimax-hailuo-02", {"image": IMAGE}),
    "fast without a prompt": ("minimax-hailuo-2.3-fast-i2v", {"image": IMAGE}),
    "fast in a hurry": ("minimax-hailuo-2.3-fast-i2v", {"prompt": "a fox", "image": IMAGE, "fast_pretreatment": True}),
    "02 in 1080P for 10 s": ("minimax-hailuo-02", {"prompt": "a fox", "resolution": "1080P", "duration": 10}),
    "2.3 text with an image": ("minimax-hailuo-2.3-t2v", {"prompt": "a fox", "image": IMAGE}),
    "2.3 image without one": ("minimax-hailuo-2.3-i2v", {"prompt": "a fox"}),
}


@pytest.mark.parametrize(("model", "body"), NOVITA_GOOD.values(), ids=NOVITA_GOOD.keys())
def test_novita_makes_what_each_of_its_pages_offers(customer, emulator, model, body):
    answer = customer("novita").post(f"/v3/async/{model}", json=body)
    assert answer.json() == {"task_id": emulator.purchases[0]["task_id"]}


@pytest.mark.parametrize(("model", "body"), NOVITA_BAD.values(), ids=NOVITA_BAD.keys())
def test_novita_refuses_the_rest_with_400(customer, emulator, model, body):
    answer = customer("novita").post(f"/v3/async/{model}", json=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "reason", "message", "metadata"}
    assert emulator.purchases == []


VTRIX_BAD = {
    "flat": {"model": "minimax_t2v_01", "prompt": "a fox"},
    "MiniMax's name": {"model": "T2V-01", "input": [{"params": {"prompt": "a fox"}}]},
    "two inputs": {"model": "minimax_t2v_01", "input": [{"params": {"prompt": "a fox"}}] * 2},
    "something beside params": {"model": "minimax_t2v_01", "input": [{"params": {"prompt": "a fox"}, "x": 1}]},
    "no image": {"model": "minimax_i2v_01_live", "input": [{"params": {"prompt": "a fox"}}]},
    "ten seconds": {"model": "minimax_t2v_01", "input": [{"params": {"prompt": "a fox", "duration": 10}}]},
}


@pytest.mark.parametrize("body", VTRIX_BAD.values(), ids=VTRIX_BAD.keys())
def test_vtrix_refuses_a_body_that_its_client_would_not_send(customer, emulator, body):
    answer = customer("vtrix").order(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "010006099"
    assert emulator.purchases == []


def test_vtrix_takes_a_flat_body_if_the_settings_say_so(customer, emulator):
    emulator.configure(vtrix_flat_body=True)
    assert customer("vtrix").order({"model": "minimax_t2v_01", "prompt": "a fox"}).json()["id"]
