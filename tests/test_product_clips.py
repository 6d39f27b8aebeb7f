"""The recipe for nightly product clips: whole nights on real Airflow; the person's approval is taken as given."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLE_DAGS, HAS_APPROVALS, load_dags

pytestmark = [
    pytest.mark.usefixtures("airflow_db"),
    pytest.mark.skipif(not HAS_APPROVALS, reason="before Airflow 3.1 nobody can be asked for an approval"),
]
NAME = "minimax_product_clips"
CATALOGUE = EXAMPLE_DAGS / "minimax_product_catalogue.csv"
PRICE = 0.28


@pytest.fixture
def night(connect, minimax_emulator, tmp_path, monkeypatch) -> Callable[[Path], dict[str, Any]]:
    """Run one night for a catalogue; return what each task returned, and the names of the mapped ones."""
    monkeypatch.setattr("airflow_provider_minimax.polling.schedule.LearnedSchedule.delay", lambda *_: 0.05)
    connect()
    minimax_emulator.configure(polls=1)

    def run(catalogue: Path) -> dict[str, Any]:
        params = {"folder": str(tmp_path), "catalogue": str(catalogue)}
        done = load_dags(NAME)[NAME].test(run_conf=params, mark_success_pattern="approve")
        assert str(done.state) == "success"
        instances = done.get_task_instances()
        returned = {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in instances if ti.map_index < 0}
        return returned | {"names": sorted(ti.rendered_map_index for ti in instances if ti.task_id == "generate")}

    return run


@pytest.fixture
def catalogue_of(tmp_path) -> Callable[..., Path]:
    """Write a catalogue of SKUs and their prompts, as Excel does."""

    def write(**products: str) -> Path:
        path = tmp_path / "catalogue.csv"
        lines = ["sku,picture,prompt", *(f'{sku},,"{prompt}"' for sku, prompt in products.items())]
        path.write_text("\r\n".join(lines), "utf-8-sig", newline="")
        return path

    return write


def test_every_product_of_the_catalogue_gets_a_clip_of_its_picture_under_its_own_name(
    night, minimax_emulator, tmp_path
):
    with CATALOGUE.open(newline="") as file:
        products = list(csv.DictReader(file))
    seen = night(CATALOGUE)
    names = sorted(f"{product['sku']}.mp4" for product in products)
    assert seen["names"] == sorted(path.name for path in (tmp_path / "published").iterdir()) == names
    assert seen["cost"] == {"USD": round(PRICE * len(products), 2)}
    assert [f"| {product['prompt']} | `{tmp_path}/drafts/{product['sku']}.mp4` |" for product in products] == [
        line for line in seen["describe"].splitlines() if line.endswith(".mp4` |")
    ]
    bought = [purchase["body"].get("first_frame_image", "") for purchase in minimax_emulator.purchases]
    assert sorted(bought) == sorted(product["picture"] for product in products)


def test_a_refused_prompt_keeps_nobody_from_the_others_and_costs_nothing(
    night, catalogue_of, minimax_emulator, tmp_path
):
    minimax_emulator.fault("base_resp", operation="submit", code=1026, containing="forbidden")
    seen = night(catalogue_of(mug="Steam rises.", knife="What is forbidden.", boat="A boat sails."))
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == ["boat.mp4", "mug.mp4"]
    assert "| What is forbidden. | **none:** `generate[1]` failed |" in seen["describe"]
    assert f"Bought tonight for {2 * PRICE:.2f} USD." in seen["describe"]
    assert len(minimax_emulator.purchases) == 2


def test_the_next_night_buys_only_what_changed(night, catalogue_of, minimax_emulator):
    night(catalogue_of(mug="Steam rises.", boat="A boat\nsails."))
    seen = night(catalogue_of(mug="Steam rises.", boat="The boat arrives."))
    assert [purchase["body"]["prompt"] for purchase in minimax_emulator.purchases[2:]] == ["The boat arrives."]
    assert seen["cost"] == {"USD": PRICE}
    assert night(catalogue_of(mug="Steam rises.", boat="The boat arrives."))["cost"] == {}
    assert len(minimax_emulator.purchases) == 3
