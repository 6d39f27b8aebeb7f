"""
A rewritten prompt, a 768P draft of MiniMax-H3, and the same clip in 2K.

Buys all three. Needs the extra `media`.
"""

# [START howto_h3_2k]
import os

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")

with DAG(
    "minimax_h3_2k",
    description="A rewritten prompt, a 768P draft of MiniMax-H3, and the same clip in 2K.",
    doc_md=__doc__,
    params={
        "prompt": Param("A paper boat crosses a puddle; rain, distant thunder.", type="string", minLength=1),
        "folder": Param(FOLDER, type="string", description="Where the clips go."),
    },
    tags=["minimax", "example"],
) as dag:
    output_path = "{{ params.folder }}/{{ run_id | replace(':', '-') }}"
    rewrite = MinimaxPromptRewriteOperator(
        task_id="rewrite",
        prompt="{{ params.prompt }}",
        duration=5,
        ratio="16:9",
        deferrable=True,
    )
    draft = MinimaxVideoGenerationOperator(
        task_id="draft",
        model="MiniMax-H3",
        prompt=rewrite.output,
        resolution="768P",
        duration=5,
        ratio="16:9",
        wait_for_completion=True,
        deferrable=True,
        output_path=f"{output_path}-768p.mp4",
    )
    # To have a person review the draft first, see the page on approval.
    MinimaxVideoRegenerationOperator(
        task_id="final",
        base_video=draft.output["output_path"],  # needs the extra [media]
        prompt=rewrite.output,  # everything that the draft was made from, exactly as it was sent then
        wait_for_completion=True,
        deferrable=True,
        output_path=f"{output_path}-2k.mp4",
    )
# [END howto_h3_2k]

if __name__ == "__main__":
    dag.test()
