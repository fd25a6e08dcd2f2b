"""
The faults that the cluster layer must stand, each with the tests that are for it.

A test says in its docstring which it is for, as in ``(F12)``; ``grep -rn F12 tests``
finds all of them.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).parent

#: Numbers that are not here belong to the cache, or to what coordinates.
FAULTS = {
    1: "a peer without power, whose connection stays open",
    2: "a network in two halves",
    3: "a way that works in one direction only",
    4: "two nodes that can't reach each other, and a third that reaches both",
    5: "a slow, stopped or stalled node",
    6: "a node that wakes up after the others have given it up",
    7: "loss, jitter and late bytes, and nobody dead",
    8: "bytes of an earlier life that arrive late",
    9: "wall clocks that jump or drift",
    10: "a HELLO, or its answer, twice",
    11: "two nodes that dial each other at once",
    12: "a restart under the same id",
    13: "two live nodes of one id",
    14: "an incarnation that went back",
    15: "another secret",
    16: "another cluster with the same secret",
    17: "recorded datagrams, proofs and sessions that are sent again",
    18: "our own datagrams and proofs that come back",
    19: "somebody in between who ends TLS on both sides",
    20: "somebody in between who takes away versions, TLS or features",
    21: "bytes in the clear right before TLS",
    22: "frames that lie about their length",
    23: "frames that come in any portions",
    24: "garbage, HTTP, TLS or SSH at the port",
    25: "strange or unknown application ids",
    26: "a small message that inflates to a huge one",
    27: "strangers who say nothing, or everything slowly",
    28: "more connections than there are files",
    29: "datagrams under a false address",
    30: "a flood of datagrams",
    31: "a peer that reads slowly, or not at all",
    32: "bulk in the way of a heartbeat",
    33: "applications that raise, never answer or block",
    45: "a name server that errs, lies or is silent",
    46: "a Consul agent that errs, lies or is silent",
    47: "discovery that names an attacker's address",
    50: "nodes of another version",
    53: "IPv6, other addresses than our own, and none at all",
    54: "two processes with one state directory, and signals",
    55: "sixty-four nodes that come at once",
    56: "a node or a link that comes and goes all the time",
    57: "tables that grow for ever",
    58: "names and texts of others that would steer a terminal",
}


def named() -> dict[int, list[str]]:
    """The tests that name each fault."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if node.name.startswith("test_"):
                text = ast.get_docstring(node) or ""
                for number in re.findall(r"\bF(\d+)\b", text):
                    where = f"{path.relative_to(TESTS)}:{node.name}"
                    found.setdefault(int(number), []).append(where)
    return found


class FaultTests(SynchronousTestCase):
    """Each fault has its tests."""

    def test_each_is_named(self) -> None:
        """No fault of the list is without a test that names it."""
        self.assertEqual([n for n in FAULTS if not named().get(n)], [])
