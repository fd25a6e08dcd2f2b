"""
Links over transports in memory, with a clock that the test moves.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import derive_key, new_secret, node_key_of
from mycorrizal.nodosum.applications import Applications
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.wire.events import Remote
from mycorrizal.nodosum.wire.frame import FrameDecoder
from mycorrizal.nodosum.wire.limits import FRAME_BYTES_MAX
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.runtime import Runtime

KEY = derive_key(new_secret(bytes(32)), "demo")
QUEUE_BYTES_MAX = 8 * 1024 * 1024


def runtime_of(clock: Clock) -> Runtime:
    """A runtime whose time is that of the clock."""
    return Runtime(clock, monotonic=clock.seconds, wall=clock.seconds)


class FakeTransport:
    """
    A transport that keeps what is written.

    :ivar writes: One entry for each call of `write`.
    :ivar pause_at_bytes: As soon as this much was written it pauses its
        producer, as one does whose peer does not read.
    """

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.pause_at_bytes: int | None = None
        self.link: Link | None = None
        self.end: str | None = None
        self.producer = True

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        size = sum(map(len, self.writes))
        full = self.pause_at_bytes is not None and size >= self.pause_at_bytes
        if full and self.producer and self.link is not None:
            self.link.pause()

    def loseConnection(self) -> None:
        self.end = "closed"

    def abortConnection(self) -> None:
        self.end = "aborted"

    def unregisterProducer(self) -> None:
        self.producer = False

    def take(self) -> bytes:
        """All that was written, which is forgotten here."""
        data, self.writes = b"".join(self.writes), []
        return data

    def frames(self) -> list[tuple[int, bytes, bytes]]:
        """The frames in all that was written: type, application, payload."""
        decoder = FrameDecoder()
        runs = decoder.receive_data(b"".join(self.writes))
        assert decoder.error is None and not decoder.buffered_bytes()
        return [(kind, app, data) for kind, app, some in runs for data in some]


class Owner:
    """Who is told of a link's own frames."""

    def __init__(self) -> None:
        self.received: list[tuple[int, bytes]] = []

    def control_received(self, link: Link, kind: int, payload: bytes) -> None:
        self.received.append((kind, payload))


class Side:
    """
    A node's end of links to others: its applications and its transports.
    """

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name = name
        self.runtime = runtime
        self.owner = Owner()
        self.applications = Applications(runtime)
        self.applications.running = True
        self.transports: dict[str, FakeTransport] = {}
        self.links: dict[str, Link] = {}

    def link(
        self,
        name: str,
        *,
        up: bool = True,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        features: int = 0,
    ) -> Link:
        """A link to the node of that name, up or still to be welcomed."""
        transport = FakeTransport()
        link = Link(
            self.runtime,
            transport,
            Remote(node_key_of(name), 1, Role.NODE, KEY, features, frame_bytes_max),
            self.owner,
            self.applications.routes,
            address=("10.0.0.2", 50_000),
            dialled=None,
            encrypted=False,
            frame_bytes_max=FRAME_BYTES_MAX,
            queue_bytes_max=queue_bytes_max,
        )
        transport.link = link
        self.transports[name], self.links[name] = transport, link
        if up:
            link.up, link.peer_id = True, name
            self.applications.links[name] = link
        return link


class Couple:
    """
    Nodes a and b, with a link between them.

    :param features: Those in force on it.
    :ivar error: What broke the link, if something did.
    """

    def __init__(self, features: int = 0) -> None:
        self.clock = Clock()
        self.runtime = runtime_of(self.clock)
        self.a, self.b = Side("a", self.runtime), Side("b", self.runtime)
        self.at_a = self.a.link("b", features=features)
        self.at_b = self.b.link("a", features=features)
        self.error: RemoteProtocolError | None = None

    def run(self, seconds: float = 0.0) -> None:
        """Time passes, and all that is on the way arrives."""
        self.clock.advance(seconds)
        for _ in range(100):
            data_a = self.a.transports["b"].take()
            data_b = self.b.transports["a"].take()
            if not data_a and not data_b and not self.clock.getDelayedCalls():
                break
            for link, data in ((self.at_b, data_a), (self.at_a, data_b)):
                if data and not link.closed:
                    try:
                        link.receive_data(data)
                    except RemoteProtocolError as error:
                        self.error = error
                        link.abort()
            self.clock.advance(0)

    def lose(self) -> None:
        """The connection breaks."""
        for side, other in ((self.a, "b"), (self.b, "a")):
            side.links[other].lost()
            side.applications.links.pop(other, None)
