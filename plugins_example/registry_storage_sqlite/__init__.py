"""A store in one SQLite file, as a plug-in of registry-storage."""
