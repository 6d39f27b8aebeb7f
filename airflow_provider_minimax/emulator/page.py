"""The page at ``/`` for people: what this server is, its platforms and its jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.forwarded import public_origin
from airflow_provider_minimax.emulator.world import World

NEWEST = 50

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>MiniMax video emulator</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ text-align: left; padding: .25rem .75rem .25rem 0 }}
th {{ border-bottom: 1px solid #999 }} code {{ font-size: .9em }}
</style></head><body>
<h1>MiniMax video emulator</h1>
<p>An offline emulator of the MiniMax (Hailuo) video APIs. Nothing here costs money, and every clip shows the same
sunrise.</p>
<h2>Platforms</h2>
<table><tr><th>Platform</th><th>Base URL</th><th>Key</th></tr>
{platforms}
</table>
<h2>Jobs</h2>
<p>{bought} bought since the last reset.</p>
<table><tr><th>Time</th><th>Platform</th><th>Task</th><th>Model</th><th>State</th></tr>
{jobs}
</table>
<p>Everything as JSON: <a href="/_emulator/state">/_emulator/state</a></p>
</body></html>
"""


def overview(world: World) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of the page."""

    async def answer(request: Request) -> Response:
        here = public_origin(request)
        platforms = [_row(address.title, f"{here}/{address.name}", address.key) for address in ADDRESSES.values()]
        newest = list(world.jobs.values())[: -NEWEST - 1 : -1]
        jobs = [
            _row(_clock(job.made_at), job.platform, job.task_id, job.shown_model, job.state()) for job in newest
        ] or ['<tr><td colspan="5">none yet</td></tr>']
        body = PAGE.format(platforms="\n".join(platforms), jobs="\n".join(jobs), bought=len(world.purchases))
        return HTMLResponse(body)

    return answer


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S")
