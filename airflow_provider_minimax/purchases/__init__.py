"""
Buying once, and going on with what is bought.

The API has no idempotency key, so the only thing that can keep a second try from buying again is a note that the first
one left. :mod:`.receipt` is that note, :mod:`.stores` where it is kept, :mod:`.rules` what follows from it, and
:mod:`.purchase` the order in which things happen.
"""
