"""Tests for `mycorrizal.testing.answers`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import Indeterminate, LoadFailed, PartialFailure, UnknownBucket
from mycorrizal.mycel.messages import Done, Found, Refused
from mycorrizal.testing.answers import Answers, SourceDown, failure, known
from mycorrizal.testing.history import FAIL, INFO, OK


class AnswerTests(SynchronousTestCase):
    """What a client is told is written down with its version."""

    def test_errors(self) -> None:
        """Some errors say that nothing happened; others leave it open."""
        for error, outcome in (
            (UnknownBucket("b"), FAIL),
            (LoadFailed("b", "down"), FAIL),
            (SourceDown("v"), FAIL),
            (Indeterminate("late"), INFO),
            (CancelledError(), INFO),
        ):
            self.assertEqual(failure(error).outcome, outcome, error)
            self.assertTrue(known(error))
        self.assertFalse(known(ZeroDivisionError()))

    def test_many(self) -> None:
        """Each key of a call has an end, a value and a version of its own."""
        answers = Answers()
        answers._many["n0"] = [Done(False, 2, 5 << 16, b"\xab"), Refused("busy")]
        partly = PartialFailure({"k0": False}, {"k1": Indeterminate("late")})
        first, second = answers.of_many("delete_many", "n0", ["k0", "k1"], partly)
        self.assertEqual((first.outcome, first.existed, first.copies), (OK, False, 2))
        self.assertEqual(first.version, (5 << 16, "ab"))
        self.assertEqual(second.outcome, INFO)
        answers._many["n0"] = [Found(b"v|00", 6 << 16, b"\xab"), Found(None)]
        found = {"k0": b"v|00", "k1": None}
        one, none = answers.of_many("get_many", "n0", ["k0", "k1"], found)
        self.assertEqual((one.value, one.version), ("v", (6 << 16, "ab")))
        self.assertEqual((none.value, none.version), (None, None))
