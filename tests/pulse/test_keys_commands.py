"""
The keys of all nodes, from the command line.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent

from mycorrizal.nodosum import client_keys_in, derive_key, new_secret
from mycorrizal.pulse.cluster_messages import AskChangeKeys
from mycorrizal.testing.cluster import SECRET
from tests.pulse.worlds import CLUSTER, PulseTestCase

NEW, CLIENT = (new_secret(bytes([n]) * 32) for n in (1, 2))
NOW, NEXT, OF_CLIENT = (
    derive_key(text, CLUSTER).fingerprint for text in (SECRET, NEW, CLIENT)
)


class KeysTests(PulseTestCase):
    """Two nodes, whose secret is being changed."""

    size = 2

    def give(self, number: int, *secrets: str, clients: str = "") -> None:
        """Have a node accept these."""
        keys = [derive_key(secret, CLUSTER) for secret in secrets]
        ring = self.cluster[number].nodosum.config.keys
        ring.replace(keys, client_keys_in(clients, CLUSTER, "f"))

    def test_same(self) -> None:
        """Where all nodes have the same it says so."""
        self.assertEqual(
            self.out_of("keys", "list").splitlines(),
            [
                "NODE  SIGNS     ACCEPTS  CLIENTS",
                f"n0    {NOW}  -        -",
                f"n1    {NOW}  -        -",
                "",
                "All nodes have the same",
            ],
        )

    def test_differ(self) -> None:
        """Halfway through a round the nodes differ, which exit code 1 tells."""
        self.give(0, NEW, SECRET, clients=f"{CLIENT} reports")
        self.give(1, SECRET, NEW)
        result = self.pulse("keys", "list")
        self.assertEqual(result.exit_code, 1)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[1].split(), ["n0", NEXT, NOW, f"reports={OF_CLIENT}"])
        self.assertEqual(lines[2].split(), ["n1", NOW, NEXT, "-"])
        self.assertEqual(lines[-1], "The nodes differ")

    def test_order(self) -> None:
        """Which secret signs is a difference; in which order clients stand is none."""
        lines = [f"{CLIENT} a", f"{new_secret(bytes(32))} b"]
        self.give(0, SECRET, clients="\n".join(lines))
        self.give(1, SECRET, clients="\n".join(reversed(lines)))
        self.out_of("keys", "list")
        self.give(1, SECRET, NEW, clients="\n".join(lines))
        self.give(0, NEW, SECRET, clients="\n".join(lines))
        self.assertEqual(self.pulse("keys", "list").exit_code, 1)

    def test_silent(self) -> None:
        """A node that does not answer may have others: that is not the same."""
        self.cluster.pause(1)
        result = self.pulse("keys", "list")
        self.assertEqual(result.exit_code, 1, result)
        self.assertIn("n1 does not answer", result.stderr)

    def test_json(self) -> None:
        """For programs it is an object; no secret is in it."""
        text = self.out_of("keys", "list", "--json")
        found = json.loads(text)
        self.assertTrue(found["same"])
        self.assertEqual(found["nodes"]["n1"], {"secrets": [NOW], "clients": {}})
        self.assertNotIn(SECRET[5:20], text)


class ChangeTests(PulseTestCase):
    """Two nodes with a file of secrets."""

    size = 2

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "secret"
        self.path.touch(0o600)
        self.path.write_text(SECRET + "\n")
        self.settings = {"secret": None, "secret_files": [str(self.path)]}
        super().setUp()
        self.new = self.secret_file("new", NEW)

    def test_rotation(self) -> None:
        """F15: three commands change the secret of all nodes; the old one is dead."""
        with capturedLogs() as events:
            lines = self.out_of("keys", "add", self.new).splitlines()
        self.assertEqual(lines[1].split(), ["n0", NOW, NEXT, "-"])
        self.assertEqual(lines[-1], "All nodes have the same")
        said = [formatEvent(event) or "" for event in events]
        asked = [line for line in said if line.endswith("asks for add of 'keys'")]
        self.assertEqual(len(asked), 2, said)
        self.assertNotIn(NEW[5:20], repr(events) + "".join(said))
        lines = self.out_of("keys", "use", NEXT).splitlines()
        self.assertEqual(lines[2].split(), ["n1", NEXT, NOW, "-"])
        self.out_of("keys", "remove", NOW)
        self.assertEqual(self.path.read_text(), NEW + "\n")
        refused = self.error_of(1, "keys", "list")
        self.assertIn("another secret or cluster name", refused)
        self.out_of("--secret-file", self.new, "keys", "list")

    def test_too_early(self) -> None:
        """F15: no secret is used or removed while that would part the nodes."""
        error = self.error_of(1, "keys", "use", NEXT)
        self.assertIn(f"n0 has no secret {NEXT}; nothing is changed", error)
        error = self.error_of(1, "keys", "remove", NOW)
        self.assertIn(f"n0 signs with {NOW}; nothing is changed", error)
        self.assertIn("no node has", self.error_of(1, "keys", "remove", NEXT))
        ring = self.cluster[1].nodosum.config.keys
        ring.replace([derive_key(SECRET, CLUSTER), derive_key(NEW, CLUSTER)])
        error = self.error_of(1, "keys", "use", NEXT)
        self.assertIn(f"n0 has no secret {NEXT}; nothing is changed", error)
        self.assertEqual(self.path.read_text(), SECRET + "\n")

    def test_only_one_in_common(self) -> None:
        """F15: the one secret that all have in common is not removed."""
        third = new_secret(bytes([3]) * 32)
        for number, secret in enumerate((NEW, third)):
            ring = self.cluster[number].nodosum.config.keys
            ring.replace(derive_key(key, CLUSTER) for key in (secret, SECRET))
        error = self.error_of(1, "keys", "remove", NOW)
        self.assertIn("n0 has not all secrets that the others sign with", error)

    def test_silent(self) -> None:
        """F15: while a node does not answer no secret is used or removed."""
        self.out_of("keys", "add", self.new)
        self.cluster.pause(1)
        for words in (("use", NEXT), ("remove", NEXT)):
            error = self.error_of(1, "keys", *words)
            self.assertIn("n1 does not answer; nothing is changed", error)
        self.assertEqual(self.path.read_text(), f"{SECRET}\n{NEW}\n")

    def test_cannot(self) -> None:
        """A node that can't change its file says so, and the exit code is 1."""
        self.path.write_text("correct horse battery staple")
        result = self.pulse("keys", "add", self.new)
        self.assertEqual(result.exit_code, 1)
        for node_id in ("n0", "n1"):
            self.assertIn(f"{node_id} secret_files: ", result.stderr)
        self.assertIn("has a passphrase; change it by hand", result.stderr)

    def test_wrong_file(self) -> None:
        """What is no fresh secret, or would go in the clear, is not sent."""
        client = self.secret_file("client", f"{CLIENT} a *:*:*")
        phrase = self.secret_file("phrase", "correct horse battery staple")
        for path in (client, phrase):
            error = self.error_of(2, "keys", "add", path)
            self.assertIn("is not one secret", error)
        self.assertIn("cannot read", self.error_of(2, "keys", "add", "/nowhere/x"))
        error = self.error_of(2, "--tls", "off", "keys", "add", self.new)
        self.assertIn("others could read the secret", error)
        self.assertNotIn(NEW[5:20], repr(AskChangeKeys("add", NEW)))
