"""From an approved or revoking row to IAM, and back to the row: the only use case that changes IAM."""
