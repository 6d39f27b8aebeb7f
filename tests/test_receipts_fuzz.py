"""Whatever a receipt holds, the commands tell of it or say that it cannot be read, and nothing in it moves a cursor."""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from airflow.sdk.io import attach
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_minimax.__main__ import main
from airflow_provider_minimax.cli import storage
from airflow_provider_minimax.delivery.assets import ClipAsset
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip
from airflow_provider_minimax.delivery.destination import LocalDestination
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxReceiptError
from airflow_provider_minimax.purchases.matching import SubmissionWindow, TaskSignature
from airflow_provider_minimax.purchases.receipt import LARGEST, Receipt, read_receipt
from airflow_provider_minimax.purchases.rules import OutputState, decide
from airflow_provider_minimax.purchases.sibling_receipts import sibling_receipts_of
from airflow_provider_minimax.purchases.spec import Policy
from airflow_provider_minimax.purchases.stores import SUFFIX, SidecarStore
from tests.receipts.samples import NOW, FakeOutput, delivered, failed, intent, order, submitted

OBEYED = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = (
    "\x1b]0;title\x07\x1b[2J \x9b31m \u202egnp.exe [/x] [red] [link=https://a.example]x[/link] :boom: \n\r\0\u2028"
)

texts = st.one_of(
    st.text(max_size=20),
    st.just(HOSTILE),
    st.sampled_from(["1e5", "0012", "billed", "list price", "-", "\\", "[/", ""]),
)
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    st.sampled_from([10**400, -(10**30), 2**63, 1e308, "9" * 400, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
NAMES = {
    "cost": ["amount", "currency", "unit", "kind", "read"],
    "failure": ["kind", "message", "code", "http_status", "hint", "money", "minimax_task_id", "retry_after"],
    "facts": ["task_id", "file_id", "width", "height", "duration"],
    "media": ["width", "height", "duration", "fps", "codec", "has_sound", "frames"],
    "request": ["prompt", "model", "resolution", "duration", "task_type", "extra_body", "first_frame_image"],
    "owner": ["dag_id", "run_id", "task_id", "map_index"],
    "previews": ["poster", "contact_sheet"],
}
INNER = [(name, inner) for name, inners in NAMES.items() for inner in inners]
FIELDS = [field.alias or name for name, field in Receipt.model_fields.items() if name != "kind"]


@st.composite
def spoiled(draw: Any) -> bytes:
    """The content of a receipt in which some fields, and some within fields, hold anything."""
    receipt = draw(st.sampled_from([intent(), submitted(), failed("1027"), delivered()])).as_values()
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        receipt[name] = draw(values)
    for name, inner in draw(st.lists(st.sampled_from(INNER), max_size=6)):
        if isinstance(receipt.get(name) or {}, dict):
            receipt[name] = (receipt.get(name) or {}) | {inner: draw(values)}
    return json.dumps(receipt).encode()


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command; return its exit code, and what it printed. A traceback would be an exception here."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    monkeypatch.setattr("builtins.input", lambda question: "n")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = 0
        try:
            main(list(arguments))
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        assert not OBEYED.search(out), out
        assert not OBEYED.search(err), err
        assert err.count("\n") <= 1
        return code, out, err

    return run


@given(content=spoiled())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_receipt_trips_a_command_and_none_reaches_the_terminal(content, command, tmp_path):
    clip = tmp_path / "clip.mp4"
    receipt = tmp_path / f"clip.mp4{SUFFIX}"
    receipt.write_bytes(content)
    try:
        read_receipt(content, str(receipt))
        is_read = True
    except MinimaxReceiptError:
        is_read = False
    for output in ("table", "plain", "json", "yaml"):
        code, out, err = command("receipts", "list", str(tmp_path), "-o", output)
        assert (code, "cannot be read" in err) == ((0, False) if is_read else (1, True))
        assert is_read or "unreadable" in out
    for arguments in (["receipts", "show"], ["show"], ["receipts", "show", "-o", "json"], ["show", "-o", "json"]):
        code, out, err = command(*arguments, str(clip))
        assert (code, bool(out), bool(err)) == ((0, True, False) if is_read else (1, False, True))
    command("receipts", "adopt", str(clip), "123", "--no-check")
    receipt.write_bytes(content)
    code, _, err = command("receipts", "forget", str(clip))
    assert (code, err) == (1, "Nothing was deleted.\n")


@given(
    content=spoiled(),
    seen=st.sampled_from(OutputState),
    policy=st.builds(
        Policy,
        on_clear=st.sampled_from(["reuse", "resubmit"]),
        on_orphaned_intent=st.sampled_from(["fail", "resubmit", "adopt"]),
        max_submissions=st.sampled_from([1, 3]),
        overwrite=st.sampled_from([False, True, "changed"]),
    ),
)
@settings(max_examples=100, deadline=None)
def test_a_task_that_finds_any_receipt_goes_on_or_says_why_not(content, seen, policy):
    try:
        receipt = read_receipt(content, "here")
    except MinimaxReceiptError:
        return
    with suppress(MinimaxError):
        decide(receipt, order(), policy, FakeOutput(seen), where="here", now=NOW)
    assert TaskSignature.from_receipt(receipt).is_like(TaskSignature.from_receipt(receipt))
    assert SubmissionWindow.from_receipt(receipt).begin < SubmissionWindow.from_receipt(receipt).end
    clip = DeliveredClip.from_receipt(receipt, LocalDestination(Path("/clips/clip.mp4")))
    delivered_clip = ClipAsset("/clips/clip.mp4", clip.facts_with_origin())
    assert json.dumps(delivered_clip.as_extra())
    shown = {name: value for name, value in clip.facts_with_origin().items() if name != "prompt"}
    assert not OBEYED.search(json.dumps(shown, ensure_ascii=False))
    rewritten = read_receipt(receipt.as_json(), "here")
    assert read_receipt(rewritten.as_json(), "here") == rewritten


@pytest.mark.parametrize("output", ["table", "plain", "json", "yaml"])
def test_a_list_shows_texts_as_they_are(output, command, tmp_path):
    """Neither as markup, nor as emojis, nor as numbers: rich and tabulate would take them for that."""
    words = "see [/x] [red]red[/red] [link=x]y[/link] :boom: \\"
    failure = {"kind": "MinimaxTaskFailedError", "message": words}
    for number, minimax_task_id in enumerate(("0012", "1e5")):
        receipt = failed("1027", minimax_task_id=minimax_task_id).model_copy(update={"failure": failure})
        SidecarStore(f"{tmp_path}/{number}.mp4").write(receipt)
    code, out, _ = command("receipts", "list", str(tmp_path), "-o", output)
    assert code == 0
    if output in ("json", "yaml"):
        rows = json.loads(out) if output == "json" else yaml.safe_load(out)
        assert [(row["minimax_task_id"], row["note"]) for row in rows] == [("0012", f"{words}."), ("1e5", f"{words}.")]
    else:
        # A table folds long texts within their columns.
        assert set(f"{words}.".split()) < set(out.split())
        assert {"0012", "1e5"} < set(out.split())


def test_a_terminal_that_knows_no_chinese_gets_it_written_out(tmp_path, command, monkeypatch):
    import sys
    from io import BytesIO, TextIOWrapper

    SidecarStore(f"{tmp_path}/clip.mp4").write(delivered(request={"prompt": "灯塔"}))
    narrow = TextIOWrapper(BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    main(["show", f"{tmp_path}/clip.mp4"])
    narrow.flush()
    assert b"\\u706f\\u5854" in narrow.buffer.getvalue()


# -- what is no receipt ------------------------------------------------------------------------------------------------

BOMBS = {
    "too deep": b'{"kind": "minimax video receipt", "facts": ' + b"[" * 100_000,
    "deep and whole": b'{"kind": "minimax video receipt", "facts": ' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    "an endless number": b'{"kind": "minimax video receipt", "size": ' + b"9" * 100_000 + b"}",
    "no number": submitted().as_json().replace(b'"try_number": 1', b'"try_number": NaN'),
    "infinity": submitted().as_json().replace(b'"facts": null', b'"facts": {"width": Infinity}'),
    "two tasks": submitted().as_json().replace(b'"minimax_task_id"', b'"minimax_task_id": "T0", "minimax_task_id"'),
    "too large": submitted().as_json() + b" " * LARGEST,
    "no text": b"\xff\xfe\x00\xd8" * 10,
    "empty": b"",
    "a new schema": submitted().as_json().replace(b'"schema": 1', b'"schema": ' + b"9" * 4_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_cannot_be_a_receipt_is_an_error_of_ours(bomb, tmp_path, command):
    assert BOMBS[bomb] != submitted().as_json()
    (tmp_path / f"clip.mp4{SUFFIX}").write_bytes(BOMBS[bomb])
    with pytest.raises(MinimaxReceiptError) as raised:
        SidecarStore(str(tmp_path / "clip.mp4")).read()
    assert "so what was bought under it is unknown" in str(raised.value)
    assert len(str(raised.value)) < 1200
    assert command("receipts", "list", str(tmp_path), "-o", "plain")[0] == 1
    assert command("receipts", "forget", "-y", str(tmp_path / "clip.mp4"))[0] == 0
    assert SidecarStore(str(tmp_path / "clip.mp4")).read() is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_receipt_that_an_editor_saved_in_another_encoding_is_read(encoding):
    receipt = submitted()
    assert read_receipt(receipt.as_json().decode().encode(encoding), "here") == receipt


def _pipe(path: str) -> None:
    os.mkfifo(path)


def _listener(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


OTHERS = {
    "a pipe": _pipe,
    "a folder": os.mkdir,
    "a socket": _listener,
    "a link to a device": lambda path: os.symlink("/dev/zero", path),
    "a link to a pipe": lambda path: (os.mkfifo(f"{path}.pipe"), os.symlink(f"{path}.pipe", path)),
    "a link to nothing": lambda path: os.symlink("/no/such/file", path),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_file_is_an_error_at_once(other, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)  # the path of a socket is limited
    OTHERS[other](f"clip.mp4{SUFFIX}")
    with pytest.raises(MinimaxReceiptError, match="is no file|is a link to a file that is not there"):
        SidecarStore(str(tmp_path / "clip.mp4")).read()
    with pytest.raises(MinimaxReceiptError):
        sibling_receipts_of(str(tmp_path / "another.mp4"), datetime(2020, 1, 1, tzinfo=UTC))
    assert command("receipts", "show", str(tmp_path / "clip.mp4"))[0] == 1


def test_a_pipe_in_the_place_of_a_clip_is_another_file(tmp_path, command):
    SidecarStore(f"{tmp_path}/clip.mp4").write(delivered())
    os.mkfifo(tmp_path / "clip.mp4")
    assert "not the file that was delivered" in command("receipts", "show", f"{tmp_path}/clip.mp4")[1]


def test_of_an_object_no_more_is_read_than_a_receipt_can_have(monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    attach("memory", fs=memory)
    memory.pipe_file("/b/clip.mp4" + SUFFIX, submitted().as_json() + b" " * (5 * LARGEST))
    read = []
    cat_file = type(memory).cat_file

    def counted(self, path, start=None, end=None, **options):
        read.append(cat_file(self, path, start=start, end=end, **options))
        return read[-1]

    monkeypatch.setattr(type(memory), "cat_file", counted)
    with pytest.raises(MinimaxReceiptError, match="no receipt has"):
        SidecarStore("memory://b/clip.mp4").read()
    assert [len(content) for content in read] == [LARGEST + 1]


@pytest.mark.parametrize("content", [b"", submitted().as_json() + b" " * LARGEST], ids=["empty", "too large"])
def test_so_it_is_on_s3(content, s3_bucket):
    s3_bucket.put(f"clip.mp4{SUFFIX}", content)
    with pytest.raises(MinimaxReceiptError):
        SidecarStore(s3_bucket.url("clip.mp4")).read()


def test_a_list_is_bounded_and_links_lead_nowhere(tmp_path, command, monkeypatch):
    monkeypatch.setattr(storage, "MOST", 3)
    for number in range(3):
        SidecarStore(f"{tmp_path}/a/{number}.mp4").write(submitted())
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    assert command("receipts", "list", str(tmp_path), "-o", "plain")[0] == 0
    SidecarStore(f"{tmp_path}/b.mp4").write(submitted())
    code, out, err = command("receipts", "list", str(tmp_path), "-o", "plain")
    assert (code, out) == (1, "")
    assert "has more than 3 receipts; choose a subfolder" in err
