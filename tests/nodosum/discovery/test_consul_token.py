"""
The file with the token, which others may replace.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery import ConsulSettings
from mycorrizal.nodosum.discovery.consul_token import (
    TOKEN_FILE_BYTES_MAX,
    read_token,
)
from tests.nodosum.discovery.consul_case import (
    ALL_RULES,
    TOKEN,
    ConsulCase,
    sentences,
)
from tests.places import fresh_path


class TokenTests(ConsulCase):
    """A token in a file."""

    def setUp(self) -> None:
        super().setUp()
        self.path: Path = fresh_path(self)
        self.settings = ConsulSettings(url="http://a", token_file=str(self.path))

    def write(self, data: bytes, mode: int = 0o600) -> None:
        """Replace the file."""
        self.path.write_bytes(data)
        self.path.chmod(mode)

    def problem(self) -> str:
        """What is wrong with the file."""
        with self.assertRaises(ConfigError) as caught:
            read_token(self.settings)
        self.assertEqual(caught.exception.field, "consul.token_file")
        return str(caught.exception.problem)

    def test_read(self) -> None:
        """The token is what stands in the file; its owner's group may read it."""
        for mode in (0o600, 0o400, 0o640):
            self.write(f"{TOKEN}\n".encode(), mode)
            self.assertEqual(read_token(self.settings), TOKEN)

    def test_none(self) -> None:
        """A token can be given itself, or not at all."""
        self.assertIsNone(read_token(ConsulSettings(url="http://a")))
        self.assertEqual(read_token(ConsulSettings(url="http://a", token="t")), "t")

    def test_wrong(self) -> None:
        """Each thing that can be wrong has a sentence; none shows the token."""
        self.assertIn("cannot read", self.problem())
        for mode in (0o644, 0o604, 0o602):
            self.write(TOKEN.encode(), mode)
            self.assertIn("can be read by every user; run `chmod o= ", self.problem())
        for data, said in (
            (b"", "is no ACL token: that is one word"),
            (b"secret secret", "is no ACL token"),
            (b"secret\xff", "is no ACL token"),
            (b"s" * (TOKEN_FILE_BYTES_MAX + 1), "longer than 8192 bytes"),
        ):
            self.write(data)
            problem = self.problem()
            self.assertIn(said, problem)
            self.assertNotIn("secret", problem)
        os.mkdir(f"{self.path}.d")
        with self.assertRaises(ConfigError):
            read_token(ConsulSettings(url="http://a", token_file=f"{self.path}.d"))

    def test_replaced(self) -> None:
        """A new token in the file is used from then on, without a restart."""
        self.consul.acl = {TOKEN: ALL_RULES}
        self.write(b"old-token")
        self.discovery("a", token_file=str(self.path))
        self.world.advance(10)
        self.assertEqual(self.passing(), [])
        self.write(TOKEN.encode())
        self.world.advance(31)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.withdraw()

    def test_unreadable_later(self) -> None:
        """A file that goes bad while the node runs is a trouble, told once."""
        self.write(TOKEN.encode())
        self.discovery("a", token_file=str(self.path))
        self.world.advance(1)
        self.path.chmod(0o666)
        with capturedLogs() as logs:
            self.world.advance(10)
        told = [line for line in sentences(logs) if "every user" in line]
        self.assertEqual(len(told), 1)
        self.path.chmod(0o600)
        self.world.advance(10)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.withdraw()
