"""Tests for `mycorrizal.state`."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError, StateError
from mycorrizal.state import (
    STATE_BYTES_MAX,
    NodeState,
    cluster_directory,
    default_directory,
)
from tests.places import fresh_path

WALL_MS = 1_700_000_000_000


def mode_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def no_id() -> str:
    """For where no new id may be made."""
    raise AssertionError("a new id was made")


#: What a process does whose files may have no more than so many bytes: what
#: it meets is what a full disk would be to it.
ON_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from mycorrizal.errors import StateError
from mycorrizal.state import NodeState, make_secret
path = Path(sys.argv[1])
state = NodeState(path / "7001")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))
for write in (
    lambda: state.begin(None, 5, lambda: "b"),
    lambda: make_secret(path, lambda count: b"x" * count),
):
    try:
        write()
    except StateError as error:
        print(error)
"""


class PlaceTests(SynchronousTestCase):
    """Where state is kept."""

    def test_default(self) -> None:
        """In the user's state directory, as freedesktop.org says."""
        for environment, place in (
            ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/mycorrizal"),
            ({"HOME": "/h"}, "/h/.local/state/mycorrizal"),
            # A path there that is not absolute is to be ignored.
            ({"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/mycorrizal"),
            ({"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/mycorrizal"),
        ):
            self.assertEqual(default_directory(environment), Path(place))
        self.assertTrue(default_directory({}).is_absolute())

    def test_homeless(self) -> None:
        """A user without a home is told to name a place."""
        environment = {"HOME": "~nobody-of-this-name"}
        with self.assertRaises(ConfigError) as raised:
            default_directory(environment)
        self.assertIn("--state-dir", str(raised.exception))

    def test_clusters_are_apart(self) -> None:
        """Each cluster has a place of its own, below the directory."""
        names = ["mycorrizal", "a_b", "a/b", "a b", "..", ".", "../x", "/x", "x", "é"]
        names += [".hidden", "a" * 128, "é" * 64]
        places = [cluster_directory(Path("/s"), name) for name in names]
        self.assertEqual(places[0], Path("/s/mycorrizal"))
        self.assertEqual(len(set(places)), len(names))
        for place in places:
            self.assertEqual(place.parent, Path("/s"))
            self.assertFalse(place.name.startswith("."), place)
            self.assertLess(len(os.fsencode(place.name)), 255)


class NodeStateTests(SynchronousTestCase):
    """A node's id and incarnation outlive it."""

    def setUp(self) -> None:
        self.directory = fresh_path(self) / "mycorrizal" / "7001"
        self.path = self.directory / "node.json"

    def open(self) -> NodeState:
        state = NodeState(self.directory)
        self.addCleanup(state.close)
        return state

    def begin(
        self,
        node_id: str | None = None,
        wall_ms: int = WALL_MS,
        new_id: Callable[[], str] = no_id,
    ) -> tuple[str, int]:
        state = self.open()
        try:
            return state.begin(node_id, wall_ms, new_id)
        finally:
            state.close()

    def damage(self, data: bytes) -> str:
        """The error that comes of a file, which stays as it is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(data)
        with self.assertRaises(StateError) as raised:
            self.begin()
        self.assertEqual(self.path.read_bytes(), data)
        return str(raised.exception)

    def test_fresh(self) -> None:
        """The first life takes a new id, and the time as its incarnation."""
        self.assertEqual(self.begin(new_id=lambda: "n1"), ("n1", WALL_MS))
        self.assertEqual(mode_of(self.directory), 0o700)
        self.assertEqual(mode_of(self.directory.parent), 0o700)
        self.assertEqual(sorted(os.listdir(self.directory)), ["lock", "node.json"])

    def test_restart(self) -> None:
        """The next life has the same id and a higher incarnation."""
        self.begin(new_id=lambda: "n1")
        self.assertEqual(self.begin(wall_ms=WALL_MS + 5), ("n1", WALL_MS + 5))
        self.assertEqual(self.begin(wall_ms=WALL_MS + 5), ("n1", WALL_MS + 6))

    def test_clock_went_back(self) -> None:
        """Also when the wall clock went back."""
        self.begin("n1")
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 1))
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 2))

    def test_starts_in_a_row(self) -> None:
        """
        Starts that follow each other soon are counted; a state of an earlier
        version has none (F56).
        """
        for wall_ms, expected in (
            (WALL_MS, 1), (WALL_MS + 2000, 2), (WALL_MS + 11_999, 3),
            (WALL_MS + 22_000, 1), (5, 1),
        ):  # fmt: skip
            state = self.open()
            state.begin("n1", wall_ms, no_id)
            self.assertEqual(state.starts, expected, wall_ms)
            state.close()
        self.path.write_text('{"node_id": "n1", "incarnation": 5}')
        state = self.open()
        state.begin(None, 7, no_id)
        self.assertEqual(state.starts, 2)

    def test_another_id(self) -> None:
        """Who asks for an id gets it; also back and forth, incarnations rise."""
        self.begin("a")
        self.assertEqual(self.begin("b", 5), ("b", WALL_MS + 1))
        self.assertEqual(self.begin("a", 5), ("a", WALL_MS + 2))
        self.assertEqual(self.begin(), ("a", WALL_MS + 3))

    def test_id_that_another_node_has(self) -> None:
        """An id that could not be used is not the next life's."""
        self.begin("a")
        state = self.open()
        _, incarnation = state.begin("b", WALL_MS + 5, no_id)
        state.give_up_id(incarnation)
        state.close()
        self.assertEqual(self.begin(), ("a", WALL_MS + 6))

    def test_first_id_that_another_node_has(self) -> None:
        """If there was none before, the next life takes a new one."""
        state = self.open()
        _, incarnation = state.begin("b", WALL_MS, no_id)
        state.give_up_id(incarnation)
        state.close()
        self.assertEqual(self.begin(new_id=lambda: "n1"), ("n1", WALL_MS + 1))

    def test_another_incarnation(self) -> None:
        """What was taken while running counts for the next life."""
        state = self.open()
        node_id, incarnation = state.begin("n1", WALL_MS, no_id)
        state.store(node_id, incarnation + 1000)
        state.close()
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 1001))

    def test_damaged(self) -> None:
        """What is damaged is named, not replaced; the sentence says what to do."""
        sound = {"node_id": "n1", "incarnation": 5}
        for stored in (
            *(b"", b"{", b"null", b"[]", b"{}", b'"n1"', b"\xff\xfe", b"\0" * 70),
            *(b"[" * 4000, b'{"node_id": "n1", "incarnation": ' + b"9" * 4000),
            *(
                json.dumps({**sound, **wrong}).encode()
                for wrong in (
                    *({"node_id": 5}, {"node_id": ""}),
                    *({"node_id": "a b"}, {"node_id": "a" * 129}),
                    *({"incarnation": "5"}, {"incarnation": 5.5}, {"incarnation": -1}),
                    *({"incarnation": True}, {"incarnation": 2**63}),
                    *({"incarnation": None}, {"starts": "1"}, {"starts": -1}),
                )
            ),
            json.dumps(sound).encode()[:-3],
        ):
            self.assertEqual(
                self.damage(stored),
                f"{self.path} is damaged; remove it, and the node begins with a new id",
            )
        self.path.unlink()
        self.assertEqual(self.begin(new_id=lambda: "n2"), ("n2", WALL_MS))

    def test_bounds(self) -> None:
        """The longest file and the highest incarnation are read; one more is not."""
        self.directory.mkdir(parents=True)
        sound = b'{"node_id": "n1", "incarnation": %d}' % (2**63 - 2)
        self.path.write_bytes(sound.ljust(STATE_BYTES_MAX))
        self.assertEqual(self.begin(), ("n1", 2**63 - 1))
        self.assertIn("is damaged", self.damage(sound.ljust(STATE_BYTES_MAX + 1)))

    def test_not_to_be_read(self) -> None:
        """A directory where the file should be is named with the reason."""
        self.path.mkdir(parents=True)
        with self.assertRaises(StateError) as raised:
            self.begin()
        self.assertEqual(
            str(raised.exception), f"cannot read {self.path}: Is a directory"
        )

    def test_locked(self) -> None:
        """A second node in the same place is refused, and harms nothing."""
        first = self.open()
        first.begin("n1", WALL_MS, no_id)
        for _ in range(2):
            with self.assertRaises(StateError) as raised:
                self.begin()
            self.assertEqual(
                str(raised.exception),
                f"another node runs with the state in {self.directory}; stop it, or "
                "give this one another port (--listen) or --state-dir",
            )
        first.close()
        first.close()
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 1))

    def test_locked_by_another_process(self) -> None:
        """The lock holds between processes, and ends with its process."""
        self.directory.mkdir(parents=True)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with self.assertRaises(StateError):
            self.open()
        os.close(descriptor)
        self.open()

    def test_lock_is_not_inherited(self) -> None:
        """A child process that outlives the node does not keep its place."""
        state = self.open()
        with subprocess.Popen(
            ["sh", "-c", "echo runs; read line"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
        ) as child:
            assert child.stdin and child.stdout
            self.assertEqual(child.stdout.readline(), b"runs\n")
            state.close()
            self.open()
            child.stdin.write(b"\n")

    def test_no_place(self) -> None:
        """Where nothing can be written, it says where and what to do."""
        in_a_file = fresh_path(self)
        in_a_file.touch()
        for directory in (in_a_file / "a", in_a_file, Path("/proc/nowhere/7001")):
            with self.assertRaises(StateError) as raised:
                NodeState(directory)
            self.assertIn(f"cannot write state in {directory}: ", str(raised.exception))
            self.assertIn("--state-dir", str(raised.exception))

    def test_cannot_be_replaced(self) -> None:
        """When the new file can't be written the old one is intact."""
        self.begin("n1")
        (self.directory / "node.new").mkdir()
        with self.assertRaises(StateError) as raised:
            self.begin(wall_ms=WALL_MS + 5)
        self.assertIn("cannot write state in ", str(raised.exception))
        (self.directory / "node.new").rmdir()
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 1))

    def test_full_disk(self) -> None:
        """On a full disk nothing is lost, and nothing half-written counts."""
        self.begin("n1")
        ran = subprocess.run(
            [sys.executable, "-c", ON_FULL_DISK, str(self.directory.parent)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(ran.stderr, "")
        sentences = ran.stdout.splitlines()
        self.assertEqual(len(sentences), 2, ran.stdout)
        for sentence, place in zip(
            sentences, (self.directory, self.directory.parent), strict=True
        ):
            self.assertIn(f"cannot write state in {place}: File too large", sentence)
        self.assertEqual(os.listdir(self.directory.parent), ["7001"])
        self.assertEqual(self.begin(wall_ms=5), ("n1", WALL_MS + 1))
