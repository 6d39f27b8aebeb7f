"""``balance``: the remaining balance of a connection's account."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from airflow_provider_minimax.cli.command import command, print_rows
from airflow_provider_minimax.cli.text import Row
from airflow_provider_minimax.text.storable import escaped_json

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance


@command
def show_balance(options: Namespace) -> None:
    """
    Show the remaining balance of a connection's account.

    :param options: ``conn_id`` and ``output``.
    """
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    with closing(MinimaxHook(options.conn_id)) as hook:
        balance, account = hook.get_balance(), hook.account()
    if options.output == "json":
        print(escaped_json(json.dumps(account | balance.as_dict(), indent=2)))
    else:
        print_rows(_rows(balance, account))


def _rows(balance: Balance, account: dict[str, str]) -> Iterator[Row]:
    amounts = {
        "Available": balance.available,
        "Cash": balance.cash,
        "Vouchers": balance.voucher,
        "Credit": balance.credit,
        "Owed": balance.owed,
    }
    for label, amount in amounts.items():
        if amount is not None:
            yield label, f"{amount:f} {balance.currency}"
    for share in balance.plan or ():
        yield "Left in plan", str(share)
    if balance.plan == ():
        yield "Left in plan", "the platform lists nothing"
    yield "Account", f"{account['platform']} at {account['base_url']}, connection {account['minimax_conn_id']}"
