# -*- test-case-name: tests.pulse.web.test_resources -*-
"""
The paths that a node answers by HTTP.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mycorrizal.pulse.web.gate import COOKIE, HEADERS, Gate
from mycorrizal.pulse.web.health import PROBES, answer
from mycorrizal.pulse.web.report import Report

PLAIN: Final = "text/plain; charset=utf-8"
#: By path: the file beside us, and its type.
FILES: Final = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "picture.js": ("picture.js", "text/javascript; charset=utf-8"),
    "uplot.css": ("uplot.css", "text/css; charset=utf-8"),
    "uplot.js": ("uplot.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
#: What Twisted has no words for (RFC 9110).
REASONS: Final = {421: b"Misdirected Request"}
NO_METRICS: Final = (
    b"There are no metrics without prometheus-client: "
    b"pip install 'mycorrizal[metrics]'\n"
)


class Contents(Protocol):
    """What a node has to show."""

    def report(self) -> Report:
        """How it is."""

    def board_json(self) -> bytes:
        """What the page shows now."""

    def watch(self, request: Any) -> bool:
        """Tell a browser what changes; False: too many look on."""

    def metrics(self) -> tuple[str, bytes] | None:
        """Content type and text; None: there is nothing to make them with."""


class Root(Resource):
    """Every path, all of one level."""

    isLeaf = True

    def __init__(self, gate: Gate, contents: Contents) -> None:
        super().__init__()
        self._gate = gate
        self._contents = contents
        folder = importlib.resources.files("mycorrizal.pulse") / "static"
        self._files = {
            path: ((folder / name).read_bytes(), kind)
            for path, (name, kind) in FILES.items()
        }
        self._paths: dict[str, Callable[[Any], Any]] = {
            "metrics": self._metrics,
            "events": self._events,
            "status.json": self._status,
        }

    def render_GET(self, request: Any) -> Any:
        """Somebody asks for something."""
        for name, value in HEADERS:
            request.setHeader(name, value)
        path = request.path.decode("ascii", "replace").removeprefix("/")
        if path in PROBES:
            return self._probe(request, path)
        text = request.getHeader
        cookie = request.getCookie(COOKIE.encode())
        refusal = self._gate.refusal(
            text("host"),
            text("authorization"),
            None if cookie is None else cookie.decode("ascii", "replace"),
        )
        if refusal is not None and refusal.status == 401 and not path:
            if self._token_given(request):
                return b""
        if refusal is not None:
            if refusal.status == 401:
                request.setHeader("WWW-Authenticate", 'Bearer realm="mycorrizal"')
            return _plain(request, refusal.status, f"{refusal.text}\n".encode())
        if path in self._paths:
            return self._paths[path](request)
        if path in self._files:
            content, kind = self._files[path]
            request.setHeader("Content-Type", kind)
            return content
        return _plain(request, 404, b"There is nothing of that name here.\n")

    def _token_given(self, request: Any) -> bool:
        """Whether the address has the token, which becomes a cookie then."""
        given = request.args.get(b"token", [b""])[0].decode("ascii", "replace")
        if not self._gate.right(given):
            return False
        request.addCookie(COOKIE, given, path="/", httpOnly=True, sameSite="strict")
        # So that the token stays in no bookmark or history.
        request.setResponseCode(303)
        request.setHeader("Location", "/")
        return True

    def _probe(self, request: Any, path: str) -> bytes:
        checks = PROBES[path](self._contents.report())
        status, text = answer(
            checks, verbose=b"verbose" in request.uri.partition(b"?")[2]
        )
        return _plain(request, status, text)

    def _metrics(self, request: Any) -> bytes:
        found = self._contents.metrics()
        if found is None:
            return _plain(request, 501, NO_METRICS)
        kind, text = found
        request.setHeader("Content-Type", kind)
        return text

    def _status(self, request: Any) -> bytes:
        request.setHeader("Content-Type", "application/json")
        return self._contents.board_json()

    def _events(self, request: Any) -> Any:
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        request.setHeader("X-Accel-Buffering", "no")
        if not self._contents.watch(request):
            return _plain(request, 503, b"Too many browsers look on already.\n")
        return NOT_DONE_YET


def _plain(request: Any, status: int, text: bytes) -> bytes:
    request.setResponseCode(status, REASONS.get(status))
    request.setHeader("Content-Type", PLAIN)
    return text
