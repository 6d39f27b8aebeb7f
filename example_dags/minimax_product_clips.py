"""
A clip for each product of a catalogue, every night, published once a person has approved them.

The catalogue is a CSV file with the columns `sku`, `picture` and `prompt`. A product whose row has not changed since
its clip was made costs nothing. One refused prompt does not hold up the other clips: the sheet and the question show it
as failed. Needs Airflow 3.1 or later and the extra `media`.
"""

# [START howto_product_clips]
import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

CATALOGUE = Path(__file__).with_name("minimax_product_catalogue.csv")
FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")


def link(path: str) -> str:
    """Return a link that a browser can open for a day, or the path of a file on a worker's own disk."""
    try:
        return f"[{Path(path).name}]({ObjectStoragePath(path).sign(expiration=24 * 3600)})"
    except NotImplementedError:
        return f"`{path}`"


with DAG(
    "minimax_product_clips",
    description="A clip for each product of a CSV file, every night, published once a person has approved them.",
    doc_md=__doc__,
    schedule="0 2 * * *",
    max_active_runs=1,  # two nights would write the same files
    params={
        "catalogue": Param(str(CATALOGUE), type="string", description="A CSV file: sku, picture, prompt."),
        "folder": Param(f"{FOLDER}/products", type="string", description="Where drafts/ and published/ are."),
    },
    tags=["minimax", "example"],
) as dag:

    @task
    def products(params: dict) -> list[dict]:
        """Return the arguments of each product's clip."""
        text = ObjectStoragePath(params["catalogue"]).read_bytes().decode("utf-8-sig")  # Excel writes a BOM
        return [
            {
                "prompt": row["prompt"],
                "first_frame_image": row["picture"] or None,
                "output_path": f"{params['folder']}/drafts/{row['sku']}.mp4",
            }
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]

    rows = products()
    generate = MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        map_index_template="{{ task.output_path.rpartition('/')[2] }}",  # the UI shows coffee-cup.mp4, not 0
        model="MiniMax-Hailuo-2.3",
        overwrite="changed",  # buys only for new or changed products
        deferrable=True,
        check="full",
        retries=3,  # a retry resumes with the clip that was bought
    ).expand_kwargs(rows)

    sheet = MinimaxContactSheetOperator(
        task_id="sheet",
        clips=generate.output,
        output_path="{{ params.folder }}/drafts/{{ run_id | replace(':', '-') }}.jpg",
    )

    @task(trigger_rule="all_done_min_one_success")
    def drafts(clips: Iterable[dict]) -> list[dict]:
        """Return the clips that exist, so that the tasks after this one need no trigger rule."""
        return list(clips)

    @task
    def cost(clips: list[dict], run_id: str) -> dict[str, float]:
        """Add up what tonight's clips cost; those of earlier nights are already paid for."""
        spent: Counter[str] = Counter()
        for clip in clips:
            manifest = json.loads(ObjectStoragePath(f"{clip['output_path']}.receipt.json").read_text())
            if manifest["owner"]["run_id"] == run_id and (price := clip["cost"]):
                spent[price.get("currency") or price["unit"]] += price["amount"]
        return {currency: round(amount, 2) for currency, amount in spent.items()}

    @task
    def describe(rows: list[dict], clips: list[dict], sheet: dict, spent: dict[str, float]) -> str:
        """Describe in Markdown what there is to approve, what is missing, and what it cost."""
        clip_of = {clip["map_index"]: clip for clip in clips}  # rows that failed are not in the list
        lines = [f"All clips on one sheet: {link(sheet['output_path'])}", "", "| Prompt | Clip |", "|---|---|"]
        for index, row in enumerate(rows):
            shown = link(clip_of[index]["output_path"]) if index in clip_of else f"**none:** `generate[{index}]` failed"
            lines.append(f"| {' '.join(row['prompt'].split())} | {shown} |")
        bought = ", ".join(f"{amount:.2f} {currency}" for currency, amount in spent.items())
        return "\n".join([*lines, "", f"Bought tonight for {bought or 'nothing'}."])

    clips = drafts(generate.output)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish tonight's product clips?",
        body=describe(rows, clips, sheet.output, cost(clips)),
    )

    @task
    def publish(clips: list[dict], params: dict) -> None:
        """Copy the clips to where the shop reads them."""
        published = ObjectStoragePath(params["folder"]) / "published"
        published.fs.makedirs(published.path, exist_ok=True)
        for clip in clips:
            draft = ObjectStoragePath(clip["output_path"])
            draft.copy(published / draft.name)

    approve >> publish(clips)
# [END howto_product_clips]

if __name__ == "__main__":
    dag.test()
