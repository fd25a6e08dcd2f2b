"""
Two nodes prove to each other that they know the secret, or say why not.
"""

from __future__ import annotations

import hashlib
import hmac

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import KeyRing, derive_key, new_secret, node_key_of
from mycorrizal.nodosum.wire.events import Local, Refused
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import FrameType, RejectCode
from mycorrizal.nodosum.wire.version import Reject, Role, VersionI, VersionR
from tests.nodosum.wire.cases import SECRET, TICKET
from tests.nodosum.wire.pairs import NONCE_I, NONCE_R, End, Pair, session, side

OLD, NEW = (new_secret(bytes([n]) * 32) for n in (8, 9))


def opening_of(local: Local) -> VersionI:
    """The VERSION_I that a node sends."""
    end = End(local, initiator=True, nonce=NONCE_I)
    end.start()
    return VersionI.decode(end.out[0][8:])


def answer_to(opening: VersionI, local: Local) -> End:
    """A responder that has got this VERSION_I."""
    end = End(local, initiator=False, nonce=NONCE_R)
    end.receive(encode_frame(FrameType.VERSION_I, opening.encode()))
    return end


def reject_in(frame: bytes) -> Reject:
    """The refusal that this frame is."""
    assert frame[1] == FrameType.REJECT, frame
    return Reject.decode(frame[8:])


class AgreementTests(SynchronousTestCase):
    """Nodes that know the secret."""

    def test_all_roles_and_tls_modes(self) -> None:
        """Nodes and clients with the secret get in, with and without TLS."""
        for tls in (False, True):
            for role in Role:
                pair = Pair(side("a", tls=tls, role=role), side("b", tls=tls)).run()
                self.assertEqual(pair.authenticated, (True, True))
                a, b = pair.initiator.remote, pair.responder.remote
                assert a is not None and b is not None
                self.assertEqual((a.node_key, a.role), (node_key_of("b"), Role.NODE))
                self.assertEqual((b.node_key, b.role), (node_key_of("a"), role))
                self.assertEqual((a.incarnation, b.incarnation), (7, 7))

    def test_lengths_of_all_frames(self) -> None:
        """Each frame of a handshake has the length that the protocol says."""
        pair = Pair(side("a"), side("b")).run()
        lengths = {kind.name: len(frame) for kind, frame in pair.sent.items()}
        self.assertEqual(
            lengths, {"VERSION_I": 128, "VERSION_R": 104, "AUTH_I": 40, "AUTH_R": 40}
        )

    def test_proofs_are_as_specified(self) -> None:
        """The proofs are those that another implementation would make."""
        for tls in (False, True):
            for role in Role:
                pair = Pair(side("a", tls=tls, role=role), side("b", tls=tls)).run()
                sent, key = pair.sent, derive_key(SECRET, "demo")
                t = hashlib.sha256(
                    sent[FrameType.VERSION_I] + sent[FrameType.VERSION_R]
                )
                binding = b"\0" + bytes(32)
                if tls:
                    label = b"EXPORTER-mycorrizal-acl-1"
                    binding = b"\1" + session(b"one")(label, 32, t.digest())
                k = key.node if role is Role.NODE else key.client
                said = b"MYCO1 initiator\0" + t.digest() + binding
                proof_i = hmac.digest(k, said, "sha256")
                said = b"MYCO1 responder\0" + t.digest() + binding + proof_i
                proof_r = hmac.digest(k, said, "sha256")
                self.assertEqual(sent[FrameType.AUTH_I][8:], proof_i)
                self.assertEqual(sent[FrameType.AUTH_R][8:], proof_r)

    def test_portions(self) -> None:
        """The network may cut everything into single bytes, or any portions (F23)."""
        for tls in (False, True):
            for portion_bytes in (1, 2, 3, 7, 8, 9, 41, 127):
                a, b = side("a", tls=tls), side("b", tls=tls)
                pair = Pair(a, b, portion_bytes=portion_bytes).run()
                self.assertEqual(pair.authenticated, (True, True))

    def test_bytes_behind_the_handshake(self) -> None:
        """What follows the last frame in the same chunk belongs to the link."""

        def tamper(kind: FrameType, data: bytes) -> bytes:
            return data + b"next" if kind.name.startswith("AUTH") else data

        for tls in (False, True):
            pair = Pair(side("a", tls=tls), side("b", tls=tls), tamper=tamper).run()
            self.assertEqual(pair.authenticated, (True, True))
            self.assertEqual(pair.initiator.trailing, b"next")
            self.assertEqual(pair.responder.trailing, b"next")
            self.assertEqual(pair.initiator.handshake.receive_data(b"x"), [])

    def test_features_and_frame_length_in_force(self) -> None:
        """Features are those of both; frames are as long as both allow."""
        a = side("a", features=0b110, frame_bytes_max=1 << 17)
        b = side("b", features=0b011, frame_bytes_max=1 << 16)
        pair = Pair(a, b).run()
        for remote in (pair.initiator.remote, pair.responder.remote):
            assert remote is not None
            self.assertEqual((remote.features, remote.frame_bytes_max), (2, 1 << 16))

    def test_ticket_is_known_at_once(self) -> None:
        """A responder can look at the ticket before anything is proved."""
        opening = attrs.evolve(opening_of(side()), ticket=TICKET)
        self.assertEqual(answer_to(opening, side("b")).handshake.opening, opening)
        dialler = Handshake(side(), initiator=True, nonce=NONCE_I, ticket=TICKET)
        self.assertIsNone(dialler.opening)
        dialler.start()
        self.assertEqual(dialler.opening, opening)

    def test_rotated_secrets(self) -> None:
        """While secrets are rotated, the responder's first shared one is used."""
        for ours, theirs, used in (
            ((OLD,), (NEW, OLD), OLD),
            ((NEW, OLD), (OLD,), OLD),
            ((NEW, OLD), (OLD, NEW), OLD),
            ((OLD, NEW), (NEW, OLD), NEW),
            ((SECRET, OLD), (NEW, OLD), OLD),
        ):
            a, b = side("a", secrets=ours), side("b", secrets=theirs)
            pair = Pair(a, b).run()
            key = derive_key(used, "demo")
            for remote in (pair.initiator.remote, pair.responder.remote):
                assert remote is not None
                self.assertEqual(remote.key, key)

    def test_later_version(self) -> None:
        """A node that speaks later versions too falls back to ours (F50)."""
        opening = attrs.evolve(opening_of(side()), version_max=9)
        end = answer_to(opening, side("b"))
        self.assertEqual(VersionR.decode(end.out[0][8:]).chosen, 1)


class RefusalTests(SynchronousTestCase):
    """Nodes that don't fit."""

    def refusals(self, a: Local, b: Local) -> tuple[Refused, Refused]:
        """How the initiator and the responder see that they don't fit."""
        pair = Pair(a, b).run()
        self.assertEqual(pair.authenticated, (False, False))
        ours, theirs = pair.initiator.refused, pair.responder.refused
        assert ours is not None and theirs is not None
        self.assertEqual((ours.by_peer, theirs.by_peer), (True, False))
        return ours, theirs

    def test_another_secret(self) -> None:
        """The refused side learns little, the refuser knows what was wrong (F15)."""
        for tls in (False, True):
            a, b = side("a", tls=tls), side("b", tls=tls, secrets=(NEW,))
            ours, theirs = self.refusals(a, b)
            self.assertEqual(ours.code, RejectCode.REFUSED)
            self.assertEqual(ours.reason, "another secret or cluster name")
            self.assertEqual(theirs.reason, "it has another secret")

    def test_another_cluster(self) -> None:
        """Two clusters with one secret don't mix (F16)."""
        ours, theirs = self.refusals(side("a"), side("b", cluster="other"))
        self.assertEqual(ours.code, RejectCode.REFUSED)
        self.assertEqual(theirs.reason, "it has another cluster name")

    def test_copied_key_id(self) -> None:
        """Who copies a key id without the key fails the proof (F15)."""
        key = derive_key(NEW, "demo")
        fake = attrs.evolve(key, key_id=derive_key(SECRET, "demo").key_id)
        a = attrs.evolve(side("a"), keys=KeyRing([fake]))
        ours, theirs = self.refusals(a, side("b"))
        self.assertEqual(ours.code, RejectCode.REFUSED)
        self.assertEqual(theirs.reason, "it could not prove that it knows the secret")

    def test_responder_without_the_key(self) -> None:
        """A listener that only copied a key id gets no further than AUTH_R."""
        fake = attrs.evolve(
            derive_key(NEW, "demo"), key_id=derive_key(SECRET, "demo").key_id
        )

        class Careless(End):
            """A listener that lets everybody in."""

            def receive(self, data: bytes) -> None:
                super().receive(data)
                if self.refused is not None:
                    answer = encode_frame(FrameType.AUTH_R, bytes(32))
                    self.out[:], self.refused = [answer], None

        pair = Pair(side("a"), side("b"))
        pair.responder = Careless(
            attrs.evolve(side("b"), keys=KeyRing([fake])),
            initiator=False,
            nonce=NONCE_R,
        )
        pair.run()
        self.assertEqual(pair.authenticated, (False, False))
        refused = pair.initiator.refused
        assert refused is not None
        self.assertEqual(refused.by_peer, False)
        self.assertEqual(refused.code, RejectCode.REFUSED)

    def test_refusals_look_alike(self) -> None:
        """Wrong secret, wrong cluster, wrong proof: the same bytes come back (F15)."""
        fake = attrs.evolve(
            derive_key(NEW, "demo"), key_id=derive_key(SECRET, "demo").key_id
        )
        frames = {
            Pair(a, side("b")).run().sent[FrameType.REJECT]
            for a in (
                side("a", secrets=(NEW,)),
                side("a", cluster="other"),
                side("a", cluster="other", secrets=(NEW,)),
                side("a", secrets=(NEW,), tls=True),
                attrs.evolve(side("a"), keys=KeyRing([fake])),
            )
        }
        self.assertEqual(frames, {encode_frame(FrameType.REJECT, b"\x02\x01\x01")})

    def test_tls_differs(self) -> None:
        """With and without TLS is told to both, and only to who has the key (F20)."""
        for tls in (False, True):
            ours, theirs = self.refusals(side("a", tls=tls), side("b", tls=not tls))
            self.assertEqual((ours.code, theirs.code), (RejectCode.TLS,) * 2)
            on, off = "its TLS is on, ours is off", "its TLS is off, ours is on"
            self.assertEqual(ours.reason, off if tls else on)
            self.assertEqual(theirs.reason, on if tls else off)

    def test_no_second_try(self) -> None:
        """After a refusal a connection is over: nothing else is listened to."""
        sent = Pair(side("a"), side("b")).run().sent
        opening, proof = sent[FrameType.VERSION_I], sent[FrameType.AUTH_I]
        stranger = opening_of(side("a", secrets=(NEW,)))
        end = answer_to(stranger, side("b"))
        wrong = answer_to(opening_of(side("a")), side("b"))
        wrong.receive(encode_frame(FrameType.AUTH_I, bytes(32)))
        for refused in (end, wrong):
            self.assertIsNotNone(refused.refused)
            said = len(refused.out)
            for frame in (opening, proof):
                refused.receive(frame)
            self.assertEqual((len(refused.out), refused.remote), (said, None))

    def test_answers_that_make_no_sense(self) -> None:
        """A listener, even one with the secret, can't answer what was not asked."""
        good = VersionR.decode(
            Pair(side("a"), side("b")).run().sent[FrameType.VERSION_R][8:]
        )
        for answer in (
            attrs.evolve(good, chosen=0),
            attrs.evolve(good, chosen=2, version_max=2),
            attrs.evolve(good, chosen=0, version_min=0, version_max=0),
            attrs.evolve(good, version_min=2, version_max=2),
            attrs.evolve(good, cluster_tag=bytes(8)),
            attrs.evolve(good, key_id=0),
            attrs.evolve(good, tls=True),
            attrs.evolve(good, channel_binding=1),
            attrs.evolve(good, tls=True, channel_binding=1),
        ):
            end = End(side("a"), initiator=True, nonce=NONCE_I)
            end.start()
            end.receive(encode_frame(FrameType.VERSION_R, answer.encode()))
            self.assertIsNotNone(end.error, answer)
            self.assertEqual((len(end.out), end.wants_tls), (1, False))

    def test_busy(self) -> None:
        """Too many TLS handshakes at once: who has the key is told to wait."""
        for tls, secret, code in (
            (True, SECRET, RejectCode.BUSY),
            (True, NEW, RejectCode.REFUSED),
            (False, SECRET, None),
        ):
            opening = opening_of(side("a", tls=tls, secrets=(secret,)))
            busy = Handshake(
                side("b", tls=tls), initiator=False, nonce=NONCE_R, busy=lambda: True
            )
            events = busy.receive_data(
                encode_frame(FrameType.VERSION_I, opening.encode())
            )
            codes = [event.code for event in events if isinstance(event, Refused)]
            self.assertEqual(codes, [code] if code else [])

    def test_no_common_version(self) -> None:
        """Nodes of versions too far apart tell each other which they speak."""
        for low, high in ((2, 3), (255, 255), (0, 0)):
            opening = attrs.evolve(
                opening_of(side()), version_min=low, version_max=high
            )
            end = answer_to(opening, side("b"))
            self.assertEqual(reject_in(end.out[0]), Reject(RejectCode.VERSION, 1, 1))
            assert end.refused is not None
            self.assertEqual(end.refused.reason, f"it speaks versions {low}-{high}")

    def test_each_reject(self) -> None:
        """Whatever code comes back, the dialling side has a sentence for it."""
        for code in RejectCode:
            end = End(side(), initiator=True, nonce=NONCE_I)
            end.start()
            end.receive(encode_frame(FrameType.REJECT, Reject(code, 2, 3).encode()))
            assert end.refused is not None
            self.assertEqual((end.refused.code, end.refused.by_peer), (code, True))
            self.assertTrue(end.refused.reason)
            self.assertEqual(end.handshake.receive_data(b"more"), [])
        self.assertEqual(
            Pair(side(), side("b", tls=True)).run().sent[FrameType.REJECT][8], 3
        )

    def test_reject_is_for_initiators(self) -> None:
        """A dialling side can't refuse: it just goes away."""
        end = End(side(), initiator=False, nonce=NONCE_R)
        end.receive(
            encode_frame(FrameType.REJECT, Reject(RejectCode.BUSY, 1, 1).encode())
        )
        self.assertIsNotNone(end.error)
