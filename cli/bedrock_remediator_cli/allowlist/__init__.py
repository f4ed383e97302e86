"""`allowlist`: documents as files (`documents`), what a push changes (`change`), whom rules let in (`trial`)."""
