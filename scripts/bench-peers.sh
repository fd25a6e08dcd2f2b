#!/bin/sh
# Install the servers that the benchmarks measure beside us: Redis and memcached.
# Debian starts both as services; the benchmarks start their own, so these are stopped.
set -eu

run=
if [ "$(id -u)" -ne 0 ]; then run=sudo; fi
if ! command -v redis-server >/dev/null || ! command -v memcached >/dev/null; then
    $run apt-get update -q
    $run env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        redis-server memcached
    if [ -d /run/systemd/system ]; then
        $run systemctl disable --now redis-server memcached
    fi
fi
redis-server --version
memcached --version
