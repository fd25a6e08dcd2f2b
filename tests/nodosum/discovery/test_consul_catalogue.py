"""
What Consul says of a service.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery.consul_catalogue import (
    Entry,
    next_index,
    read_entries,
)


def entry(node: str = "10.0.0.9", **service: Any) -> Entry:
    """An entry as Consul would list it."""
    described = {
        "ID": "x",
        "Service": "mycorrizal",
        "Port": 1,
        "Address": "",
        **service,
    }
    listed = [{"Node": {"Address": node, "Node": "n"}, "Service": described}]
    return read_entries(json.dumps(listed).encode())[0]


class EntryTests(SynchronousTestCase):
    """Entries, and those that make no sense."""

    def test_address(self) -> None:
        """The service's own address, or else its machine's."""
        cases: list[tuple[Entry, Address | None]] = [
            (entry(Address="10.0.0.1"), ("10.0.0.1", 1)),
            (entry(), ("10.0.0.9", 1)),
            (entry(node="n1.example"), ("n1.example", 1)),
            (entry(Address="0:0::1"), ("::1", 1)),
            (entry(Port=65535), ("10.0.0.9", 65535)),
            (entry(Port=0), None),
            (entry(Port=65536), None),
            (entry(Port=-1), None),
            (entry(Address="0.0.0.0"), None),
            (entry(Address="::"), None),
            (entry(Address="224.0.0.1"), None),
            (entry(Address="10.0.0"), None),
            (entry(Address="a b"), None),
            (entry(Address="-a"), None),
            (entry(Address="a\n"), None),
            (entry(Address="a" * 254), None),
            (entry(node=""), None),
        ]
        for one, address in cases:
            self.assertEqual(one.address, address, one)

    def test_belongs(self) -> None:
        """An entry belongs unless it says another cluster, or lacks a tag."""
        shop = {"mycorrizal-cluster": "shop"}
        self.assertTrue(entry().belongs("shop", ()))
        self.assertTrue(entry(Meta=shop).belongs("shop", ()))
        self.assertFalse(entry(Meta=shop).belongs("other", ()))
        self.assertTrue(entry(Tags=["a", "b"]).belongs("shop", ("b", "a")))
        self.assertFalse(entry(Tags=["a"]).belongs("shop", ("a", "b")))
        self.assertFalse(entry(Tags=None).belongs("shop", ("a",)))
        self.assertTrue(entry(Tags=None, Meta=None).belongs("shop", ()))

    def test_empty(self) -> None:
        """No entries may be an empty list or null."""
        self.assertEqual(read_entries(b"[]"), [])
        self.assertEqual(read_entries(b"null"), [])

    def test_no_entries(self) -> None:
        """Whatever else is refused (F46)."""
        for body in (
            b"",
            b"{}",
            b"[",
            b'[{"Node": {}}]',
            b'[{"Service": {"ID": 5}}]',
            b'[{"Service": {"ID": "x", "Port": "1"}}]',
            b"<html>",
            b"[" * 100_000,
            b'[{"Service": {"ID": "\xff"}}]',
        ):
            with self.assertRaises(ValueError):
                read_entries(body)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, body: bytes) -> None:
        """Any bytes are entries, or refused; nothing else happens (F46)."""
        try:
            read_entries(body)
        except ValueError:
            pass


class IndexTests(SynchronousTestCase):
    """What to wait with next (F46)."""

    def test_next(self) -> None:
        """Forward it goes on; backward or without one, it begins anew."""
        for waited_with, answered, expected in (
            (0, 7, 7),
            (7, 7, 7),
            (7, 8, 8),
            (7, 6, 0),
            (7, None, 0),
            (0, None, 0),
            (0, 0, 1),
            (1, 0, 0),
        ):
            self.assertEqual(next_index(waited_with, answered), expected)
