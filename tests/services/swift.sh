#!/usr/bin/env bash
# Install what `swift.py` starts: memcached, and OpenStack Swift into .services/swift.  Needs root
# and a Debian-like system.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
home=$here/../../.services/swift

apt_install memcached python3-venv
[ -x "$home/bin/python" ] || python3 -m venv "$home"
"$home/bin/python" -m pip --disable-pip-version-check --no-input --quiet install 'swift==2.38.3'
