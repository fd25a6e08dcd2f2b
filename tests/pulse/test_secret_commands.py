"""
Keys of clients, as ``pulse secret new`` makes them.
"""

from __future__ import annotations

import json

from mycorrizal.nodosum import client_keys_in
from tests.pulse.worlds import PulseTestCase


class ClientKeyTests(PulseTestCase):
    """What needs no node."""

    def test_line(self) -> None:
        """The line is one that nodes read: a fresh key, the name, the grants."""
        made = "secret", "new", "--client", "reports", "--grant", "CACHE:b:READ"
        first, second = self.out_of(*made), self.out_of(*made)
        self.assertNotEqual(first, second)
        (client,) = client_keys_in(first, "mycorrizal", "f")
        self.assertEqual(client.principal.name, "reports")
        self.assertEqual(list(map(str, client.principal.grants)), ["CACHE:b:READ"])

    def test_json(self) -> None:
        """For programs it is an object."""
        line = self.out_of("secret", "new", "--client", "a", "--json")
        found = json.loads(line)
        self.assertEqual((found["client"], found["grants"]), ("a", []))

    def test_wrong(self) -> None:
        """What nodes would not read is not made."""
        for arguments, problem in (
            (["--grant", "*:*:*"], "--grant needs --client NAME"),
            (["--client", "a b"], "--client: 'a b' is no client's name"),
            (["--client", "a", "--grant", "b"], "--grant: 'b' is no grant"),
            (["--client", "a", "--grant", "CACHE:b c:READ"], "has no spaces"),
        ):
            self.assertIn(problem, self.error_of(2, "secret", "new", *arguments))
