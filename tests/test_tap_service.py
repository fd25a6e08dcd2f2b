"""Tests for `mycorrizal.tap`: what ``twist mycorrizal`` says and how it ends."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from mycorrizal import tap
from mycorrizal.tap import EXIT_FAILED, NodeService
from mycorrizal.testing import Host
from tests.node_case import OTHER_SECRET, RAW_SECRET, NodeCase


class NodeServiceTests(NodeCase):
    """A node under ``twist``, without the process around it."""

    def setUp(self) -> None:
        super().setUp()
        self.err = io.StringIO()
        self.patch(sys, "stderr", self.err)
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def run_node(
        self, host: Host | None = None, secret_path: str = "", **settings: Any
    ) -> NodeService:
        """A node service that was started."""
        host = host or self.a
        service = NodeService(host.reactor, self.node(host, **settings), secret_path)
        service.startService()
        return service

    def said(self, level: LogLevel | None = None) -> list[str]:
        """The lines that node services have logged."""
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_namespace"] == "mycorrizal.tap.NodeService"
            and level in (None, event["log_level"])
        ]

    def end(self, service: NodeService) -> None:
        """Stop it, and see that nothing is left."""
        self.world.result_of(service.stopService())
        self.assertEqual(self.a.sockets(), [])
        self.assertEqual(self.a.reactor.getDelayedCalls(), [])

    def test_first_lines(self) -> None:
        """First comes who it is: id, cluster, address, secret; then its members."""
        service = self.run_node(secret_path="/s/secret")
        self.world.advance(1)
        node = service.getServiceNamed("mycorrizal")
        self.assertEqual(
            self.said(),
            [
                "Node a of cluster mycorrizal listens on 10.0.0.1:6969, TCP and UDP",
                f"Secret {node.fingerprint}, TLS auto",
                "A new secret was made; other hosts need a copy of /s/secret",
                "Ready",
                "Members [1]: a 10.0.0.1:6969 this",
            ],
        )
        everything = "".join(map(str, self.events))
        self.assertNotIn(RAW_SECRET.removeprefix("myk1:"), everything)
        self.end(service)

    def test_free_port(self) -> None:
        """The port that was taken is named, not 0."""
        service = self.run_node(listen="a:0")
        self.world.advance(1)
        first = self.said()[0]
        self.assertTrue(re.search(r"listens on 10\.0\.0\.1:[1-9]\d+,", first), first)
        self.end(service)

    def test_tls_is_off(self) -> None:
        """Without encryption a warning is given, but not on loopback."""
        for listen, warned in (
            ("10.0.0.1:7001", 1),
            ("0.0.0.0:7001", 1),
            ("127.0.0.1:7001", 0),
            ("127.9.9.9:7001", 0),
            ("localhost:7001", 0),
        ):
            self.events.clear()
            service = self.run_node(listen=listen, tls="off")
            self.world.advance(1)
            self.assertEqual(len(self.said(LogLevel.warn)), warned, listen)
            self.end(service)

    def test_members(self) -> None:
        """Each change prints who is in; the dead and the left are not."""
        service = self.run_node()
        other = self.started(self.b, static=[self.a.address])
        self.ready(other)
        self.world.advance(1)
        self.assertEqual(
            self.said()[-2:],
            ["b joined", "Members [2]: a 10.0.0.1:6969 this; b 10.0.0.2:6969"],
        )
        self.b.pause()
        self.world.advance(4)
        node: Any = service.getServiceNamed("mycorrizal")
        self.assertEqual([it.state for it in node.nodes()], ["alive", "suspect"])
        self.world.advance(4)
        self.assertEqual(
            self.said()[-2:], ["b died", "Members [1]: a 10.0.0.1:6969 this"]
        )
        self.b.resume()
        self.world.advance(10)
        self.world.result_of(other.stopService())
        self.world.advance(1)
        self.assertEqual(
            self.said()[-2:], ["b left", "Members [1]: a 10.0.0.1:6969 this"]
        )
        self.end(service)

    def test_stop(self) -> None:
        """It says that it leaves; from then on a signal ends the process at once."""
        service = self.run_node()
        self.world.advance(1)
        signal.signal(signal.SIGTERM, lambda *_: None)
        stopped = service.stopService()
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)
        self.assertIn("Leaving the cluster", self.said())
        self.world.result_of(stopped)

    def test_asked_to_leave(self) -> None:
        """What ``pulse leave`` asks for ends the process as SIGTERM does (F42)."""
        stopped: list[str] = []
        self.patch(self.a.reactor, "stop", lambda: stopped.append("stop"))
        service = self.run_node()
        self.world.advance(1)
        node: Any = service.getServiceNamed("mycorrizal")
        node.leave_func()
        self.assertEqual(stopped, ["stop"])
        self.end(service)

    def test_what_was_left(self) -> None:
        """A stop that leaves copies behind lists them, and ends with code 1 (F42)."""
        codes: list[int] = []
        self.patch(os, "_exit", codes.append)
        service = self.run_node(buckets="s:replicas=0", stop_timeout_s=2)
        other = self.started(self.b, static=[self.a.address])
        self.ready(other)
        self.world.advance(2)
        node: Any = service.getServiceNamed("mycorrizal")
        for number in range(20):
            self.world.result_of(node.cache().put("s", f"{number}", b"v"))
        self.b.pause()
        self.world.result_of(service.stopService())
        self.assertEqual(codes, [])
        self.a.reactor.fireSystemEvent("shutdown")
        self.assertEqual(codes, [EXIT_FAILED])
        said = self.err.getvalue()
        pattern = r"mycorrizal: left, but not handed over: \d+ of s\n"
        self.assertTrue(re.fullmatch(pattern, said), said)
        self.b.resume()
        self.world.advance(1)
        self.stop(other)

    def test_stop_before_ready(self) -> None:
        """Who is stopped before it is ready has not failed."""
        service = self.run_node(static=["10.9.9.9"])
        self.world.advance(1)
        self.end(service)
        self.assertEqual(self.said(LogLevel.critical), [])

    def test_busy_port(self) -> None:
        """A port that is taken ends the start with code 1 and one sentence."""
        first = self.started()
        with self.assertRaises(SystemExit) as raised:
            self.run_node(node_id="b")
        self.assertEqual(raised.exception.code, EXIT_FAILED)
        self.assertEqual(
            self.err.getvalue(),
            "mycorrizal: cannot listen on 10.0.0.1:6969: address already in use; "
            "choose another with --listen HOST:PORT (port 0 takes a free one)\n",
        )
        self.assertEqual(self.said(), [])
        self.stop(first)

    def check_failed(self, host: Host, pattern: str, **settings: Any) -> None:
        """The node stops the reactor, and the process ends with code 1."""
        stopped: list[str] = []
        codes: list[int] = []
        self.patch(host.reactor, "stop", lambda: stopped.append("stop"))
        self.patch(os, "_exit", codes.append)
        service = self.run_node(host, **settings)
        self.world.advance(12)
        self.assertEqual(stopped, ["stop"])
        (sentence,) = self.said(LogLevel.critical)
        self.assertTrue(
            re.fullmatch(f"{pattern}.*; the node stops", sentence), sentence
        )
        self.assertNotIn("Ready", self.said())
        self.assertEqual(codes, [])
        self.world.result_of(service.stopService())
        host.reactor.fireSystemEvent("shutdown")
        self.assertEqual(codes, [EXIT_FAILED])
        self.assertTrue(
            re.fullmatch(f"(mycorrizal: {pattern}.*\n)?", self.err.getvalue())
        )

    def test_not_ready(self) -> None:
        """No name has an address within the time."""
        self.check_failed(
            self.a,
            "not ready within 5 s: .*seeds.example",
            static=["seeds.example"],
            ready_timeout_s=5,
        )

    def test_refused(self) -> None:
        """All that answered refused it."""
        member = self.started()
        self.check_failed(
            self.b,
            "10.0.0.1:6969 refused us: .*--secret-file",
            static=[self.a.address],
            secret=OTHER_SECRET,
        )
        self.stop(member)

    def test_same_id(self) -> None:
        """Its id is taken."""
        member = self.started()
        self.world.advance(1)
        self.check_failed(
            self.b,
            "node id 'a' is used twice: .*10.0.0.2:6969 .*10.0.0.1:6969",
            static=[self.a.address],
            node_id="a",
        )
        self.stop(member)

    def test_busy_port_of_a_name(self) -> None:
        """A port that turns out to be taken when the name was looked up."""
        first = self.started()
        self.check_failed(
            self.a, "cannot listen on 10.0.0.1:6969", listen="a:6969", node_id="b"
        )
        self.stop(first)

    def test_a_bug(self) -> None:
        """What is no error of ours is logged with its traceback."""
        self.patch(self.a.reactor, "stop", lambda: None)
        self.patch(tap, "_exit_failed", lambda *_: None)
        service = self.run_node(static=["10.9.9.9"])
        node: Any = service.getServiceNamed("mycorrizal")
        node.when_ready().addErrback(lambda _: None)
        node._readiness.failed(Failure(ZeroDivisionError("a bug")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.world.advance(1)
        self.end(service)
