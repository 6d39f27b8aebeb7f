"""Operators that make and fetch clips."""
