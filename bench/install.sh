#!/usr/bin/env bash
# Install the peer and the load generators that the benchmark uses.  Needs root and a Debian-like
# system.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../tests/services/lib.sh"

apt_install curl docker-registry wrk
