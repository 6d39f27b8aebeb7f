"""
Clips that a person approves before they are published; if they are rejected, nothing is published.

Buys two clips. Answer the question on the page of the task `approve`, or under *Required Actions*. Needs Airflow 3.1 or
later and the extra `media`.
"""

# [START howto_approval]
import os
from collections.abc import Iterable

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")
PROMPTS = [
    "The sun rises over misty hills. [Static shot]",
    "The sun rises over misty hills, golden light fills the valleys. [Pan right]",
]
A_WEEK = 7 * 24 * 3600


def address(path: str) -> str | None:
    """Return a URL that a browser can open for a week; files on a worker's own disk have none."""
    try:
        return ObjectStoragePath(path).sign(expiration=A_WEEK)
    except NotImplementedError:
        return None


def link(text: str, path: str) -> str:
    """Return a Markdown link, or the path if there is no URL."""
    url = address(path)
    return f"[{text}]({url})" if url else f"{text}: `{path}`"


with DAG(
    "minimax_approval",
    description="Clips that a person approves before they are published.",
    doc_md=__doc__,
    params={"folder": Param(FOLDER, type="string", description="Where drafts/ and published/ are.")},
    tags=["minimax", "example"],
) as dag:
    generate = MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        retries=3,  # a retry resumes with the clip that was bought
        wait_for_completion=True,
        deferrable=True,
        output_path="{{ params.folder }}/drafts/",  # a folder: each clip gets its own name
        check="full",
        preview=True,
    ).expand(prompt=PROMPTS)

    # One refused prompt does not hold up the other clips: the sheet shows it as failed, the rest continues.
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
    def describe(clips: list[dict], sheet: dict) -> str:
        """Describe in Markdown what there is to approve."""
        lines = [link("All clips on one sheet", sheet["output_path"]), "", "| | Prompt | Clip |", "|---|---|---|"]
        for clip in clips:
            poster = clip["previews"] and address(clip["previews"]["poster"])
            picture = f"![poster]({poster})" if poster else ""
            facts = f"{clip['duration']:.0f} s, {clip['width']}x{clip['height']}"
            # Use the prompt of each clip: if one was refused, PROMPTS has more entries than there are clips.
            lines.append(f"| {picture} | {clip['prompt']} | {link(facts, clip['output_path'])} |")
        lines += [f"| | | no clip: `{failed}` failed |" for failed in sheet["failed"]]
        return "\n".join(lines)

    clips = drafts(generate.output)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish these clips?",
        body=describe(clips, sheet.output),
    )

    @task
    def publish(clips: list[dict], params: dict) -> None:
        """Copy the clips to where they are published."""
        published = ObjectStoragePath(params["folder"]) / "published"
        published.fs.makedirs(published.path, exist_ok=True)
        for clip in clips:
            draft = ObjectStoragePath(clip["output_path"])
            draft.copy(published / draft.name)

    approve >> publish(clips)
# [END howto_approval]
