# -*- test-case-name: tests.nodosum.discovery.test_dns_sd -*-
"""
Discovery by the DNS: services (RFC 6763, RFC 2782) and plain addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery import resolv_conf
from mycorrizal.nodosum.discovery.dns_client import DnsClient, DnsFailure
from mycorrizal.nodosum.discovery.dns_memory import DnsMemory
from mycorrizal.nodosum.discovery.dns_name import (
    DnsName,
    Name,
    fold,
    format_name,
    same_name,
)
from mycorrizal.nodosum.discovery.dns_records import Kind, Record, Service
from mycorrizal.nodosum.discovery.hosts import addresses_of
from mycorrizal.nodosum.discovery.interfaces import IDiscovery
from mycorrizal.nodosum.discovery.resolv_conf import ResolvConf
from mycorrizal.nodosum.wire.limits import DEFAULT_PORT
from mycorrizal.runtime import Runtime

#: Bounds of the pause that a time to live asks for; the service waits for half
#: to all of it.
ROUND_S_MIN = 10.0
ROUND_S_MAX = 300.0
#: A look that takes longer is given up; what was found before is kept.
LOOK_S_MAX = 20.0
#: Instances, and places, that are looked at; the rest is left out.
INSTANCES_MAX = 256
#: Questions that are asked at once.
QUESTIONS_AT_ONCE = 8
#: The version of TXT records that we understand (RFC 6763, 6.7).
TXT_VERSION = b"1"

S = TypeVar("S")
T = TypeVar("T")


@implementer(IDiscovery)
class DnsSdDiscovery:
    """
    A name in the DNS under which nodes are found, looked up in each round.

    A name with SRV records is used as it is (a headless Service of Kubernetes,
    Consul's DNS). Else, if it begins with ``_``, its PTR records name the
    instances, each with SRV and TXT. Else its addresses count, with the port
    that was given.

    :param name: ``NAME`` or ``NAME:PORT``.
    :param servers: Whom to ask, ``HOST`` and port; none: those of
        ``/etc/resolv.conf``, with its search domains.
    :param cluster_name: Instances whose TXT names another cluster are left out.
    :raises ConfigError: That is no name.
    """

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        servers: tuple[Address, ...] = (),
        *,
        cluster_name: str = "",
        resolv_conf_path: str = resolv_conf.PATH,
    ) -> None:
        self._wanted = DnsName.parse(name)
        self.name = f"DNS ({self._wanted})"
        self.round_s = ROUND_S_MIN
        self._runtime = runtime
        self._servers = servers
        self._cluster_name = cluster_name.encode()
        self._resolv_conf_path = resolv_conf_path
        self._client = DnsClient(runtime)
        self._memory = DnsMemory(runtime, self._client)
        self._said: dict[object, None] = {}

    def discover(self) -> Deferred[list[Address]]:
        """
        Look once.

        :return: Fires with the addresses, the most wanted first; with none if
            the name does not exist. Fails with `DiscoveryError` if no server
            could be asked for it.
        """
        looking = Deferred.fromCoroutine(self._look())
        late: list[str] = []

        def give_up() -> None:
            late.append(f"the DNS did not tell all within {LOOK_S_MAX:g} s")
            looking.cancel()

        timer = self._runtime.call_later(LOOK_S_MAX, give_up)

        def done(result: list[Address] | Failure) -> list[Address] | Failure:
            timer.cancel()
            if isinstance(result, Failure) and late:
                raise DiscoveryError(late[0]) from None
            return result

        return looking.addBoth(done)

    async def _look(self) -> list[Address]:
        self._memory.begin_round()
        found = await self._look_everywhere()
        self._memory.end_round()
        if not found:
            self._once(
                "nothing",
                "No node is found under {name}; in Kubernetes the Service needs "
                "publishNotReadyAddresses: true",
            )
            self.round_s = ROUND_S_MIN
            return []
        self._said.pop("nothing", None)
        good_for_s = self._memory.good_for_s(ROUND_S_MIN)
        self.round_s = min(max(good_for_s, ROUND_S_MIN), ROUND_S_MAX)
        return found

    async def _look_everywhere(self) -> list[Address] | None:
        """Look at each name that the name may stand for until one is there."""
        conf = await self._how_to_ask()
        found: list[Address] | None = None
        failure: DnsFailure | None = None
        wanted = self._wanted
        for name in conf.candidates(wanted.name, absolute=wanted.absolute):
            try:
                found = await self._look_at(name)
            except DnsFailure as error:
                # A later candidate may be the one that is meant.
                failure = failure or error
            if found is not None:
                break
        if found is None and failure is not None:
            raise DiscoveryError(str(failure)) from None
        return found

    async def _how_to_ask(self) -> ResolvConf:
        """Find out whom to ask; a server of our own knows no search domains."""
        if not self._servers:
            conf = self._read_resolv_conf()
            self._client.use(conf.servers)
            return conf
        found = await gatherResults(
            [addresses_of(self._runtime, *server) for server in self._servers]
        )
        servers = tuple(dict.fromkeys(address for some in found for address in some))
        if not servers:
            raise DiscoveryError(f"no DNS server has an address: {self._servers[0][0]}")
        self._client.use(servers)
        return ResolvConf(servers)

    def _read_resolv_conf(self) -> ResolvConf:
        try:
            text = Path(self._resolv_conf_path).read_text(errors="replace")
        except OSError:
            # As resolv.conf(5) has it: the server on this machine is asked.
            text = ""
        return ResolvConf.parse(text)

    # -- the three ways -------------------------------------------------------

    async def _look_at(self, name: Name) -> list[Address] | None:
        """
        Look at one full name.

        :return: None if there is no such name.
        """
        port = self._wanted.port
        if port is not None:
            return await self._host(name, port)
        answer = await self._memory.ask(name, Kind.SRV, anew=True)
        if answer.records:
            return await self._places(answer.records, answer.additional)
        if name[:1] and name[0].startswith(b"_"):
            return await self._instances(name)
        return await self._host(name, DEFAULT_PORT)

    async def _host(self, name: Name, port: int) -> list[Address] | None:
        literals = await self._addresses(name, (), anew=True)
        return self._at_most([(literal, port) for literal in literals]) or None

    async def _instances(self, name: Name) -> list[Address] | None:
        answer = await self._memory.ask(name, Kind.PTR, anew=True)
        instances = {
            fold(it.data): it.data
            for it in answer.records
            if isinstance(it.data, tuple)
        }
        if not instances:
            return None
        names = self._at_most(sorted(instances.values()))
        answers = await self._all(self._instance, names)
        records = [record for some, _ in answers for record in some]
        additional = [record for _, some in answers for record in some]
        return await self._places(records, additional)

    async def _instance(
        self, name: Name
    ) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
        """The SRV records of an instance, and the addresses that came along."""
        try:
            text = await self._memory.ask(name, Kind.TXT)
            strings = [string for it in text.records for string in _strings(it)]
        except DnsFailure:
            # Not to know its text is no reason to do without it.
            strings = []
        if not self._is_for_us(name, strings):
            return (), ()
        try:
            answer = await self._memory.ask(name, Kind.SRV)
        except DnsFailure as failure:
            self._left_out(name, str(failure))
            return (), ()
        return answer.records, answer.additional

    def _is_for_us(self, name: Name, strings: list[bytes]) -> bool:
        values: dict[bytes, bytes] = {}
        for string in strings:
            key, _, value = string.partition(b"=")
            # The first of a key counts (RFC 6763, 6.4).
            values.setdefault(key.lower(), value)
        version = values.get(b"txtvers", TXT_VERSION)
        if version != TXT_VERSION:
            shown = version.decode("latin-1")
            self._left_out(name, f"its TXT is of version {shown!a}, not 1")
            return False
        cluster = values.get(b"cluster")
        if self._cluster_name and cluster not in (None, self._cluster_name):
            self._left_out(name, "its TXT names another cluster")
            return False
        return True

    async def _places(
        self, records: Iterable[Record], additional: Iterable[Record]
    ) -> list[Address]:
        """The addresses of services; priority only orders them."""
        services = {
            (it.data.priority, fold(it.data.target), it.data.port): it.data.target
            for it in records
            if isinstance(it.data, Service) and it.data.target and it.data.port
        }
        places = self._at_most(sorted(services))
        targets = {target: services[key] for key in places for target in [key[1]]}
        extra = tuple(additional)
        found = await self._all(
            lambda target: self._target(target, extra), targets.values()
        )
        literals = dict(zip(targets, found, strict=True))
        if targets and not any(found):
            raise DnsFailure("no address is known of any host that it names")
        addresses = [
            (literal, port)
            for _, target, port in places
            for literal in literals[target]
        ]
        return self._at_most(list(dict.fromkeys(addresses)))

    async def _target(self, name: Name, additional: tuple[Record, ...]) -> list[str]:
        try:
            found = await self._addresses(name, additional)
        except DnsFailure as failure:
            self._left_out(name, str(failure))
            return []
        if not found:
            self._left_out(name, "it has no address")
        return found

    async def _addresses(
        self, name: Name, additional: tuple[Record, ...], *, anew: bool = False
    ) -> list[str]:
        """
        The addresses of a host, of both families.

        :raises DnsFailure: Neither family could be asked for.
        """
        along = [str(it.data) for it in additional if same_name(it.name, name)]
        if along:
            return along
        found: list[str] = []
        failures: list[DnsFailure] = []
        for kind in (Kind.A, Kind.AAAA):
            try:
                answer = await self._memory.ask(name, kind, anew=anew)
            except DnsFailure as failure:
                failures.append(failure)
                continue
            found += [str(it.data) for it in answer.records]
        if failures and not found:
            raise failures[0]
        return found

    # -- bounds ---------------------------------------------------------------

    async def _all(
        self, ask: Callable[[S], Coroutine[Any, Any, T]], them: Iterable[S]
    ) -> list[T]:
        """Ask about all of these, a few at once; the answers in order."""
        room = DeferredSemaphore(QUESTIONS_AT_ONCE)

        def begin(one: S) -> Deferred[T]:
            return Deferred.fromCoroutine(ask(one))

        asked = [room.run(begin, one) for one in them]
        return await gatherResults(asked, consumeErrors=True)

    def _at_most(self, found: list[T]) -> list[T]:
        if len(found) > INSTANCES_MAX:
            self._once(
                "many",
                "{name} stands for {count} places; the first {most} are used",
                count=len(found),
                most=INSTANCES_MAX,
            )
        return found[:INSTANCES_MAX]

    def _left_out(self, name: Name, problem: str) -> None:
        instance = format_name(name)
        self._once(
            (instance, problem),
            "{instance}, found under {name}, is left out: {problem}",
            instance=instance,
            problem=problem,
        )

    def _once(self, what: object, text: str, **fields: object) -> None:
        if what in self._said or len(self._said) > 2 * INSTANCES_MAX:
            return
        self._said[what] = None
        self._log.warn(text, name=str(self._wanted), **fields)


def _strings(record: Record) -> tuple[bytes, ...]:
    return record.data if isinstance(record.data, tuple) else ()
