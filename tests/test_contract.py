"""
Two readings of one contract: whatever our rules let through without a warning, the emulator of the platform sells.

It is as strict as the platform's page, so it refuses what that leaves out, which we send with a warning.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest

from airflow_provider_minimax.api import catalogue
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import Mode, VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.hooks.minimax import MinimaxHook

FRAME = "https://files.example/frame.jpg"
IMAGES = {
    Mode.TEXT: {},
    Mode.FIRST_FRAME: {"first_frame_image": FRAME},
    Mode.FIRST_AND_LAST_FRAME: {"first_frame_image": FRAME, "last_frame_image": FRAME},
    Mode.SUBJECT_REFERENCE: {"subject_reference": FRAME},
    Mode.REFERENCE: {"reference_images": [FRAME], "reference_audios": ["https://files.example/sound.mp3"]},
}
SELL_H3 = {"minimax", "novita", "ai302"}
# What the options are tried with; any other is a switch.
VALUES = {"callback_url": "https://me.example/hook", "extra": {"prompt_expansion_mode": "quality"}}


def everything() -> list[dict[str, object]]:
    """Return every model in every mode and size, with and without each option; of lengths, the ends."""
    found = []
    for model in catalogue.models().values():
        for mode, limits in model.modes.items():
            base = {"model": model.name, "prompt": "a cat", **IMAGES[mode]}
            sizes = [
                {"resolution": resolution, "duration": length}
                for resolution, lengths in limits.resolutions.items()
                for length in sorted({lengths[0], lengths[-1]})
            ]
            if limits.required:
                base |= sizes[0] | ({"ratio": limits.ratios[0]} if "ratio" in limits.required else {})
            found.append(base)
            found += [{**base, **size} for size in sizes]
            found += [{**base, "ratio": ratio} for ratio in limits.ratios]
            found += [{**base, option: VALUES.get(option, False)} for option in sorted(limits.options - {"ratio"})]
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_our_rules_let_through_is_sold_and_nothing_else_is_sent(platform, connect, minimax_emulator):
    minimax_emulator.configure(callbacks="ignored")
    sold = refused = 0
    with closing(MinimaxHook(connect(platform))) as hook:
        for fields in everything():
            before = len(minimax_emulator.requests)
            request = VideoRequest.of(fields)
            is_doubted = bool(PLATFORMS[platform].warnings(request))
            try:
                hook.submit(request)
            except MinimaxRequestError as error:
                refused += 1
                by_us = is_doubted or (error.http_status is None and len(minimax_emulator.requests) == before)
            else:
                sold += 1
                by_us = True
            assert by_us, f"{platform} refused what we let through: {fields}"
    assert len(minimax_emulator.purchases) == sold
    assert sold
    assert platform != "minimax" or not refused
    assert ("v2" in {purchase["api"] for purchase in minimax_emulator.purchases}) is (platform in SELL_H3)


REPORTS_TIMES = {"chainhub", "vtrix", "novita"}
REPORTS_ITS_BILL = {"vtrix"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_times_and_the_bill_that_a_platform_reports_are_read(platform, connect, minimax_emulator):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    before = datetime.now(UTC).replace(microsecond=0)
    with closing(MinimaxHook(connect(platform))) as hook:
        sold = VideoRequest.of({"model": "I2V-01", "prompt": "a cat", "first_frame_image": FRAME})
        task = hook.get_task(hook.submit(sold))
        file = hook.get_file(task)
    reports = platform in REPORTS_TIMES
    assert (task.created_at is not None, task.finished_at is not None) == (reports, reports)
    assert (task.billed is not None) == (platform in REPORTS_ITS_BILL)
    times = [before, task.created_at, task.finished_at, file.created_at, datetime.now(UTC)]
    known = [time for time in times if time is not None]
    assert known == sorted(known)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_list_price_is_that_of_minimax_itself_and_of_no_gateway(platform, connect):
    with closing(MinimaxHook(connect(platform))) as hook:
        price = hook.list_price(VideoRequest.of({"model": "MiniMax-Hailuo-02", "prompt": "a cat"}))
    assert (price and str(price.amount)) == ("0.28" if platform == "minimax" else None)


@pytest.mark.parametrize("platform", ["vtrix", "novita"])
def test_a_platforms_own_model_names_are_sold_too(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        for (_, mode), own in PLATFORMS[platform].model_names.items():
            hook.submit(VideoRequest.of({"model": own, "prompt": "a cat", **IMAGES[mode]}))
    assert len(minimax_emulator.purchases) == len(PLATFORMS[platform].model_names)


def test_what_our_rules_refuse_the_emulator_refuses_as_well(connect, minimax_emulator):
    """The other way round, on MiniMax itself: our catalogue does not refuse what the platform would sell."""
    wrong = [
        {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "resolution": "1080P", "duration": 10},
        {"model": "MiniMax-Hailuo-02", "prompt": "p", "resolution": "512P"},
        {"model": "T2V-01", "prompt": "p", "first_frame_image": FRAME},
        {"model": "I2V-01", "prompt": "p"},
        {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "first_frame_image": FRAME, "last_frame_image": FRAME},
        {"model": "S2V-01", "subject_reference": FRAME, "duration": 6},
        {"model": "T2V-01", "prompt": "p", "fast_pretreatment": True},
        {"model": "MiniMax-Hailuo-2.3", "prompt": "x" * 2001},
    ]
    with closing(MinimaxHook(connect())) as hook:
        for fields in wrong:
            with pytest.raises(MinimaxRequestError, match="code 2013"):
                hook.submit(VideoRequest.of(fields), validate=False)
    assert minimax_emulator.purchases == []
