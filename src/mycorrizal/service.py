# -*- test-case-name: tests.test_service,tests.test_service_stop -*-
"""
A whole node: composes the layers, and stops them in order.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal import restarts
from mycorrizal.clock import HybridClock
from mycorrizal.config import Config, nodosum_settings
from mycorrizal.errors import DuplicateNodeId, NotRunning, StateError
from mycorrizal.forking import ForkGuard
from mycorrizal.keys import read_ring
from mycorrizal.mycel import BucketSettings, Cache, MycelConfig, MycelService
from mycorrizal.nodosum import (
    Application,
    IDiscovery,
    MemberEvent,
    Node,
    NodosumService,
    PkiTls,
    Readiness,
    discoveries_of,
    tls_of,
)
from mycorrizal.pulse.server import PulseServer
from mycorrizal.pulse.web.wiring import http_of
from mycorrizal.runtime import Runtime
from mycorrizal.secret_file import SecretFile
from mycorrizal.state import NodeState, cluster_directory
from mycorrizal.tls_options import pki_settings
from mycorrizal.version import __version__
from mycorrizal.watchdog import Watchdog, watch

#: After closing by force nothing is waited for any longer than this.
FORCED_S = 1.0


class Mycorrizal(MultiService):
    """
    One node of a cluster, to be put in a Twisted application.

    Its children are named ``nodosum`` (the cluster) and ``mycel`` (the cache).
    It is started once, and not again after it was stopped.

    :param reactor: The reactor that runs it.
    :ivar leave_func: What ``pulse leave`` calls; by default it is stopped, and
        the process goes on.
    :ivar left: After a stop: how many values of which bucket were not handed
        over in time.
    :raises ConfigError: A setting is wrong, or there is no secret.
    :raises StateError: The state directory can't be used.
    """

    _log = Logger()

    def __init__(self, reactor: Any, config: Config) -> None:
        super().__init__()
        self.setName("mycorrizal")
        self.config = config
        self.runtime = runtime = Runtime.of(reactor)
        self._state: NodeState | None = None
        keys = read_ring(config, runtime)
        settings = nodosum_settings(config, keys)
        # What they refuse is refused before the state directory is taken.
        discoveries = discoveries_of(runtime, settings)
        self._tls = tls_of(runtime, pki_settings(config))
        node_id, incarnation = self._identity()
        settings = attrs.evolve(settings, start_pause_s=self._start_pause_s())
        self._keys = keys
        host = config.host if config.host is not None else platform.node()
        self._readiness = Readiness()
        self._closed: Readiness | None = None
        self._over = False
        self.nodosum = NodosumService(
            runtime,
            settings,
            node_id=node_id,
            incarnation=incarnation,
            host=host,
            version=__version__,
            tls=self._tls,
            clock=HybridClock(runtime.wall),
        )
        for discovery in discoveries:
            self.nodosum.add_discovery(discovery)
        self.nodosum.incarnation_changed = self._incarnation_changed
        self.mycel = MycelService(
            self.nodosum, MycelConfig(buckets=config.buckets), host=host
        )
        self._watchdog: Watchdog | None = None
        self.leave_func: Callable[[], object] = self.stopService
        self.left: dict[str, int] = {}
        store = SecretFile(config, self.reload)
        self._pulse = PulseServer(
            self.nodosum, self.mycel, lambda: self.leave_func(), store
        )
        self.http = http_of(config, self.nodosum, self.mycel)
        if self.http is not None:
            self.http.setServiceParent(self)
        self.mycel.setServiceParent(self)
        self.nodosum.setServiceParent(self)
        ForkGuard(self).setServiceParent(self)

    def _identity(self) -> tuple[str, int]:
        config, runtime = self.config, self.runtime
        wall_ms = int(runtime.wall() * 1000)
        port = config.listen[1]
        if config.state_dir is None or not port:
            # Nothing would tell a node with any port from the next one.
            return config.node_id or runtime.new_id(), wall_ms
        directory = cluster_directory(Path(config.state_dir), config.cluster_name)
        self._state = NodeState(directory / str(port))
        try:
            return self._state.begin(config.node_id, wall_ms, runtime.new_id)
        except Exception:
            self._state.close()
            raise

    def _start_pause_s(self) -> float:
        return 0.0 if self._state is None else restarts.pause_s(self._state.starts)

    def _incarnation_changed(self, incarnation: int) -> None:
        if self._state is None:
            return
        try:
            self._state.store(self.node_id, incarnation)
        except StateError as error:
            # The next life begins at the wall clock, which is enough unless
            # that goes back: no reason to stop this one.
            self._log.error("{problem}", problem=str(error))

    # -- the API ----------------------------------------------------------------

    @property
    def node_id(self) -> str:
        """This node's id."""
        return self.nodosum.me.node_id

    @property
    def address(self) -> str:
        """Where others reach this node, ``HOST:PORT``; known once started."""
        return self.nodosum.node.address

    @property
    def fingerprint(self) -> str:
        """Of the secret that signs: eight digits to compare it by."""
        return self._keys.first.fingerprint

    def reload(self) -> str:
        """
        Read the files of secrets and certificates again.  Links that are made
        from now on use what is there; those that are there are renewed in time.

        :return: What is in force now, as part of a sentence.
        :raises ConfigError: Something can't be used; all is as it was.
        """
        ring = read_ring(self.config, self.runtime, self._keys)
        sentence = ring.sentence
        if isinstance(self._tls, PkiTls):
            self._tls.reload()
            ends = self._tls.certificate.not_valid_after_utc
            sentence += f"; certificate valid until {ends:%Y-%m-%d %H:%M} UTC"
        self._keys.replace(ring.keys, ring.clients.values())
        return sentence

    def nodes(self) -> tuple[Node, ...]:
        """This node and all that it knows, by id, with their states."""
        return self.nodosum.nodes()

    def cache(self) -> Cache:
        """The distributed cache."""
        return self.mycel.cache

    def register_application(self, application_id: str) -> Application:
        """
        Register an application, which talks to those of its id elsewhere.

        :param application_id: 1 to 64 of ``A-Za-z0-9._-``.
        :raises DuplicateApplication: The id is taken on this node.
        """
        return self.nodosum.applications.register(application_id)

    def get_application(self, application_id: str) -> Application:
        """
        An application that was registered.

        :raises UnknownApplication: There is none of that id on this node.
        """
        return self.nodosum.applications.get(application_id)

    def add_discovery(self, discovery: IDiscovery) -> None:
        """
        Look for other nodes in one more way, besides those of the settings; a
        node that runs alone on purpose does not.

        :param discovery: Provides `IDiscovery`; best added before the start,
            as a node is ready only when each way has answered once.
        """
        self.nodosum.add_discovery(discovery)

    def subscribe(self, receive: Callable[[MemberEvent], object]) -> Callable[[], None]:
        """
        Be told when members join, leave or die.

        :param receive: Called with `MemberJoined`, `MemberLeft` or
            `MemberDied`, in order.
        :return: Ends this subscription, and no other of the same function.
        """
        return self.nodosum.subscribe(receive)

    @property
    def ready(self) -> bool:
        """Whether `when_ready` has fired, and the node was not stopped."""
        return self._readiness.ready

    def safe_to_stop(self) -> bool:
        """
        Whether the cache loses nothing if this process ends now, however it
        ends: no copy is known to be missing, and nothing is here alone.  Ask
        before you stop the next node of a rolling restart the hard way;
        `stopService` hands over in any case.
        """
        return self.mycel.safe_to_stop()

    def when_ready(self) -> Deferred[None]:
        """
        Wait until the node is ready.

        :return: Fires with None when the ports are open and each address of
            ``static`` is a linked member whose tables are here, or has been
            silent for 3 s; alone counts as ready.  Fails with `NotReady`,
            `AuthenticationError` (all who answered refused us),
            `DuplicateNodeId`, `CannotListen` or `NotRunning`.
        """
        return self._readiness.when_ready()

    # -- life -------------------------------------------------------------------

    def startService(self) -> None:
        """
        Open the ports and begin to look for others; see `when_ready`.

        :raises CannotListen: A port is taken.
        :raises NotRunning: It was stopped, or could not be started, before.
        """
        if self._over:
            raise NotRunning("the node", "was stopped; make a new one to start again")
        if self.running:
            return
        try:
            super().startService()
        except Exception:
            self._over, self.running = True, 0
            self._readiness.failed(Failure())
            self.mycel.stopService()
            if self.http is not None:
                self.http.stopService()
            self._release()
            self.runtime.rearm()
            raise
        self._watchdog = watch(self.runtime, self.config.watchdog_s)
        self.nodosum.readiness.when_ready().addCallbacks(self._linked, self._not_linked)

    def _linked(self, _: object) -> None:
        buckets = [self._create_bucket(bucket) for bucket in self.config.buckets]
        gatherResults(buckets).addCallbacks(
            lambda _: self._readiness.succeeded(), self._readiness.failed
        )

    def _not_linked(self, failure: Failure) -> None:
        if failure.check(DuplicateNodeId) and self._state is not None:
            try:
                self._state.give_up_id(self.nodosum.me.incarnation)
            except StateError as error:
                self._log.error("{problem}", problem=str(error))
        self._readiness.failed(failure)

    def _create_bucket(self, bucket: BucketSettings) -> Deferred[None]:
        created = self.cache().create_bucket(
            bucket.name,
            ttl_s=bucket.ttl_s,
            max_entries=bucket.max_entries,
            max_bytes=bucket.max_bytes,
            replicas=bucket.replicas,
            write=bucket.write,
        )
        return created.addErrback(self._bucket_failed)

    def _bucket_failed(self, failure: Failure) -> None:
        # The cluster's settings are in force; this node can do without its own.
        if not self.running:
            return
        self._log.error("{problem}", problem=failure.getErrorMessage())

    def stopService(self) -> Deferred[None]:
        """
        Hand over the cache, leave the cluster and close everything.

        Until a link is closed applications receive what comes on it, and
        nothing after that.

        :return: Fires when nothing is left: no connection, port, timer or
            unfired Deferred.  After ``stop_timeout_s`` it closes by force.
            Fails with `Forked` in a fork of the node's process.
        """
        if self._closed is None and self.runtime.forked:
            return fail(self.runtime.not_running())
        if self._closed is None:
            self._over = True
            self._closed = closed = Readiness()
            self._readiness.ended(Failure(NotRunning()))
            self._stop(closed)
        return self._closed.when_ready()

    def disown(self) -> None:
        """
        Let go of all that is open, without a word: this process was forked from
        the one that the node runs in.  `ForkGuard` calls this.
        """
        self.nodosum.disown()
        self.mycel.cache.running = False
        if self.http is not None:
            self.http.disown()
        self._release()

    def _stop(self, closed: Readiness) -> None:
        timeout_s = self.config.stop_timeout_s
        runtime = self.runtime
        drained = self.mycel.drain()
        hand_over = runtime.call_later(timeout_s * 0.8, drained.cancel)
        by_force = runtime.call_later(timeout_s, self._stop_by_force)
        give_up_s = timeout_s + FORCED_S
        give_up = runtime.call_later(give_up_s, lambda: finish(None))

        def leave(result: object) -> Deferred[Any]:
            hand_over.cancel()
            if isinstance(result, Failure):
                self.left = self.mycel.not_handed_over()
                self._log.error(
                    "Not all of the cache was handed over within {timeout_s:g} s: "
                    "left {left}",
                    timeout_s=timeout_s * 0.8,
                    left=", ".join(f"{n} of {name}" for name, n in self.left.items())
                    or "nothing that is known",
                )
            self.mycel.stopService()
            served = None if self.http is None else self.http.stopService()
            return self.nodosum.stopService().addCallback(lambda _: served)

        def finish(result: object) -> None:
            for timer in (hand_over, by_force, give_up):
                timer.cancel()
            if not closed.pending:
                return
            if isinstance(result, Failure):
                self._log.failure("Not all of the node could be stopped", result)
            self.running = 0
            self._release()
            closed.succeeded()

        drained.addBoth(leave).addBoth(finish)

    def _stop_by_force(self) -> None:
        dropped = self.nodosum.mesh.abort()
        self._log.error(
            "Not stopped within {timeout_s} s: dropped {dropped} connections",
            timeout_s=self.config.stop_timeout_s,
            dropped=dropped,
        )

    def _release(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        # All timers are cancelled: no alarm is left for them.
        self.runtime.rearm()
        if self._state is not None:
            self._state.close()
