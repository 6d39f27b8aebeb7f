"""The operators: buy a clip, and fetch one that was bought."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_minimax.airflow_names import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    conf,
)
from airflow_provider_minimax.arguments import check_literals, is_literal, seconds
from airflow_provider_minimax.deferral import SAFETY_NET, resume
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_minimax.api.pace import Outcome
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.api.task import VideoFile, VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

_CONTENT = (
    "model",
    "prompt",
    "first_frame_image",
    "last_frame_image",
    "subject_reference",
    "duration",
    "resolution",
    "prompt_optimizer",
    "fast_pretreatment",
    "aigc_watermark",
    "callback_url",
    "extra_body",
)
_GET_IT = "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
_MAY_HOLD_SECRETS = ("first_frame_image", "last_frame_image", "subject_reference", "callback_url", "extra_body")


class Discreet:
    """
    A rendered value that shows itself without images and signatures, in the UI's rendered fields and in logs.

    :param value: the value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        from airflow_provider_minimax.api.redaction import redact

        return redact(self.value if isinstance(self.value, str) else json.dumps(self.value, default=str))

    __repr__ = __str__


class MinimaxVideoGenerationOperator(BaseOperator):
    """
    Buy one clip: submit a request, publish the remote task id, and if asked to, wait for the clip and fetch it.

    The id is pushed to XCom under the key ``task_id`` as soon as it is known. Once a clip is bought, whatever goes
    wrong fails this task without a retry, because a retry would buy another; the message says how to get the first.

    .. seealso:: :doc:`/howto/operator`

    :param model: the model's name, e.g. ``MiniMax-Hailuo-2.3``, or a gateway's own name for it. Templated, like all
        fields down to ``extra_body``; field names and meanings are the API's.
    :param prompt: what to show, at most 2000 characters; camera moves go in brackets, e.g. ``[Push in]``.
    :param first_frame_image: the opening frame: a public URL, a ``data:image/…;base64,`` URL, or a path (local, or any
        that Airflow's object storage knows) that is read and checked. Below 20 MB, short side above 300 px.
    :param last_frame_image: the closing frame, likewise; ``MiniMax-Hailuo-02`` only.
    :param subject_reference: a face to keep, likewise, or the API's own list; ``S2V-01`` only.
    :param duration: length in seconds: 6 or 10, by model and resolution; the API's default is 6.
    :param resolution: ``512P``, ``720P``, ``768P`` or ``1080P``, by model; the API's default is 768P or 720P.
    :param prompt_optimizer: whether the platform may rewrite the prompt; the API's default is true.
    :param fast_pretreatment: shortens that rewriting; Hailuo models only.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    :param callback_url: where the platform may post state changes; its receiver is yours, and is not needed here.
    :param extra_body: further fields of the request's body, sent as they are.
    :param minimax_conn_id: the connection. Templated.
    :param wait_for_completion: whether to wait for the clip; otherwise a :class:`MinimaxTaskSensor` does.
    :param deferrable: whether that wait is in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param output_path: where the clip shall land: a path or a ``file://`` URL; needs ``wait_for_completion``.
        Templated.
    :param overwrite: whether a file that is already there may be replaced; if not, nothing is bought.
    :param poll_interval: seconds between looks, more than 0.
    :param timeout: seconds until the wait ends, more than 0; the remote task goes on and is billed all the same. The
        task's ``execution_timeout`` ends it too, if that is shorter.
    :param validate: whether to check the request against the catalogue of models before paying.
    :return: the remote task id; with ``wait_for_completion`` a dict with ``task_id``, ``state``, ``file_id``,
        ``width``, ``height``, ``duration`` (each ``None`` where the platform does not tell), and with ``output_path``
        also ``output_path`` and ``size`` in bytes.
    :raises MinimaxRequestError: the request is invalid: literals are checked when the DAG is parsed, the rest before
        anything is sent.
    :raises MinimaxSubmissionUnknownError: no usable answer came, so a clip may have been bought.
    """

    template_fields: Sequence[str] = (*_CONTENT, "output_path", "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "subject_reference": "json", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"

    def __init__(
        self,
        *,
        model: str,
        prompt: str | None = None,
        first_frame_image: str | None = None,
        last_frame_image: str | None = None,
        subject_reference: str | list[dict[str, Any]] | None = None,
        duration: int | str | None = None,
        resolution: str | None = None,
        prompt_optimizer: bool | str | None = None,
        fast_pretreatment: bool | str | None = None,
        aigc_watermark: bool | str | None = None,
        callback_url: str | None = None,
        extra_body: dict[str, Any] | None = None,
        minimax_conn_id: str = "minimax_default",
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        output_path: str | None = None,
        overwrite: bool = False,
        poll_interval: timedelta | float = 10.0,
        timeout: timedelta | float = 1800.0,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.prompt = prompt
        self.first_frame_image = first_frame_image
        self.last_frame_image = last_frame_image
        self.subject_reference = subject_reference
        self.duration = duration
        self.resolution = resolution
        self.prompt_optimizer = prompt_optimizer
        self.fast_pretreatment = fast_pretreatment
        self.aigc_watermark = aigc_watermark
        self.callback_url = callback_url
        self.extra_body = extra_body
        self.minimax_conn_id = minimax_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.output_path = output_path
        self.overwrite = overwrite
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.validate = validate
        self._minimax_task_id: str | None = None
        if output_path is not None and not wait_for_completion:
            raise MinimaxRequestError(
                f"output_path={output_path!r}: needs wait_for_completion=True: there is no clip before that",
                money=NOTHING_BOUGHT,
            )
        if validate:
            check_literals(self._content())

    def _content(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _CONTENT}
        return {name: value.value if isinstance(value, Discreet) else value for name, value in values.items()}

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        super()._do_render_template_fields(parent, *args, **kwargs)
        # What is rendered is stored and shown by Airflow: images in full, and URLs with their signatures.
        for name in _MAY_HOLD_SECRETS if parent is self else ():
            if (value := getattr(self, name)) is not None and not isinstance(value, Discreet):
                setattr(self, name, Discreet(value))

    def _hook(self) -> MinimaxHook:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    def execute(self, context: Context) -> Any:
        """Buy the clip, then wait for it as asked."""
        from airflow_provider_minimax.api.request import VideoRequest

        request = VideoRequest.of(self._content())
        path = self._path()
        with closing(self._hook()) as hook:
            minimax_task_id = self._minimax_task_id = self._submit(hook, request)
            with self._bought(minimax_task_id):
                if self.do_xcom_push:
                    context["ti"].xcom_push(key="task_id", value=minimax_task_id)
                if not self.wait_for_completion:
                    return minimax_task_id
                deadline = time.time() + self._patience()
                if self.deferrable:
                    self._defer(minimax_task_id, deadline)
                return self._conclude(hook, self._wait(hook, minimax_task_id, deadline), path)

    def _submit(self, hook: MinimaxHook, request: VideoRequest) -> str:
        try:
            return hook.submit(request, validate=self.validate)
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self.execution_timeout} passed while the submission was under way",
                money="A clip may have been bought and may be billed.",
                hint="Look at the platform's console before running this task again, and give it more time.",
            ) from error

    def _patience(self) -> float:
        limit: timedelta | None = self.execution_timeout
        return self.timeout if limit is None else min(self.timeout, limit.total_seconds())

    def _defer(self, minimax_task_id: str, deadline: float) -> None:
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        self.defer(
            trigger=MinimaxTaskTrigger(
                minimax_task_id=minimax_task_id,
                minimax_conn_id=self.minimax_conn_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._patience() + SAFETY_NET),
        )

    def _wait(self, hook: MinimaxHook, minimax_task_id: str, deadline: float) -> Outcome:
        from airflow_provider_minimax.api.pace import Pace, Wait, Watch
        from airflow_provider_minimax.hooks.minimax import look

        watch = Watch(minimax_task_id, deadline=deadline, pace=Pace(self.poll_interval))
        step: Wait | Outcome = watch.start(time.time())
        while isinstance(step, Wait):
            if step.note:
                self.log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
            time.sleep(step.seconds)
            try:
                seen: VideoTask | MinimaxError = look(hook, minimax_task_id)
            except MinimaxError as error:
                seen = error
            step = watch.after(seen, time.time())
        return step

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn the trigger's event into the result, and fetch the clip if asked to."""
        from airflow_provider_minimax.api.pace import Outcome

        outcome = Outcome.of_event(event)
        with closing(self._hook()) as hook:
            return self._conclude(hook, outcome, self._path())

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought, so nothing here may lead to a retry."""
        minimax_task_id = self._minimax_task_id = _id_of_event(next_kwargs) or _pushed_id(context)
        with self._bought(minimax_task_id):
            return resume(self, next_method, next_kwargs, context, minimax_task_id)

    def _conclude(self, hook: MinimaxHook, outcome: Outcome, path: Path | None) -> dict[str, Any]:
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        return task.as_result() | (_download(hook, task, path, self.log) if path else {})

    def _path(self) -> Path | None:
        from airflow_provider_minimax.delivery import local_output

        return None if self.output_path is None else local_output(self.output_path, overwrite=self.overwrite)

    @contextmanager
    def _bought(self, minimax_task_id: str | None) -> Iterator[None]:
        """Make every failure in here final for this Airflow task: trying it again would buy another clip."""
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            if isinstance(error, MinimaxError):
                error.minimax_task_id = error.minimax_task_id or minimax_task_id
            if isinstance(error, AirflowFailException | AirflowSensorTimeout):
                raise
            what = str(error) if isinstance(error, AirflowException) else f"{type(error).__name__}: {error}."
            raise AirflowFailException(
                f"{what} This task does not retry, because the clip is bought already (task {minimax_task_id}) and a "
                f"retry would buy another. {_GET_IT}"
            ) from error

    def on_kill(self) -> None:
        """Say what goes on: this API has no way to cancel a task."""
        if self._minimax_task_id:
            self.log.warning(
                "MiniMax task %s goes on and will be billed: the API cannot cancel it. %s",
                self._minimax_task_id,
                _GET_IT,
            )


def _id_of_event(next_kwargs: dict[str, Any] | None) -> str | None:
    """Return the id that the trigger's event is about, if it sent one that we understand."""
    from airflow_provider_minimax.api.pace import Outcome

    outcome = Outcome.of_event((next_kwargs or {}).get("event"))
    known = outcome.task or outcome.error
    return known.minimax_task_id if known else None


def _pushed_id(context: Context) -> str | None:
    """Return the id that this try pushed before it deferred; Airflow keeps it until the next try."""
    ti: Any = context["ti"]
    pushed = ti.xcom_pull(task_ids=ti.task_id, key="task_id", map_indexes=ti.map_index)
    return None if pushed is None else str(pushed)


class MinimaxVideoDownloadOperator(BaseOperator):
    """
    Fetch a finished clip to a local file. It buys nothing, so it may be retried.

    .. seealso:: :doc:`/howto/operator`

    :param minimax_task_id: the remote task whose clip to fetch. Templated.
    :param file_id: the clip's file instead, on platforms that have file ids. Templated.
    :param output_path: where the clip shall land: a path or a ``file://`` URL. Templated.
    :param overwrite: whether a file that is already there may be replaced.
    :param minimax_conn_id: the connection that the clip was bought through. Templated.
    :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration`` (each ``None`` where
        the platform does not tell), ``output_path`` and ``size`` in bytes.
    :raises MinimaxRequestError: not exactly one of the ids, or an ``output_path`` that cannot be written.
    :raises MinimaxDownloadError: the clip could not be fetched whole.
    """

    template_fields: Sequence[str] = ("minimax_task_id", "file_id", "output_path", "minimax_conn_id")
    ui_color = "#fff0c4"

    def __init__(
        self,
        *,
        output_path: str,
        minimax_task_id: str | None = None,
        file_id: str | None = None,
        overwrite: bool = False,
        minimax_conn_id: str = "minimax_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.minimax_task_id = minimax_task_id
        self.file_id = file_id
        self.output_path = output_path
        self.overwrite = overwrite
        self.minimax_conn_id = minimax_conn_id
        if (minimax_task_id is None) == (file_id is None):
            raise MinimaxRequestError(
                f"minimax_task_id={minimax_task_id!r} and file_id={file_id!r}: give exactly one of them",
                money=NOTHING_BOUGHT,
            )
        for name, value in (("minimax_task_id", minimax_task_id), ("file_id", file_id), ("output_path", output_path)):
            if value is not None and is_literal(value) and not str(value).strip():
                raise MinimaxRequestError(f"{name}={value!r}: must not be empty", money=NOTHING_BOUGHT)

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the clip."""
        from airflow_provider_minimax.api.task import TaskState, VideoTask
        from airflow_provider_minimax.delivery import local_output
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        path = local_output(self.output_path, overwrite=self.overwrite)
        with closing(MinimaxHook(self.minimax_conn_id)) as hook:
            if self.file_id is not None:
                # A file may be fetched without its task being known.
                task = VideoTask("", TaskState.SUCCEEDED, file_id=str(self.file_id))
            else:
                task = hook.get_task(self.minimax_task_id or "")
            return task.as_result() | _download(hook, task, path, self.log)


def _download(hook: MinimaxHook, task: VideoTask, path: Path, log: Any) -> dict[str, Any]:
    from airflow_provider_minimax.delivery import deliver

    def locate() -> VideoFile:
        return hook.get_file(task if task.file_id else hook.get_task(task.minimax_task_id))

    size = deliver(hook.get_conn(), locate, path)
    log.info("Clip of MiniMax task %s: %s (%s bytes)", task.minimax_task_id or task.file_id, path, size)
    return {"output_path": str(path), "size": size}
