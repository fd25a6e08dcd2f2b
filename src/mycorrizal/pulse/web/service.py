# -*- test-case-name: tests.pulse.web.test_service -*-
"""
The status page, metrics and health of a node, as a Twisted service.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from mycorrizal.errors import CannotListen
from mycorrizal.http_options import HttpEndpoint
from mycorrizal.mycel import MycelService
from mycorrizal.mycel.operations.latencies import Latencies
from mycorrizal.nodosum import MemberEvent, NodosumService, format_address
from mycorrizal.pulse.web.board import Board, board
from mycorrizal.pulse.web.gate import Gate
from mycorrizal.pulse.web.happenings import happenings_of
from mycorrizal.pulse.web.pace import Pace
from mycorrizal.pulse.web.report import Report, Reporter
from mycorrizal.pulse.web.resources import Root
from mycorrizal.pulse.web.site import BoundedSite
from mycorrizal.pulse.web.stream import Viewers, event_of
from mycorrizal.pulse.web.survey import Heard, Survey
from mycorrizal.runtime import Timer, let_go
from mycorrizal.state import read_secret

try:
    from mycorrizal.pulse.web import metrics
except ImportError:
    HAS_METRICS = False  # There is no prometheus-client.
else:
    HAS_METRICS = True

#: How often figures are taken, and told to who looks on.
SAMPLE_S: Final = 1.0
#: How often members are compared with what they were.
LOOK_S: Final = 0.25

_encode = msgspec.json.Encoder().encode


class HttpService(Service):
    """
    What a node serves by HTTP.

    :param names: By which it may be called.
    :param token_file: Of the token that it asks for; None: it asks for none.
    :ivar site: What answers.
    :ivar pace: How fast the node is at work.
    :ivar address: Where it listens, once it does.
    """

    _log = Logger()

    def __init__(
        self,
        nodosum: NodosumService,
        mycel: MycelService,
        reporter: Reporter,
        survey: Survey,
        endpoint: HttpEndpoint,
        names: tuple[str, ...] = (),
        token_file: str | None = None,
    ) -> None:
        self.setName("http")
        token = None
        if token_file is not None:
            token = read_secret(Path(token_file), "http_token_file")
        self._gate = Gate(names, token)
        self._runtime = nodosum.runtime
        self._nodosum = nodosum
        self._reporter = reporter
        self._survey = survey
        self._endpoint = endpoint
        self._cluster = nodosum.config.cluster_name
        latencies = mycel.router.latencies = Latencies(self._runtime.now)
        self.pace = Pace(self._runtime, latencies)
        self._registry = (
            metrics.registry_of(reporter, self.pace, self._cluster)
            if HAS_METRICS
            else None
        )
        self._viewers = Viewers()
        #: How many events there were when the page was last told.
        self._events_told = 0
        self._own: Heard | None = None
        self.site = BoundedSite(Root(self._gate, self), self._runtime.reactor)
        self._port: Any = None
        self._timers: list[Timer] = []
        self._unsubscribe: Callable[[], None] = lambda: None
        self.address = (endpoint.interface, endpoint.port)

    # -- life ---------------------------------------------------------------------

    def startService(self) -> None:
        """
        Open the port.

        :raises CannotListen: It is taken.
        """
        interface, port = self._endpoint.interface, self._endpoint.port
        try:
            self._port = self._runtime.reactor.listenTCP(
                port, self.site, interface=interface
            )
        except CannotListenError as error:
            cause = getattr(error.socketError, "strerror", None) or error.socketError
            raise CannotListen(
                format_address((interface, port)),
                str(cause).lower(),
                "--http tcp:PORT",
            ) from None
        super().startService()
        self.address = interface, self._port.getHost().port
        self._unsubscribe = self._nodosum.subscribe(self._member_changed)
        self.pace.start()
        self._timers = [
            self._runtime.call_later(SAMPLE_S, self._sample),
            self._runtime.call_later(LOOK_S, self._look),
        ]
        self._log.info(
            "Status page at http://{address}/, metrics at /metrics{token}",
            address=format_address(self.address),
            token="" if self._gate.open else " (with the token)",
        )

    def disown(self) -> None:
        """This process was forked from ours: what is open is that one's."""
        let_go(self._port)
        self.site.disown()

    def stopService(self) -> Deferred[None]:
        """
        Close the port and all connections.

        :return: Fires when the port is closed.
        """
        if not self.running:
            return succeed(None)
        super().stopService()
        self._unsubscribe()
        self.pace.stop()
        for timer in self._timers:
            timer.cancel()
        self._viewers.end()
        closed: Deferred[Any] = maybeDeferred(self._port.stopListening)
        self.site.close()
        return closed.addCallback(lambda _: None)

    # -- what is shown ------------------------------------------------------------

    def report(self) -> Report:
        """How this node is."""
        return self._reporter.report()

    def metrics(self) -> tuple[str, bytes] | None:
        """Content type and text; None: there is nothing to make them with."""
        if self._registry is None:
            return None
        return metrics.CONTENT_TYPE, metrics.rendered(self._registry)

    def board(self) -> Board:
        """What the page shows now."""
        now = self._runtime.now()
        report = self._reporter.report()
        own = self._own
        before = None if own is None else own.before
        samples = self.pace.samples
        return board(
            Heard(report, now, before),
            self._survey.heard,
            now,
            at=self._runtime.wall(),
            cluster=self._cluster,
            sample=samples[-1] if samples else None,
            happenings=happenings_of(self._nodosum.recorder),
        )

    def board_json(self) -> bytes:
        """The same, in JSON; others are asked, and what they say is in the next."""
        self._survey.ask()
        return _encode(self.board())

    def watch(self, request: Any) -> bool:
        """Tell a browser what changes; False: too many look on."""
        viewer = self._viewers.admit(request)
        if viewer is None:
            return False
        viewer.tell(b"retry: 1000\n\n")
        viewer.tell(event_of("samples", _encode(list(self.pace.samples))))
        viewer.tell(event_of("board", self.board_json()))
        return True

    # -- what happens -------------------------------------------------------------

    def _sample(self) -> None:
        self._timers[0] = self._runtime.call_later(SAMPLE_S, self._sample)
        report = self._reporter.report()
        last, now = self._own, self._runtime.now()
        before = None if last is None else (last.report, last.at)
        self._own = Heard(report, now, before)
        self.pace.sample(report)
        if len(self._viewers):
            self._tell()

    def _look(self) -> None:
        self._timers[1] = self._runtime.call_later(LOOK_S, self._look)
        if self._nodosum.recorder.total != self._events_told and len(self._viewers):
            self._tell()

    def _member_changed(self, event: MemberEvent) -> None:
        if len(self._viewers):
            self._tell()

    def _tell(self) -> None:
        self._events_told = self._nodosum.recorder.total
        self._viewers.tell(event_of("board", self.board_json()))
