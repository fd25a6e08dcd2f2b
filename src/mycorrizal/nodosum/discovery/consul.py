# -*- test-case-name: tests.nodosum.discovery.test_consul -*-
"""
Discovery by Consul: nodes register as instances of one service, and watch the
list of those whose checks pass.
"""

from __future__ import annotations

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery.consul_catalogue import (
    Entry,
    next_index,
    read_entries,
)
from mycorrizal.nodosum.discovery.consul_http import Answer, ConsulHttp
from mycorrizal.nodosum.discovery.consul_registration import (
    REQUEST_TIMEOUT_S,
    Registration,
)
from mycorrizal.nodosum.discovery.consul_sentences import of_no_json
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.discovery.interfaces import Announcement, IAnnouncing
from mycorrizal.nodosum.discovery.pacing import TokenBucket, pause, within
from mycorrizal.nodosum.discovery.static import StaticDiscovery
from mycorrizal.runtime import Runtime

#: How long a query waits for a change.  Consul would allow 10 minutes; routers
#: forget idle connections sooner.
WAIT_S_MAX = 60.0
#: Of the wait, which Consul prolongs by up to a 16th, and after it.
ANSWER_MARGIN_S = 5.0
#: HashiCorp asks for a token bucket of 2 queries, and one more in 15 s; the
#: first two, with which a node looks around and finds itself, come on top.
QUERIES_BURST = 4
QUERY_REFILL_S = 15.0
#: The least time between two queries.
ROUND_S = 0.1
#: How long the first answer is held back until this node is in it.
SELF_LISTED_S = 5.0


@implementer(IAnnouncing)
class ConsulDiscovery:
    """
    The instances of a service in Consul, this node among them.

    The first answer comes when this node itself is in it, since then all who
    registered before it are, too: of two nodes that start together, one finds
    the other.  Later ones come when something has changed.

    :raises ConfigError: The token or the certificates can't be used.
    """

    _log = Logger()

    name = "Consul"
    round_s = ROUND_S

    def __init__(
        self, runtime: Runtime, settings: ConsulSettings, cluster_name: str
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._cluster_name = cluster_name
        self._http = ConsulHttp(runtime, settings)
        self._registration = Registration(runtime, self._http, settings)
        self._bucket = TokenBucket(QUERIES_BURST, QUERY_REFILL_S, runtime.now())
        self._index = 0
        self._last: set[Address] | None = None
        self._self_listed = False
        self._held_until: float | None = None
        self._looking: Deferred[list[Address]] | None = None

    def __repr__(self) -> str:
        return f"<ConsulDiscovery {self._settings.service} at {self._http.url}>"

    # -- telling of ourselves ---------------------------------------------------

    def announce(self, announcement: Announcement) -> None:
        """Register this node, and keep it registered until `withdraw`."""
        self._registration.start(announcement)

    def withdraw(self) -> Deferred[None]:
        """
        Deregister this node, and close all connections.

        :return: Fires when nothing is left; problems are logged.
        """
        return Deferred.fromCoroutine(self._withdraw())

    async def _withdraw(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await self._registration.stop()
        await self._http.close()

    # -- finding others ---------------------------------------------------------

    def discover(self) -> Deferred[list[Address]]:
        """
        Wait until the list of instances is another than before, or is known
        again after a failure.

        :return: Fires with their addresses; fails with `DiscoveryError`.  Can
            be cancelled, and is by `withdraw`.
        """
        self._looking = Deferred.fromCoroutine(self._discover())
        return self._looking

    async def _discover(self) -> list[Address]:
        try:
            if self._registration.service_id is not None:
                await self._registration.attempted.when_ready()
            while True:
                pause_s = self._bucket.take(self._runtime.now())
                if pause_s:
                    await pause(self._runtime, pause_s)
                entries = self._read(await self._query())
                found = self._addresses(entries)
                # What a name stands for may have changed all the same.
                known = self._last == set(found) and all(map(_is_literal, found))
                if known or self._still_waits(entries):
                    continue
                self._last = set(found)
                self._log.info(
                    "Other nodes of {service} in Consul: {count}",
                    count=len(found),
                    service=self._settings.service,
                )
                return await self._resolve(found)
        except Exception:
            # Begin anew, with a query that does not wait: the agent may be
            # another one by then.
            self._index = 0
            self._last = None
            raise

    async def _query(self) -> Answer:
        settings, wait_s = self._settings, 0.0
        query = [("passing", "")]
        if settings.datacenter is not None:
            query.append(("dc", settings.datacenter))
        if self._index:
            wait_s = WAIT_S_MAX * (0.75 + self._runtime.random() / 4)
            if self._held_until is not None:
                left_s = self._held_until - self._runtime.now()
                wait_s = min(wait_s, max(0.1, left_s))
            query.append(("index", str(self._index)))
            query.append(("wait", f"{round(wait_s * 1000)}ms"))
            timeout_s = wait_s + wait_s / 16 + ANSWER_MARGIN_S
        else:
            timeout_s = REQUEST_TIMEOUT_S
        return await self._http.ask(
            "GET", "health", "service", settings.service,
            query=query, timeout_s=timeout_s,
        )  # fmt: skip

    def _read(self, answer: Answer) -> list[Entry]:
        service = self._settings.service
        rule = f'service "{service}" {{ policy = "read" }}'
        answer.expect_done(f"list the nodes of {service}", rule)
        try:
            entries = read_entries(answer.body)
        except ValueError:
            sentence = of_no_json(answer.body, self._http.url, html=answer.html)
            raise DiscoveryError(sentence) from None
        if answer.filtered and not entries:
            raise DiscoveryError(
                "Consul hides the nodes from us; the token needs the rules "
                f'{rule} and node_prefix "" {{ policy = "read" }}'
            )
        self._index = next_index(self._index, answer.index)
        return entries

    def _addresses(self, entries: list[Entry]) -> list[Address]:
        """Those of others, each once, as they are listed."""
        found = [
            entry.address
            for entry in entries
            if not self._is_own(entry)
            and entry.belongs(self._cluster_name, self._settings.tags)
        ]
        return list(dict.fromkeys(filter(None, found)))

    def _is_own(self, entry: Entry) -> bool:
        # Not by its id: whoever else has our id is to be found, and told so.
        return entry.run == self._registration.run

    def _still_waits(self, entries: list[Entry]) -> bool:
        """Whether this would be the first answer, and we are not yet in it."""
        if self._self_listed or not self._registration.made:
            return False
        now = self._runtime.now()
        if self._held_until is None:
            self._held_until = now + SELF_LISTED_S
        listed = any(map(self._is_own, entries))
        if not listed and now < self._held_until:
            return True
        self._self_listed, self._held_until = True, None
        if not listed and self._settings.datacenter is None:
            self._log.warn(
                "This node is registered with Consul but not in the list of "
                "{service}; can the token read services and nodes?",
                service=self._settings.service,
            )
        return False

    async def _resolve(self, addresses: list[Address]) -> list[Address]:
        lookup = StaticDiscovery(self._runtime, tuple(addresses)).discover()
        problem = "the names that Consul lists could not be looked up in time"
        try:
            return await within(self._runtime, REQUEST_TIMEOUT_S, lookup, problem)
        except DiscoveryError:
            raise DiscoveryError(
                "none of the names that Consul lists has an address"
            ) from None


def _is_literal(address: Address) -> bool:
    return isIPAddress(address[0]) or isIPv6Address(address[0])
