"""
The cache, from the command line.
"""

from __future__ import annotations

import json

from tests.pulse.worlds import PulseTestCase


class CacheCommandTests(PulseTestCase):
    """Two nodes with a bucket."""

    size = 2
    settings = {"buckets": "b:ttl=15m,max_entries=10"}

    def test_create(self) -> None:
        """A bucket is created with what was asked for, on every node."""
        said = self.out_of(
            *("cache", "create", "new", "--ttl", "1h", "--max-entries", "5"),
            *("--max-bytes", "9000", "--replicas", "0"),
        )
        self.assertEqual(said, "bucket new is there\n")
        settings = self.cluster[1].cache().buckets()["new"]
        self.assertEqual((settings.ttl_s, settings.max_entries), (3600, 5))
        self.assertEqual((settings.max_bytes, settings.replicas), (9000, 0))

    def test_create_otherwise(self) -> None:
        """A bucket that is there with other settings stays as it is."""
        error = self.error_of(1, "cache", "create", "b", "--ttl", "1h")
        self.assertIn("ttl_s is 900.0, not 3600.0", error)

    def test_create_nonsense(self) -> None:
        """Settings that make no sense are refused, here or by the node."""
        self.error_of(2, "cache", "create", "c", "--max-entries", "0")
        self.error_of(2, "cache", "create", "c", "--replicas", "-1")
        self.assertIn(
            "0 to 7", self.error_of(1, "cache", "create", "c", "--replicas=8")
        )
        self.error_of(1, "cache", "create", "c", "--max-bytes", "9" * 30)

    def test_buckets(self) -> None:
        """The buckets are a table, or a list of objects."""
        self.out_of("cache", "put", "b", "k", "v")
        rows = [line.split() for line in self.out_of("cache", "buckets").splitlines()]
        self.assertEqual(rows[0][:2], ["BUCKET", "ENTRIES"])
        self.assertEqual(rows[1][:2], ["b", "1"])
        (found,) = json.loads(self.out_of("cache", "buckets", "--json"))
        self.assertEqual((found["name"], found["entries"]), ("b", 1))

    def test_put_and_get(self) -> None:
        """A value is read as it was put, with nothing added."""
        self.assertEqual(
            self.out_of("cache", "put", "b", "k", "v"), "2 nodes hold it\n"
        )
        self.assertEqual(self.out_of("cache", "get", "b", "k"), "v")
        self.assertEqual(self.out_of("cache", "get", "b", "k", "--node", "n1"), "v")
        self.out_of("cache", "put", "b", "k", "-", stdin=b"\0\xff\r\n")
        found = self.pulse("cache", "get", "b", "k").stdout_bytes
        self.assertEqual(found, b"\0\xff\r\n")

    def test_empty_value(self) -> None:
        """A value may be empty, which is not the same as none."""
        self.out_of("cache", "put", "b", "k", "")
        self.assertEqual(self.out_of("cache", "get", "b", "k"), "")

    def test_get_json(self) -> None:
        """JSON has the value as text if it is text, else in base64."""
        self.out_of("cache", "put", "b", "k", "ä")
        found = json.loads(self.out_of("cache", "get", "b", "k", "--json"))
        self.assertTrue(0 < found.pop("remaining_s") <= 900)
        self.assertEqual(found, {"bucket": "b", "key": "k", "value": "ä"})
        self.out_of("cache", "put", "b", "k", "-", stdin=b"\xff")
        found = json.loads(self.out_of("cache", "get", "b", "k", "--json"))
        self.assertEqual((found["value"], found["value_base64"]), (None, "/w=="))

    def test_absent(self) -> None:
        """What is not there: exit code 1, and no output."""
        for command in (["get"], ["delete"], ["ttl"]):
            time = ["5m"] if command == ["ttl"] else []
            result = self.pulse("cache", *command, "b", "none", *time)
            self.assertEqual((result.exit_code, result.stdout), (1, ""))
            self.assertEqual(
                result.stderr, "pulse: there is no value of key 'none' in bucket 'b'\n"
            )

    def test_absent_json(self) -> None:
        """The same for programs, with an object."""
        result = self.pulse("--json", "cache", "get", "b", "none")
        self.assertEqual(result.exit_code, 1)
        self.assertIsNone(json.loads(result.stdout)["value"])
        result = self.pulse("--json", "cache", "delete", "b", "none")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(json.loads(result.stdout), {"existed": False})

    def test_unknown_bucket(self) -> None:
        """A bucket that is not there: what makes one."""
        for line in (
            ["get", "x", "k"],
            ["put", "x", "k", "v"],
            ["ttl", "x", "k", "1s"],
        ):
            error = self.error_of(1, "cache", *line)
            self.assertIn("no bucket 'x'; `pulse cache create` makes one", error)

    def test_ttl(self) -> None:
        """A value lives as long as was asked for."""
        self.out_of("cache", "put", "b", "k", "v", "--ttl", "10s")
        self.cluster.advance(9)
        self.assertEqual(self.out_of("cache", "ttl", "b", "k", "1m"), "1 min to live\n")
        self.cluster.advance(59)
        self.assertEqual(self.out_of("cache", "get", "b", "k"), "v")
        self.cluster.advance(1)
        self.error_of(1, "cache", "get", "b", "k")

    def test_delete(self) -> None:
        """A value that was deleted is gone."""
        self.out_of("cache", "put", "b", "k", "v")
        self.assertEqual(self.out_of("cache", "delete", "b", "k"), "deleted\n")
        self.error_of(1, "cache", "get", "b", "k")

    def test_bad_keys(self) -> None:
        """A key is 1 to 1024 bytes of text; the node hangs up on nobody."""
        self.assertIn("1 to 1024 bytes", self.error_of(1, "cache", "get", "b", ""))
        self.error_of(1, "cache", "get", "b", "k" * 1025)
        self.assertIn("UTF-8", self.error_of(1, "cache", "get", "b", "\udcff"))
        self.out_of("cache", "put", "b", "k" * 1024, "v")
