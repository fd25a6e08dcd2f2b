"""
What a Consul agent and its servers know: services, checks, indexes, rules.

As HashiCorp documents it: an agent keeps services and checks of its own and
brings the catalogue up to date with them (anti-entropy); a TTL check that is
not renewed becomes critical; a service that was critical for too long is
deregistered; each change raises the index of the services that it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall

#: The agent's settings ``check_deregister_interval_min`` and
#: ``check_reap_interval``, and how long anti-entropy takes here.
DEREGISTER_MIN_S = 60.0
REAP_INTERVAL_S = 30.0
SYNC_S = 0.02


@attrs.define(eq=False)
class Check:
    """One TTL check."""

    id: str
    name: str
    ttl_s: float
    status: str
    deregister_after_s: float
    output: str = ""
    critical_since: float | None = None
    expiry: IDelayedCall | None = None


@attrs.define(eq=False)
class Service:
    """One registered service, with its check if it has one."""

    id: str
    name: str
    tags: list[str]
    address: str
    port: int
    meta: dict[str, str]
    check: Check | None

    def json(self) -> dict[str, Any]:
        """As the agent and the catalogue show it."""
        return {
            "ID": self.id,
            "Service": self.name,
            "Tags": self.tags,
            "Address": self.address,
            "Port": self.port,
            "Meta": self.meta,
            "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": False,
        }


@attrs.frozen
class Listed:
    """A service as the servers have it, with its status of that moment."""

    service: Service
    status: str


class State:
    """
    An agent and its servers.

    :param clock: Whose time counts.
    :param node: The agent's name.
    :param address: The agent's address, which services without one have.
    :ivar services: The agent's own, by id.
    :ivar catalogue: What the servers list, by id.
    :ivar index: The last change, of whatever it was.
    """

    def __init__(
        self,
        clock: Any,
        *,
        node: str = "agent-1",
        address: str = "10.0.0.250",
        deregister_min_s: float = DEREGISTER_MIN_S,
        reap_interval_s: float = REAP_INTERVAL_S,
        sync_s: float = SYNC_S,
        seed: int = 1,
    ) -> None:
        self.clock = clock
        self.node = node
        self.address = address
        self.random = Random(seed)
        self.services: dict[str, Service] = {}
        self.catalogue: dict[str, Listed] = {}
        self.index = 10
        self._indexes: dict[str, int] = {}
        self._deregister_min_s = deregister_min_s
        self._reap_interval_s = reap_interval_s
        self._sync_s = sync_s
        self._watchers: dict[Callable[[], None], str] = {}
        self._syncs: list[IDelayedCall] = []
        self._reaping: IDelayedCall | None = None
        self._reap_later()

    # -- the agent ----------------------------------------------------------------

    def register(self, service: Service) -> None:
        """Add a service of the agent, or replace it."""
        self._forget_expiry(service.id)
        self.services[service.id] = service
        if service.check is not None:
            self._arm(service, service.check)
        self._sync_soon(service.id)

    def deregister(self, service_id: str) -> bool:
        """Remove a service of the agent; whether there was one."""
        self._forget_expiry(service_id)
        if self.services.pop(service_id, None) is None:
            return False
        self._sync_soon(service_id)
        return True

    def service_of_check(self, check_id: str) -> Service | None:
        """Whose check has that id."""
        for service in self.services.values():
            if service.check is not None and service.check.id == check_id:
                return service
        return None

    def update(self, service: Service, status: str, output: str) -> None:
        """Somebody renews a check."""
        assert service.check is not None
        self._set(service, service.check, status, output)
        self._arm(service, service.check)

    def _set(self, service: Service, check: Check, status: str, output: str) -> None:
        changed = check.status != status
        check.status, check.output = status, output
        if status != "critical":
            check.critical_since = None
        elif check.critical_since is None:
            check.critical_since = self.clock.seconds()
        if changed:
            self._sync_soon(service.id)

    def _arm(self, service: Service, check: Check) -> None:
        if check.expiry is not None and check.expiry.active():
            check.expiry.cancel()
        check.expiry = self.clock.callLater(
            check.ttl_s, self._set, service, check, "critical", "TTL expired"
        )

    def _forget_expiry(self, service_id: str) -> None:
        service = self.services.get(service_id)
        if service is None or service.check is None or service.check.expiry is None:
            return
        if service.check.expiry.active():
            service.check.expiry.cancel()

    def _reap_later(self) -> None:
        self._reaping = self.clock.callLater(self._reap_interval_s, self._reap)

    def _reap(self) -> None:
        now = self.clock.seconds()
        for service in list(self.services.values()):
            check = service.check
            if check is None or not check.deregister_after_s:
                continue
            limit_s = max(check.deregister_after_s, self._deregister_min_s)
            if (
                check.critical_since is not None
                and now - check.critical_since > limit_s
            ):
                self.deregister(service.id)
        self._reap_later()

    # -- the servers --------------------------------------------------------------

    def _sync_soon(self, service_id: str) -> None:
        self._syncs = [sync for sync in self._syncs if sync.active()]
        self._syncs.append(self.clock.callLater(self._sync_s, self._sync, service_id))

    def _sync(self, service_id: str) -> None:
        service = self.services.get(service_id)
        if service is None:
            gone = self.catalogue.pop(service_id, None)
            if gone is not None:
                self.touch(gone.service.name)
            return
        status = service.check.status if service.check is not None else "passing"
        self.catalogue[service_id] = Listed(service, status)
        self.touch(service.name)

    def touch(self, name: str) -> None:
        """A change, or what looks like one, to a service."""
        self.index += 1
        self._indexes[name] = self.index
        for wake, watched in list(self._watchers.items()):
            if watched == name:
                wake()

    def index_of(self, name: str) -> int:
        """The index of the last change to a service, or else of any."""
        return self._indexes.get(name, self.index)

    def watch(self, name: str, wake: Callable[[], None]) -> Callable[[], None]:
        """
        Call `wake` at each change to a service.

        :return: Ends it.
        """
        self._watchers[wake] = name

        def end() -> None:
            self._watchers.pop(wake, None)

        return end

    def entries(self, name: str, *, passing: bool) -> list[dict[str, Any]]:
        """The instances of a service."""
        return [
            self._entry(listed)
            for _, listed in sorted(self.catalogue.items())
            if listed.service.name == name
            and (not passing or listed.status == "passing")
        ]

    def _entry(self, listed: Listed) -> dict[str, Any]:
        service = listed.service
        checks = [self._check("serfHealth", "Serf Health Status", "passing", None)]
        if service.check is not None:
            check = service.check
            checks.append(self._check(check.id, check.name, listed.status, service))
        node = {
            "ID": "40e4a748-2192-161a-0510-9bf59fe950b5",
            "Node": self.node,
            "Address": self.address,
            "Datacenter": "dc1",
            "TaggedAddresses": {"lan": self.address, "wan": self.address},
            "Meta": {},
        }
        return {"Node": node, "Service": service.json(), "Checks": checks}

    def _check(
        self, check_id: str, name: str, status: str, service: Service | None
    ) -> dict[str, Any]:
        return {
            "Node": self.node,
            "CheckID": check_id,
            "Name": name,
            "Status": status,
            "Notes": "",
            "Output": "",
            "ServiceID": service.id if service else "",
            "ServiceName": service.name if service else "",
            "ServiceTags": service.tags if service else [],
        }

    def close(self) -> None:
        """Forget everything, and leave no timer behind."""
        for service_id in list(self.services):
            self._forget_expiry(service_id)
        for timer in (*self._syncs, self._reaping):
            if timer is not None and timer.active():
                timer.cancel()
        self.services.clear()
        self.catalogue.clear()
        self._watchers.clear()
