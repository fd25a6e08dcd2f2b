"""
A stand-in for a Consul agent, for machines where none can be installed.

It answers as HashiCorp documents it, in all that a service needs that
registers and watches; ``tests/contract/consul_api.py`` holds it to that, and
any real agent, too.  Besides, it can do what a real one rarely does when a
test needs it: see `Fault`.

On its own: ``python -m tests.fakes.consul --port 8500``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.fakes.consul_state import (
    DEREGISTER_MIN_S,
    REAP_INTERVAL_S,
    Check,
    Service,
    State,
)

WAIT_S_DEFAULT = 300.0
WAIT_S_MAX = 600.0
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+")


class Fault(Enum):
    """What can be wrong with an agent."""

    ERROR_500 = "No cluster leader"
    FORBIDDEN = "Permission denied"
    BUSY = "Too many requests"
    STALL = "stall"
    HTML = "<!DOCTYPE html><html><body>Sign in</body></html>"
    TRUNCATED = "truncated"
    NOT_JSON = '{"so": "what"}'
    HUGE = "huge"
    HANG_UP = "hang up"
    REDIRECT = "http://elsewhere.example/"
    INDEX_BACK = "index back"
    INDEX_ZERO = "index 0"
    INDEX_NONE = "no index"
    CHURN = "churn"


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@attrs.frozen
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    token: str
    at_s: float


def parse_duration_s(text: str) -> float:
    """Read a duration as Go writes it."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    return sum(
        float(number) * _UNITS_S[unit]
        for number, unit in re.findall(r"([0-9.]+)(ns|us|ms|s|m|h)", text)
    )


class FakeConsul(Resource):
    """
    The HTTP side of the stand-in.

    :param acl: By token, what it may do (``service:write``, ``service:read``,
        ``node:read``); None: ACLs are off.
    :ivar faults: What is wrong, by the beginning of the path (below ``/v1/``),
        from now on.
    :ivar asked: The requests so far.
    """

    isLeaf = True

    def __init__(
        self,
        reactor: Any,
        *,
        acl: Mapping[str, frozenset[str]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.reactor = reactor
        self.state = State(reactor, **settings)
        self.acl = acl
        self.faults: dict[str, Fault] = {}
        self.asked: list[Asked] = []
        self.before_1_11 = False
        self._ports: list[Any] = []
        self._waiting: dict[Request, Callable[[], None]] = {}
        self._open: dict[Any, None] = {}

    # -- ports ----------------------------------------------------------------

    def listen(
        self, port: int = 0, interface: str = "127.0.0.1", context: Any = None
    ) -> Any:
        """
        :param context: For TLS: a Twisted ``CertificateOptions``.
        :return: The port, as Twisted's ``listenTCP`` returns it.
        """
        site = _QuietSite(self, reactor=self.reactor)
        site.opened = self._open
        factory: Any = site
        if context is not None:
            factory = TLSMemoryBIOFactory(context, False, site, clock=self.reactor)
        listening = self.reactor.listenTCP(port, factory, interface=interface)
        self._ports.append(listening)
        return listening

    def stop(self) -> Deferred[None]:
        """The agent ends, and all its connections with it."""
        closed = [maybeDeferred(port.stopListening) for port in self._ports]
        self._ports = []
        for forget in list(self._waiting.values()):
            forget()
        self._waiting.clear()
        for channel in list(self._open):
            if channel.transport is not None:
                channel.transport.abortConnection()
        self._open.clear()
        self.state.close()
        return gatherResults(closed).addCallback(lambda _: None)

    # -- requests ---------------------------------------------------------------

    def render(self, request: Request) -> Any:
        """See `twisted.web.resource.IResource`."""
        path = request.path.decode().removeprefix("/v1/")
        query = {
            name.decode(): values[0].decode() for name, values in request.args.items()
        }
        for flag in ("passing", "replace-existing-checks"):
            if re.search(rf"[?&]{flag}(&|=|$)", request.uri.decode()):
                query.setdefault(flag, "")
        token = request.getHeader("X-Consul-Token") or ""
        method = request.method.decode()
        now_s = self.reactor.seconds()
        self.asked.append(Asked(method, path, query, token, now_s))
        fault = self._fault(path)
        try:
            if fault is not None and self._misbehave(request, fault):
                return NOT_DONE_YET
            return self._route(request, method, path, query, token)
        except Refused as refused:
            request.setResponseCode(refused.status)
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
            return refused.text.encode()

    def _fault(self, path: str) -> Fault | None:
        return next(
            (fault for start, fault in self.faults.items() if path.startswith(start)),
            None,
        )

    def _misbehave(self, request: Request, fault: Fault) -> bool:
        """Whether that was all the answer there is."""
        transport: Any = request.transport
        match fault:
            case Fault.ERROR_500:
                raise Refused(500, fault.value)
            case Fault.FORBIDDEN:
                raise Refused(403, fault.value)
            case Fault.BUSY:
                raise Refused(429, fault.value)
            case Fault.STALL:
                return True
            case Fault.HANG_UP:
                transport.abortConnection()
                return True
            case Fault.REDIRECT:
                request.setHeader("Location", fault.value)
                raise Refused(301, "")
            case Fault.HTML:
                request.setHeader("Content-Type", "text/html")
                request.write(fault.value.encode())
            case Fault.NOT_JSON:
                request.setHeader("Content-Type", "application/json")
                request.write(fault.value.encode())
            case Fault.HUGE:
                for _ in range(5):
                    request.write(b" " * 1024 * 1024)
            case Fault.TRUNCATED:
                request.setHeader("Content-Length", "100")
                request.write(b'[{"Node": {"Addr')
                transport.loseConnection()
                return True
            case _:
                return False
        request.finish()
        return True

    def _route(
        self,
        request: Request,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: str,
    ) -> Any:
        wanted, answer = self._find(request, path, query, token)
        if method != wanted:
            request.setHeader("Allow", wanted)
            raise Refused(405, f"method {method} not allowed")
        return answer()

    def _find(
        self, request: Request, path: str, query: Mapping[str, str], token: str
    ) -> tuple[str, Callable[[], Any]]:
        """The method that a path takes, and what answers it."""
        match [unquote(part) for part in path.split("/")]:
            case ["status", "leader"]:
                return "GET", lambda: _json("10.0.0.250:8300")
            case ["agent", "services"]:
                return "GET", self._services
            case ["agent", "service", "register"]:
                return "PUT", lambda: self._register(request, token)
            case ["agent", "service", "deregister", service_id]:
                return "PUT", lambda: self._deregister(service_id, token)
            case ["agent", "check", ("pass" | "warn" | "fail") as verb, check_id]:
                return "PUT", lambda: self._update(verb, check_id, query, token)
            case ["health", "service", name]:
                return "GET", lambda: self._health(request, name, query, token)
        raise Refused(404, "Invalid URL path: not a recognized HTTP API endpoint")

    # -- the agent ----------------------------------------------------------------

    def _may(self, token: str, rule: str, name: str) -> None:
        """Refuse what the token may not do, in Consul's words."""
        if self.acl is None:
            return
        if token and token not in self.acl:
            raise Refused(403, "rpc error making call: ACL not found")
        if rule not in self.acl.get(token, frozenset()):
            who = "token with AccessorID '7f3e1b2a'" if token else "anonymous token"
            raise Refused(
                403,
                f"Permission denied: {who} lacks permission '{rule}' on \"{name}\"",
            )

    def _services(self) -> bytes:
        services = self.state.services.values()
        return _json({service.id: service.json() for service in services})

    def _register(self, request: Request, token: str) -> bytes:
        try:
            content: Any = request.content
            body = json.loads(content.read())
            service = _service_of(body)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(400, f"Request decode failed: {error}") from None
        if not service.name:
            raise Refused(400, "Missing service name")
        self._may(token, "service:write", service.name)
        self.state.register(service)
        return b""

    def _deregister(self, service_id: str, token: str) -> bytes:
        service = self.state.services.get(service_id)
        if service is None:
            if self.before_1_11:
                return b""
            raise Refused(
                404,
                f'Unknown service ID "{service_id}". Ensure that the service ID is '
                "passed, not the service name.",
            )
        self._may(token, "service:write", service.name)
        self.state.deregister(service_id)
        return b""

    def _update(
        self, verb: str, check_id: str, query: Mapping[str, str], token: str
    ) -> bytes:
        service = self.state.service_of_check(check_id)
        if service is None:
            if self.before_1_11:
                raise Refused(500, f'CheckID "{check_id}" does not have associated TTL')
            raise Refused(
                404,
                f'Unknown check ID "{check_id}". Ensure that the check ID is passed, '
                "not the check name.",
            )
        self._may(token, "service:write", service.name)
        status = {"pass": "passing", "warn": "warning", "fail": "critical"}[verb]
        self.state.update(service, status, query.get("note", ""))
        return b""

    # -- the servers --------------------------------------------------------------

    def _health(
        self, request: Request, name: str, query: Mapping[str, str], token: str
    ) -> Any:
        try:
            index = int(query.get("index") or 0)
            if index < 0:
                raise ValueError
        except ValueError:
            raise Refused(400, "Invalid index") from None
        try:
            wait_s = parse_duration_s(query.get("wait") or "0")
        except ValueError:
            raise Refused(400, "Invalid wait time") from None
        if token and self.acl is not None and token not in self.acl:
            raise Refused(403, "rpc error making call: ACL not found")
        wait_s = min(wait_s or WAIT_S_DEFAULT, WAIT_S_MAX)
        wait_s += wait_s / 16 * self.state.random.random()
        fault = self._fault(f"health/service/{name}")
        if not index or self.state.index_of(name) > index or fault is Fault.CHURN:
            return self._list(request, name, query, token)

        def answer() -> None:
            forget()
            request.write(self._list(request, name, query, token))
            request.finish()

        def forget() -> None:
            unwatch()
            if timer.active():
                timer.cancel()
            self._waiting.pop(request, None)

        timer = self.reactor.callLater(wait_s, answer)
        unwatch = self.state.watch(name, answer)
        self._waiting[request] = forget
        request.notifyFinish().addErrback(lambda _: forget())
        return NOT_DONE_YET

    def _list(
        self, request: Request, name: str, query: Mapping[str, str], token: str
    ) -> bytes:
        state = self.state
        entries = state.entries(name, passing="passing" in query)
        rules = frozenset() if self.acl is None else self.acl.get(token, frozenset())
        if self.acl is not None and not {"service:read", "node:read"} <= rules:
            # No refusal: what the token may not see is left out.
            if entries and token:
                request.setHeader("X-Consul-Results-Filtered-By-ACLs", "true")
            entries = []
        if query.get("dc", "dc1") != "dc1":
            raise Refused(500, "No path to datacenter")
        index = max(1, state.index_of(name))
        match self._fault(f"health/service/{name}"):
            case Fault.INDEX_BACK:
                index = max(1, int(query.get("index") or index) - 5)
            case Fault.INDEX_ZERO:
                index = 0
            case Fault.CHURN:
                state.index += 1
                index = state.index
        request.setHeader("Content-Type", "application/json")
        request.setHeader("X-Consul-Knownleader", "true")
        request.setHeader("X-Consul-Lastcontact", "0")
        if self._fault(f"health/service/{name}") is not Fault.INDEX_NONE:
            request.setHeader("X-Consul-Index", str(index))
        return _json(entries)


class _QuietSite(Site):
    """A site that writes no log, shows no traceback, and knows who is connected."""

    displayTracebacks = False
    opened: dict[Any, None]

    def log(self, request: HttpRequest) -> None:
        """Nobody reads it."""

    def buildProtocol(self, addr: Any) -> Any:
        """Remember the channel."""
        protocol = super().buildProtocol(addr)
        # Twisted wraps it until it is known which version of HTTP it speaks.
        self.opened[getattr(protocol, "_channel", protocol)] = None
        return protocol


def _service_of(body: Mapping[str, Any]) -> Service:
    """Read what a client registers."""
    name = str(body.get("Name") or "")
    service_id = str(body.get("ID") or name)
    described = body.get("Check")
    check = None
    if described:
        ttl_s = parse_duration_s(described["TTL"])
        if ttl_s <= 0:
            raise ValueError("TTL must be > 0 for TTL checks")
        after = described.get("DeregisterCriticalServiceAfter") or "0"
        check = Check(
            id=described.get("CheckID") or f"service:{service_id}",
            name=described.get("Name") or f"Service '{name}' check",
            ttl_s=ttl_s,
            status=described.get("Status") or "critical",
            deregister_after_s=parse_duration_s(after),
        )
    return Service(
        id=service_id,
        name=name,
        tags=list(body.get("Tags") or []),
        address=str(body.get("Address") or ""),
        port=int(body.get("Port") or 0),
        meta=dict(body.get("Meta") or {}),
        check=check,
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def tls_context(own_path: str, clients_ca_path: str | None) -> CertificateOptions:
    """
    What an agent listens with.

    :param own_path: A PEM file with its key and its certificate.
    :param clients_ca_path: A PEM file with the authority whose certificates it
        demands, if it does.
    """
    own = Path(own_path).read_bytes()
    key: Any = load_pem_private_key(own, None)
    certificate: Any = x509.load_pem_x509_certificate(own)
    trust = None
    if clients_ca_path is not None:
        authority = Certificate.loadPEM(Path(clients_ca_path).read_bytes())
        trust = trustRootFromCertificates([authority])
    return CertificateOptions(privateKey=key, certificate=certificate, trustRoot=trust)


def main() -> None:
    """Run one agent until it is told to end."""
    from twisted.internet import reactor

    parser = argparse.ArgumentParser(description="A stand-in for a Consul agent.")
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--address", default="127.0.0.1", help="the agent's own")
    parser.add_argument("--deregister-min-s", type=float, default=DEREGISTER_MIN_S)
    parser.add_argument("--reap-interval-s", type=float, default=REAP_INTERVAL_S)
    parser.add_argument("--token", help="the only one that may do anything")
    parser.add_argument("--tls", help="a PEM file with the agent's key and chain")
    parser.add_argument("--clients-ca", help="a PEM file; with it, mutual TLS")
    options = parser.parse_args()
    rules = frozenset({"service:write", "service:read", "node:read"})
    consul = FakeConsul(
        reactor,
        acl=None if options.token is None else {options.token: rules},
        address=options.address,
        deregister_min_s=options.deregister_min_s,
        reap_interval_s=options.reap_interval_s,
    )
    context = options.tls and tls_context(options.tls, options.clients_ca)
    port = consul.listen(options.port, context=context)
    print(f"Consul's stand-in listens on 127.0.0.1:{port.getHost().port}", flush=True)
    runner: Any = reactor
    runner.run()


if __name__ == "__main__":
    main()
