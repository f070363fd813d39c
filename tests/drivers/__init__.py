"""Every driver and wrapper against the suite that third parties use, and what is theirs alone."""
