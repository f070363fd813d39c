#!/usr/bin/env bash
# Install what `ceph.py` starts, and librados with its Python binding.  Needs root and a Debian-like
# system.  `make` then links the binding into the project's environment.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

apt_install ceph-mon ceph-osd ceph-common radosgw python3-rados
