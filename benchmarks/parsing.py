"""
What a DAG file pays for operators: CPU time on top of ``airflow.sdk``, each time in a fresh process.

``python benchmarks/parsing.py --rounds 15`` prints the figures with their goals.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lab import Row, Runs, child, interleaved, middle, ratio, say, table
from systems import PEERS, is_installed

COUNT = 500
MOST_MODULES = 8
FLOOR = "two empty classes"
OURS, BASH = "ours", "BashOperator"
FIRST_OF_OURS, FIRST_BASH = "first of ours", "first BashOperator"
MANY_OF_OURS, MANY_BASH = f"{COUNT} of ours", f"{COUNT} BashOperators"

_OURS = "from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator as Operator\n"
_BASH = "from airflow.providers.standard.operators.bash import BashOperator as Operator\n"
_MAKE_OURS = (
    "Operator(task_id=f't{n}', model='MiniMax-Hailuo-2.3', prompt='a boat', deferrable=True, "
    "output_path='/clips/{{ run_id }}.mp4')\n"
)
_MAKE_BASH = "Operator(task_id=f't{n}', bash_command='echo boat')\n"
_DAG = "with DAG('d'):\n"


@dataclass(frozen=True)
class Case:
    """
    Something that a DAG file does.

    :param code: what is measured.
    :param before: what was done before.
    """

    code: str
    before: str = ""


CASES = {
    "nothing": Case("pass"),
    FLOOR: Case("""
from airflow.sdk import BaseOperator, BaseSensorOperator
class Operator(BaseOperator):
    def __init__(self, **kwargs): super().__init__(**kwargs)
class Sensor(BaseSensorOperator):
    def __init__(self, **kwargs): super().__init__(**kwargs)
"""),
    OURS: Case("import airflow_provider_minimax.operators.video, airflow_provider_minimax.sensors.video"),
    "databricks": Case("import airflow.providers.databricks.operators.databricks"),
    "openai": Case("import airflow.providers.openai.operators.openai"),
    "anthropic": Case("import airflow.providers.anthropic.operators.batch"),
    FIRST_OF_OURS: Case(f"n = 0\n{_DAG} {_MAKE_OURS}", _OURS),
    FIRST_BASH: Case(f"n = 0\n{_DAG} {_MAKE_BASH}", _BASH),
    MANY_OF_OURS: Case(f"{_OURS}{_DAG} for n in range({COUNT}):\n  {_MAKE_OURS}"),
    MANY_BASH: Case(f"{_BASH}{_DAG} for n in range({COUNT}):\n  {_MAKE_BASH}"),
}


def measure(env: Mapping[str, str], rounds: int) -> list[Row]:
    """
    Run all cases in turn, and return how ours stand to their goals.

    :param env: the environment of the processes.
    :param rounds: how often each case is run.
    """
    names = [name for name in CASES if name not in PEERS or is_installed(name)]
    runs = interleaved(names, rounds, lambda name, _: child("parsing.py", name, env=env), warm=True)
    for name in names:
        each = [run["ms"] for run in runs[name]]
        say(
            f"  {name}: {middle(runs[name], 'ms'):.2f} ms ({min(each):.2f}..{max(each):.2f}), "
            f"{middle(runs[name], 'modules'):.0f} modules"
        )
    peers = "".join(f"; {name} {middle(runs[name], 'ms'):.0f} ms" for name in names if name in PEERS)
    # Two empty classes load a module of Python's own.
    modules = middle(runs[OURS], "modules") - middle(runs[FLOOR], "modules")
    return [
        _row(runs, "Importing operators and sensor on top of `airflow.sdk`", OURS, FLOOR, 3.0, peers),
        Row(f"The same: ≤ {MOST_MODULES} modules", f"{modules:.0f}", modules <= MOST_MODULES),
        _row(runs, "The first operator of a parse", FIRST_OF_OURS, FIRST_BASH, 2.0),
        _row(runs, f"A DAG file of {COUNT} operators", MANY_OF_OURS, MANY_BASH, 1.3),
    ]


def _row(runs: Runs, what: str, name: str, to: str, limit: float, more: str = "") -> Row:
    times = ratio(runs, name, to, "ms")
    figures = f"{times:.2f} × ({middle(runs[name], 'ms'):.2f} ms; {to} {middle(runs[to], 'ms'):.2f} ms{more})"
    return Row(f"{what}: ≤ {limit:g} × {to}", figures, times <= limit)


def _child(name: str) -> None:
    from airflow.sdk import DAG, BaseOperator  # noqa: F401 - every DAG file has done this before

    case, names = CASES[name], {"DAG": DAG}
    exec(case.before, names)
    code = compile(case.code, "dag.py", "exec")
    before, start = len(sys.modules), time.process_time()
    exec(code, names)
    took = time.process_time() - start
    print()
    print(json.dumps({"ms": 1000 * took, "modules": len(sys.modules) - before}))


def _main() -> None:
    parser = argparse.ArgumentParser(description="What a DAG file pays for operators.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default: %(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-airflow-") as home:
        env = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONDONTWRITEBYTECODE": ""}
        print(table(measure({**os.environ, **env}, rounds)))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in CASES:
        _child(sys.argv[1])
    else:
        _main()
