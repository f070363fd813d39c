"""The whole server on each kind of store: a real client, two servers, much data, sudden death."""
