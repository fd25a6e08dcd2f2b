"""
Who is let in.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.pulse.web.gate import TOKEN_CHARACTERS_MIN, Gate

TOKEN = "t" * TOKEN_CHARACTERS_MIN


class GateTests(SynchronousTestCase):
    """Names and tokens."""

    def test_names(self) -> None:
        """Addresses, localhost and given names are known, all others are not."""
        gate = Gate(["Node1.Example"], None)
        good = ["127.0.0.1", "10.0.0.1:80", "[::1]", "[::1]:1", "::1", "localhost:6971"]
        good += ["LOCALHOST", "node1.example:6971", "node1.example."]
        bad = [
            "",
            "evil.example",
            "node1.example.evil",
            "127.0.0.1.evil.example",
            "[x]",
        ]
        bad += ["localhost.evil", "1.2.3", "0x7f000001"]
        for name in good:
            self.assertIsNone(gate.refusal(name, None, None), name)
        for unknown in (*bad, None):
            refusal = gate.refusal(unknown, None, None)
            assert refusal is not None, unknown
            self.assertEqual(refusal.status, 421)

    def test_token(self) -> None:
        """A cookie or a header with the token opens, all else does not."""
        gate = Gate([], TOKEN)
        self.assertIsNone(gate.refusal("::1", f"Bearer {TOKEN}", None))
        self.assertIsNone(gate.refusal("::1", f"bearer  {TOKEN}", None))
        self.assertIsNone(gate.refusal("::1", None, TOKEN))
        for header in ("", TOKEN, "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            refusal = gate.refusal("::1", header, "\udcff")
            assert refusal is not None, header
            self.assertEqual(refusal.status, 401)
        # The token does not make up for a foreign name.
        self.assertIsNotNone(gate.refusal("evil.example", f"Bearer {TOKEN}", None))

    def test_short_token(self) -> None:
        """A token that can be guessed is refused, and not shown."""
        self.assertFalse(Gate([], TOKEN).open)
        error = self.assertRaises(ConfigError, Gate, [], TOKEN[:-1])
        self.assertIn("shorter than 16", str(error))
        self.assertNotIn(TOKEN[:-1], str(error))

    def test_token_that_fits_no_header(self) -> None:
        """A token that a header or a cookie would change is refused, not shown."""
        for token in (TOKEN + ";", TOKEN + " a", TOKEN + "é", "myk1:" + TOKEN):
            error = self.assertRaises(ConfigError, Gate, [], token)
            self.assertIn("do not fit a header", str(error))
            self.assertNotIn(token, str(error))
        self.assertFalse(Gate([], TOKEN + "+/-._~==").open)
