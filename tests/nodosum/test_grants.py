"""
What a grant covers, and how one is written.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.grants import (
    CLIENT_NAME_BYTES_MAX,
    EVERYTHING,
    GRANT_BYTES_MAX,
    GRANTS_MAX,
    Grant,
    Principal,
    check_client_name,
    parse_grant,
    parse_grants,
)

READ = Grant("CACHE", "sessions", "READ")


class GrantTests(SynchronousTestCase):
    """Grants, as texts and as permissions."""

    def test_exact(self) -> None:
        """A grant covers what it names, and nothing that differs in any part."""
        self.assertTrue(READ.covers(READ))
        for other in (
            Grant("CLUSTER", "sessions", "READ"), Grant("CACHE", "users", "READ"),
            Grant("CACHE", "sessions", "WRITE"), Grant("CACHE", "session", "READ"),
            Grant("CACHE", "sessions2", "READ"), Grant("CACHE", "SESSIONS", "READ"),
        ):  # fmt: skip
            self.assertFalse(READ.covers(other), other)

    def test_any(self) -> None:
        """A star stands for any one part, and for no other."""
        for text in ("*:sessions:READ", "CACHE:*:READ", "CACHE:sessions:*", "*:*:*"):
            self.assertTrue(parse_grant(text, "f").covers(READ), text)
        for text in ("*:*:WRITE", "*:users:*", "CLUSTER:*:*"):
            self.assertFalse(parse_grant(text, "f").covers(READ), text)
        self.assertEqual(parse_grant("*:*:*", "f"), EVERYTHING)

    def test_a_name_that_is_a_star(self) -> None:
        """What is asked of a bucket called * is not covered by any other's grant."""
        self.assertFalse(READ.covers(Grant("CACHE", "*", "READ")))

    def test_colons(self) -> None:
        """A resource may have colons in it; it is written as it is read."""
        grant = parse_grant("CACHE:a:b:READ", "f")
        self.assertEqual(grant, Grant("CACHE", "a:b", "READ"))
        self.assertEqual(str(grant), "CACHE:a:b:READ")

    def test_bad(self) -> None:
        """What is no grant, or never could allow anything, is refused with reasons."""
        for text, problem in (
            ("", "is no grant"), ("CACHE", "is no grant"), ("CACHE:a", "is no grant"),
            ("CACHE::READ", "is no grant"), (":a:READ", "is no grant"),
            ("CACHE:a:", "is no grant"), ("cache:a:READ", "begins with none of"),
            ("CACHE:a:read", "ends with none of *, READ, WRITE, ADMIN"),
            ("CACHE:a:LEAVE", "ends with none of"), ("*:a:EAT", "ends with none of"),
            ("CACHE:a*:READ", "stands for a whole part"),
            ("CACHE:a\x1b:READ", "printable"),
        ):  # fmt: skip
            error = self.assertRaises(ConfigError, parse_grant, text, "field")
            self.assertIn(problem, str(error))
            self.assertTrue(str(error).startswith("field: "))

    def test_bounds(self) -> None:
        """A grant has 128 bytes, a client 32 grants and a name of 64."""
        longest = "CACHE:" + "a" * (GRANT_BYTES_MAX - len("CACHE::READ")) + ":READ"
        self.assertEqual(len(longest), GRANT_BYTES_MAX)
        self.assertEqual(str(parse_grant(longest, "f")), longest)
        longer = longest.replace("a", "aa", 1)
        self.assertRaises(ConfigError, parse_grant, longer, "f")
        most = ["CACHE:a:READ"] * GRANTS_MAX
        self.assertEqual(len(parse_grants(most, "f")), GRANTS_MAX)
        self.assertRaises(ConfigError, parse_grants, [*most, "*:*:*"], "f")
        name = "a" * CLIENT_NAME_BYTES_MAX
        self.assertEqual(check_client_name(name, "f"), name)
        for bad in (name + "a", "", "a b", "a\n", "*"):
            self.assertRaises(ConfigError, check_client_name, bad, "f")

    def test_nothing_is_granted_by_default(self) -> None:
        """Who has no grant may nothing; who has several, what any allows."""
        self.assertFalse(Principal("a", "1234abcd", ()).may(READ))
        some = Principal("a", "1234abcd", (Grant("CLUSTER", "*", "READ"), READ))
        self.assertTrue(some.may(READ))
        self.assertEqual(str(some), "client a (key 1234abcd)")
