"""Adapters of AWS's services: typed, injected, nothing decided here."""
