"""What people read: e-mail, structured JSON, snippets for infrastructure as code."""
