"""
A scan gets on as far as each slot's primary can say what it has.
"""

from __future__ import annotations

from mycorrizal.mycel.messages import INDETERMINATE, UNKNOWN_BUCKET, Refused
from mycorrizal.mycel.operations import scanning
from mycorrizal.mycel.operations.routing import RETRY_S
from mycorrizal.mycel.operations.scanning import (
    END,
    SCAN_BYTES,
    START,
    Page,
    Place,
    Scanning,
    answer_scan,
)
from mycorrizal.mycel.scan_messages import Scan, Scanned
from mycorrizal.mycel.slots.placement import SLOTS, slot_of
from mycorrizal.mycel.slots.slotset import from_bytes, slots_of, slotset, to_bytes
from mycorrizal.nodosum.calls import LINK_LOST
from tests.mycel.operations.test_routing import RouterTestCase
from tests.mycel.parts import ME, A, B, agree

KEYS = [b"%d" % number for number in range(200)]


class ScanTestCase(RouterTestCase):
    """This node, A and B."""

    def slots_of(self, primary: bytes) -> list[int]:
        """The slots that a node is primary of."""
        primaries = self.parts.view.placement.primaries
        return [slot for slot in range(SLOTS) if primaries[slot] == primary]

    def hold(self, count: int, prefix: bytes = b"k", **settings: float) -> list[bytes]:
        """Let this node hold so many keys of its own; in the order of scans."""
        own = set(self.slots_of(ME))
        seed = self.parts.bucket.seed
        keys = [
            key
            for key in (prefix + b"%d" % number for number in range(count * 8))
            if slot_of(seed, key) in own
        ][:count]
        for key in keys:
            self.parts.store(key, b"", 7, ttl_s=settings.get("ttl_s", 1e9))
        return sorted(keys, key=lambda key: (slot_of(seed, key), key))


class AnswerTests(ScanTestCase):
    """What one node has."""

    def scan(
        self,
        place: Place = START,
        limit: int = 100,
        prefix: bytes = b"",
        slots: list[int] | None = None,
    ) -> Scanned:
        """What this node says of its slots."""
        bits = to_bytes(slotset(self.slots_of(ME) if slots is None else slots))
        request = Scan("b", prefix, *place, bits, limit)
        parts = self.parts
        answer = answer_scan(parts.buckets, parts.claims, request, parts.now())
        assert isinstance(answer, Scanned)
        return answer

    def pages(self, limit: int, prefix: bytes = b"") -> list[bytes]:
        """All keys, page by page."""
        found: list[bytes] = []
        place = START
        while place < END:
            page = self.scan(place, limit, prefix)
            self.assertLessEqual(len(page.keys), limit)
            self.assertGreater((page.slot, page.after), place)
            place = (page.slot, page.after)
            found += page.keys
        return found

    def test_all(self) -> None:
        """All keys are found, in order, whatever the size of a page."""
        keys = self.hold(200)
        self.assertEqual(self.scan(limit=1000), Scanned(tuple(keys), *END))
        for limit in (1, 3, 199, 200, 201):
            self.assertEqual(self.pages(limit), keys)

    def test_prefix(self) -> None:
        """Only keys that begin so are found."""
        keys = self.hold(50, b"user:")
        self.hold(50, b"page:")
        self.assertEqual(self.pages(7, b"user:"), keys)
        self.assertEqual(self.pages(7, b"none"), [])

    def test_what_is_no_more(self) -> None:
        """What was deleted or has expired is not found, and holds nothing up."""
        keys = self.hold(20)
        self.hold(20, b"brief", ttl_s=1)
        for key in keys[:10]:
            self.parts.store(key, None, 8)
        self.parts.clock.advance(1)
        for limit in (1, 100):
            self.assertEqual(self.pages(limit), keys[10:])

    def test_large_keys(self) -> None:
        """An answer has a bounded size, however long its keys are."""
        keys = self.hold(300, b"k" * 1000)
        first = self.scan(limit=1000)
        self.assertLess(sum(map(len, first.keys)), SCAN_BYTES + 1024)
        self.assertEqual(self.pages(1000), keys)

    def test_looks(self) -> None:
        """One answer looks at so many entries, and each gets on by a slot at least."""
        keys = self.hold(200)
        self.patch(scanning, "LOOKS_MAX", 1)
        self.assertEqual(self.pages(100), keys)
        page = self.scan()
        self.assertEqual((len(page.keys), page.after), (1, b""))

    def test_not_primary(self) -> None:
        """It says nothing of slots that are not its own, or not settled."""
        keys = self.hold(100)
        stranger = self.slots_of(A)[40]
        page = self.scan(slots=sorted([*self.slots_of(ME), stranger]), limit=1000)
        self.assertEqual((page.slot, page.after), (stranger, b""))
        unsettled = self.slots_of(ME)[40]
        effects = self.parts.claims.link_up(A, self.parts.now())
        agree(self.parts.claims, effects, held=1 << unsettled)
        page = self.scan(limit=1000)
        self.assertEqual((page.slot, page.after), (unsettled, b""))
        self.assertEqual(list(page.keys), keys[: len(page.keys)])

    def test_unknown_bucket(self) -> None:
        """A bucket that it does not know is named."""
        request = Scan("x", b"", 0, b"", bytes(128), 1)
        answer = answer_scan(self.parts.buckets, self.parts.claims, request, 0)
        self.assertEqual(answer, Refused(UNKNOWN_BUCKET, "x"))


class PageTests(ScanTestCase):
    """One page."""

    def setUp(self) -> None:
        super().setUp()
        self.outcomes: list[Page | Refused] = []

    def begin(self, place: Place = START, limit: int = 100) -> Scanning:
        """Begin a page that has 5 seconds."""
        parts = self.parts
        page = Scanning(
            self.router, parts.buckets, parts.bucket, b"", place, limit,
            parts.now() + 5, self.outcomes.append,
        )  # fmt: skip
        self.addCleanup(page.cancel)
        page.begin()
        return page

    def request(self, number: int) -> Scan:
        """What was asked."""
        request = self.sender.calls[number].request
        assert isinstance(request, Scan)
        return request

    def test_all_are_asked(self) -> None:
        """Each primary is asked for its own slots, and for its share of keys."""
        self.begin(limit=120)
        asked = {call.node_key: number for number, call in enumerate(self.sender.calls)}
        self.assertEqual({*asked}, {A, B})
        for node_key, number in asked.items():
            bits = self.request(number).slots
            slots = slots_of(from_bytes(bits))
            self.assertEqual(slots, self.slots_of(node_key))
            self.assertEqual(self.request(number).limit, 50)

    def test_up_to_the_first_that_stopped(self) -> None:
        """Keys count up to where the first node stopped; the next page goes on."""
        keys = self.hold(200)
        self.begin(limit=1000)
        for number, place in enumerate([(300, b"z"), END]):
            self.sender.calls[number].answer(Scanned((), *place))
        ((found, reached),) = self.outcomes  # type: ignore[misc]
        self.assertEqual(reached, (300, b"z"))
        seed = self.parts.bucket.seed
        before = [key for key in keys if (slot_of(seed, key), key) <= (300, b"z")]
        self.assertEqual(found, before)
        self.assertTrue(before)

    def test_limit(self) -> None:
        """A page has no more keys than were asked for, and goes on behind them."""
        seed = self.parts.bucket.seed
        places = sorted((slot_of(seed, key), key) for key in self.hold(200))
        self.begin(limit=20)
        primaries = self.parts.view.placement.primaries
        for call in self.sender.calls:
            theirs = sorted(
                (slot, key)
                for slot, key in ((slot_of(seed, it), it) for it in KEYS)
                if primaries[slot] == call.node_key
            )[:16]
            places += theirs
            call.answer(Scanned(tuple(key for _, key in theirs), *theirs[-1]))
        ((found, reached),) = self.outcomes  # type: ignore[misc]
        self.assertEqual(found, [key for _, key in sorted(places)[:20]])
        self.assertEqual(reached, sorted(places)[19])

    def test_node_dies(self) -> None:
        """Slots of a node that dies are asked of whoever has them then."""
        self.begin()
        for call in self.sender.calls:
            if call.node_key == A:
                call.reply(LINK_LOST, b"")
            else:
                call.answer(Scanned((), *END))
        self.assertEqual(self.outcomes, [])
        self.parts.change(B)
        self.turn()
        self.sender.calls[-1].answer(Scanned((), *END))
        self.assertEqual(self.outcomes, [([], END)])

    def test_nobody_gets_on(self) -> None:
        """If slots have no owner for too long, the page fails."""
        del self.links[A], self.links[B]
        self.begin()
        self.turn(5 - 2 * RETRY_S)
        self.assertEqual(self.outcomes, [])
        self.turn(2 * RETRY_S)
        self.assertEqual(
            self.outcomes, [Refused(INDETERMINATE, "slots are on the move")]
        )

    def test_without_keys_it_goes_on(self) -> None:
        """A page without a key goes on at once, until there is one."""
        self.begin()
        for _ in range(2):
            calls = self.sender.calls[-2:]
            for call in calls:
                assert isinstance(call.request, Scan)
                call.answer(Scanned((), call.request.slot + 400, b""))
            self.turn(0)
        self.assertEqual(len(self.sender.calls), 6)
        self.assertEqual(self.request(-1).slot, 800)
        for call in self.sender.calls[-2:]:
            call.answer(Scanned((), *END))
        self.assertEqual(self.outcomes, [([], END)])

    def test_unknown_bucket(self) -> None:
        """If nothing else comes of it, a node's refusal is told."""
        self.begin()
        for call in self.sender.calls:
            call.answer(Refused(UNKNOWN_BUCKET, "b"))
        (refused,) = self.outcomes
        self.assertEqual(refused, Refused(UNKNOWN_BUCKET, "b"))

    def test_cancel(self) -> None:
        """A page that nobody waits for is cancelled everywhere."""
        page = self.begin()
        page.cancel()
        cancelled = self.links[A].cancelled + self.links[B].cancelled
        self.assertCountEqual(cancelled, [1, 2])
        self.assertEqual(self.outcomes, [])
