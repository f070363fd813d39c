"""Organisations and repositories: operations that keep the rules and tell the audit log.

Each is one transaction of the hub's database, as in the catalog; where the catalog takes part, too,
the order is such that whatever interrupts it, nobody may do more than before.
"""
