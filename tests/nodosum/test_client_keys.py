"""
The file of clients' keys, and what their keys are good for.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.acl import ClientKey, KeyRing, derive_key, new_secret
from mycorrizal.nodosum.client_keys import CLIENT_KEYS_MAX, client_keys_in
from mycorrizal.nodosum.grants import EVERYTHING, Grant
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.version import Role
from tests.nodosum.wire.cases import CLUSTER, SECRET
from tests.nodosum.wire.pairs import Pair, side

A, B = (new_secret(bytes([n]) * 32) for n in (1, 2))
LINE = f"{A} reports CACHE:sessions:READ CLUSTER:*:READ"


def clients(text: str) -> tuple[ClientKey, ...]:
    """The clients in a file."""
    return client_keys_in(text, CLUSTER, "client_keys_file")


class FileTests(SynchronousTestCase):
    """Lines of keys, names and grants."""

    def test_lines(self) -> None:
        """Each line is a client; empty ones and remarks are left out."""
        one, two = clients(f"# ours\n\n  {LINE}  \n{B} idle\n")
        key = derive_key(A, CLUSTER)
        self.assertEqual((one.key, one.principal.fingerprint), (key, key.fingerprint))
        self.assertEqual(one.principal.name, "reports")
        grants = (Grant("CACHE", "sessions", "READ"), Grant("CLUSTER", "*", "READ"))
        self.assertEqual(one.principal.grants, grants)
        self.assertEqual(two.principal.grants, ())

    def test_bad(self) -> None:
        """What is wrong is told with its line's number, and no key is shown."""
        for text, problem in (
            ("correct horse battery", "line 1: a client's line begins with a key"),
            (f"\n{A}", "line 2: behind the key the client's name is missing"),
            (f"{A} {B}", "line 1: behind the key"),
            (f"{A[:-4]} a", "line 1: a secret that begins with myk1:"),
            (f"{A} a/b", "line 1: 'a/b' is no client's name"),
            (f"{A} a CACHE:x", "line 1: 'CACHE:x' is no grant"),
            (f"{A} a\n{B} a", "client a has two keys"),
        ):
            error = self.assertRaises(ConfigError, clients, text)
            self.assertIn(problem, str(error))
            self.assertNotIn(A[5:30], str(error))

    def test_bound(self) -> None:
        """There are as many as 256 clients."""
        lines = [
            f"{new_secret(n.to_bytes(32, 'big'))} c{n}"
            for n in range(CLIENT_KEYS_MAX + 1)
        ]
        self.assertEqual(len(clients("\n".join(lines[1:]))), CLIENT_KEYS_MAX)
        error = self.assertRaises(ConfigError, clients, "\n".join(lines))
        self.assertIn("at most 256 clients' keys, not 257", str(error))

    def test_not_shown(self) -> None:
        """No representation shows a key."""
        (client,) = clients(LINE)
        self.assertNotIn(repr(client.key.client)[2:-1], repr(client))


class RingTests(SynchronousTestCase):
    """A ring with a secret and a client's key."""

    def setUp(self) -> None:
        self.ring = KeyRing([derive_key(SECRET, CLUSTER)], clients(LINE))
        self.key_id = derive_key(A, CLUSTER).key_id

    def test_apart(self) -> None:
        """F15: a client's key is none of those that greetings and nodes use."""
        self.assertNotIn(self.key_id, self.ring.by_id)
        self.assertIsNone(self.ring.shared([self.key_id]))

    def test_principals(self) -> None:
        """A key tells who has it: a client, or a full member; else nobody."""
        client = self.ring.principal(self.key_id)
        assert client is not None
        self.assertEqual(client.name, "reports")
        member = self.ring.principal(self.ring.first.key_id)
        assert member is not None
        self.assertEqual((member.name, member.grants), ("", (EVERYTHING,)))
        self.assertIsNone(self.ring.principal(1))

    def test_sentence(self) -> None:
        """What is in force says how many clients there are."""
        self.assertTrue(self.ring.sentence.endswith("; 1 client with grants"))
        self.ring.replace(self.ring.keys, clients(f"{LINE}\n{B} b"))
        self.assertTrue(self.ring.sentence.endswith("; 2 clients with grants"))

    def test_same_key(self) -> None:
        """A key that two have, or that is a secret of the cluster, is refused."""
        before = self.ring.clients
        for text in (f"{A} a\n{A} b", f"{SECRET} a *:*:*"):
            error = self.assertRaises(
                ConfigError, self.ring.replace, self.ring.keys, clients(text)
            )
            self.assertNotIn(SECRET[5:30], str(error))
            self.assertIs(self.ring.clients, before)


class HandshakeTests(SynchronousTestCase):
    """A node that knows a client's key, and who comes with that key."""

    def node(self) -> Local:
        """The node."""
        ring = KeyRing([derive_key(SECRET, CLUSTER)], clients(LINE))
        return attrs.evolve(side("b"), keys=ring)

    def test_client(self) -> None:
        """A client gets in with a key of its own."""
        comes = side("a", secrets=(A,), role=Role.CLIENT)
        pair = Pair(comes, self.node()).run()
        self.assertEqual(pair.authenticated, (True, True))
        remote = pair.responder.remote
        assert remote is not None
        self.assertEqual(remote.role, Role.CLIENT)
        self.assertEqual(remote.key.key_id, derive_key(A, CLUSTER).key_id)

    def test_no_node(self) -> None:
        """F15: no node gets in with a client's key; it is told what all are told."""
        pair = Pair(side("a", secrets=(A,)), self.node()).run()
        self.assertEqual(pair.authenticated, (False, False))
        refused, told = pair.responder.refused, pair.initiator.refused
        assert refused is not None and told is not None
        self.assertIn("the key of client reports", refused.reason)
        self.assertEqual(told.reason, "another secret or cluster name")

    def test_taken_out(self) -> None:
        """F15: a client's key that was taken out lets nobody in."""
        node = self.node()
        node.keys.replace(node.keys.keys)
        pair = Pair(side("a", secrets=(A,), role=Role.CLIENT), node).run()
        self.assertEqual(pair.authenticated, (False, False))

    def test_proof(self) -> None:
        """F15: who knows only the number of a client's key gets in nowhere."""
        comes = side("a", secrets=(A,), role=Role.CLIENT)
        guess = attrs.evolve(comes.keys.first, client=bytes(32))
        pair = Pair(attrs.evolve(comes, keys=KeyRing([guess])), self.node()).run()
        self.assertEqual(pair.authenticated, (False, False))
