"""Tests for `mycorrizal.testing.meddler`."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.wire.frame import HEADER_BYTES, encode_frame
from mycorrizal.nodosum.wire.limits import FrameType
from mycorrizal.nodosum.wire.version import Role, VersionI, VersionR
from mycorrizal.testing.meddler import HOW, REWRITTEN_MAX, Meddler

OPENING = VersionI(
    1, 1, True, Role.NODE, b"cluster1", b"k" * 16, 7, b"n" * 32, bytes(16), (5,), 2,
    1 << 20,
)  # fmt: skip
ANSWER = VersionR(
    1, 1, 1, True, 1, b"cluster1", b"k" * 16, 7, b"n" * 32, 5, 1 << 20, 2
)  # fmt: skip
GREETINGS = {
    "I": encode_frame(FrameType.VERSION_I, OPENING.encode()),
    "R": encode_frame(FrameType.VERSION_R, ANSWER.encode()),
}


class MeddlerTests(SynchronousTestCase):
    """Greetings are changed on their way, and nothing else is."""

    def test_each(self) -> None:
        """Each way of meddling changes one field of one greeting."""
        self.assertEqual(len(set(HOW)), 12)
        for how in HOW:
            what, _, whose = how.partition(" of ")
            meddler = Meddler(how)
            for name, data in GREETINGS.items():
                changed = meddler.rewrite(1, data + b"rest")
                self.assertEqual(len(changed), len(data) + 4)
                self.assertTrue(changed.endswith(b"rest"))
                self.assertEqual(changed != data + b"rest", name == whose, how)
                if name == whose:
                    said = self.decode(changed[HEADER_BYTES : len(data)])
                    differ = self.fields(said)
                    self.assertEqual(len(differ), 1, how)
                    (field,) = differ
                    self.assertEqual(field[:3], what[:3], how)

    def decode(self, payload: bytes) -> VersionI | VersionR:
        kind = VersionI if len(payload) == len(OPENING.encode()) else VersionR
        return kind.decode(payload)

    def fields(self, said: VersionI | VersionR) -> set[str]:
        """The fields that are not as they were said."""
        was = OPENING if isinstance(said, VersionI) else ANSWER
        now, then = (attrs.asdict(it, recurse=False) for it in (said, was))
        return {name for name in now if now[name] != then[name]}

    def test_bound(self) -> None:
        """Only so many are changed."""
        meddler = Meddler("features of I")
        changed = [meddler.rewrite(1, GREETINGS["I"]) for _ in range(REWRITTEN_MAX)]
        self.assertNotIn(GREETINGS["I"], changed)
        self.assertEqual(meddler.rewrite(1, GREETINGS["I"]), GREETINGS["I"])

    def test_not_now(self) -> None:
        """None is changed while it may not."""
        meddler = Meddler("features of I", lambda: False)
        self.assertEqual(meddler.rewrite(1, GREETINGS["I"]), GREETINGS["I"])
        self.assertEqual(meddler.left, REWRITTEN_MAX)

    def test_other_bytes(self) -> None:
        """What is no greeting, or only part of one, is left alone."""
        meddler = Meddler("features of I")
        data = GREETINGS["I"]
        alike = data[:HEADER_BYTES] + b"x" * (len(data) - HEADER_BYTES)
        for other in (b"", b"x", data[:-1], data[1:], alike):
            self.assertEqual(meddler.rewrite(1, other), other)
