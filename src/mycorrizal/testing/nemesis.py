# -*- test-case-name: tests.testing.test_nemesis -*-
"""
What makes a plan's faults happen, and undoes them all at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import attrs

from mycorrizal.config import Config
from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.service import Mycorrizal
from mycorrizal.testing import profiles as kinds
from mycorrizal.testing.arena import NODES_MAX, Arena
from mycorrizal.testing.cluster import SECRET
from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.host import Farewell, HostState
from mycorrizal.testing.meddler import Meddler
from mycorrizal.testing.plans import Fault, changes_members
from mycorrizal.testing.tls import SimTls

#: A pause as long as this may be taken for a death, in seconds.
PAUSE_SPLITS_S: Final = 4.0
#: Cuts of one pair follow each other after this, so that together they are no
#: longer than each.
CUT_REST_S: Final = 8.0
#: Soon after its wall clock was set, a process is woken by its watchdog.
NOTICED_S: Final = 0.3
#: How often a patient fault looks whether it may happen now.
PATIENCE_S: Final = 0.25
#: Who has just stopped is looked at before it comes back.
SOON_S: Final = 0.01
#: The secret of those who do not know the cluster's.
WRONG_SECRET: Final = new_secret(b"what somebody else would guess!!")


class Nemesis:
    """
    The bad weather of one storm.

    :param patient: Faults that change members wait for each other.
    :param died: Called with the number of each node just before it dies.
    :ivar raising: Node ids whose applications fail on each message.
    :ivar strangers: Nodes that do not know the secret.
    :ivar happened: How many faults of each kind there were.
    """

    def __init__(
        self,
        arena: Arena,
        conditions: Conditions,
        *,
        patient: bool,
        raising: set[str],
        died: Callable[[int], object],
    ) -> None:
        self.arena = arena
        self.conditions = conditions
        self.raising = raising
        self.strangers: list[Mycorrizal] = []
        self.happened: dict[str, int] = {}
        self.problems: list[tuple[str, str]] = []
        self.over = False
        self._patient = patient
        self._died = died
        self._cut_at: dict[frozenset[int], float] = {}
        self._names: dict[str, Any] = {}
        self._partitions = 0
        self._verbs: dict[str, Callable[[Fault], bool]] = {
            kinds.CRASH: self._crash,
            kinds.PAUSE: self._pause,
            kinds.PARTITION: self._partition,
            kinds.CUT: self._cut,
            kinds.CLOCK: self._clock,
            kinds.DRIFT: self._drift,
            kinds.RESTART: self._restart,
            kinds.LEAVE: self._leave,
            kinds.JOIN: self._join,
            kinds.SLOW: self._slow,
            kinds.LOSSY: self._lossy,
            kinds.NAMES: self._lose_names,
            kinds.RAISING: self._raise,
            kinds.STRANGER: self._stranger,
            kinds.MEDDLER: self._meddle,
        }

    def begin(self, faults: Iterable[Fault]) -> None:
        """Let the faults happen, each at its time from now."""
        for fault in faults:
            self.arena.world.later(fault.at_s, self._happen, fault)

    def _happen(self, fault: Fault) -> None:
        if self.over:
            return
        if self._patient and changes_members(fault) and not self._may_change(fault):
            self.arena.world.later(PATIENCE_S, self._happen, fault)
        elif self._verbs[fault.kind](fault):
            self.happened[fault.kind] = self.happened.get(fault.kind, 0) + 1

    def _may_change(self, fault: Fault) -> bool:
        arena = self.arena
        if arena.leaving or not arena.converged():
            return False
        died = [number for number in arena.down if number in arena.crashed]
        return fault.kind != kinds.CRASH or len(died) < self.conditions.replicas

    def _later(self, delay_s: float, call: Callable[..., object], *of: Any) -> None:
        self.arena.world.later(delay_s, call, *of)

    def _number(self, fault: Fault, place: int = 0) -> int:
        return fault.nodes[place] % len(self.arena)

    # -- who is there ---------------------------------------------------------

    def _crash(self, fault: Fault) -> bool:
        arena, number = self.arena, self._number(fault)
        if not arena.live(number) or (self._patient and len(arena.running) < 2):
            return False
        self.kill(number, cast(Farewell, fault.how))
        self._later(fault.for_s, self._revive, number)
        return True

    def kill(self, number: int, how: Farewell = "reset") -> None:
        """Let a node die."""
        arena, now = self.arena, self.arena.world.now_s
        if arena.converged():
            self.conditions.well(now, self._staying())
        self._died(number)
        arena.crash(number, how)
        self.conditions.died(now)

    def _revive(self, number: int) -> None:
        if not self.arena.live(number) and number not in self.arena.gone:
            self.arena.restart(number)

    def _restart(self, fault: Fault) -> bool:
        number = self._number(fault)
        if not self._may_stop(number):
            return False
        self._stop(number, lambda: self._come_back(number, fault.for_s))
        return True

    def _come_back(self, number: int, after_s: float) -> None:
        # Who was still stopping when all was undone waits no longer.
        self._later(SOON_S if self.over else after_s, self._revive, number)

    def _leave(self, fault: Fault) -> bool:
        number = self._number(fault)
        # Newcomers find the others by way of those of the beginning.
        known = self.arena.seeds - self.arena.gone - {number}
        if not self._may_stop(number) or self._staying() < 3 or not known:
            return False
        self.arena.gone.add(number)
        self._stop(number, lambda: None)
        return True

    def _may_stop(self, number: int) -> bool:
        return self.arena.awake(number) and self._staying() >= 2

    def _staying(self) -> int:
        return len(self.arena.running) - len(self.arena.leaving)

    def _stop(self, number: int, then: Callable[[], object]) -> None:
        node = self.arena[number]
        # Whoever has just joined may not have met it yet.
        alone = not node.nodosum.membership.members()

        def stopped() -> None:
            if alone or self.conditions.splits.since is not None:
                # Those to whom it should have handed over may be cut off.
                self.conditions.died(self.arena.world.now_s)
            self._later(0.001, self._look_after, number, node)
            then()

        self.arena.leave(number, stopped)
        # From now on it hands over to those who stay.
        self.conditions.left(self._staying())

    def _look_after(self, number: int, node: Mycorrizal) -> None:
        if self.arena[number] is node and not self.arena.live(number):
            for text in self.arena.left_over(number):
                self.problems.append(("shutdown", f"after it stopped: {text}"))

    def _join(self, fault: Fault) -> bool:
        if len(self.arena) >= NODES_MAX:
            return False
        self.arena.add()
        return True

    def _pause(self, fault: Fault) -> bool:
        number = self._number(fault)
        if not self.arena.awake(number):
            return False
        host, life = self.arena.hosts[number], self.arena.lives[number]
        now = self.arena.world.now_s
        self.conditions.pauses.append((now, now + fault.for_s))
        if fault.for_s >= PAUSE_SPLITS_S:
            self.conditions.split(fault, now)
        host.pause()
        self._later(fault.for_s, self._go_on, number, life, fault)
        return True

    def _go_on(self, number: int, life: int, fault: Fault) -> None:
        self.conditions.mended(fault)
        host = self.arena.hosts[number]
        if self.arena.lives[number] == life and host.state is HostState.PAUSED:
            host.resume()

    # -- the network ----------------------------------------------------------

    def _partition(self, fault: Fault) -> bool:
        world, hosts = self.arena.world, self.arena.hosts
        if len(hosts) < 2:
            return False
        members = [number % len(hosts) for number in fault.nodes]
        half = list(dict.fromkeys(members))[: max(1, len(hosts) // 2)]
        here = [hosts[number] for number in half]
        there = [host for host in hosts if host not in here]
        if fault.how == "halves":
            world.partition(here, there)
        elif fault.how == "isolate":
            world.partition(here[:1], [host for host in hosts if host is not here[0]])
        elif fault.how == "ring":
            world.ring()
        elif fault.how == "chain":
            world.chain()
        else:
            for a in here:
                for b in there:
                    world.cut(a, b, one_way=True)
        self._partitions += 1
        self.conditions.split(fault, world.now_s)
        self._later(fault.for_s, self._heal, fault, self._partitions)
        return True

    def _heal(self, fault: Fault, count: int) -> None:
        self.conditions.mended(fault)
        if count == self._partitions:
            # Otherwise another one has begun meanwhile, which heals it.
            self.arena.world.heal()

    def _pair(self, fault: Fault) -> tuple[int, int] | None:
        a, b = self._number(fault), self._number(fault, 1)
        return None if a == b else (a, b)

    def _cut(self, fault: Fault) -> bool:
        pair, now = self._pair(fault), self.arena.world.now_s
        if pair is None:
            return False
        cut_at = self._cut_at.get(frozenset(pair), float("-inf"))
        if now - cut_at < CUT_REST_S:
            return False
        self._cut_at[frozenset(pair)] = now + fault.for_s
        a, b = (self.arena.hosts[number] for number in pair)
        self.arena.world.cut(a, b, one_way=fault.how == "one-way")
        self._later(fault.for_s, self.arena.world.heal, a, b)
        return True

    def _slow(self, fault: Fault) -> bool:
        pair = self._pair(fault)
        if pair is None:
            return False
        a, b = (self.arena.hosts[number] for number in pair)
        self.arena.world.slow(a, b, fault.strength)
        self._later(fault.for_s, self.arena.world.slow, a, b, None)
        return True

    def _lossy(self, fault: Fault) -> bool:
        pair = self._pair(fault)
        if pair is None:
            return False
        a, b = (self.arena.hosts[number] for number in pair)
        self.arena.world.lossy(a, b, fault.strength)
        self._later(fault.for_s, self.arena.world.lossy, a, b, None)
        return True

    def _lose_names(self, fault: Fault) -> bool:
        names = self.arena.world.names
        for host in self.arena.hosts:
            if host.name in names:
                self._names[host.name] = names.pop(host.name)
        self._later(fault.for_s, self._find_names)
        return bool(self._names)

    def _find_names(self) -> None:
        self.arena.world.names.update(self._names)
        self._names.clear()

    def _meddle(self, fault: Fault) -> bool:
        pair, arena = self._pair(fault), self.arena
        if pair is None:
            return False

        def ready() -> bool:
            # Whoever is just starting gives up when all refuse it.
            return all(map(arena.awake, pair))

        if not ready():
            return False
        a, b = (arena.hosts[number] for number in pair)
        # Without their link, operations under way are tried again elsewhere.
        arena.changes.append(arena.world.now_s)
        arena.world.rewrite(a, b, Meddler(fault.how, ready).rewrite)
        arena.world.reset(a, b)
        self._later(fault.for_s, arena.world.rewrite, a, b, None)
        return True

    # -- clocks, applications, strangers --------------------------------------

    def _clock(self, fault: Fault) -> bool:
        host = self.arena.hosts[self._number(fault)]
        host.jump_wall(fault.strength)
        reactor, runtime = host.reactor, host.runtime
        # There are no threads here, and so nobody else to notice it.
        self._later(NOTICED_S, reactor.perform, lambda _: runtime.poke())
        return True

    def _drift(self, fault: Fault) -> bool:
        self.arena.hosts[self._number(fault)].drift_ppm = int(fault.strength)
        return True

    def _raise(self, fault: Fault) -> bool:
        node_id = self.arena[self._number(fault)].node_id
        self.raising.add(node_id)
        self._later(fault.for_s, self.raising.discard, node_id)
        return True

    def _stranger(self, fault: Fault) -> bool:
        name = f"stranger{len(self.strangers)}"
        host = self.arena.world.host(name, f"10.9.0.{len(self.strangers) + 1}")
        host.runtime.tls = SimTls()
        config = Config(
            listen=host.address,
            node_id=name,
            host=name,
            secret=WRONG_SECRET,
            static=[it.address for it in self.arena.hosts],
        )
        stranger = Mycorrizal(host.reactor, config)
        if fault.nodes[0] % 2:
            # An impostor: all it lacks is what nodes prove themselves by.
            ring, known = (
                stranger.nodosum.config.keys,
                derive_key(SECRET, config.cluster_name),
            )
            ring.keys = (attrs.evolve(known, node=ring.first.node),)
            ring.by_id = {key.key_id: key for key in ring.keys}
        stranger.when_ready().addErrback(lambda _: None)
        self.strangers.append(stranger)
        host.reactor.perform(lambda _: stranger.startService())
        self._later(fault.for_s, self._send_away, stranger)
        return True

    def _send_away(self, stranger: Mycorrizal) -> None:
        if stranger.running:
            stranger.runtime.reactor.perform(lambda _: stranger.stopService())

    # -- the end --------------------------------------------------------------

    def calm(self) -> None:
        """Undo everything: from now on all is well."""
        self.over = True
        arena = self.arena
        world = arena.world
        world.heal()
        for a in arena.hosts:
            for b in arena.hosts:
                if a is not b:
                    world.slow(a, b, None)
                    world.lossy(a, b, None)
                    world.rewrite(a, b, None)
        self._find_names()
        self.raising.clear()
        for stranger in self.strangers:
            self._send_away(stranger)
        for number, host in enumerate(arena.hosts):
            if host.state is HostState.PAUSED:
                host.resume()
            if number not in arena.leaving:
                self._revive(number)
        self.conditions.all_mended()
