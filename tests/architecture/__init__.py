"""What the code base promises about its own shape: who imports whom, how long things are, what the
docs cover."""
