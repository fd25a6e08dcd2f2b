"""
Metrics of a node, as text.
"""

from __future__ import annotations

import re

from tests.pulse.web.worlds import WebTestCase


class MetricTests(WebTestCase):
    """Three nodes, of which one is scraped."""

    def metrics(self) -> dict[str, float]:
        """What is scraped: names with labels, and values."""
        found = self.http.metrics()
        assert found is not None
        lines = [line for line in found[1].decode().splitlines() if line[0] != "#"]
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines
        }

    def test_values(self) -> None:
        """Members, links, slots and buckets are as the node has them."""
        cache = self.cluster[0].cache()
        self.cluster.result_of(cache.put("s", "k", b"v"))
        for number in range(30):
            self.cluster.result_of(cache.get("s", f"x{number}"))
        self.cluster.advance(2)
        found = self.metrics()
        self.assertEqual(found['mycorrizal_members{state="alive"}'], 3)
        self.assertEqual(found['mycorrizal_members{state="dead"}'], 0)
        self.assertEqual(found["mycorrizal_links"], 2)
        self.assertEqual(found["mycorrizal_ready"], 1)
        self.assertEqual(found['mycorrizal_bucket_max_entries{bucket="s"}'], 100)
        self.assertGreater(found['mycorrizal_bucket_misses_total{bucket="s"}'], 0)
        self.assertGreater(found["mycorrizal_received_bytes_total"], 1000)
        self.assertGreater(found['mycorrizal_peer_round_trip_seconds{peer="n1"}'], 0)
        count = found["mycorrizal_event_loop_lag_seconds_count"]
        self.assertEqual(
            count, found['mycorrizal_event_loop_lag_seconds_bucket{le="+Inf"}']
        )
        self.assertGreater(count, 5)

    def test_names(self) -> None:
        """There are enough of them, and each name is as Prometheus advises."""
        found = self.http.metrics()
        assert found is not None
        types = re.findall(r"# TYPE (mycorrizal_\w+) (\w+)", found[1].decode())
        self.assertGreaterEqual(len(types), 20)
        for name, kind in types:
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertNotIn("milli", name)

    def test_counts_outlive_links(self) -> None:
        """Counters do not go back when a member goes."""
        before = self.metrics()
        self.cluster.crash(2)
        self.cluster.advance(10)
        after = self.metrics()
        for name, value in before.items():
            if "_total" in name:
                self.assertGreaterEqual(after[name], value, name)
        self.assertEqual(after['mycorrizal_members{state="dead"}'], 1)
        self.assertNotIn('mycorrizal_peer_round_trip_seconds{peer="n2"}', after)

    def test_two_nodes_in_a_process(self) -> None:
        """Each node has metrics of its own."""
        text = self.http.metrics()
        assert text is not None
        self.assertIn(b'node="n0"', text[1])
        self.assertNotIn(b'node="n1"', text[1])
