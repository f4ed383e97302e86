"""What IAM makes of policies: patterns, conditions, and the evaluation of a request."""
