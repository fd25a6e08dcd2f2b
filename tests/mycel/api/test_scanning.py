"""
Scans: every key that stays is found, whatever happens meanwhile.
"""

from __future__ import annotations

from mycorrizal import ConfigError, Indeterminate, ScanPage, UnknownBucket
from mycorrizal.mycel.config import SCAN_KEYS_MAX
from tests.mycel.cases import ClusterTestCase

COUNT = 300


class ScanTests(ClusterTestCase):
    """A cluster of three, with some values."""

    def setUp(self) -> None:
        super().setUp()
        self.keys = {b"user:%d" % number for number in range(COUNT)}
        self.result_of(self.cache(0).put_many("b", dict.fromkeys(self.keys, b"v")))

    def pages(self, through: int = 0, limit: int = 50) -> list[ScanPage]:
        """All pages of a scan."""
        pages: list[ScanPage] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            scan = self.cache(through).scan("b", "user:", cursor, limit, 30)
            pages.append(self.result_of(scan))
            self.assertLessEqual(len(pages[-1].keys), limit)
            cursor = pages[-1].cursor
        return pages

    def found(self, pages: list[ScanPage]) -> list[bytes]:
        """All keys of some pages."""
        return [key for page in pages for key in page.keys]

    def test_all(self) -> None:
        """Every node finds each key once, with the prefix only."""
        self.result_of(self.cache(0).put_many("b", {"other": b"", "us": b""}))
        for through in range(3):
            for limit in (7, 50, 1000):
                pages = self.pages(through, limit)
                self.assertCountEqual(self.found(pages), self.keys)
                for page in pages[:-1]:
                    self.assertTrue(page.keys)

    def test_pages_are_few(self) -> None:
        """Pages are as full as can be expected."""
        self.assertLess(len(self.pages(limit=100)), 8)

    def test_nothing(self) -> None:
        """A bucket without such keys has one page without any."""
        page = self.result_of(self.cache(1).scan("b", "none"))
        self.assertEqual(page, ScanPage((), None))

    def test_while_written(self) -> None:
        """Keys that stay are found, though others come and go and they change."""
        pages: list[ScanPage] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            pages.append(self.result_of(self.cache(0).scan("b", "user:", cursor, 20)))
            cursor = pages[-1].cursor
            number = len(pages)
            self.result_of(self.cache(1).put("b", f"user:new {number}", b""))
            self.result_of(self.cache(1).delete("b", f"user:new {number - 1}"))
            self.result_of(self.cache(2).put("b", f"user:{number}", b"changed"))
        self.assertLessEqual(self.keys, {*self.found(pages)})

    def test_while_members_change(self) -> None:
        """Keys that stay are found, though nodes join, leave and die."""
        pages: list[ScanPage] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            scan = self.cache(0).scan("b", "user:", cursor, 20, 30)
            pages.append(self.result_of(scan))
            cursor = pages[-1].cursor
            if len(pages) == 2:
                self.cluster.add()
                self.cluster.advance(0.1)
            elif len(pages) == 5:
                self.cluster.until(self.cluster.converged)
                self.cluster.crash(1)
            elif len(pages) == 8:
                self.cluster.until(self.cluster.converged)
                self.cluster.stop(2)
        self.assertGreater(len(pages), 8)
        self.assertLessEqual(self.keys, {*self.found(pages)})

    def test_silent_node(self) -> None:
        """If slots have no owner that answers, a page fails, and goes on later."""
        first = self.result_of(self.cache(0).scan("b", "user:", limit=20))
        self.cluster.pause(1)
        call = self.cache(0).scan("b", "user:", first.cursor, 50, timeout_s=1)
        self.failure_of(Indeterminate, call)
        self.cluster.resume(1)
        second = self.result_of(self.cache(0).scan("b", "user:", first.cursor, 50))
        self.assertTrue(second.keys)

    def test_refused(self) -> None:
        """What makes no sense is refused, and named."""
        here = self.cache(0)
        self.failureResultOf(here.scan("none"), UnknownBucket)
        for call, field in (
            (here.scan("b", "k" * 1025), "prefix"),
            (here.scan("b", limit=0), "limit"),
            (here.scan("b", limit=SCAN_KEYS_MAX + 1), "limit"),
            (here.scan("b", cursor=""), "cursor"),
            (here.scan("b", cursor="AA"), "cursor"),
            (here.scan("b", cursor="ä"), "cursor"),
            (here.scan("b", cursor="BAA="), "cursor"),
        ):
            self.assertEqual(self.failureResultOf(call, ConfigError).value.field, field)
        self.result_of(here.scan("b", "k" * 1024, limit=SCAN_KEYS_MAX))
        self.result_of(here.scan("b", cursor="AAA="))
