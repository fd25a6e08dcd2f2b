# -*- test-case-name: tests.test_errors -*-
"""
Every error Mycorrizal raises or fails a Deferred with.

Each is a sentence that says what happened and, where something can be done,
what to do; what a program needs is in attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class MycorrizalError(Exception):
    """The root of all of Mycorrizal's errors."""


# -- configuration and life cycle ---------------------------------------------


class ConfigError(MycorrizalError):
    """
    A setting is wrong.

    :ivar field: The setting's name, as in ``static`` or ``buckets[0].ttl``.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class NotRunning(MycorrizalError):
    """The node was not started, or was stopped before the answer came."""

    def __init__(self, what: str = "the node", problem: str = "is not running") -> None:
        super().__init__(f"{what} {problem}")


class Forked(NotRunning):
    """
    The node runs in the process that this one was forked from, and goes on there.
    """

    def __init__(self, what: str = "the node") -> None:
        super().__init__(
            what,
            "runs in the process that this one was forked from, and its connections "
            "are not for this one; start this one anew instead of forking it, as by "
            'multiprocessing.get_context("spawn")',
        )


class NotReady(MycorrizalError):
    """The node did not become ready within ``ready_timeout_s``."""


class CannotListen(MycorrizalError):
    """
    A port could not be opened.

    :ivar address: The address, as ``HOST:PORT``.
    """

    def __init__(
        self, address: str, problem: str, option: str = "--listen HOST:PORT"
    ) -> None:
        super().__init__(
            f"cannot listen on {address}: {problem}; "
            f"choose another with {option} (port 0 takes a free one)"
        )
        self.address = address


class StateError(MycorrizalError):
    """The state directory can't be used."""


class DiscoveryError(MycorrizalError):
    """A way of discovery could find nothing out."""


# -- wire ---------------------------------------------------------------------


class ProtocolError(MycorrizalError):
    """The wire protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We tried to send what the protocol does not allow; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol; its link is dropped."""


class AuthenticationError(MycorrizalError):
    """A peer refused us, or could not prove that it knows the secret."""


class NotGranted(MycorrizalError):
    """
    A client asked for what its key has no grant for; nothing was done.

    :ivar grant: The grant that it takes, as ``CACHE:sessions:WRITE``.
    """

    def __init__(self, who: str, grant: str) -> None:
        super().__init__(
            f"{who} has no grant {grant}; it is given in the nodes' client_keys_file"
        )
        self.grant = grant


class DuplicateNodeId(MycorrizalError):
    """
    Another live node has our node id.

    :ivar node_id: The id.
    :ivar addresses: Our address and the other's, as ``HOST:PORT``.
    """

    def __init__(self, node_id: str, ours: str, other: str) -> None:
        super().__init__(
            f"node id {node_id!r} is used twice: by this node at {ours} and by "
            f"a live node at {other}; give one of them another --node-id"
        )
        self.node_id = node_id
        self.addresses = (ours, other)


# -- messages -----------------------------------------------------------------


class PeerUnreachable(MycorrizalError):
    """
    Nothing can be sent to these nodes: unknown, dead, or not linked.

    :ivar node_ids: The nodes that did not get the message.
    """

    def __init__(self, node_ids: Sequence[str]) -> None:
        self.node_ids = tuple(node_ids)
        super().__init__(f"no link to {', '.join(self.node_ids) or 'any peer'}")


class PeerBusy(MycorrizalError):
    """
    The queue to a peer is full, or the peer's own; try again later.

    :ivar node_ids: The nodes whose queue is full; they did not get the message.
    """

    def __init__(self, node_ids: Sequence[str]) -> None:
        self.node_ids = tuple(node_ids)
        super().__init__(f"the queue to {', '.join(self.node_ids)} is full")


class MessageTooLarge(MycorrizalError):
    """
    A message is longer than 64 MiB.

    :ivar size_bytes: The message's size.
    :ivar limit_bytes: The largest size that can be sent.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"a message of {size_bytes} bytes is over the limit of {limit_bytes}"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class ApplicationError(MycorrizalError):
    """
    Something about a registered application.

    :ivar application_id: The application's id.
    """

    def __init__(self, application_id: str, problem: str) -> None:
        super().__init__(f"application {application_id!r} {problem}")
        self.application_id = application_id


class DuplicateApplication(ApplicationError):
    """The id is registered on this node already."""

    def __init__(self, application_id: str) -> None:
        super().__init__(application_id, "is registered already")


class UnknownApplication(ApplicationError):
    """No application of that id is registered (here, or at the peer asked)."""

    def __init__(self, application_id: str, where: str = "here") -> None:
        super().__init__(application_id, f"is not registered {where}")


class CallError(MycorrizalError):
    """A request got no answer that can be used."""


class CallTimeout(CallError):
    """
    No answer within the time; the peer may or may not have acted on it.

    :ivar timeout_s: The time waited, in seconds.
    """

    def __init__(self, node_id: str, timeout_s: float) -> None:
        super().__init__(f"{node_id} did not answer within {timeout_s:g} s")
        self.node_id = node_id
        self.timeout_s = timeout_s


class RemoteFailure(CallError):
    """The peer's function raised an error, whose text this one carries."""


class LinkLost(CallError):
    """The link closed before the answer came; the peer may have acted."""

    def __init__(self, node_id: str) -> None:
        super().__init__(f"the link to {node_id} closed before it answered")
        self.node_id = node_id


# -- cache --------------------------------------------------------------------


class CacheError(MycorrizalError):
    """A cache call could not be done."""


class UnknownBucket(CacheError):
    """
    No bucket of that name exists in the cluster.

    :ivar bucket: The name.
    """

    def __init__(self, bucket: str) -> None:
        super().__init__(f"no bucket {bucket!r}; create it with create_bucket")
        self.bucket = bucket


class BucketConflict(CacheError):
    """
    A bucket of that name exists with other settings.

    :ivar bucket: The name.
    """

    def __init__(self, bucket: str, difference: str) -> None:
        super().__init__(f"bucket {bucket!r} exists with other settings ({difference})")
        self.bucket = bucket


class InvalidKey(CacheError):
    """A key is neither text nor bytes, or text that UTF-8 can't hold."""


class KeyTooLarge(CacheError):
    """A key is empty or longer than the limit."""


class ValueTooLarge(CacheError):
    """
    A value is longer than the limit.

    :ivar size_bytes: The value's size.
    :ivar limit_bytes: The largest size that can be stored.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"a value of {size_bytes} bytes is over the limit of {limit_bytes}"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class LoadFailed(CacheError):
    """
    Somebody else loaded the value that was waited for, and its loader failed.
    Whoever called that loader got the error itself.

    :ivar bucket: The bucket's name.
    :ivar problem: The error's kind and text.
    """

    def __init__(self, bucket: str, problem: str) -> None:
        super().__init__(f"the loader of a value of {bucket!r} failed: {problem}")
        self.bucket = bucket
        self.problem = problem


class TooManyLoads(CacheError):
    """
    So many loads are under way, or wait, at one node that it takes no more;
    nothing was loaded.
    """


class CacheBusy(CacheError):
    """
    Too many operations are under way, here or at the node that owns the key.
    This one was not begun: wait for some of the others, then try again.

    :ivar limit: How many may be under way.
    """

    def __init__(self, where: str, limit: int) -> None:
        super().__init__(
            f"{limit} operations are under way {where}; this one was not begun: "
            "wait for some of them before you begin more"
        )
        self.limit = limit


class CodecError(CacheError):
    """A bucket's codec can't make bytes of a value, or a value of bytes."""


class Indeterminate(CacheError):
    """
    It can't be known whether the call took effect: its time ran out, or the
    node that was asked died.  Reading the key tells.
    """


class CacheUnavailable(CacheError):
    """
    No node that could have done the call was reached in time: it was not done,
    and won't be.
    """


class Degraded(CacheError):
    """
    A value was written, but fewer nodes hold it than the caller demanded:
    there are not as many members.

    :ivar copies: How many nodes hold it.
    :ivar wanted: How many were demanded.
    """

    def __init__(self, copies: int, wanted: int) -> None:
        nodes = "1 node holds" if copies == 1 else f"{copies} nodes hold"
        super().__init__(f"written, but {nodes} it, not {wanted}: members are missing")
        self.copies = copies
        self.wanted = wanted


class LastInService(CacheError):
    """
    A node can't be drained: no other one is there, or all that are leave or
    are drained, so that nobody would hold what it holds.

    :ivar node_id: The node's id.
    """

    def __init__(self, node_id: str) -> None:
        super().__init__(
            f"{node_id} is the only node in service, and nobody could take what it "
            "holds; start another node, or bring one back with "
            "`pulse drain NODE --undo`"
        )
        self.node_id = node_id


class PartialFailure(CacheError):
    """
    A bulk call was done for some of its keys and not for others.

    :ivar done: What the call would have fired with, of the keys it was done for.
    :ivar failed: The error of each other key.
    """

    def __init__(
        self,
        done: Mapping[str | bytes, object],
        failed: Mapping[str | bytes, MycorrizalError],
    ) -> None:
        key, error = next(iter(failed.items()))
        super().__init__(
            f"{len(failed)} of {len(done) + len(failed)} keys failed, the first "
            f"{key!r}: {error}"
        )
        self.done = done
        self.failed = failed
