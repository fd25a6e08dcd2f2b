"""
Web servers that share their sessions: ask any of them, and stop any of them.

Make a secret, and start one of these in each of two terminals::

    (umask 077; pulse secret new > web.secret)
    export MYCORRIZAL_SECRET_FILE=web.secret

    python examples/sessions.py left  127.0.0.1:7201 8201
    python examples/sessions.py right 127.0.0.1:7202 8202 127.0.0.1:7201

The arguments are a name, where the cluster's node listens, the port of the web
server, and where to look for other nodes.  Then visit both::

    curl -b jar -c jar http://127.0.0.1:8201/
    curl -b jar -c jar http://127.0.0.1:8202/

Two requests of one session at the same time may count as one visit: the cache
has no transactions.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mycorrizal import Cache, Config, Mycorrizal

BUCKET = "sessions:ttl=15m,max_entries=100000,replicas=1"
COOKIE = b"session"


class Visits(Resource):
    """A page that tells how often its visitor has been here."""

    isLeaf = True

    def __init__(self, name: str, cache: Cache) -> None:
        super().__init__()
        self._name = name
        self._cache = cache

    def render_GET(self, request: Request) -> int:
        answer = Deferred.fromCoroutine(self._answer(request))
        # A visitor who has gone away needs no answer.
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        session_id = request.getCookie(COOKIE)
        stored = None
        if session_id is not None and 0 < len(session_id) <= 64:
            stored = await self._cache.get("sessions", session_id)
        if session_id is None or stored is None:
            # Never take an id that the visitor made up.
            session_id = secrets.token_urlsafe(16).encode()
            request.addCookie(COOKIE, session_id, httpOnly=True, sameSite="lax")
        session = {"visits": 0} if stored is None else json.loads(stored)
        session["visits"] += 1
        await self._cache.put("sessions", session_id, json.dumps(session).encode())
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.write(f"visit {session['visits']}, from {self._name}\n".encode())
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
    # Hands over the sessions before the process ends.
    reactor.addSystemEventTrigger("before", "shutdown", node.stopService)
    node.startService()
    await node.when_ready()
    site = Site(Visits(name, node.cache()))
    port = reactor.listenTCP(int(http_port), site, interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: sessions.py NAME HOST:PORT HTTP_PORT [HOST:PORT ...]")
    react(serve, sys.argv[1:])
