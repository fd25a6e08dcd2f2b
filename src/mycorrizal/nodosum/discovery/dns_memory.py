# -*- test-case-name: tests.nodosum.discovery.test_dns_memory -*-
"""
What the DNS told, for as long as it said that it holds.  (A shell.)
"""

from __future__ import annotations

import attrs
from twisted.names import dns

from mycorrizal.nodosum.discovery.dns_client import DnsClient, DnsFailure
from mycorrizal.nodosum.discovery.dns_name import Name, fold, same_name
from mycorrizal.nodosum.discovery.dns_records import Kind, Question, Record, Reply
from mycorrizal.runtime import Runtime

#: Whatever it says, nothing is believed for longer.
TTL_S_MAX = 300
#: Aliases of aliases that are followed.
CNAMES_MAX = 8
#: Answers kept; four for each of the most instances that are looked at.
ANSWERS_MAX = 1100

_ADDRESSES = (Kind.A, Kind.AAAA)


@attrs.frozen
class Answer:
    """
    What was said to one question.

    :ivar records: Of the kind that was asked for; none if there are none.
    :ivar additional: Addresses that came along.
    :ivar due_at: When to ask again, monotonic: after half of its time, while
        the old answer still holds if nobody can be reached.
    :ivar until: When it holds no longer, monotonic.
    """

    records: tuple[Record, ...]
    additional: tuple[Record, ...]
    due_at: float
    until: float


class DnsMemory:
    """
    The answers that a discovery works with, asked for where they are not
    known, or not for long any more.

    An answer with TTL 0 is good for the present round only.
    """

    def __init__(self, runtime: Runtime, client: DnsClient) -> None:
        self._now = runtime.now
        self._client = client
        self._answers: dict[Question, Answer] = {}
        self._used: dict[Question, Answer] = {}

    def begin_round(self) -> None:
        """A round begins."""
        self._used = {}

    def end_round(self) -> None:
        """A round has come to its end: what it had no use for is forgotten."""
        self._answers = self._used

    def good_for_s(self, otherwise_s: float) -> float:
        """How long all that there was in this round holds, in seconds."""
        ends = [answer.until for answer in self._used.values() if answer.records]
        return min(ends) - self._now() if ends else otherwise_s

    async def ask(self, name: Name, kind: Kind, *, anew: bool = False) -> Answer:
        """
        Look something up; aliases are followed.

        :param anew: Ask even if the answer is known, and fail if nobody can
            be asked; else an old answer will do then.
        :return: Without records if there are none.
        :raises DnsFailure: Nobody could be asked, and nothing is known.
        """
        for _ in range(CNAMES_MAX + 1):
            question = Question(fold(name), kind)
            answer, name = await self._one(question, anew)
            if answer.records or not name:
                return answer
        raise DnsFailure(f"more than {CNAMES_MAX} aliases lead away from {question}")

    async def _one(self, question: Question, anew: bool) -> tuple[Answer, Name]:
        known = self._used.get(question) or self._answers.get(question)
        if known is None or anew or self._now() >= known.due_at:
            try:
                reply = await self._client.ask(question)
            except DnsFailure:
                if known is None or anew:
                    raise
            else:
                known, alias = _answer_of(reply, question, self._now())
                if alias and not known.records:
                    # The server knows no more than the other name.
                    return known, alias
        if len(self._used) < ANSWERS_MAX:
            self._used[question] = known
        return known, ()


def _answer_of(reply: Reply, question: Question, now: float) -> tuple[Answer, Name]:
    """An answer, and the name at the end of the aliases that came with it."""
    name, ttls_s = question.name, []
    # Where the last of the aliases does not exist, there is none of them.
    answers = reply.answers if reply.rcode == dns.OK else ()
    for _ in range(CNAMES_MAX):
        alias = _first(answers, name, Kind.CNAME)
        if alias is None or question.kind is Kind.CNAME:
            break
        assert isinstance(alias.data, tuple)
        name = alias.data
        ttls_s.append(alias.ttl_s)
    records = tuple(
        record
        for record in answers
        if record.kind is question.kind and same_name(record.name, name)
    )
    additional = tuple(it for it in reply.additional if it.kind in _ADDRESSES)
    ttls_s += [record.ttl_s for record in (*records, *additional)]
    if not records:
        # How long "there is none" holds (RFC 2308, 5).
        ttls_s += [
            min(record.ttl_s, int(str(record.data)))
            for record in reply.authority
            if record.kind is Kind.SOA
        ]
    ttl_s = min(ttls_s, default=0)
    ttl_s = min(ttl_s, TTL_S_MAX)
    answer = Answer(records, additional, now + ttl_s / 2, now + ttl_s)
    return answer, name if name != question.name else ()


def _first(records: tuple[Record, ...], name: Name, kind: Kind) -> Record | None:
    for record in records:
        if record.kind is kind and same_name(record.name, name):
            return record
    return None
