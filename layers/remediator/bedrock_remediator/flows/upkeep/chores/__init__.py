"""Upkeep's chores, one a file."""
