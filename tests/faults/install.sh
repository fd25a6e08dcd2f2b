#!/bin/sh
# Installs what the fault tests use besides Python, where apt-get may do so;
# what is missing afterwards is skipped by the tests, by name.
missing=
command -v ip >/dev/null && command -v tc >/dev/null || missing="$missing iproute2"
command -v nft >/dev/null || missing="$missing nftables"
command -v faketime >/dev/null || missing="$missing faketime"
[ -z "$missing" ] && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
    echo "not installed:$missing (needs root and apt-get)"
    exit 0
}
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } ||
    echo "could not install:$missing"
exit 0
