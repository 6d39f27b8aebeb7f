"""
Defines the commands and their arguments.

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

_arg: Callable[..., Arg] = Arg  # Airflow's class is untyped

PHASES = ("intent", "submitted", "failed", "delivered")

_FOLDER = "a path, or any URL that Airflow's object storage knows, such as s3://my_aws_conn@bucket/clips"
ARG_FOLDER = _arg(("folder",), help=f"The folder to search, with its subfolders: {_FOLDER}. Or the path of one clip")
ARG_PATH = _arg(("path",), help="The path or URL of the clip or of its receipt. The clip itself need not exist")
ARG_PHASE = _arg(("--phase",), choices=PHASES, help="List only receipts in this phase, and unreadable ones")
ARG_SHOW_OUTPUT = _arg(
    ("-o", "--output"),
    choices=("text", "json"),
    default="text",
    help="text: for people, and checks the clip (default); json: the receipt as it is stored",
)
ARG_CONN_ID = _arg(("--conn-id",), default="minimax_default", help="The Airflow connection (default: minimax_default)")
ARG_BALANCE_OUTPUT = _arg(
    ("-o", "--output"), choices=("text", "json"), default="text", help="text: for people (default); json: for programs"
)
ARG_MINIMAX_TASK_ID = _arg(("minimax_task_id",), help="The remote task's id, from the platform's console")
ARG_NO_CHECK = _arg(
    ("--no-check",),
    action="store_true",
    help="Do not ask the platform whether the task exists. For machines that cannot reach it, or lack the connection",
)

ARG_FILES = _arg(("files",), nargs="+", metavar="FILE", help="The address of an upload (mm_file://<id>), or its id")

_PACKAGE = "airflow_provider_minimax.cli"
_RECEIPTS = f"{_PACKAGE}.receipts"

SHOW = ActionCommand(
    name="show",
    help="Show where a clip came from",
    description="Show where a clip came from, according to the receipt next to it: prompt, model, cost, times and the "
    "Airflow task that bought it. Also checks whether the file was changed since it was delivered.",
    func=lazy_load_command(f"{_PACKAGE}.show.show_clip"),
    args=(ARG_PATH, ARG_SHOW_OUTPUT, ARG_VERBOSE),
)

BALANCE = ActionCommand(
    name="balance",
    help="Show the remaining balance of an account",
    description="Show the remaining balance of the account that a connection's API key belongs to, or what is left of "
    "its plan. The request is free. Gateways do not support it.",
    func=lazy_load_command(f"{_PACKAGE}.balance.show_balance"),
    args=(ARG_CONN_ID, ARG_BALANCE_OUTPUT, ARG_VERBOSE),
)

FILES = GroupCommand(
    name="files",
    help="List and delete pictures, videos and audio uploaded for requests",
    description="List and delete pictures, videos and audio that were uploaded to an account as inputs of requests. "
    "MiniMax keeps them for seven days. Gateways do not support these commands.",
    subcommands=(
        ActionCommand(
            name="list",
            help="List uploads, newest first",
            func=lazy_load_command(f"{_PACKAGE}.files.list_files"),
            args=(ARG_CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="delete",
            help="Delete uploads, after confirmation",
            description="Show uploads and delete them after confirmation. Clips made from them are not affected. "
            "Requests that use them will fail.",
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
    help="List, show and repair the receipts of clips",
    description="List, show and repair receipts. The receipt of a clip, <clip>.receipt.json, is next to it. It records "
    "what was bought, so that no clip is paid for twice.",
    subcommands=(
        ActionCommand(
            name="list",
            help="List the receipts in a folder",
            description="List the receipts in a folder. The exit code is 1 if any of them cannot be read.",
            func=lazy_load_command(f"{_RECEIPTS}.list_receipts"),
            args=(ARG_FOLDER, ARG_PHASE, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="show",
            help="Show the state of a purchase, and what to do next",
            func=lazy_load_command(f"{_RECEIPTS}.show_receipt"),
            args=(ARG_PATH, ARG_SHOW_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="adopt",
            help="Record the remote task of a submission whose response was lost",
            description="If the response to a submission was lost, it is not known whether a clip was bought. "
            "Look for the remote task in the platform's console, and record its id with this command. When the Airflow "
            "task runs again, it waits for that remote task instead of buying another clip.",
            func=lazy_load_command(f"{_RECEIPTS}.adopt_task"),
            args=(ARG_PATH, ARG_MINIMAX_TASK_ID, ARG_NO_CHECK, ARG_VERBOSE),
        ),
        ActionCommand(
            name="forget",
            help="Delete a receipt, after confirmation",
            description="Show what would be lost with a receipt, and delete it after confirmation. The clip is not "
            "deleted, and a remote task that is still running is not stopped: it will be billed.",
            func=lazy_load_command(f"{_RECEIPTS}.forget_receipt"),
            args=(ARG_PATH, ARG_YES, ARG_VERBOSE),
        ),
    ),
)


def get_cli_commands() -> list[GroupCommand]:
    """Return the commands; the provider's description names this function under ``cli``."""
    commands = (SHOW, RECEIPTS, BALANCE, FILES, CALLBACK_TEST)
    return [
        GroupCommand(
            name="minimax", help="Show video clips from MiniMax, and manage their receipts", subcommands=commands
        )
    ]
