"""
The live view, from the command line to the terminal.
"""

from __future__ import annotations

import io
import json
import os
import pty
import termios

from mycorrizal.pulse.screen import ENTER, LEAVE, Keyboard, Screen, frame
from mycorrizal.pulse.top_command import INTERVAL_S_MAX, INTERVAL_S_MIN, Top
from mycorrizal.pulse.top_figures import Load, Picture
from tests.pulse.worlds import PulseTestCase


class OnceTests(PulseTestCase):
    """Two nodes with a bucket, and no terminal."""

    size = 2
    settings = {"buckets": "b"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def test_once(self) -> None:
        """One page has members and buckets, with rates, and fits 80 columns."""
        shown = self.out_of("top", "--once")
        lines = shown.splitlines()
        self.assertEqual(lines[0], "pulse top: mycorrizal, by way of n0")
        self.assertLessEqual(max(map(len, lines)), 80)
        rows: dict[str, list[str]] = {}
        for words in filter(None, map(str.split, lines)):
            rows.setdefault(words[0], words)
        self.assertEqual(rows["n1"][4:7], ["0", "-", "0"])
        self.assertEqual(rows["b"], ["b", "0", "-", "0", "0", "0", "B", "0"])

    def test_once_json(self) -> None:
        """For programs one page is an object."""
        found = json.loads(self.out_of("top", "--once", "--json"))
        self.assertEqual([it["node_id"] for it in found["members"]], ["n0", "n1"])
        self.assertEqual(found["total"]["gets_s"], 0.0)
        self.assertIsNone(found["get_latency"])
        self.assertEqual(list(found["buckets"]), ["b"])

    def test_no_terminal(self) -> None:
        """Without a terminal there is no live view, and a way to do without."""
        self.assertIn("use --once, or --json", self.error_of(2, "top"))

    def test_interval(self) -> None:
        """Looks are neither closer nor further apart than a node allows."""
        for interval_s in (INTERVAL_S_MIN, INTERVAL_S_MAX):
            self.out_of("top", "--once", "--interval", str(interval_s))
        for interval_s in (INTERVAL_S_MIN - 0.01, INTERVAL_S_MAX + 0.01):
            error = self.error_of(2, "top", "--once", "--interval", str(interval_s))
            self.assertIn("is not in the range", error)

    def test_unreachable(self) -> None:
        """A node that is not there is told as ever."""
        self.assertIn(
            "cannot connect", self.error_of(3, "top", "--once", "--node", "x:1")
        )


class ScreenTests(PulseTestCase):
    """A terminal of the operating system."""

    def setUp(self) -> None:
        super().setUp()
        self.far, near = pty.openpty()
        self.near = os.fdopen(near, "r+b", buffering=0)
        self.addCleanup(self.near.close)
        self.addCleanup(os.close, self.far)
        self.keys = os.fdopen(os.dup(near), "r")
        self.addCleanup(self.keys.close)
        self.sent = io.StringIO()
        self.screen = Screen(self.keys, self.sent)

    def local_modes(self) -> int:
        """Whether the terminal shows what is typed, and so on."""
        modes = termios.tcgetattr(self.near.fileno())[3]
        assert isinstance(modes, int)
        return modes

    def test_taken_and_given_back(self) -> None:
        """The terminal is given back as it was, whatever happened."""
        before = self.local_modes()
        with self.assertRaises(ZeroDivisionError), self.screen.taken():
            self.assertFalse(self.local_modes() & (termios.ECHO | termios.ICANON))
            self.assertTrue(self.local_modes() & termios.ISIG)
            keys = termios.tcgetattr(self.near.fileno())[6]
            self.assertEqual(keys[termios.VSUSP], b"\0")
            self.assertNotEqual(keys[termios.VINTR], b"\0")
            raise ZeroDivisionError
        self.assertEqual(self.local_modes(), before)
        self.assertEqual(self.sent.getvalue(), ENTER + LEAVE)

    def test_keys(self) -> None:
        """Keys are told one by one, arrows not at all; a closed one is told too."""
        pressed: list[str] = []
        gone: list[bool] = []
        with self.screen.taken() as number:
            keyboard = Keyboard(number, pressed.append, lambda: gone.append(True))
            self.assertEqual(keyboard.fileno(), number)
            for typed in (b"m\x1b[1;5Cs", b"\x1b[A", b"\x1bOP\xff"):
                os.write(self.far, typed)
                keyboard.doRead()
        self.assertEqual(pressed, ["m", "s", "\N{REPLACEMENT CHARACTER}"])
        self.assertEqual(gone, [])
        reading, writing = os.pipe()
        os.close(writing)
        Keyboard(reading, pressed.append, lambda: gone.append(True)).doRead()
        os.close(reading)
        self.assertEqual(gone, [True])

    def test_no_flicker(self) -> None:
        """A page goes over the last without the screen being cleared before."""
        sent = frame(["one", "two"])
        self.assertTrue(sent.startswith("\x1b[Hone\x1b[K\r\n"))
        self.assertTrue(sent.endswith("two\x1b[K\x1b[J"))
        self.assertNotIn("\x1b[2J", sent)

    def test_top(self) -> None:
        """A key is seen at once, without waiting for the next look."""
        top = Top(self.screen, colour=False)
        top.pressed("b")
        self.assertEqual(self.sent.getvalue(), "")
        top.saw(Picture("shop", "a", 0, 0, Load(), [], {}))
        self.assertIn("BUCKET", self.sent.getvalue())
        self.assertNotIn("\x1b[1m", self.sent.getvalue())
        before = len(self.sent.getvalue())
        top.pressed("m")
        self.assertIn("NODE", self.sent.getvalue()[before:])
