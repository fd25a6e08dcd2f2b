"""
What a node says of itself.
"""

from __future__ import annotations

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.pulse.web.report import decode, encode
from tests.pulse.web.worlds import WebTestCase, reports_of


class ReportTests(WebTestCase):
    """The report of a node of three."""

    def test_round_trip(self) -> None:
        """A report is read as it was written."""
        report = self.http.report()
        self.assertEqual(decode(encode(report)), report)
        self.assertEqual([peer.id for peer in report.peers], ["n1", "n2"])
        self.assertEqual([peer.link for peer in report.peers], ["up", "up"])
        self.assertTrue(report.ready)

    def test_malformed(self) -> None:
        """Bytes that are no report are refused, cut or changed."""
        payload = encode(self.http.report())
        for bad in (b"", b"\xc0", payload[:-1], payload + b"x", b"\x91" * 5000):
            self.assertRaises(RemoteProtocolError, decode, bad)

    def test_death_of_an_empty_node(self) -> None:
        """When a node dies that held nothing, slots move and no copy is missing."""
        moved: list[int] = []

        def settled() -> bool:
            reports = [reports_of(self.cluster, number).report() for number in (0, 1)]
            self.assertEqual([each.missing for each in reports], [0, 0])
            moved.append(sum(each.moving for each in reports))
            return self.cluster.converged()

        self.cluster.crash(2)
        self.cluster.until(settled)
        self.assertGreater(max(moved), 0)
        self.assertEqual(moved[-1], 0)

    def test_reads_and_writes(self) -> None:
        """Gets and puts are those of all buckets."""
        cache = self.cluster[0].cache()
        before = self.http.report().puts
        for number in range(20):
            self.cluster.result_of(cache.put("s", f"k{number}", b"v"))
        self.assertGreater(self.http.report().puts, before)
