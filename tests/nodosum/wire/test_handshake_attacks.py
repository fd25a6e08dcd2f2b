"""
Somebody sits on the wire between two nodes, and does not know the secret.
"""

from __future__ import annotations

import itertools

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import FrameType, RejectCode
from mycorrizal.nodosum.wire.version import Role, VersionI, VersionR
from tests.nodosum.wire.pairs import NONCE_I, NONCE_R, End, Pair, flip, session, side

#: Every frame of a handshake that succeeds, and its length.
FRAMES = {
    FrameType.VERSION_I: 128,
    FrameType.VERSION_R: 104,
    FrameType.AUTH_I: 40,
    FrameType.AUTH_R: 40,
}


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """The frame with another payload of the same length."""
    assert len(frame) == 8 + len(payload)
    return frame[:8] + payload


class ChangedBytesTests(SynchronousTestCase):
    """Frames are changed on their way."""

    def test_every_flipped_bit(self) -> None:
        """
        Whatever single bit of whatever frame is changed, with and without TLS, the two
        never both trust the connection; until the last frame neither does (F20).
        """
        for tls in (False, True):
            a, b = side("a", tls=tls), side("b", tls=tls)
            for kind, length in FRAMES.items():
                for bit in range(length * 8):
                    self.check_flip(a, b, kind, bit)

    def check_flip(self, a: Local, b: Local, kind: FrameType, bit: int) -> None:
        """One bit of one frame is changed."""

        def tamper(sent: FrameType, data: bytes) -> bytes:
            return flip(data, bit) if sent is kind else data

        pair = Pair(a, b, tamper=tamper).run()
        # AUTH_R is the responder's last word: it has its proof by then.
        expected = (False, kind is FrameType.AUTH_R)
        self.assertEqual(pair.authenticated, expected, f"{kind.name} bit {bit}")

    def test_every_flipped_bit_for_clients(self) -> None:
        """The same for a client, which uses another key."""
        a, b = side("a", role=Role.CLIENT), side("b")
        for kind, length in FRAMES.items():
            for bit in range(length * 8):
                self.check_flip(a, b, kind, bit)

    def test_tls_is_stripped(self) -> None:
        """Both want TLS; somebody tells each that the other has none (F20)."""

        def tamper(kind: FrameType, data: bytes) -> bytes:
            if kind is FrameType.VERSION_I:
                opening = VersionI.decode(data[8:])
                return with_payload(data, attrs.evolve(opening, tls=False).encode())
            if kind is FrameType.VERSION_R:
                answer = VersionR.decode(data[8:])
                stripped = attrs.evolve(answer, tls=False, channel_binding=0)
                return with_payload(data, stripped.encode())
            return data

        pair = Pair(side("a", tls=True), side("b", tls=True), tamper=tamper).run()
        self.assertEqual(pair.authenticated, (False, False))
        assert pair.responder.refused is not None
        self.assertEqual(pair.responder.refused.code, RejectCode.TLS)
        self.assertNotIn(FrameType.AUTH_I, pair.sent)

    def test_tls_is_stripped_on_one_side(self) -> None:
        """One wants TLS, one has none, and somebody translates in between (F20)."""

        def tamper(kind: FrameType, data: bytes) -> bytes:
            if kind is FrameType.VERSION_I:
                opening = VersionI.decode(data[8:])
                changed = attrs.evolve(opening, tls=not opening.tls)
                return with_payload(data, changed.encode())
            if kind is FrameType.VERSION_R:
                answer = VersionR.decode(data[8:])
                changed_r = attrs.evolve(
                    answer, tls=not answer.tls, channel_binding=int(not answer.tls)
                )
                return with_payload(data, changed_r.encode())
            return data

        for tls in (False, True):
            a, b = side("a", tls=tls), side("b", tls=not tls)
            pair = Pair(a, b, tamper=tamper).run()
            self.assertIn(FrameType.AUTH_I, pair.sent)
            self.assertEqual(pair.authenticated, (False, False))

    def test_channel_binding_is_stripped(self) -> None:
        """Nobody can make the dialling side do TLS without binding to it (F19, F20)."""

        def tamper(kind: FrameType, data: bytes) -> bytes:
            if kind is FrameType.VERSION_R:
                answer = VersionR.decode(data[8:])
                changed = attrs.evolve(answer, channel_binding=0)
                return with_payload(data, changed.encode())
            return data

        pair = Pair(side("a", tls=True), side("b", tls=True), tamper=tamper).run()
        self.assertEqual(pair.authenticated, (False, False))
        self.assertIsNotNone(pair.initiator.error)
        self.assertNotIn(FrameType.AUTH_I, pair.sent)

    def test_version_downgrade(self) -> None:
        """A version that was not the best of both is not accepted (F20)."""
        for at, value in itertools.product((4, 5, 6), (0, 2, 255)):

            def tamper(
                kind: FrameType, data: bytes, at: int = 8 + at, value: int = value
            ) -> bytes:
                if kind is not FrameType.VERSION_R:
                    return data
                return data[:at] + bytes([value]) + data[at + 1 :]

            pair = Pair(side("a"), side("b"), tamper=tamper).run()
            self.assertEqual(pair.authenticated, (False, False))

    def test_features_are_taken_away(self) -> None:
        """Nobody in between can talk the two out of a feature (F20)."""

        def tamper(kind: FrameType, data: bytes) -> bytes:
            if kind is FrameType.VERSION_I:
                opening = VersionI.decode(data[8:])
                return with_payload(data, attrs.evolve(opening, features=0).encode())
            return data

        pair = Pair(side("a", features=1), side("b", features=1), tamper=tamper)
        self.assertEqual(pair.run().authenticated, (False, False))


class ReflectionTests(SynchronousTestCase):
    """A node's own words come back to it."""

    def test_own_frames_come_back(self) -> None:
        """An echo is not a peer (F18)."""
        for tls in (False, True):
            end = End(side("a", tls=tls), initiator=True, nonce=NONCE_I)
            end.start()
            end.receive(end.out[0])
            self.assertIsNotNone(end.error)
            self.assertIsNone(end.remote)

    def test_own_proof_comes_back(self) -> None:
        """
        A stranger who makes up a VERSION_R can't return our proof as its own (F18).
        """
        end = End(side("a"), initiator=True, nonce=NONCE_I)
        end.start()
        opening = VersionI.decode(end.out.pop()[8:])
        answer = VersionR(
            1,
            1,
            1,
            False,
            0,
            opening.cluster_tag,
            opening.node_key,
            opening.incarnation,
            opening.nonce,
            opening.key_ids[0],
            opening.frame_bytes_max,
            opening.features,
        )
        end.receive(encode_frame(FrameType.VERSION_R, answer.encode()))
        proof = end.out.pop()[8:]
        end.receive(encode_frame(FrameType.AUTH_R, proof))
        self.assertIsNone(end.remote)
        assert end.refused is not None
        self.assertFalse(end.refused.by_peer)

    def test_connected_to_ourselves(self) -> None:
        """Whoever pipes our dial to our own port only gives us ourselves (F18)."""
        pair = Pair(side("a"), side("a")).run()
        for end in (pair.initiator, pair.responder):
            assert end.remote is not None
            self.assertEqual(end.remote.node_key, node_key_of("a"))


class ReplayTests(SynchronousTestCase):
    """A recorded handshake is played again."""

    def test_to_a_responder(self) -> None:
        """The recorded proof does not fit the new nonce (F17)."""
        for tls in (False, True):
            sent = Pair(side("a", tls=tls), side("b", tls=tls)).run().sent
            end = End(side("b", tls=tls), initiator=False, nonce=bytes([3]) * 32)
            end.receive(sent[FrameType.VERSION_I])
            if tls:
                end.tls_established(session(b"one"))
            end.receive(sent[FrameType.AUTH_I])
            self.assertIsNone(end.remote)
            assert end.refused is not None
            self.assertEqual(end.refused.code, RejectCode.REFUSED)

    def test_to_an_initiator(self) -> None:
        """The recorded answer does not fit the new nonce (F17)."""
        for tls in (False, True):
            sent = Pair(side("a", tls=tls), side("b", tls=tls)).run().sent
            end = End(side("a", tls=tls), initiator=True, nonce=bytes([3]) * 32)
            end.start()
            end.receive(sent[FrameType.VERSION_R])
            if tls:
                end.tls_established(session(b"one"))
            end.receive(sent[FrameType.AUTH_R])
            self.assertIsNone(end.remote)
            self.assertIsNotNone(end.refused)


class RelayTests(SynchronousTestCase):
    """Somebody ends TLS on both sides, and passes on what is inside."""

    def test_two_tls_sessions(self) -> None:
        """The proofs are bound to the session, and the sessions differ (F19)."""
        exporters = (session(b"one"), session(b"two"))
        a, b = side("a", tls=True), side("b", tls=True)
        pair = Pair(a, b, exporters=exporters).run()
        self.assertEqual(pair.authenticated, (False, False))
        self.assertIn(FrameType.AUTH_I, pair.sent)
        self.assertNotIn(FrameType.AUTH_R, pair.sent)

    def test_exporter_is_asked_for_the_transcript(self) -> None:
        """Both sides ask their session the same, about this very exchange."""
        asked: list[tuple[bytes, int, bytes]] = []

        def export(label: bytes, length: int, context: bytes) -> bytes:
            asked.append((label, length, context))
            return bytes(length)

        a, b = side("a", tls=True), side("b", tls=True)
        Pair(a, b, exporters=(export, export)).run()
        self.assertEqual(asked[0], asked[1])
        label, length, context = asked[0]
        self.assertEqual((label, length), (b"EXPORTER-mycorrizal-acl-1", 32))
        self.assertEqual(len(context), 32)


class PlaintextTests(SynchronousTestCase):
    """Bytes in the clear where TLS must begin."""

    def test_behind_version_r(self) -> None:
        """Nothing that came before TLS counts as if it had come within (F21)."""
        for extra in (b"x", encode_frame(FrameType.AUTH_R, bytes(32))):
            pair = Pair(
                side("a", tls=True),
                side("b", tls=True),
                tamper=lambda kind, data, extra=extra: (  # type: ignore[misc]
                    data + extra if kind is FrameType.VERSION_R else data
                ),
            ).run()
            self.assertIsNotNone(pair.initiator.error)
            self.assertEqual(pair.authenticated, (False, False))
            self.assertNotIn(FrameType.AUTH_I, pair.sent)

    def test_behind_version_i(self) -> None:
        """The same for the listening side, which then does not even answer (F21)."""
        opening = Pair(side("a", tls=True), side("b")).run().sent[FrameType.VERSION_I]
        for later in (False, True):
            end = End(side("b", tls=True), initiator=False, nonce=NONCE_R)
            proof = encode_frame(FrameType.AUTH_I, bytes(32))
            for data in (opening, proof) if later else (opening + proof,):
                end.receive(data)
            self.assertIsNotNone(end.error)
            self.assertEqual(len(end.out), int(later))
            self.assertEqual(end.handshake.tls_established(session(b"one")), [])

    def test_tls_that_nobody_asked_for(self) -> None:
        """TLS coming up at another time changes nothing."""
        for initiator in (False, True):
            end = End(side("a"), initiator=initiator, nonce=NONCE_I)
            self.assertEqual(end.handshake.tls_established(session(b"one")), [])
        pair = Pair(side("a"), side("b")).run()
        for end in (pair.initiator, pair.responder):
            self.assertEqual(end.handshake.tls_established(session(b"one")), [])

    def test_frames_out_of_order(self) -> None:
        """Each state takes the one frame it waits for, and no other."""
        sent = Pair(side("a"), side("b")).run().sent
        for kind, frame in sent.items():
            responder = End(side("b"), initiator=False, nonce=NONCE_R)
            initiator = End(side("a"), initiator=True, nonce=NONCE_I)
            initiator.start()
            responder.receive(frame)
            initiator.receive(frame)
            fits_r, fits_i = FrameType.VERSION_I, FrameType.VERSION_R
            self.assertEqual(responder.error is None, kind is fits_r)
            self.assertEqual(initiator.error is None, kind is fits_i)

    def test_silence_after_an_error(self) -> None:
        """After an error nothing more is read or said."""
        end = End(side("b"), initiator=False, nonce=NONCE_R)
        with self.assertRaises(RemoteProtocolError):
            end.handshake.receive_data(b"GET / HTTP/1.1\r\n\r\n")
        opening = Pair(side("a"), side("b")).run().sent[FrameType.VERSION_I]
        self.assertEqual(end.handshake.receive_data(opening), [])
