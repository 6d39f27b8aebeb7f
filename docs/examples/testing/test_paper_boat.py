"""Runs a DAG as Airflow does, against the emulator."""

# [START test]
from paper_boat import dag


def run(folder):
    return dag.test(run_conf={"folder": str(folder)})


def test_one_clip_is_bought_and_downloaded(minimax_emulator, tmp_path):
    assert run(tmp_path).state == "success"
    assert [purchase["model"] for purchase in minimax_emulator.purchases] == ["MiniMax-Hailuo-2.3"]
    assert (tmp_path / "boat.mp4").stat().st_size > 50_000


def test_a_lost_answer_is_not_bought_again(minimax_emulator, tmp_path):
    minimax_emulator.fault("lost_answer", operation="submit")
    assert run(tmp_path).state == "failed"
    assert len(minimax_emulator.purchases) == 1


def test_errors_while_waiting_do_no_harm(minimax_emulator, tmp_path):
    minimax_emulator.fault("http", operation="query", status=503, times=3)
    assert run(tmp_path).state == "success"


def test_a_clip_refused_by_moderation_fails_the_run(minimax_emulator, tmp_path):
    minimax_emulator.configure(outcome="failed", failure_code=1027)
    assert run(tmp_path).state == "failed"
    assert not list(tmp_path.glob("*.mp4"))
