"""From a denial to a row: batches of denials, what is the matter with each, and what is done about it."""
