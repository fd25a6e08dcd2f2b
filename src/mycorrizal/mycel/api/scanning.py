# -*- test-case-name: tests.mycel.api.test_scanning -*-
"""
Calls that find out which keys there are.
"""

from __future__ import annotations

import base64
import binascii

import attrs
from twisted.internet.defer import Deferred, fail

from mycorrizal.errors import ConfigError, MycorrizalError
from mycorrizal.mycel.api.calls import Calls, Running
from mycorrizal.mycel.arguments import prefix_bytes
from mycorrizal.mycel.config import KEY_BYTES_MAX, OPERATION_TIMEOUT_S, SCAN_KEYS_MAX
from mycorrizal.mycel.messages import Get, Refused
from mycorrizal.mycel.operations.scanning import START, OnPage, Page, Place, Scanning
from mycorrizal.mycel.slots.placement import SLOTS


@attrs.frozen
class ScanPage:
    """
    Some keys of a bucket.

    :ivar keys: As bytes; in an order that means nothing.
    :ivar cursor: What the next call is given; None if this was the last page.
    """

    keys: tuple[bytes, ...]
    cursor: str | None


class ScanCalls(Calls):
    """
    The calls that find out which keys there are.
    """

    def scan(
        self,
        bucket: str,
        prefix: str | bytes = b"",
        cursor: str | None = None,
        limit: int = 100,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[ScanPage]:
        """
        Find keys, a page at a time.

        A key that is there from the first page to the last is found, once or
        more; one that is written, deleted or expires meanwhile may be found or
        not.  Writes and changes of members meanwhile do no harm.  It reads
        through the whole bucket, however few keys begin with the prefix.

        :param prefix: Only keys that begin so.
        :param cursor: Of the page before; None begins.
        :param limit: Keys of one page at most, 1 to 1,000.
        :return: Fires with a page, of at least one key unless it is the last.
            Fails with `UnknownBucket`, `ConfigError` (of `prefix`, `cursor` or
            `limit`), `CacheBusy`, `NotRunning`, or with `Indeterminate` if some
            slots have no owner that could answer: ask for the same page again.
        """
        try:
            self._check(bucket, timeout_s)
            raw = prefix_bytes(prefix)
            place = START if cursor is None else _place(cursor)
            if not 1 <= limit <= SCAN_KEYS_MAX:
                raise ConfigError("limit", f"must be 1 to {SCAN_KEYS_MAX}")
        except MycorrizalError as error:
            return fail(error)
        opened, deadline = self._buckets[bucket], self._awake() + timeout_s
        insides = self._insides

        def finish(result: Deferred[ScanPage], outcome: Page | Refused) -> None:
            if isinstance(outcome, Refused):
                asked = Get(bucket, raw)
                result.errback(self._refused(outcome, asked, timeout_s))
                return
            keys, reached = outcome
            end = None if reached[0] >= SLOTS else _cursor(reached)
            result.callback(ScanPage(tuple(keys), end))

        def make(done: OnPage) -> Running:
            return Scanning(
                insides.router, insides.buckets, opened, raw, place, limit, deadline,
                done,
            )  # fmt: skip

        return self._run(1, make, finish)


def _cursor(place: Place) -> str:
    slot, after = place
    return base64.urlsafe_b64encode(slot.to_bytes(2, "big") + after).decode()


def _place(cursor: str) -> Place:
    """
    The place that a cursor names.

    :raises ConfigError: No page has it.
    """
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (ValueError, TypeError, binascii.Error):
        raw = b""
    slot, after = int.from_bytes(raw[:2], "big"), raw[2:]
    if len(raw) < 2 or slot >= SLOTS or len(after) > KEY_BYTES_MAX:
        raise ConfigError("cursor", "is none that a page had; None begins a scan")
    return slot, after
