"""Pictures and films that are sent with a request: read, checked and encoded."""
