# -*- test-case-name: tests.testing.test_history -*-
"""
What clients asked and were told: one line for each, in the order of time.

A history can be written as JSON lines and read again, so the same checks judge
a simulated cluster and a real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs
import msgspec

#: A version as `CacheEntry` has it, with the origin in hex.
Version = tuple[int, str]

INVOKE: Final = "invoke"
OK: Final = "ok"
#: It certainly had no effect.
FAIL: Final = "fail"
#: It may or may not have had an effect, or may still have one.
INFO: Final = "info"

#: Operations that write a value, if they do: a load writes what its loader gave,
#: soon or never, and nobody is told.
PUTS: Final = frozenset(("put", "put_many", "add", "replace", "load"))
DELETES: Final = frozenset(("delete", "delete_many"))
#: Operations that write.
WRITES: Final = PUTS | DELETES | {"touch"}
#: Operations that give a value, if there is one.
READS: Final = frozenset(("get", "get_many", "entry", "get_or_load"))
#: Operations that only tell whether there was one.
TELLING: Final = DELETES | {"touch", "add", "replace", "scan"}


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One line of a history.

    :ivar t: Seconds since the world began.
    :ivar op: One of `WRITES`, `READS` or `TELLING`; or create, request or send.
        Calls about several keys have a record for each.
    :ivar type: invoke, ok, fail or info.
    :ivar id: The same number at the beginning and at the end.
    :ivar value: What is written or was found; None: nothing.
    :ivar version: That of what was written or found, if it is known.
    :ivar ttl_s: The time to live that is asked for; None: for ever.
    :ivar timeout_s: How long it may take.
    :ivar copies: How many nodes hold it, as the answer says.
    :ivar existed: Whether there was a value, as the answer says.
    :ivar error: Why it failed.
    """

    t: float
    client: str
    op: str
    type: str
    id: int
    bucket: str = ""
    key: str = ""
    value: str | None = None
    version: Version | None = None
    ttl_s: float | None = None
    timeout_s: float = 0.0
    copies: int = 0
    existed: bool = True
    error: str = ""


@attrs.define
class Operation:
    """
    One operation, from its beginning to its end.

    :ivar ended: inf as long as it has not.
    :ivar outcome: ok, fail or info; info as long as it has not ended.
    :ivar found: What a read returned.
    """

    id: int
    client: str
    op: str
    bucket: str
    key: str
    value: str | None
    ttl_s: float | None
    timeout_s: float
    began: float
    ended: float = float("inf")
    outcome: str = INFO
    found: str | None = None
    version: Version | None = None
    copies: int = 0
    existed: bool = True
    error: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether it is a write that was done, in a version that is known."""
        return self.op in WRITES and self.outcome == OK and self.version is not None

    @property
    def reads(self) -> bool:
        """Whether its answer says what is there, or that nothing is."""
        absent = self.op in TELLING and not self.existed
        return self.outcome == OK and (self.op in READS or absent)

    @property
    def met(self) -> bool:
        """Whether its answer says that something was there, but not what."""
        return self.outcome == OK and self.op in TELLING and self.existed

    @property
    def refrained(self) -> bool:
        """Whether its answer says that there was nothing for it to do."""
        if self.outcome != OK or self.op not in TELLING & WRITES:
            return False
        return self.existed == (self.op == "add")

    @property
    def failed(self) -> bool:
        """Whether it certainly had no effect."""
        return self.outcome == FAIL or self.refrained

    def __str__(self) -> str:
        value = self.found if self.op in READS else self.value
        if self.op in TELLING and self.outcome == OK:
            value = f"{value or ''} ({'there' if self.existed else 'nothing there'})"
        version = "" if self.version is None else f" v{_short(self.version)}"
        ended = "" if self.ended == float("inf") else f"{self.ended:.3f}"
        return (
            f"{self.client} {self.op} {self.bucket}/{self.key} {value}"
            f" [{self.began:.3f}..{ended}] {self.outcome}{version}"
        )


def _short(version: Version) -> str:
    stamp, origin = version
    return f"{stamp >> 16}.{stamp & 0xFFFF}@{origin[:4]}"


class History:
    """
    A growing list of records.

    :ivar records: All of them.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._begun: dict[int, Record] = {}

    def invoke(
        self,
        t: float,
        client: str,
        op: str,
        bucket: str = "",
        key: str = "",
        value: str | None = None,
        *,
        ttl_s: float | None = None,
        timeout_s: float = 0.0,
    ) -> int:
        """
        An operation begins.

        :return: Its id.
        """
        number = len(self.records)
        record = Record(
            t, client, op, INVOKE, number, bucket, key, value,
            ttl_s=ttl_s, timeout_s=timeout_s,
        )  # fmt: skip
        self.records.append(record)
        self._begun[number] = record
        return number

    def end(
        self,
        t: float,
        number: int,
        outcome: str,
        *,
        value: str | None = None,
        version: Version | None = None,
        copies: int = 0,
        existed: bool = True,
        error: str = "",
    ) -> Operation:
        """
        An operation has ended.

        :return: The whole of it.
        :raises KeyError: It did not begin, or has ended already.
        """
        begun = self._begun.pop(number)
        ended = Record(
            t, begun.client, begun.op, outcome, number, begun.bucket, begun.key,
            value, version, copies=copies, existed=existed, error=error,
        )  # fmt: skip
        self.records.append(ended)
        return operations((begun, ended))[0]

    def lines(self) -> Iterator[bytes]:
        """The records as JSON, one line each."""
        encode = msgspec.json.Encoder().encode
        return (encode(record) + b"\n" for record in self.records)


def read_lines(lines: Iterable[bytes | str]) -> list[Record]:
    """
    Read what `History.lines` wrote.

    :raises msgspec.DecodeError: A line is no record.
    """
    decode = msgspec.json.Decoder(Record).decode
    return [decode(line) for line in lines]


def operations(records: Iterable[Record]) -> list[Operation]:
    """
    Beginnings and ends put together, in the order in which they began.

    :raises KeyError: Something ended that did not begin.
    """
    found: dict[int, Operation] = {}
    for record in records:
        if record.type == INVOKE:
            found[record.id] = Operation(
                record.id, record.client, record.op, record.bucket, record.key,
                record.value, record.ttl_s, record.timeout_s, record.t,
            )  # fmt: skip
            continue
        operation = found[record.id]
        operation.ended, operation.outcome = record.t, record.type
        operation.found, operation.version = record.value, record.version
        operation.copies, operation.existed = record.copies, record.existed
        operation.error = record.error
    return list(found.values())
