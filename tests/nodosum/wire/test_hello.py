"""
HELLO datagrams: what is accepted, and that all else is an error.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import KeyRing, cluster_tag, derive_key, new_secret
from mycorrizal.nodosum.wire.hello import Hello, HelloType
from tests.nodosum.wire.cases import CLUSTER, HELLO, KEYS, TAG

OTHER = derive_key(new_secret(b"another secret of 32 bytes......"), CLUSTER)


class HelloTests(SynchronousTestCase):
    """Reading datagrams."""

    def refuse(self, data: bytes, keys: KeyRing = KEYS, tag: bytes = TAG) -> None:
        """The datagram is not accepted."""
        with self.assertRaises(RemoteProtocolError):
            Hello.decode(data, keys, tag)

    def test_every_flipped_bit(self) -> None:
        """A datagram with any one bit changed on its way is not accepted (F20)."""
        for case in HELLO.cases:
            for bit in range(len(case.data) * 8):
                data = bytearray(case.data)
                data[bit // 8] ^= 1 << bit % 8
                self.refuse(bytes(data))

    def test_short_packets_do_not_panic(self) -> None:
        """Every shorter part of a datagram is an error with a name."""
        for case in HELLO.cases:
            for length in range(len(case.data)):
                self.refuse(case.data[:length])

    def test_another_secret(self) -> None:
        """A datagram of a cluster with another secret is not ours (F15)."""
        self.refuse(HELLO.cases[0].data, KeyRing([OTHER]))

    def test_known_key_id_without_the_key(self) -> None:
        """Key ids are public: who only copies one can't sign (F15)."""
        forged = KeyRing([attrs.evolve(OTHER, key_id=KEYS.first.key_id)])
        self.refuse(HELLO.cases[0].message.encode(forged))

    def test_another_cluster(self) -> None:
        """Two clusters with one secret stay apart."""
        self.refuse(HELLO.cases[0].data, tag=cluster_tag("other"))

    def test_second_secret(self) -> None:
        """While secrets are rotated each live one is accepted."""
        both = KeyRing([OTHER, KEYS.first])
        case = HELLO.cases[0]
        self.assertEqual(Hello.decode(case.data, both, TAG), case.message)

    def test_unknown_type(self) -> None:
        """There are four types; a fifth, or none, is not accepted."""
        for kind in (0, 5, 255):
            data = bytearray(HELLO.cases[0].data)
            data[6] = kind
            self.refuse(bytes(data))

    def test_later_versions(self) -> None:
        """A node that also speaks later versions is heard: TCP settles which."""
        later = attrs.evolve(HELLO.cases[0].message, version_max=9)
        self.assertEqual(Hello.decode(later.encode(KEYS), KEYS, TAG), later)

    @given(
        st.builds(
            Hello,
            st.sampled_from(HelloType),
            st.just(KEYS.first.key_id),
            st.binary(min_size=16, max_size=16),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**16 - 1),
            st.just(TAG),
            st.booleans(),
            *[st.binary(min_size=16, max_size=16)] * 4,
            st.integers(0, 2**64 - 1),
            st.integers(0, 255),
            st.integers(0, 255),
        )
    )
    def test_round_trip(self, hello: Hello) -> None:
        """Whatever a node says arrives, in 160 bytes."""
        data = hello.encode(KEYS)
        self.assertEqual(len(data), 160)
        self.assertEqual(Hello.decode(data, KEYS, TAG), hello)

    @given(
        st.one_of(
            st.binary(max_size=200),
            st.tuples(
                st.binary(min_size=4, max_size=4),
                st.binary(min_size=148, max_size=148),
            ).map(
                lambda parts: b"MYCO" + parts[0] + HELLO.cases[0].data[8:12] + parts[1]
            ),
        )
    )
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes without the right MAC are refused, never anything else."""
        self.refuse(data)
