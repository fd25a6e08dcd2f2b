"""
Many keys are a message to each owner, and each key has an outcome of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from mycorrizal.mycel.config import BATCH_KEYS_MAX
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NOT_OWNER,
    UNKNOWN_BUCKET,
    Answer,
    Done,
    Found,
    Get,
    GetMany,
    Item,
    Many,
    OfKey,
    One,
    Put,
    PutMany,
    Refused,
)
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.bulk import (
    BATCH_BYTES,
    BATCHES_MAX,
    MARGIN_S,
    Bulk,
    serve_batch,
)
from mycorrizal.mycel.operations.routing import RETRY_S
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.nodosum import TIMED_OUT, ErrorCode
from mycorrizal.nodosum.calls import LINK_LOST
from tests.mycel.operations.test_routing import RouterTestCase
from tests.mycel.parts import ME, A, B

LATE = Refused(INDETERMINATE, "no answer in time")


class BulkTestCase(RouterTestCase):
    """This node, A and B, and keys of each."""

    def setUp(self) -> None:
        super().setUp()
        self.results: list[Sequence[One]] = []
        self.bulks: list[Bulk] = []

    def check_nothing_is_left(self) -> None:
        for bulk in self.bulks:
            bulk.cancel()
        super().check_nothing_is_left()

    def keys_of(self, primary: bytes, count: int) -> list[bytes]:
        """So many keys that a node is primary of."""
        primaries = self.parts.view.placement.primaries
        found = [
            key
            for key in (b"%d" % number for number in range(count * 8 + 50))
            if primaries[slot_of(self.parts.bucket.seed, key)] == primary
        ]
        self.assertGreaterEqual(len(found), count)
        return found[:count]

    def begin(self, requests: Sequence[OfKey]) -> Bulk:
        """Begin a call that has 5 seconds."""
        slots = [slot_of(self.parts.bucket.seed, each.key) for each in requests]
        deadline = self.parts.now() + 5
        bulk = Bulk(self.router, requests, slots, deadline, self.results.append)
        self.bulks.append(bulk)
        bulk.begin()
        return bulk

    def get(self, *keys: bytes) -> Bulk:
        """Read keys."""
        return self.begin([Get("b", key) for key in keys])

    def put(self, *keys: bytes, value: bytes | None = b"value") -> Bulk:
        """Write keys, or delete them."""
        return self.begin([Put("b", key, value, 0, 7) for key in keys])


def found(*values: bytes) -> Many:
    """What was found."""
    return Many(tuple(Found(value, 7, A) for value in values))


class BulkTests(BulkTestCase):
    """The caller's side."""

    def test_a_message_for_each_owner(self) -> None:
        """Each owner is asked once, about all that is its own, in order."""
        here, there, elsewhere = (self.keys_of(it, 3) for it in (ME, A, B))
        self.parts.store(here[1], b"ours", 7)
        mixed = [
            key for keys in zip(here, there, elsewhere, strict=True) for key in keys
        ]
        self.get(*mixed)
        asked = {call.node_key: call.request for call in self.sender.calls}
        patience_ms = int((5 - MARGIN_S) * 1000)
        self.assertEqual(
            asked,
            {
                A: GetMany("b", tuple(there), patience_ms),
                B: GetMany("b", tuple(elsewhere), patience_ms),
            },
        )
        self.sender.calls[1].answer(found(b"4", b"5", b"6"))
        self.assertEqual(self.results, [])
        self.sender.calls[0].answer(found(b"1", b"2", b"3"))
        (answers,) = self.results
        values = [it.value for it in answers if isinstance(it, Found)]
        self.assertEqual(
            values, [None, b"1", b"4", b"ours", b"2", b"5", None, b"3", b"6"]
        )

    def test_put_and_delete(self) -> None:
        """Writes say what is to be written, deletes that it goes."""
        key = self.keys_of(A, 1)[0]
        self.put(key)
        self.put(key, value=None)
        self.assertEqual(
            [call.request for call in self.sender.calls],
            [
                PutMany("b", (Item(key, b"value", 0),), 7, 4750),
                PutMany("b", (Item(key, None, 0),), 7, 4750),
            ],
        )
        self.sender.calls[0].answer(Many((Done(False, 2, 9, A),)))
        self.assertEqual(self.results, [[Done(False, 2, 9, A)]])

    def test_many_keys(self) -> None:
        """A node has few messages at once, each of a bounded number of keys."""
        keys = self.keys_of(A, BATCH_KEYS_MAX * BATCHES_MAX + 1)
        self.get(*keys)
        sizes = [
            len(call.request.keys)
            for call in self.sender.calls
            if isinstance(call.request, GetMany)
        ]
        self.assertEqual(sizes, [BATCH_KEYS_MAX] * BATCHES_MAX)
        self.sender.calls[0].answer(found(*[b""] * BATCH_KEYS_MAX))
        self.assertEqual(len(self.sender.calls), BATCHES_MAX + 1)
        last = self.sender.calls[-1].request
        self.assertEqual(last, GetMany("b", (keys[-1],), 4750))

    def test_large_values(self) -> None:
        """A message has a bounded size, unless one value alone has more."""
        keys = self.keys_of(A, 4)
        self.put(*keys[:3], value=bytes(BATCH_BYTES // 2))
        self.put(keys[3], value=bytes(BATCH_BYTES * 2))
        sizes = [
            len(call.request.items)
            for call in self.sender.calls
            if isinstance(call.request, PutMany)
        ]
        self.assertEqual(sizes, [1, 1, 1, 1])

    def test_some_at_a_time(self) -> None:
        """What did not fit an answer is asked for again, at once."""
        keys = self.keys_of(A, 3)
        self.get(*keys)
        self.sender.calls[0].answer(found(b"1"))
        self.assertEqual(
            self.sender.calls[1].request, GetMany("b", tuple(keys[1:]), 4750)
        )
        self.sender.calls[1].answer(found(b"2", b"3"))
        self.assertEqual(self.results, [list(found(b"1", b"2", b"3").answers)])

    def test_moved(self) -> None:
        """Keys of which the node is not primary are asked of whoever is then."""
        keys = self.keys_of(A, 2)
        self.get(*keys)
        self.sender.calls[0].answer(Many((Refused(NOT_OWNER), Found(b"2"))))
        self.assertEqual(len(self.sender.calls), 1)
        self.parts.change(B)
        self.turn()
        for call in self.sender.calls[1:]:
            self.assertEqual(call.request, GetMany("b", (keys[0],), 4730))
            call.answer(found(b"1"))
        if len(self.sender.calls) == 1:
            self.parts.ask.answer(Found(b"1", 7, A), B)
        self.check_values(b"1", b"2")

    def check_values(self, *values: bytes) -> None:
        """These are the values of the one result."""
        (answers,) = self.results
        self.assertEqual(
            [it.value for it in answers if isinstance(it, Found)], list(values)
        )

    def test_owner_dies(self) -> None:
        """When an owner dies all of its keys are asked for again."""
        keys = self.keys_of(A, 2)
        self.get(*keys)
        self.sender.calls[0].reply(LINK_LOST, b"")
        self.turn()
        self.assertEqual([it.node_key for it in self.sender.calls], [A, A])
        self.sender.calls[1].answer(found(b"1", b"2"))
        self.check_values(b"1", b"2")

    def test_busy_or_no_link(self) -> None:
        """A node that is not ready, or not there, is tried again."""
        keys = self.keys_of(A, 1)
        link = self.links.pop(A)
        self.get(*keys)
        self.turn()
        self.links[A] = link
        self.turn()
        self.sender.calls[0].reply(int(ErrorCode.BUSY), b"")
        self.sender.full = True
        self.turn()
        self.sender.full = False
        self.turn()
        self.sender.calls[1].answer(found(b"1"))
        self.check_values(b"1")

    def test_refused_as_a_whole(self) -> None:
        """A refusal of the message is one of each of its keys."""
        self.get(*self.keys_of(A, 2))
        refused = Refused(UNKNOWN_BUCKET, "b")
        self.sender.calls[0].answer(refused)
        self.assertEqual(self.results, [[refused] * 2])

    def test_time_out(self) -> None:
        """Keys of a silent owner are indeterminate, the others have their values."""
        here, there = self.keys_of(ME, 1)[0], self.keys_of(A, 1)[0]
        self.parts.store(here, b"ours", 7)
        self.get(here, there)
        self.sender.calls[0].reply(TIMED_OUT, b"")
        ((first, second),) = self.results
        assert isinstance(first, Found)
        self.assertEqual((first.value, second), (b"ours", LATE))

    def test_no_owner_in_time(self) -> None:
        """Keys whose owner can't be reached become indeterminate in time."""
        del self.links[A]
        there, elsewhere = self.keys_of(A, 2), self.keys_of(B, 1)[0]
        self.get(*there, elsewhere)
        self.turn(5 - 2 * RETRY_S)
        self.assertEqual(self.results, [])
        self.sender.calls[0].answer(found(b"1"))
        for _ in range(3):
            self.turn()
        self.assertEqual(self.results, [[LATE, LATE, Found(b"1", 7, A)]])

    def test_cancel(self) -> None:
        """A call that is cancelled is cancelled at each owner, and not tried again."""
        bulk = self.get(*self.keys_of(A, 1), *self.keys_of(B, 1))
        self.sender.calls[1].reply(LINK_LOST, b"")
        bulk.cancel()
        self.assertEqual((self.links[A].cancelled, self.links[B].cancelled), ([1], []))
        self.turn(1)
        self.assertEqual((len(self.sender.calls), self.results), (2, []))

    def test_here_in_turns(self) -> None:
        """What this node does itself is done some at a time."""
        self.parts.change()
        keys = [b"%d" % number for number in range(BATCH_KEYS_MAX + 1)]
        self.put(*keys)
        self.assertEqual(self.parts.bucket.store.entries, BATCH_KEYS_MAX)
        self.assertEqual(self.results, [])
        self.turn(0)
        self.assertEqual(len(self.results[0]), BATCH_KEYS_MAX + 1)

    def test_unsettled_here(self) -> None:
        """A key that has to be asked of others holds up no other."""
        settled, unsettled = self.keys_of(ME, 2)
        self.parts.store(settled, b"ours", 7)
        self.unsettle(A)
        self.parts.claims.fetched(A, ~(1 << slot_of(self.parts.bucket.seed, unsettled)))
        self.get(settled, unsettled)
        self.assertEqual(self.results, [])
        self.parts.ask.answer(Found(b"theirs", 7, A), A)
        self.check_values(b"ours", b"theirs")


class _Kept(Waiter):
    """Another node that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []

    def __call__(self, answer: Answer) -> None:
        self.answers.append(answer)


class ServedTests(BulkTestCase):
    """The owner's side."""

    def setUp(self) -> None:
        super().setUp()
        self.waiter = _Kept()

    def serve(self, request: GetMany | PutMany) -> list[One]:
        """What another node is answered now."""
        self.batch = serve_batch(
            self.router, self.parts.buckets, request, self.waiter, A
        )
        if not self.waiter.answers:
            return []
        (many,) = self.waiter.answers
        assert isinstance(many, Many)
        return list(many.answers)

    def test_own_and_others(self) -> None:
        """It answers for what is its own, and says of the rest that it is not."""
        here, there = self.keys_of(ME, 1)[0], self.keys_of(A, 1)[0]
        self.parts.store(here, b"value", 7)
        self.assertEqual(
            self.serve(GetMany("b", (there, here), 5000)),
            [Refused(NOT_OWNER), Found(b"value", 7, ME)],
        )

    def test_unknown_bucket(self) -> None:
        """A bucket that it does not know is one refusal."""
        serve_batch(
            self.router, self.parts.buckets, GetMany("x", (b"k",), 1), self.waiter, A
        )
        self.assertEqual(self.waiter.answers, [Refused(UNKNOWN_BUCKET, "x")])

    def test_writes(self) -> None:
        """All are written at once, and it answers when all copies stand."""
        keys = self.keys_of(ME, 3)
        items = tuple(Item(key, b"value", 0) for key in keys[:2])
        self.serve(PutMany("b", (*items, Item(keys[2], None, 0)), 0, 5000))
        self.assertEqual(len(self.parts.ask.asked), 3)
        for _ in range(3):
            self.assertEqual(self.waiter.answers, [])
            self.parts.ask.answer(Done())
        (many,) = self.waiter.answers
        assert isinstance(many, Many)
        self.assertEqual([it.existed for it in many.answers], [False] * 3)  # type: ignore[union-attr]

    def test_patience(self) -> None:
        """In time it answers what it can, before its caller gives up on all."""
        keys = self.keys_of(ME, 2)
        self.serve(PutMany("b", tuple(Item(k, b"", 0) for k in keys), 0, 1500))
        self.parts.ask.answer(Done())
        self.turn(1.499)
        self.assertEqual(self.waiter.answers, [])
        self.turn(0.001)
        (many,) = self.waiter.answers
        assert isinstance(many, Many)
        self.assertIsInstance(many.answers[0], Done)
        self.assertEqual(many.answers[1], LATE)

    def test_too_much_for_one_answer(self) -> None:
        """It answers as many as fit, and one in any case."""
        keys = self.keys_of(ME, 3)
        half = BATCH_BYTES // 2 - 64
        for stamp, (size, fitting) in enumerate(
            ((BATCH_BYTES * 2, 1), (half, 2), (half + 1, 1)), 1
        ):
            self.waiter.answers.clear()
            for key in keys:
                self.parts.store(key, bytes(size), stamp)
            answers = self.serve(GetMany("b", tuple(keys), 5000))
            self.assertEqual(len(answers), fitting)

    def test_cancelled(self) -> None:
        """What has not begun when its caller gives up is not done."""
        key = self.keys_of(ME, 1)[0]
        self.unsettle(A)
        self.serve(PutMany("b", (Item(key, None, 0),), 0, 5000))
        assert self.batch is not None
        self.batch.cancel()
        self.parts.ask.answer(Found(None), A)
        self.assertEqual((self.parts.ask.asked, self.waiter.answers), ([], []))
        self.assertEqual(self.parts.runtime.pending_timers(), 0)
