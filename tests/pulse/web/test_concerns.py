"""
What the page warns of.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.concerns import (
    LAG_MS,
    QUEUED_BYTES,
    READS_MIN,
    SHOWN_MAX,
    concerns,
)
from tests.pulse.web.reports import bucket, peer, report


class ConcernTests(SynchronousTestCase):
    """Warnings, the worst first."""

    def texts(self, *arguments: object, **more: float) -> list[str]:
        """What is warned of."""
        own, others = arguments if len(arguments) == 2 else (*arguments, {})
        return [each.text for each in concerns(own, others, **more)]  # type: ignore[arg-type]

    def test_nothing(self) -> None:
        """A healthy cluster gives no warning."""
        own, other = report("a", peer("b")), report("b", peer("a"))
        self.assertEqual(self.texts(own, {"b": other}), [])

    def test_members(self) -> None:
        """Dead and suspect ones come first; who has left is no concern."""
        own = report(
            "a", peer("b", link="via c"), peer("c", "dead"), peer("d", "suspect"),
            peer("e", "left"),
        )  # fmt: skip
        self.assertEqual(
            self.texts(own),
            [
                "c at c:1 is dead",
                "d at d:1 is suspect: it is not heard",
                "No link to b at b:1, but via c",
            ],
        )

    def test_of_the_node(self) -> None:
        """It is said when the node itself is not as it should be."""
        self.assertEqual(self.texts(report(ready=False)), ["a is not ready"])
        self.assertEqual(self.texts(report(leaving=True)), ["a is leaving"])
        self.assertEqual(
            self.texts(report(drained=True)), ["a is drained: it is out of service"]
        )
        self.assertEqual(self.texts(report(), lag_ms=LAG_MS - 1), [])
        self.assertEqual(len(self.texts(report(), lag_ms=LAG_MS)), 1)
        self.assertEqual(
            self.texts(report(under_replicated=3)), ["3 copies are missing"]
        )
        self.assertEqual(self.texts(report(under_replicated=1)), ["1 copy is missing"])
        self.assertEqual(self.texts(report("a", peer("b", queued_bytes=5))), [])
        slow = report("a", peer("b", queued_bytes=QUEUED_BYTES))
        self.assertEqual(self.texts(slow), ["1.0 MiB wait to go to b"])

    def test_moving_slots(self) -> None:
        """Slots that change hands are told as such, and not as missing copies."""
        own = report(under_replicated=158, moving=158)
        self.assertEqual(self.texts(own), ["158 slots change hands"])
        own = report(under_replicated=3, moving=1)
        self.assertEqual(
            self.texts(own), ["1 slot changes hands", "2 copies are missing"]
        )

    def test_between_others(self) -> None:
        """A link that two others miss is told once."""
        own = report("a", peer("b"), peer("c"))
        others = {
            "b": report("b", peer("a"), peer("c", link="down")),
            "c": report("c", peer("a"), peer("b", link="down")),
        }
        self.assertEqual(self.texts(own, others), ["b has no link to c"])

    def test_versions(self) -> None:
        """A mix of versions is told."""
        own, others = report("a"), {"b": report("b", version="2")}
        self.assertEqual(self.texts(own, others), ["Versions differ: 1 × 1, 1 × 2"])

    def test_small_bucket(self) -> None:
        """A bucket that evicts and misses most reads is too small."""
        small = bucket(misses=READS_MIN, evicted=1)
        self.assertEqual(len(self.texts(report(buckets=[small]))), 1)
        for fine in (
            bucket(misses=READS_MIN - 1, evicted=1),
            bucket(misses=READS_MIN, evicted=0),
            bucket(misses=READS_MIN, hits=READS_MIN, evicted=1),
        ):
            self.assertEqual(self.texts(report(buckets=[fine])), [])

    def test_many(self) -> None:
        """So many are shown, and of more there is a count."""
        for count, last in (
            (SHOWN_MAX, "n19 at n19:1 is dead"),
            (SHOWN_MAX + 1, "1 more warnings"),
        ):
            own = report("a", *(peer(f"n{number}", "dead") for number in range(count)))
            self.assertEqual(self.texts(own)[-1], last)
