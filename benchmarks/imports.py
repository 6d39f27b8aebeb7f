"""What a DAG file pays for importing a provider: wall time on top of ``airflow.sdk``, each time in a fresh process."""

from __future__ import annotations

import json
import sys
import time

from lab import Row, child, interleaved, middle, say
from systems import PEERS, is_installed

LIMIT_MS = 0.5
FLOOR = "two empty classes"
STATEMENTS = {
    "nothing": "pass",
    FLOOR: """
from airflow.sdk import BaseOperator, BaseSensorOperator
class Operator(BaseOperator):
    def __init__(self, **kwargs): super().__init__(**kwargs)
class Sensor(BaseSensorOperator):
    def __init__(self, **kwargs): super().__init__(**kwargs)
""",
    "ours": "import airflow_provider_minimax.operators.video, airflow_provider_minimax.sensors.video",
    "databricks": "import airflow.providers.databricks.operators.databricks",
    "openai": "import airflow.providers.openai.operators.openai",
    "anthropic": "import airflow.providers.anthropic.operators.batch",
}


def measure(env: dict[str, str], rounds: int) -> list[Row]:
    names = [name for name in STATEMENTS if is_installed(name)]
    runs = interleaved(names, rounds, lambda name, _: child("imports.py", name, env=env), warm=True)
    for name in names:
        walls = [run["ms"] for run in runs[name]]
        say(
            f"  import {name}: {middle(runs[name], 'ms'):.2f} ms ({min(walls):.2f}..{max(walls):.2f}), "
            f"{middle(runs[name], 'modules'):.0f} modules"
        )
    ours = middle(runs["ours"], "ms")
    peers = ", ".join(f"{name} {middle(runs[name], 'ms'):.0f} ms" for name in names if name in PEERS)
    return [
        Row(
            f"Importing operators and sensor on top of `airflow.sdk`: ≤ {LIMIT_MS:g} ms",
            f"{ours:.2f} ms, {middle(runs['ours'], 'modules'):.0f} modules; {FLOOR} "
            f"{middle(runs[FLOOR], 'ms'):.2f} ms" + (f"; {peers}" if peers else ""),
            ours <= LIMIT_MS,
        )
    ]


def _child(name: str) -> None:
    from airflow.sdk import DAG, BaseOperator  # noqa: F401 - every DAG file has done this before

    code = compile(STATEMENTS[name], "dag.py", "exec")
    before, start = len(sys.modules), time.perf_counter()
    exec(code, {})
    took = time.perf_counter() - start
    print()
    print(json.dumps({"ms": 1000 * took, "modules": len(sys.modules) - before}))


if __name__ == "__main__":
    _child(sys.argv[1])
