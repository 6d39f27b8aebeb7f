"""Sensors that wait for clips."""
