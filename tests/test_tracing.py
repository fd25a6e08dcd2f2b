"""
Traces of what nodes do, each node with OpenTelemetry's own SDK.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Mycorrizal
from mycorrizal.errors import (
    ConfigError,
    RemoteFailure,
    RemoteProtocolError,
    UnknownBucket,
)
from mycorrizal.mycel import Cache
from mycorrizal.mycel.messages import Get
from mycorrizal.nodosum.link import CALL_ID, Link
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import IGNORABLE_BIT, FrameType
from mycorrizal.testing import SimCluster
from mycorrizal.tracing import (
    SPANS_MAX,
    TRACEPARENT_BYTES_MAX,
    TracedCache,
    TracedLink,
    trace,
)

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TracingTestCase(SynchronousTestCase):
    """
    A cluster of three nodes, some of them traced.

    :ivar traced: Which.
    """

    traced: tuple[str, ...] = ("n0", "n1", "n2")
    sampler: Sampler | None = None

    def setUp(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(self.sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.cluster = SimCluster(
            3, seed=self.id(), setup=self.set_up_node, buckets="s:ttl=1h,replicas=1"
        )
        self.answers: list[Deferred[bytes]] = []
        self.cluster.until(self.cluster.formed)
        self.cluster.advance(5)
        self.exporter.clear()

    def set_up_node(self, node: Mycorrizal) -> None:
        """Trace it, and let it answer."""
        if node.node_id in self.traced:
            trace(node, self.provider.get_tracer("test"))
        for name in ("chat", "talk"):
            node.register_application(name).set_request_func(self.answer)

    def answer(self, question: bytes, sender: str) -> Any:
        """What a node answers."""
        if question == b"wait":
            self.answers.append(Deferred(lambda _: None))
            return self.answers[-1]
        if question == b"fail":
            raise ValueError("no idea")
        return question

    def cache(self, number: int = 0) -> Cache:
        """The cache of a node."""
        return self.cluster[number].cache()

    def ask(self, question: bytes, to: str = "n1") -> Deferred[bytes]:
        """Ask another node."""
        return self.cluster[0].get_application("chat").request(question, to)

    def link(self, number: int, to: str) -> Link:
        """A node's link to another."""
        return self.cluster[number].nodosum.applications.links[to]

    def spans(self) -> list[ReadableSpan]:
        """All that have ended."""
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of a name."""
        return [span for span in self.spans() if span.name == name]

    def key_elsewhere(self) -> str:
        """A key whose primary is not the first node."""
        mycel = self.cluster[0].mycel
        for number in range(1000):
            slot = mycel.slot(Get("s", f"k{number}".encode()))
            if not mycel.claims.serving >> slot & 1:
                return f"k{number}"
        raise AssertionError("it is primary of all")


class RequestTests(TracingTestCase):
    """Requests of applications."""

    def test_request(self) -> None:
        """A request is a span here and one there, which belongs to it."""
        self.assertEqual(self.cluster.result_of(self.ask(b"hello")), b"hello")
        (asked,), (served,) = self.named("request chat"), self.named("serve chat")
        assert served.parent is not None and asked.attributes is not None
        self.assertEqual(served.parent.span_id, asked.context.span_id)
        self.assertEqual(served.context.trace_id, asked.context.trace_id)
        self.assertTrue(served.parent.is_remote)
        self.assertIsNone(asked.parent)
        self.assertEqual(asked.kind, otel.SpanKind.CLIENT)
        self.assertEqual(served.kind, otel.SpanKind.SERVER)
        self.assertEqual(asked.attributes["mycorrizal.node"], "n0")
        self.assertEqual(asked.attributes["mycorrizal.peer"], "n1")

    def test_within_a_trace(self) -> None:
        """A request belongs to what its caller does, and so on from node to node."""
        tracer = self.provider.get_tracer("mine")
        passed = self.cluster[1].get_application("chat")
        passed.set_request_func(lambda question, _: passed.request(question, "n2"))
        with tracer.start_as_current_span("mine") as mine:
            result = self.ask(b"hello")
        self.assertEqual(self.cluster.result_of(result), b"hello")
        names = [span.name for span in self.spans()]
        self.assertEqual(names.count("request chat"), 2)
        self.assertEqual(names.count("serve chat"), 2)
        traces = {span.context.trace_id for span in self.spans()}
        self.assertEqual(traces, {mine.get_span_context().trace_id})

    def test_long(self) -> None:
        """A request that is cut into pieces has its trace, too."""
        question = bytes(range(256)) * 1000
        self.assertEqual(self.cluster.result_of(self.ask(question)), question)
        self.assertEqual(len(self.named("serve chat")), 1)

    def test_failure(self) -> None:
        """What fails there is said to have failed at both ends."""
        failure = self.cluster.result_of(
            self.ask(b"fail").addErrback(lambda it: it.value)
        )
        self.assertIsInstance(failure, RemoteFailure)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        for name in ("request chat", "serve chat"):
            (span,) = self.named(name)
            self.assertEqual(span.status.status_code, otel.StatusCode.ERROR)
            self.assertEqual(span.status.description, "failed")

    def test_cancelled(self) -> None:
        """Nothing of a request that is cancelled stays open."""
        asked = self.ask(b"wait")
        self.cluster.until(lambda: self.answers)
        asked.cancel()
        self.failureResultOf(asked)
        self.cluster.advance(1)
        for name in ("request chat", "serve chat"):
            (span,) = self.named(name)
            self.assertEqual(span.status.description, "cancelled")
        self.assert_nothing_kept()

    def test_link_lost(self) -> None:
        """Nor of one whose link is lost."""
        asked = self.ask(b"wait")
        self.cluster.until(lambda: self.answers)
        self.cluster.crash(1)
        self.cluster.advance(10)
        self.failureResultOf(asked)
        (span,) = self.named("request chat")
        self.assertEqual(span.status.description, "link lost")

    def test_asker_lost(self) -> None:
        """Nor of one whose asker is gone."""
        asked = self.ask(b"wait").addErrback(lambda _: None)
        self.cluster.until(lambda: self.answers)
        self.cluster.crash(0)
        self.cluster.advance(10)
        (span,) = self.named("serve chat")
        self.assertEqual(span.status.description, "link lost")
        del asked

    def test_bound(self) -> None:
        """So many requests of a link have spans, and no more; all are answered."""
        # An application takes no more than that either, so the last is another's.
        asked = [self.ask(b"wait") for _ in range(SPANS_MAX)]
        asked.append(self.cluster[0].get_application("talk").request(b"wait", "n1"))
        self.cluster.until(lambda: len(self.answers) == SPANS_MAX + 1)
        for answer in self.answers:
            answer.callback(b"now")
        for result in asked:
            self.assertEqual(self.cluster.result_of(result), b"now")
        self.assertEqual(len(self.named("request chat")), SPANS_MAX)
        self.assertEqual(len(self.named("serve chat")), SPANS_MAX)
        self.assertEqual(len(self.spans()), 2 * SPANS_MAX)
        self.assert_nothing_kept()

    def assert_nothing_kept(self) -> None:
        """No link keeps anything of a trace."""
        for number, to in ((0, "n1"), (1, "n0")):
            link = self.link(number, to)
            assert isinstance(link, TracedLink)
            kept = len(link._asked) + len(link._answering) + len(link._told)
            self.assertEqual(kept, 0)


class FrameTests(TracingTestCase):
    """What others may say."""

    def told(self, payload: bytes) -> dict[int, bytes]:
        """What a link keeps when a TRACE frame came."""
        link = self.link(1, "n0")
        assert isinstance(link, TracedLink)
        link.receive_data(encode_frame(FrameType.TRACE, payload, b"chat"))
        return dict(link._told)

    def test_bytes(self) -> None:
        """It has the request's id and the parent as the W3C writes it."""
        frame = encode_frame(FrameType.TRACE, CALL_ID.pack(9) + PARENT, b"chat")
        head = bytes.fromhex("01 81 43000000 0400") + b"chat"
        self.assertEqual(frame, head + bytes.fromhex("0900000000000000") + PARENT)
        self.assertTrue(FrameType.TRACE & IGNORABLE_BIT)

    def test_lengths(self) -> None:
        """A text is as long as may be, and not empty."""
        most = b"0" * TRACEPARENT_BYTES_MAX
        self.assertEqual(self.told(CALL_ID.pack(77) + most), {77: most})
        for bad in (b"", CALL_ID.pack(1)[:7], CALL_ID.pack(1)):
            self.assertRaises(RemoteProtocolError, self.told, bad)
        self.assertRaises(RemoteProtocolError, self.told, CALL_ID.pack(1) + most + b"0")

    def test_senseless(self) -> None:
        """A text that makes no sense is no parent; the request is answered."""
        link = self.link(0, "n1")
        for text in (b"\xff\x00", PARENT[:-1], PARENT.replace(b"b7", b"zz")):
            self.exporter.clear()
            told = CALL_ID.pack(link.calls.begun + 1) + text
            frame = encode_frame(FrameType.TRACE, told, b"chat")
            link.lanes.flow(b"chat").post(frame, b"")
            self.ask_plainly(link)
            (served,) = self.named("serve chat")
            self.assertIsNone(served.parent)

    def ask_plainly(self, link: Link) -> None:
        """Ask over a link without a trace of our own."""
        application = self.cluster[0].get_application("chat")
        answers: list[tuple[int, bytes]] = []
        Link.request(
            link,
            application._call_head,
            application.app_id,
            b"hello",
            lambda how, answer: answers.append((how, answer)),
            self.cluster[0].runtime.now() + 5,
        )
        self.cluster.until(lambda: answers)
        self.assertEqual(answers, [(0, b"hello")])

    def test_many(self) -> None:
        """Of a peer that asks more at once, the rest is answered without spans."""
        link, there = self.link(0, "n1"), self.link(1, "n0")
        answers: list[int] = []
        for number in range(SPANS_MAX + 1):
            application = self.cluster[0].get_application(
                "chat" if number < SPANS_MAX else "talk"
            )
            told = CALL_ID.pack(link.calls.begun + 1) + PARENT
            frame = encode_frame(FrameType.TRACE, told, application.app_id)
            link.lanes.flow(application.app_id).post(frame, b"")
            Link.request(
                link,
                application._call_head,
                application.app_id,
                b"wait",
                lambda how, _: answers.append(how),
                self.cluster[0].runtime.now() + 5,
            )
        self.cluster.until(lambda: len(self.answers) == SPANS_MAX + 1)
        assert isinstance(there, TracedLink)
        self.assertEqual(len(there._answering), SPANS_MAX)
        for answer in self.answers:
            answer.callback(b"now")
        self.cluster.until(lambda: len(answers) == SPANS_MAX + 1)
        self.assertEqual(set(answers), {0})
        self.assertEqual(len(self.spans()), SPANS_MAX)

    def test_orphans(self) -> None:
        """What is told of requests that never come is bounded; the oldest go."""
        for call_id in range(1, SPANS_MAX + 1):
            told = self.told(CALL_ID.pack(10**6 + call_id) + PARENT)
        self.assertEqual(len(told), SPANS_MAX)
        told = self.told(CALL_ID.pack(10**7) + PARENT)
        self.assertEqual(len(told), SPANS_MAX)
        self.assertNotIn(10**6 + 1, told)


class CacheTests(TracingTestCase):
    """Operations of the cache."""

    def test_put_and_get(self) -> None:
        """A put is a span with all that other nodes do for it below it."""
        key = self.key_elsewhere()
        self.assertEqual(self.cluster.result_of(self.cache().put("s", key, b"v")), 2)
        (put,) = self.named("put s")
        self.assertIsNone(put.parent)
        by_id = {span.context.span_id: span for span in self.spans()}
        for span in self.spans():
            self.assertEqual(span.context.trace_id, put.context.trace_id)
            if span is not put:
                assert span.parent is not None
                self.assertIn(span.parent.span_id, by_id)
        # From here to the primary, and from there to the other owner.
        self.assertEqual(len(self.named("request SYSTEM-MYCEL")), 2)
        self.assertEqual(len(self.named("serve SYSTEM-MYCEL")), 2)
        self.exporter.clear()
        self.assertEqual(self.cluster.result_of(self.cache().get("s", key)), b"v")
        (get,) = self.named("get s")
        assert get.attributes is not None
        self.assertEqual(get.attributes["db.operation.name"], "get")
        self.assertEqual(get.attributes["db.collection.name"], "s")
        self.assertEqual(len(self.named("serve SYSTEM-MYCEL")), 1)

    def test_failure(self) -> None:
        """What fails is said to have failed, and how."""
        self.failureResultOf(self.cache().get("none", "k"), UnknownBucket)
        (span,) = self.named("get none")
        self.assertEqual(span.status.status_code, otel.StatusCode.ERROR)
        self.assertEqual(span.events[0].name, "exception")

    def test_same_cache(self) -> None:
        """The traced cache is the same as the one that others may have got."""
        cache = self.cache()
        self.assertIsInstance(cache, TracedCache)
        self.cluster.result_of(self.cluster[0].stopService())
        self.assertFalse(cache.running)

    def test_too_late(self) -> None:
        """A node that runs already is not traced by halves."""
        with self.assertRaisesRegex(ConfigError, "before the start"):
            trace(self.cluster[0])

    def test_no_noise(self) -> None:
        """What nodes do of themselves makes no spans."""
        self.cluster.crash(2)
        self.cluster.advance(20)
        self.assertEqual(self.spans(), [])


class PartlyTests(TracingTestCase):
    """A cluster of which only some nodes are traced."""

    traced = ("n0",)

    def test_others(self) -> None:
        """Nodes that know nothing of traces answer as ever."""
        self.assertEqual(self.cluster.result_of(self.ask(b"hello")), b"hello")
        self.assertEqual([span.name for span in self.spans()], ["request chat"])
        self.assertIs(type(self.link(1, "n0")), Link)
        self.assertIs(type(self.cache(1)), Cache)


class UnsampledTests(TracingTestCase):
    """Where nothing is sampled."""

    sampler = ALWAYS_OFF

    def test_nothing(self) -> None:
        """Nothing is told, and all is answered."""
        sent = self.link(0, "n1").lanes.traffic.sent_frames
        self.assertEqual(self.cluster.result_of(self.ask(b"hello")), b"hello")
        self.assertEqual(self.spans(), [])
        frames = self.link(0, "n1").lanes.traffic.sent_frames - sent
        self.assertEqual(frames, 1)
