"""The hub: accounts, organisations, tokens."""
