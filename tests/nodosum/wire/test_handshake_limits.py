"""
What strangers can make us do before they have proved anything: very little.
"""

from __future__ import annotations

import base64
import functools
import itertools
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import derive_key
from mycorrizal.nodosum.wire.events import Event
from mycorrizal.nodosum.wire.frame import HEADER, HEADER_BYTES, encode_frame
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import (
    UNAUTHENTICATED_FRAME_BYTES_MAX,
    FrameType,
)
from tests.nodosum.wire.cases import SECRET
from tests.nodosum.wire.pairs import NONCE_I, NONCE_R, Pair, session, side

BODY_BYTES_MAX = UNAUTHENTICATED_FRAME_BYTES_MAX - HEADER_BYTES


@functools.cache
def recorded(tls: bool) -> dict[FrameType, bytes]:
    """The frames of a good handshake."""
    return Pair(side("a", tls=tls), side("b", tls=tls)).run().sent


def at_every_state(tls: bool) -> list[Handshake]:
    """A handshake in each state in which it reads."""
    sent, exporter = recorded(tls), session(b"one")
    fresh = Handshake(side("b", tls=tls), initiator=False, nonce=NONCE_R)
    half = Handshake(side("b", tls=tls), initiator=False, nonce=NONCE_R)
    half.receive_data(sent[FrameType.VERSION_I])
    dialled = Handshake(side("a", tls=tls), initiator=True, nonce=NONCE_I)
    dialled.start()
    proved = Handshake(side("a", tls=tls), initiator=True, nonce=NONCE_I)
    proved.start()
    proved.receive_data(sent[FrameType.VERSION_R])
    if tls:
        half.tls_established(exporter)
        proved.tls_established(exporter)
    return [fresh, half, dialled, proved]


def outcome(handshake: Handshake, chunks: list[bytes]) -> tuple[list[Event], str]:
    """The events of these chunks, and the text of the error if there was one."""
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += handshake.receive_data(chunk)
            assert len(handshake._buffer) < UNAUTHENTICATED_FRAME_BYTES_MAX
    except RemoteProtocolError as error:
        assert handshake._buffer == b""
        return [], str(error)
    return events, ""


class LimitTests(SynchronousTestCase):
    """Bytes and memory."""

    def test_frame_at_the_limit(self) -> None:
        """A frame of 256 bytes in all is waited for, one of 257 is not (F22)."""
        for tls in (False, True):
            for kind in (*FrameType, 99):
                for handshake in at_every_state(tls):
                    at = HEADER.pack(1, kind, BODY_BYTES_MAX, 0)
                    self.assertEqual(handshake.receive_data(at), [])
                for handshake in at_every_state(tls):
                    with self.assertRaises(RemoteProtocolError):
                        over = HEADER.pack(1, kind, BODY_BYTES_MAX + 1, 0)
                        handshake.receive_data(over)

    def test_two_frames_are_all(self) -> None:
        """
        A stranger's second frame ends the handshake, whatever it is; so two frames
        bound what is read of it (F22).
        """
        for kind in (*FrameType, 99):
            for handshake in at_every_state(False)[1::2]:
                events, error = outcome(handshake, [encode_frame(kind, bytes(32))])
                self.assertTrue(error or "Refused" in repr(events), kind)
                self.assertEqual(handshake.receive_data(bytes(300)), [])

    def test_nothing_is_kept_of_the_refused(self) -> None:
        """While a refused connection closes, the rest it sent is forgotten."""
        for handshake, frame in (
            (at_every_state(False)[1], encode_frame(FrameType.AUTH_I, bytes(32))),
            (at_every_state(False)[2], encode_frame(FrameType.REJECT, b"\2\1\1")),
        ):
            events, error = outcome(handshake, [frame + bytes(60_000)])
            self.assertIn("Refused", repr(events))
            self.assertEqual(error, "")

    def test_application_id(self) -> None:
        """No frame is for an application yet."""
        for handshake in at_every_state(False):
            with self.assertRaises(RemoteProtocolError):
                handshake.receive_data(HEADER.pack(1, 1, 120, 1))

    def test_other_protocols(self) -> None:
        """Whoever speaks something else is dropped at the first eight bytes (F24)."""
        for opening in (
            b"GET / HTTP/1.1\r\n",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            bytes(8),
            b"\xff" * 8,
        ):
            for handshake in at_every_state(True):
                with self.assertRaises(RemoteProtocolError):
                    handshake.receive_data(opening[:8])

    def test_four_gib_claim_allocates_nothing_before_authentication(self) -> None:
        """A header that claims 4 GiB is an error, at once and for nothing (F22)."""
        for tls in (False, True):
            for handshake in at_every_state(tls):
                tracemalloc.start()
                try:
                    with self.assertRaises(RemoteProtocolError):
                        handshake.receive_data(HEADER.pack(1, 1, 0xFFFFFFFF, 0))
                    self.assertLess(tracemalloc.get_traced_memory()[1], 64 * 1024)
                finally:
                    tracemalloc.stop()

    def test_short_packets_do_not_panic(self) -> None:
        """Every beginning of every frame is waited for without a word."""
        for tls in (False, True):
            for kind, at in (
                (FrameType.VERSION_I, 0),
                (FrameType.AUTH_I, 1),
                (FrameType.VERSION_R, 2),
                (FrameType.AUTH_R, 3),
            ):
                frame = recorded(tls)[kind]
                for length in range(len(frame)):
                    handshake = at_every_state(tls)[at]
                    self.assertEqual(handshake.receive_data(frame[:length]), [])

    def test_short_payloads_do_not_panic(self) -> None:
        """Whole frames whose payload is too short are errors, or fail the proof."""
        for tls in (False, True):
            for kind in FrameType:
                payload = recorded(tls).get(kind, bytes(8 + 120))[8:]
                for length in range(len(payload)):
                    frame = encode_frame(kind, payload[:length])
                    for handshake in at_every_state(tls):
                        events, error = outcome(handshake, [frame])
                        text = error or repr(events)
                        self.assertNotIn("Authenticated", text)
                        self.assertTrue(error or "Refused" in text, text)


class AnyBytesTests(SynchronousTestCase):
    """Bytes that nobody would send."""

    @given(st.booleans(), st.integers(0, 3), st.data())
    def test_any_bytes_in_any_portions(
        self, tls: bool, state: int, data: st.DataObject
    ) -> None:
        """
        Any bytes give events or a protocol error, the same however they are cut;
        nothing else, and nobody is let in by them (F23, F24).
        """
        frame = st.builds(
            encode_frame,
            st.one_of(st.sampled_from(FrameType), st.integers(0, 255)),
            st.binary(max_size=260),
        )
        good = st.sampled_from([*recorded(tls).values()])
        part = st.one_of(frame, good, st.binary(max_size=20))
        stream = data.draw(st.lists(part, max_size=4).map(b"".join))
        # What comes behind the right proof is the link's; this is about junk.
        proofs = [recorded(tls)[kind] for kind in (FrameType.AUTH_I, FrameType.AUTH_R)]
        for proof in proofs:
            stream = stream.replace(proof, proof[::-1])
        cut_strategy = st.lists(st.integers(0, len(stream)), max_size=8)
        places = [0, *sorted(data.draw(cut_strategy)), len(stream)]
        chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
        whole = outcome(at_every_state(tls)[state], [stream])
        self.assertEqual(outcome(at_every_state(tls)[state], chunks), whole)
        single = [stream[at : at + 1] for at in range(len(stream))]
        self.assertEqual(outcome(at_every_state(tls)[state], single), whole)
        self.assertNotIn("Authenticated", repr(whole))


class SecrecyTests(SynchronousTestCase):
    """What can be read on the wire."""

    def test_secret_never_travels_in_clear(self) -> None:
        """No eight bytes in a row of the secret, or a key, are ever sent."""
        key = derive_key(SECRET, "demo")
        hidden = [
            SECRET.encode(),
            base64.b64decode(SECRET[5:]),
            key.udp,
            key.node,
            key.client,
        ]
        pieces = {text[at : at + 8] for text in hidden for at in range(len(text) - 7)}
        for tls in (False, True):
            for features in (0, 1):
                a = side("a", tls=tls, features=features)
                sent = Pair(a, side("b", tls=tls)).run().sent
                self.assertEqual(len(sent), 4)
                for frame in sent.values():
                    for at in range(len(frame) - 7):
                        self.assertNotIn(frame[at : at + 8], pieces)
