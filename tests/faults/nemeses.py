"""
The nemeses: each does its harm again and again, until its time is over.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from itertools import permutations

from tests.faults.cluster import clock_can_be_faked
from tests.faults.namespaces import why_not
from tests.faults.results import BARS_S
from tests.faults.stage import Nemesis, Stage

#: Longer than a silent node is held for alive.
CUT_S = 8.0
#: A pause that is longer may be taken for a death: dead after 5 s.
SHORT_PAUSE_S = 4.0
PAUSE_S_MAX = 20.0
#: Values of 100 bytes, a part of which a node's death leaves with one copy.
FILL_KEYS = 10_000
#: What clocks are set to, from the true time.
CLOCK_STEPS_S = (3600, -3600, 0, 30, -30, 2, -2, 0)


# -- processes ----------------------------------------------------------------


async def crash(stage: Stage) -> None:
    """Kill -9 of one node, and a new start; when all have their copies, again."""
    cluster, kills = stage.cluster, stage.settings.kills
    while stage.faults < kills if kills else stage.goes_on():
        number = stage.random.choice(cluster.numbers)
        since = cluster.log_sizes(cluster.others(number))
        async with stage.fault(f"kill n{number}", partition=False):
            with stage.journal.window("death not seen", partition=False):
                cluster.nodes[number].kill()
                stage.detected("crash", await cluster.seen_dead(number, since))
            await stage.pause(stage.random.uniform(0.0, 1.5))
            cluster.start(number)


async def refill(stage: Stage) -> None:
    """Kill -9 of a node with its share of many keys, until all have two copies."""
    cluster, keys = stage.cluster, [f"fill-{number}" for number in range(FILL_KEYS)]
    await cluster.access.fill(cluster.address(cluster.numbers[0]), keys)
    while stage.goes_on():
        number = stage.random.choice(cluster.numbers)
        others = cluster.others(number)
        since = cluster.log_sizes(others)
        async with stage.fault(f"kill n{number}", partition=False):
            with stage.journal.window("death not seen", partition=False):
                began_at = time.monotonic()
                cluster.nodes[number].kill()
                stage.detected("crash", await cluster.seen_dead(number, since))
            await cluster.settled(numbers=others)
            took_s = round(time.monotonic() - began_at, 2)
            stage.detected("copies back", {f"n{number}": took_s})
            if took_s > BARS_S["copies back"]:
                stage.problems.append(f"copies were back after {took_s} s only")
            found = await cluster.access.count(cluster.address(others[0]), keys)
            if found != FILL_KEYS:
                stage.problems.append(f"{found} of {FILL_KEYS} keys are left")
            cluster.start(number)


async def pause(stage: Stage) -> None:
    """SIGSTOP of one node for 1 to 20 s, a third of them for less than 4 s."""
    cluster = stage.cluster
    longest_s = min(PAUSE_S_MAX, max(CUT_S, stage.settings.seconds / 3))
    turn = 0
    while stage.goes_on():
        turn += 1
        number = stage.random.choice(cluster.numbers)
        pause_s = stage.random.uniform(6.0, longest_s)
        if turn % 3 == 2:
            pause_s = stage.random.uniform(1.0, SHORT_PAUSE_S)
        process = cluster.nodes[number].process
        since = cluster.log_sizes(cluster.others(number))
        long = pause_s > SHORT_PAUSE_S
        async with stage.fault(f"stop n{number} for {pause_s:.1f} s", partition=long):
            process.send_signal(signal.SIGSTOP)
            try:
                began_at = time.monotonic()
                if long:
                    stage.detected("hang", await cluster.seen_dead(number, since))
                left_s = pause_s - (time.monotonic() - began_at)
                await stage.pause(max(0.0, left_s))
            finally:
                process.send_signal(signal.SIGCONT)


async def _restart(stage: Stage, number: int) -> None:
    running = stage.cluster.nodes[number]
    running.terminate()
    try:
        took_s = await stage.cluster.until(
            lambda: running.process.poll() is not None, 35.0
        )
    except AssertionError:
        stage.problems.append(f"n{number} does not end within 35 s of SIGTERM")
        running.kill()
    else:
        code = running.process.returncode
        stage.journal.event(f"n{number} ended with {code} after {took_s:.2f} s")
        # Twisted ends by the signal that stopped it.
        if code not in (0, -signal.SIGTERM) or "Leaving" not in running.log:
            stage.problems.append(f"n{number} ended with {code} on SIGTERM")
    await stage.pause(stage.random.uniform(0.0, 1.0))
    stage.cluster.start(number)


async def restart(stage: Stage) -> None:
    """SIGTERM of one node, and a new start."""
    while stage.goes_on():
        number = stage.random.choice(stage.cluster.numbers)
        async with stage.fault(f"restart n{number}", partition=False):
            await _restart(stage, number)


async def rolling_restart(stage: Stage) -> None:
    """A restart of each node, one after the other; no read may fail."""
    while stage.goes_on():
        for number in stage.cluster.numbers:
            async with stage.fault(f"roll n{number}", partition=False):
                await _restart(stage, number)
    failed = stage.journal.failed("get")
    if failed:
        stage.problems.append(f"{len(failed)} reads failed: {failed[:3]}")


async def clock(stage: Stage) -> None:
    """Steps of one node's wall clock, up to an hour either way."""
    turn = 0
    while stage.goes_on():
        number = stage.random.choice(stage.cluster.numbers)
        step_s = CLOCK_STEPS_S[turn % len(CLOCK_STEPS_S)]
        turn += 1
        since = stage.cluster.log_sizes(stage.cluster.numbers)
        async with stage.fault(f"clock of n{number} {step_s:+d} s", partition=False):
            stage.cluster.step_clock(number, step_s)
            await stage.pause(3.0)
        for other, position in since.items():
            if " died" in stage.cluster.nodes[other].log[position:]:
                stage.problems.append(f"n{other} saw a death at a step of a clock")


# -- links, by namespaces -----------------------------------------------------


async def _cut(stage: Stage, what: str, ways: Iterable[tuple[int, int]]) -> None:
    async with stage.fault(what, partition=True):
        stage.walls.walls.cut(ways)
        try:
            await stage.pause(CUT_S)
        finally:
            stage.walls.walls.heal()


async def halves(stage: Stage) -> None:
    """Two sides that don't see each other."""
    while stage.goes_on():
        order = stage.random.sample(stage.cluster.numbers, len(stage.cluster.numbers))
        middle = len(order) // 2
        some, rest = order[:middle], order[middle:]
        ways = [(a, b) for a, b in permutations(order, 2) if (a in some) != (b in some)]
        await _cut(stage, f"halves {some} {rest}", ways)


async def ring(stage: Stage) -> None:
    """Each node sees two neighbours only."""
    while stage.goes_on():
        count = len(stage.cluster.numbers)
        order = stage.random.sample(stage.cluster.numbers, count)
        ways = [
            (order[a], order[b])
            for a, b in permutations(range(count), 2)
            if (a - b) % count not in (1, count - 1)
        ]
        await _cut(stage, f"ring {order}", ways)


async def one_way(stage: Stage) -> None:
    """One node hears nothing of another, which hears it."""
    while stage.goes_on():
        a, b = stage.random.sample(stage.cluster.numbers, 2)
        await _cut(stage, f"cut n{a} to n{b}", [(a, b)])


async def black_hole(stage: Stage) -> None:
    """One node hears and says nothing any more."""
    while stage.goes_on():
        number = stage.random.choice(stage.cluster.numbers)
        others = stage.cluster.others(number)
        since = stage.cluster.log_sizes(others)
        async with stage.fault(f"black hole n{number}", partition=True):
            ways = [
                way for other in others for way in ((number, other), (other, number))
            ]
            stage.walls.walls.cut(ways)
            try:
                seen = await stage.cluster.seen_dead(number, since)
                stage.detected("black hole", seen)
                await stage.pause(2.0)
            finally:
                stage.walls.walls.heal()


async def loss(stage: Stage) -> None:
    """Packets are lost on all links, 1 to 5 of a hundred."""
    while stage.goes_on():
        percent = stage.random.randint(1, 5)
        since = stage.cluster.log_sizes(stage.cluster.numbers)
        async with stage.fault(f"loss of {percent} %", partition=False):
            stage.walls.walls.lose(percent)
            try:
                await stage.pause(CUT_S)
            finally:
                stage.walls.walls.heal()
        _no_deaths(stage, since)


async def narrow(stage: Stage) -> None:
    """What one node sends goes through at 0.5 to 2 Mbit/s."""
    while stage.goes_on():
        number = stage.random.choice(stage.cluster.numbers)
        kbit_per_s = stage.random.choice((512, 1024, 2048))
        since = stage.cluster.log_sizes(stage.cluster.numbers)
        async with stage.fault(f"n{number} at {kbit_per_s} kbit/s", partition=False):
            stage.walls.walls.slow(number, kbit_per_s)
            try:
                await stage.pause(CUT_S)
            finally:
                stage.walls.walls.heal()
        _no_deaths(stage, since)


def _no_deaths(stage: Stage, since: dict[int, int]) -> None:
    for number, position in since.items():
        if " died" in stage.cluster.nodes[number].log[position:]:
            stage.problems.append(f"n{number} saw a death in fault {stage.faults}")


# -- links, by the relay ------------------------------------------------------


async def slow(stage: Stage) -> None:
    """Links of one node with delay, jitter, small pieces and lost datagrams."""
    relay = stage.relayed.relay
    while stage.goes_on():
        number = stage.random.choice(stage.cluster.numbers)
        since = stage.cluster.log_sizes(stage.cluster.numbers)
        delay_s = stage.random.uniform(0.02, 0.2)
        what = f"n{number} {delay_s * 1000:.0f} ms away, in pieces"
        async with stage.fault(what, partition=False):
            for other in stage.cluster.others(number):
                for ends in ((number, other), (other, number)):
                    way = relay.way(*(f"n{end}" for end in ends))
                    way.delay_s, way.jitter_s = delay_s, delay_s / 2
                    way.loss, way.slice_bytes = 0.2, 100
            await stage.pause(CUT_S)
            relay.heal()
        _no_deaths(stage, since)


async def reset(stage: Stage) -> None:
    """All connections between two nodes are reset, several times."""
    relay = stage.relayed.relay
    while stage.goes_on():
        a, b = stage.random.sample(stage.cluster.numbers, 2)
        async with stage.fault(f"reset n{a} n{b}", partition=False):
            for _ in range(stage.random.randint(1, 4)):
                relay.reset(f"n{a}", f"n{b}")
                await stage.pause(stage.random.uniform(0.05, 1.0))


async def half_open(stage: Stage) -> None:
    """One way is cut and its bytes arrive late, after the heal."""
    relay = stage.relayed.relay
    while stage.goes_on():
        a, b = stage.random.sample(stage.cluster.numbers, 2)
        async with stage.fault(f"cut n{a} to n{b}, bytes wait", partition=True):
            relay.cut(f"n{a}", f"n{b}")
            await stage.pause(CUT_S)
            relay.heal()


NEMESES = (
    Nemesis("crash", crash, "loopback"),
    Nemesis("refill", refill, "loopback"),
    Nemesis("pause", pause, "loopback"),
    Nemesis("restart", restart, "loopback"),
    Nemesis("rolling-restart", rolling_restart, "loopback", nodes=5),
    Nemesis("clock", clock, "loopback", why_not=clock_can_be_faked, fake_clocks=True),
    Nemesis("halves", halves, "namespaces", nodes=5, why_not=why_not),
    Nemesis("ring", ring, "namespaces", nodes=5, why_not=why_not),
    Nemesis("one-way", one_way, "namespaces", why_not=why_not),
    Nemesis("black-hole", black_hole, "namespaces", why_not=why_not),
    Nemesis("loss", loss, "namespaces", why_not=why_not),
    Nemesis("narrow", narrow, "namespaces", why_not=why_not),
    Nemesis("slow", slow, "relay"),
    Nemesis("reset", reset, "relay"),
    Nemesis("half-open", half_open, "relay"),
)
