"""
Whole buckets and their keys, from the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.pulse.worlds import PulseTestCase


class BucketCommandTests(PulseTestCase):
    """Two nodes with a bucket."""

    size = 2
    settings = {"buckets": "b:ttl=15m,max_entries=1000"}

    def fill(self, *keys: str | bytes) -> None:
        """Put a value under each of these."""
        values = dict.fromkeys(keys, b"v")
        self.cluster.result_of(self.cluster[1].cache().put_many("b", values))

    def test_alter(self) -> None:
        """What is given changes everywhere, or is taken away; the rest stays."""
        said = self.out_of("cache", "alter", "b", "--ttl", "1h", "--max-bytes", "9000")
        self.assertEqual(said, "bucket b is altered\n")
        self.out_of("cache", "alter", "b", "--max-entries", "none", "--write", "one")
        settings = self.cluster[1].cache().buckets()["b"]
        self.assertEqual((settings.ttl_s, settings.max_entries), (3600, None))
        self.assertEqual((settings.max_bytes, settings.write), (9000, "one"))
        self.out_of("cache", "alter", "b", "--ttl", "none", "--replicas", "0")
        settings = self.cluster[1].cache().buckets()["b"]
        self.assertEqual((settings.ttl_s, settings.replicas), (None, 0))
        said = self.out_of("cache", "alter", "b", "--ttl", "5s", "--json")
        self.assertEqual(json.loads(said), {"bucket": "b"})

    def test_alter_nonsense(self) -> None:
        """What makes no sense is refused, here or by the node."""
        self.assertIn("--ttl 15m", self.error_of(2, "cache", "alter", "b"))
        self.error_of(2, "cache", "alter", "b", "--max-entries", "many")
        self.error_of(2, "cache", "alter", "b", "--ttl", "soon")
        error = self.error_of(1, "cache", "alter", "b", "--max-entries", "none")
        self.assertIn("max_entries or max_bytes", error)
        error = self.error_of(1, "cache", "alter", "x", "--ttl", "5s")
        self.assertIn("no bucket 'x'", error)

    def test_create_with_write_mode(self) -> None:
        """A bucket may wait for fewer copies."""
        self.out_of("cache", "create", "fast", "--write", "async")
        self.assertEqual(self.cluster[1].cache().buckets()["fast"].write, "async")
        self.error_of(2, "cache", "create", "slow", "--write", "never")

    def test_clear(self) -> None:
        """All values go, if that is meant."""
        self.fill("k1", "k2")
        error = self.error_of(2, "cache", "clear", "b")
        self.assertIn("all values of bucket 'b' on every node; say --yes", error)
        self.assertEqual(self.cluster[1].cache().stats("b").entries, 2)
        self.assertEqual(
            self.out_of("cache", "clear", "b", "--yes"), "bucket b is empty\n"
        )
        self.assertEqual(self.cluster[1].cache().stats("b").entries, 0)
        self.error_of(1, "cache", "clear", "x", "--yes")

    def test_drop(self) -> None:
        """A bucket goes, if that is meant."""
        self.error_of(2, "cache", "drop", "b")
        said = self.out_of("cache", "drop", "b", "--yes")
        self.assertEqual(said, "bucket b is no more\n")
        self.assertEqual(self.cluster[1].cache().buckets(), {})
        said = self.out_of("cache", "create", "c", "--json")
        said = self.out_of("cache", "drop", "c", "--yes", "--json")
        self.assertEqual(json.loads(said), {"bucket": "c"})

    def test_put_only(self) -> None:
        """A value is added where there is none, replaced where there is one."""
        put = "cache", "put", "b", "k"
        self.assertIn("no value of key 'k'", self.error_of(1, *put, "v", "--replace"))
        self.assertEqual(self.out_of(*put, "v", "--add"), "written\n")
        self.assertIn("there is a value", self.error_of(1, *put, "w", "--add"))
        self.assertEqual(self.out_of(*put, "x", "--replace"), "written\n")
        self.assertEqual(self.out_of("cache", "get", "b", "k"), "x")
        result = self.pulse(*put, "y", "--add", "--json")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(json.loads(result.stdout), {"written": False})

    def test_codec(self) -> None:
        """What a program's codec makes of values is not what Pulse sees."""
        self.cluster[0].cache().use_codec("b", "json")
        self.out_of("cache", "put", "b", "k", "{")
        self.assertEqual(self.out_of("cache", "get", "b", "k"), "{")
        self.out_of("cache", "put", "b", "k", '"text"', "--replace")
        value = self.cluster.result_of(self.cluster[0].cache().get("b", "k"))
        self.assertEqual(value, "text")

    def test_scan(self) -> None:
        """Keys are listed, those with a prefix only, or so many."""
        self.assertEqual(self.out_of("cache", "scan", "b"), "")
        keys = [f"user:{number}" for number in range(1500)]
        self.fill(*keys[:800], "page:1")
        self.fill(*keys[800:])
        # The bucket holds a thousand on each of the two.
        self.cluster.result_of(self.cluster[0].cache().clear("b"))
        self.fill(*keys[:800], "page:1", "ä\n")
        said = self.out_of("cache", "scan", "b", "--prefix", "user:")
        self.assertCountEqual(said.splitlines(), keys[:800])
        result = self.pulse("cache", "scan", "b", "--limit", "3")
        self.assertEqual(len(result.stdout.splitlines()), 3)
        self.assertIn("--limit 0 lists all", result.stderr)
        said = self.out_of("cache", "scan", "b", "--limit", "0")
        self.assertEqual(len(said.splitlines()), 802)
        self.assert_nothing_left()

    def test_scan_json(self) -> None:
        """For programs they are an object, which says whether there are more."""
        self.fill("ä", b"\xff")
        found = json.loads(self.out_of("cache", "scan", "b", "--json"))
        self.assertCountEqual(found["keys"], [{"key": "ä"}, {"key_base64": "/w=="}])
        self.assertFalse(found["more"])
        found = json.loads(self.out_of("cache", "scan", "b", "--json", "--limit", "1"))
        self.assertEqual((len(found["keys"]), found["more"]), (1, True))
        self.error_of(1, "cache", "scan", "x")

    def meanwhile(self, act: Callable[[], object]) -> None:
        """Let this happen in 5 seconds."""
        self.cluster.world.later(5, act)

    def test_watch(self) -> None:
        """What happens to keys is shown until there is enough of it."""
        cache = self.cluster[1].cache()

        def act() -> None:
            cache.put("b", "page:1", b"v")
            cache.put("b", "user:1", b"v").addCallback(
                lambda _: cache.delete("b", "user:1")
            )

        self.meanwhile(act)
        said = self.out_of("cache", "watch", "b", "--prefix", "user:", "--count", "2")
        self.assertEqual(said, "put user:1\ndelete user:1\n")
        self.assert_nothing_left()
        self.cluster.advance(1)
        self.assertEqual(self.cluster[0].cache()._watches, {})

    def test_watch_json(self) -> None:
        """For programs each line is an object."""
        cache = self.cluster[1].cache()
        values: dict[str | bytes, bytes] = {"ä": b"", b"\xff": b""}
        self.meanwhile(lambda: cache.put_many("b", values))
        said = self.out_of("cache", "watch", "b", "--count", "2", "--json")
        found = [json.loads(line) for line in said.splitlines()]
        self.assertCountEqual(
            found,
            [{"kind": "put", "key": "ä"}, {"kind": "put", "key_base64": "/w=="}],
        )

    def test_watch_what_is_not_there(self) -> None:
        """A bucket that is not there is named."""
        self.assertIn("no bucket 'x'", self.error_of(1, "cache", "watch", "x"))

    def test_watch_when_the_node_dies(self) -> None:
        """When the node dies the watch ends, and says so."""
        self.meanwhile(lambda: self.cluster.crash(0))
        self.assertIn("closed the connection", self.error_of(3, "cache", "watch", "b"))
