"""
The documentation as it is read: the pages are built, and what their blocks show is run.

A whole DAG runs to its end as pasted, against the emulator; other Python runs as far as it goes by itself; commands are
taken by the programs that they call.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import airflow.sdk
import httpx
import pytest
from airflow.sdk import DAG
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.callbacks import address
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from tests.conftest import ASK_A_PERSON, EXAMPLE_DAGS, HAS_APPROVALS, load_dags, load_file

pytestmark = pytest.mark.xdist_group("docs")
ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
# Made from docstrings, which takes long; `make docs` builds them too.
# By these, clients trust an authority of one's own.
TRUST = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
FROM_DOCSTRINGS = [path.relative_to(DOCS) for path in DOCS.glob("reference/*.rst") if "auto" in path.read_text()]
HAS_RETRY_POLICIES = hasattr(airflow.sdk, "RetryPolicy")


@dataclass(frozen=True)
class Block:
    """One block of code on a page, as its reader sees and copies it."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0]} …"

    @property
    def is_dag(self) -> bool:
        return self.language == "python" and "with DAG(" in self.text

    @property
    def is_test(self) -> bool:
        """Whether it is part of the small project with tests, which runs as a whole."""
        return self.language == "python" and ("def test_" in self.text or "import pytest" in self.text)

    @property
    def runs_here(self) -> bool:
        """Whether this version of Airflow has what it needs."""
        came_with_3_3 = any(name in self.text for name in ("RetryPolicy", "MinimaxClipsTrigger"))
        return (HAS_APPROVALS or "hitl" not in self.text) and (HAS_RETRY_POLICIES or not came_with_3_3)


def blocks_of_readme() -> Iterator[Block]:
    for name in ("README.md", "CONTRIBUTING.md"):
        for token in MarkdownIt().parse((ROOT / name).read_text()):
            if token.type == "fence":
                yield Block(name, token.info, token.content)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The pages as HTML."""
    folder = tmp_path_factory.mktemp("docs")
    left_out = ",".join(["_build", "examples", *map(str, FROM_DOCSTRINGS)])
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-D", f"exclude_patterns={left_out}", DOCS, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def blocks(built) -> list[Block]:
    """All blocks of the built pages, and of README and CONTRIBUTING."""
    found = list(blocks_of_readme())
    for path in sorted(built.rglob("*.html")):
        page = str(path.relative_to(built).with_suffix(""))
        for block in BeautifulSoup(path.read_text(), "html.parser").select("div[class^=highlight-]"):
            language = block["class"][0].removeprefix("highlight-")
            found.append(Block(page, language, block.pre.get_text()))
    return found


def whole_dags(blocks: list[Block]) -> list[Block]:
    """Return the blocks that show a whole DAG, each once."""
    return list({block.text: block for block in blocks if block.is_dag}.values())


def test_the_first_page_shows_a_finished_run_and_a_contact_sheet_and_its_code_can_be_copied(built):
    page = BeautifulSoup((built / "index.html").read_text(), "html.parser")
    pictures = [picture["src"] for picture in page.select("article img")]
    assert pictures == ["_images/finished-run.png", "_images/contact-sheet.jpg"]
    assert all((built / picture).exists() for picture in pictures)
    assert page.select("script[src^='_static/copybutton.js']")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_of_the_docs_parses(path):
    assert load_file(path)


def test_every_whole_dag_parses_as_it_is_pasted(blocks, tmp_path):
    pasted = [block for block in whole_dags(blocks) if block.runs_here]
    assert len(pasted) > 15
    for number, block in enumerate(pasted):
        path = tmp_path / f"pasted_{number}.py"
        path.write_text(block.text)
        try:
            assert load_file(path)
        except Exception as error:
            raise AssertionError(f"{block} does not parse: {error!r}") from error


def test_the_ten_lines_are_the_same_everywhere_and_write_where_everybody_may(blocks):
    shown = {block.text.strip() for block in blocks if 'DAG("paper_boat")' in block.text}
    assert {block.page for block in blocks if block.text.strip() in shown} >= {"README.md", "index", "howto/operator"}
    assert len(shown) == 1
    assert 'output_path="/tmp/' in shown.pop()


@pytest.fixture
def pasted(connect, minimax_emulator, s3_bucket, tmp_path, monkeypatch) -> Callable[[Block], str]:
    """Return a block's code, with what it names in place: an account, files below the test's folder, buckets."""
    from airflow.sdk.io import attach
    from airflow.sdk.io.store import _STORE_CACHE
    from PIL import Image

    # The pace of the pages is that for real clips.
    monkeypatch.setattr("airflow_provider_minimax.polling.schedule.LearnedSchedule.delay", lambda *_: 0.05)
    connect()
    # Nobody listens where callbacks would go.
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", "a secret of these tests")
    address._keys.cache_clear()
    minimax_emulator.configure(polls=1, callbacks="ignored")
    monkeypatch.delitem(_STORE_CACHE, "s3-my_aws_conn", raising=False)
    storage = s3_bucket.server.storage
    attach("s3", "my_aws_conn", fs=storage)
    for bucket in ("clips", "my-bucket", "pictures", "bucket"):
        storage.makedirs(bucket, exist_ok=True)
    picture = Image.new("RGB", (640, 360))
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    picture.save(tmp_path / "data/pictures/keeper.webp")
    picture.save(tmp_path / "picture.png")
    for name in ("boat", "lighthouse-by-day", "lighthouse-by-night"):
        storage.put_file(str(tmp_path / "picture.png"), f"pictures/{name}.png")
    return lambda block: re.sub(r'"/(data|tmp)\b', f'"{tmp_path}/\\1', block.text)


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_db")
def test_every_whole_dag_runs_to_its_end_as_it_is_pasted(blocks, pasted, tmp_path, dags_folder):
    """Those that ask a person take the approval as given."""
    request = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})
    hook = MinimaxHook("minimax_default")
    walk = hook.generate(request, output_path=tmp_path / "data" / "videos" / "walk.mp4")
    with wave.open(str(tmp_path / "voice.wav"), "wb") as voice:
        voice.setparams((1, 2, 8000, 0, "NONE", ""))
        voice.writeframes(bytes(3 * 2 * 8000))
    uploaded = hook.upload(str(tmp_path / "voice.wav"))
    shutil.copy(EXAMPLE_DAGS / "minimax_product_catalogue.csv", dags_folder)
    for number, block in enumerate(block for block in whole_dags(blocks) if block.runs_here):
        name = f"pasted_{number}"
        (dags_folder / f"{name}.py").write_text(re.sub(r"mm_file://\d+", uploaded, pasted(block)))
        conf = {"folder": str(tmp_path / name), "clips": 2, "minimax_task_id": walk["task_id"]}
        for dag in load_dags(name).values():
            done = dag.test(run_conf=conf, mark_success_pattern="approve")
            assert str(done.state) == "success", block


@pytest.mark.usefixtures("airflow_db")
def test_every_part_of_a_dag_and_every_call_is_what_the_code_takes(blocks, pasted, minimax_emulator):
    """What comes after a line of ``...`` needs what stands for it, and is only compiled."""
    parts = [block for block in blocks if block.language == "python" and not (block.is_dag or block.is_test)]
    assert len(parts) > 10
    given = {
        "emulator": minimax_emulator,
        "prompts": ["A boat."],
        "minimax_task_id": "900000000000001",
        "self": SimpleNamespace(defer=lambda *, trigger, method_name: None),
    }
    for block in parts:
        if not block.runs_here:
            continue
        code = ast.parse(pasted(block))
        dots = [n for n, line in enumerate(code.body) if ast.unparse(line) == "..."]
        runs = ast.Module(code.body[: dots[0]] if dots else code.body, [])
        try:
            with DAG("parts"):
                draft = MinimaxVideoGenerationOperator(task_id="draft", model="MiniMax-Hailuo-2.3", prompt="A boat.")
                exec(compile(runs, str(block), "exec"), given | {"draft": draft})
        except Exception as error:
            raise AssertionError(f"{block} does not run: {error!r}") from error
        minimax_emulator.clear_faults()


@pytest.mark.slow
def test_the_docs_way_to_test_ones_own_dags_works(blocks, tmp_path):
    """The docs' small project is run as its readers would run it: in a pytest of its own."""
    conftest, dag, tests = [block.text for block in blocks if block.page == "emulator" and block.language == "python"][
        :3
    ]
    (tmp_path / "dags").mkdir()
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "dags" / "paper_boat.py").write_text(dag)
    (tmp_path / "test_paper_boat.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", tmp_path, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def commands(block: Block) -> Iterator[list[str]]:
    """Return a block's commands in words, without variables before them and what they are piped into."""
    lines = block.text.splitlines()
    if block.language == "console" and any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    whole = ""
    for line in lines:
        whole += line.removesuffix("\\") + ("" if line.endswith("\\") else "\n")
        if line.endswith("\\"):
            continue
        try:
            words = shlex.split(whole, comments=True)
        except ValueError:  # a quotation that goes on
            continue
        whole = ""
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        if words:
            yield words[: words.index("|")] if "|" in words else words
    assert not whole.strip(), f"{block} ends within a command"


def check_make(words: list[str], _: Any) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in words if "=" not in word and word not in targets] == []


def check_airflow(words: list[str], _: Any) -> None:
    if words[0] == "minimax":
        check_module(["-m", "airflow_provider_minimax", *words[1:]], _)
    else:
        from airflow.cli.cli_parser import get_parser

        get_parser().parse_args(words)


def check_module(words: list[str], _: Any) -> None:
    from airflow_provider_minimax import __main__
    from airflow_provider_minimax.callbacks import __main__ as callbacks
    from airflow_provider_minimax.emulator import __main__ as emulator

    parsers = {
        "airflow_provider_minimax": __main__._parser,
        "airflow_provider_minimax.callbacks": callbacks._parser,
        "airflow_provider_minimax.emulator": emulator._parser,
    }
    parsers[words[1]]().parse_args(words[2:])


def check_pip(words: list[str], _: Any) -> None:
    from packaging.requirements import Requirement

    for word in words[1:]:
        requirement = Requirement(word.replace(".[", "airflow-provider-minimax[", 1))
        if requirement.name == "airflow-provider-minimax":
            known = importlib.metadata.metadata(requirement.name).get_all("Provides-Extra")
            assert requirement.extras <= set(known)


def check_export(words: list[str], _: Any) -> None:
    name, _, value = words[0].partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AIRFLOW_CONN_SHOWN", value.replace("…", ""))
            MinimaxHook("shown").get_conn()
    else:
        assert name in TRUST or name == "AIRFLOW_HOME" or re.fullmatch("AIRFLOW__[A-Z]+__[A-Z_]+", name)


def check_curl(words: list[str], emulator: Any) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("-X", default="GET")
    parser.add_argument("-d", "--data-binary")
    call = parser.parse_args(words)
    reply = httpx.request(call.X, f"{emulator.url}{urlsplit(call.url).path}", content=call.data_binary)
    # A file of the reader's own is not here; that there is such an address is all that can be known.
    assert reply.is_success or ((call.data_binary or "").startswith("@") and reply.status_code not in (404, 405)), (
        reply.text
    )


def check_npx(words: list[str], _: Any) -> None:
    """Foreign clients are shown in the version that the tests of foreign clients run."""
    name, _, version = next(word for word in words if not word.startswith("-")).partition("@")
    pinned = (path.read_text() for path in (ROOT / "tests" / "foreign").rglob("package.json"))
    assert any(json.loads(text)["dependencies"].get(name) == version for text in pinned)


PROGRAMS = {
    "make": check_make,
    "airflow": check_airflow,
    "python": check_module,
    "pip": check_pip,
    "export": check_export,
    "curl": check_curl,
    "npx": check_npx,
}


def test_every_command_is_one_that_its_program_takes(blocks, minimax_emulator, capsys):
    shells = [block for block in blocks if block.language in ("bash", "console")]
    assert len(shells) > 20
    for block in shells:
        for program, *words in commands(block):
            try:
                PROGRAMS[program](words, minimax_emulator)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{block}: {program} {words}: {error!r} {capsys.readouterr().err}") from error


def test_every_variable_of_make_up_is_in_the_quickstart():
    named = re.findall(r'os\.environ\.get\("(\w+)", [^"]', (ROOT / "scripts" / "up.py").read_text())
    named += re.findall(r'os\.environ\.get\("(\w+)", "\d+"', (ROOT / "scripts" / "up.py").read_text())
    assert len(named) == 5
    page = (DOCS / "quickstart.rst").read_text()
    assert [name for name in named if f"* - ``{name}``" not in page] == []


def test_make_up_has_the_examples_write_below_its_own_folder(tmp_path):
    shown = "import up; print(up.settings()['MINIMAX_EXAMPLES_FOLDER'])"
    environment = {"PATH": os.environ["PATH"], "UP_FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / "clips"


@pytest.mark.parametrize("path", sorted(EXAMPLE_DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_says_what_it_does_and_writes_where_airflows_starter_wants(path, monkeypatch, tmp_path):
    if path.stem in ASK_A_PERSON and not HAS_APPROVALS:
        pytest.skip("before Airflow 3.1 nobody can be asked for an approval")
    monkeypatch.setenv("MINIMAX_EXAMPLES_FOLDER", str(tmp_path))
    (dag,) = load_file(path).values()
    assert dag.description
    assert "needs" in dag.doc_md.lower() or "buys" in dag.doc_md.lower()
    assert dag.params["folder"].startswith(str(tmp_path))


def test_the_architecture_names_files_that_exist():
    page = (DOCS / "architecture.rst").read_text()
    package = ROOT / "airflow_provider_minimax"
    tree = re.findall(r"^ {5}( *)(\S+(?:  \S+)*)(?: {2,}[^ ].*)?$", page[: page.index(".. image::")], re.MULTILINE)
    listed = {f"api/{name}" if indent else name for indent, names in tree for name in names.split("  ")}
    named = set(re.findall(r"``([\w./]+(?:/|\.py|\.toml|\.rst|\.md))``", page))
    assert len(listed) > 15
    assert len(named) > 30
    assert [name for name in listed | named if not ((package / name).exists() or (ROOT / name).exists())] == []


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/ci.yml", "CONTRIBUTING.md"])
def test_every_make_target_that_is_called_exists(path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = re.findall(r"(?:run: |step |^|`)make ([a-z-]+)", (ROOT / path).read_text(), re.MULTILINE)
    assert len(called) > 4
    assert [target for target in called if target not in targets] == []


def test_every_promise_of_never_pay_twice_names_a_test_that_is_there():
    page = (DOCS / "tested-deaths.rst").read_text()
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    named = re.findall(r"``(test_\w+)``", page)
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_reference_says_what_every_parameter_of_the_hook_means(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    tables = importlib.import_module("minimax_tables")
    page = (DOCS / "reference" / "hooks.rst").read_text()
    names = re.findall(r"\w+", re.search(r":members: ([\w,\s]+?)\n\n", page)[1])
    assert len(names) > 20
    for name in names:
        method = getattr(MinimaxHook, name)
        shown = inspect.getdoc(method).splitlines()
        tables.complete(None, "method", name, method, None, shown)
        twin = re.fullmatch(r"Do what :meth:`(\w+)` does, on an event loop\.", shown[0])
        if twin:
            assert twin[1] in names
        else:
            explained = re.findall(r"^:param (\w+):", "\n".join(shown), re.MULTILINE)
            assert set(explained) == set(inspect.signature(method).parameters) - {"self"}, name
