"""Make the system's binding to librados importable in the virtual environment that runs this.

No index has that binding: it comes with Ceph's packages (Debian's is python3-rados), as one
extension module that any CPython of the same minor version can load.  So this one file is linked,
and nothing else of the system's becomes visible.  Where there is none for this Python, nothing
happens.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

NAME = f"rados{sysconfig.get_config_var('EXT_SUFFIX')}"
SYSTEM = Path("/usr/lib/python3/dist-packages", NAME)


def link() -> None:
    """Link the module into this environment, unless it is there or this is no environment."""
    place = Path(sysconfig.get_path("platlib"), NAME)
    if SYSTEM.exists() and not place.is_symlink() and sys.prefix != sys.base_prefix:
        place.symlink_to(SYSTEM)


if __name__ == "__main__":
    link()
