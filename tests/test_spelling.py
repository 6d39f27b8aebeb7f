"""A name that is nearly right is asked about before paying, and a name that may be new is not."""

from __future__ import annotations

import random

import pytest
from airflow.sdk import DAG

from airflow_provider_minimax.api import catalogue
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.spelling import meant_by
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

NAMES = list(catalogue.models())
GATEWAYS = sorted({name for platform in PLATFORMS.values() for name in platform.model_names.values()})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("minimax-hailuo-02", "MiniMax-Hailuo-02"),
        ("MINIMAX-HAILUO-02", "MiniMax-Hailuo-02"),
        ("MiniMax_Hailuo_02", "MiniMax-Hailuo-02"),
        ("MiniMax Hailuo 02", "MiniMax-Hailuo-02"),
        ("MiniMax-Hailou-02", "MiniMax-Hailuo-02"),
        ("MiniMaxHailuo-2.3", "MiniMax-Hailuo-2.3"),
        ("MiniMax-Hailuo-23-Fast", "MiniMax-Hailuo-2.3-Fast"),
        ("MiniMax-Hailuo-2.3-Fst", "MiniMax-Hailuo-2.3-Fast"),
        ("Minimax-H3", "MiniMax-H3"),
        ("MinMax-H3", "MiniMax-H3"),
        ("t2v-01", "T2V-01"),
        ("T2V-01-Directer", "T2V-01-Director"),
    ],
)
def test_a_model_one_typo_away_is_asked_about(written, meant):
    assert meant_by(written, NAMES) == meant


@pytest.mark.parametrize(
    "name",
    [*NAMES, "MiniMax-Hailuo-03", "MiniMax-Hailuo-2.4", "MiniMax-H4", "MiniMax-H3-Turbo", "T2V-02", "veo-3", "", "é"],
)
def test_a_name_that_is_right_or_new_is_not(name):
    assert meant_by(name, NAMES) is None


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateways_own_name_passes_when_the_dag_is_parsed(name):
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.operators.literals import check_literals

    assert check_literals({"model": name, "prompt": "a boat"}, lambda: VideoRequest) is None, (
        "it raises what it refuses"
    )


def test_a_letter_less_or_more_or_another_is_found_in_every_name():
    dice = random.Random(3)
    for name in NAMES:
        letters = [place for place, letter in enumerate(name) if letter.isalpha()]
        for _ in range(20 if len(name) > 9 else 0):
            at = dice.choice(letters)
            for typo in (name[:at] + name[at + 1 :], name[:at] + "q" + name[at:], name[:at] + "q" + name[at + 1 :]):
                assert meant_by(typo, NAMES) is not None, typo


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"model": "MiniMax-Hailou-02"},
            r"'MiniMax-Hailou-02': is not known \(did you mean 'MiniMax-Hailuo-02'\?\)",
        ),
        ({"resolution": "1080"}, r"resolution='1080': .* \(did you mean '1080P'\?\)"),
        ({"resolution": "768 p"}, r"did you mean '768P'\?\)"),
        ({"model": "MiniMax-H3", "resolution": "768P", "duration": 5, "ratio": "16x9"}, r"did you mean '16:9'\?\)"),
        ({"model": "MiniMax-H3", "resolution": "768P", "duration": 5, "ratio": "9/16"}, r"did you mean '9:16'\?\)"),
    ],
)
def test_it_is_asked_when_the_dag_is_parsed_and_before_buying(fields, said, connect, minimax_emulator):
    connect()
    content = {"model": "MiniMax-Hailuo-02", "prompt": "a boat"} | fields
    with DAG("d"), pytest.raises(MinimaxRequestError, match=f"{said}.*Nothing was bought.*validate=False"):
        MinimaxVideoGenerationOperator(task_id="clip", **content)
    with pytest.raises(MinimaxRequestError, match=said):
        MinimaxHook().submit(VideoRequest.of(content))
    assert minimax_emulator.purchases == []


def test_so_it_is_of_what_h3_has_besides():
    with DAG("d"):
        with pytest.raises(MinimaxRequestError, match="did you mean 'MiniMax-H3'"):
            MinimaxVideoRegenerationOperator(task_id="a", source_task_id="1", model="Minimax-H3")
        with pytest.raises(MinimaxRequestError, match="did you mean 'MiniMax-H3'"):
            MinimaxPromptRewriteOperator(task_id="b", prompt="a boat", duration=5, ratio="16:9", model="MiniMax_H3")


def test_a_gateways_own_name_is_one_typo_away_at_another_platform(connect, minimax_emulator):
    connect()
    with pytest.raises(MinimaxRequestError, match=r"did you mean 'MiniMax-Hailuo-02'\?\)"):
        MinimaxHook().submit(VideoRequest.of({"model": "minimax-hailuo-02", "prompt": "a boat"}))
