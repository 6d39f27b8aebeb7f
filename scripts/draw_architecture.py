"""
Draw which package imports which, as docs/images/architecture.svg.

    python scripts/draw_architecture.py            # draw it
    python scripts/draw_architecture.py --check    # fail if it is out of date

Both fail if an import runs up.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from textwrap import wrap

import grimp

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow_provider_minimax"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
WIDTH, HEIGHT, GAP, ROW = 190, 62, 34, 112
Edges = dict[tuple[str, str], int]


def imports() -> tuple[set[str], Edges]:
    """Return the packages and modules at the root, and how many imports lead from one to the other."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    rooms = {module.split(".")[1] for module in graph.modules if "." in module}
    edges: Edges = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = tuple(module.split(".")[1] if "." in module else "" for module in (importer, imported))
            if all(pair) and pair[0] != pair[1]:
                edges[pair[0], pair[1]] = edges.get((pair[0], pair[1]), 0) + 1
    return rooms, edges


def reachable(start: str, edges: Edges) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        for source, target in edges:
            if source == ahead[-1] and target not in found:
                found.add(target)
                ahead.insert(0, target)
        ahead.pop()
    return found


def layers() -> list[list[str]]:
    """Return the layers of the first contract that ``lint-imports`` checks, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    return [re.split(r" [|:] ", layer) for layer in settings["contracts"][0]["layers"]]


def rows(rooms: set[str], edges: Edges) -> list[list[str]]:
    """Return the packages in rows, each above all that it imports, as far as layers and imports allow."""
    found: list[list[str]] = []
    for layer in layers():
        inside = {pair: count for pair, count in edges.items() if rooms.intersection(layer).issuperset(pair)}
        for pair in sorted(inside, key=lambda pair: (inside[pair], pair)):  # take the rarest import out of each cycle
            if pair[0] in reachable(pair[1], inside):
                del inside[pair]
        levels: dict[str, int] = {}
        for room in sorted(rooms.intersection(layer), key=lambda room: (len(reachable(room, inside)), room)):
            levels[room] = 1 + max((levels[target] for source, target in inside if source == room), default=-1)
        found += [
            sorted(room for room in levels if levels[room] == level)
            for level in sorted({*levels.values()}, reverse=True)
        ]
    return found


def direct(edges: Edges) -> list[tuple[str, str]]:
    """Leave out each arrow that a chain of others makes superfluous."""
    return [
        pair
        for pair in sorted(edges)
        if pair[1] not in reachable(pair[0], {k: v for k, v in edges.items() if k != pair})
    ]


def purpose(room: str) -> list[str]:
    """Return how its docstring begins, in two lines at most."""
    path = ROOT / PACKAGE / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0].replace("``", "")
    lines = wrap(re.split(r"[:;.] |[.]$", text)[0], 30)
    return [*lines[:1], *(f"{line} …" if len(lines) > 2 else line for line in lines[1:2])]


def box(left: float, top: float, width: float, name: str, lines: list[str]) -> list[str]:
    middle = left + width / 2
    return [
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{HEIGHT}" rx="8"/>',
        f'<text class="name" x="{middle:g}" y="{top + 22:g}">{escape(name)}</text>',
        *(f'<text x="{middle:g}" y="{top + 38 + 14 * n:g}">{escape(line)}</text>' for n, line in enumerate(lines)),
    ]


def place(grid: list[list[str]], edges: Edges, width: float) -> dict[str, tuple[float, float]]:
    """Return each package's left and top edge; it stands below those that import it, where that can be."""
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(grid):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        above = {
            room: [places[source][0] for source, target in edges if target == room and source in places] for room in row
        }
        middle = {room: sum(lefts) / len(lefts) if lefts else 0 for room, lefts in above.items()}
        for room in sorted(row, key=lambda room: (middle[room], room)):
            places[room] = (left, GAP + number * ROW)
            left += WIDTH + GAP
    return places


def arrows(pairs: list[tuple[str, str]], places: dict[str, tuple[float, float]]) -> Iterator[str]:
    """Draw arrows down, and in red those that run up, each with a place of its own at both ends."""

    def at(room: str, other: str) -> float:
        others = [{*pair} - {room} for pair in pairs if room in pair]
        others = sorted({name for names in others for name in names}, key=lambda name: (places[name][0], name))
        return places[room][0] + WIDTH * (0.15 + 0.7 * (others.index(other) + 1) / (len(others) + 1))

    for source, target in pairs:
        down = places[source][1] < places[target][1]
        x1, y1 = at(source, target), places[source][1] + (HEIGHT if down else 0)
        x2, y2 = at(target, source), places[target][1] + (-3 if down else HEIGHT + 3)
        bend = (y2 - y1) / 2
        kind = "down" if down else "up"
        yield f'<path class="{kind}" d="M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"/>'


STYLE = """
rect { fill: #e8eefc; stroke: #5b7bd5; stroke-width: 1.5 }
text { fill: #1c2333; font: 11px sans-serif; text-anchor: middle }
.name { font: bold 14px monospace; white-space: pre }
.down, .up { fill: none; stroke: #8793a8; stroke-width: 1.5; marker-end: url(#tip) }
.up { stroke: #d64545; stroke-dasharray: 5 4 }
"""
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#8793a8"/></marker>'
)


def draw() -> str:
    rooms, edges = imports()
    upper = {room for layer in layers()[:-1] for room in layer}
    base = {room for room in rooms - upper if not (ROOT / PACKAGE / room).is_dir()}
    rooms = {room for room in rooms - base if (ROOT / PACKAGE / room).is_dir() or any(room in pair for pair in edges)}
    edges = {pair: count for pair, count in edges.items() if rooms.issuperset(pair)}
    grid = rows(rooms, edges)
    # What no layer has is imported by nothing, and so stands at the top.
    grid[0] += sorted(rooms.difference(*grid))
    width = max(map(len, grid)) * (WIDTH + GAP) + GAP
    height = GAP + len(grid) * ROW + HEIGHT + GAP
    places = place(grid, edges, width)
    down = {pair: count for pair, count in edges.items() if places[pair[0]][1] < places[pair[1]][1]}
    parts = list(arrows(sorted({*direct(down), *(edges.keys() - down)}), places))
    for room, (left, top) in sorted(places.items()):
        parts += box(left, top, WIDTH, room, purpose(room))
    parts += box(GAP, height - HEIGHT - GAP, width - 2 * GAP, "  ".join(sorted(base)), ["for all packages above"])
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f"<style>{STYLE}</style>", TIP, *parts, "</svg>\n"])


def main() -> None:
    drawn = draw()
    name = PICTURE.relative_to(ROOT)
    if sys.argv[1:] != ["--check"]:
        PICTURE.write_text(drawn, "utf-8")
    elif not PICTURE.exists() or PICTURE.read_text("utf-8") != drawn:
        raise SystemExit(f"{name} is out of date: run scripts/{Path(__file__).name}")
    if '<path class="up"' in drawn:
        raise SystemExit(f"an import runs up, see the red arrow in {name}")


if __name__ == "__main__":
    main()
