"""Uploads: how the bytes of blobs come in.

    service      the calls of a client: begin, append, finish, cancel, put
    intake       one request's bytes: counted, hashed beside, ended gently where the client leaves
    storing      bytes -> parts and tails in the driver, and the rows that name them
    publishing   a session that is complete -> a blob that the repository may serve
    context      what they share

The state of a session lies in the catalog (`registry_storage.catalog.uploads`), none of it here.
"""

from __future__ import annotations

from registry_storage.uploads.service import Uploads

__all__ = ["Uploads"]
