"""The rules for what may be granted without asking: documents, and what they say of a grant."""
