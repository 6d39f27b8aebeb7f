"""Buying once and going on with what is bought, the same for operators and for ``MinimaxHook.generate``."""
