"""
Web servers that ask a slow service once for all of them.

Make a secret, and start one of these in each of two terminals::

    (umask 077; pulse secret new > web.secret)
    export MYCORRIZAL_SECRET_FILE=web.secret

    python examples/weather.py left  127.0.0.1:7301 8301
    python examples/weather.py right 127.0.0.1:7302 8302 127.0.0.1:7301

The arguments are a name, where the cluster's node listens, the port of the web
server, and where to look for other nodes.  Then ask both at the same time::

    curl http://127.0.0.1:8301/oslo & curl http://127.0.0.1:8302/oslo

One of them says that it asks the service.  Ten seconds later whoever is asked
still answers at once, and asks the service behind its visitor's back.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mycorrizal import Config, MsgpackCodec, Mycorrizal, cached

BUCKET = "weather:max_entries=10000,replicas=1"


class Weather(Resource):
    """A page that tells what the weather is like."""

    isLeaf = True

    def __init__(self, reactor: Any, name: str, node: Mycorrizal) -> None:
        super().__init__()
        self._reactor = reactor
        self._name = name
        remember = cached(
            node,
            "weather",
            key=lambda city: city,
            codec=MsgpackCodec(dict[str, str]),
            ttl_s=10,
            stale_s=20,
        )
        self._weather_of = remember(self._ask_the_service)

    async def _ask_the_service(self, city: str) -> dict[str, str]:
        print(f"asking about {city}", flush=True)
        await deferLater(self._reactor, 1.0)  # Far away, and slow.
        return {"city": city, "sky": "clear", "asked by": self._name}

    def render_GET(self, request: Request) -> int:
        city = request.path.decode("ascii", "replace").strip("/")[:64] or "nowhere"
        answer = self._weather_of(city)
        # A visitor who has gone away needs no answer; others may wait for it.
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallback(self._tell, request).addErrback(self._failed, request)
        return NOT_DONE_YET

    def _tell(self, weather: dict[str, str], request: Request) -> None:
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.write(", ".join(weather.values()).encode() + b"\n")
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError) is None:
            request.setResponseCode(503)
            request.write(f"{failure.getErrorMessage()}\n".encode())
            request.finish()


async def serve(
    reactor: Any, name: str, listen: str, http_port: str, *others: str
) -> None:
    """Serve the page until the process is told to stop."""
    config = Config.from_sources(
        environment=os.environ,
        options={
            "node_id": name,
            "listen": listen,
            "static": others,
            "buckets": [BUCKET],
        },
    )
    node = Mycorrizal(reactor, config)
    reactor.addSystemEventTrigger("before", "shutdown", node.stopService)
    node.startService()
    await node.when_ready()
    site = Site(Weather(reactor, name, node))
    port = reactor.listenTCP(int(http_port), site, interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: weather.py NAME HOST:PORT HTTP_PORT [HOST:PORT ...]")
    react(serve, sys.argv[1:])
