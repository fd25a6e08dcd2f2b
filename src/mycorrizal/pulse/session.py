# -*- test-case-name: tests.pulse.test_session -*-
"""
One call of ``pulse``: asks a node, and says what went wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import click
import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import (
    CallError,
    CallTimeout,
    ConfigError,
    LinkLost,
    MycorrizalError,
)
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S
from mycorrizal.nodosum.wire.limits import RejectCode
from mycorrizal.pulse.access import Access, find_access
from mycorrizal.pulse.client import (
    CONNECT_TIMEOUT_S,
    CannotConnect,
    NodeBusy,
    NodeRefused,
    PulseClient,
)
from mycorrizal.pulse.cluster_messages import AskAll
from mycorrizal.pulse.messages import (
    AskGet,
    AskPing,
    AskScan,
    AskSend,
    AskStatus,
    AskWatch,
    Failed,
    Question,
    Reply,
)
from mycorrizal.pulse.render import folded, printable
from mycorrizal.runtime import Runtime, monotonic_s

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
#: What a shell makes of SIGINT.
EXIT_INTERRUPTED = 130

#: What one call may take, in all.
COMMAND_TIMEOUT_S = 5.0
#: And what it may take if the node has to ask others for it.
CACHE_TIMEOUT_S = CONNECT_TIMEOUT_S + OPERATION_TIMEOUT_S

#: What changes nothing, wherever it ends.
_READING = (AskStatus, AskPing, AskAll, AskWatch, AskGet, AskScan)

_Reply = TypeVar("_Reply", bound=Reply)

#: Asks one question; raises what `PulseClient` fails with.
Converse = Callable[[Access, Question], Reply]
#: What to ask next, given the answer to the question before; None: nothing.
Following = Callable[[Reply], Question | None]
#: Asks one question after the other on one connection; as `Converse`.
Talk = Callable[[Access, Question, Following], Reply]


class Trouble(click.ClickException):
    """An end that is not a success: one sentence on stderr, and an exit code."""

    exit_code = EXIT_REFUSED

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))

    def show(self, file: Any = None) -> None:
        """Say it."""
        out = file or sys.stderr
        click.echo(folded(f"pulse: {self.message}", out), file=out)


class WrongUsage(Trouble):
    """Nothing was asked: an option, a variable or the secret is not right."""

    exit_code = EXIT_USAGE


class Unreachable(Trouble):
    """There is no node to ask, or it does not answer."""

    exit_code = EXIT_UNREACHABLE


class Interrupted(Trouble):
    """Somebody pressed Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


async def ask_in_turn(
    runtime: Runtime,
    client: PulseClient,
    question: Question,
    following: Following,
) -> Reply:
    """
    Connect, ask one question after the other, and close.

    There is a timeout for each of them; that of the first includes the connecting.

    :return: The last answer.
    """
    ends_at = runtime.now() + _timeout_s(question)
    await client.connect()
    try:
        while True:
            reply = await client.ask(question, ends_at - runtime.now())
            another = following(reply)
            if another is None:
                break
            question, ends_at = another, runtime.now() + _timeout_s(another)
    except BaseException:
        client.abort()
        raise
    await client.close()
    return reply


def _timeout_s(question: Question) -> float:
    at_once = isinstance(question, (AskStatus, AskPing, AskSend, AskAll, AskWatch))
    return COMMAND_TIMEOUT_S if at_once else CACHE_TIMEOUT_S


def converse(access: Access, question: Question) -> Reply:
    """
    Ask a node a question, with the process's reactor; once per process.

    :raises MycorrizalError: What `PulseClient` fails with.
    """
    return talk(access, question, lambda reply: None)


def talk(access: Access, question: Question, following: Following) -> Reply:
    """
    As `converse`, with more questions.

    :raises MycorrizalError: What `PulseClient` fails with.
    """
    from twisted.internet import reactor

    turning: Any = reactor
    runtime = Runtime(turning)
    outcome: list[Reply | Failure] = []
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True

    def ended(result: Reply | Failure) -> None:
        if interrupted:
            # That the connection closes, in the midst of a question, is our doing.
            return
        outcome.append(result)
        if isinstance(result, Failure) and result.check(CannotConnect):
            # `stop` would wait for a name that is still being looked up.
            turning.crash()
        else:
            turning.stop()

    # Before the reactor runs: it may be refused, and nothing would stop that.
    client = access.client(runtime)

    def begin() -> None:
        turning.addSystemEventTrigger("before", "shutdown", interrupt)
        asking = ask_in_turn(runtime, client, question, following)
        Deferred.fromCoroutine(asking).addBoth(ended)

    turning.callWhenRunning(begin)
    turning.run()
    if not outcome:
        raise Interrupted("interrupted")
    (result,) = outcome
    if isinstance(result, Failure):
        result.raiseException()
    assert not isinstance(result, Failure)
    return result


@attrs.define
class Session:
    """
    One call of ``pulse``: its options, and the way to ask and to answer.

    :ivar converse: What asks the node.
    :ivar options: Those of `find_access` that were given.
    :ivar now: The monotonic clock.
    """

    converse: Converse = converse
    environment: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    options: dict[str, str] = attrs.field(factory=dict)
    as_json: bool = False
    talk: Talk = talk
    now: Callable[[], float] = monotonic_s

    def ask(self, question: Question, kind: type[_Reply]) -> _Reply:
        """
        Ask the node.

        :param kind: What its answer must be.
        :raises Trouble: It is not.
        """
        changing = not isinstance(question, _READING)
        return self._ask(lambda access: self.converse(access, question), kind, changing)

    def follow(
        self,
        question: Question,
        kind: type[_Reply] | tuple[type[_Reply], ...],
        following: Callable[[_Reply], Question | None],
    ) -> _Reply:
        """
        Ask the node one question after the other.

        :param kind: What its answers must be.
        :param following: What to ask next; None: nothing.
        :return: The last answer.
        :raises Trouble: An answer is not of that kind.
        """

        def next_one(reply: Reply) -> Question | None:
            return following(reply) if isinstance(reply, kind) else None

        changing = not isinstance(question, _READING)
        return self._ask(
            lambda access: self.talk(access, question, next_one), kind, changing
        )

    def _ask(
        self,
        ask: Callable[[Access], Reply],
        kind: type[_Reply] | tuple[type[_Reply], ...],
        changing: bool,
    ) -> _Reply:
        try:
            access = find_access(self.options, self.environment)
        except ConfigError as error:
            raise WrongUsage(str(error)) from None
        try:
            reply = ask(access)
        except ConfigError as error:
            # A certificate that can't be read, or will not do.
            raise WrongUsage(str(error)) from None
        except MycorrizalError as error:
            raise trouble(error, access, changing) from None
        if isinstance(reply, Failed):
            raise Trouble(_failed(reply, access))
        if not isinstance(reply, kind):
            raise Trouble(f"{access.place} gave an answer that makes no sense")
        return reply

    def say(self, text: str, data: object) -> None:
        """Print a text, or with ``--json`` the data."""
        if self.as_json:
            text = msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
        click.echo(text)


def trouble(error: MycorrizalError, access: Access, changing: bool) -> Trouble:
    """
    What to say when a node could not be asked, and what to do about it.

    :param changing: Whether it was asked to change something.
    """
    place, sentence = access.place, str(error)
    match error:
        case NodeBusy():
            return Trouble(f"{sentence}; try again in a moment")
        case CannotConnect():
            advice = "is a node running there? --node HOST:PORT names another"
            return Unreachable(f"{sentence}; {advice}")
        case NodeRefused(certificate=True):
            return Trouble(sentence)
        case NodeRefused(code=RejectCode.TLS):
            other = "off" if access.tls == "auto" else "auto"
            return Trouble(f"{sentence}; use --tls {other}")
        case NodeRefused(code=RejectCode.VERSION):
            return Trouble(f"{sentence}; use the pulse of the node's own version")
        case NodeRefused():
            return Trouble(
                f"{sentence}; ours are {access.keys.first.fingerprint} of "
                f"{access.secret_path} and {access.cluster_name!r}, the node's log "
                "begins with its own (see --secret-file and --cluster-name)"
            )
        case CallTimeout():
            what = "does not answer"
        case LinkLost():
            what = "closed the connection before it answered"
        case CallError():
            return Trouble(f"{place}: {sentence}")
        case _:
            return Trouble(sentence)
    if not changing:
        return Unreachable(f"{place} {what}; --node HOST:PORT names another")
    return Unreachable(f"{place} {what}; what it was asked may or may not be done")


def _failed(failed: Failed, access: Access) -> str:
    """What to say when the node answered with an error."""
    sentence = failed.text
    if failed.error == "UnknownBucket":
        sentence = sentence.partition(";")[0]
        return (
            f"{sentence}; `pulse cache create` makes one, `pulse cache buckets` "
            "lists what is there"
        )
    if failed.error == "UnknownApplication":
        sentence = sentence.replace("registered here", f"registered on {access.place}")
        return f"{sentence}; `pulse status` lists what is"
    if failed.error == "UnknownQuestion":
        return f"{access.place} {sentence}; use the pulse of that version"
    if failed.error == "PeerUnreachable":
        return f"{access.place} has {sentence}; `pulse nodes` lists the nodes it knows"
    return sentence
