# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Redis and memcached, started for one measurement on a port of their own.
"""

from __future__ import annotations

import os
import socket
import time

from benchmarks.processes import Crew, MeasurementFailed
from benchmarks.rows import Needed, program_path

INSTALL = "scripts/bench-peers.sh"
REDIS = Needed("redis-server", program="redis-server", install_command=INSTALL)
MEMCACHED = Needed("memcached", program="memcached", install_command=INSTALL)
LOOPBACK = "127.0.0.1"
LOOK_INTERVAL_S = 0.01


def start_redis(crew: Crew) -> int:
    """
    Start a Redis that keeps nothing on disk.

    :return: its port.
    """
    port = free_port()
    settings = ["--save", "", "--appendonly", "no", "--dir", str(crew.folder)]
    return _start(crew, REDIS, port, ["--bind", LOOPBACK, "--port", port, *settings])


def start_memcached(crew: Crew) -> int:
    """
    :return: its port.
    """
    port = free_port()
    # It refuses to run as root unless it is told as whom to run instead.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return _start(crew, MEMCACHED, port, ["-l", LOOPBACK, "-p", port, "-U", 0, *user])


def _start(crew: Crew, needed: Needed, port: int, options: list[object]) -> int:
    path = program_path(needed.package)
    if path is None:
        raise MeasurementFailed(
            f"{needed.package} is not installed: {needed.install_command}"
        )
    crew.start_program(needed.package, [path, *map(str, options)])
    while not is_open(port):
        crew.check(f"{needed.package} to open its port")
        time.sleep(LOOK_INTERVAL_S)
    return port


def free_port() -> int:
    """
    :return: a port of the loopback interface that nobody uses now.
    """
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        port: int = unused.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex((LOOPBACK, port)) == 0
