"""
Tables made from the code when the pages are built, so that they cannot go stale; and the docstrings that autodoc shows.

``minimax-models``, ``minimax-prices``, ``minimax-prices-per-second`` and ``minimax-sources`` read the catalogue,
``minimax-platforms`` and ``minimax-platform-models`` the platforms, ``minimax-changelog`` the changelog.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_minimax.api.catalogue_models import CHECKED, MODELS, OTHER_TASK_TYPES, SOURCES
from airflow_provider_minimax.api.catalogue_prices import PRICES, PRICES_PER_SECOND, READ
from airflow_provider_minimax.api.platforms import PLATFORMS, Platform

MODES = {
    "text": "text",
    "first_frame": "first frame",
    "first_and_last_frame": "first and last frame",
    "subject_reference": "subject reference",
    "reference": "references",
}
NONE = "–"
CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def literal(text: str) -> str:
    """Return a word in the mark-up of a literal."""
    return f"``{text}``"


def lengths(limits: dict[str, Any]) -> str:
    """Return what a mode takes as resolution and seconds, e.g. ``768P`` 6/10 s."""
    if not limits["resolutions"]:
        return "accepts neither"
    # No-break spaces keep a resolution and its lengths on one line.
    return " · ".join(
        f"{literal(resolution)}\N{NO-BREAK SPACE}{span(seconds)}\N{NO-BREAK SPACE}s"
        for resolution, seconds in limits["resolutions"].items()
    )


def span(seconds: tuple[int, ...]) -> str:
    """Return lengths as words: 6/10, or 4–15 where all between are taken."""
    is_range = len(seconds) > 2 and seconds == tuple(range(seconds[0], seconds[-1] + 1))
    return f"{seconds[0]}–{seconds[-1]}" if is_range else "/".join(map(str, seconds))


class Table(SphinxDirective):
    """A directive that is replaced by a list table; subclasses supply its cells."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        raise NotImplementedError

    def rows(self) -> Iterable[list[str]]:
        """Return the other rows."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [self.head(), *self.rows()]:
            lines += [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


class Models(Table):
    """Every known model, mode by mode."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["Model", "Mode", "Resolution and duration", "Options"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each mode of each model; the model is named once."""
        for name, model in MODELS.items():
            shown = literal(name)
            for mode, limits in model["modes"].items():
                options = ", ".join(map(literal, limits["options"]))
                yield [shown, MODES[mode], lengths(limits), options or NONE]
                shown = ""


class Prices(Table):
    """The list prices of a clip."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["Model", "Resolution", "Duration", "USD (global)", "CNY (mainland)"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each listed price."""
        for row in PRICES:
            models = ", ".join(map(literal, row["models"]))
            yield [models, literal(row["resolution"]), f"{row['duration']} s", row["usd"], row["cny"]]


class PricesPerSecond(Table):
    """The list prices of a second of a clip."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["Model", "Resolution", "USD per second (global)", "CNY per second (mainland)", "Images", "Read"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each listed price."""
        for row in PRICES_PER_SECOND:
            models = ", ".join(map(literal, row["models"]))
            cny = row.get("cny", NONE)
            pictures = f"{row['free_images']} free, then {row['image_usd']} USD"
            yield [models, literal(row["resolution"]), row["usd"], cny, pictures, str(row["read"])]
        row = OTHER_TASK_TYPES["regeneration"]
        resolution = f"{literal(row['resolutions'][0])}, re-rendered"
        yield [literal("MiniMax-H3"), resolution, row["usd"], NONE, NONE, str(row["read"])]


class Sources(Table):
    """Where the catalogue's facts were read, and when."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["Facts", "Source", "Read"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each source."""
        for name, source in SOURCES.items():
            yield [
                MODES.get(name, name.replace("_", " ").replace("h3", "H3")),
                source,
                str(READ if name == "prices" else CHECKED),
            ]


class Platforms(Table):
    """Every platform's address, and how its clips are found."""

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["``platform``", "System", "Base URL", "Path prefix", "A finished task names"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each platform."""
        for name, platform in PLATFORMS.items():
            yield [literal(name), platform.title, self.hosts(platform), self.prefix(platform), self.output(platform)]

    @staticmethod
    def hosts(platform: Platform) -> str:
        """Return its base URLs, with their regions if there are several."""
        regions = platform.base_urls
        if len(regions) == 1:
            return literal(next(iter(regions.values())))
        return ", ".join(f"{literal(url)} ({literal(region)})" for region, url in regions.items())

    @staticmethod
    def prefix(platform: Platform) -> str:
        """Return what comes before every path."""
        return literal(platform.path_prefix) if platform.path_prefix else NONE

    @staticmethod
    def output(platform: Platform) -> str:
        """Return what a finished task leads to."""
        return "a file id" if platform.locate else "the clip's URL"


class PlatformModels(Table):
    """The own model names of one platform, given as the directive's argument."""

    required_arguments = 1

    def head(self) -> list[str]:
        """Return the cells of the first row."""
        return ["Official name", "Mode", f"Name at {PLATFORMS[self.arguments[0]].title}"]

    def rows(self) -> Iterable[list[str]]:
        """Return a row for each name."""
        for (official, mode), own in PLATFORMS[self.arguments[0]].model_names.items():
            yield [literal(official), MODES[mode], literal(own)]


class Changelog(SphinxDirective):
    """The changelog, whose few kinds of Markdown are turned into the mark-up of these pages."""

    def run(self) -> list[nodes.Node]:
        """Return its sections, without its title."""
        self.env.note_dependency(str(CHANGELOG))
        _, _, text = CHANGELOG.read_text("utf-8").partition("\n")
        text = re.sub(r"`([^`]+)`", r"``\1``", text)
        text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", text)
        for mark, line in (("##", "-"), ("###", "~")):
            text = re.sub(
                rf"^{mark} (.+)$", lambda m, line=line: f"{m[1]}\n{line * len(m[1])}", text, flags=re.MULTILINE
            )
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def plain_type(text: str) -> str:
    """Return a type without the validators of ``Annotated[type, validators …]``."""
    while (start := text.find("Annotated[")) >= 0:
        depth, kept = 0, None
        for at in range(start + len("Annotated["), len(text)):
            if text[at] == "]" and depth == 0:
                text = text[:start] + text[start + len("Annotated[") : kept or at] + text[at + 1 :]
                break
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text[at], 0)
            if text[at] == "," and depth == 0 and kept is None:
                kept = at
        else:
            break
    return text


def complete(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show the whole text of a client's method where the hook's docstring only points to it."""
    from airflow_provider_minimax.api.async_client import AsyncClient
    from airflow_provider_minimax.api.client import Client

    clients = {"Client": Client, "AsyncClient": AsyncClient}
    pointer = re.fullmatch(r".*: see :meth:`\.(\w+)\.(\w+)`\.", lines[0]) if lines else None
    if pointer:
        lines[:] = [*(inspect.getdoc(getattr(clients[pointer[1]], pointer[2])) or "").splitlines(), ""]


def tidy(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Drop what autodoc adds to classes and nobody can use: "Return type: None", and pydantic's validators."""
    for field in list(content.findall(nodes.field)) if objtype == "class" else ():
        name, body = field[0].astext(), field[1]
        if name == "rtype":
            field.parent.remove(field)
        elif name.startswith("type ") and "Annotated[" in body.astext():
            body[:] = [nodes.paragraph("", plain_type(body.astext()))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives."""
    for directive in (Models, Prices, Sources, Platforms):
        app.add_directive(f"minimax-{directive.__name__.lower()}", directive)
    app.add_directive("minimax-platform-models", PlatformModels)
    app.add_directive("minimax-prices-per-second", PricesPerSecond)
    app.add_directive("minimax-changelog", Changelog)
    app.connect("autodoc-process-docstring", complete)
    app.connect("object-description-transform", tidy, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
