# -*- test-case-name: tests.testing.test_storm -*-
"""
One seed of the swarm: form, storm, quiet, converge, shut down.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import attrs
from twisted.logger import globalLogPublisher

from mycorrizal.service import Mycorrizal
from mycorrizal.testing.arena import Arena
from mycorrizal.testing.canaries import planted
from mycorrizal.testing.checkers import copies_are_wrong, views_differ
from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.history import History, Operation, operations
from mycorrizal.testing.nemesis import Nemesis
from mycorrizal.testing.plans import Fault, Plan, draw_plan
from mycorrizal.testing.postbox import Postbox
from mycorrizal.testing.profiles import PROFILES
from mycorrizal.testing.sometimes import (
    DEAD_ALIVE,
    EVICTED,
    EVICTED_COPY,
    INDETERMINATE,
    REWRITTEN,
    Sometimes,
)
from mycorrizal.testing.verdicts import judge
from mycorrizal.testing.watch import Watch
from mycorrizal.testing.workload import (
    BRIEF,
    BRIEF_TTL_S,
    EXTRA,
    KEYS,
    MAIN,
    SMALL,
    Workload,
)

#: Nodes find each other within this.
FORM_S = 30.0
#: What nodes that are being stopped, and operations under way, may take.
END_S = 15.0
#: Once all is well, this is how long it takes until nothing moves any more.
CONVERGE_S = 30.0
#: Pauses while it is looked whether it has.
_STEP_S = 0.25


@attrs.frozen
class Finding:
    """
    Something that should hold and does not.

    :ivar t: When it was seen, in seconds since the world began.
    """

    t: float
    invariant: str
    text: str


@attrs.frozen
class Report:
    """
    What became of one seed.

    :ivar findings: Invariants that its profile asserts and that did not hold.
    :ivar tolerated: How often others did not hold, by invariant.
    :ivar judged: Operations held to the promises of quiet times.
    :ivar excluded: Operations under way while the cluster was split.
    :ivar sometimes: What happened, and how often.
    :ivar story: The last events, if there are findings.
    """

    seed: int
    profile: str
    simulated_s: float
    operations: int
    judged: int
    excluded: int
    findings: tuple[Finding, ...]
    tolerated: dict[str, int]
    outcomes: dict[str, int]
    faults: dict[str, int]
    sometimes: dict[str, int]
    digest: str
    story: str


class Storm:
    """
    One seed's world, from the first node to the last.

    :param faults: In place of those that the seed drew, to try fewer.
    :param until: Stop at that time, and report what was found by then.
    """

    def __init__(
        self,
        seed: int,
        profile: str,
        *,
        faults: Sequence[Fault] | None = None,
        until: float | None = None,
    ) -> None:
        plan = draw_plan(seed, profile)
        if faults is not None:
            plan = attrs.evolve(plan, faults=tuple(faults))
        self.plan: Plan = plan
        self.profile = PROFILES[profile]
        self.until = float("inf") if until is None else until
        self.history = History()
        self.sometimes = Sometimes()
        self.conditions = Conditions(plan.replicas)
        self.postbox = Postbox()
        self.watch = Watch(self._arena, self.conditions)
        self._new: list[Mycorrizal] = []
        self.workload: Workload | None = None
        self.arena: Arena = Arena(plan, self._set_up)
        self.conditions.upset = self.arena.upset
        self.workload = Workload(
            self.arena, plan, self.history, self.postbox, self.watch.acknowledged
        )
        for node in self._new:
            self.workload.set_up(node)
        self.nemesis = Nemesis(
            self.arena,
            self.conditions,
            patient=self.profile.patient,
            raising=self.postbox.raising,
            died=self.workload.lost,
        )

    def _arena(self) -> Arena:
        return self.arena

    def _set_up(self, node: Mycorrizal, life: int) -> None:
        self.postbox.set_up(node, life)
        self.watch.set_up(node)
        self.sometimes.set_up(node, life)
        if self.workload is None:
            self._new.append(node)
        else:
            self.workload.set_up(node)

    def _logged(self, event: dict[str, Any]) -> None:
        self.watch.logged(event)
        self.sometimes.logged(str(event.get("log_format") or ""))

    # -- phases ---------------------------------------------------------------

    def run(self) -> Report:
        """Go through all of it."""
        found: list[Operation] = []
        observer: Any = self._logged
        globalLogPublisher.addObserver(observer)
        try:
            try:
                self._form()
                self._storm()
                self._quiet()
                self._read_all()
            except AssertionError as error:
                # Time is over, or a world that never ends.
                self.watch.problem("views", str(error).partition("\n")[0])
            found = operations(self.history.records)
            story = "\n".join(self.arena.world.trace())
            digest = self.arena.world.digest()
            self.sometimes.look_back(self.arena.nodes)
            self._close()
            gc.collect()
        finally:
            globalLogPublisher.removeObserver(observer)
        return self._report(found, digest, story)

    @property
    def cut_short(self) -> bool:
        """Whether the time to stop has come."""
        return self.arena.world.now_s >= self.until

    def _advance(self, seconds: float) -> None:
        left_s = self.until - self.arena.world.now_s
        self.arena.advance(max(0.0, min(seconds, left_s)))

    def _form(self) -> None:
        arena, replicas = self.arena, self.plan.replicas
        for number in range(len(arena)):
            arena.start(number)
        arena.until(arena.converged, FORM_S)
        cache, (entries_max, bytes_max) = arena[0].cache(), self.plan.room
        for made in (
            cache.create_bucket(MAIN, max_entries=100_000, replicas=replicas),
            cache.create_bucket(
                BRIEF, ttl_s=BRIEF_TTL_S, max_entries=100_000, replicas=replicas
            ),
            cache.create_bucket(
                SMALL, max_entries=entries_max, max_bytes=bytes_max, replicas=replicas
            ),
        ):
            arena.result_of(made)

    def _storm(self) -> None:
        assert self.workload is not None
        self.watch.begin()
        self.workload.begin()
        self.nemesis.begin(self.plan.faults)
        self._advance(self.plan.storm_s)

    def _quiet(self) -> None:
        """The weather is fine, and in time so is everything else."""
        assert self.workload is not None
        arena, workload = self.arena, self.workload
        workload.over = True
        self.nemesis.calm()
        calm_at = arena.world.now_s
        while (arena.leaving or workload.under_way) and not self.cut_short:
            if arena.world.now_s > calm_at + END_S:
                waiting = f"{sorted(arena.leaving)} leave, {len(workload.under_way)}"
                self.watch.problem("time", f"{waiting} operations are under way")
                return
            self._advance(_STEP_S)
        # Who was the last to stop comes back.
        self._advance(_STEP_S)
        while not arena.converged() and not self.cut_short:
            if arena.world.now_s > calm_at + END_S + CONVERGE_S:
                self._not_converged()
                return
            self._advance(_STEP_S)
        # What strays is looked after within a moment.
        self._advance(2 * _STEP_S)
        if not self.cut_short:
            self.watch.look()
            for text in views_differ(arena.running):
                self.watch.problem("views", text)
            for text in copies_are_wrong(arena.running, arena.evictions):
                self.watch.problem("copies", text)

    def _not_converged(self) -> None:
        for node in self.arena.running:
            mycel = node.mycel
            seen = {it.id: it.state for it in node.nodes()}
            self.watch.problem(
                "views",
                f"{node.node_id} (ready {node.ready}) sees {seen}, lacks "
                f"{mycel.under_replicated()}, has left {mycel.moves.dropping.left()}",
            )

    def _read_all(self) -> None:
        assert self.workload is not None
        arena, workload = self.arena, self.workload
        if self.cut_short:
            return
        for number in range(KEYS):
            for bucket in (MAIN, BRIEF, *EXTRA):
                node = workload.one_of([arena.number(it) for it in arena.running])
                if bucket in arena[node].cache().buckets():
                    arena.perform(
                        node,
                        lambda n=node, b=bucket, k=number: workload.read(
                            "last", n, b, f"k{k}"
                        ),  # type: ignore[misc]
                    )
        limit_s = arena.world.now_s + 6
        while workload.under_way and arena.world.now_s < limit_s:
            if self.cut_short:
                return
            self._advance(_STEP_S)
        living = frozenset(
            f"{node.node_id}.{arena.lives[arena.number(node)]}"
            for node in arena.running
        )
        for text in self.postbox.undelivered(living):
            self.watch.problem("delivery", text)
        for node in arena.running:
            if node.mycel.router.under_way or len(node.mycel._writes):
                text = f"{node.node_id} still has operations under way"
                self.watch.problem("bounds", text)

    def _close(self) -> None:
        self.watch.over = True
        if self.cut_short:
            return
        try:
            self.arena.close()
        except AssertionError as error:
            self.watch.problem("shutdown", str(error).partition("\n")[0])

    # -- what came of it ------------------------------------------------------

    def _report(self, found: list[Operation], digest: str, story: str) -> Report:
        now = self.arena.world.now_s
        verdict = judge(found, self.conditions, self.arena.evictions, now)
        problems = [*self.watch.problems, *verdict.problems]
        both = [*self.postbox.problems, *self.nemesis.problems]
        problems += [(now, invariant, text) for invariant, text in both]
        problems += [(now, "errors", text) for text in self._errors()]
        outcomes = Counter(f"{op.op} {op.outcome}" for op in found)
        if "progress" in self.profile.asserted:
            problems += [
                (op.ended, "progress", f"{op} {op.error}")
                for op in found
                if op.outcome == "info"
                and op.error[:9] != "Cancelled"
                # What is under way when the storm is cut short may succeed.
                and op.ended <= now
            ]
        for it in self.arena.evictions:
            self.sometimes.saw(EVICTED if it.led else EVICTED_COPY)
        self.sometimes.saw(REWRITTEN, len(self.arena.world.rewritten))
        self.sometimes.saw(DEAD_ALIVE, sum(it[1] == "life" for it in problems))
        self.sometimes.saw(
            INDETERMINATE, sum(op.error.startswith("Indeterminate") for op in found)
        )
        asserted = self.profile.asserted
        seen = sorted(it for it in problems if it[1] in asserted)
        findings = [Finding(*it) for it in seen]
        tolerated = Counter(it[1] for it in problems if it[1] not in asserted)
        return Report(
            seed=self.plan.seed,
            profile=self.plan.profile,
            simulated_s=now,
            operations=len(found),
            judged=verdict.judged,
            excluded=verdict.excluded,
            findings=tuple(findings),
            tolerated=dict(tolerated),
            outcomes=dict(outcomes),
            faults=dict(self.nemesis.happened),
            sometimes=dict(self.sometimes.counts),
            digest=digest,
            story=story if findings else "",
        )

    def _errors(self) -> list[str]:
        return [it for it in self.arena.world.errors() if "ReceiverFailed" not in it]


def run_seed(
    seed: int,
    profile: str,
    faults: Sequence[Fault] | None = None,
    until: float | None = None,
    canary: str | None = None,
) -> Report:
    """
    Run one seed in one kind of weather.

    :param canary: Plant this bug, to see whether it is found.
    """
    with planted(canary) if canary is not None else nullcontext():
        return Storm(seed, profile, faults=faults, until=until).run()
