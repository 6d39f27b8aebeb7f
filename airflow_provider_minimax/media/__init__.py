"""What is in a clip: whether it is what was bought, and pictures of it. Knows neither Airflow nor HTTP."""
