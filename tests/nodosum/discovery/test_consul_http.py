"""
Requests to an agent: what is sent, what is taken, and for how long.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol

from mycorrizal.errors import ConfigError, DiscoveryError
from mycorrizal.nodosum.discovery import ConsulSettings
from mycorrizal.nodosum.discovery.consul_http import (
    ANSWER_BYTES_MAX,
    CONNECT_TIMEOUT_S,
    Answer,
    ConsulHttp,
)
from tests.fakes.consul import Fault
from tests.nodosum.discovery.consul_case import AGENT, TOKEN, URL, ConsulCase


class Canned(Protocol):
    """A server that says one thing, and remembers what it was asked."""

    asked: bytes = b""

    def dataReceived(self, data: bytes) -> None:
        canned: Any = self.factory
        canned.asked += data
        transport: Any = self.transport
        transport.write(canned.answer)


class HttpCase(ConsulCase):
    """A client on a host of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.host("a")
        self.https: list[ConsulHttp] = []

    def http(self, **settings: Any) -> ConsulHttp:
        """A client with these settings."""
        found = ConsulSettings(**{"url": URL, **settings})
        http = ConsulHttp(self.client.runtime, found)
        self.https.append(http)
        return http

    def canned(self, port: int, answer: bytes) -> Any:
        """A server that answers in these bytes."""
        factory: Any = Factory.forProtocol(Canned)
        factory.answer, factory.asked = answer, b""
        self.agent.reactor.listenTCP(port, factory)
        return factory

    def ask(self, http: ConsulHttp, *path: str, **more: Any) -> Answer:
        """The answer to a request."""
        asked = http.ask(more.pop("method", "GET"), *path, **{"timeout_s": 5, **more})
        answer: Answer = self.world.result_of(asked)
        return answer

    def problem(self, http: ConsulHttp, *path: str, **more: Any) -> str:
        """Why there is no answer."""
        with self.assertRaises(DiscoveryError) as caught:
            self.ask(http, *path, **more)
        return str(caught.exception)

    def close(self) -> None:
        """Close all, and see that nothing is left."""
        for http in self.https:
            self.world.result_of(http.close())
        self.assertEqual(self.client.sockets(), [])
        self.assertEqual(self.client.runtime.pending_timers(), 0)
        self.client.runtime.rearm()
        self.assertEqual(self.client.reactor.getDelayedCalls(), [])


class AskTests(HttpCase):
    """Requests and answers."""

    def test_answer(self) -> None:
        """An answer has its status, body and index, whatever the status."""
        http = self.http()
        answer = self.ask(http, "health", "service", "s", query=[("passing", "")])
        self.assertEqual((answer.status, answer.body, answer.index), (200, b"[]", 10))
        answer = self.ask(http, "agent", "check", "pass", "x", method="PUT")
        self.assertEqual((answer.status, answer.index), (404, None))
        self.assertIn(b"Unknown check ID", answer.body)
        self.close()

    def test_request(self) -> None:
        """Paths and queries are quoted; the token is in its header."""
        canned = self.canned(80, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        http = self.http(url=f"http://{AGENT}/behind/", token=TOKEN)
        self.ask(
            http, "a/b", "c d",
            method="PUT", query=[("flag", ""), ("x", "1&2")], body=b'{"a": 1}',
        )  # fmt: skip
        lines = canned.asked.decode().split("\r\n")
        self.assertEqual(lines[0], "PUT /behind/v1/a%2Fb/c%20d?flag&x=1%262 HTTP/1.1")
        self.assertIn(f"Host: {AGENT}", lines)
        self.assertIn(f"X-Consul-Token: {TOKEN}", lines)
        self.assertIn("Content-Type: application/json", lines)
        self.assertEqual(lines[-1], '{"a": 1}')

    def test_proxy_and_namespace(self) -> None:
        """A user and password, namespace and partition go with each request."""
        for port, auth, expected in (
            (9001, "me:a: b", "bWU6YTogYg=="), (9002, "me", "bWU6"),
        ):  # fmt: skip
            canned = self.canned(port, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            http = self.http(
                url=f"http://{AGENT}:{port}", auth=auth, namespace="a", partition="b"
            )
            self.ask(http, "x", query=[("flag", "")])
            lines = canned.asked.decode().split("\r\n")
            self.assertEqual(lines[0], "GET /v1/x?flag&ns=a&partition=b HTTP/1.1")
            self.assertIn(f"Authorization: Basic {expected}", lines)

    def test_odd_indexes(self) -> None:
        """An index that is no number is none (F46)."""
        for number, (text, index) in enumerate(
            (("7", 7), ("-1", None), ("x", None), ("", None), ("9" * 20, int("9" * 20)),
             ("9" * 21, None), ("\u0667", None))
        ):  # fmt: skip
            head = f"HTTP/1.1 200 OK\r\nX-Consul-Index: {text}\r\nContent-Length: 0"
            self.canned(9000 + number, head.encode() + b"\r\n\r\n")
            http = self.http(url=f"http://{AGENT}:{9000 + number}")
            self.assertEqual(self.ask(http, "x").index, index)

    def test_body_at_the_bound(self) -> None:
        """An answer of 4 MiB is taken, one byte more is not (F46)."""
        for port, length, taken in (
            (9000, ANSWER_BYTES_MAX, True),
            (9001, ANSWER_BYTES_MAX + 1, False),
        ):
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
            self.canned(port, head + b"x" * length)
            http = self.http(url=f"http://{AGENT}:{port}")
            if taken:
                self.assertEqual(len(self.ask(http, "x").body), length)
            else:
                self.assertIn("is over 4194304 bytes", self.problem(http, "x"))
        self.close()

    def test_no_http(self) -> None:
        """Something that does not speak HTTP."""
        self.canned(9000, b"220 mail.example ESMTP\r\n")
        http = self.http(url=f"http://{AGENT}:9000")
        said = self.problem(http, "x")
        self.assertIn(f"no Consul agent can be used at http://{AGENT}:9000: ", said)
        self.close()

    def test_redirects_are_not_followed(self) -> None:
        """The token is not carried to wherever somebody sends us."""
        elsewhere = self.canned(9001, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        place = f"http://{AGENT}:9001/"
        head = f"HTTP/1.1 307 X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
        self.canned(9000, head.encode())
        http = self.http(url=f"http://{AGENT}:9000", token=TOKEN)
        self.assertEqual(self.ask(http, "x").status, 307)
        self.assertEqual(elsewhere.asked, b"")

    def test_where_we_come_from(self) -> None:
        """Our end's address is known once there was a connection."""
        http = self.http()
        self.assertIsNone(http.local_host)
        self.ask(http, "status", "leader")
        self.assertEqual(http.local_host, self.client.address)


class TimeTests(HttpCase):
    """Nothing is waited for without end (F46)."""

    def problem_after(self, http: ConsulHttp, **more: Any) -> tuple[str, float]:
        """What is said, and after how many seconds."""
        began_s = self.world.now_s
        said = self.problem(http, "status", "leader", **more)
        return said, self.world.now_s - began_s

    def test_no_answer(self) -> None:
        """An agent that takes a request and never answers."""
        self.consul.faults["status"] = Fault.STALL
        said, after_s = self.problem_after(self.http(), timeout_s=3)
        self.assertIn("no answer in 3 s", said)
        self.assertAlmostEqual(after_s, 3, delta=0.1)
        self.close()

    def test_no_host(self) -> None:
        """A host that is not there."""
        self.agent.crash("silence")
        said, after_s = self.problem_after(self.http(), timeout_s=60)
        self.assertIn("it does not answer", said)
        self.assertAlmostEqual(after_s, CONNECT_TIMEOUT_S, delta=0.1)
        self.close()

    def test_drip(self) -> None:
        """An answer that begins and never ends."""
        self.canned(9000, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")
        http = self.http(url=f"http://{AGENT}:9000")
        said, after_s = self.problem_after(http, timeout_s=3)
        self.assertIn("no answer in 3 s", said)
        self.assertAlmostEqual(after_s, 3, delta=0.1)
        self.close()

    def test_wall_clock_steps(self) -> None:
        """A clock that is set back prolongs no wait."""
        self.consul.faults["status"] = Fault.STALL
        asked = self.http().ask("GET", "status", "leader", timeout_s=3)
        self.world.advance(1)
        self.client.jump_wall(-3600)
        self.client.runtime.poke()
        self.world.advance(2.5)
        self.failureResultOf(asked, DiscoveryError)

    def test_cancelled(self) -> None:
        """A request can be given up at any time, and leaves nothing behind."""
        self.consul.faults["status"] = Fault.STALL
        for after_s in (0, 0.0002, 0.001, 1):
            asked = self.http().ask("GET", "status", "leader", timeout_s=5)
            self.world.advance(after_s)
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.close()

    def test_closed(self) -> None:
        """After closing nothing is sent any more."""
        http = self.http()
        self.ask(http, "status", "leader")
        self.close()
        since = len(self.consul.asked)
        self.assertIn("no Consul agent can be used", self.problem(http, "x"))
        self.assertEqual(len(self.consul.asked), since)

    def test_close_while_it_waits(self) -> None:
        """What is under way when all is closed fails."""
        self.consul.faults["status"] = Fault.STALL
        http = self.http()
        asked = http.ask("GET", "status", "leader", timeout_s=50)
        self.world.advance(1)
        self.close()
        self.failureResultOf(asked, DiscoveryError)


class StartTests(HttpCase):
    """What is refused at once."""

    def test_files(self) -> None:
        """A token or certificate that can't be read stops the node's start."""
        for settings, field in (
            ({"token_file": "nowhere"}, "consul.token_file"),
            ({"url": "https://a", "ca": "nowhere"}, "consul.ca"),
        ):
            with self.assertRaises(ConfigError) as caught:
                self.http(**settings)
            self.assertEqual(caught.exception.field, field)
