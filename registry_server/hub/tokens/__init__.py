"""The token service: what the registry half verifies is signed here, for whom the hub knows."""
