"""
Receipts: the record of what was bought, which makes "never pay twice" true.

The API has no idempotency key, so the only thing that can keep a second try from buying again is a note that the first
one left. :mod:`.record` is that note, :mod:`.homes` where it is kept, :mod:`.decision` the rules, and :mod:`.purchase`
the order in which things happen. Nothing in here knows HTTP.
"""
