"""Whether the deployed service can hear of denials, work, and tell people; and what to do where it cannot."""
