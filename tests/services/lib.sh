# Helpers shared by the install scripts in this folder.  Sourced, never run.
# shellcheck shell=bash

# apt_install PACKAGE...: install the Debian packages that are missing, and keep them from starting
# system services.
apt_install() {
    local missing=() package policy=/usr/sbin/policy-rc.d status=0 made=
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=1
    fi
    _apt_get install "${missing[@]}" || { _apt_get update && _apt_get install "${missing[@]}"; } ||
        status=$?
    [ -z "$made" ] || rm -f "$policy"
    return "$status"
}

# A package list that is missing or old makes the first install fail; then comes the update.
_apt_get() {
    local verb=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o APT::Install-Recommends=false "$verb" "$@" </dev/null
}
