#!/bin/sh
# Install the servers that the benchmarks measure beside us: Redis and memcached.
# Debian starts both as services. The benchmarks start their own, so a service that is
# installed here is stopped; one that was there before is let alone.
set -eu

run=
if [ "$(id -u)" -ne 0 ]; then run=sudo; fi
missing=
for server in redis-server memcached; do
    command -v "$server" >/dev/null || missing="$missing $server"
done
if [ -n "$missing" ]; then
    $run apt-get update -q
    # shellcheck disable=SC2086  # a word for each package
    $run env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing
    for server in $missing; do
        if [ -d /run/systemd/system ]; then
            $run systemctl disable --now "$server"
        elif $run service "$server" status >/dev/null 2>&1; then
            $run service "$server" stop
        fi
    done
fi
redis-server --version
memcached --version
