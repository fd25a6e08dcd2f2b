"""
Name servers from Debian, started as processes of a test, and their zone.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import pytest

from tests.integration.processes import Crew, Running, free_ports

ZONE = "mesh.test"
#: Where Debian puts daemons, which is in the PATH of root only.
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin"

#: One record: name below the zone, type, data as zone files have it.
Record = tuple[str, str, str]


def program(name: str) -> str:
    """The path of a daemon; without it the test is skipped."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        pytest.skip(f"{name} is not here; tests/integration/install.sh installs it")
    return path


def host(number: int, address: str = "127.0.0.1") -> Record:
    """A host ``nN`` with an address."""
    return (f"n{number}", "AAAA" if ":" in address else "A", address)


def service(name: str, number: int, port: int) -> Record:
    """A SRV record that leads to host ``nN``."""
    return (name, "SRV", f"0 0 {port} n{number}.{ZONE}.")


def instance(name: str, number: int, port: int) -> list[Record]:
    """An instance ``iN`` of a service, as RFC 6763 has it."""
    own = f"i{number}.{name}"
    return [
        (name, "PTR", f"{own}.{ZONE}."),
        service(own, number, port),
        (own, "TXT", '"txtvers=1" "cluster=mycorrizal"'),
        host(number),
    ]


def zone_file(records: Iterable[Record], serial: int, ttl_s: int) -> str:
    """The text of a zone."""
    lines = [
        f"$ORIGIN {ZONE}.",
        f"$TTL {ttl_s}",
        f"@ SOA ns hostmaster {serial} 3600 600 86400 {ttl_s}",
        "@ NS ns",
        "ns A 127.0.0.1",
        *(f"{name} {kind} {data}" for name, kind, data in dict.fromkeys(records)),
    ]
    return "\n".join(lines) + "\n"


@attrs.define
class NameServer:
    """
    One running name server.

    :ivar address: Where it listens, ``HOST`` and port.
    """

    address: tuple[str, int]
    running: Running
    _write: Callable[[Iterable[Record]], None]

    def change(self, records: Iterable[Record]) -> None:
        """Put another zone in the place of the present one."""
        self._write(records)
        self.running.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """Kill it."""
        self.running.kill()


def start_bind(crew: Crew, records: Iterable[Record], ttl_s: int = 60) -> NameServer:
    """BIND, by the ISC, which logs each question."""
    named = program("named")
    place, port, write = _place(crew, "bind", ttl_s)
    write(records)
    conf = place / "named.conf"
    conf.write_text(
        f"""
        options {{
            directory "{place}";
            listen-on port {port} {{ 127.0.0.1; }};
            listen-on-v6 {{ none; }};
            pid-file none;
            session-keyfile none;
            recursion no;
            dnssec-validation no;
            querylog yes;
            notify no;
        }};
        controls {{ }};
        zone "{ZONE}" {{ type primary; file "zone"; }};
        """
    )
    command = [named, "-g", "-n", "1", "-c", str(conf)]
    running = crew.start("named", command)
    running.wait_for(r"\brunning$")
    return NameServer(("127.0.0.1", port), running, write)


def start_knot(crew: Crew, records: Iterable[Record], ttl_s: int = 60) -> NameServer:
    """Knot DNS, by CZ.NIC."""
    knotd = program("knotd")
    place, port, write = _place(crew, "knot", ttl_s)
    write(records)
    conf = place / "knot.conf"
    conf.write_text(
        f"""
server:
    rundir: "{place}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{place}"
log:
  - target: stderr
    any: info
zone:
  - domain: {ZONE}
    file: "{place}/zone"
    zonefile-sync: -1
"""
    )
    running = crew.start("knotd", [knotd, "-c", str(conf)])
    running.wait_for(r"zone file loaded|loaded, serial|zone loaded")
    running.wait_for(r"server started")
    return NameServer(("127.0.0.1", port), running, write)


def _place(
    crew: Crew, name: str, ttl_s: int
) -> tuple[Path, int, Callable[[Iterable[Record]], None]]:
    place = crew.home / name
    place.mkdir()
    (port,) = free_ports(1)
    serials = iter(range(1, 1000))

    def write(records: Iterable[Record]) -> None:
        (place / "zone").write_text(zone_file(records, next(serials), ttl_s))

    return place, port, write


def start_dnsmasq(crew: Crew, records: Iterable[Record], ttl_s: int = 0) -> NameServer:
    """dnsmasq, whose records have TTL 0 unless it is told another."""
    dnsmasq = program("dnsmasq")
    (port,) = free_ports(1)
    options = [
        "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
        "--pid-file", "--user=", "--listen-address=127.0.0.1", "--bind-interfaces",
        "--log-facility=-", "--log-queries", f"--port={port}", f"--local=/{ZONE}/",
        f"--local-ttl={ttl_s}",
    ]  # fmt: skip
    for name, kind, data in dict.fromkeys(records):
        own = f"{name}.{ZONE}"
        match kind:
            case "A" | "AAAA":
                options.append(f"--host-record={own},{data}")
            case "PTR":
                options.append(f"--ptr-record={own},{data.rstrip('.')}")
            case "SRV":
                priority, weight, srv_port, target = data.split()
                where = f"{target.rstrip('.')},{srv_port},{priority},{weight}"
                options.append(f"--srv-host={own},{where}")
            case "TXT":
                texts = data.replace('"', "").replace(" ", ",")
                options.append(f"--txt-record={own},{texts}")
            case "CNAME":
                options.append(f"--cname={own},{data.rstrip('.')}")
    running = crew.start("dnsmasq", [dnsmasq, *options])
    running.wait_for(r"started")
    return NameServer(("127.0.0.1", port), running, lambda records: None)
