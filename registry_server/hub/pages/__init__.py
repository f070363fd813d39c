"""The few pages that the hub needs before anybody is logged in: to log in, and to use a link.

They need no script, and their policy allows none.
"""
