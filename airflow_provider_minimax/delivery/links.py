"""The buttons of a task in Airflow's UI: to the clip, and to what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_minimax.version_compat import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_minimax.delivery.assets import Delivered

_AWS_CONSOLES = {".amazonaws.com": "console.aws.amazon.com", ".amazonaws.com.cn": "console.amazonaws.cn"}


class MinimaxClipLink(BaseOperatorLink):
    """The delivered clip, if a browser can open it: in S3 through the AWS console, in Google Cloud Storage directly."""

    name = "Clip"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the clip's address in the web; Airflow asks for it in the worker, when the task ends.

        :param operator: the operator that has just run.
        :param ti_key: its task instance.
        :return: the address; nothing if there is no clip, or none that a browser can open.
        """
        delivered = _delivered_by(operator)
        return _found(operator, "the clip", lambda: web_address(delivered.output_path)) if delivered else ""


class MinimaxFactsLink(BaseOperatorLink):
    """The task's XCom page, with what is known of the delivered clip: its path, size, hash, the remote task."""

    name = "Facts"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the address of the task instance's XComs.

        :param operator: the operator that has just run.
        :param ti_key: its task instance.
        :return: the address, without a host if this worker does not know ``[api] base_url``; nothing if there is no
            clip or the operator pushes no XComs.
        """
        if _delivered_by(operator) is None or not operator.do_xcom_push:
            return ""
        return _found(operator, "the clip's facts", lambda: _xcom_page(ti_key))


def _found(operator: BaseOperator, what: str, find: Callable[[], str]) -> str:
    """Return a link; if that fails, say so: on Airflow 3.0 a link that raises fails the task, whose clip is there."""
    from airflow_provider_minimax.delivery.assets import warned_of

    with warned_of(operator.log, f"No link to {what}: the clip is delivered all the same"):
        return find()
    return ""


def _xcom_page(ti_key: TaskInstanceKey) -> str:
    base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    dag_id, run_id, task_id = (quote(part, safe="") for part in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
    is_mapped = ti_key.map_index is not None and ti_key.map_index >= 0
    mapped = f"/mapped/{ti_key.map_index}" if is_mapped else ""
    return f"{base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/xcom"


def _delivered_by(operator: BaseOperator) -> Delivered | None:
    delivered: Delivered | None = getattr(operator, "_delivered", None)
    return delivered


def web_address(path: str) -> str:
    """
    Return where a browser shows a file.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: a page of the AWS console, or the file in Google Cloud Storage; nothing for other storage, and for what
        speaks S3 without being Amazon's.
    """
    from airflow_provider_minimax.delivery.assets import parts_of

    scheme, bucket, place = parts_of(path)
    if scheme == "s3":
        return _in_aws_console(path, bucket, place.removeprefix("/"))
    return f"https://storage.cloud.google.com/{bucket}{quote(place)}" if scheme == "gs" else ""


def _in_aws_console(path: str, bucket: str, key: str) -> str:
    from airflow.sdk import ObjectStoragePath

    # Only the client knows whom it speaks with: the connection, the environment and AWS's own files all have a say.
    client = ObjectStoragePath(path).fs.s3.meta
    host = urlsplit(client.endpoint_url).hostname or ""
    for domain, console in _AWS_CONSOLES.items():
        if host.endswith(domain):
            query = urlencode({"region": client.region_name, "prefix": key})
            return f"https://{console}/s3/object/{bucket}?{query}"
    return ""
