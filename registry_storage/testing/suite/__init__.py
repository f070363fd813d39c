"""Everything to be imported, by star, into the test file of a driver; wants a fixture `harness`.

publishing   put_blob, mark_blob, stat_blob, delete_blobs
reading      read_blob
listing      list_blobs, list_uploads
uploads      begin_upload, put_part, commit_upload, abort_upload
takeover     a second instance goes on, after a crash at any call
cancelling   a cancelled call leaves nothing half done
failing      errors, and nonsense from outside
lifecycle    start, close, limits
extensions   LocalFiles, Redirects, ForeignData
"""

from __future__ import annotations

from registry_storage.testing.bench import bench, readable
from registry_storage.testing.suite import (
    cancelling,
    extensions,
    failing,
    lifecycle,
    listing,
    publishing,
    reading,
    takeover,
    uploads,
)

_MODULES = (
    cancelling,
    extensions,
    failing,
    lifecycle,
    listing,
    publishing,
    reading,
    takeover,
    uploads,
)
_TESTS = {
    name: test
    for module in _MODULES
    for name, test in vars(module).items()
    if name.startswith("test_")
}
globals().update(_TESTS)

__all__ = ["bench", "readable", *_TESTS]
