"""
Which commands there are.

Every ``airflow`` command imports this module, so it imports only what Airflow's command line has imported already.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ARG_YES,
    ActionCommand,
    Arg,
    GroupCommand,
    lazy_load_command,
)

_arg: Callable[..., Arg] = Arg  # which has no types of its own

PHASES = ("intent", "submitted", "failed", "delivered")

_PLACE = "a path, or any URL that Airflow's object storage knows, such as s3://my_aws_conn@bucket/clips"
ARG_FOLDER = _arg(("folder",), help=f"Where to look, subfolders included: {_PLACE}; or one clip")
ARG_PATH = _arg(("path",), help="The clip's path or URL, whether it is there or not, or its receipt's")
ARG_PHASE = _arg(("--phase",), choices=PHASES, help="List only receipts of this phase, and those that cannot be read")
ARG_SHOW_OUTPUT = _arg(
    ("-o", "--output"),
    choices=("text", "json"),
    default="text",
    help="text: for people, with a look at the clip (the default); json: the receipt as it is",
)
ARG_CONN_ID = _arg(("--conn-id",), default="minimax_default", help="The connection (default: minimax_default)")
ARG_BALANCE_OUTPUT = _arg(
    ("-o", "--output"), choices=("text", "json"), default="text", help="text: for people (the default); json: as values"
)
ARG_MINIMAX_TASK_ID = _arg(("minimax_task_id",), help="The remote task's id, from the platform's console")
ARG_NO_CHECK = _arg(
    ("--no-check",),
    action="store_true",
    help="Do not ask the platform whether it knows the id; for when it, or the connection, cannot be reached from here",
)

ARG_FILES = _arg(("files",), nargs="+", metavar="FILE", help="An upload's address, mm_file:// and its id, or the id")

_PACKAGE = "airflow_provider_minimax.cli"
_RECEIPTS = f"{_PACKAGE}.receipts"

SHOW = ActionCommand(
    name="show",
    help="Show where a clip came from",
    description="Show where a clip came from: its prompt, model, cost, times, and the Airflow task that it was made "
    "for, as the receipt next to it tells, and whether it is still the same file.",
    func=lazy_load_command(f"{_PACKAGE}.show.show_clip"),
    args=(ARG_PATH, ARG_SHOW_OUTPUT, ARG_VERBOSE),
)

BALANCE = ActionCommand(
    name="balance",
    help="Show what is left in a connection's account",
    description="Show what is left in the account of a connection's key: its balance, or the shares of its plan. "
    "It is free of charge. Gateways cannot be asked.",
    func=lazy_load_command(f"{_PACKAGE}.balance.show_balance"),
    args=(ARG_CONN_ID, ARG_BALANCE_OUTPUT, ARG_VERBOSE),
)

FILES = GroupCommand(
    name="files",
    help="The files that were uploaded to an account for clips to go by",
    description="The files that were uploaded to the account of a connection's key for clips to go by. MiniMax keeps "
    "them for seven days. Gateways cannot be asked.",
    subcommands=(
        ActionCommand(
            name="list",
            help="List the uploads, the newest first",
            func=lazy_load_command(f"{_PACKAGE}.files.list_files"),
            args=(ARG_CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="delete",
            help="Delete uploads, after showing what they are",
            description="Delete uploads, after showing what they are. Clips made from them stay; a request that names "
            "one of them fails from then on.",
            func=lazy_load_command(f"{_PACKAGE}.files.delete_files"),
            args=(ARG_FILES, ARG_CONN_ID, ARG_YES, ARG_VERBOSE),
        ),
    ),
)

CALLBACK_TEST = ActionCommand(
    name="callback-test",
    help="Test whether platforms can reach the receiver of callbacks",
    description="Send a challenge to the receiver of callbacks through its public address, as a platform does before "
    "it takes a request, and say what is wrong. Nothing is bought or recorded. Ends with 1 if platforms would refuse.",
    func=lazy_load_command(f"{_PACKAGE}.callback_test.test_callback"),
    args=(ARG_CONN_ID, ARG_VERBOSE),
)

RECEIPTS = GroupCommand(
    name="receipts",
    help="The receipts of bought clips, kept next to them",
    description="The receipts of bought clips: <clip>.receipt.json. They are what keeps a clip from being paid twice.",
    subcommands=(
        ActionCommand(
            name="list",
            help="List the receipts in a folder",
            description="List the receipts in a folder. Ends with 1 if there is one that cannot be read.",
            func=lazy_load_command(f"{_RECEIPTS}.list_receipts"),
            args=(ARG_FOLDER, ARG_PHASE, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="show",
            help="Show how far a purchase is, and what to do next",
            func=lazy_load_command(f"{_RECEIPTS}.show_receipt"),
            args=(ARG_PATH, ARG_SHOW_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="adopt",
            help="Write down the remote task of a submission whose answer was lost",
            description="Write down the remote task of a submission whose answer was lost, once it was found in the "
            "platform's console. The Airflow task goes on with it when it is run again, and buys nothing.",
            func=lazy_load_command(f"{_RECEIPTS}.adopt_task"),
            args=(ARG_PATH, ARG_MINIMAX_TASK_ID, ARG_NO_CHECK, ARG_VERBOSE),
        ),
        ActionCommand(
            name="forget",
            help="Take a receipt away, after saying what is given up",
            description="Take a receipt away, after saying what is given up. The clip stays where it is, and whatever "
            "is under way at the platform goes on and is billed.",
            func=lazy_load_command(f"{_RECEIPTS}.forget_receipt"),
            args=(ARG_PATH, ARG_YES, ARG_VERBOSE),
        ),
    ),
)


def get_cli_commands() -> list[GroupCommand]:
    """Return the commands that ``airflow`` gets; named in the provider's description under ``cli``."""
    commands = (SHOW, RECEIPTS, BALANCE, FILES, CALLBACK_TEST)
    return [GroupCommand(name="minimax", help="Look after clips bought from MiniMax", subcommands=commands)]
