"""
The keys of all nodes, from the command line.
"""

from __future__ import annotations

import json

from mycorrizal.nodosum import client_keys_in, derive_key, new_secret
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
