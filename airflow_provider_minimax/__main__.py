"""Runs the commands of ``airflow minimax``, for Airflow before 3.2, which does not know commands of providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import ActionCommand, DefaultHelpParser

from airflow_provider_minimax.cli.definition import get_cli_commands

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from airflow.cli.cli_config import CLICommand


def main(arguments: list[str] | None = None) -> None:
    """
    Run a command.

    :param arguments: the command line without the program's name; ``sys.argv`` by default.
    """
    options = _parser().parse_args(arguments)
    options.func(options)


def _parser() -> ArgumentParser:
    parser = DefaultHelpParser(prog="python -m airflow_provider_minimax")
    for group in get_cli_commands():
        _add(parser, group.subcommands)
    return parser


def _add(parser: ArgumentParser, commands: Any) -> None:
    """Add commands as Airflow's own parser does, which cannot be used without all of Airflow's commands."""
    choice = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for command in commands:
        _add_one(choice.add_parser(command.name, help=command.help, description=_about(command)), command)


def _add_one(parser: ArgumentParser, command: CLICommand) -> None:
    if isinstance(command, ActionCommand):
        for argument in command.args:
            argument.add_to_parser(parser)
        parser.set_defaults(func=command.func)
    else:
        _add(parser, command.subcommands)


def _about(command: CLICommand) -> str:
    return command.description or command.help


if __name__ == "__main__":
    main()
