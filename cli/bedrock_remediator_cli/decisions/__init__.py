"""Requests and grants by the stack's API: what waits, what stands, and a person's decisions about them."""
