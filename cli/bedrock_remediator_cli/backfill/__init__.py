"""Denials of the past: found where CloudTrail keeps them, looked into, and put through the deployed queue."""
