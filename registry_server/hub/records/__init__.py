"""What the hub's database is asked and told: operations for `Database.read` and `write`.

Each module holds those of one noun; an operation is one transaction.
"""
