"""
What platforms push: the address they are given, the receiver in the API server, and the record that it keeps.

A push is a hint. It may be lost, repeated, late or forged, so it only ever makes somebody ask the API.
"""
