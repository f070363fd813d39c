#!/usr/bin/env bash
# Install the browser that looks at the hub's pages.  Needs root and a Debian-like system.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

apt_install chromium
