"""The operator dies at every single step, once, twice and three times in a row, in every way of using it."""

from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxModerationError,
    MinimaxRateLimitError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.purchases.stores import SidecarStore
from tests.fakes import HAS_STORE
from tests.receipts.dying import Death, is_final, new_world, stopped_and_said_so

__all__ = ["new_world"]

WAYS = {
    "deferred": {"wait_for_completion": True, "deferrable": True},
    "waiting": {"wait_for_completion": True, "deferrable": False},
    "submitting only": {"wait_for_completion": False},
}
HOMES = {"sidecar": {}}
if HAS_STORE:
    HOMES |= {"sidecar and store": {"has_store": True}, "store": {"has_store": True, "output": False}}
IN_TURN = WAYS["deferred"] | {"rate_limit_per_minute": 20}


BY_HOOK = {f"by hook, {home}": homes | {"by_hook": True} for home, homes in HOMES.items() if home != "store"}


@pytest.fixture(params=[*(f"{way}, {home}" for way, home in product(WAYS, HOMES)), "in turn, sidecar", *BY_HOOK])
def options(request):
    if request.param == "in turn, sidecar":
        return IN_TURN
    if request.param in BY_HOOK:
        return {"wait_for_completion": True} | BY_HOOK[request.param]
    way, home = request.param.split(", ")
    return WAYS[way] | HOMES[home]


def steps_of(world) -> int:
    assert not isinstance(world.run_try(), BaseException)
    return world.steps


def test_without_a_death_one_clip_is_bought_and_delivered(new_world, options):
    world = new_world(**options)
    assert steps_of(world) > 5
    assert world.purchases == ["T1"]
    assert world.delivered == ("T1" if options["wait_for_completion"] and options.get("output", True) else None)


def check(world, end, may_be_unknown) -> None:
    if may_be_unknown:
        assert stopped_and_said_so(end)
        assert len(world.purchases) <= 1
    else:
        assert not isinstance(end, BaseException), end
        assert world.purchases == ["T1"]
        if world.options.get("wait_for_completion") and "output_path" in world.options:
            assert world.delivered == end["task_id"] == "T1"
            assert not world.output.with_name("clip.mp4.receipt.json").read_text().count('"intent"')


def test_wherever_it_dies_nothing_is_bought_twice_and_nothing_forgotten(new_world, options):
    """Each step once: the next try delivers, or stops because nobody can know, and says so."""
    for death in range(1, steps_of(new_world(**options)) + 1):
        world = new_world(**options)
        assert isinstance(world.run_try(death), Death)
        unknown = not world.knows
        check(world, world.run(), unknown)


def check_after(world, deaths) -> None:
    unknown = False
    for death in deaths:
        end = world.run_try(death)
        if not isinstance(end, Death):
            break
        unknown = unknown or not world.knows
    else:
        end = world.run()
    check(world, end, unknown)


@pytest.mark.slow
def test_two_deaths_buy_one_clip(new_world, options):
    steps = range(1, steps_of(new_world(**options)) + 1)
    for deaths in product(steps, repeat=2):
        check_after(new_world(**options), deaths)


@pytest.mark.slow
def test_three_deaths_buy_one_clip(new_world, options):
    """All triples of which the first two are not both late, every third one of them."""
    count = steps_of(new_world(**options))
    for first, second in product(range(1, count + 1), repeat=2):
        for third in range(1 + (first + second) % 3, count + 1, 3) if first + second < count else ():
            check_after(new_world(**options), (first, second, third))


def test_an_author_who_dares_buys_again_only_where_nobody_can_know(new_world, options):
    for death in range(1, steps_of(new_world(**options)) + 1):
        world = new_world(on_orphaned_intent="resubmit", **options)
        assert isinstance(world.run_try(death), Death)
        unknown, before = not world.knows, len(world.purchases)
        end = world.run()
        assert not isinstance(end, BaseException)
        assert len(world.purchases) == (before + 1 if unknown else 1)


def check_found_out(world, end) -> None:
    assert not isinstance(end, BaseException), end
    assert world.purchases == ["T1"]
    if world.options.get("wait_for_completion") and "output_path" in world.options:
        assert world.delivered == end["task_id"] == "T1"


ADOPTING = {"model": "MiniMax-H3", "on_orphaned_intent": "adopt"}


def test_an_author_who_lets_the_list_decide_never_pays_twice_and_never_has_to_check(new_world, options):
    """Each step once, and each step of finding out: if the list shows everything, nothing stays in doubt."""
    for death in range(1, steps_of(new_world(**options, **ADOPTING)) + 1):
        world = new_world(**options, **ADOPTING)
        assert isinstance(world.run_try(death), Death)
        check_found_out(world, world.run())


@pytest.mark.slow
def test_so_it_is_if_it_dies_again_while_it_finds_out(new_world, options):
    for first, second in product(range(1, steps_of(new_world(**options, **ADOPTING)) + 1), range(1, 12)):
        world = new_world(**options, **ADOPTING)
        end = world.run_try(first)
        assert isinstance(end, Death)
        end = world.run_try(second)
        check_found_out(world, world.run() if isinstance(end, Death) else end)


@pytest.mark.parametrize("sold", [True, False])
def test_a_lost_answer_is_found_out_about_in_the_same_try(new_world, options, sold):
    world = new_world(**options, **ADOPTING)
    world.lost = [sold]
    check_found_out(world, world.run_try())


def test_a_platform_that_never_answers_and_sells_nothing_is_left_to_the_next_try(new_world, options):
    """Twice in one try, then a failure that a retry may help: nothing was bought, and nothing is in its way."""
    world = new_world(**options, **ADOPTING)
    world.lost = [False, False]
    end = world.run_try()
    assert isinstance(end, MinimaxUnavailableError)
    assert not is_final(end)
    assert "Nothing was bought." in str(end)
    assert world.knows
    check_found_out(world, world.run_try())


@pytest.mark.parametrize(
    ("on_clear", "options"),
    [
        pytest.param(on_clear, WAYS[way] | HOMES[home], id=f"{on_clear}, {way}, {home}")
        for on_clear, way, home in product(("resubmit", "reuse"), WAYS, HOMES)
        # The operator says so when the DAG is parsed.
        if on_clear == "resubmit" or home != "store"
    ],
)
def test_a_clear_after_a_death_buys_as_the_author_chose(new_world, on_clear, options):
    for death in range(1, steps_of(new_world(**options)) + 1):
        world = new_world(on_clear=on_clear, **options)
        assert isinstance(world.run_try(death), Death)
        unknown, before, was_there = not world.knows, len(world.purchases), world.output.exists()
        world.max_tries += 4
        end = world.run()
        if on_clear == "reuse" and unknown:
            assert stopped_and_said_so(end)
            assert len(world.purchases) == before
            continue
        assert not isinstance(end, BaseException)
        buys_again = on_clear == "resubmit" and not was_there
        assert len(world.purchases) == (before + 1 if buys_again else 1)


def test_a_refusal_leaves_the_way_free_wherever_it_dies_afterwards(new_world, options):
    world = new_world(**options)
    world.refusals = [MinimaxUnreachableError("no connection")]
    assert isinstance(world.run_try(), MinimaxUnreachableError)
    assert world.knows
    check(world, world.run(), False)


def test_one_that_was_refused_for_being_one_too_many_dies_at_any_step_and_still_buys_once(new_world, options):
    """A deferrable task asks for another slot in the same try; one that is not is retried."""

    def refused_world():
        world = new_world(**options)
        world.refusals = [MinimaxRateLimitError("too many requests", billing=NOTHING_BOUGHT)]
        return world

    world = refused_world()
    assert isinstance(world.run_try(), MinimaxRateLimitError) == (not options.get("deferrable"))
    for death in range(1, world.steps + 1):
        world = refused_world()
        world.run_try(death)
        unknown = not world.knows
        check(world, world.run(), unknown)


def test_a_task_waits_for_a_slot_once_for_each_purchase_and_refusal(new_world):
    world = new_world(**IN_TURN)
    world.run_try()
    assert world.turns == 1
    world.run_try()
    assert world.turns == 1
    world = new_world(**IN_TURN)
    world.refusals = [MinimaxRateLimitError("too many requests", billing=NOTHING_BOUGHT)] * 3
    world.run_try()
    assert world.turns == 4


def test_a_lost_answer_stops_at_once_and_at_every_retry(new_world, options):
    world = new_world(**options)
    world.refusals = [MinimaxSubmissionUnknownError("no answer", billing="It may have been bought.")]
    assert is_final(world.run_try())
    assert stopped_and_said_so(world.run())
    assert world.purchases == []


def test_a_submission_that_breaks_in_a_way_nobody_thought_of_counts_as_unknown(new_world, options):
    world = new_world(**options)
    world.refusals = [RuntimeError("what is https://files.example/a.png?Signature=SECRET?")]
    end = world.run_try()
    assert is_final(end)
    assert "SECRET" not in str(end)
    assert stopped_and_said_so(world.run())


@pytest.mark.parametrize("way", ["deferred", "waiting"])
def test_a_refused_clip_is_reported_again_and_not_bought_again(new_world, way):
    for death in range(1, 40):
        world = new_world(**WAYS[way])
        world.code = "1027"
        end = world.run_try(death)
        if not isinstance(end, Death):
            break
        if not world.knows:
            continue
        assert isinstance(world.run(), MinimaxModerationError)
        assert isinstance(world.run(), MinimaxModerationError)
        assert world.purchases == ["T1"]


@pytest.mark.parametrize("way", ["deferred", "waiting"])
def test_a_failure_that_may_pass_is_bought_again_as_often_as_allowed(new_world, way):
    world = new_world(max_submissions=2, **WAYS[way])
    world.code = "1033"
    assert not is_final(world.run_try())
    assert is_final(world.run_try())
    assert world.purchases == ["T1", "T2"]
    assert is_final(world.run_try())
    assert world.purchases == ["T1", "T2"]


def test_another_run_of_the_same_request_buys_nothing(new_world):
    world = new_world(**WAYS["deferred"])
    first = world.run_try()
    world.tries = 0
    assert world.run_try() == first
    assert world.purchases == ["T1"]


def test_overwrite_buys_a_clip_for_each_run_and_not_for_each_try(new_world):
    count = steps_of(new_world(overwrite=True, **WAYS["deferred"]))
    for death in range(1, count + 1):
        world = new_world(overwrite=True, **WAYS["deferred"])
        world.run_try()
        world.max_tries += 4
        assert isinstance(world.run_try(death), Death)
        if not world.knows:
            continue
        end = world.run()
        assert world.purchases == ["T1", "T2"]
        assert world.delivered == end["task_id"] == "T2"


@pytest.mark.parametrize("shares_output", [True, False])
def test_a_download_task_may_die_at_every_step(new_world, shares_output):
    """Twice in a row; the third try delivers and completes the receipt, no matter which one began it."""
    options = WAYS["submitting only"] | {"output": shares_output}
    world = new_world(**options)
    world.run_try()
    world.download()
    for deaths in product(range(1, world.steps + 1), repeat=2):
        world = new_world(**options)
        world.run_try()
        for death in deaths:
            world.download(death)
        assert world.download()["task_id"] == "T1"
        assert world.delivered == "T1"
        receipt = SidecarStore(str(world.output)).read()
        assert (receipt.phase, receipt.minimax_task_id) == ("delivered", "T1")
        assert (receipt.fingerprint is not None) == shares_output
        assert world.purchases == ["T1"]
