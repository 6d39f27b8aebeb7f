"""Waiting for remote tasks: when to poll, who polls, and when a wait is over."""
