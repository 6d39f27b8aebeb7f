"""The commands: what they tell, what they change, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import airflow
import fsspec
import pytest
from airflow.sdk.io import attach
from packaging.version import Version
from rich.cells import cell_len

from airflow_provider_minimax import __version__
from airflow_provider_minimax.__main__ import main
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.cli.definition import PHASES, get_cli_commands
from airflow_provider_minimax.exceptions import MinimaxSubmissionUnknownError
from airflow_provider_minimax.get_provider_info import get_provider_info
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.purchases.receipt import Phase
from airflow_provider_minimax.purchases.stores import SUFFIX, SidecarStore
from tests.fakes import HAS_STORE, FakeStore, FakeTaskInstance
from tests.receipts.samples import OTHER, delivered, failed, intent, submitted

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _own_process_context(monkeypatch):
    """The commands set it for their process, which here is that of all tests."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")


@pytest.fixture
def memory():
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    attach("memory", fs=storage)
    return storage


@pytest.fixture
def clip(tmp_path):
    return str(tmp_path / "clip.mp4")


@pytest.fixture
def said(capsys, monkeypatch):
    """Run a command for receipts, or another; return its exit code and what it printed, words only."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str, group: tuple[str, ...] = ("receipts",)) -> tuple[int, str, str]:
        code = 0
        capsys.readouterr()
        try:
            main([*group, *arguments])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def shown(said):
    """Run ``show``, like ``said``."""
    return lambda *arguments: said("show", *arguments, group=())


def keep(clip: str, receipt) -> SidecarStore:
    home = SidecarStore(clip)
    home.write(receipt)
    return home


def delivered_to(path: Path, content: bytes = b"a clip"):
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return delivered(sha256=digest, size=len(content), output_path=str(path))


# -- list --------------------------------------------------------------------------------------------------------------


def test_all_receipts_below_a_folder_are_listed(said, tmp_path):
    keep(f"{tmp_path}/a.mp4", intent())
    keep(f"{tmp_path}/b/c/d.mp4", submitted(owner=OTHER))
    keep(f"{tmp_path}/b/e.mp4", failed("1027"))
    (tmp_path / "b" / "notes.json").write_text("{}")
    code, out, err = said("list", str(tmp_path), "-o", "json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [(row["phase"], row["output"]) for row in rows] == [
        ("intent", f"{tmp_path}/a.mp4"),
        ("submitted", f"{tmp_path}/b/c/d.mp4"),
        ("failed", f"{tmp_path}/b/e.mp4"),
    ]
    assert rows[1]["minimax_task_id"] == "T1"
    assert rows[1]["owner"] == "dag.generate[3] of run yesterday"
    assert rows[1]["model"] == "MiniMax-Hailuo-2.3"
    assert rows[1]["when"] == "2026-11-21 12:00:00 UTC"
    assert "the remote task failed" in rows[2]["note"]


@pytest.mark.parametrize("phase", PHASES)
def test_one_phase_can_be_picked(phase, said, tmp_path):
    for number, receipt in enumerate((intent(), submitted(), failed("1"), delivered())):
        keep(f"{tmp_path}/{number}.mp4", receipt)
    code, out, _ = said("list", str(tmp_path), "--phase", phase, "-o", "json")
    assert (code, [row["phase"] for row in json.loads(out)]) == (0, [phase])


def test_the_phases_to_pick_are_those_there_are():
    assert list(PHASES) == [str(phase) for phase in Phase]


def test_what_cannot_be_read_is_listed_whatever_is_picked(said, tmp_path):
    keep(f"{tmp_path}/a.mp4", submitted())
    (tmp_path / f"b.mp4{SUFFIX}").write_text('{"kind": "mini')
    code, out, err = said("list", str(tmp_path), "--phase", "intent", "-o", "json")
    (row,) = json.loads(out)
    assert code == 1
    assert (row["phase"], row["output"]) == ("unreadable", f"{tmp_path}/b.mp4")
    assert "is not whole" in row["note"]
    assert err == "1 of these cannot be read, so it is not known what was bought.\n"


def test_a_folder_that_may_not_be_read_is_not_passed_over(said, tmp_path, monkeypatch):
    keep(f"{tmp_path}/a/b.mp4", submitted())
    keep(f"{tmp_path}/c.mp4", submitted())
    scandir = os.scandir

    def guarded(folder):
        if str(folder) == f"{tmp_path}/a":
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    code, out, _ = said("list", str(tmp_path), "-o", "json")
    rows = json.loads(out)
    assert code == 1
    assert [(row["phase"], row["output"]) for row in rows] == [
        ("unreadable", f"{tmp_path}/a"),
        ("submitted", f"{tmp_path}/c.mp4"),
    ]
    assert "Permission denied" in rows[0]["note"]


def test_a_table_is_for_people(said, tmp_path):
    keep(f"{tmp_path}/a.mp4", submitted())
    code, out, _ = said("list", str(tmp_path), "-o", "plain")
    assert code == 0
    assert out.split()[:3] == ["phase", "minimax_task_id", "owner"]
    assert "T1" in out.splitlines()[1]


def test_receipts_are_found_on_any_storage(said, memory):
    keep("memory://bucket/clips/a.mp4", submitted())
    keep("memory://bucket/clips/b/c.mp4", intent())
    keep("memory://bucket/other/d.mp4", intent())
    for folder in ("memory://bucket/clips", "memory://bucket/clips/"):
        _, out, _ = said("list", folder, "-o", "json")
        places = [row["output"] for row in json.loads(out)]
        assert places == ["memory://bucket/clips/a.mp4", "memory://bucket/clips/b/c.mp4"]
    assert said("show", places[1])[0] == 0


@pytest.mark.parametrize("name", ["a.mp4", f"a.mp4{SUFFIX}"])
def test_one_clip_can_be_listed_too(name, said, tmp_path):
    keep(f"{tmp_path}/a.mp4", submitted())
    _, out, _ = said("list", f"{tmp_path}/{name}", "-o", "json")
    assert [row["output"] for row in json.loads(out)] == [f"{tmp_path}/a.mp4"]


def test_a_path_may_be_relative(said, tmp_path, monkeypatch):
    keep(f"{tmp_path}/a/b.mp4", submitted())
    monkeypatch.chdir(tmp_path)
    _, out, _ = said("list", "a", "-o", "json")
    assert [row["output"] for row in json.loads(out)] == [f"{tmp_path}/a/b.mp4"]
    assert said("show", "a/b.mp4")[0] == 0


@pytest.mark.parametrize(
    ("place", "what"),
    [("/no/such/folder", "no such folder"), ("nowhere://a/b", "cannot be reached: ValueError")],
)
def test_a_place_that_is_not_there_is_one_line(place, what, said):
    code, out, err = said("list", place)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert what in err


# -- show --------------------------------------------------------------------------------------------------------------

PROMPT = "A lighthouse in a storm, waves against the rocks, gulls in the wind; [Push in] towards the lamp."


@pytest.fixture
def made(connect, minimax_emulator):
    """Buy a clip as a DAG would, checked and with pictures; return what the operator returns."""
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def make(output: str, **changes):
        options = {"prompt": PROMPT, "duration": 6, "resolution": "768P", "check": "full", "preview": True} | changes
        generate = MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-Hailuo-2.3",
            output_path=output,
            wait_for_completion=True,
            poll_interval=0.01,
            **options,
        )
        return generate.execute({"ti": FakeTaskInstance(map_index=2)})

    return make


def rows(out: str) -> dict[str, str]:
    """What is said under each label."""
    return {line[:15].rstrip(): line[15:] for line in out.splitlines() if line}


def test_one_command_shows_where_a_clip_came_from(made, shown, clip):
    facts = made(clip)
    code, out, err = shown(clip)
    printed = rows(out)
    times = {label: printed.pop(label) for label in ("Requested", "Submitted", "Ready", "Delivered")}
    assert (code, err) == (0, "")
    assert printed == {
        "Prompt": PROMPT,
        "Model": "MiniMax-Hailuo-2.3",
        "Asked for": "768P, 6 s",
        "Got": f"1366x768, 5.875 s, 24 fps, h264, no sound, {facts['size'] / 1000:.1f} kB",
        "Cost": "0.28 USD (estimate from the list price of 2026-07-10)",
        "Clip": f"unchanged since delivery: {clip}",
        "Poster": f"{clip}.poster.jpg",
        "Contact sheet": f"{clip}.contact-sheet.jpg",
        "Receipt": f"{clip}{SUFFIX}",
        "SHA-256": facts["sha256"],
        "Airflow task": "try 1 of dag.generate[2] of run run",
        "Platform": "minimax, connection minimax_default",
        "Remote task": facts["task_id"],
        "Remote file": facts["file_id"],
        "Provider": f"airflow-provider-minimax {__version__}",
    }
    assert all(datetime.fromisoformat(time[:19]) for time in times.values())


def test_so_it_does_on_s3(made, shown, s3_bucket):
    url = s3_bucket.url("a/clip.mp4")
    made(url)
    printed = rows(shown(url + SUFFIX)[1])
    assert printed["Clip"] == f"unchanged since delivery: {url}"
    assert printed["Contact sheet"] == f"{url}.contact-sheet.jpg"
    s3_bucket.put("a/clip.mp4", b"another")
    assert rows(shown(url)[1])["Clip"] == f"not the file that was delivered: {url}"


def test_what_is_not_known_is_left_out(shown, clip):
    keep(clip, delivered(fingerprint=None, model=None, submitted_at=None, facts={"file_id": "F1"}, size=None))
    code, out, _ = shown(clip)
    assert code == 0
    assert "None" not in out
    assert out.startswith("Fetched by id")
    assert rows(out).keys() == {
        *("Fetched by id", "Delivered", "Clip", "Delivered to", "Receipt", "SHA-256"),
        *("Airflow task", "Platform", "Remote task", "Remote file", "Provider"),
    }


@pytest.mark.parametrize(
    ("facts", "got"),
    [
        ({"width": 1366, "height": 768, "duration": 6.0}, "1366x768, 6 s as the platform reports, 3.1 MB"),
        ({"width": None, "height": None, "duration": None}, "3.1 MB"),
    ],
)
def test_unmeasured_facts_are_marked_as_reported_by_the_platform(facts, got, shown, clip):
    keep(clip, delivered(facts=facts, size=3_100_000))
    assert rows(shown(clip)[1])["Got"] == got


def test_images_and_options_are_shown_in_short(shown, clip):
    request = {
        "model": "MiniMax-Hailuo-2.3",
        "prompt": "A cat.",
        "first_frame_image": f"sha256:{'b' * 64}",
        "prompt_optimizer": False,
        "extra_body": {"seed": 7, "note": "x" * 100},
    }
    keep(clip, delivered(request=request))
    asked = rows(shown(clip)[1])["Asked for"]
    options = "prompt_optimizer=False, extra_body={'seed': 7, 'note': '"
    assert asked == f"first_frame_image=sha256:{'b' * 12}, {options}{'x' * 39}..."


@pytest.mark.parametrize(
    ("cost", "printed"),
    [
        ({"amount": 0.5, "currency": "USD", "kind": "list price", "read": "2026-07-10"}, "0.50 USD (estimate from"),
        ({"amount": 0.252, "unit": "USD", "kind": "billed"}, "0.252 USD (billed)"),
        ({"amount": 140000, "unit": "quota", "kind": "billed"}, "140000 quota (billed)"),
    ],
)
def test_a_bill_and_an_estimate_can_be_told_apart(cost, printed, shown, clip):
    keep(clip, delivered(cost=cost))
    assert rows(shown(clip)[1])["Cost"].startswith(printed)


def test_a_clip_that_failed_costs_nothing_that_we_know_of(shown, clip):
    estimate = {"amount": 0.28, "currency": "USD", "kind": "list price", "read": "2026-07-10"}
    keep(clip, failed("1027", cost=estimate))
    printed = rows(shown(clip)[1])
    assert "Cost" not in printed
    assert printed["Phase"] == "failed: the remote task ended without a clip"
    assert printed["Failure"].startswith("the remote task failed")


def test_times_are_shown_with_the_time_between_them(shown, clip):
    start = datetime(2026, 11, 21, 6, tzinfo=UTC)
    receipt = delivered(
        intended_at=start,
        submitted_at=start + timedelta(seconds=0.9),
        started_at=start - timedelta(seconds=2),
        finished_at=start + timedelta(minutes=3, seconds=12),
        delivered_at=start + timedelta(hours=2, minutes=3, seconds=12.5),
    )
    keep(clip, receipt)
    printed = rows(shown(clip)[1])
    assert printed["Submitted"] == "2026-11-21 06:00:00 UTC"
    assert printed["Started"] == "2026-11-21 05:59:58 UTC"
    assert printed["Ready"] == "2026-11-21 06:03:12 UTC, 3 min 14 s later"
    assert printed["Delivered"] == "2026-11-21 08:03:12 UTC, 2 h later"


def test_a_clip_that_was_adopted_says_when_its_answer_was_lost(shown, clip):
    start = datetime(2026, 11, 21, 6, tzinfo=UTC)
    lost, adopted = start + timedelta(minutes=1), start + timedelta(minutes=1, seconds=15)
    keep(clip, intent(intended_at=start).lost(lost).submitted("T1", adopted))
    printed = rows(shown(clip)[1])
    assert printed["Response lost"] == "2026-11-21 06:01:00 UTC, 1 min later"
    assert printed["Adopted"] == "2026-11-21 06:01:15 UTC, 15 s later"


@pytest.mark.parametrize("receipt", [intent(), submitted(replaced=("T0",)), failed("1"), delivered()])
def test_a_clip_that_is_still_to_come_says_how_far_it_is(receipt, shown, clip):
    keep(clip, receipt)
    printed = rows(shown(clip)[1])
    assert ("Phase" in printed) == (receipt.phase is not Phase.DELIVERED)
    assert ("Bought before" in printed) == bool(receipt.replaced)
    assert printed["Clip"] == f"no file at {clip}"


def test_a_clip_that_was_moved_with_its_receipt_says_from_where(made, shown, clip, tmp_path):
    made(clip)
    moved = str(tmp_path / "moved.mp4")
    for suffix in ("", SUFFIX):
        Path(clip + suffix).rename(moved + suffix)
    printed = rows(shown(moved)[1])
    assert printed["Clip"] == f"unchanged since delivery: {moved}"
    assert printed["Delivered to"] == clip
    assert printed["Receipt"] == moved + SUFFIX


def test_a_file_url_is_the_place_that_it_was_for_the_operator(made, shown, tmp_path):
    url = f"file://{tmp_path}/a%20clip#2?.mp4"
    made(url)
    printed = rows(shown(url)[1])
    assert printed["Clip"] == f"unchanged since delivery: {tmp_path}/a%20clip#2?.mp4"
    assert "Delivered to" not in printed


def test_the_manifest_as_json_is_the_receipt(shown, clip):
    home = keep(clip, delivered())
    code, out, _ = shown(clip, "-o", "json")
    assert (code, out) == (0, home.read().as_json().decode())


def test_a_clip_without_a_receipt_is_one_line(shown, clip):
    assert shown(clip) == (
        1,
        "",
        f"there is neither {clip} nor its receipt. Give the path of a clip or of its {SUFFIX}.\n",
    )
    Path(clip).write_bytes(b"a clip")
    code, out, err = shown(clip)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"{clip} has no receipt {clip}{SUFFIX}, so it is not known where it came from.")


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("prompt", [PROMPT, "暴风雨中悬崖上的灯塔，海浪拍打着岩石，海鸥在风中飞翔。" * 3])
def test_in_a_terminal_words_wrap_and_places_stay_whole(columns, prompt, shown, clip, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    keep(clip, delivered(request={"prompt": prompt}))
    out = shown(clip)[1]
    first, *others = out[: out.index("Model ")].splitlines()
    assert first.startswith("Prompt         ")
    assert others
    assert all(line.startswith(" " * 15) for line in others)
    assert all(cell_len(line) <= columns for line in (first, *others))
    assert "".join(line[15:] for line in (first, *others)).replace(" ", "") == prompt.replace(" ", "")
    assert f" {clip}{SUFFIX}\n" in out


# -- receipts show -----------------------------------------------------------------------------------------------------


def test_showing_a_receipt_checks_its_clip(said, tmp_path):
    path = tmp_path / "clip.mp4"
    keep(str(path), delivered_to(path))
    code, out, _ = said("show", str(path))
    assert code == 0
    assert f"Clip           unchanged since delivery: {path}\n" in out
    assert "Remote task    T1\n" in out
    assert "Nothing to do." in out
    path.write_bytes(b"another")
    assert f"not the file that was delivered: {path}" in said("show", str(path))[1]
    path.unlink()
    assert f"no file at {path}" in said("show", f"{path}{SUFFIX}")[1]


def test_so_it_is_on_any_storage(said, memory):
    memory.pipe_file("/bucket/clip.mp4", b"a clip")
    keep("memory://bucket/clip.mp4", delivered(sha256=hashlib.sha256(b"a clip").hexdigest()))
    assert "unchanged since delivery" in said("show", "memory://bucket/clip.mp4")[1]


def test_json_is_the_receipt_as_it_is(said, clip):
    home = keep(clip, submitted())
    code, out, _ = said("show", clip, "--output", "json")
    assert code == 0
    assert json.loads(out) == home.read().as_values()


@pytest.mark.parametrize("receipt", [intent(), submitted(replaced=("T0",)), failed("1"), delivered()])
def test_every_phase_says_what_to_do_next(receipt, said, clip):
    keep(clip, receipt)
    out = said("show", clip)[1]
    assert f"Phase          {receipt.phase}: " in out
    assert out.splitlines()[-1].startswith("Next ")
    assert ("T0" in out) == bool(receipt.replaced)


@pytest.mark.parametrize(
    ("max_tries", "what"),
    [(3, " (a clear buys a new clip if on_clear='resubmit')."), (None, ".")],
)
def test_what_a_clear_does_is_said_as_it_is(max_tries, what, said, clip):
    keep(clip, submitted(max_tries=max_tries))
    step = (
        f"If the Airflow task is not running, retry or clear it: it waits for this remote task and buys nothing{what}"
    )
    assert said("show", clip)[1].splitlines()[-1] == f"Next           {step}"


def test_a_receipt_that_is_not_there_is_one_line(said, clip):
    code, out, err = said("show", clip)
    assert (code, out) == (1, "")
    assert err == f"there is no receipt {clip}{SUFFIX}. Give the path of a clip or of its {SUFFIX}.\n"


# -- adopt -------------------------------------------------------------------------------------------------------------


def bought(connect) -> str:
    """A remote task that somebody finds in the console."""
    connect()
    return MinimaxHook().submit(VideoRequest(model="MiniMax-Hailuo-2.3", prompt="A lighthouse."))


@pytest.mark.parametrize(
    "fields",
    [{"model": "MiniMax-Hailuo-2.3"}, {"model": "MiniMax-H3", "resolution": "768P", "duration": 5, "ratio": "1:1"}],
)
def test_an_adopted_task_is_gone_on_with_and_not_bought_again(fields, connect, minimax_emulator, said, clip):
    connect()
    ti = FakeTaskInstance(max_tries=0)
    context = {"ti": ti, "task_state_store": FakeStore() if HAS_STORE else None}
    generate = MinimaxVideoGenerationOperator(
        task_id="generate",
        prompt="A lighthouse.",
        output_path=clip,
        wait_for_completion=True,
        poll_interval=0.01,
        **fields,
    )
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate.execute(context)
    home = SidecarStore(clip)
    home.write(home.read().model_copy(update={"intended_at": LONG_AGO}))
    (job,) = minimax_emulator.jobs

    code, out, _ = said("adopt", clip, job["task_id"])
    assert code == 0
    assert f"minimax knows MiniMax task {job['task_id']}:" in out
    assert "it waits for this remote task, and buys nothing" in out
    assert (home.read().phase, home.read().minimax_task_id, home.read().max_tries) == (
        Phase.SUBMITTED,
        job["task_id"],
        None,
    )

    ti.max_tries += 2  # as after a clear
    assert generate.execute(context)["task_id"] == job["task_id"]
    assert Path(clip).read_bytes()[4:8] == b"ftyp"
    assert len(minimax_emulator.purchases) == 1


def test_an_id_that_the_platform_does_not_know_is_not_adopted(connect, said, clip):
    connect()
    home = keep(clip, intent(intended_at=LONG_AGO))
    code, out, err = said("adopt", clip, "123")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Nothing was changed. Use --no-check to skip this check." in err
    assert home.read().phase is Phase.INTENT


def test_the_api_version_in_the_receipt_is_the_one_that_is_asked(connect, said, clip, minimax_emulator):
    connect()
    of_h3 = {"model": "MiniMax-H3", "prompt": "A lighthouse.", "resolution": "768P", "duration": 5, "ratio": "1:1"}
    minimax_task_id = MinimaxHook().submit(VideoRequest.of(of_h3))
    home = keep(clip, intent(intended_at=LONG_AGO, api_version="v1"))
    code, _, err = said("adopt", clip, minimax_task_id)
    assert (code, home.read().phase) == (1, Phase.INTENT)
    assert "Only version 'v1' of its API was asked." in err
    home.write(home.read().model_copy(update={"api_version": "v2"}))
    assert said("adopt", clip, minimax_task_id)[0] == 0
    queries = [one["path"] for one in minimax_emulator.requests if one["operation"] == "query"]
    assert ["/v2/" in path for path in queries] == [False, True]


def test_nobody_is_asked_if_that_is_not_wanted(minimax_emulator, said, clip):
    home = keep(clip, intent(intended_at=LONG_AGO, minimax_conn_id="not_here"))
    assert "there is no connection 'not_here'" in said("adopt", clip, "123")[2]
    code, out, _ = said("adopt", clip, "123", "--no-check")
    assert code == 0
    assert "Not checked whether the platform knows MiniMax task 123." in out
    assert home.read().minimax_task_id == "123"
    assert minimax_emulator.requests == []


def test_a_connection_that_leads_elsewhere_by_now_is_not_asked(connect, said, clip):
    connect("bltcy")
    keep(clip, intent(intended_at=LONG_AGO))
    assert "is for bltcy now, but the clip was submitted to minimax" in said("adopt", clip, "123")[2]


@pytest.mark.parametrize(
    ("receipt", "what"),
    [
        (submitted(), "MiniMax task T1 is known"),
        (failed("1"), "MiniMax task T1 ended without a clip"),
        (delivered(), "the clip of MiniMax task T1 was delivered"),
    ],
)
def test_only_an_intent_can_adopt(receipt, what, said, clip):
    home = keep(clip, receipt)
    code, _, err = said("adopt", clip, "123", "--no-check")
    assert (code, home.read()) == (1, receipt)
    assert what in err


def test_a_submission_that_may_be_under_way_is_left_alone(said, clip):
    fresh = intent(intended_at=datetime.now(UTC))
    home = keep(clip, fresh)
    code, _, err = said("adopt", clip, "123", "--no-check")
    assert (code, home.read()) == (1, fresh)
    assert "may still be waiting for the response. Nothing was changed. Try again 3 minutes after that." in err


@pytest.mark.parametrize("nothing", ["", "  ", "12\u200e3", "\ufeff123", "1\x1b[2J", "1\n2"])
def test_an_id_that_is_empty_or_has_signs_that_cannot_be_seen_is_refused(nothing, said, clip):
    keep(clip, intent(intended_at=LONG_AGO))
    code, _, err = said("adopt", clip, nothing, "--no-check")
    assert code == 1
    assert "must be the id that a submission returned" in err


def test_an_answer_that_came_meanwhile_is_kept(connect, said, clip, mocker):
    minimax_task_id = bought(connect)
    answered = submitted(intended_at=LONG_AGO)
    home = keep(clip, intent(intended_at=LONG_AGO))
    real = MinimaxHook.get_task

    def meanwhile(*args, **options):
        home.write(answered)
        return real(*args, **options)

    mocker.patch.object(MinimaxHook, "get_task", meanwhile)
    code, _, err = said("adopt", clip, minimax_task_id)
    assert (code, home.read()) == (1, answered)
    assert "was changed by another process in the meantime" in err


# -- forget ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("receipt", "what"),
    [
        (intent(), "it may have been bought, and may be billed"),
        (
            submitted(),
            "It keeps running and will be billed; note its id. Without the receipt, the next run buys a new clip.",
        ),
        (failed("1"), "MiniMax task T1 at minimax ended without a clip."),
        (delivered(), "was delivered. Without the receipt, the next run buys a new clip."),
    ],
)
def test_forgetting_a_receipt_says_what_will_be_lost_first(receipt, what, said, clip, mocker):
    home = keep(clip, receipt)
    mocker.patch("builtins.input", return_value="n")
    code, out, err = said("forget", clip)
    assert what in out
    assert (
        "the task state store may have a copy, which this command does not delete and which dag.generate of run today"
        in out
    )
    assert "delete the key minimax_receipt" in out
    assert (code, home.read()) == (1, receipt)
    assert err == "Nothing was deleted.\n"
    mocker.patch("builtins.input", return_value="y")
    assert said("forget", clip)[0] == 0
    assert home.read() is None


def test_the_clip_is_left_and_its_being_in_the_way_is_said(said, tmp_path):
    path = tmp_path / "clip.mp4"
    home = keep(str(path), delivered_to(path))
    code, out, _ = said("forget", str(path), "--yes")
    assert (code, home.read(), path.read_bytes()) == (0, None, b"a clip")
    assert "does not recognize the file at output_path: it fails, or with overwrite=True buys a new clip" in out


def test_a_damaged_receipt_can_be_forgotten_too(said, clip):
    Path(clip + SUFFIX).write_text("{")
    code, out, _ = said("forget", clip, "-y")
    assert code == 0
    assert "so what was bought under it is unknown. Without it, the next run buys a new clip." in out
    assert not Path(clip + SUFFIX).exists()


def test_no_answer_is_no(said, clip, mocker):
    home = keep(clip, submitted())
    mocker.patch("builtins.input", side_effect=EOFError)
    assert said("forget", clip)[0] == 1
    assert home.read() is not None


def test_a_receipt_that_changed_during_the_question_is_not_forgotten(said, clip, mocker):
    home = keep(clip, intent())
    mocker.patch("builtins.input", side_effect=lambda _: (home.write(submitted()), "y")[1])
    code, _, err = said("forget", clip)
    assert (code, home.read().phase) == (1, Phase.SUBMITTED)
    assert "was changed by another process in the meantime" in err


# -- balance -----------------------------------------------------------------------------------------------------------


def test_the_balance_of_an_account_is_shown(said, connect, minimax_emulator):
    minimax_emulator.configure(balance=12.5)
    connect("minimax-cn", conn_id="mainland")
    code, out, err = said("balance", "--conn-id", "mainland", group=())
    assert (code, err) == (0, "")
    assert rows(out) == {
        "Available": "12.50 CNY",
        "Cash": "12.50 CNY",
        "Vouchers": "0.00 CNY",
        "Credit": "0.00 CNY",
        "Owed": "0.00 CNY",
        "Account": f"minimax at {minimax_emulator.base_url('minimax-cn')}, connection mainland",
    }


@pytest.mark.parametrize(
    ("remains", "printed"),
    [
        ([{"model_name": "video", "current_interval_remaining_percent": 40}], "video 40 %"),
        ([{"model_name": "video"}], "video, of which nothing is known"),
        ([], "the platform lists nothing"),
    ],
)
def test_the_rest_of_a_plan_is_shown(remains, printed, said, connect, minimax_emulator):
    connect(password="sk-cp-1")
    minimax_emulator.configure(key="sk-cp-1")
    minimax_emulator.fault("http", operation="account", status=200, body={"model_remains": remains})
    code, out, _ = said("balance", group=())
    assert (code, rows(out)["Left in plan"]) == (0, printed)
    assert "sk-cp" not in out


def test_a_balance_as_json_is_plain_values(said, connect, minimax_emulator):
    minimax_emulator.configure(balance=12.5)
    connect()
    _, out, _ = said("balance", "-o", "json", group=())
    assert json.loads(out) == {
        "platform": "minimax",
        "base_url": minimax_emulator.base_url("minimax"),
        "minimax_conn_id": "minimax_default",
        "available": 12.5,
        "cash": 12.5,
        "voucher": 0,
        "credit": 0,
        "owed": 0,
        "currency": "USD",
        "plan": None,
    }


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def uploads(connect, tmp_path) -> list[str]:
    """The addresses of two files that were uploaded."""
    connect()
    film, sound = tmp_path / "boat.mp4", tmp_path / "wind.mp3"
    film.write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    sound.write_bytes(b"ID3" + bytes(64))
    return [MinimaxHook().upload(str(path)) for path in (film, sound)]


def test_uploads_are_listed(uploads, said):
    code, out, err = said("list", "-o", "json", group=("files",))
    assert (code, err) == (0, "")
    listed = json.loads(out)
    assert {row["address"] for row in listed} == set(uploads)
    assert {(row["filename"], row["size"]) for row in listed} == {("video.mp4", "76 bytes"), ("audio.mp3", "67 bytes")}
    assert all(row["kept_until"] > row["uploaded"] for row in listed)


def test_a_name_that_a_terminal_would_obey_is_written_out(connect, said, minimax_emulator):
    connect()
    file = {"file_id": 1, "filename": "a\x1b[31m [/b]?sign=sk-api-0123456789abcdef.mp4", "created_at": 1790000000}
    answer = {"files": [file] * 1001, "base_resp": {"status_code": 0}}
    minimax_emulator.fault("http", operation="upload", status=200, body=answer)
    code, out, err = said("list", "-o", "plain", group=("files",))
    assert (code, err) == (0, "1 older uploads are not shown.\n")
    assert "\x1b" not in out
    assert "sk-api-0123456789abcdef" not in out
    assert len(out.splitlines()) == 1001


def test_uploads_are_deleted_once_somebody_confirms_it(uploads, said, mocker, minimax_emulator):
    mocker.patch("builtins.input", return_value="n")
    code, out, err = said("delete", *uploads, group=("files",))
    assert (code, err, len(minimax_emulator.uploads)) == (1, "Nothing was deleted.\n", 2)
    assert uploads[0] in out
    mocker.patch("builtins.input", side_effect=["y"])
    assert said("delete", uploads[0], uploads[0], group=("files",))[0] == 0
    code, out, _ = said("delete", uploads[1].removeprefix("mm_file://"), "--yes", group=("files",))
    assert (code, out.splitlines()[-1]) == (0, f"{uploads[1]} was deleted.")
    assert minimax_emulator.uploads == []


@pytest.mark.parametrize("file", ["123", "boat.mp4"])
def test_nothing_is_deleted_if_one_of_the_files_is_no_upload(file, uploads, said, minimax_emulator):
    code, out, err = said("delete", uploads[0], file, "--yes", group=("files",))
    assert (code, out, err.count("\n"), len(minimax_emulator.uploads)) == (1, "", 1, 2)
    assert file in err


def test_a_gateway_without_a_balance_is_one_line(said, connect):
    connect("novita")
    code, out, err = said("balance", group=())
    assert (code, out) == (1, "")
    assert err.startswith("Novita has no documented call for what is left in an account")
    assert err.count("\n") == 1


# -- how they are reached ----------------------------------------------------------------------------------------------


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)


def test_airflow_knows_the_commands():
    assert get_provider_info()["cli"] == ["airflow_provider_minimax.cli.definition.get_cli_commands"]


def commands(group, path: str = ""):
    """All commands with their names as they are typed."""
    for command in group.subcommands:
        name = f"{path}{command.name}"
        if hasattr(command, "subcommands"):
            yield from commands(command, f"{name} ")
        else:
            yield name, command


def test_the_docs_name_every_command_with_all_its_arguments():
    page = (Path(__file__).parent.parent / "docs" / "reference" / "cli.rst").read_text()
    (minimax,) = get_cli_commands()
    for name, command in commands(minimax):
        (usage,) = re.findall(rf"``(?:airflow minimax )?({name} [A-Z[].*?)``", page)
        options = [flags[-1] for arg in command.args if (flags := arg.flags)[0].startswith("-")]
        assert set(re.findall(r"--[\w-]+", usage)) == {*options} - {"--verbose"}
        assert len(re.findall(r"(?<= )[A-Z]+(?=[ ]|$)", usage)) == len(command.args) - len(options)


@pytest.mark.slow
@pytest.mark.skipif(
    Version(airflow.__version__) < Version("3.2"), reason="Airflow 3.2 began to take providers' commands"
)
def test_airflows_own_command_line_has_them(tmp_path):
    keep(f"{tmp_path}/a.mp4", submitted())
    airflow_command = Path(sys.executable).with_name("airflow")
    assert "adopt" in run(airflow_command, "minimax", "receipts", "--help").stdout
    shown = run(airflow_command, "minimax", "receipts", "list", str(tmp_path), "-o", "json")
    assert [row["minimax_task_id"] for row in json.loads(shown.stdout)] == ["T1"]


@pytest.mark.slow
def test_every_airflow_has_them_as_a_module(tmp_path):
    keep(f"{tmp_path}/a.mp4", submitted())
    module = (sys.executable, "-m", "airflow_provider_minimax", "receipts")
    assert "adopt" in run(*module, "--help").stdout
    shown = run(*module, "list", str(tmp_path), "-o", "json")
    assert [row["minimax_task_id"] for row in json.loads(shown.stdout)] == ["T1"]
    lost = run(*module, "show", f"{tmp_path}/b.mp4")
    assert lost.returncode == 1
    assert lost.stderr.splitlines()[-1].startswith("there is no receipt")
    assert "Traceback" not in lost.stderr


@pytest.mark.slow
def test_a_connection_in_airflows_database_is_found(airflow_db, minimax_emulator, connect, tmp_path):
    """Outside of tasks Airflow reads only the environment, unless it is configured otherwise."""
    minimax_task_id = bought(connect)
    connection = json.dumps(minimax_emulator.connection("minimax"))
    airflow_command = Path(sys.executable).with_name("airflow")
    added = run(airflow_command, "connections", "add", "stored", "--conn-json", connection)
    assert added.returncode == 0, added.stderr
    keep(f"{tmp_path}/a.mp4", intent(intended_at=LONG_AGO, minimax_conn_id="stored"))
    done = run(
        sys.executable, "-m", "airflow_provider_minimax", "receipts", "adopt", f"{tmp_path}/a.mp4", minimax_task_id
    )
    assert done.returncode == 0, done.stderr
    assert f"knows MiniMax task {minimax_task_id}" in done.stdout


@pytest.mark.slow
def test_the_definition_of_the_commands_imports_nothing_of_ours():
    script = (
        "import airflow.cli.cli_config, sys; before = set(sys.modules)\n"
        "import airflow_provider_minimax.cli.definition as d; d.get_cli_commands()\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    imported = run(sys.executable, "-c", script).stdout.splitlines()[-1].split()
    package = "airflow_provider_minimax"
    assert set(imported) <= {package, f"{package}.cli", f"{package}.cli.definition"}
