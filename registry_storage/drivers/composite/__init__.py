"""Drivers that are made of other drivers: `mirror` and `cache`."""
