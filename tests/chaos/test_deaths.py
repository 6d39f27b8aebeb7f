"""Whatever point a task's process dies at, alone or with its whole worker, its clip is bought once, or not again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.lab import Errand

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


def dies(point: str, dag: str = "deferring") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a test's dag run die at a point in its first life: once only the process, once its worker too."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        both = pytest.mark.parametrize("victim", ["task", "worker"])
        return pytest.mark.errand(dag, dies=[point])(both(test))

    return mark


def delivers_once_after(errand: Errand, point: str) -> None:
    errand.await_end()
    assert errand.deaths == [f"generate: {point}"]
    assert errand.why_not_delivered_once() is None


def stops_in_doubt_after(errand: Errand, point: str) -> None:
    errand.await_end()
    assert errand.deaths == [f"generate: {point}"]
    assert errand.why_not_stopped_in_doubt() is None


@dies("start")
def test_a_death_before_anything_was_done_costs_nothing(errand):
    """The next try finds nothing written down, and buys."""
    delivers_once_after(errand, "start")


@dies("before intent")
def test_a_death_before_the_intent_costs_nothing(errand):
    """All was checked and nothing written: the next try buys."""
    delivers_once_after(errand, "before intent")


@dies("intent half written")
def test_a_death_between_the_two_places_of_an_intent_buys_nothing_more(errand):
    """The intent is next to the output and not yet in Airflow's store: it counts."""
    stops_in_doubt_after(errand, "intent half written")
    assert errand.purchases == []


@dies("intent written")
def test_a_death_between_intent_and_request_buys_nothing_more(errand):
    """Nobody can know that the request never left, so the next try stops and says so."""
    stops_in_doubt_after(errand, "intent written")
    assert errand.purchases == []


@dies("answer awaited")
def test_a_death_before_the_answer_buys_nothing_more(errand):
    """The platform sold a clip and the process died while its answer was on the way."""
    stops_in_doubt_after(errand, "answer awaited")
    assert len(errand.purchases) == 1


@dies("answer received")
def test_a_death_between_answer_and_receipt_buys_nothing_more(errand):
    """The id was in the process's memory and nowhere else."""
    stops_in_doubt_after(errand, "answer received")
    assert len(errand.purchases) == 1


@dies("receipt half written")
def test_a_death_between_the_two_places_of_a_receipt_loses_no_clip(errand):
    """The id is next to the output and not yet in Airflow's store: that is enough."""
    delivers_once_after(errand, "receipt half written")


@dies("receipt written")
def test_a_death_after_the_receipt_loses_no_clip(errand):
    """The next try reads the id and goes on with that clip."""
    delivers_once_after(errand, "receipt written")


@dies("receipt written", dag="without_output")
def test_a_death_after_the_receipt_loses_no_clip_of_a_task_without_output(errand):
    """Airflow's task state store alone holds the receipt."""
    errand.await_end()
    assert errand.deaths == ["generate: receipt written"]
    assert errand.run.state == "success"
    (purchase,) = errand.purchases
    assert errand.run.xcoms("generate")["return_value"]["task_id"] == purchase["task_id"]


@dies("answer received", dag="without_output")
def test_a_death_between_answer_and_receipt_buys_nothing_more_without_output(errand):
    stops_in_doubt_after(errand, "answer received")
    assert len(errand.purchases) == 1


@pytest.mark.errand("adopting", dies=["answer received"])
def test_the_platforms_list_shows_the_clip_that_a_process_that_died_bought(errand):
    """The id was in that process's memory and nowhere else; the next try adopts it."""
    delivers_once_after(errand, "answer received")
    assert "is adopted" in errand.run.logs("generate")


@pytest.mark.errand("adopting_waiting", dies=["intent written", "asking"])
def test_the_platforms_list_shows_that_a_process_that_died_bought_nothing(errand):
    """The next try dies as well, while it asks; the third waits until the list can be believed, and buys."""
    errand.await_end()
    assert errand.deaths == ["generate: intent written", "generate: asking"]
    assert errand.why_not_delivered_once() is None


@dies("deferring")
def test_a_death_before_the_deferral_loses_no_clip(errand):
    delivers_once_after(errand, "deferring")


@dies("polling", dag="waiting")
def test_a_death_while_the_worker_itself_waits_loses_no_clip(errand):
    delivers_once_after(errand, "polling")


@dies("resumed")
def test_a_death_on_resuming_loses_no_clip(errand):
    """The trigger's news dies with the process; the receipt does not."""
    delivers_once_after(errand, "resumed")


@dies("downloading")
def test_a_death_during_the_download_loses_no_clip(errand):
    """Half a clip is on disk, under another name."""
    delivers_once_after(errand, "downloading")


@dies("hash written")
def test_a_death_between_download_and_rename_loses_no_clip(errand):
    """The receipt has the hash of a clip that is not in its place."""
    delivers_once_after(errand, "hash written")


@dies("renamed")
def test_a_death_between_rename_and_receipt_fetches_nothing_again(errand):
    """The clip is in its place, and only its hash shows that it is the one that was bought."""
    delivers_once_after(errand, "renamed")
    assert len(errand.downloads) == 1


@dies("delivered")
def test_a_death_after_the_delivery_fetches_nothing_again(errand):
    delivers_once_after(errand, "delivered")
    assert len(errand.downloads) == 1


@dies("finished")
def test_a_death_before_airflow_hears_of_the_success_buys_nothing(errand):
    delivers_once_after(errand, "finished")
    assert len(errand.downloads) == 1


@pytest.mark.errand("mapped", dies={"generate[1]": ["receipt written"]}, victim="worker")
def test_a_death_of_one_mapped_task_leaves_the_others_alone(errand):
    """Three clips for three indices."""
    errand.await_end()
    assert errand.deaths == ["generate[1]: receipt written"]
    assert errand.run.state == "success"
    takes = [f"{errand.prompt}, take {index}" for index in range(3)]
    assert sorted(purchase["body"]["prompt"] for purchase in errand.purchases) == takes
    assert sorted(clip.name for clip in errand.folder.glob("*.mp4")) == ["0.mp4", "1.mp4", "2.mp4"]


@pytest.mark.errand(
    "three_tasks",
    dies={"submit": ["receipt written"], "wait": ["polling"], "download": ["renamed"]},
    victim="worker",
)
def test_a_death_of_each_of_three_tasks_loses_no_clip(errand):
    """Submit, wait and download, each with a worker that dies once."""
    errand.await_end()
    assert sorted(errand.deaths) == ["download: renamed", "submit: receipt written", "wait: polling"]
    assert errand.why_not_delivered_once() is None


ONE_AFTER_ANOTHER = [
    *("start", "before intent", "receipt written", "polling"),
    *("downloading", "hash written", "renamed", "delivered", "finished"),
]


@pytest.mark.errand("deferring", dies=ONE_AFTER_ANOTHER)
def test_one_death_after_another_loses_no_clip(errand):
    """Nine lives that end, each further on, and a tenth that brings it home."""
    errand.await_end()
    assert errand.deaths == [f"generate: {point}" for point in ONE_AFTER_ANOTHER]
    assert errand.why_not_delivered_once() is None
