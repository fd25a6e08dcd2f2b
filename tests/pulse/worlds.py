"""
A simulated cluster, and a user who runs ``pulse`` on another machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import KeyRing, derive_key
from mycorrizal.pulse.access import Access
from mycorrizal.pulse.cli import pulse
from mycorrizal.pulse.client import PulseClient
from mycorrizal.pulse.messages import Question, Reply
from mycorrizal.pulse.session import Following, Session, ask_in_turn
from mycorrizal.testing.cluster import SECRET, SimCluster
from mycorrizal.testing.tls import SimTls

CLUSTER = "mycorrizal"


def key_ring(secret: str = SECRET) -> KeyRing:
    """A user's secret."""
    return KeyRing([derive_key(secret, CLUSTER)])


class PulseTestCase(SynchronousTestCase):
    """
    A cluster whose first node is ``n0``, and a host without a node.

    :ivar settings: Of the nodes.
    """

    size = 1
    settings: dict[str, Any] = {}

    def setUp(self) -> None:
        self.cluster = SimCluster(self.size, seed=self.id(), **self.settings)
        self.cluster.until(self.cluster.formed)
        self.host = self.cluster.world.host("user")
        self.host.runtime.tls = SimTls()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.environment = {
            "HOME": directory.name,
            "MYCORRIZAL_NODE": "n0",
            "MYCORRIZAL_SECRET_FILE": self.secret_file("secret", SECRET),
        }

    def secret_file(self, name: str, secret: str) -> str:
        """Write a file that holds a secret."""
        path = self.directory / name
        path.write_text(secret + "\n")
        path.chmod(0o600)
        return str(path)

    def client(
        self, address: tuple[str, int] = ("n0", 6969), **more: Any
    ) -> PulseClient:
        """A client on the user's host, not yet connected."""
        keys = more.pop("keys", None) or key_ring()
        return PulseClient(self.host.runtime, address, keys, **more)

    def connected(self, **more: Any) -> PulseClient:
        """A client that has been welcomed."""
        client = self.client(**more)
        self.cluster.result_of(client.connect())
        return client

    def ask(self, question: Question) -> Reply:
        """What the first node answers to one question."""
        return self._ask_through(self.client(), question)

    def _converse(self, access: Access, question: Question) -> Reply:
        return self._ask_through(access.client(self.host.runtime), question)

    def _talk(self, access: Access, question: Question, following: Following) -> Reply:
        runtime = self.host.runtime
        client = access.client(runtime)
        asking = ask_in_turn(runtime, client, question, following)
        return self.cluster.result_of(Deferred.fromCoroutine(asking))

    def _ask_through(self, client: PulseClient, question: Question) -> Reply:
        asking = ask_in_turn(self.host.runtime, client, question, lambda reply: None)
        return self.cluster.result_of(Deferred.fromCoroutine(asking))

    def assert_nothing_left(self) -> None:
        """No connection, and no timer, is left on the user's host."""
        self.cluster.advance(1)
        self.assertEqual(self.host.sockets(), [])
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])
        self.assertEqual(self.cluster.world.errors(), [])

    def pulse(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run ``pulse`` with these arguments."""

        session = Session(
            self._converse,
            self.environment,
            talk=self._talk,
            now=self.host.runtime.now,
        )
        return CliRunner().invoke(
            pulse, arguments, input=stdin, obj=session, prog_name="pulse"
        )

    def out_of(self, *arguments: str, stdin: bytes = b"") -> str:
        """What ``pulse`` prints when all goes well."""
        result = self.pulse(*arguments, stdin=stdin)
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result)
        return result.stdout

    def error_of(self, exit_code: int, *arguments: str) -> str:
        """The sentence that ``pulse`` says when it does not go well."""
        result = self.pulse(*arguments)
        self.assertEqual(result.exit_code, exit_code, result)
        return result.stderr
