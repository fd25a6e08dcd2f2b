"""
VERSION_I, VERSION_R and REJECT: what they may say.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import FRAME_BYTES_MIN, RejectCode
from mycorrizal.nodosum.wire.version import Reject, Role, VersionI, VersionR
from tests.nodosum.wire.cases import REJECT, VERSION_I, VERSION_R, Layout

u8, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF)
u64 = st.integers(0, 0xFFFFFFFFFFFFFFFF)
frame_bytes_max = st.integers(FRAME_BYTES_MIN, 0xFFFFFFFF)


def exactly(length: int) -> st.SearchStrategy[bytes]:
    """Any bytes of one length."""
    return st.binary(min_size=length, max_size=length)


@st.composite
def versions_i(draw: st.DrawFn) -> VersionI:
    """Any VERSION_I that makes sense."""
    low, high = sorted([draw(u8), draw(u8)])
    return VersionI(
        low,
        high,
        draw(st.booleans()),
        draw(st.sampled_from(Role)),
        draw(exactly(8)),
        draw(exactly(16)),
        draw(u64),
        draw(exactly(32)),
        draw(exactly(16)),
        tuple(draw(st.lists(u32.filter(bool), max_size=4))),
        draw(u64),
        draw(frame_bytes_max),
        draw(st.booleans()),
    )


versions_r = st.builds(
    VersionR,
    u8,
    u8,
    u8,
    st.booleans(),
    u8,
    exactly(8),
    exactly(16),
    u64,
    exactly(32),
    u32,
    frame_bytes_max,
    u64,
)


class VersionTests(SynchronousTestCase):
    """Two nodes introduce themselves."""

    @given(versions_i())
    def test_version_i_round_trip(self, opening: VersionI) -> None:
        """Whatever a dialling node says of itself arrives."""
        self.assertEqual(VersionI.decode(opening.encode()), opening)

    @given(versions_r)
    def test_version_r_round_trip(self, answer: VersionR) -> None:
        """Whatever a listening node says of itself arrives."""
        self.assertEqual(VersionR.decode(answer.encode()), answer)

    @given(st.sampled_from([VERSION_I, VERSION_R, REJECT]), st.data())
    def test_any_bytes(self, layout: Layout, data: st.DataObject) -> None:
        """Any bytes are a message or a protocol error, nothing else."""
        length = layout.length_bytes
        assert length is not None
        junk = data.draw(
            st.one_of(
                st.binary(max_size=length + 9),
                exactly(length),
                exactly(max(length - 4, 0)).map(b"MYCO".__add__),
            )
        )
        try:
            layout.decode(junk)
        except RemoteProtocolError:
            pass

    def test_unknown_role(self) -> None:
        """Whoever is neither node nor client is not talked to."""
        data = bytearray(VERSION_I.cases[0].data)
        data[7] = 2
        with self.assertRaises(RemoteProtocolError):
            VersionI.decode(bytes(data))

    def test_versions_upside_down(self) -> None:
        """A lowest version above the highest is nonsense; equal ones are fine."""
        opening = VERSION_I.cases[0].message
        equal = attrs.evolve(opening, version_min=3, version_max=3)
        self.assertEqual(VersionI.decode(equal.encode()), equal)
        above = attrs.evolve(opening, version_min=4, version_max=3)
        with self.assertRaises(RemoteProtocolError):
            VersionI.decode(above.encode())

    def test_frames_too_small_to_work_with(self) -> None:
        """A peer must take frames of 64 KiB; a byte less is refused."""
        for layout in (VERSION_I, VERSION_R):
            message = layout.cases[0].message
            at = attrs.evolve(message, frame_bytes_max=FRAME_BYTES_MIN)
            self.assertEqual(layout.decode(at.encode()), at)
            under = attrs.evolve(message, frame_bytes_max=FRAME_BYTES_MIN - 1)
            with self.assertRaises(RemoteProtocolError):
                layout.decode(under.encode())

    def test_reserved_bits_are_for_later(self) -> None:
        """Flags and fields that a later version may use are not refused."""
        data = bytearray(VERSION_I.cases[0].data)
        data[6] |= 0xFC
        data[-4:] = b"\xff\xff\xff\xff"
        self.assertEqual(VersionI.decode(bytes(data)), VERSION_I.cases[0].message)

    def test_renews(self) -> None:
        """A link that is to move to a connection is announced by one flag."""
        opening = VERSION_I.cases[0].message
        data = attrs.evolve(opening, renews=True).encode()
        self.assertEqual((opening.encode()[6], data[6]), (1, 3))
        self.assertTrue(VersionI.decode(data).renews)

    def test_reject_codes(self) -> None:
        """Each code of a refusal is known; the ones beside them are not."""
        for code in RejectCode:
            self.assertIs(Reject.decode(bytes([code, 1, 1])).code, code)
        for number in (0, 5, 255):
            with self.assertRaises(RemoteProtocolError):
                Reject.decode(bytes([number, 1, 1]))
