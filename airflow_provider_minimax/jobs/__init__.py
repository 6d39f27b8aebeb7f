"""
One clip from its request to its file: what joins the stages of purchase, polling and delivery.

Operators and ``MinimaxHook.generate`` come in here; the stages know nothing of each other.
"""
