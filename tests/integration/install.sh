#!/bin/sh
# Installs the name servers, Prometheus and the browser that the integration
# tests start, where apt-get may do so; what is missing afterwards is skipped by
# the tests, by name.
missing=
[ -x /usr/sbin/named ] || missing="$missing bind9"
[ -x /usr/sbin/knotd ] || missing="$missing knot"
[ -x /usr/sbin/dnsmasq ] || missing="$missing dnsmasq-base"
[ -x /usr/bin/prometheus ] || missing="$missing prometheus"
[ -x /usr/bin/chromium ] || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if [ -d /run/systemd/system ]; then
    # Their packages would start them as services of this machine.
    echo "not installed:$missing (do it yourself, if you want them as services)"
    exit 0
fi
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
install() {
    # shellcheck disable=SC2086
    # Where there is no systemd either, RUNLEVEL keeps them from being started.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
command -v apt-get >/dev/null || {
    echo "not installed:$missing (needs apt-get)"
    exit 0
}
echo "Installing$missing with apt-get"
install || { as_root apt-get update -qq && install; } || echo "could not install:$missing"
exit 0
