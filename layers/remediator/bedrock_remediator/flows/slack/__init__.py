"""Slack: what is posted there, and the buttons that decide."""
