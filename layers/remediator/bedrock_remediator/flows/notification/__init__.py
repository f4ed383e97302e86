"""From the ledger's stream to the topics."""
