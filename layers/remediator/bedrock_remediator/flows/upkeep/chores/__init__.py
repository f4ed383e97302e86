"""Upkeep's chores; those that go by the clock are together in `deadlines`."""
