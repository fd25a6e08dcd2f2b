"""
How the command line is read: options anywhere, kinds of arguments, advice.
"""

from __future__ import annotations

import json

from mycorrizal.mycel.config import TTL_S_MAX, VALUE_BYTES_MAX
from tests.pulse.worlds import PulseTestCase


class OptionTests(PulseTestCase):
    """Options that all commands have."""

    def test_json_anywhere(self) -> None:
        """--json may stand before a command, between two, or after."""
        self.out_of("cache", "create", "b")
        words = ["cache", "put", "b", "k", "v"]
        for place in range(len(words) + 1):
            line = [*words[:place], "--json", *words[place:]]
            self.assertEqual(json.loads(self.out_of(*line)), {"copies": 1})

    def test_access_anywhere(self) -> None:
        """So may the others; the last one wins."""
        self.environment["MYCORRIZAL_NODE"] = "n0:1"
        self.error_of(3, "nodes")
        self.out_of("--node", "n0", "nodes")
        self.out_of("nodes", "--node", "n0")
        self.out_of("--node", "n0:2", "nodes", "--node", "n0")

    def test_help(self) -> None:
        """Help names each option, its variable and its default."""
        text = " ".join(self.out_of("--help").split())
        for words in ("MYCORRIZAL_NODE, or 127.0.0.1:6969", "MYCORRIZAL_TLS, or auto"):
            self.assertIn(words, text)
        self.assertIn("--json", self.out_of("cache", "get", "--help"))
        self.assertNotIn("--node", self.out_of("cache", "get", "-h"))

    def test_bad_choice(self) -> None:
        """A TLS mode that there is not is refused."""
        self.assertIn("'auto', 'pki', 'off'", self.error_of(2, "status", "--tls", "on"))


class AdviceTests(PulseTestCase):
    """Commands that are mistyped."""

    def meant(self, *arguments: str) -> str | None:
        """Which command the advice is to use."""
        error = self.error_of(2, *arguments)
        _, asks, rest = error.partition("did you mean `")
        return rest.partition("`")[0] if asks else None

    def test_mistyped(self) -> None:
        """The nearest command is named."""
        self.assertEqual(self.meant("statu"), "pulse status")
        self.assertEqual(self.meant("cache", "gte", "b", "k"), "pulse cache get")
        self.assertEqual(self.meant("STATUS"), "pulse status")

    def test_wrong_place(self) -> None:
        """A command of a group is found from above it."""
        self.assertEqual(self.meant("get", "b", "k"), "pulse cache get")
        self.assertEqual(self.meant("new"), "pulse secret new")

    def test_name_of_another_program(self) -> None:
        """So is what other programs call it."""
        self.assertEqual(self.meant("members"), "pulse nodes")
        self.assertEqual(self.meant("cache", "set"), "pulse cache put")
        self.assertEqual(self.meant("set"), "pulse cache put")

    def test_nothing_near(self) -> None:
        """Where nothing is near, nothing is named."""
        self.assertIsNone(self.meant("xyzzy"))

    def test_mistyped_option(self) -> None:
        """The nearest option is named too."""
        self.assertIn("--node", self.error_of(2, "--nod", "x"))


class ArgumentTests(PulseTestCase):
    """Times and values."""

    def test_durations(self) -> None:
        """A time has a unit; one that makes no sense is refused with an example."""
        self.out_of("cache", "create", "b", "--ttl", "1.5h")
        self.assertEqual(self.cluster[0].cache().buckets()["b"].ttl_s, 5400)
        self.assertIn("15m", self.error_of(2, "cache", "create", "c", "--ttl", "5x"))

    def test_bounds_of_durations(self) -> None:
        """A time is above 0 and at most 100 years."""
        self.out_of("cache", "create", "b", "--ttl", f"{int(TTL_S_MAX)}s")
        for wrong in ("0", "0s", f"{int(TTL_S_MAX) + 1}s", f"{10**12}d"):
            error = self.error_of(2, "cache", "create", "c", "--ttl", wrong)
            self.assertIn("above 0", error)

    def test_largest_value(self) -> None:
        """A value may have 8 MiB, from stdin too, and not a byte more."""
        self.out_of("cache", "create", "b")
        largest = b"x" * VALUE_BYTES_MAX
        self.out_of("cache", "put", "b", "k", "-", stdin=largest)
        found = self.pulse("cache", "get", "b", "k").stdout_bytes
        self.assertEqual(found, largest)
        result = self.pulse("cache", "put", "b", "k", "-", stdin=largest + b"x")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("8,388,608 bytes", result.stderr)

    def test_bytes_as_typed(self) -> None:
        """A value on the command line need not be text."""
        self.out_of("cache", "create", "b")
        self.out_of("cache", "put", "b", "k", "\udcff\udcfe")
        self.assertEqual(self.pulse("cache", "get", "b", "k").stdout_bytes, b"\xff\xfe")
