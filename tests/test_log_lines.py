"""
The log as lines of JSON.
"""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.logger import Logger, LogLevel, LogPublisher, textFileLogObserver
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.log_lines import ITEMS_MAX, TEXT_MAX, choose_format, json_lines


class Nameless:
    """What can't say what it is."""

    def __repr__(self) -> str:
        raise ValueError("no name")


class JsonLineTests(SynchronousTestCase):
    """One event, one line."""

    def setUp(self) -> None:
        self.out = io.StringIO()
        publisher = LogPublisher(json_lines(self.out))
        self.log = Logger("mycorrizal.test", observer=publisher)

    def line(self) -> dict[str, Any]:
        """The one line that was written."""
        text = self.out.getvalue()
        self.assertEqual(text.count("\n"), 1)
        self.assertTrue(text.endswith("}\n"))
        self.assertTrue(text[:-1].isascii() and text[:-1].isprintable(), text)
        found: dict[str, Any] = json.loads(text)
        return found

    def field(self, value: object) -> object:
        """What a field's value is in its line."""
        self.out.seek(0)
        self.out.truncate()
        self.log.info("It is so", it=value)
        return self.line()["fields"]["it"]

    def test_event(self) -> None:
        """A line has time, level, namespace, the text and its fields."""
        self.log.warn("Peer {peer} is {ms} ms late", peer="n1", ms=1.5)
        found = self.line()
        self.assertRegex(found.pop("time"), r"^20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}Z$")
        self.assertEqual(
            found,
            {
                "level": "warn",
                "namespace": "mycorrizal.test",
                "text": "Peer n1 is 1.5 ms late",
                "fields": {"peer": "n1", "ms": 1.5},
            },
        )

    def test_failure(self) -> None:
        """A failure is told with its type, its words and where it came from."""
        try:
            raise ValueError("two\nlines")
        except ValueError:
            self.log.failure("It failed")
        found = self.line()
        self.assertEqual(found["level"], "critical")
        self.assertEqual(found["failure"]["type"], "builtins.ValueError")
        self.assertEqual(found["failure"]["message"], "two\nlines")
        self.assertIn("test_failure", found["failure"]["traceback"])

    def test_values(self) -> None:
        """Values stay what they are where JSON has them, and are text elsewhere."""
        for value in (None, True, 3, -0.5, "n1", 2**70):
            self.assertEqual(self.field(value), value)
        self.assertEqual(self.field(float("inf")), "inf")
        self.assertEqual(self.field(float("nan")), "nan")
        self.assertEqual(self.field(LogLevel.warn), "<LogLevel=warn>")
        self.assertEqual(self.field(["a", 1, {"b": 2}]), ["a", 1, "{'b': 2}"])
        self.assertIn("Nameless", str(self.field(Nameless())))

    def test_escaped(self) -> None:
        """Nothing can break a line, or paint on a terminal."""
        for text in ("a\nb", "\x1b[31m", "\x7f\x9b", "\u2028\u202e", "\ud800", "€"):
            self.assertEqual(self.field(text), text)
        self.assertEqual(self.field(b"k\x00\xff\n\\"), r"k\x00\xff\n\\")

    def test_text_escaped(self) -> None:
        """Nor can the text that fields become part of."""
        self.log.info("Key {key!r} of {name}", key=b"\x00\n", name="a\x1b\nb")
        self.assertEqual(self.line()["text"], "Key b'\\x00\\n' of a\x1b\nb")

    def test_long(self) -> None:
        """A text as long as may be is told whole, a longer one is cut."""
        self.assertEqual(self.field("x" * TEXT_MAX), "x" * TEXT_MAX)
        self.assertEqual(self.field("x" * (TEXT_MAX + 1)), "x" * TEXT_MAX + "…")
        self.assertEqual(len(str(self.field(b"x" * (TEXT_MAX + 1)))), TEXT_MAX)
        self.assertEqual(self.field([1] * ITEMS_MAX), [1] * ITEMS_MAX)
        self.assertEqual(self.field([1] * (ITEMS_MAX + 1)), [1] * ITEMS_MAX)

    def test_legacy(self) -> None:
        """What Twisted logs in its older way is a line like any other."""
        event = {"log_text": "Port starting", "message": ("Port starting",)}
        self.log.info("{log_text}", system="-", isError=0, **event)
        found = self.line()
        self.assertEqual((found["text"], found["fields"]), ("Port starting", {}))


class ChooseFormatTests(SynchronousTestCase):
    """What twist is made to write."""

    def chosen(self, format: str, *arguments: str) -> dict[str, Any]:
        """The options of twist, as they become."""
        options: dict[str, Any] = {"logFormat": format}
        choose_format(options, ["twist", *arguments, "mycorrizal"])
        return options

    def test_formats(self) -> None:
        """Text is the default, JSON is lines, and text that was asked for stays."""
        text = {"logFormat": "text", "fileLogObserverFactory": textFileLogObserver}
        self.assertEqual(self.chosen("json"), text)
        self.assertEqual(
            self.chosen("json", "--log-format=json"),
            {"logFormat": "json", "fileLogObserverFactory": json_lines},
        )
        self.assertEqual(self.chosen("text", "--log-fo", "text"), {"logFormat": "text"})
        choose_format(None, [])
