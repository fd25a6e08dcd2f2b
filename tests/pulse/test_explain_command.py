"""
Where a value is, and why a get misses.
"""

from __future__ import annotations

import json
from typing import Any

from tests.pulse.worlds import PulseTestCase


class ExplainTests(PulseTestCase):
    """Three nodes with a bucket that holds two values on each."""

    size = 3
    settings = {"buckets": "b:ttl=15m,max_entries=2"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def explain(self, key: str) -> dict[str, Any]:
        """What is said of a key, for programs."""
        found: dict[str, Any] = json.loads(self.out_of("explain", "b", key, "--json"))
        return found

    def test_there(self) -> None:
        """A value that is there is on each owner, in the same version."""
        self.out_of("cache", "put", "b", "k", "value")
        found = self.explain("k")
        self.assertTrue(found["found"])
        self.assertEqual(found["primary"], found["owners"][0])
        self.assertEqual(len(found["owners"]), 2)
        versions = [found["nodes"][owner]["version"] for owner in found["owners"]]
        self.assertEqual(versions[0]["stamp"], versions[1]["stamp"])
        self.assertEqual(versions[0]["value_bytes"], 5)
        self.assertEqual(len(found["why"]), 1, found)
        page = self.out_of("explain", "b", "k")
        self.assertIn(f"slot {found['slot']}\n", page)
        self.assertIn("A get finds the value that", page)
        self.assertRegex(page, r"(?m)^n\d +primary +value +5 B +(15|14) min")
        self.assertLessEqual(max(map(len, page.splitlines()[:7])), 80)

    def test_never_put(self) -> None:
        """Of a key nobody knows all possible reasons are given."""
        (why,) = self.explain("k")["why"]
        self.assertTrue(why.endswith(": it was never put, or it has expired"), why)

    def test_deleted(self) -> None:
        """A delete is remembered, with who and when."""
        self.out_of("cache", "put", "b", "k", "v")
        self.out_of("cache", "delete", "b", "k")
        (why,) = self.explain("k")["why"]
        self.assertRegex(why, r"^A get misses: n\d deleted it at \d{4}-.* UTC$")

    def test_expired(self) -> None:
        """A value that lived shorter than the one before is known to be over."""
        self.out_of("cache", "put", "b", "k", "v", "--ttl", "60s")
        self.out_of("cache", "put", "b", "k", "v", "--ttl", "2s")
        self.cluster.advance(5)
        (why,) = self.explain("k")["why"]
        self.assertIn("has expired", why)

    def test_evicted(self) -> None:
        """Evictions are a reason, with how many there were."""
        for number in range(12):
            self.out_of("cache", "put", "b", f"k{number}", "v")
        (why,) = self.explain("k0")["why"]
        self.assertRegex(why, r"evicted for want of room \(the bucket has lost \d+ val")

    def test_cleared(self) -> None:
        """So is a clear."""
        self.out_of("cache", "put", "b", "k", "v")
        self.out_of("cache", "clear", "b", "--yes")
        (why,) = self.explain("k")["why"]
        self.assertIn("it went with the clear of", why)

    def test_silent_node(self) -> None:
        """A node that does not answer is named."""
        self.cluster.pause(2)
        self.assertIn("Not heard: n2", self.explain("k")["why"])

    def test_no_bucket(self) -> None:
        """A bucket that nobody knows can't be explained."""
        error = self.error_of(1, "explain", "x", "k")
        self.assertIn("no bucket 'x'; `pulse cache buckets` lists", error)
