"""One Airflow for all tests of this folder, which takes 20 s to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standalone.airflow_up import Airflow


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with Airflow(tmp_path_factory.mktemp("standalone")) as airflow:
        yield airflow
