# -*- test-case-name: tests.test_tap,tests.test_tap_service -*-
"""
``twist mycorrizal``: options, and the service that they describe.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from mycorrizal.config import Config, read_file
from mycorrizal.consul_options import ConsulOptions, option_of
from mycorrizal.dns_options import DnsOptions
from mycorrizal.errors import ConfigError, MycorrizalError
from mycorrizal.http_options import HttpOptions
from mycorrizal.key_options import KeyOptions
from mycorrizal.log_lines import choose_format
from mycorrizal.nodosum import MemberEvent
from mycorrizal.reloading import reloading_of
from mycorrizal.runtime import Entropy, follow_monotonic_time
from mycorrizal.service import Mycorrizal
from mycorrizal.state import cluster_directory, default_directory, make_secret
from mycorrizal.tls_options import TlsOptions
from mycorrizal.version import __version__

#: The exit code for a wrong command line (EX_USAGE of BSD's sysexits.h).
EXIT_USAGE = 64
EXIT_FAILED = 1

#: Options that may be repeated are called by the singular of their setting.
_OPTIONS = {
    "secret_files": "secret_file",
    "buckets": "bucket",
    "dns_servers": "dns_server",
    "http_hosts": "http_host",
    "labels": "label",
    "host": "host_label",
    "watchdog_s": "watchdog",
}


def leave(code: int, sentence: str) -> NoReturn:
    """Say a sentence on stderr and exit."""
    sys.stderr.write(f"mycorrizal: {sentence}\n")
    raise SystemExit(code)


class Options(
    ConsulOptions, DnsOptions, HttpOptions, KeyOptions, TlsOptions, usage.Options
):
    """
    The options of ``twist mycorrizal``.

    :ivar config: The settings that they, the environment and the file give.
    """

    longdesc = (
        "Runs one node of a cluster. Start the same command on each host with "
        "--static naming some or all of them. Each option can also be given as "
        "MYCORRIZAL_OPTION_NAME in the environment or as option_name in the "
        "TOML file of --config; options win over both."
    )

    config: Config

    def __init__(self) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {}
        self._file: str | None = None

    def _add(self, name: str, text: str) -> None:
        self._settings.setdefault(name, []).append(text)

    def opt_listen(self, address: str) -> None:
        """
        HOST:PORT to listen on, TCP and UDP; port 0 takes a free one.
        [default: 0.0.0.0:6969]
        """
        self._settings["listen"] = address

    def opt_advertise(self, address: str) -> None:
        """
        HOST:PORT at which others reach this node, if it is not what it
        listens on (NAT, containers).
        """
        self._settings["advertise"] = address

    def opt_static(self, addresses: str) -> None:
        """
        Where to look for other nodes: HOST:PORT,HOST:PORT,... This node may be
        among them; one that runs is enough. May be repeated.
        """
        parts = [part for part in addresses.split(",") if part.strip()]
        self._settings.setdefault("static", []).extend(parts)

    def opt_node_id(self, node_id: str) -> None:
        """
        A name of its own for this node. [default: MYCORRIZAL_ID, or a random
        one that is kept in the state directory]
        """
        self._settings["node_id"] = node_id

    def opt_cluster_name(self, name: str) -> None:
        """
        The cluster's name; nodes of other clusters are refused.
        [default: mycorrizal]
        """
        self._settings["cluster_name"] = name

    def opt_hello(self, mode: str) -> None:
        """
        udp: greet other nodes by UDP first; tcp: where UDP is blocked.
        [default: udp]
        """
        self._settings["hello"] = mode

    def opt_compression(self, mode: str) -> None:
        """
        auto: compress long messages where both nodes have zstd; zlib: with
        that where they don't; off. [default: auto]
        """
        self._settings["compression"] = mode

    def opt_state_dir(self, directory: str) -> None:
        """
        Where to keep the node's id and the secret.
        [default: ~/.local/state/mycorrizal]
        """
        self._settings["state_dir"] = directory

    def opt_single(self) -> None:
        """
        Run alone: refuse other nodes, answer only to pulse.
        """
        self._settings["single"] = True

    def opt_bucket(self, bucket: str) -> None:
        """
        A cache bucket to create:
        NAME:ttl=15m,max_entries=10000,max_bytes=N,replicas=1,write=all.  May be
        repeated.
        """
        self._add("buckets", bucket)

    def opt_label(self, label: str) -> None:
        """
        NAME=TEXT that other nodes see. May be repeated.
        """
        name, equals, text = label.partition("=")
        if not name or not equals:
            leave(EXIT_USAGE, f"label: give NAME=TEXT, as in zone=a, not {label!r}")
        self._settings.setdefault("labels", {})[name] = text

    def opt_host_label(self, name: str) -> None:
        """
        Names the machine, so that copies of a value need not share one.
        [default: the host name]
        """
        self._settings["host"] = name

    def opt_watchdog(self, seconds: str) -> None:
        """
        How long code may hold up the reactor before the log tells which, with
        its stack; 0 turns that off. [default: 0.5]
        """
        self._settings["watchdog_s"] = seconds

    def opt_config(self, path: str) -> None:
        """
        A TOML file of settings.
        """
        self._file = path

    def opt_version(self) -> NoReturn:
        """
        Print Mycorrizal's version and exit.
        """
        sys.stdout.write(f"mycorrizal {__version__}\n")
        raise SystemExit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # twist would print the whole help above it.
            leave(EXIT_USAGE, f"{error}; see `twist mycorrizal --help`")

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            leave(EXIT_USAGE, f"unexpected argument {arguments[0]!r}; see --help")

    def postOptions(self) -> None:
        path = self._file
        if path is None:
            path = os.environ.get("MYCORRIZAL_CONFIG")
        try:
            file = None if path is None else read_file(path)
            config = Config.from_sources(
                file=file, environment=os.environ, options=self._settings
            )
            if config.state_dir is None:
                state_dir = str(default_directory(os.environ))
                self._settings["state_dir"] = state_dir
                config = Config.from_sources(
                    file=file, environment=os.environ, options=self._settings
                )
        except ConfigError as error:
            leave(EXIT_USAGE, self._sentence(error))
        self.config = config
        choose_format(getattr(self, "parent", None), sys.argv)

    def _sentence(self, error: ConfigError) -> str:
        """An error, with the option's name in place of the setting's."""
        setting = re.match(r"\w*", error.field).group()  # type: ignore[union-attr]
        if setting not in self._settings:
            return str(error)
        if setting == "consul":
            return f"{option_of(error.field)}: {error.problem}"
        option = _OPTIONS.get(setting, setting).replace("_", "-")
        return f"--{option}{error.field.removeprefix(setting)}: {error.problem}"


for _kind in (ConsulOptions, DnsOptions, HttpOptions, TlsOptions, Options):
    for _name, _option in vars(_kind).items():
        # usage prints the texts as they stand, line breaks and all.
        if _name.startswith("opt_"):
            _option.__doc__ = " ".join((_option.__doc__ or "").split())


class NodeService(MultiService):
    """
    A node as ``twist`` runs it: says what happens, and ends the process with
    one sentence when the node can't run.
    """

    _log = Logger()

    def __init__(self, reactor: Any, node: Mycorrizal, secret_path: str) -> None:
        super().__init__()
        self._reactor = reactor
        self._node = node
        self._secret_path = secret_path
        self._reloading = reloading_of(node.runtime, node.config, node.reload)
        node.setServiceParent(self)
        node.subscribe(self._members_changed)
        node.leave_func = reactor.stop

    def startService(self) -> None:
        """Start the node, or end the process with one sentence."""
        try:
            super().startService()
        except MycorrizalError as error:
            leave(EXIT_FAILED, str(error))
        self._reloading.start()
        node = self._node
        # At once, unless the name to listen on has to be looked up.
        listening = node.nodosum.listening.when_ready()
        listening.addCallbacks(self._listening, lambda _: None)
        node.when_ready().addCallbacks(self._ready, self._failed)

    def _listening(self, _: object) -> None:
        node, config = self._node, self._node.config
        self._log.info(
            "Node {node_id} of cluster {cluster} listens on {address}, TCP and UDP",
            node_id=node.node_id,
            cluster=config.cluster_name,
            address=node.address,
        )
        self._log.info(
            "Secret {fingerprint}, TLS {tls}",
            fingerprint=node.fingerprint,
            tls=config.tls,
        )
        if self._secret_path:
            self._log.info(
                "A new secret was made; other hosts need a copy of {path}",
                path=self._secret_path,
            )
        if config.tls == "off" and not _is_loopback(config.listen[0]):
            self._log.warn("TLS is off: everything can be read on the network")

    def _ready(self, _: object) -> None:
        self._log.info("Ready")
        self._say_members()

    def _failed(self, failure: Failure) -> None:
        if not self.running:
            return
        sentence = failure.getErrorMessage()
        if failure.check(MycorrizalError) is None:
            self._log.failure("The node failed", failure=failure)
        self._log.critical("{problem}; the node stops", problem=sentence)
        # twist has no exit code for a service that fails later on.
        self._reactor.addSystemEventTrigger("after", "shutdown", _exit_failed, sentence)
        self._reactor.callLater(0, self._reactor.stop)

    def _members_changed(self, event: MemberEvent) -> None:
        name = type(event).__name__.removeprefix("Member").lower()
        self._log.info("{node_id} {what}", node_id=event.node.id, what=name)
        self._say_members()

    def _say_members(self) -> None:
        nodes = [
            node
            for node in self._node.nodes()
            if node.state in ("alive", "suspect") or node.id == self._node.node_id
        ]
        members = "; ".join(
            f"{node.id} {node.address}"
            + (" this" if node.id == self._node.node_id else "")
            + (" suspect" if node.state == "suspect" else "")
            for node in nodes
        )
        self._log.info(
            "Members [{count}]: {members}", count=len(nodes), members=members
        )

    def stopService(self) -> Deferred[Any]:
        """Stop the node; a second signal ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        self._reloading.stop()
        self._log.info("Leaving the cluster")
        stopped: Deferred[Any] = super().stopService()
        return stopped.addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        left = self._node.left
        if left:
            copies = ", ".join(f"{count} of {name}" for name, count in left.items())
            self._reactor.addSystemEventTrigger(
                "after",
                "shutdown",
                _exit_failed,
                f"left, but not handed over: {copies}",
            )
        self._log.info("Left")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _exit_failed(sentence: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"mycorrizal: {sentence}\n")
    sys.stderr.flush()
    os._exit(EXIT_FAILED)


def makeService(options: Options) -> IService:
    """
    The service that the options describe.
    """
    from twisted.internet import reactor

    config = options.config
    follow_monotonic_time(reactor)
    secret_path = ""
    try:
        if not config.secret_files and config.secret is None:
            assert config.state_dir is not None
            directory = cluster_directory(Path(config.state_dir), config.cluster_name)
            if make_secret(directory, Entropy().token_bytes):
                secret_path = str(directory / "secret")
        node = Mycorrizal(reactor, config)
    except MycorrizalError as error:
        leave(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED, str(error))
    return NodeService(reactor, node, secret_path)
