"""
A watch asks every member, and says when something may have been missed.
"""

from __future__ import annotations

from mycorrizal.mycel.messages import UNKNOWN_BUCKET, Event, Events, Refused, Watch
from mycorrizal.mycel.operations import following
from mycorrizal.mycel.operations.following import (
    LOST,
    PATIENCE_S,
    PAUSE_S,
    QUEUE_ENOUGH,
    Following,
)
from mycorrizal.mycel.operations.watching import Outboxes
from mycorrizal.mycel.watch_messages import EventKind
from mycorrizal.nodosum.calls import LINK_LOST
from tests.mycel.operations.test_routing import Call, RouterTestCase
from tests.mycel.parts import ME, A, B, member, members

FRESH = Events((), 0, True)
PUT = Event(EventKind.PUT, b"k")


class FollowingTests(RouterTestCase):
    """This node watches; A and B are there."""

    def setUp(self) -> None:
        super().setUp()
        parts = self.parts
        self.outboxes = Outboxes(parts.runtime, parts.buckets)
        self.begun: list[float] = []
        self.told = 0
        self.following = Following(
            self.router,
            self.outboxes,
            "b",
            b"",
            1,
            lambda: self.begun.append(parts.now()),
            self.tell,
        )
        self.following.begin()

    def check_nothing_is_left(self) -> None:
        self.following.close()
        self.outboxes.stop()
        super().check_nothing_is_left()

    def tell(self) -> None:
        self.told += 1

    def last(self, node_key: bytes) -> Call:
        """What a node was asked last."""
        return [it for it in self.sender.calls if it.node_key == node_key][-1]

    def answer(self, node_key: bytes, events: Events) -> None:
        """Let a node answer; it is asked again in the next turn."""
        self.last(node_key).answer(events)
        self.turn(0)

    def start(self) -> None:
        """All members know that we watch."""
        self.answer(A, FRESH)
        self.answer(B, FRESH)
        self.assertEqual(len(self.begun), 1)

    def taken(self) -> list[Event]:
        """All that there is to take."""
        events = []
        while (event := self.following.take()) is not None:
            events.append(event)
        return events

    def test_begin(self) -> None:
        """It has begun when every member knows."""
        self.answer(A, FRESH)
        self.assertEqual(self.begun, [])
        self.answer(B, FRESH)
        self.assertEqual((len(self.begun), self.taken()), (1, []))
        self.assertEqual(
            self.last(A).request, Watch("b", b"", 1, int(PATIENCE_S * 1000))
        )

    def test_asked_again(self) -> None:
        """Each member is asked again when it has answered."""
        self.start()
        count = len(self.sender.calls)
        self.answer(A, Events((PUT,)))
        self.answer(A, Events(()))
        self.assertEqual(len(self.sender.calls), count + 2)
        self.assertEqual((self.taken(), self.told), ([PUT], 1))

    def test_of_its_own(self) -> None:
        """What happens here is told, too."""
        self.start()
        self.parts.bucket.changed(EventKind.EXPIRE, b"k")
        self.turn(0)
        self.turn(0)
        self.assertEqual(self.taken(), [Event(EventKind.EXPIRE, b"k")])

    def test_lost_there(self) -> None:
        """What a member could not keep is told behind what it could."""
        self.start()
        self.answer(A, Events((PUT,), 3))
        self.answer(B, Events((PUT,)))
        self.assertEqual(self.taken(), [PUT, LOST, PUT])

    def test_once(self) -> None:
        """Losses one behind the other are one."""
        self.start()
        self.answer(A, Events((), 3))
        self.answer(B, Events((), 3))
        self.assertEqual(self.taken(), [LOST])

    def test_link_is_lost(self) -> None:
        """With a link some changes may be lost, until the member knows us again."""
        self.start()
        self.last(A).reply(LINK_LOST, b"")
        self.assertEqual(self.taken(), [LOST])
        self.turn(PAUSE_S)
        self.answer(A, FRESH)
        self.assertEqual(self.taken(), [LOST])

    def test_forgotten(self) -> None:
        """So they may if the member has forgotten us."""
        self.start()
        self.answer(A, FRESH)
        self.assertEqual(self.taken(), [LOST])

    def test_newcomer(self) -> None:
        """A newcomer is asked; it may have done something before it knew."""
        self.start()
        newcomer = member(bytes([9]) * 16)
        self.parts.view.change([*members(A, B), newcomer])
        self.following.members_changed()
        self.assertEqual(self.taken(), [])
        self.turn(PAUSE_S)
        self.assertEqual(self.sender.calls[-1].node_key in (A, B), True)

    def test_member_dies(self) -> None:
        """What a member that died had not told is lost."""
        self.start()
        self.parts.view.change(members(B))
        self.following.members_changed()
        self.assertEqual(self.taken(), [LOST])
        self.assertEqual(self.links[A].cancelled, [3])

    def test_dies_before_the_beginning(self) -> None:
        """One that dies before it knew is waited for no longer, and loses nothing."""
        self.answer(B, FRESH)
        self.parts.view.change(members(B))
        self.following.members_changed()
        self.assertEqual((len(self.begun), self.taken()), (1, []))

    def test_bucket_is_gone(self) -> None:
        """Members are asked until the bucket is there again, and may be late then."""
        self.start()
        for _ in range(3):
            self.last(A).answer(Refused(UNKNOWN_BUCKET, "b"))
            self.turn(PAUSE_S)
        self.assertEqual(self.taken(), [])
        self.answer(A, FRESH)
        self.assertEqual(self.taken(), [LOST])

    def test_enough(self) -> None:
        """Nobody is asked for more while enough waits to be taken."""
        self.patch(following, "QUEUE_ENOUGH", 3)
        self.start()
        count = len(self.sender.calls)
        self.answer(A, Events((PUT,) * 3))
        self.answer(B, Events(()))
        self.turn(60)
        self.assertEqual(len(self.sender.calls), count)
        self.following.take()
        self.assertEqual(len(self.sender.calls), count + 2)

    def test_bound(self) -> None:
        """No more than so many wait; what comes then is lost, and that is told."""
        self.patch(following, "QUEUE_MAX", 3)
        self.start()
        self.answer(A, Events((PUT,) * 3))
        self.assertEqual(self.taken(), [PUT] * 3)
        self.answer(A, Events((PUT,) * 4))
        self.assertEqual(self.taken(), [PUT] * 3 + [LOST])
        self.assertLess(QUEUE_ENOUGH, following.QUEUE_MAX + QUEUE_ENOUGH)

    def test_close(self) -> None:
        """One that is closed asks nobody, and is forgotten here at once."""
        self.start()
        self.following.close()
        self.assertEqual(len(self.outboxes), 0)
        self.assertEqual((self.links[A].cancelled, self.links[B].cancelled), ([3], [4]))
        self.turn(60)
        self.assertEqual(self.taken(), [])

    def test_me(self) -> None:
        """Alone, it begins at once."""
        self.following.close()
        self.parts.view.change(members())
        begun: list[bytes] = []
        alone = Following(
            self.router,
            self.outboxes,
            "b",
            b"",
            2,
            lambda: begun.append(ME),
            self.tell,
        )
        alone.begin()
        self.assertEqual(begun, [ME])
        alone.close()
