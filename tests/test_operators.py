"""The operators as a DAG author meets them: what is refused when, what is shown, and what a failure says."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from airflow.sdk import DAG

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxDownloadError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.options import checked_id
from airflow_provider_minimax.polling import worker
from airflow_provider_minimax.polling.poller import Outcome

FRAME = "https://files.example/frame.jpg"
CONTENT = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}


def generate(**changes) -> MinimaxVideoGenerationOperator:
    return MinimaxVideoGenerationOperator(task_id="generate", **CONTENT | {"poll_interval": 0.01} | changes)


# -- when the DAG is parsed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": ""}, "prompt='': must not be empty"),
        ({"prompt": None}, "prompt: missing"),
        ({"prompt": "x" * 2001}, "prompt: has 2001 characters"),
        ({"resolution": "8K"}, "resolution='8K'"),
        ({"resolution": "1080P", "duration": 10}, "duration=10"),
        ({"duration": "long"}, "duration='long'"),
        ({"model": "I2V-01"}, "first_frame_image: missing"),
        ({"last_frame_image": FRAME, "first_frame_image": FRAME}, "last_frame_image: MiniMax-Hailuo-2.3 takes none"),
        ({"subject_reference": FRAME}, "subject_reference: MiniMax-Hailuo-2.3 takes none"),
        ({"timeout": 0}, "timeout=0: must be more than 0"),
        ({"timeout": timedelta(seconds=-1)}, "timeout="),
        ({"poll_interval": 0}, "poll_interval=0: must be more than 0"),
        ({"poll_interval": "soon"}, "poll_interval='soon'"),
        ({"on_clear": "never"}, "on_clear='never': must be one of 'resubmit', 'reuse'"),
        ({"overwrite": "sometimes"}, "overwrite='sometimes': must be one of True, False, 'changed'"),
        ({"overwrite": "changed"}, "overwrite='changed': needs output_path and durable=True"),
        (
            {"overwrite": "changed", "output_path": "/tmp/clip.mp4", "durable": False},
            "overwrite='changed': needs output_path and durable=True",
        ),
        ({"on_orphaned_intent": "ask"}, "on_orphaned_intent='ask': must be one of 'fail', 'resubmit', 'adopt'"),
        ({"max_submissions": 0}, "max_submissions=0: must be a whole number, 1 or more"),
        ({"max_submissions": True}, "max_submissions=True: must be a whole number, 1 or more"),
    ],
)
def test_a_literal_that_cannot_work_is_an_error_of_the_dag(changes, said):
    with pytest.raises(MinimaxRequestError) as raised:
        generate(**changes)
    assert said in str(raised.value)
    assert "Nothing was bought." in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "{{ params.prompt }}"},
        {"model": "{{ params.model }}", "duration": "{{ params.duration }}"},
        {"model": "I2V-01", "first_frame_image": "{{ params.frame }}"},
        {"model": "S2V-01", "subject_reference": [{"type": "character", "image": ["{{ params.face }}"]}]},
        {"resolution": "{{ params.resolution }}", "duration": 10},
        {"prompt_optimizer": "{{ params.literal }}"},
        {"extra_body": {"seed": "{{ params.seed }}"}},
    ],
)
def test_templates_are_not_checked_before_they_are_rendered(changes):
    operator = generate(**changes)
    assert {name: getattr(operator, name) for name in changes} == changes


def test_a_literal_is_checked_although_other_fields_are_templates():
    with pytest.raises(MinimaxRequestError, match="duration=10"):
        generate(prompt="{{ params.prompt }}", resolution="1080P", duration=10)


def test_checks_can_be_switched_off():
    assert generate(resolution="1080P", duration=10, validate=False).duration == 10


def test_a_rendered_value_that_cannot_work_is_refused_before_anything_is_sent(connect, minimax_emulator, context):
    connect()
    operator = generate(duration="{{ params.duration }}")
    operator.duration = "7"
    with pytest.raises(MinimaxRequestError, match="duration=7"):
        operator.execute(context)
    assert minimax_emulator.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give exactly one of them"),
        ({"minimax_task_id": "1", "file_id": "2"}, "give exactly one of them"),
        ({"minimax_task_id": ""}, "minimax_task_id='': must not be empty"),
        ({"file_id": " "}, "file_id=' ': must not be empty"),
        ({"minimax_task_id": "1", "output_path": ""}, "output_path='': must not be empty"),
    ],
)
def test_a_download_needs_one_id_and_a_place(arguments, said):
    with pytest.raises(MinimaxRequestError) as raised:
        MinimaxVideoDownloadOperator(task_id="download", **{"output_path": "/tmp/x.mp4"} | arguments)
    assert said in str(raised.value)


@pytest.mark.parametrize("operator", [MinimaxVideoGenerationOperator, MinimaxVideoDownloadOperator])
def test_every_template_field_is_a_parameter(operator):
    import inspect

    # Airflow fills the parameters of base classes too, from keyword arguments and default_args alike.
    constructors = [kind.__init__ for kind in operator.__mro__ if "__init__" in vars(kind)]
    parameters = {name for constructor in constructors for name in inspect.signature(constructor).parameters}
    assert set(operator.template_fields) <= parameters


def test_an_operators_output_is_still_its_xcom():
    with DAG("d"):
        assert generate(output_path="/tmp/x.mp4", wait_for_completion=True).output.operator.task_id == "generate"


# -- what is shown -----------------------------------------------------------------------------------------------------


def rendered(operator) -> str:
    operator.render_template_fields({"params": {"sig": "SIGNATURE"}})
    return str({field: getattr(operator, field) for field in operator.template_fields})


def test_rendered_fields_show_no_image_and_no_signature():
    image = "data:image/png;base64," + "iVBORw0KGgo" * 50
    operator = generate(
        first_frame_image=f"https://files.example/a.png?sig={'{{ params.sig }}'}",
        callback_url="https://me.example/hook?token={{ params.sig }}",
        extra_body={"picture": image},
        subject_reference=[{"type": "character", "image": [image]}],
        validate=False,
    )
    shown = rendered(operator)
    assert "SIGNATURE" not in shown
    assert "iVBORw0KGgo" not in shown
    assert "https://files.example/a.png" in shown


def test_what_is_hidden_from_view_is_sent_all_the_same(connect, minimax_emulator, context):
    connect()
    operator = generate(first_frame_image="https://files.example/a.png?sig={{ params.sig }}")
    rendered(operator)
    operator.execute(context)
    assert minimax_emulator.purchases[0]["body"]["first_frame_image"] == "https://files.example/a.png?sig=SIGNATURE"


def test_a_mapped_task_shows_no_image_either(connect):
    operator = generate(first_frame_image="data:image/png;base64," + "iVBORw0KGgo" * 50, validate=False)
    # Airflow renders a mapped task through this method of the task that it was unmapped to.
    operator._do_render_template_fields(operator, operator.template_fields, {}, operator.get_template_env(), set())
    assert "iVBORw0KGgo" not in str(operator.first_frame_image)


# -- what native rendering makes of templates --------------------------------------------------------------------------


def rendered_natively(operator, **params):
    operator.dag = DAG("d", render_template_as_native_obj=True)
    operator.render_template_fields({"params": params}, operator.dag.get_template_env())
    return operator


def test_a_text_that_reads_like_a_number_is_bought_as_the_text(connect, minimax_emulator, context):
    connect()
    operator = generate(prompt="{{ params.prompt }}", duration="{{ params.duration }}")
    rendered_natively(operator, prompt="1984", duration="6").execute(context)
    assert minimax_emulator.purchases[0]["body"]["prompt"] == "1984"
    assert minimax_emulator.purchases[0]["body"]["duration"] == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("None", "prompt: its template became None"),
        ("True", "prompt=True: must be a text, and not of type bool"),
        ("[1, 2]", r"prompt=\[1, 2\]: must be a text, and not of type list"),
        ("{'a': 1}", "prompt={'a': 1}: must be a text, and not of type dict"),
    ],
)
def test_a_prompt_that_became_something_else_is_refused_before_paying(text, said, connect, minimax_emulator, context):
    connect()
    operator = rendered_natively(generate(prompt="{{ params.prompt }}", first_frame_image=FRAME), prompt=text)
    with pytest.raises(MinimaxRequestError, match=f"{said}.*Nothing was bought"):
        operator.execute(context)
    assert minimax_emulator.purchases == []


def test_a_picture_may_be_a_path_object_and_is_named_for_lineage(tmp_path):
    picture = tmp_path / "a.png"
    both = generate(first_frame_image=picture, reference_images=[picture], validate=False)
    assert both.pictures() == (str(picture), str(picture))


@pytest.mark.parametrize(("given", "sent"), [(123456, "123456"), (" 123456\n", "123456")])
def test_an_id_may_be_a_number(given, sent):
    assert checked_id(given) == sent


@pytest.mark.parametrize("given", [True, None, 1e20, "", [], ["1"], b"1"])
def test_what_can_be_no_id_is_refused_by_name(given):
    with pytest.raises(MinimaxRequestError, match="file_id=.*must be the id"):
        checked_id(given, "file_id")


def test_a_download_whose_id_became_none_fetches_nothing(connect, context, tmp_path):
    connect()
    operator = MinimaxVideoDownloadOperator(
        task_id="fetch", file_id="{{ params.id }}", output_path=str(tmp_path / "a.mp4")
    )
    with pytest.raises(MinimaxRequestError, match="the template of the one that was given became None"):
        rendered_natively(operator, id=None).execute(context)


# -- buying ------------------------------------------------------------------------------------------------------------


def test_the_task_id_is_pushed_and_returned(connect, minimax_emulator, context):
    connect()
    minimax_task_id = generate().execute(context)
    assert context["ti"].xcoms == {"task_id": minimax_task_id, "api_version": "v1"}
    assert minimax_emulator.purchases[0]["task_id"] == minimax_task_id


def test_nothing_is_pushed_if_the_author_does_not_want_it(connect, context):
    connect()
    generate(do_xcom_push=False).execute(context)
    assert context["ti"].xcoms == {}


def test_the_id_and_the_list_price_are_in_the_log(connect, context, log_of):
    connect()
    log = log_of(MinimaxHook)
    minimax_task_id = generate().execute(context)
    assert f"MiniMax task {minimax_task_id}" in log.said()
    assert "0.28 USD" in log.said()


def test_a_failure_after_the_purchase_is_final_and_says_how_to_get_the_clip(connect, context, monkeypatch):
    connect()

    def broken(key, value):
        raise RuntimeError("XCom is down")

    monkeypatch.setattr(context["ti"], "xcom_push", broken)
    with pytest.raises(AirflowFailException) as raised:
        generate().execute(context)
    assert "the clip is bought already" in str(raised.value)
    assert "XCom is down" in str(raised.value)


def test_an_execution_timeout_during_the_submission_is_final(connect, minimax_emulator, context, monkeypatch):
    from airflow.providers.common.compat.sdk import AirflowTaskTimeout

    connect()
    submit = MinimaxHook.submit

    def too_slow(self, request, **options):
        submit(self, request, **options)
        raise AirflowTaskTimeout("timeout")

    monkeypatch.setattr(MinimaxHook, "submit", too_slow)
    with pytest.raises(MinimaxSubmissionUnknownError, match="may have been bought"):
        generate().execute(context)
    assert len(minimax_emulator.purchases) == 1


def test_a_failure_before_the_purchase_may_be_retried(connect, minimax_emulator, context):
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("base_resp", operation="submit", code=1002)
    with pytest.raises(MinimaxRateLimitError) as raised:
        generate().execute(context)
    assert not isinstance(raised.value, AirflowFailException)


def test_a_wait_that_takes_too_long_fails_at_once_and_says_what_goes_on(connect, minimax_emulator, context):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(AirflowSensorTimeout) as raised:
        generate(wait_for_completion=True, deferrable=False, timeout=0.2).execute(context)
    assert isinstance(raised.value, MinimaxTaskTimeoutError)
    assert "keeps running and will be billed" in str(raised.value)
    assert context["ti"].xcoms["task_id"] in str(raised.value)


def test_a_wait_survives_trouble_on_the_way(connect, minimax_emulator, context):
    connect()
    minimax_emulator.fault("http", operation="query", status=503, html=True, times=3)
    facts = generate(wait_for_completion=True, deferrable=False).execute(context)
    assert facts["state"] == "succeeded"


def test_an_execution_timeout_shortens_the_wait(connect, context):
    connect()
    operator = generate(wait_for_completion=True, deferrable=True, execution_timeout=timedelta(seconds=60))
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert deferred.value.trigger.deadline - time.time() < 61


def test_an_output_that_cannot_be_written_is_found_before_paying(connect, minimax_emulator, context, tmp_path):
    connect()
    (tmp_path / "clip.mp4").write_bytes(b"precious")
    for place in [tmp_path, tmp_path / "clip.mp4", "s4://bucket/clip.mp4", tmp_path / "clip.mp4" / "x.mp4"]:
        with pytest.raises((MinimaxRequestError, MinimaxStorageError), match=r"output_path=|x\.mp4"):
            generate(wait_for_completion=True, output_path=str(place)).execute(context)
    assert minimax_emulator.requests == []
    assert (tmp_path / "clip.mp4").read_bytes() == b"precious"


def test_without_xcom_the_id_is_still_in_what_a_failure_says(connect, context):
    connect()
    error = MinimaxTaskFailedError("it failed", minimax_task_id="T-9")
    operator = generate(wait_for_completion=True, do_xcom_push=False)
    with pytest.raises(MinimaxTaskFailedError, match="T-9"):
        operator.resume_execution("execute_complete", {"event": {"task": None, "error": error.as_event()}}, context)


def test_a_key_that_is_changed_during_a_wait_is_looked_up_again(connect, minimax_emulator, context, monkeypatch):
    connect()
    operator = generate(wait_for_completion=True, deferrable=False)
    submit = MinimaxHook.submit

    def then_change_the_key(hook, *args, **options):
        minimax_task_id = submit(hook, *args, **options)
        connect(password="sk-old")
        hook.reload()
        connect()
        return minimax_task_id

    monkeypatch.setattr(MinimaxHook, "submit", then_change_the_key)
    assert operator.execute(context)["state"] == "succeeded"


@pytest.mark.parametrize("platform", ["minimax", "vtrix"])
def test_a_download_of_a_task_without_a_clip_says_to_wait(platform, connect, minimax_emulator, context, tmp_path):
    connect(platform)
    minimax_emulator.configure(lifecycle="manual")
    request = VideoRequest.of({"model": "I2V-01-live", "first_frame_image": FRAME})
    minimax_task_id = MinimaxHook().submit(request)
    download = MinimaxVideoDownloadOperator(
        task_id="download", minimax_task_id=minimax_task_id, output_path=str(tmp_path / "x.mp4")
    )
    with pytest.raises(MinimaxUnavailableError, match="Wait for the task to succeed"):
        download.execute(context)


def test_a_file_id_is_refused_where_there_are_none(connect, context, tmp_path):
    connect("novita")
    download = MinimaxVideoDownloadOperator(task_id="download", file_id="1", output_path=str(tmp_path / "x.mp4"))
    with pytest.raises(MinimaxRequestError, match="Novita has no file ids; give the minimax_task_id"):
        download.execute(context)


def test_a_place_that_was_taken_meanwhile_is_no_reason_to_say_that_nothing_was_bought(connect, context, tmp_path):
    connect()
    (tmp_path / "clip.mp4").write_bytes(b"somebody else's")
    operator = generate(wait_for_completion=True, output_path=str(tmp_path / "clip.mp4"))
    event = Outcome(VideoTask("T", TaskState.SUCCEEDED, file_id="1")).as_event()
    with pytest.raises(MinimaxRequestError) as raised:
        operator.resume_execution("execute_complete", {"event": event}, context)
    assert "task T" in str(raised.value)
    assert "Nothing was bought" not in str(raised.value)
    assert (tmp_path / "clip.mp4").read_bytes() == b"somebody else's"


def test_an_existing_file_is_replaced_if_the_author_says_so(connect, context, tmp_path):
    connect()
    (tmp_path / "clip.mp4").write_bytes(b"old")
    generate(
        wait_for_completion=True, deferrable=False, output_path=f"file://{tmp_path}/clip.mp4", overwrite=True
    ).execute(context)
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


# -- deferral ----------------------------------------------------------------------------------------------------------


def deferred(operator, context):
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(context)
    return raised.value


def test_a_deferred_wait_carries_the_id_and_no_secret(connect, minimax_emulator, context):
    connect()
    deferral = deferred(generate(wait_for_completion=True, deferrable=True), context)
    _, kwargs = deferral.trigger.serialize()
    assert kwargs["minimax_task_id"] == context["ti"].xcoms["task_id"]
    assert minimax_emulator.api_key("minimax") not in json.dumps(kwargs)
    assert deferral.timeout.total_seconds() > kwargs["deadline"] - time.time()


def test_a_deferred_wait_paces_itself_by_the_clip_unless_the_author_says_otherwise(connect, context):
    connect()
    operator = generate(wait_for_completion=True, deferrable=True, poll_interval=None, resolution="768P", duration="6")
    _, kwargs = deferred(operator, context).trigger.serialize()
    assert "poll_interval" not in kwargs
    assert abs(kwargs["clip"].pop("bought_at") - time.time()) < 10
    assert kwargs["clip"] == {"model": "MiniMax-Hailuo-2.3", "resolution": "768P", "duration": 6}


def test_a_wait_in_the_worker_paces_itself_by_the_clip(connect, context, mocker):
    connect()
    naps = mocker.patch.object(worker, "time", wraps=time, sleep=mocker.Mock()).sleep
    generate(wait_for_completion=True, poll_interval=None).execute(context)
    assert 0 <= naps.call_args_list[0].args[0] <= 16


def test_airflows_own_time_limit_on_the_deferral_does_not_lead_to_a_second_purchase(context):
    context["ti"].xcoms["task_id"] = "T"
    with pytest.raises(MinimaxTaskTimeoutError, match="task T"):
        generate(wait_for_completion=True).resume_execution("__fail__", {"error": "Trigger timeout"}, context)


def test_a_broken_trigger_does_not_lead_to_a_second_purchase(context):
    context["ti"].xcoms["task_id"] = "T"
    with pytest.raises(AirflowFailException, match=r"bought already \(task T\)"):
        generate(wait_for_completion=True).resume_execution("__fail__", {"error": "Trigger failure"}, context)


def test_the_error_that_the_trigger_saw_is_the_one_that_is_raised(connect, context):
    connect()
    context["ti"].xcoms["task_id"] = "T"
    error = MinimaxTaskFailedError("it failed", minimax_task_id="T")
    with pytest.raises(MinimaxTaskFailedError, match="it failed"):
        generate(wait_for_completion=True).resume_execution(
            "execute_complete", {"event": {"task": None, "error": error.as_event()}}, context
        )


@pytest.mark.parametrize("event", [None, {}, {"status": "done"}])
def test_an_event_of_another_version_is_final_too(connect, context, event):
    connect()
    context["ti"].xcoms["task_id"] = "T"
    with pytest.raises(AirflowFailException, match="same version of the provider"):
        generate(wait_for_completion=True).resume_execution("execute_complete", {"event": event}, context)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_killed_operator_says_what_goes_on(connect, context, log_of):
    connect()
    log = log_of(MinimaxVideoGenerationOperator)
    operator = generate()
    minimax_task_id = operator.execute(context)
    operator.on_kill()
    assert f"MiniMax task {minimax_task_id} is not cancelled: it keeps running and will be billed" in log.said()


def test_an_operator_that_bought_nothing_has_nothing_to_say(log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    generate().on_kill()
    assert log.said() == ""


@pytest.mark.parametrize(
    ("kind", "details"),
    [("truncated", {}), ("html_video", {}), ("expired", {}), ("http", {"status": 503})],
)
def test_a_download_that_broke_is_tried_again_with_a_fresh_link(
    connect, minimax_emulator, context, tmp_path, kind, details, monkeypatch
):
    monkeypatch.setattr("airflow_provider_minimax.delivery.download._backoff", lambda state: 0.0)
    connect()
    minimax_emulator.configure(polls=1)
    minimax_emulator.fault(kind, operation="download", times=2, **details)
    facts = generate(wait_for_completion=True, deferrable=False, output_path=str(tmp_path / "clip.mp4")).execute(
        context
    )
    assert facts["size"] == (tmp_path / "clip.mp4").stat().st_size
    assert len([r for r in minimax_emulator.requests if r["operation"] == "file"]) == 3


def test_a_download_that_stays_broken_leaves_no_half_clip(connect, minimax_emulator, context, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.delivery.download._backoff", lambda state: 0.0)
    connect()
    minimax_task_id = generate().execute(context)
    minimax_emulator.set_job(minimax_task_id, state="success")
    minimax_emulator.fault("truncated", operation="download", times=-1)
    download = MinimaxVideoDownloadOperator(
        task_id="download", minimax_task_id=minimax_task_id, output_path=str(tmp_path / "clip.mp4")
    )
    with pytest.raises(MinimaxDownloadError) as raised:
        download.execute(context)
    assert not isinstance(raised.value, AirflowFailException)
    assert not (tmp_path / "clip.mp4").exists()


def test_the_hint_on_a_wrong_region_reaches_the_author(connect, minimax_emulator, context):
    connect(password=minimax_emulator.api_key("minimax-cn"))
    with pytest.raises(MinimaxError, match="works only in the region where it was issued"):
        generate().execute(context)


def test_importing_the_operators_and_sensors_brings_no_client_along():
    import subprocess
    import sys

    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator; before = set(sys.modules)\n"
            "from airflow_provider_minimax.operators import h3, video; import airflow_provider_minimax.sensors.video\n"
            "print(*sorted(set(sys.modules) - before))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = [name for name in found if name.startswith("airflow_provider_minimax")]
    assert not [name for name in ours if ".api" in name or ".hooks" in name or ".triggers" in name]
    assert "httpx" not in found
    assert "tenacity" not in found
    # Finding and reading a module takes longer than most of them take to run.
    assert len(found) <= 13, found


def test_a_hidden_value_shows_itself_short():
    from airflow_provider_minimax.operators.redacted import Redacted

    assert str(Redacted(SimpleNamespace())) == repr(Redacted(SimpleNamespace()))
    assert len(str(Redacted("x" * 5000))) == 500
