"""The catalog, on SQLite and on PostgreSQL; there also in a database that does not sort like C."""
