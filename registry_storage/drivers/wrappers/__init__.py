"""Drivers around a driver, each about one thing: faults, metrics, read-only, retry."""
