#!/usr/bin/env bash
# Install what `slapd.py` starts.  Needs root and a Debian-like system.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

apt_install slapd
