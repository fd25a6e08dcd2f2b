"""Tests for `mycorrizal.settings`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import ConfigError
from mycorrizal.mycel import BucketSettings
from mycorrizal.settings import (
    check_address,
    check_node_id,
    make_bucket,
    parse_address,
    parse_bucket,
    parse_count,
    parse_duration_s,
)

#: Any text, halves of surrogate pairs too: the environment may hold bytes that
#: are no text.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
#: Text that looks like a setting more often.
LIKELY_TEXT = st.text(st.sampled_from("[]:%.,=-_ 0123456789abcfmshd\n\0\udcff"))
TEXTS = st.one_of(ANY_TEXT, LIKELY_TEXT)


def problem_of(read: Callable[..., object], *given: Any) -> ConfigError:
    """What is wrong with a setting."""
    try:
        value = read(*given)
    except ConfigError as error:
        return error
    raise AssertionError(f"it was taken as {value!r}")


class AddressTests(SynchronousTestCase):
    """An address is HOST:PORT, in one of several forms."""

    def test_forms(self) -> None:
        """Names, IPv4, and IPv6 with and without brackets; a missing port is 6969."""
        for text, address in (
            ("10.0.0.1:7001", ("10.0.0.1", 7001)),
            ("10.0.0.1", ("10.0.0.1", 6969)),
            ("seeds.example:1", ("seeds.example", 1)),
            ("a_b-c.example.", ("a_b-c.example.", 6969)),
            ("localhost:65535", ("localhost", 65535)),
            ("[::1]:7001", ("::1", 7001)),
            ("[::1]", ("::1", 6969)),
            ("::1", ("::1", 6969)),
            ("[0:0::0:1]:7001", ("::1", 7001)),
            ("FE80::A%eth0", ("fe80::a%eth0", 6969)),
            ("[fe80::a%eth0.5]:7001", ("fe80::a%eth0.5", 7001)),
            ("  host:7001 ", ("host", 7001)),
            ("a" * 253, ("a" * 253, 6969)),
        ):
            self.assertEqual(parse_address(text, "static"), address, text)

    def test_wrong(self) -> None:
        """What is no address is quoted, and the sentence ends with good examples."""
        for text in (
            *("", " ", ":80", "a b", "user@host", "-a", "http://host:1"),
            *("1.2.3", "010.0.0.1", "256.0.0.1", "1.2.3.4.5", "1::2::3"),
            *("[::1", "[::1]5", "[]:5", "[host]:80", "[10.0.0.1]:80", "::1]"),
            *("fe80::1%", "fe80::1%a b", "fe80::1%a\x1b[2Jb", "a" * 254, "a\0b"),
        ):
            error = problem_of(parse_address, text, "listen")
            self.assertEqual(error.field, "listen", text)
            self.assertIn(f"{text.strip()!r} is not an address", str(error))
            self.assertIn("as in 10.0.0.1:6969 or [::1]:6969", str(error))

    def test_wrong_ports(self) -> None:
        """A port is a number of 1 to 65535."""
        for text in (
            ":",
            "h:",
            "[::1]:",
            "h:a",
            "h:+1",
            "h:-1",
            "h:1.0",
            "h:٣",
            "h: 1",
        ):
            error = problem_of(parse_address, text, "listen")
            self.assertIn("has no valid port", str(error), text)
        for text in ("h:65536", "h:0", "[::1]:0", "h:123456789"):
            error = problem_of(parse_address, text, "listen")
            self.assertIn("is out of range", str(error), text)
        # Python refuses to read a number of so many digits.
        problem_of(parse_address, "h:" + "9" * 5000, "listen")

    def test_any_port(self) -> None:
        """Port 0, a free one, is for where to listen only."""
        self.assertEqual(parse_address("h:0", "listen", any_port=True), ("h", 0))
        self.assertRaises(ConfigError, parse_address, "h:65536", "f", any_port=True)

    def test_pairs(self) -> None:
        """A program may give a pair, which is as strict."""
        self.assertEqual(check_address(("0::1", 5), "static"), ("::1", 5))
        for address in (("h", -1), ("h", 65536), ("h", 0), ("", 5), ("a:b", 5)):
            problem_of(check_address, address, "static")

    @given(TEXTS, st.booleans())
    @example("[::1%\n]:5", True)
    def test_any_text(self, text: str, any_port: bool) -> None:
        """Any text is an address or a ConfigError, and an address stays one."""
        try:
            address = parse_address(text, "static", any_port=any_port)
        except ConfigError:
            return
        self.assertTrue(address[0].isprintable())
        self.assertEqual(check_address(address, "", any_port=any_port), address)


class DurationTests(SynchronousTestCase):
    """A time is a number with a unit."""

    def test_units(self) -> None:
        """Milliseconds to days; a bare number is seconds."""
        for text, seconds in (
            *(("250ms", 0.25), ("90s", 90), ("15m", 900), ("1.5h", 5400)),
            *(("7d", 604800), ("2", 2), ("0.5", 0.5), (" 5m ", 300), ("0", 0)),
        ):
            self.assertEqual(parse_duration_s(text, "f"), seconds, text)

    def test_wrong(self) -> None:
        """Anything else is refused with an example."""
        for text in (
            *("", "5x", "-5", "1e3", "5 m", ".5", "5.", "inf", "nan", "٣m", "5M"),
            "9" * 400,
        ):
            error = problem_of(parse_duration_s, text, "f")
            self.assertIn("is not a time; give one as in 15m or 90s", str(error), text)

    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Any text is a time of 0 or more, or a ConfigError."""
        try:
            seconds = parse_duration_s(text, "f")
        except ConfigError:
            return
        self.assertTrue(0 <= seconds < float("inf"))


class CountTests(SynchronousTestCase):
    """A count is a whole number."""

    def test_counts(self) -> None:
        """Digits, nothing else."""
        self.assertEqual(parse_count(" 10 ", "f"), 10)
        for text in ("", "-1", "1.5", "1_000", "٣", "1k", "9" * 5000):
            error = problem_of(parse_count, text, "f")
            self.assertIn("is not a whole number, as in 10000", str(error))


class BucketTests(SynchronousTestCase):
    """A bucket is its name, and what is to differ from the defaults."""

    def test_all_settings(self) -> None:
        """All of them, or only the name; blanks and commas too many do no harm."""
        for text, settings in (
            (
                "sessions:ttl=15m,max_entries=10000,max_bytes=5000000,replicas=2",
                BucketSettings("sessions", 900.0, 10_000, 5_000_000, 2),
            ),
            ("s", BucketSettings("s")),
            ("s:write=async", BucketSettings("s", write="async")),
            (" s : ttl=1, replicas=0,", BucketSettings("s", 1.0, replicas=0)),
        ):
            self.assertEqual(parse_bucket(text, "buckets[0]"), settings)

    def test_bounds(self) -> None:
        """The least and the most that each may be, and one past it."""
        ttl_s_max = 100 * 365 * 24 * 3600
        for good in (
            *("s:replicas=0", "s:replicas=7", "s:max_entries=1", "s:max_bytes=1"),
            *("s:ttl=1ms", f"s:ttl={ttl_s_max}", "é" * 64),
        ):
            parse_bucket(good, "buckets[0]")
        for bad, path in (
            *(("s:replicas=8", "replicas"), ("s:max_entries=0", "max_entries")),
            *(("s:max_bytes=0", "max_bytes"), ("s:ttl=0", "ttl")),
            *((f"s:ttl={ttl_s_max + 1}", "ttl"), ("é" * 64 + "a", "name")),
            *(("", "name"), (":ttl=5m", "name"), ("a\nb", "name"), ("\udcff", "name")),
            *(("s:ttl=5x", "ttl"), ("s:ttl=", "ttl"), ("s:replicas=a", "replicas")),
            ("s:ttl=1m,ttl=2m", "ttl"),
            ("s:write=none", "write"),
        ):
            error = problem_of(parse_bucket, bad, "buckets[1]")
            self.assertEqual(error.field, f"buckets[1].{path}", bad)

    def test_unknown(self) -> None:
        """An unknown setting is quoted, with an example of the known ones."""
        for bad in ("s:colour=5", "s:ttl", "s:=5", "s: ,"):
            error = problem_of(parse_bucket, bad, "buckets[0]")
            self.assertEqual(error.field, "buckets[0]", bad)
            self.assertIn("NAME:ttl=15m,max_entries=10000,replicas=1", str(error))

    def test_table(self) -> None:
        """From a table, a name may have a colon; nothing in a value is a setting."""
        bucket = make_bucket("a:b,c", {"ttl": "5m"}, "buckets[0]")
        self.assertEqual(bucket, BucketSettings("a:b,c", 300.0))
        for parts, sentence in (
            ({"ttl": "5m,replicas=3"}, "buckets[0].ttl: '5m,replicas=3' is not a time"),
            ({"replica": "3"}, "buckets[0].replica: unknown; did you mean replicas?"),
            ({"x": "3"}, "did you mean ttl, max_entries, max_bytes, replicas, write?"),
        ):
            error = problem_of(make_bucket, "s", parts, "buckets[0]")
            self.assertIn(sentence, str(error))

    @given(TEXTS)
    @example("s:max_entries=" + "9" * 5000)
    @example("\ud800")
    def test_any_text(self, text: str) -> None:
        """Any text is a bucket that makes sense, or a ConfigError."""
        try:
            bucket = parse_bucket(text, "buckets[0]")
        except ConfigError as error:
            self.assertTrue(error.field.startswith("buckets[0]"))
        else:
            bucket.validate()


class NodeIdTests(SynchronousTestCase):
    """A node id fits a log line and a terminal."""

    def test_ids(self) -> None:
        """1 to 128 letters, digits and a few signs."""
        for good in ("n1", "a.b_c:d@e-f", "a" * 128):
            self.assertEqual(check_node_id(good, "node_id"), good)
        for bad in ("", "a b", "é", "a/b", "a\n", "\x1b", "a" * 129):
            error = problem_of(check_node_id, bad, "node_id")
            self.assertIn("1 to 128 letters, digits and . _ : @ -", str(error))
