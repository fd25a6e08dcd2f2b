"""
What a node says of itself.
"""

from __future__ import annotations

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.pulse.web.report import decode, encode
from tests.pulse.web.worlds import WebTestCase


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

    def test_reads_and_writes(self) -> None:
        """Gets and puts are those of all buckets."""
        cache = self.cluster[0].cache()
        before = self.http.report().puts
        for number in range(20):
            self.cluster.result_of(cache.put("s", f"k{number}", b"v"))
        self.assertGreater(self.http.report().puts, before)
