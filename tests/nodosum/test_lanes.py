"""
What waits on one link, and whose turn it is.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import PeerUnreachable, RemoteProtocolError
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.flow import FRAME_COST_BYTES, PATIENT_TIMES, Flow, Parcel
from mycorrizal.nodosum.lanes import (
    BURST_BYTES,
    FULL_QUEUES_MAX,
    TRANSPORT_BYTES_MAX,
    TURN_BYTES,
    Lanes,
)
from mycorrizal.nodosum.wire.chunks import Assembly, Chunk
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import (
    FRAME_BYTES_MAX,
    FRAME_BYTES_MIN,
    MESSAGE_BYTES_MAX,
    OPEN_MESSAGES_MAX,
    FrameType,
    Goodbye,
)
from tests.nodosum.ends import QUEUE_BYTES_MAX, Side, runtime_of

MIB = 1024 * 1024


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


class LanesTestCase(SynchronousTestCase):
    """A link to node b over a transport that takes as much as it is told to."""

    def setUp(self) -> None:
        self.use()

    def use(
        self,
        *,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
    ) -> None:
        """Begin anew with such a link."""
        self.clock = Clock()
        self.side = Side("a", runtime_of(self.clock))
        self.link = self.side.link(
            "b", frame_bytes_max=frame_bytes_max, queue_bytes_max=queue_bytes_max
        )
        self.lanes: Lanes = self.link.lanes
        self.transport = self.side.transports["b"]

    def flow(self, name: str = "chat") -> Flow:
        """The flow of an application."""
        return self.lanes.flow(name.encode())

    def post(self, size: int, name: str = "chat", text: bytes = b"") -> bool:
        """A message of that size is posted."""
        payload = text.ljust(size, b".")
        return self.flow(name).post(Channel(name).head(size), payload)

    def post_long(self, size: int, name: str = "chat", times: int = 1) -> bool:
        """A long message of that size is posted."""
        parcel = Parcel(FrameType.APP, b"", noise(size))
        return self.flow(name).post_parcel(parcel, times)

    def turn(self) -> None:
        """The reactor's turn ends."""
        self.clock.advance(0)

    def drain(self) -> bytes:
        """The transport is empty, and asks for more; what it is given."""
        self.transport.take()
        self.link.resume()
        return b"".join(self.transport.writes)

    def stingy(self) -> None:
        """Let the transport be full with each write."""
        self.transport.pause_at_bytes = 1

    def all_frames(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Every frame, as the transport is drained again and again."""
        while self.transport.writes:
            yield from self.transport.frames()
            self.drain()


class BurstTests(LanesTestCase):
    """How much is handed to the transport."""

    def test_ping_during_a_long_transfer(self) -> None:
        """A ping waits for 256 KiB at most, and no frame is torn by it (F32)."""
        self.stingy()
        for _ in range(100):
            self.post(40_000)
        self.turn()
        sizes = [len(self.transport.writes[0])]
        self.assertLessEqual(sizes[0], BURST_BYTES)
        # It may have had up to 64 KiB before; not when it asks for more.
        for _ in range(5):
            sizes.append(len(self.drain()))
            self.assertLessEqual(sizes[-1], TRANSPORT_BYTES_MAX)
            self.assertGreater(sizes[-1], TRANSPORT_BYTES_MAX - 41_000)
        self.link.ping(7, 8)
        self.turn()
        self.assertEqual(self.transport.frames()[-1][0], FrameType.PING)
        self.transport.pause_at_bytes = None
        self.drain()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(set(kinds), {FrameType.APP})
        self.assertEqual(self.lanes.queued_bytes, 0)

    def test_ping_goes_into_a_long_message(self) -> None:
        """A ping goes between two pieces of one message."""
        self.transport.pause_at_bytes = 64 * 1024
        self.post_long(10 * MIB)
        self.turn()
        self.transport.take()
        self.link.ping(7, 8)
        self.link.resume()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(kinds, [FrameType.PING, *[FrameType.CHUNK] * 3])

    def test_written_at_once_when_there_is_room(self) -> None:
        """When the transport has room again no turn of the reactor is lost."""
        self.stingy()
        for _ in range(20):
            self.post(40_000)
        self.turn()
        self.assertNotEqual(self.drain(), b"")

    def test_frames_of_chunks(self) -> None:
        """No frame but a CHUNK has more than 64 KiB, and a CHUNK 64 KiB of data."""
        for size in (51_200, 65_536 - 4, 65_536 - 3, 65_536, 65_537, 300_000):
            self.use()
            self.post_long(size)
            self.turn()
            frames = self.transport.frames()
            plain = size + len(b"chat") <= 64 * 1024
            expected = [FrameType.APP] if plain else [16] * -(-size // 65_536)
            self.assertEqual([kind for kind, _, _ in frames], expected)
            self.assertEqual({app_id for _, app_id, _ in frames}, {b"chat"})

    def test_peers_limit(self) -> None:
        """A peer that takes 64 KiB in a frame gets no longer one."""
        self.use(frame_bytes_max=FRAME_BYTES_MIN)
        payload = noise(500_000)
        self.flow().post_parcel(Parcel(FrameType.APP, b"", payload))
        self.turn()
        assembly, whole = Assembly(), None
        for _, app_id, body in self.transport.frames():
            self.assertLessEqual(len(app_id) + len(body), FRAME_BYTES_MIN)
            whole = assembly.add(app_id, body)
        self.assertEqual(whole, (FrameType.APP, b"chat", payload))

    def test_one_write(self) -> None:
        """What several applications send in one turn leaves in one write."""
        for name in ("one", "two", "one", "three"):
            self.post(10, name)
        self.turn()
        self.assertEqual(len(self.transport.writes), 1)
        self.assertEqual(len(self.transport.frames()), 4)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["one", "two", "three"]),
                st.sampled_from([0, 1, 100, 40_000, 51_199, 70_000, 300_000]),
                st.booleans(),
            ),
            max_size=25,
        ),
        st.booleans(),
    )
    def test_order(self, posts: list[tuple[str, int, bool]], stingy: bool) -> None:
        """However it is cut and mixed, each application's order is kept."""
        self.use()
        sent: dict[bytes, list[bytes]] = {}
        got: dict[bytes, list[bytes]] = {}
        if stingy:
            self.stingy()
        for number, (name, size, turns) in enumerate(posts):
            payload = (b"%d:" % number).ljust(size, b".")
            sent.setdefault(name.encode(), []).append(payload)
            if len(payload) < 51_200:
                self.post(len(payload), name, payload)
            else:
                parcel = Parcel(FrameType.APP, b"", payload)
                self.flow(name).post_parcel(parcel)
            if turns:
                self.turn()
        self.turn()
        assembly = Assembly()
        for kind, app_id, payload in self.all_frames():
            whole: tuple[int, bytes, bytes] | None = (kind, app_id, payload)
            if kind == FrameType.CHUNK:
                whole = assembly.add(app_id, payload)
            if whole is not None:
                got.setdefault(whole[1], []).append(whole[2])
        self.assertEqual(got, sent)
        self.assertEqual((self.lanes.queued_bytes, len(assembly)), (0, 0))


class FairnessTests(LanesTestCase):
    """Applications take turns."""

    def test_turns(self) -> None:
        """One that has a lot to send leaves room for one that has little (F32)."""
        self.stingy()
        for _ in range(150):
            self.post(50_000, "bulk")
        self.turn()
        self.drain()
        self.post(100, "quick")
        apps = [app_id for _, app_id, _ in self.frames_of(self.drain())]
        self.assertIn(b"quick", apps)

    def frames_of(self, data: bytes) -> list[tuple[int, bytes, bytes]]:
        """The frames in what was just written."""
        self.transport.writes = [data]
        return self.transport.frames()

    def test_equal_shares(self) -> None:
        """Of those that have a lot, each gets as much as the others."""
        self.stingy()
        names = [f"app{number}" for number in range(5)]
        for name, _ in itertools.product(names, range(150)):
            self.post(50_000 if name != "app3" else 100, name)
        for _ in range(40):
            self.post_long(MIB, "app1", PATIENT_TIMES)
        self.turn()
        sent = dict.fromkeys(names, 0)
        for _ in range(30):
            for _, app_id, payload in self.transport.frames():
                sent[app_id.decode()] += len(payload)
            self.drain()
        del sent["app3"]
        self.assertLessEqual(max(sent.values()) - min(sent.values()), 2 * TURN_BYTES)
        self.assertGreater(min(sent.values()), 10 * TURN_BYTES)

    def test_long_message_of_another(self) -> None:
        """A message waits for a turn of each other application, not for 8 MiB."""
        self.stingy()
        self.post_long(8 * MIB, "bulk")
        self.turn()
        self.drain()
        self.post(100, "quick")
        apps = [app_id for _, app_id, _ in self.frames_of(self.drain())]
        self.assertIn(b"quick", apps)

    def test_answers_have_turns_of_their_own(self) -> None:
        """An answer does not wait for all the messages of its application."""
        self.stingy()
        for _ in range(100):
            self.post(50_000)
        self.turn()
        self.link.reply(1, b"answer", b"chat")
        kinds = [kind for kind, _, _ in self.frames_of(self.drain())]
        self.assertIn(FrameType.REPLY, kinds)


class OpenMessagesTests(LanesTestCase):
    """What the peer has to keep."""

    def test_open_messages_at_the_bound(self) -> None:
        """
        Of twenty applications with a long message each, sixteen send at once;
        the others wait until one is through, and all get through.
        """
        self.stingy()
        names = [f"app{number:02}" for number in range(20)]
        for name in names:
            self.post_long(400_000 + 1000 * len(self.lanes.flows), name)
        self.turn()
        assembly, most, whole = Assembly(), 0, []
        for kind, app_id, payload in self.all_frames():
            self.assertEqual(kind, FrameType.CHUNK)
            found = assembly.add(app_id, payload)
            most = max(most, len(assembly))
            if found is not None:
                whole.append(found[1].decode())
        self.assertEqual(most, OPEN_MESSAGES_MAX)
        self.assertEqual(sorted(whole), names)
        self.assertEqual(len(assembly), 0)

    def test_open_bytes_at_the_bound(self) -> None:
        """Two messages of 64 MiB are under way at once, not three."""
        self.stingy()
        longest = bytes(MESSAGE_BYTES_MAX)
        for name in ("one", "two", "three"):
            parcel = Parcel(FrameType.APP, b"", longest)
            self.assertTrue(self.flow(name).post_parcel(parcel))
            self.lanes._queue_bytes_max = MESSAGE_BYTES_MAX
        self.turn()
        apps = set()
        for _ in range(20):
            apps |= {app_id for _, app_id, _ in self.transport.frames()}
            self.drain()
        self.assertEqual(apps, {b"one", b"two"})

    def test_messages_behind_a_held_up_one(self) -> None:
        """What waits behind a message that may not begin yet keeps its place."""
        self.stingy()
        for number in range(OPEN_MESSAGES_MAX):
            self.post_long(MIB, f"app{number}")
        self.post_long(200_000, "late")
        self.post(10, "late", b"behind")
        self.turn()
        late = [
            payload if kind == FrameType.APP else Chunk.decode(payload).flags
            for kind, app_id, payload in self.all_frames()
            if app_id == b"late"
        ]
        self.assertEqual(late, [1, 0, 0, 2, b"behind...."])

    def test_numbers_begin_again(self) -> None:
        """After message 2³² - 1 comes message 1."""
        self.lanes._message_no = 2**32 - 2
        numbers = [self.lanes.next_message_no() for _ in range(3)]
        self.assertEqual(numbers, [2**32 - 1, 1, 2])


class BoundTests(LanesTestCase):
    """How much may wait (F31)."""

    def test_bytes_at_the_bound(self) -> None:
        """8 MiB may wait, one byte more is refused, and nothing of it is kept."""
        self.link.pause()
        part = QUEUE_BYTES_MAX // 256
        for _ in range(255):
            self.assertTrue(self.post(part - FRAME_COST_BYTES))
        self.assertFalse(self.post(part - FRAME_COST_BYTES + 1))
        self.assertTrue(self.post(part - FRAME_COST_BYTES))
        self.assertEqual(self.lanes.queued_bytes, QUEUE_BYTES_MAX)
        self.assertFalse(self.post(0))
        ends: list[int] = []
        channel = Channel("chat")
        call_id = channel.call(self.link, b"?", lambda how, _: ends.append(how), 5.0)
        self.assertEqual((call_id, ends, len(self.link.calls)), (0, [], 0))
        self.link.resume()
        self.assertEqual(len(self.transport.frames()), 256)
        self.assertTrue(self.post(0))

    def test_frames_at_the_bound(self) -> None:
        """65,536 frames may wait, even of nothing; not one more (F31)."""
        self.link.pause()
        for _ in range(65_536):
            self.assertTrue(self.post(0))
        self.assertFalse(self.post(0))
        self.link.resume()
        self.assertEqual(len(self.transport.frames()), 65_536)

    def test_cost_covers_the_head(self) -> None:
        """What a frame counts for is no less than what goes over the wire."""
        name = "n" * 64
        for size in (0, 60_000, 65_536, 65_537, 1_000_000):
            self.use()
            self.link.pause()
            if size < 50_000:
                self.post(size, name)
            else:
                parcel = Parcel(FrameType.REQUEST, bytes(8), noise(size))
                self.flow(name).post_parcel(parcel)
            counted_bytes = self.lanes.queued_bytes
            self.link.resume()
            self.assertLessEqual(len(b"".join(self.transport.writes)), counted_bytes)

    def test_patient_senders_at_the_bound(self) -> None:
        """Who waits for each message may have 16 MiB, and not a byte more."""
        self.link.pause()
        payload = bytes(QUEUE_BYTES_MAX // 256 - FRAME_COST_BYTES)
        head, flow = Channel("chat").head(len(payload)), self.flow()
        for _ in range(512):
            self.assertTrue(flow.post_patiently(head, payload))
        self.assertFalse(flow.post_patiently(head, b""))
        self.assertFalse(self.post(0))

    def test_long_messages_at_the_bound(self) -> None:
        """A long message is taken while 8 MiB wait before it, not a byte more."""
        self.link.pause()
        part = QUEUE_BYTES_MAX // 256
        for _ in range(256):
            self.assertTrue(self.post(part - FRAME_COST_BYTES))
        self.assertTrue(self.post_long(20 * MIB))
        self.assertFalse(self.post_long(100_000))
        self.assertFalse(self.post_long(100_000, times=PATIENT_TIMES))
        self.assertFalse(self.post(0))
        self.use()
        self.link.pause()
        self.post(0)
        self.post_long(QUEUE_BYTES_MAX)
        self.assertFalse(self.post_long(100_000))
        self.assertTrue(self.post_long(100_000, times=PATIENT_TIMES))

    def test_full_queue_of_another(self) -> None:
        """An application whose queue is full harms no other's (F33)."""
        self.link.pause()
        while self.post(50_000, "bulk"):
            pass
        self.assertTrue(self.post(50_000, "quick"))

    def test_long_messages_of_another(self) -> None:
        """Nor does one whose long messages are longer than its queue."""
        self.link.pause()
        for name in ("one", "two", "three"):
            self.post_long(40 * MIB, name)
        self.assertTrue(self.post(50_000, "quick"))

    def test_full_queues_at_the_bound(self) -> None:
        """
        When four are full, one that has nothing queued gets no queue: the memory for
        one peer is bounded, however many applications there are (F31).
        """
        self.use(queue_bytes_max=100_000)
        self.link.pause()
        for number in range(FULL_QUEUES_MAX):
            self.assertFalse(self.lanes._full())
            for size in (50_000, 50_000 - 2 * FRAME_COST_BYTES):
                self.assertTrue(self.post(size, f"app{number}"))
        self.assertEqual(self.lanes.queued_bytes, FULL_QUEUES_MAX * 100_000)
        self.assertFalse(self.post(0, "another"))
        # Answers are bounded by the questions that were let in.
        self.link.reply(1, b"answer", b"another")
        self.link.resume()
        self.assertTrue(self.post(0, "another"))
        self.turn()
        apps = {app_id for _, app_id, _ in self.transport.frames()}
        self.assertIn(b"another", apps)


class CancelTests(LanesTestCase):
    """Requests that nobody waits for any more."""

    def setUp(self) -> None:
        super().setUp()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Another link, whose transport is full with each write."""
        self.use()
        self.stingy()
        self.channel = Channel("chat")
        self.assembly = Assembly()

    def ask(self, size: int) -> int:
        """A request of that size; its id."""
        call_id = self.channel.call(self.link, noise(size), lambda *_: None, 60.0)
        assert call_id
        return call_id

    def sent(self) -> list[tuple[int, int]]:
        """Type and call id of each message that was written and has all its parts."""
        found = []
        for kind, app_id, payload in self.transport.frames():
            whole: tuple[int, bytes, bytes] | None = (kind, app_id, payload)
            if kind == FrameType.CHUNK:
                whole = self.assembly.add(app_id, payload)
            if whole is not None:
                found.append((whole[0], int.from_bytes(whole[2][:8], "little")))
        self.drain()
        return found

    def all_sent(self) -> list[tuple[int, int]]:
        """The same of all that waits."""
        found = []
        while self.transport.writes:
            found += self.sent()
        return found

    def test_long_one_taken_back(self) -> None:
        """A long one that has not begun to leave is not sent, and is not open."""
        first, second, third = (self.ask(MIB) for _ in range(3))
        self.link.cancel(second)
        self.turn()
        request = int(FrameType.REQUEST)
        self.assertEqual(self.all_sent(), [(request, first), (request, third)])
        self.assertEqual(self.lanes.queued_bytes, 0)
        self.assertEqual((self.lanes._open_messages, self.lanes._open_bytes), (0, 0))

    def test_long_one_begun(self) -> None:
        """One that has begun is sent to its end, and CANCEL behind it."""
        call_id = self.ask(MIB)
        self.turn()
        self.link.cancel(call_id)
        request, cancel = int(FrameType.REQUEST), int(FrameType.CANCEL)
        self.assertEqual(self.all_sent(), [(request, call_id), (cancel, call_id)])

    def test_room(self) -> None:
        """Many that are given up while the transport is full leave nothing behind."""
        self.link.pause()
        for call_id in [self.ask(1000) for _ in range(5000)]:
            self.link.cancel(call_id)
        self.link.resume()
        self.turn()
        self.assertEqual((self.all_sent(), self.lanes.queued_bytes), ([], 0))
        self.assertEqual(self.flow()._unwanted, set())

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((10, 1000, 60_000, 70_000, 300_000)),
                st.sampled_from(("keep", "cancel", "cancel later", "drain")),
            ),
            max_size=30,
        )
    )
    def test_any(self, steps: list[tuple[int, str]]) -> None:
        """Each is sent whole or, if it was given up before it began, not at all."""
        self.begin_anew()
        asked: list[int] = []
        given_up: set[int] = set()
        later: list[int] = []
        found: list[tuple[int, int]] = []
        for size, step in steps:
            asked.append(self.ask(size))
            if step == "cancel":
                self.link.cancel(asked[-1])
                given_up.add(asked[-1])
            elif step == "cancel later":
                later.append(asked[-1])
            elif step == "drain":
                self.turn()
                found += self.sent()
                for call_id in later:
                    self.link.cancel(call_id)
        for call_id in later:
            self.link.cancel(call_id)
        self.turn()
        found += self.all_sent()
        requests = [number for kind, number in found if kind == FrameType.REQUEST]
        cancels = [number for kind, number in found if kind == FrameType.CANCEL]
        self.assertEqual(requests, sorted({*requests}))
        self.assertEqual({*asked} - given_up - {*later}, {*requests} - {*later})
        # Of those that were given up, it is said of each that was sent.
        self.assertCountEqual(cancels, [each for each in requests if each in later])
        for call_id in cancels:
            request, cancel = (FrameType.REQUEST, call_id), (FrameType.CANCEL, call_id)
            self.assertLess(found.index(request), found.index(cancel))
        self.assertEqual(self.lanes.queued_bytes, 0)
        self.assertEqual(self.flow()._unwanted, set())


class WaiterTests(LanesTestCase):
    """Senders who wait."""

    def test_when_written(self) -> None:
        """Who waits until a message is written is told in that turn."""
        self.link.pause()
        waiters = []
        for _ in range(3):
            self.post(10)
            waiters.append(self.flow().when_written())
        waiters[1].addErrback(lambda failure: failure.trap(CancelledError) and None)
        waiters[1].cancel()
        self.turn()
        self.assertNoResult(waiters[0])
        self.link.resume()
        self.assertIsNone(self.successResultOf(waiters[0]))
        self.assertIsNone(self.successResultOf(waiters[2]))
        self.assertEqual(len(self.transport.frames()), 3)

    def test_each_in_its_turn(self) -> None:
        """Who waits is not told before its own message is written."""
        self.stingy()
        waits = []
        for _ in range(20):
            self.post(40_000)
            waits.append(self.flow().when_written())
            self.post(40_000, "other")
        self.turn()
        for _ in range(20):
            written = self.transport.frames()
            self.transport.writes = []
            count = sum(app_id == b"chat" for _, app_id, _ in written)
            told = [wait for wait in waits if wait.called]
            self.assertEqual(len(told), count)
            waits = waits[count:]
            self.link.resume()
        self.assertEqual(waits, [])

    def test_sending_again_when_told(self) -> None:
        """Who is told may send at once, and that is written, too."""
        self.stingy()
        self.post(10)
        again = self.flow().when_written()
        again.addCallback(lambda _: self.post(20))
        self.turn()
        self.drain()
        self.turn()
        self.assertEqual(len(self.transport.frames()[0][2]), 20)

    def test_closing_when_told(self) -> None:
        """Who is told may close the link; nobody else is harmed."""
        self.link.pause()
        waits = []
        for name in ("one", "two"):
            self.post(10, name)
            waits.append(self.flow(name).when_written())
        waits[0].addCallback(lambda _: self.link.goodbye(Goodbye.LEAVING))
        self.post(10, "three")
        self.link.resume()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(kinds, [*[FrameType.APP] * 3, FrameType.GOODBYE])
        self.successResultOf(waits[1])

    def test_never_written(self) -> None:
        """If the link breaks before, who waits is told that it was not sent."""
        self.link.pause()
        self.post(10)
        waiter = self.flow().when_written()
        self.link.lost()
        error = self.failureResultOf(waiter, PeerUnreachable).value
        self.assertEqual(error.node_ids, ("b",))


class EndTests(LanesTestCase):
    """How it ends."""

    def test_goodbye_goes_last(self) -> None:
        """GOODBYE goes after everything in both lanes, long messages included."""
        self.link.pause()
        for number in range(OPEN_MESSAGES_MAX + 3):
            self.post_long(MIB, f"app{number}")
            self.post(10, f"app{number}")
        self.link.ping(1, 2)
        self.link.goodbye(Goodbye.LEAVING)
        frames = self.transport.frames()
        kinds = [kind for kind, _, _ in frames]
        self.assertEqual((kinds[0], kinds[-1]), (FrameType.PING, FrameType.GOODBYE))
        self.assertEqual(kinds.count(FrameType.APP), OPEN_MESSAGES_MAX + 3)
        assembly = Assembly()
        chunks = [one[1:] for one in frames if one[0] == FrameType.CHUNK]
        whole = [assembly.add(*chunk) for chunk in chunks]
        self.assertEqual(len([*filter(None, whole)]), OPEN_MESSAGES_MAX + 3)

    def test_lost(self) -> None:
        """A link that is gone takes nothing more, of anybody, and keeps nothing."""
        self.link.pause()
        self.post_long(MIB)
        old = self.flow()
        self.link.lost()
        for flow in (old, self.flow("new"), self.lanes.answers(b"new")):
            self.assertFalse(flow.post(b"head", b"payload"))
            parcel = Parcel(FrameType.APP, b"", noise(MIB))
            for times in (1, PATIENT_TIMES):
                self.assertFalse(flow.post_parcel(parcel, times))
        self.assertEqual((self.lanes.queued_bytes, old._frames), (0, []))

    def test_half_a_message(self) -> None:
        """What had come of a message when the link broke is not kept."""
        chunk = Chunk(1, 1, FrameType.APP, 100_000, bytes(50_000))
        frame = encode_frame(FrameType.CHUNK, chunk.encode(), b"chat")
        self.link.receive_data(frame)
        self.assertEqual(self.link._assembly.kept_bytes(), 50_000)
        self.link.lost()
        self.assertEqual(self.link._assembly.kept_bytes(), 0)

    def test_broken_rule(self) -> None:
        """A stream of chunks that breaks a rule is an error that names it."""
        chunk = Chunk(7, 0, FrameType.APP, 100_000, bytes(50_000))
        with self.assertRaises(RemoteProtocolError) as caught:
            self.link.receive_data(
                encode_frame(FrameType.CHUNK, chunk.encode(), b"chat")
            )
        self.assertIn("message 7, which has not begun", str(caught.exception))
