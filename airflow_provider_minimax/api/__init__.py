"""MiniMax over HTTP: values, platforms and transport. Knows nothing of Airflow but the errors it raises."""
