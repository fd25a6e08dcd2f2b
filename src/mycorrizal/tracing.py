# -*- test-case-name: tests.test_tracing -*-
"""
Traces of what a node does, for OpenTelemetry.

A node that is not traced has none of this in its way: one that is has links
and a cache of other classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry import trace as otel
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import ConfigError, RemoteProtocolError
from mycorrizal.mycel import Cache
from mycorrizal.nodosum.calls import ANSWERED, CALLS_MAX, OnReply
from mycorrizal.nodosum.link import CALL_ID, CALL_ID_BYTES, Link
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import ErrorCode, FrameType
from mycorrizal.service import Mycorrizal
from mycorrizal.version import __version__

#: Of one link, each way: what is more has no spans.
SPANS_MAX: Final = 1_024
#: The text has 55; later versions of it may have more.
TRACEPARENT_BYTES_MAX: Final = 256
#: Applications of our own, of whose requests only those that belong to
#: somebody's trace are worth a span.
_OURS: Final = b"SYSTEM-"
_REQUEST, _CANCEL = int(FrameType.REQUEST), int(FrameType.CANCEL)

_P = ParamSpec("_P")
_T = TypeVar("_T")


def trace(node: Mycorrizal, tracer: Tracer | None = None) -> None:
    """
    Have a node make spans of its operations and requests.

    Call it before the node is started, and before others take its
    `Mycorrizal.cache`.

    :param tracer: What makes them; None: OpenTelemetry's own default.
    :raises ConfigError: It was started already: links would be without spans.
    """
    if node.running:
        raise ConfigError("trace", "the node runs already; call it before the start")
    spans = Spans(tracer or otel.get_tracer("mycorrizal", __version__), node.node_id)
    node.nodosum.mesh.admission.link_kind = partial(TracedLink, spans)
    node.mycel.cache = TracedCache(node.mycel.cache, spans)


class Spans:
    """
    What makes and ends the spans of one node.

    :param node_id: Each of them has it, as ``mycorrizal.node``.
    """

    def __init__(self, tracer: Tracer, node_id: str) -> None:
        self._tracer = tracer
        self._node_id = node_id
        self._traceparent = TraceContextTextMapPropagator()

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: Context | None = None,
        **attributes: str,
    ) -> Span:
        """
        :param parent: What it belongs to; None: whatever is under way.
        :param attributes: Dots in their names are written as underscores.
        """
        more = {key.replace("_", "."): text for key, text in attributes.items()}
        more["mycorrizal.node"] = self._node_id
        return self._tracer.start_span(name, parent, kind, more)

    @staticmethod
    @contextmanager
    def within(span: Span) -> Iterator[None]:
        """While this runs, a span is what others belong to."""
        token = attach(otel.set_span_in_context(span))
        try:
            yield
        finally:
            detach(token)

    def write(self, span: Span) -> bytes | None:
        """A span as ``traceparent``; None: nobody will see it."""
        context = span.get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return None
        carrier: dict[str, str] = {}
        self._traceparent.inject(carrier, otel.set_span_in_context(span))
        return carrier["traceparent"].encode()

    def read(self, traceparent: bytes) -> Context:
        """What another node's span is here; nothing, if it makes no sense."""
        text = traceparent.decode(errors="replace")
        return self._traceparent.extract({"traceparent": text}, Context())


def failed(span: Span, problem: str) -> None:
    """What a span stands for has failed."""
    span.set_status(Status(StatusCode.ERROR, problem))
    span.end()


class TracedLink(Link):
    """
    A link that tells with each request, to whoever wants to know, to which
    trace it belongs.

    A TRACE frame goes before the request; nodes that do not know it ignore it.
    """

    __slots__ = ("_spans", "_asked", "_answering", "_told")

    def __init__(self, spans: Spans, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._spans = spans
        #: By the id of the call: ours, theirs, and theirs that are to come.
        self._asked: dict[int, Span] = {}
        self._answering: dict[int, Span] = {}
        self._told: dict[int, bytes] = {}

    # -- asking -------------------------------------------------------------------

    def request(
        self,
        head: Callable[..., bytes],
        app_id: bytes,
        payload: bytes,
        on_reply: OnReply,
        deadline: float,
    ) -> int:
        """As of any link."""
        span = self._begin(app_id)
        if span is None:
            return super().request(head, app_id, payload, on_reply, deadline)
        expected_id = self.calls.begun + 1
        traceparent = self._spans.write(span)
        if traceparent is not None:
            told = CALL_ID.pack(expected_id) + traceparent
            frame = encode_frame(FrameType.TRACE, told, app_id)
            self.lanes.flow(app_id).post(frame, b"")

        def replied(how: int, answer: bytes) -> None:
            self._asked.pop(expected_id, None)
            if how == ANSWERED:
                span.end()
            else:
                failed(span, _reason(how))
            on_reply(how, answer)

        call_id = super().request(head, app_id, payload, replied, deadline)
        if call_id:
            self._asked[call_id] = span
        else:
            failed(span, "not sent")
        return call_id

    def _begin(self, app_id: bytes) -> Span | None:
        full = len(self._asked) >= SPANS_MAX or len(self.calls) >= CALLS_MAX
        if full or self.closed:
            return None
        if app_id.startswith(_OURS) and not otel.get_current_span().is_recording():
            return None
        name = app_id.decode()
        peer = self.peer_id
        return self._spans.begin(
            f"request {name}", SpanKind.CLIENT, rpc_service=name, mycorrizal_peer=peer
        )

    def cancel(self, call_id: int) -> None:
        """As of any link."""
        super().cancel(call_id)
        span = self._asked.pop(call_id, None)
        if span is not None:
            failed(span, "cancelled")

    # -- answering ----------------------------------------------------------------

    def _control_received(self, kind: int, payload: bytes) -> None:
        if kind != FrameType.TRACE or not self.up:
            super()._control_received(kind, payload)
            return
        if not CALL_ID_BYTES < len(payload) <= CALL_ID_BYTES + TRACEPARENT_BYTES_MAX:
            raise RemoteProtocolError(f"a TRACE of {len(payload)} bytes")
        if len(self._told) >= SPANS_MAX:
            # Requests that were cancelled before they were sent, most likely.
            del self._told[next(iter(self._told))]
        (call_id,) = CALL_ID.unpack_from(payload)
        self._told[call_id] = payload[CALL_ID_BYTES:]

    def _calls_received(self, kind: int, app_id: bytes, payloads: list[bytes]) -> None:
        if kind == _REQUEST and self._told:
            for payload in payloads:
                # Any of them may be the last one.
                if self.closed:
                    return
                self._request_received(app_id, payload)
            return
        super()._calls_received(kind, app_id, payloads)
        if kind == _CANCEL and self._answering:
            for payload in payloads:
                self._ended(CALL_ID.unpack_from(payload)[0], "cancelled")

    def _request_received(self, app_id: bytes, payload: bytes) -> None:
        call_id = int.from_bytes(payload[:CALL_ID_BYTES], "little")
        traceparent = self._told.pop(call_id, None)
        spans = self._answering
        if traceparent is None or call_id in spans or len(spans) >= SPANS_MAX:
            super()._calls_received(_REQUEST, app_id, [payload])
            return
        name = app_id.decode(errors="replace")
        spans[call_id] = span = self._spans.begin(
            f"serve {name}",
            SpanKind.SERVER,
            self._spans.read(traceparent),
            rpc_service=name,
            mycorrizal_peer=self.peer_id,
        )
        with self._spans.within(span):
            super()._calls_received(_REQUEST, app_id, [payload])

    def reply(self, call_id: int, payload: bytes, app_id: bytes = b"") -> None:
        """As of any link."""
        super().reply(call_id, payload, app_id)
        self._ended(call_id)

    def error(
        self, call_id: int, code: ErrorCode, text: str, app_id: bytes = b""
    ) -> None:
        """As of any link."""
        super().error(call_id, code, text, app_id)
        self._ended(call_id, _reason(code))

    def _ended(self, call_id: int, problem: str = "") -> None:
        span = self._answering.pop(call_id, None)
        if span is not None and problem:
            failed(span, problem)
        elif span is not None:
            span.end()

    def lost(self) -> None:
        """As of any link."""
        super().lost()
        self._told.clear()
        for call_id in list(self._answering):
            self._ended(call_id, "link lost")


def _reason(how: int) -> str:
    names = {254: "timed out", 255: "link lost"}
    names |= {int(code): code.name.lower().replace("_", " ") for code in ErrorCode}
    return names.get(how, f"error {how}")


def _traced(
    name: str, method: Callable[_P, Deferred[_T]]
) -> Callable[_P, Deferred[_T]]:
    """A method of the cache as one that makes a span."""

    @wraps(method)
    def traced(*args: _P.args, **settings: _P.kwargs) -> Deferred[_T]:
        cache: Any = args[0]
        bucket = str(args[1] if len(args) > 1 else settings.get("bucket", ""))
        spans: Spans = cache.spans
        span = spans.begin(
            f"{name} {bucket}",
            SpanKind.INTERNAL,
            db_system_name="mycorrizal",
            db_operation_name=name,
            db_collection_name=bucket,
        )
        with spans.within(span):
            result = method(*args, **settings)
        return result.addBoth(_cache_ended, span)

    return traced


def _cache_ended(result: _T, span: Span) -> _T:
    if isinstance(result, Failure):
        assert result.value is not None
        span.record_exception(result.value)
        failed(span, result.getErrorMessage())
    else:
        span.end()
    return result


class TracedCache(Cache):
    """
    A cache each of whose operations is a span.

    :param cache: Whose state it shares, whole and for ever: it is the same
        cache, and who has the one may have the other.
    """

    def __init__(self, cache: Cache, spans: Spans) -> None:
        self.__dict__ = cache.__dict__
        self.spans = spans

    get = _traced("get", Cache.get)
    entry = _traced("entry", Cache.entry)
    put = _traced("put", Cache.put)
    add = _traced("add", Cache.add)
    replace = _traced("replace", Cache.replace)
    put_ttl = _traced("put_ttl", Cache.put_ttl)
    delete = _traced("delete", Cache.delete)
