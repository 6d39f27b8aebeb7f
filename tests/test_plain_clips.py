"""What passes as plainly right when a DAG is parsed is what the full check of a request lets pass too."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, product

import pytest

from airflow_provider_minimax.api.plain_clip import PlainClip
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.operators.literals import are_plainly_right, check_literals, split

_TEXTS = ("a boat", "", " ", "\n", "\u3000", "\u200b", "\ud800", "None", "a\tboat", "ein Boot, größer", "x" * 8000)
_PICTURES = (None, "https://example.com/a.png", "{{ params.picture }}", "", "\u200b", "/a.png ", 7)
_VALUES = {
    "model": ("MiniMax-Hailuo-2.3", "MiniMax-H3", "S2V-01", " MiniMax-Hailuo-02", "unknown", "{{ params.model }}", 1.5),
    "prompt": (None, *_TEXTS, 6, 1.5, True, "{{ params.prompt }}", ["a boat"]),
    "first_frame_image": _PICTURES,
    "last_frame_image": _PICTURES,
    "subject_reference": (*_PICTURES, [{"type": "character", "image": ["https://example.com/a.png"]}], ["x"]),
    "reference_images": (None, [], ["https://example.com/a.png"], "x", [7]),
    "duration": (None, 6, 10, 0, -1, 6.0, 6.5, "6", "six", True, "{{ params.duration }}"),
    "resolution": (None, "768P", "768p", "1080P", "9000P", " ", 768, True),
    "ratio": (None, "16:9", "ADAPTIVE", "1:7", 1.5),
    "prompt_optimizer": (None, True, "true", "perhaps", 1, 2),
    "fast_pretreatment": (None, False, "no"),
    "callback_url": (None, "https://example.com/", "example.com"),
    "extra": (None, {}, {"prompt_expansion_mode": "quality"}, {"no": "such"}, "x"),
    "extra_body": (None, {"a": 1}, "x"),
    "no_such_field": (None, 1),
}


def is_right(fields):
    try:
        check_literals(fields, lambda: VideoRequest)
    except MinimaxRequestError:
        return False
    return True


def _requests():
    for model, (name, other) in product(("MiniMax-Hailuo-2.3", "MiniMax-H3"), combinations(_VALUES, 2)):
        for value, second in product(_VALUES[name], _VALUES[other]):
            yield {"model": model, "prompt": "a boat", name: value, other: second}


def test_nothing_passes_as_plainly_right_that_the_full_check_refuses():
    wrongly_passed, passed = [], 0
    for fields in _requests():
        if are_plainly_right(*split(fields)):
            passed += 1
            if not is_right(fields):
                wrongly_passed.append(fields)
    assert wrongly_passed == []
    assert passed > 100


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "MiniMax-Hailuo-2.3", "prompt": "A boat\nat sea, größer"},
        {"model": "MiniMax-Hailuo-2.3", "prompt": "{{ params.prompt }}", "resolution": "1080P", "duration": 6},
        {"model": "MiniMax-Hailuo-02", "first_frame_image": "s3://bucket/a.png", "prompt_optimizer": False},
        {"model": "MiniMax-H3", "prompt": "a boat", "resolution": "768P", "duration": 5, "ratio": "16:9"},
    ],
)
def test_ordinary_clips_are_plainly_right(fields):
    assert are_plainly_right(*split(fields))


def test_an_ordinary_operator_is_checked_without_reading_a_request():
    code = (
        "import sys; from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator\n"
        "MinimaxVideoGenerationOperator(task_id='a', model='MiniMax-Hailuo-2.3', prompt='a boat')\n"
        "print(*(name for name in sys.modules if name.startswith('airflow_provider_minimax.api.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "airflow_provider_minimax.api.clip_rules" in found
    assert "airflow_provider_minimax.api.request" not in found


def test_the_rules_find_every_field_of_a_request_on_a_plain_clip():
    assert all(hasattr(PlainClip, name) for name in VideoRequest.model_fields.keys() - {"extra_body"})
    assert "extra_body" not in vars(PlainClip), "no rule is about it"
