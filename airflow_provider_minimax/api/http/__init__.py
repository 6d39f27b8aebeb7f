"""How requests are sent and answers are read. The only place that imports an HTTP client."""
