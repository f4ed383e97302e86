"""Use cases, a folder each: every one moves rows of the ledger to their next state."""
