"""The hub: accounts, organisations, roles, and the tokens that carry what they allow.

The registry half stores images and knows no users; the hub knows people and stores no images.
What joins them are signed tokens, which the registry half verifies offline, and the catalog, in
which the hub keeps what the registry half enforces: visibility and quotas.
"""
