# -*- test-case-name: tests.nodosum.discovery.test_consul_registration -*-
"""
This node's entry in Consul: made, kept alive, made again, taken back.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.discovery.consul_catalogue import (
    META_CLUSTER,
    META_NODE_ID,
    META_RUN,
    META_VERSION,
)
from mycorrizal.nodosum.discovery.consul_http import ConsulHttp
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.discovery.interfaces import Announcement
from mycorrizal.nodosum.discovery.pacing import pause, retry_pause_s
from mycorrizal.nodosum.readiness import Readiness
from mycorrizal.runtime import Runtime

#: An agent answers from its memory, unless the machine is in trouble.
REQUEST_TIMEOUT_S = 5.0
#: A node that leaves does not wait longer; its check expires anyhow.
DEREGISTER_TIMEOUT_S = 2.0
#: Signs of life in each time to live: two may be lost.
RENEWALS_PER_TTL = 3


class Registration:
    """
    The entry of one node with one agent.

    :ivar attempted: Ready when the first attempt has ended, in whatever way.
    :ivar run: Tells this process's entry from all others.
    :ivar made: Whether the agent has the entry, as far as we know.
    """

    _log = Logger()

    def __init__(
        self, runtime: Runtime, http: ConsulHttp, settings: ConsulSettings
    ) -> None:
        self._runtime = runtime
        self._http = http
        self._settings = settings
        self._announcement: Announcement | None = None
        self._problem = ""
        self._keeping: Deferred[Any] | None = None
        self.attempted = Readiness()
        self.run = runtime.new_id()
        self.made = False

    @property
    def service_id(self) -> str | None:
        """The entry's id, unique at the agent; None before `start`."""
        if self._announcement is None:
            return None
        return f"{self._settings.service}-{self._announcement.node_id}"

    def start(self, announcement: Announcement) -> None:
        """Make the entry, and keep it until `stop`."""
        self._announcement = announcement
        self._keeping = Deferred.fromCoroutine(self._keep(announcement))
        self._keeping.addErrback(self._ended)

    def _ended(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._log.failure("The registration with Consul has ended", failure)

    def stop(self) -> Deferred[None]:
        """
        Take the entry back.

        :return: Fires when that is done, or has failed, which is logged.
        """
        keeping, self._keeping = self._keeping, None
        if keeping is None:
            return succeed(None)
        keeping.cancel()
        self.attempted.succeeded()
        return Deferred.fromCoroutine(self._deregister())

    # -- a loop without an end --------------------------------------------------

    async def _keep(self, announcement: Announcement) -> None:
        failures = 0
        renew_s = self._settings.ttl_s / RENEWALS_PER_TTL
        while True:
            try:
                lost = self.made and not await self._renew()
                if lost:
                    self._log.warn(
                        "Consul at {url} has lost this node's entry; it is made again",
                        url=self._http.url,
                    )
                if lost or not self.made:
                    self.made = False
                    await self._register(announcement)
                failures = 0
                self._went_well()
            except DiscoveryError as error:
                failures += 1
                self._went_wrong(str(error))
            self.attempted.succeeded()
            pause_s = renew_s * (0.75 + self._runtime.random() / 4)
            if failures:
                retry_s = retry_pause_s(failures, self._runtime.random)
                # While there is an entry, its time is running out.
                pause_s = min(retry_s, pause_s) if self.made else retry_s
            await pause(self._runtime, pause_s)

    def _went_well(self) -> None:
        if not self.made or self._problem:
            self._log.info(
                "Registered with Consul at {url} as {service_id}",
                url=self._http.url,
                service_id=self.service_id,
            )
        self.made = True
        self._problem = ""

    def _went_wrong(self, problem: str) -> None:
        # Once for each problem: discovery says it each time.
        if problem != self._problem:
            self._problem = problem
            self._log.warn(
                "Consul can't register this node: {problem}", problem=problem
            )

    # -- requests ---------------------------------------------------------------

    async def _register(self, announcement: Announcement) -> None:
        host = await self._host(announcement)
        entry = registration_of(announcement, host, self.run, self._settings)
        answer = await self._http.ask(
            "PUT", "agent", "service", "register",
            query=[("replace-existing-checks", "true")],
            body=msgspec.json.encode(entry),
            timeout_s=REQUEST_TIMEOUT_S,
        )  # fmt: skip
        answer.expect_done("register this node", self._write_rule)

    async def _host(self, announcement: Announcement) -> str:
        """
        Our address; empty when it is the machine's, which the agent knows.
        """
        host = announcement.address[0]
        if not is_unspecified(host):
            return host
        # We listen everywhere.  An agent on this machine knows how the machine
        # is reached; to another, we come from an address that reaches us.
        await self._http.ask("GET", "status", "leader", timeout_s=REQUEST_TIMEOUT_S)
        local = self._http.local_host
        return "" if local is None or is_loopback(local) else local

    async def _renew(self) -> bool:
        """Give a sign of life; whether the agent knew whose."""
        answer = await self._http.ask(
            "PUT", "agent", "check", "pass", f"service:{self.service_id}",
            timeout_s=REQUEST_TIMEOUT_S,
        )  # fmt: skip
        if answer.status == 404 or b"does not have associated TTL" in answer.body:
            # 404 since Consul 1.11, 500 with these words before.
            return False
        answer.expect_done("renew this node's check", self._write_rule)
        return True

    async def _deregister(self) -> None:
        try:
            answer = await self._http.ask(
                "PUT", "agent", "service", "deregister", self.service_id or "",
                timeout_s=DEREGISTER_TIMEOUT_S,
            )  # fmt: skip
            if answer.status != 404:
                answer.expect_done("deregister this node", self._write_rule)
        except DiscoveryError as error:
            self._log.warn(
                "Consul can't deregister this node, and will forget it in "
                "{forget_s:g} s: {problem}",
                forget_s=self._settings.ttl_s + self._settings.deregister_after_s,
                problem=str(error),
            )
        else:
            self._log.info("Deregistered from Consul at {url}", url=self._http.url)
        self.made = False

    @property
    def _write_rule(self) -> str:
        return f'service "{self._settings.service}" {{ policy = "write" }}'


class _Check(msgspec.Struct, rename="pascal"):
    """What must be renewed."""

    check_id: str = msgspec.field(name="CheckID")
    name: str
    ttl: str = msgspec.field(name="TTL")
    status: str
    deregister_critical_service_after: str


class _Service(msgspec.Struct, rename="pascal"):
    """What is registered."""

    id: str = msgspec.field(name="ID")
    name: str
    tags: tuple[str, ...]
    address: str
    port: int
    meta: dict[str, str]
    check: _Check


def registration_of(
    announcement: Announcement, host: str, run: str, settings: ConsulSettings
) -> _Service:
    """
    What is sent to register a node.

    :param host: Its address; empty: its machine's.
    :param run: Tells this process's entry from all others.
    """
    service_id = f"{settings.service}-{announcement.node_id}"
    check = _Check(
        check_id=f"service:{service_id}",
        name="Mycorrizal gives signs of life",
        ttl=f"{round(settings.ttl_s * 1000)}ms",
        # Or nobody would find it before the first sign of life.
        status="passing",
        deregister_critical_service_after=f"{round(settings.deregister_after_s)}s",
    )
    return _Service(
        id=service_id,
        name=settings.service,
        tags=settings.tags,
        address=host,
        port=announcement.address[1],
        meta={
            META_NODE_ID: announcement.node_id,
            META_RUN: run,
            META_CLUSTER: announcement.cluster_name,
            META_VERSION: announcement.version,
        },
        check=check,
    )


def is_unspecified(host: str) -> bool:
    """Whether it stands for all addresses of a machine."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether it is reached from its own machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
