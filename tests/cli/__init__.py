"""The command line, and serving by it."""
