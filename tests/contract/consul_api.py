"""
What HashiCorp promises of Consul's HTTP API, as far as we rely on it.

A scenario is a coroutine that is given an `AgentPlace`. The same text is run
against the stand-in of ``tests/fakes`` and, where ``CONSUL_HTTP_ADDR`` names
one, against a real agent.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mycorrizal.nodosum import Announcement, ConsulSettings
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery.consul import ConsulDiscovery
from mycorrizal.nodosum.discovery.consul_http import Answer, ConsulHttp
from mycorrizal.runtime import Runtime

Scenario = Callable[["AgentPlace"], Awaitable[None]]

#: What an agent may take to bring the catalogue up to date.
PATIENCE_S = 15.0
#: The shortest that a test waits for, so that real agents manage it.
TTL_S = 3.0


@attrs.frozen
class AgentPlace:
    """
    An agent, and a service name of the test's own.

    :ivar unique: Different in each run, as an agent may live on.
    """

    reactor: Any
    runtime: Runtime
    http: ConsulHttp
    settings: ConsulSettings
    unique: str

    @classmethod
    def at(cls, reactor: Any, settings: ConsulSettings, test: str) -> AgentPlace:
        """The agent that these settings describe."""
        runtime = Runtime.of(reactor)
        unique = f"myco-test-{test}-{runtime.new_id()[:8]}"
        settings = attrs.evolve(settings, service=unique, ttl_s=TTL_S)
        return cls(reactor, runtime, ConsulHttp(runtime, settings), settings, unique)

    async def sleep(self, delay_s: float) -> None:
        """Let time pass."""
        await deferLater(self.reactor, delay_s)

    async def put(self, *path: str, body: object = None) -> Answer:
        """Send a PUT."""
        data = None if body is None else json.dumps(body).encode()
        return await self.http.ask("PUT", *path, body=data, timeout_s=PATIENCE_S)

    def id_of(self, name: str) -> str:
        """The id of an instance, which no other test has."""
        return f"{self.unique}-{name}"

    async def register(self, name: str, **more: Any) -> None:
        """Register an instance with a TTL check."""
        service_id = self.id_of(name)
        check = {"CheckID": f"service:{service_id}", "TTL": f"{TTL_S:g}s"}
        check |= {"Status": "passing", **more.pop("check", {})}
        body = {"ID": service_id, "Name": self.unique, "Port": 7000, "Check": check}
        answer = await self.put("agent", "service", "register", body={**body, **more})
        assert (answer.status, answer.body) == (200, b""), answer

    async def listed(self, **query: str) -> Answer:
        """The instances whose checks pass."""
        flags = [("passing", ""), *query.items()]
        answer = await self.http.ask(
            "GET", "health", "service", self.unique, query=flags, timeout_s=60
        )
        assert answer.status == 200, answer
        return answer

    async def renew(self, name: str) -> Answer:
        """Give a sign of life for an instance."""
        return await self.put("agent", "check", "pass", f"service:{self.id_of(name)}")

    async def deregister(self, name: str) -> Answer:
        """Take an instance back."""
        return await self.put("agent", "service", "deregister", self.id_of(name))

    async def until_listed(self, *names: str) -> list[dict[str, Any]]:
        """Wait until just these are listed; their entries."""
        expected = sorted(map(self.id_of, names))
        deadline = self.runtime.now() + PATIENCE_S
        while True:
            entries: list[dict[str, Any]] = json.loads((await self.listed()).body)
            found = sorted(entry["Service"]["ID"] for entry in entries)
            if found == expected:
                return sorted(entries, key=lambda entry: str(entry["Service"]["ID"]))
            assert self.runtime.now() < deadline, (found, expected)
            await self.sleep(0.1)

    async def clean_up(self) -> None:
        """Leave nothing at the agent."""
        answer = await self.http.ask("GET", "agent", "services", timeout_s=PATIENCE_S)
        for service_id, service in json.loads(answer.body).items():
            if service["Service"] == self.unique:
                await self.put("agent", "service", "deregister", service_id)
        await self.http.close()


async def registers_and_lists(place: AgentPlace) -> None:
    """An entry is listed as it was registered, and reached at its agent's."""
    meta = {"mycorrizal-node-id": "a"}
    await place.register("a", Address="10.1.2.3", Tags=["x", "y"], Meta=meta)
    await place.register("b")
    first, second = await place.until_listed("a", "b")
    service = first["Service"]
    assert (service["Address"], service["Port"]) == ("10.1.2.3", 7000)
    assert (service["Tags"], service["Meta"]) == (["x", "y"], meta)
    assert second["Service"]["Address"] == ""
    assert second["Node"]["Address"]
    assert {check["Status"] for check in first["Checks"]} == {"passing"}


async def lists_nothing(place: AgentPlace) -> None:
    """A service that nobody registered is an empty list, with an index."""
    answer = await place.listed()
    assert json.loads(answer.body) in ([], None)
    assert answer.index is not None
    assert answer.index >= 1


async def refuses_nonsense(place: AgentPlace) -> None:
    """What can't be read is answered with 400, what is unknown with 404 or 500."""
    assert (await place.put("agent", "service", "register", body=[1])).status == 400
    assert (await place.put("agent", "service", "register", body={})).status == 400
    unknown = await place.renew("nobody")
    assert unknown.status in (404, 500), unknown
    gone = await place.deregister("nobody")
    assert gone.status in (200, 404), gone
    wait = [("index", "1"), ("wait", "soon")]
    answer = await place.http.ask(
        "GET", "health", "service", place.unique, query=wait, timeout_s=PATIENCE_S
    )
    assert answer.status == 400, answer


async def deregisters(place: AgentPlace) -> None:
    """An entry that is taken back is listed no more; its check is unknown then."""
    await place.register("a")
    await place.until_listed("a")
    answer = await place.deregister("a")
    assert answer.status == 200, answer
    await place.until_listed()
    answer = await place.renew("a")
    lost = b"does not have associated TTL" in answer.body
    assert answer.status == 404 or lost, answer


async def check_expires(place: AgentPlace) -> None:
    """A check that is renewed passes on; one that is not becomes critical."""
    await place.register("kept")
    await place.register("left")
    await place.until_listed("kept", "left")
    for _ in range(int(TTL_S * 2)):
        await place.sleep(0.75)
        assert (await place.renew("kept")).status == 200
    await place.until_listed("kept")
    assert (await place.renew("left")).status == 200
    await place.until_listed("kept", "left")


async def registers_again(place: AgentPlace) -> None:
    """To register again renews the check, and changes what is different."""
    await place.register("a")
    await place.until_listed("a")
    await place.sleep(TTL_S * 1.5)
    await place.until_listed()
    await place.register("a", Port=7001)
    (entry,) = await place.until_listed("a")
    assert entry["Service"]["Port"] == 7001


async def query_waits(place: AgentPlace) -> None:
    """A query with an index waits for its time, and a 16th more at most."""
    await place.register("a", check={"TTL": "60s"})
    await place.until_listed("a")
    await place.sleep(1)
    index = (await place.listed()).index
    began_s = place.runtime.now()
    answer = await place.listed(index=str(index), wait="2s")
    waited_s = place.runtime.now() - began_s
    # Consul may return early for changes elsewhere, but not late.
    assert waited_s < 2 + 2 / 16 + 1, waited_s
    assert answer.index is not None
    assert answer.index >= (index or 0)


async def query_wakes(place: AgentPlace) -> None:
    """A query that waits returns when something has changed, with a new index."""
    await place.register("a", check={"TTL": "60s"})
    await place.until_listed("a")
    await place.sleep(1)
    index = (await place.listed()).index
    waiting = Deferred.fromCoroutine(place.listed(index=str(index), wait="30s"))
    await place.sleep(0.2)
    began_s = place.runtime.now()
    await place.register("b", check={"TTL": "60s"})
    answer = await waiting
    assert place.runtime.now() - began_s < 5
    assert answer.index is not None
    assert answer.index > (index or 0)


async def old_index_returns_at_once(place: AgentPlace) -> None:
    """A query with an index of before returns at once."""
    await place.register("a", check={"TTL": "60s"})
    await place.until_listed("a")
    began_s = place.runtime.now()
    await place.listed(index="1", wait="30s")
    assert place.runtime.now() - began_s < 5


async def our_discovery(place: AgentPlace) -> None:
    """Two of our nodes find each other, live through a TTL, and leave."""
    found: dict[str, list[Address]] = {}
    nodes = {}
    for number, name in enumerate("ab"):
        discovery = ConsulDiscovery(place.runtime, place.settings, "test")
        address = ("127.0.0.1", 7000 + number)
        discovery.announce(Announcement(name, "test", address, "1"))
        nodes[name] = discovery
        found[name] = await discovery.discover()
    assert found == {"a": [], "b": [("127.0.0.1", 7000)]}
    assert await nodes["a"].discover() == [("127.0.0.1", 7001)]
    await place.sleep(TTL_S * 2)
    await place.until_listed("a", "b")
    await place.deregister("a")
    # It may be back before anybody could see that it was gone.
    await place.until_listed("a", "b")
    for discovery in nodes.values():
        await discovery.withdraw()
    await place.until_listed()


SCENARIOS: tuple[Scenario, ...] = (
    registers_and_lists,
    lists_nothing,
    refuses_nonsense,
    deregisters,
    check_expires,
    registers_again,
    query_waits,
    query_wakes,
    old_index_returns_at_once,
    our_discovery,
)
