"""Adapters, one file an AWS service: typed, injected, nothing decided here."""
