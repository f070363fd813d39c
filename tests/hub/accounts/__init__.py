"""Accounts: who people and programs are, how they show it, and how long that holds."""
