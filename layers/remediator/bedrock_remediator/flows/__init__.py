"""Use cases, one a file: each moves rows of the ledger to their next state."""
