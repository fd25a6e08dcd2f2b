"""
Each row of the table of cases, by the encoders and by the decoders.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.frame import HEADER_BYTES
from mycorrizal.nodosum.wire.limits import FrameType
from tests.nodosum.wire.cases import HELLO, LAYOUTS


class CaseTests(SynchronousTestCase):
    """What stands in the table is what travels."""

    def test_encode(self) -> None:
        """Each message becomes exactly the bytes of its row."""
        for layout in LAYOUTS:
            for case in layout.cases:
                self.assertEqual(layout.encode(case.message), case.data, case.name)

    def test_decode(self) -> None:
        """The bytes of each row become exactly its message."""
        for layout in LAYOUTS:
            for case in layout.cases:
                self.assertEqual(layout.decode(case.data), case.message, case.name)

    def test_lengths(self) -> None:
        """Each layout has the length that the protocol says, field by field."""
        lengths = {layout.name: layout.length_bytes for layout in LAYOUTS}
        self.assertEqual(
            lengths,
            {
                "frame": None,
                "VERSION_I": 120,
                "VERSION_R": 96,
                "REJECT": 3,
                "HELLO": 160,
                "CHUNK": None,
            },
        )
        self.assertEqual(HEADER_BYTES, 8)
        for layout in LAYOUTS:
            for case in layout.cases:
                if layout.length_bytes is not None:
                    self.assertEqual(len(case.data), layout.length_bytes, case.name)

    def test_offsets_of_hello(self) -> None:
        """The fields of a HELLO stand where every version will look for them."""
        offsets = [offset for offset, _, _, _ in HELLO.cases[0].rows()]
        self.assertEqual(
            offsets,
            [0, 4, 5, 6, 7, 8, 12, 20, 36, 44, 60, 76, 92, 94, 96, 104, 120, 128],
        )

    def test_wrong_length(self) -> None:
        """A fixed layout that is a byte short or long, or empty, is an error."""
        for layout in LAYOUTS:
            if layout.length_bytes is None:
                continue
            for case in layout.cases:
                for data in (b"", case.data[:-1], case.data + b"\0"):
                    with self.assertRaises(RemoteProtocolError):
                        layout.decode(data)

    def test_wrong_magic(self) -> None:
        """What does not begin with MYCO is somebody else's."""
        for layout in LAYOUTS:
            for case in layout.cases:
                if case.data.startswith(b"MYCO"):
                    with self.assertRaises(RemoteProtocolError):
                        layout.decode(b"M1CO" + case.data[4:])

    def test_type_numbers(self) -> None:
        """The numbers of the frame types never change."""
        self.assertEqual(
            [kind.name for kind in sorted(FrameType)],
            "VERSION_I VERSION_R AUTH_I AUTH_R REJECT WELCOME PEERS SYSTEM APP "
            "REQUEST REPLY ERROR PING PONG GOODBYE CHUNK CANCEL RENEW READY MOVED "
            "TRACE".split(),
        )
        self.assertEqual(sorted(FrameType), [*range(1, 21), 0x81])
