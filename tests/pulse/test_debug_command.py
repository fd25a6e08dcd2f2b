"""
The file that is sent to others.
"""

from __future__ import annotations

import io
import json
import stat
import tarfile
from functools import partial
from pathlib import Path

from mycorrizal.pulse import debug_command
from mycorrizal.pulse.bundle import packed
from mycorrizal.pulse.progress import Progress
from mycorrizal.testing.cluster import SECRET
from tests.pulse.test_progress import Terminal
from tests.pulse.worlds import PulseTestCase


class DebugTests(PulseTestCase):
    """Three nodes with a bucket and a value."""

    size = 3
    settings = {"buckets": "b"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)
        self.path = self.directory / "out.tar.gz"

    def unpacked(self) -> dict[str, bytes]:
        """The files in the file, by name, whatever their directory."""
        found: dict[str, bytes] = {}
        with tarfile.open(self.path) as archive:
            for entry in archive:
                file = archive.extractfile(entry)
                assert file is not None
                directory, _, name = entry.name.partition("/")
                self.assertTrue(directory.startswith("pulse-debug-mycorrizal-"))
                found[name] = file.read()
        return found

    def test_bar(self) -> None:
        """At a terminal there is a bar meanwhile; elsewhere nothing is said."""
        out = Terminal()
        self.patch(debug_command, "Progress", partial(Progress, out=out))
        self.out_of("debug", "--output", str(self.path))
        for words in ("  0%  all nodes tell: status", " 75%  all nodes tell: settings"):
            self.assertIn(words, out.getvalue())

    def test_files(self) -> None:
        """Status, settings, events and findings of all nodes are in it."""
        said = self.out_of("debug", "--output", str(self.path))
        self.assertRegex(said, r"out\.tar\.gz: [\d.]+ KiB of 3 nodes\n$")
        found = self.unpacked()
        for name in ("status.json", "config.json", "vitals.json"):
            self.assertEqual(list(json.loads(found[name])), ["n0", "n1", "n2"])
        self.assertIn(b"Node n2 of cluster mycorrizal", found["nodes.txt"])
        self.assertEqual(found["doctor.txt"], b"3 nodes asked; nothing is wrong\n")
        events = [json.loads(line) for line in found["events.json"].splitlines()]
        self.assertEqual(sorted({it["node"] for it in events}), ["n0", "n1", "n2"])
        self.assertEqual(len(found["events.txt"].splitlines()), len(events))
        about = json.loads(found["about.json"])
        self.assertEqual((about["asked"], about["silent"]), ("n0", {}))
        # What is said to be in it is, and nothing else.
        listed = {
            line.split()[0]
            for line in found["README.txt"].decode().splitlines()
            if line.split(" ")[0].endswith((".json", ".txt"))
        }
        self.assertEqual(listed, set(found) - {"README.txt"})

    def test_no_secrets(self) -> None:
        """No secret, key or value is in it, and only its owner may read it."""
        self.out_of("cache", "put", "b", "a-key-of-mine", "a-value-of-mine")
        self.out_of("debug", "--output", str(self.path))
        everything = b"".join(self.unpacked().values())
        for hidden in (SECRET, "a-key-of-mine", "a-value-of-mine"):
            self.assertNotIn(hidden.encode(), everything)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_not_over_another(self) -> None:
        """A file that is there stays as it is."""
        self.path.write_text("mine")
        error = self.error_of(1, "debug", "--output", str(self.path))
        self.assertIn("is there already; name another with --output", error)
        self.assertEqual(self.path.read_text(), "mine")
        error = self.error_of(1, "debug", "--output", "/nowhere/at/all")
        self.assertIn("cannot write /nowhere/at/all: No such file", error)

    def test_silent(self) -> None:
        """Who does not answer is named; the others are in it."""
        self.cluster.world.cut("n0", "n2")
        self.cluster.world.cut("n1", "n2")
        result = self.pulse("debug", "--output", str(self.path), "--json")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("pulse: n2 ", result.stderr)
        self.assertEqual(list(json.loads(result.stdout)["silent"]), ["n2"])
        found = self.unpacked()
        self.assertEqual(list(json.loads(found["status.json"])), ["n0", "n1"])
        self.assertEqual(list(json.loads(found["about.json"])["silent"]), ["n2"])

    def test_own_name(self) -> None:
        """Without --output its name has cluster and time, of the nodes' clock."""
        found = json.loads(self.pulse("debug", "--json").stdout)
        path = Path(found["path"])
        self.addCleanup(path.unlink)
        self.assertRegex(path.name, r"^pulse-debug-mycorrizal-\d{8}-\d{6}\.tar\.gz$")
        self.assertEqual(path.stat().st_size, found["bytes"])

    def test_same_bytes(self) -> None:
        """The same answers make the same file."""
        first, second = (packed({"b": b"2", "a": b"1"}, "d", 5.5) for _ in range(2))
        self.assertEqual(first, second)
        with tarfile.open(fileobj=io.BytesIO(first)) as archive:
            self.assertEqual(archive.getnames(), ["d/a", "d/b"])
