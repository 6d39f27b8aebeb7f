"""Three ways to wait for a remote task with the sensor."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

with DAG("minimax_waiting") as dag:
    submit = MinimaxVideoGenerationOperator(
        task_id="submit",
        model="MiniMax-Hailuo-2.3",
        prompt="Steam rises from a cup.",
    )
    MinimaxTaskSensor(
        task_id="deferred",
        minimax_task_id=submit.output,
        deferrable=True,
        timeout=timedelta(hours=1),
    )
    MinimaxTaskSensor(
        task_id="rescheduled",
        minimax_task_id=submit.output,
        mode="reschedule",
        poke_interval=60,
    )
    MinimaxTaskSensor(
        task_id="poking",
        minimax_task_id=submit.output,
        soft_fail=True,
    )
