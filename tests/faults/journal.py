"""
The history of one run, written to a file as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

import msgspec

from mycorrizal.testing.history import FAIL, INVOKE, OK, History, Record

#: The one bucket of all runs.
BUCKET: Final = "faults"
#: The client whose operations are faults.
NEMESIS: Final = "nemesis"


class Journal:
    """
    A history with a clock and a file.

    :param now: The monotonic clock.
    :ivar history: What was recorded.
    """

    def __init__(self, file: IO[bytes], now: Callable[[], float]) -> None:
        self.history = History()
        self._file = file
        self._now = now
        self._encode = msgspec.json.Encoder().encode

    @property
    def records(self) -> list[Record]:
        """All that was recorded."""
        return self.history.records

    def begin(
        self,
        client: str,
        op: str,
        key: str,
        value: str | None = None,
        *,
        ttl_s: float | None = None,
        timeout_s: float = 0.0,
    ) -> int:
        """An operation begins; its id."""
        number = self.history.invoke(
            self._now(),
            client,
            op,
            BUCKET,
            key,
            value,
            ttl_s=ttl_s,
            timeout_s=timeout_s,
        )
        self._write()
        return number

    def end(
        self,
        number: int,
        outcome: str,
        *,
        value: str | None = None,
        copies: int = 0,
        existed: bool = True,
        error: str = "",
    ) -> None:
        """An operation has ended."""
        self.history.end(
            self._now(), number, outcome,
            value=value, copies=copies, existed=existed, error=error,
        )  # fmt: skip
        self._write()

    def failed(self, op: str) -> list[str]:
        """The errors with which operations of a kind have failed so far."""
        return [it.error for it in self.records if it.op == op and it.type == FAIL]

    def event(self, text: str) -> None:
        """The nemesis did something."""
        number = self.begin(NEMESIS, "event", text)
        self.end(number, OK)

    @contextmanager
    def window(self, what: str, *, partition: bool) -> Iterator[None]:
        """
        While this lasts, older values may be read.

        :param partition: Whether nodes may be of two minds: writes may be
            overwritten by older ones, then and later.
        """
        number = self.begin(NEMESIS, "partition" if partition else "window", what)
        try:
            yield
        finally:
            self.end(number, OK)

    def _write(self) -> None:
        record = self.records[-1]
        self._file.write(self._encode(record) + b"\n")
        if record.client == NEMESIS or record.type == INVOKE:
            self._file.flush()
