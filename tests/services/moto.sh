#!/usr/bin/env bash
# Install what `moto.py` starts, into .services/moto.  Needs a Python with venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
home=$here/../../.services/moto

apt_install python3-venv
[ -x "$home/bin/python" ] || python3 -m venv "$home"
"$home/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    'moto[server]==5.2.1'
