"""The buttons of a task in Airflow's UI: to the clip, and to the facts about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_minimax.version_compat import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_minimax.delivery.assets import ClipAsset

_AWS_CONSOLES = {".amazonaws.com": "console.aws.amazon.com", ".amazonaws.com.cn": "console.amazonaws.cn"}


class MinimaxClipLink(BaseOperatorLink):
    """Opens the delivered clip, if it is in S3 (through the AWS console) or in Google Cloud Storage."""

    name = "Clip"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the clip's web address. Airflow calls this in the worker when the task ends.

        :param operator: the operator that has just run.
        :param ti_key: its task instance.
        :return: the address; empty if there is no clip, or a browser cannot open it.
        """
        delivered = _delivered_by(operator)
        return _link_or_warning(operator, "the clip", lambda: web_address(delivered.output_path)) if delivered else ""


class MinimaxFactsLink(BaseOperatorLink):
    """Opens the task's XCom page, with the facts about the delivered clip: path, size, hash, remote task."""

    name = "Facts"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the address of the task instance's XComs.

        :param operator: the operator that has just run.
        :param ti_key: its task instance.
        :return: the address, without a host if this worker does not know ``[api] base_url``; empty if there is no
            clip or the operator pushes no XComs.
        """
        if _delivered_by(operator) is None or not operator.do_xcom_push:
            return ""
        return _link_or_warning(operator, "the clip's facts", lambda: _xcom_page(ti_key))


def _link_or_warning(operator: BaseOperator, what: str, find: Callable[[], str]) -> str:
    """Return a link; if that fails, only log it: on Airflow 3.0 a link that raises fails the task."""
    from airflow_provider_minimax.delivery.assets import warn_instead_of_raising

    with warn_instead_of_raising(operator.log, f"No link to {what}, but the clip is delivered"):
        return find()
    return ""


def _xcom_page(ti_key: TaskInstanceKey) -> str:
    base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    dag_id, run_id, task_id = (quote(part, safe="") for part in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
    is_mapped = ti_key.map_index is not None and ti_key.map_index >= 0
    mapped = f"/mapped/{ti_key.map_index}" if is_mapped else ""
    return f"{base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/xcom"


def _delivered_by(operator: BaseOperator) -> ClipAsset | None:
    delivered: ClipAsset | None = getattr(operator, "_delivered", None)
    return delivered


def web_address(path: str) -> str:
    """
    Return the address where a browser shows a file.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: a page of the AWS console, or the file in Google Cloud Storage; empty for other storage, also for
        S3-compatible storage that is not Amazon's.
    """
    from airflow_provider_minimax.delivery.assets import parts_of

    scheme, bucket, key = parts_of(path)
    if scheme == "s3":
        return _in_aws_console(path, bucket, key.removeprefix("/"))
    return f"https://storage.cloud.google.com/{bucket}{quote(key)}" if scheme == "gs" else ""


def _in_aws_console(path: str, bucket: str, key: str) -> str:
    from airflow.sdk import ObjectStoragePath

    # The endpoint may come from the connection, the environment or AWS's own files, so ask the client.
    client = ObjectStoragePath(path).fs.s3.meta
    host = urlsplit(client.endpoint_url).hostname or ""
    for domain, console in _AWS_CONSOLES.items():
        if host.endswith(domain):
            query = urlencode({"region": client.region_name, "prefix": key})
            return f"https://{console}/s3/object/{bucket}?{query}"
    return ""
