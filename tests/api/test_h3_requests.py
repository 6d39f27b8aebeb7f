"""What MiniMax-H3 has besides clips: checked by the rules, on the wire, and read back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_minimax.api import catalogue, rules
from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest, RegenerationRequest
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.purchases.fingerprint import describe_request, fingerprint_of
from tests.samples import reply

V2 = PLATFORMS["minimax"].of_version("v2")
BY_ID = {"model": "MiniMax-H3", "source_task_id": "424010985738629"}
BY_CLIP = {"model": "MiniMax-H3", "base_video": "https://files.example/768p.mp4", "prompt": "a paper boat"}
REWRITING = {"model": "MiniMax-H3", "prompt": "a paper boat", "duration": 5, "ratio": "16:9"}
IMAGE = "https://files.example/a.png"


def problems(request, **options) -> list[str]:
    return rules.validate(request, **options).problems


# -- the rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        BY_ID,
        BY_ID | {"aigc_watermark": "true", "callback_url": "https://example.com", "resolution": "2k"},
        BY_ID | {"source_task_id": 424010985738629},
        BY_CLIP,
        BY_CLIP | {"prompt": "x" * 40_000},
        BY_CLIP | {"first_frame_image": IMAGE, "last_frame_image": IMAGE},
        BY_CLIP | {"reference_images": [IMAGE] * 9, "reference_videos": ["https://files.example/a.mp4"] * 3},
        BY_CLIP | {"model": "MiniMax-H4"},
    ],
    ids=str,
)
def test_a_clip_can_be_re_rendered_from_its_task_or_from_itself_and_all_it_was_made_from(fields):
    assert problems(RegenerationRequest.of(fields)) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "MiniMax-H3"}, "source_task_id: missing; give the task that made the clip, or the clip itself"),
        (BY_ID | BY_CLIP, "source_task_id and base_video: exclude each other; keep one of them"),
        (BY_ID | {"prompt": "a boat"}, "prompt: goes with base_video; the platform knows it of source_task_id"),
        (BY_ID | {"reference_images": [IMAGE]}, "reference_images: goes with base_video"),
        (BY_CLIP | {"prompt": None}, "prompt: missing; give all that the clip was made of, exactly as it was sent"),
        (BY_CLIP | {"prompt": "x" * 40_001}, "prompt: has 40001 characters, MiniMax-H3 takes 40000"),
        (BY_CLIP | {"first_frame_image": IMAGE, "reference_images": [IMAGE]}, "exclude each other; keep one kind"),
        (BY_CLIP | {"reference_images": [IMAGE] * 10}, "reference_images: has 10 of them; the API takes 9"),
        (BY_ID | {"resolution": "768P"}, "resolution='768P': must be 2K"),
        (BY_ID | {"model": "MiniMax-H3-Max"}, "model='MiniMax-H3-Max': has no regeneration; use MiniMax-H3"),
        (BY_CLIP | {"callback_url": "example.com"}, "callback_url: must be an http(s) URL"),
        (BY_ID | {"callback_url": "example.com"}, "callback_url: must be an http(s) URL"),
    ],
)
def test_a_clip_that_cannot_be_re_rendered_is_refused_before_anything_is_paid(fields, said):
    (problem,) = problems(RegenerationRequest.of(fields))
    assert said in problem


@pytest.mark.parametrize(
    "fields",
    [
        REWRITING,
        REWRITING | {"prompt": "a boat", "ratio": None, "first_frame_image": IMAGE},
        REWRITING | {"ratio": "Adaptive", "reference_images": IMAGE, "duration": "15"},
    ],
    ids=str,
)
def test_a_prompt_is_rewritten_for_any_clip_that_the_model_makes(fields):
    assert problems(PromptRewriteRequest.of(fields)) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (REWRITING | {"prompt": None}, "prompt: missing; say what the clip shall show"),
        (REWRITING | {"prompt": "x" * 7001}, "prompt: has 7001 characters, MiniMax-H3 takes 7000"),
        (REWRITING | {"duration": None}, "duration: missing; MiniMax-H3 needs it in text mode: give 4 to 15 seconds"),
        (REWRITING | {"duration": 3}, "duration=3: MiniMax-H3 in text mode takes 4 to 15 seconds"),
        (REWRITING | {"ratio": None}, "ratio: missing"),
        (REWRITING | {"ratio": "adaptive"}, "ratio='adaptive': MiniMax-H3 in text mode takes 21:9"),
        (REWRITING | {"model": "MiniMax-Hailuo-2.3"}, "model='MiniMax-Hailuo-2.3': has no h3_context_ir"),
    ],
)
def test_a_prompt_that_cannot_be_rewritten_is_refused_before_anything_is_paid(fields, said):
    (problem,) = problems(PromptRewriteRequest.of(fields))
    assert said in problem


def test_what_is_known_only_when_rendered_is_left_for_then():
    assert problems(RegenerationRequest.of({"model": "MiniMax-H3"}), unresolved=frozenset({"source_task_id"})) == []
    assert (
        problems(RegenerationRequest.of({"model": "MiniMax-H3"}), unresolved=frozenset({"base_video", "prompt"})) == []
    )
    rewriting = PromptRewriteRequest.of({"model": "MiniMax-H3", "duration": 5})
    assert problems(rewriting, unresolved=frozenset({"prompt", "ratio"})) == []
    assert (
        problems(RegenerationRequest.of({"model": "known when rendered"} | BY_ID), unresolved=frozenset({"model"}))
        == []
    )


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (RegenerationRequest, BY_ID | {"duration": 5}, "duration"),
        (RegenerationRequest, BY_ID | {"source_task_id": " "}, "source_task_id=' ': must not be empty"),
        (
            RegenerationRequest,
            BY_ID | {"source_task_id": True},
            "source_task_id=True: must be a text, and not of type bool",
        ),
        (PromptRewriteRequest, REWRITING | {"resolution": "2K"}, "resolution"),
    ],
)
def test_a_field_that_a_request_does_not_have_is_named(kind, fields, said):
    with pytest.raises(MinimaxRequestError) as raised:
        kind.of(fields)
    assert said in str(raised.value)


def test_the_models_that_have_something_besides_clips_are_in_the_catalogue():
    also = {name: model.other_task_types for name, model in catalogue.models().items() if model.other_task_types}
    assert also == {"MiniMax-H3": {"regeneration", "h3_context_ir"}}


# -- the prices --------------------------------------------------------------------------------------------------------


def test_a_re_rendered_clip_has_a_list_price_once_its_seconds_are_known():
    request = RegenerationRequest.of(BY_ID)
    assert rules.list_price(request) is None
    price = rules.list_price(request, seconds=5.0)
    assert (price.amount, price.currency) == (Decimal("0.25"), "USD")
    assert rules.list_price(request, currency="cny", seconds=5) is None
    references = RegenerationRequest.of(BY_CLIP | {"reference_images": [IMAGE]})
    assert rules.list_price(references, seconds=5) is None


def test_what_a_rewriting_costs_is_not_known_before():
    assert rules.list_price(PromptRewriteRequest.of(REWRITING)) is None


def test_a_clip_lists_as_before():
    clip = VideoRequest.of(REWRITING | {"resolution": "2K"})
    assert rules.list_price(clip) == catalogue.list_price(clip)


# -- the wire ----------------------------------------------------------------------------------------------------------


def test_a_clip_is_re_rendered_by_the_id_of_its_task():
    request = V2.submission(RegenerationRequest.of(BY_ID | {"aigc_watermark": False}))
    assert (request.method, request.path, request.buys) == ("POST", "/v2/video_regeneration", True)
    assert request.body == BY_ID | {"resolution": "2K", "aigc_watermark": False}


def test_a_clip_is_re_rendered_from_itself_and_all_it_was_made_from():
    fields = BY_CLIP | {"reference_images": [IMAGE], "reference_audios": ["mm_file://1"], "extra_body": {"seed": 1}}
    body = V2.submission(RegenerationRequest.of(fields)).body
    assert body == {
        "model": "MiniMax-H3",
        "content": [
            {"type": "text", "text": "a paper boat"},
            {"type": "image_url", "image_url": {"url": IMAGE}, "role": "reference_image"},
            {"type": "audio_url", "audio_url": {"url": "mm_file://1"}, "role": "reference_audio"},
            {"type": "video_url", "video_url": {"url": "https://files.example/768p.mp4"}, "role": "base_video"},
        ],
        "resolution": "2K",
        "seed": 1,
    }


def test_a_prompt_is_rewritten_with_the_pictures_of_its_clip():
    request = V2.submission(PromptRewriteRequest.of(REWRITING | {"first_frame_image": IMAGE}))
    assert (request.path, request.buys) == ("/v2/h3_context_ir", True)
    assert request.body == {
        "model": "MiniMax-H3",
        "content": [
            {"type": "text", "text": "a paper boat"},
            {"type": "image_url", "image_url": {"url": IMAGE}, "role": "first_frame"},
        ],
        "duration": 5,
        "ratio": "16:9",
    }


@pytest.mark.parametrize("request_", [RegenerationRequest.of(BY_ID), PromptRewriteRequest.of(REWRITING)])
@pytest.mark.parametrize("platform", [name for name in PLATFORMS if name != "minimax"])
def test_no_gateway_is_known_to_have_either(platform, request_):
    with pytest.raises(MinimaxRequestError, match="is not known to have it; use MiniMax itself"):
        PLATFORMS[platform].for_request(request_)


def test_a_model_of_the_first_version_has_neither():
    request = RegenerationRequest.of(BY_ID | {"model": "MiniMax-Hailuo-02"})
    with pytest.raises(MinimaxRequestError, match="model='MiniMax-Hailuo-02': has no regeneration; use MiniMax-H3"):
        PLATFORMS["minimax"].for_request(request)


def test_a_rewritten_prompt_is_read_as_it_is_and_kept_out_of_events_and_logs():
    task = V2.read_task(reply("minimax_v2", "query_rewritten"), "T")
    prompt = (
        "integrated_multimodal_description: [Shot 1] A paper boat.\noverall_soundscape: Rain.\nnon_diegetic_music: N/A"
    )
    assert (task.prompt, task.is_rewriting, task.has_output, task.file) == (prompt, True, True, None)
    assert task.as_result()["prompt"] == prompt
    assert "paper boat" not in f"{task!r} {task.as_event()}"
    assert type(task).from_event(task.as_event()).is_rewriting


def test_a_rewriting_without_its_prompt_has_no_output_yet():
    assert not V2.read_task(reply("minimax_v2", "query_rewritten_without_prompt"), "T").has_output


def test_a_re_rendered_clip_is_one_like_any_other():
    task = V2.read_task(reply("minimax_v2", "query_regenerated"), "T")
    assert (task.resolution, task.duration, task.is_rewriting) == ("2K", 5, False)
    assert task.file.url.startswith("https://files.example/h3-2k.mp4")
    assert "prompt" not in task.as_result()


# -- the receipt -------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_kind_of_request_it_is_of():
    assert describe_request(RegenerationRequest.of(BY_ID)) == BY_ID | {"task_type": "regeneration", "resolution": "2K"}
    assert "task_type" not in describe_request(VideoRequest.of(REWRITING))


def test_a_clip_and_the_rewriting_of_its_prompt_are_two_requests():
    account = {"platform": "minimax"}
    assert fingerprint_of(VideoRequest.of(REWRITING), account) != fingerprint_of(
        PromptRewriteRequest.of(REWRITING), account
    )
