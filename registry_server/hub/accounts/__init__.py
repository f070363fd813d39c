"""Accounts: who people and programs are, how they show it, and how long that holds.

    users           people, each with a name that is a namespace
    passwords       argon2id, in a pool beside the event loop
    logins          whose credentials those are
    signing_in      the login of a browser: a password, then perhaps a code
    sessions        of browsers
    second_factor   codes of an authenticator, and recovery codes
    links           that work once: the first admin, an invitation, a new password
    access_tokens   personal ones, for programs
    robots          accounts of programs
    identities      who users are at an OpenID provider or in a directory

Whatever changes an account says so in the audit log, in the same transaction.
"""

from __future__ import annotations

from registry_server.hub.accounts.service import Accounts, open_accounts, open_by_operator

__all__ = ["Accounts", "open_accounts", "open_by_operator"]
