"""
The cache of a node that stood still for so long that others did without it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mycorrizal.testing import seeds
from tests.mycel.cases import ClusterTestCase

#: Longer than it takes to be given up, by others and by the looks of a clock.
SLEEP_S = 8.0


class OversleepingTests(ClusterTestCase):
    """Node 0 sleeps, and its own application asks before anything else happens."""

    def sleep(self, number: int = 0, sleep_s: float = SLEEP_S) -> None:
        """Stop a node for a while, and wake it; nothing has run on it since."""
        self.cluster.pause(number)
        self.cluster.advance(sleep_s)
        self.cluster.resume(number)

    def written_meanwhile(self) -> str:
        """A key of node 0 that others wrote while it slept; it has just woken."""
        key = self.key_owned_by(0, 1)
        self.result_of(self.cache(0).put("b", key, b"old"))
        self.cluster.pause(0)
        self.cluster.advance(SLEEP_S)
        self.assertEqual(self.result_of(self.cache(1).put("b", key, b"new")), 2)
        self.cluster.resume(0)
        return key

    def test_first_read(self) -> None:
        """The first read finds what others have written, not what was ours."""
        key = self.written_meanwhile()
        get = self.cache(0).get("b", key)
        entry = self.cache(0).entry("b", key)
        self.assertEqual(self.result_of(get), b"new")
        self.assertEqual(self.result_of(entry).value, b"new")
        self.settle()

    def test_first_read_of_what_is_elsewhere(self) -> None:
        """What this node never held is found, and is not taken for absent."""
        key = self.key_owned_by(1, 2)
        self.result_of(self.cache(2).put("b", key, b"v"))
        self.sleep()
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"v")

    def test_first_write(self) -> None:
        """The first write has as many copies as any, and is the newest."""
        key = self.written_meanwhile()
        put = self.cache(0).put("b", key, b"newest")
        self.assertEqual(self.result_of(put), 2)
        for number in range(3):
            get = self.cache(number).get("b", key)
            self.assertEqual(self.result_of(get), b"newest")
        self.settle()

    @seeds(5)
    def test_every_turn(self, seed: int) -> None:
        """Nor does any read in the turns that follow find less."""
        key = self.written_meanwhile()
        gets: list[Deferred[bytes | None]] = []
        for _ in range(100):
            gets.append(self.cache(0).get("b", key))
            self.cluster.advance(0.003 * (seed + 1))
        for get in gets:
            self.assertEqual(self.result_of(get), b"new")

    def test_just_short_of_it(self) -> None:
        """Whoever slept a moment less than that answers at once."""
        key = self.key_owned_by(0, 1)
        self.result_of(self.cache(0).put("b", key, b"v"))
        self.sleep(sleep_s=4.0)
        self.assertEqual(self.successResultOf(self.cache(0).get("b", key)), b"v")

    def test_nobody_left(self) -> None:
        """If all others have died meanwhile it goes on without them."""
        key = self.key_owned_by(0, 1)
        self.result_of(self.cache(0).put("b", key, b"v"))
        self.cluster.pause(0)
        self.cluster.crash(1)
        self.cluster.crash(2)
        self.cluster.advance(SLEEP_S)
        self.cluster.resume(0)
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"v")
        self.assertEqual(self.result_of(self.cache(0).put("b", key, b"w")), 1)

    def test_alone(self) -> None:
        """Who has always been alone has nobody to look for."""
        self.cluster.stop(1)
        self.cluster.stop(2)
        self.settle()
        self.result_of(self.cache(0).put("b", "k", b"v"))
        self.sleep()
        self.assertEqual(self.successResultOf(self.cache(0).get("b", "k")), b"v")
