"""Triggers that watch remote tasks."""
