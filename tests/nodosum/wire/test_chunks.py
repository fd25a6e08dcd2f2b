"""
Long messages in chunks: cut, put together again, and every rule of both.
"""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.chunks import (
    CHUNK_HEAD_BYTES,
    FIRST,
    LAST,
    Assembly,
    Chunk,
    Whole,
    chunk_bytes,
    cut,
)
from mycorrizal.nodosum.wire.frame import FrameDecoder
from mycorrizal.nodosum.wire.limits import (
    CHUNK_BYTES_MAX,
    COMPRESSED_BIT,
    FRAME_BYTES_MAX,
    FRAME_BYTES_MIN,
    MESSAGE_BYTES_MAX,
    OPEN_BYTES_MAX,
    OPEN_MESSAGES_MAX,
    FrameType,
)

APP, CHAT = FrameType.APP, b"chat"


def pieces(
    payload: bytes, bytes_max: int = 10, prefix: bytes = b"", message_no: int = 1
) -> list[bytes]:
    """The payloads of the CHUNKs of a message."""
    parts = cut(message_no, APP, CHAT, prefix, payload, bytes_max)
    decoder = FrameDecoder(FRAME_BYTES_MAX)
    (run,) = decoder.receive_data(b"".join(parts))
    assert run[:2] == (FrameType.CHUNK, CHAT) and decoder.error is None
    return run[2]


class CutTests(SynchronousTestCase):
    """From a message to chunks."""

    def test_sizes(self) -> None:
        """Chunks are full but for the last, which is never empty."""
        for size, expected in (
            (1, [1]), (9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10]),
            (25, [10, 10, 5]),
        ):  # fmt: skip
            found = [len(one) - CHUNK_HEAD_BYTES for one in pieces(bytes(size))]
            self.assertEqual(found, expected)

    def test_flags(self) -> None:
        """The first and the last say so; the only one is both."""
        for size, expected in ((5, [3]), (15, [1, 2]), (25, [1, 0, 2])):
            found = [Chunk.decode(one).flags for one in pieces(bytes(size))]
            self.assertEqual(found, expected)

    def test_prefix(self) -> None:
        """What stands before the payload is part of the message."""
        (first, second) = map(Chunk.decode, pieces(b"0123456789", prefix=b"ID"))
        self.assertEqual((first.data, second.data), (b"ID01234567", b"89"))
        self.assertEqual((first.message_bytes, second.message_bytes), (12, 12))

    def test_nothing_is_copied(self) -> None:
        """A message of 16 MiB is cut without another 16 MiB of memory."""
        payload = bytes(16 << 20)
        tracemalloc.start()
        try:
            parts = cut(1, APP, CHAT, b"", payload, CHUNK_BYTES_MAX)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        finally:
            tracemalloc.stop()
        self.assertEqual(len(parts), 2 * 256)

    def test_what_the_peer_takes(self) -> None:
        """A chunk has 64 KiB, or less where the peer takes shorter frames."""
        self.assertEqual(chunk_bytes(FRAME_BYTES_MAX, CHAT), 64 * 1024)
        least = chunk_bytes(FRAME_BYTES_MIN, CHAT)
        self.assertEqual(least, 64 * 1024 - CHUNK_HEAD_BYTES - len(CHAT))
        decoder = FrameDecoder(FRAME_BYTES_MIN)
        decoder.receive_data(b"".join(cut(1, APP, CHAT, b"", bytes(200_000), least)))
        self.assertIsNone(decoder.error)


class AssemblyTests(SynchronousTestCase):
    """From chunks to a message."""

    def setUp(self) -> None:
        self.assembly = Assembly()

    def add(
        self,
        message_no: int = 1,
        flags: int = FIRST,
        data: bytes = b"12345",
        *,
        kind: int = APP,
        message_bytes: int = 10,
        app_id: bytes = CHAT,
    ) -> Whole | None:
        """A chunk arrives."""
        chunk = Chunk(message_no, flags, kind, message_bytes, data)
        return self.assembly.add(app_id, chunk.encode())

    def refused(self, words: str, *arguments: Any, **options: Any) -> None:
        """A chunk is an error, whose text says which rule it breaks."""
        with self.assertRaises(RemoteProtocolError) as caught:
            self.add(*arguments, **options)
        self.assertIn(words, str(caught.exception))

    def test_whole(self) -> None:
        """A message is there with its last chunk, and nothing of it is kept."""
        self.assertIsNone(self.add())
        self.assertEqual(self.assembly.kept_bytes(), 5)
        self.assertEqual(self.add(1, LAST, b"67890"), (APP, CHAT, b"1234567890"))
        self.assertEqual((len(self.assembly), self.assembly.kept_bytes()), (0, 0))

    def test_interleaved(self) -> None:
        """Messages that come at the same time are told apart."""
        whole = []
        messages = {no: b"%02d" % no * 20 for no in range(OPEN_MESSAGES_MAX)}
        waiting = {no: pieces(text, 7, b"", no) for no, text in messages.items()}
        draw = random.Random(5)
        while waiting:
            number = draw.choice(sorted(waiting))
            found = self.assembly.add(CHAT, waiting[number].pop(0))
            if not waiting[number]:
                del waiting[number]
                whole.append(found)
        self.assertEqual(
            sorted(text for _, _, text in filter(None, whole)),
            sorted(messages.values()),
        )
        self.assertEqual(len(self.assembly), 0)

    def test_number_again(self) -> None:
        """A number may be used again when its message is complete."""
        for _ in range(3):
            self.add()
            self.assertIsNotNone(self.add(1, LAST))

    def test_open_messages_at_the_bound(self) -> None:
        """Sixteen may be open, one more is an error; a single chunk is not open."""
        for number in range(OPEN_MESSAGES_MAX):
            self.assertIsNone(self.add(number))
        single = self.add(90, FIRST | LAST, message_bytes=5)
        self.assertEqual(single, (APP, CHAT, b"12345"))
        self.refused("more than 16 messages open", 91)

    def test_open_bytes_at_the_bound(self) -> None:
        """Open messages may promise 128 MiB, not a byte more."""
        self.add(1, message_bytes=MESSAGE_BYTES_MAX)
        self.add(2, message_bytes=OPEN_BYTES_MAX - MESSAGE_BYTES_MAX)
        self.refused("open messages of", 3, message_bytes=10)

    def test_message_at_the_bound(self) -> None:
        """A message may promise 64 MiB; one that promises more is an error."""
        self.add(1, message_bytes=MESSAGE_BYTES_MAX)
        self.refused("limit 67108864", 2, message_bytes=MESSAGE_BYTES_MAX + 1)
        self.refused("limit 67108864", 2, FIRST | LAST, message_bytes=0xFFFFFFFF)

    def test_promise_allocates_nothing(self) -> None:
        """A message takes the memory of what came, not of what was promised (F22)."""
        tracemalloc.start()
        try:
            self.add(1, message_bytes=MESSAGE_BYTES_MAX)
            self.assertLess(tracemalloc.get_traced_memory()[1], 64 * 1024)
        finally:
            tracemalloc.stop()

    def test_too_much(self) -> None:
        """Bytes beyond what was promised are an error, wherever they come."""
        for flags in (0, LAST):
            self.setUp()
            self.add()
            self.refused("", 1, flags, b"678901")
        self.setUp()
        self.add()
        self.refused("10 bytes and no end of a message of 10", 1, 0, b"67890")
        self.refused("no end of", 2, FIRST, bytes(10))
        self.refused("ends after 11", 3, FIRST | LAST, bytes(11))

    def test_too_little(self) -> None:
        """So is an end before the promise is kept."""
        self.add()
        self.refused("a message of 10 bytes ends after 9", 1, LAST, b"6789")
        self.refused("ends after 5", 2, FIRST | LAST)

    def test_empty(self) -> None:
        """A chunk that brings nothing is an error: it could come for ever."""
        for flags in (FIRST, 0, LAST, FIRST | LAST):
            self.refused("without bytes", 1, flags, b"")
        for size in range(CHUNK_HEAD_BYTES + 1):
            with self.assertRaises(RemoteProtocolError):
                self.assembly.add(CHAT, bytes(size))

    def test_never_begun(self) -> None:
        """A chunk of a message that has no beginning is an error."""
        self.refused("message 7, which has not begun", 7, 0)
        self.refused("message 7, which has not begun", 7, LAST)
        self.add()
        self.add(1, LAST)
        self.refused("message 1, which has not begun", 1, LAST)

    def test_begun_twice(self) -> None:
        """So is a second beginning."""
        self.add()
        self.refused("message 1 begins twice")
        self.refused("message 1 begins twice", 1, FIRST | LAST, bytes(10))

    def test_changes_its_mind(self) -> None:
        """All chunks of a message have its type, application and length."""
        for change in (
            {"kind": FrameType.REQUEST}, {"kind": APP | COMPRESSED_BIT},
            {"app_id": b"other"}, {"message_bytes": 11},
        ):  # fmt: skip
            self.setUp()
            self.add()
            self.refused("says it is another", 1, LAST, b"67890", **change)

    def test_types(self) -> None:
        """What is for one frame only, or is a chunk itself, can't be cut."""
        for kind in (0, FrameType.WELCOME, FrameType.PEERS, FrameType.CHUNK):
            for bit in (0, COMPRESSED_BIT):
                self.refused(f"frame type {int(kind)} in a CHUNK", kind=kind | bit)
        for number, kind in enumerate((8, 9, 10, 17, 0x80, 0xBF, 9 | COMPRESSED_BIT)):
            self.assertIsNone(self.add(number, kind=kind))

    def test_unknown_flags(self) -> None:
        """Flags that mean nothing yet are not looked at."""
        self.assertIsNone(self.add(1, FIRST | 0xFC))
        self.assertIsNotNone(self.add(1, LAST | 0xFC))

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(0, 3),
                st.sampled_from([APP, FrameType.REQUEST, FrameType.CHUNK, 3]),
                st.integers(0, 12) | st.integers(0, 0xFFFFFFFF),
                st.binary(max_size=12),
            ),
            max_size=20,
        )
    )
    def test_any_chunks(self, chunks: list[tuple[int, int, int, int, bytes]]) -> None:
        """
        Any chunks give messages of the promised length, or an error, nothing
        else; and what is kept is no more than what came.
        """
        assembly, came = Assembly(), 0
        for chunk in map(Chunk, *zip(*chunks, strict=True)) if chunks else ():
            came += len(chunk.data)
            try:
                whole = assembly.add(CHAT, chunk.encode())
            except RemoteProtocolError:
                return
            if whole is not None:
                self.assertEqual(len(whole[2]), chunk.message_bytes)
            self.assertLessEqual(assembly.kept_bytes(), came)

    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a chunk or an error."""
        try:
            self.assertEqual(Chunk.decode(data).encode()[8:], data[8:])
        except RemoteProtocolError:
            pass
        else:
            self.assertGreater(len(data), CHUNK_HEAD_BYTES)

    @given(
        st.binary(min_size=1, max_size=300),
        st.binary(max_size=8),
        st.integers(9, 100),
    )
    def test_round_trip(self, payload: bytes, prefix: bytes, bytes_max: int) -> None:
        """Whatever is cut is put together again."""
        assembly = Assembly()
        *parts, last = pieces(payload, bytes_max, prefix)
        for part in parts:
            self.assertIsNone(assembly.add(CHAT, part))
        self.assertEqual(assembly.add(CHAT, last), (APP, CHAT, prefix + payload))
