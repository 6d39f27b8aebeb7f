"""Where receipts are kept: next to the output on any storage, and in Airflow's store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import fsspec
import pytest
from airflow.sdk.io import attach

from airflow_provider_minimax.exceptions import MinimaxReceiptError, MinimaxReceiptStoreError
from airflow_provider_minimax.purchases.receipt import Phase
from airflow_provider_minimax.purchases.stores import STATE_KEY, SUFFIX, SidecarStore, StateStore
from tests.fakes import HAS_STORE, FakeStore
from tests.receipts.samples import OTHER, delivered, intent, submitted

KINDS = ["path", "file", "memory", *(["store"] if HAS_STORE else [])]


@pytest.fixture
def memory():
    """Storage without renaming or exclusive creation of its own, as object stores are."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    attach("memory", fs=storage)
    return storage


@pytest.fixture
def home_at(tmp_path, memory):
    store = FakeStore()
    places = {
        "path": str(tmp_path / "clip.mp4"),
        "file": f"file://{tmp_path}/clip.mp4",
        "memory": "memory://b/clip.mp4",
    }
    return lambda kind: StateStore(store) if kind == "store" else SidecarStore(places[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_receipt_is_found_by_the_next_process(kind, home_at):
    assert home_at(kind).read() is None
    assert home_at(kind).create(intent())
    assert home_at(kind).read().phase is Phase.INTENT
    home_at(kind).write(delivered())
    assert home_at(kind).read().phase is Phase.DELIVERED
    home_at(kind).erase()
    assert home_at(kind).read() is None
    home_at(kind).erase()


@pytest.mark.parametrize("kind", KINDS)
def test_a_receipt_that_is_there_is_not_created_over(kind, home_at):
    assert home_at(kind).create(submitted(owner=OTHER))
    assert not home_at(kind).create(intent())
    assert home_at(kind).read().owner == OTHER


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
@pytest.mark.parametrize("content", [b"", b'{"kind": "minimax video rec', b"not ours"])
def test_what_cannot_be_read_is_an_error_on_every_storage(kind, content, home_at, memory, tmp_path):
    if kind == "memory":
        memory.pipe_file(f"/b/clip.mp4{SUFFIX}", content)
    else:
        (tmp_path / f"clip.mp4{SUFFIX}").write_bytes(content)
    with pytest.raises(MinimaxReceiptError, match=r"clip\.mp4\.receipt\.json"):
        home_at(kind).read()


def test_so_it_is_in_the_store():
    store = FakeStore()
    store.set("minimax_receipt", {"task_id": "T1"})
    with pytest.raises(MinimaxReceiptError, match="in the task state store was not written by this provider"):
        StateStore(store).read()


def test_a_sidecar_is_named_after_its_clip(tmp_path):
    SidecarStore(str(tmp_path / "a" / "clip.mp4")).create(intent())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["clip.mp4.receipt.json"]


def test_one_of_many_writers_creates_it(tmp_path):
    """On a local disk creation is exclusive, and nobody ever reads half a receipt."""
    homes = [SidecarStore(str(tmp_path / "clip.mp4")) for _ in range(16)]
    assert not homes[0].create_may_race
    start = threading.Barrier(len(homes))
    created, read = [], []

    def write(home):
        start.wait()
        created.append(home.create(intent()))
        read.append(home.read())

    threads = [threading.Thread(target=write, args=[home]) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert created.count(True) == 1
    assert len({receipt.attempt for receipt in read}) == 1


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    home = SidecarStore(str(tmp_path / "clip.mp4"))
    assert home.create(intent())
    assert not home.create(intent())
    assert home.read() is not None


def test_a_write_that_breaks_off_leaves_the_old_receipt(tmp_path, monkeypatch):
    home = SidecarStore(str(tmp_path / "clip.mp4"))
    home.create(submitted())

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MinimaxReceiptStoreError, match=r"cannot be written: OSError: .*No space left"):
        home.write(delivered())
    assert home.read().phase is Phase.SUBMITTED
    assert len(list(tmp_path.iterdir())) == 1


class BrokenStorage:
    """A storage that answers every call with the same error."""

    def __getattr__(self, name):
        def fail(*_, **__):
            raise ConnectionError(f"{name} failed at https://bucket.example/x?X-Amz-Signature=secret")

        return fail


@pytest.mark.parametrize("call", ["read", "create", "write", "erase"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in ("memory", "store")])
def test_a_storage_that_fails_is_an_error_that_keeps_its_secrets(call, kind, memory):
    if kind == "memory":
        home = SidecarStore("memory://b/clip.mp4")
        home._storage = BrokenStorage()
    else:
        home = StateStore(BrokenStorage())
    with pytest.raises(MinimaxReceiptStoreError) as raised:
        getattr(home, call)(*([intent()] if call in ("create", "write") else []))
    assert "ConnectionError" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_read_only_place_is_named(tmp_path, monkeypatch):
    def read_only(self, *_, **__):
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(MinimaxReceiptStoreError, match=r"clip\.mp4\.receipt\.json cannot be written.*Read-only"):
        SidecarStore(str(tmp_path / "clip.mp4")).create(intent())


@pytest.mark.skipif(not HAS_STORE, reason="the task state store came with Airflow 3.3")
def test_the_store_is_asked_to_keep_receipts_for_good():
    from airflow.sdk import NEVER_EXPIRE

    kept = {}

    class Store(FakeStore):
        def set(self, key, value, *, retention=None):
            kept[key] = retention

    StateStore(Store()).write(intent())
    assert kept == {STATE_KEY: NEVER_EXPIRE}
