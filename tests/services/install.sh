#!/usr/bin/env bash
# Install the packages of every service and client program that the tests use.  Needs root and a
# Debian-like system; what is there already is left alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "${0##*/}: run me as root on Debian or a relative of it" >&2
    exit 1
fi
for script in "$here"/*.sh; do
    case ${script##*/} in
        install.sh | lib.sh) ;;
        *) bash "$script" install ;;
    esac
done
