"""What the process does that gives the tests to the processes of pytest-xdist."""

from __future__ import annotations

import pytest


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.pluginmanager.has_plugin("dsession"):
        session.config.pluginmanager.register(Distributor(session.config))


class Distributor:
    def __init__(self, config: pytest.Config) -> None:
        self._writer = config.get_terminal_writer()
        self._is_cut_short = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show at once what a test failed of: the end of the output comes many minutes later, or never."""
        if report.failed:
            self._writer.line()
            self._writer.sep("_", f"{report.when} of {report.nodeid} failed", red=True)
            report.toterminal(self._writer)

    def pytest_testnodedown(self, error: object) -> None:
        self._is_cut_short |= error is not None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the exit code say that some tests were not run because a process ended."""
        if self._is_cut_short:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
