"""Tests for `mycorrizal.state`: the secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError, StateError
from mycorrizal.nodosum import new_secret
from mycorrizal.state import (
    SECRET_BYTES_MAX,
    make_secret,
    present,
    read_secret,
)
from tests.places import fresh_path

PASSPHRASE = "correct horse battery staple"


def mode_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def tokens(count: int) -> bytes:
    """Not very random bytes."""
    return b"x" * count


class SecretFileTests(SynchronousTestCase):
    """A secret is read from a file that only its owner can read."""

    def file(self, data: bytes, mode: int = 0o600) -> Path:
        path = fresh_path(self)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def problem(self, path: Path) -> str:
        with self.assertRaises(ConfigError) as raised:
            read_secret(path)
        self.assertEqual(raised.exception.field, "secret_files")
        # Not even with the exceptions that led to it.
        self.assertIsNone(raised.exception.__context__)
        self.assertIn(str(path), str(raised.exception))
        return str(raised.exception)

    def test_read(self) -> None:
        """Blanks and line ends around it do not count."""
        for data in (b"%s", b"%s\n", b" %s \r\n\n"):
            path = self.file(data % PASSPHRASE.encode())
            self.assertEqual(read_secret(path), PASSPHRASE)
        self.assertEqual(read_secret(self.file(b"x" * 20, 0o400)), "x" * 20)

    def test_others_can_read_it(self) -> None:
        """A secret that others can read, or write, is refused with the remedy."""
        for mode in (0o644, 0o640, 0o604, 0o620, 0o602, 0o610):
            path = self.file(PASSPHRASE.encode(), mode)
            self.assertIn(f"run `chmod 600 {path}` first", self.problem(path))

    def test_link_to_a_secret(self) -> None:
        """What a link leads to counts, not the link."""
        for mode, good in ((0o600, True), (0o644, False)):
            link = fresh_path(self)
            link.symlink_to(self.file(PASSPHRASE.encode(), mode))
            if good:
                self.assertEqual(read_secret(link), PASSPHRASE)
            else:
                self.assertIn("chmod 600", self.problem(link))

    def test_pipe(self) -> None:
        """A secret may come through a pipe, as from ``<(command)``."""
        reader, writer = os.pipe()
        os.write(writer, PASSPHRASE.encode())
        os.close(writer)
        self.assertEqual(read_secret(Path(f"/dev/fd/{reader}")), PASSPHRASE)
        os.close(reader)

    def test_no_file(self) -> None:
        """No file, a directory, a link to nowhere."""
        path = fresh_path(self)
        with self.assertRaises(ConfigError) as raised:
            read_secret(path, "--secret-file")
        self.assertEqual(
            str(raised.exception),
            f"--secret-file: cannot read {path}: No such file or directory",
        )
        path.mkdir()
        with self.assertRaises(ConfigError) as raised:
            read_secret(path)
        self.assertIn("Is a directory", str(raised.exception))

    def test_secret_in_place_of_a_path(self) -> None:
        """Who gives the secret where its file belongs is not shown it again."""
        raw = new_secret(b"x" * 32)
        for secret in (
            raw,
            f" {raw}\n",
            PASSPHRASE,
            "a/b c/d e/f g",
            "/" + "pass " * 99,
        ):
            with self.assertRaises(ConfigError) as raised:
                read_secret(Path(secret))
            error = raised.exception
            self.assertNotIn(secret.strip(), f"{error} {error!r} {error.args}")
            self.assertIsNone(error.__context__)
            self.assertIn("secret itself", str(error))

    def test_no_secret_in_it(self) -> None:
        """An empty file, or one that is not text, is refused."""
        for data, sentence in (
            (b"", "is empty; `pulse secret new >"),
            (b" \n", "is empty"),
            (b"\xff" * 32, "is not text; `pulse secret new >"),
        ):
            self.assertIn(sentence, self.problem(self.file(data)))

    def test_bound(self) -> None:
        """What is too long is no secret; nothing is cut off in silence."""
        longest = b"x" * SECRET_BYTES_MAX
        self.assertEqual(read_secret(self.file(longest)), longest.decode())
        self.assertIn("longer than 4096 bytes", self.problem(self.file(longest + b"x")))


class MakeSecretTests(SynchronousTestCase):
    """The first node of a user makes the secret."""

    def setUp(self) -> None:
        self.directory = fresh_path(self) / "state" / "mycorrizal"
        self.path = self.directory / "secret"

    def test_made_once(self) -> None:
        """It is made once, for the eyes of its owner, whatever the umask."""
        before = os.umask(0)
        try:
            self.assertTrue(make_secret(self.directory, tokens))
        finally:
            os.umask(before)
        self.assertEqual(mode_of(self.path), 0o600)
        self.assertEqual(mode_of(self.directory), 0o700)
        self.assertEqual(mode_of(self.directory.parent), 0o700)
        secret = read_secret(self.path)
        self.assertTrue(secret.startswith("myk1:"))
        self.assertFalse(make_secret(self.directory, lambda count: b"y" * count))
        self.assertEqual(read_secret(self.path), secret)
        self.assertEqual(os.listdir(self.directory), ["secret"])

    def test_race(self) -> None:
        """Who loses the race takes the winner's, and leaves nothing behind."""

        def slow(count: int) -> bytes:
            # Meanwhile another process makes one.
            self.assertTrue(make_secret(self.directory, tokens))
            return b"y" * count

        self.assertFalse(make_secret(self.directory, slow))
        self.assertIn("eHh4", read_secret(self.path))
        self.assertEqual(os.listdir(self.directory), ["secret"])

    def test_whatever_is_there_is_kept(self) -> None:
        """A file that others can read, or a link to nowhere, is not replaced."""
        self.directory.mkdir(parents=True)
        self.path.write_text(PASSPHRASE)
        self.path.chmod(0o644)
        self.assertFalse(make_secret(self.directory, tokens))
        self.assertEqual(self.path.read_text(), PASSPHRASE)
        self.path.unlink()
        self.path.symlink_to("nowhere")
        self.assertFalse(make_secret(self.directory, tokens))
        self.assertTrue(present(self.path))
        self.assertEqual(os.listdir(self.directory), ["secret"])

    def test_failure_leaves_nothing(self) -> None:
        """What breaks on the way leaves no part of a secret."""

        def broken(count: int) -> bytes:
            raise OSError(5, "Input/output error")

        with self.assertRaises(StateError) as raised:
            make_secret(self.directory, broken)
        self.assertEqual(
            str(raised.exception),
            f"cannot write state in {self.directory}: Input/output error; "
            "name another place with --state-dir",
        )
        self.assertEqual(os.listdir(self.directory), [])

    def test_no_place(self) -> None:
        """Where nothing can be written, it says where and what to do."""
        in_a_file = fresh_path(self)
        in_a_file.touch()
        for directory in (in_a_file / "a", in_a_file, Path("/proc/nowhere/a")):
            with self.assertRaises(StateError) as raised:
                make_secret(directory, tokens)
            self.assertIn(f"cannot write state in {directory}: ", str(raised.exception))
            self.assertIn("--state-dir", str(raised.exception))

    def test_what_cannot_be_looked_at(self) -> None:
        """A place that can't even be looked at counts as there: reading says why."""
        directory = Path("x" * 300)
        self.assertFalse(make_secret(directory, tokens))
        with self.assertRaises(ConfigError) as raised:
            read_secret(directory / "secret")
        self.assertIn("File name too long", str(raised.exception))
