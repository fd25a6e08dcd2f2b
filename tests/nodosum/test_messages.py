"""
What peers say of themselves is read strictly.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.messages import (
    ClientWelcome,
    PeerEntry,
    Peers,
    Probe,
    Probed,
    Welcome,
    decode,
    decode_system,
    encode,
)
from mycorrizal.nodosum.wire.limits import (
    ADDRESSES_PER_PEER_MAX,
    FRAME_BYTES_MIN,
    LABELS_BYTES_MAX,
    LABELS_MAX,
    NAME_BYTES_MAX,
    PEERS_PER_FRAME_MAX,
)

ENTRY = PeerEntry(bytes(16), 7, (("10.0.0.2", 7000), ("::1", 1)))
WELCOME = Welcome(
    "node-a", "machine", {"zone": "east"}, "1.2", (("10.0.0.1", 7000),), 5, False,
    (ENTRY,),
)  # fmt: skip
KINDS: tuple[Any, ...] = (Welcome, Peers, ClientWelcome)


def changed(**changes: object) -> bytes:
    """A WELCOME with some fields changed."""
    return encode(msgspec.structs.replace(WELCOME, **changes))


class MessageTests(SynchronousTestCase):
    """Good messages and bad ones."""

    def refuse(self, kind: Any, data: bytes) -> str:
        """The text of the error that a message is."""
        with self.assertRaises(RemoteProtocolError) as caught:
            decode(kind, data)
        return str(caught.exception)

    def test_round_trip(self) -> None:
        """What was written is read."""
        messages: tuple[Any, ...] = (
            WELCOME,
            Peers((ENTRY, ENTRY)),
            Peers(()),
            ClientWelcome("node-a", "1.2", ("*:*:*",)),
        )
        for message in messages:
            self.assertEqual(decode(type(message), encode(message)), message)

    def test_system(self) -> None:
        """Questions and answers about a third have exactly these bytes."""
        for message, data in (
            (Probe(7, bytes(16), 9), "940107c410" + "00" * 16 + "09"),
            (Probed(7, 1, 250), "94020701ccfa"),
            (Probed(7, 3, 2**32), "94020703cf0000000100000000"),
        ):
            self.assertEqual(encode(message).hex(), data)
            self.assertEqual(decode_system(bytes.fromhex(data)), message)
        for wrong in (
            encode(Probed(7, 0)), encode(Probed(7, 4)), encode(Probed(7, 1, 2**32 + 1)),
            encode(Probed(-1, 1)), encode(Probe(7, bytes(15), 9)), encode(WELCOME), b"",
        ):  # fmt: skip
            with self.assertRaises(RemoteProtocolError):
                decode_system(wrong)

    def test_peers_of_the_first_shape(self) -> None:
        """A peer of which nothing but its places is said is read as well."""
        short = msgspec.msgpack.encode(
            [[[bytes(16), 7, [["10.0.0.2", 7000], ["::1", 1]]]]]
        )
        self.assertEqual(decode(Peers, short), Peers((ENTRY,)))

    def test_not_a_message(self) -> None:
        """Anything else is an error that says what was expected."""
        for data in (b"", b"\xc1", encode(WELCOME)[:-1], encode(WELCOME) + b"\0"):
            self.assertIn("malformed Welcome", self.refuse(Welcome, data))
        self.assertIn("malformed Peers", self.refuse(Peers, b"\x90"))

    def test_deep_nesting(self) -> None:
        """Ten thousand arrays within arrays are an error, too."""
        for kind in KINDS:
            self.refuse(kind, b"\x91" * 10_000)

    @given(st.binary(max_size=80), st.integers(0, len(encode(WELCOME)) * 8 - 1))
    def test_any_bytes(self, data: bytes, bit: int) -> None:
        """Any bytes are a message or `RemoteProtocolError`, and nothing else."""
        flipped = bytearray(encode(WELCOME))
        flipped[bit // 8] ^= 1 << bit % 8
        for kind in KINDS:
            for some in (data, bytes(flipped)):
                try:
                    self.assertIsInstance(decode(kind, some), kind)
                except RemoteProtocolError:
                    pass

    def test_bounds(self) -> None:
        """Each bound of a WELCOME holds, and one past it does not."""
        name = "n" * NAME_BYTES_MAX
        address = ("10.0.0.1", 1)
        labels = {f"l{at}": "x" for at in range(LABELS_MAX)}
        for field, at, over in (
            ("node_id", name, name + "n"),
            ("host", name, name + "n"),
            ("version", name, name + "n"),
            ("labels", {name: name}, {name: name + "n"}),
            ("labels", labels, {**labels, "more": "x"}),
            ("addresses", (address,) * ADDRESSES_PER_PEER_MAX,
             (address,) * (ADDRESSES_PER_PEER_MAX + 1)),
            ("addresses", (("h", 65_535),), (("h", 65_536),)),
            ("addresses", (("h", 1),), (("h", 0),)),
            ("addresses", ((name, 1),), ((name + "n", 1),)),
            ("peers", (ENTRY,) * PEERS_PER_FRAME_MAX,
             (ENTRY,) * (PEERS_PER_FRAME_MAX + 1)),
            ("clock", 0, -1),
            ("node_id", "n", ""),
        ):  # fmt: skip
            decode(Welcome, changed(**{field: at}))
            self.refuse(Welcome, changed(**{field: over}))

    def test_label_bytes_at_the_bound(self) -> None:
        """
        The labels of one node take 2,048 bytes at most, so that those of all
        that it remembers are bounded; the same of nodes that others name (F57).
        """
        full = {f"{at:02}" + "é" * 31: "x" * 64 for at in range(16)}
        self.assertEqual(LABELS_BYTES_MAX, 16 * (64 + 64))
        over = {**full, "": "y"}
        for kind, message in ((Welcome, WELCOME), (PeerEntry, ENTRY)):
            fields = list(msgspec.structs.astuple(message))
            at = kind.__struct_fields__.index("labels")
            outer: Any = Welcome if kind is Welcome else Peers
            for labels, taken in ((full, True), (over, False)):
                fields[at] = labels
                payload = encode(fields if kind is Welcome else [[fields]])
                if taken:
                    decode(outer, payload)
                else:
                    self.assertIn("2049 bytes", self.refuse(outer, payload))

    def test_peers_at_the_bound(self) -> None:
        """512 peers may be named at once, one more not; nor a key of 15 bytes."""
        decode(Peers, encode(Peers((ENTRY,) * PEERS_PER_FRAME_MAX)))
        self.refuse(Peers, encode(Peers((ENTRY,) * (PEERS_PER_FRAME_MAX + 1))))
        for size in (15, 17):
            self.refuse(Peers, encode(Peers((PeerEntry(bytes(size), 1, ()),))))

    def test_full_frame(self) -> None:
        """512 peers with two addresses each fit the smallest frame there may be."""
        peers = (PeerEntry(bytes(16), 2**63, (("255.255.255.255", 65_535),) * 2),)
        self.assertLess(
            len(changed(peers=peers * PEERS_PER_FRAME_MAX)), FRAME_BYTES_MIN
        )

    def test_names_are_printable(self) -> None:
        """No name can forge a line of a log, or move a cursor."""
        for bad in ("a\nb", "\x1b[2J", "a\rb", "\0", "\x9b", "\u2028", "\u202e", "a\n"):
            for field, value in (
                ("node_id", bad), ("host", bad), ("version", bad),
                ("labels", {bad: "x"}), ("labels", {"x": bad}),
                ("addresses", ((bad, 1),)),
            ):  # fmt: skip
                text = self.refuse(Welcome, changed(**{field: value}))
                self.assertTrue(text.isprintable(), text)
            self.refuse(ClientWelcome, encode(ClientWelcome(bad, "1", ())))
        decode(Welcome, changed(host="Zürich 1 – Süd", labels={"größe": "日本"}))

    def test_node_ids(self) -> None:
        """A node id has letters, digits and . _ : @ - only."""
        decode(Welcome, changed(node_id="A-z_0.9:7@x"))
        for bad in ("a b", "é", "a/b", "a\n"):
            self.refuse(Welcome, changed(node_id=bad))
