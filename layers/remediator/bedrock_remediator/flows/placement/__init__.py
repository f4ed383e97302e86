"""Where a grant is written: one module a strategy, and what they have in common."""
