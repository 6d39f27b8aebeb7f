"""Connections to MiniMax and its gateways."""
