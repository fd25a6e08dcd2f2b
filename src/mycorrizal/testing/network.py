# -*- test-case-name: tests.testing.test_network -*-
"""
What lies between the hosts: links, and everything that can be wrong on them.

A link is one direction between two hosts.  Datagrams that meet a blocked link
are lost.  TCP is different, and that difference is where clusters break: its
bytes *wait*, as the sender's kernel sends them again and again, and arrive
when the link works again, long after everybody has drawn their conclusions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import log
from typing import TYPE_CHECKING, Literal, Protocol

from mycorrizal.testing.timeline import TICKS_PER_S, Timeline, ticks_of

if TYPE_CHECKING:
    from mycorrizal.testing.host import Host

#: How TCP bytes are cut on their way: as they were sent, at random places
#: (and joined at random), or into single bytes.
Segmentation = Literal["whole", "random", "one-byte"]

#: After a blocked link works again, waiting bytes are sent again within this
#: time, or within the time for which they waited if that was shorter.
RETRANSMIT_S_MAX = 1.0

#: What waits for the bandwidth of a slow link, beyond which datagrams are lost.
QUEUE_S_MAX = 0.5

#: What somebody on the way makes of bytes: given the connection's number and
#: what was written at once, as many bytes.
Rewrite = Callable[[int, bytes], bytes]

#: Latency of a host to itself.
_LOOPBACK_S = 0.00002


class Stallable(Protocol):
    """What can wait at the end of a blocked link."""

    def unstall(self, delay_ticks: int) -> None:
        """The link works again; what waits arrives that much later."""


class Link:
    """
    One direction between two hosts.

    :ivar blocked: Whether nothing gets through now.
    :ivar latency: Least latency and mean of what is added, in ticks; None for
        the network's.
    :ivar udp_loss: Fraction of datagrams lost; None for the network's.
    :ivar ticks_per_byte: The inverse of the bandwidth; 0 when unlimited.
    :ivar rewrite: What is made of TCP bytes on the way; None: nothing.
    """

    __slots__ = (
        "_network",
        "blocked",
        "cut",
        "dark",
        "latency",
        "udp_loss",
        "ticks_per_byte",
        "rewrite",
        "_busy_until",
        "_blocked_since",
        "_stalled",
    )

    def __init__(self, network: Network) -> None:
        self._network = network
        self.blocked = False
        self.cut = False
        self.dark = False
        self.latency: tuple[int, int] | None = None
        self.udp_loss: float | None = None
        self.ticks_per_byte = 0.0
        self.rewrite: Rewrite | None = None
        self._busy_until = 0
        self._blocked_since = 0
        self._stalled: dict[Stallable, None] = {}

    def arrival_ticks(self, size: int) -> int:
        """When `size` bytes that leave now are at the other end."""
        network = self._network
        now = network.now_ticks
        if self.ticks_per_byte:
            now = max(now, self._busy_until) + int(size * self.ticks_per_byte)
            self._busy_until = now
        least, spread = self.latency or network.latency
        if spread:
            return now + least - int(log(1.0 - network.draw()) * spread)
        return now + least

    def congested(self) -> bool:
        """Whether so much waits for the bandwidth that datagrams are lost."""
        ahead = self._busy_until - self._network.now_ticks
        return ahead > ticks_of(QUEUE_S_MAX)

    def stall(self, end: Stallable) -> None:
        """Tell `end` when the link works again."""
        self._stalled[end] = None

    def change(self, *, cut: bool | None = None, dark: bool | None = None) -> None:
        """
        Change why the link is blocked.

        :param cut: Whether the network does not carry anything.
        :param dark: Whether there is no machine at the other end.
        """
        self.cut = self.cut if cut is None else cut
        self.dark = self.dark if dark is None else dark
        was, self.blocked = self.blocked, self.cut or self.dark
        network = self._network
        if self.blocked and not was:
            self._blocked_since = network.now_ticks
        elif was and not self.blocked:
            waited = network.now_ticks - self._blocked_since
            at_most = min(waited, ticks_of(RETRANSMIT_S_MAX))
            stalled, self._stalled = self._stalled, {}
            for end in stalled:
                end.unstall(int(network.draw() * at_most))


class Network(Timeline):
    """
    A timeline with hosts and the links between them.

    :ivar hosts: The hosts by name, in the order in which they were made.
    :ivar udp_loss: Fraction of datagrams that are lost.
    :ivar udp_duplicate: Fraction of datagrams that arrive twice.
    :ivar udp_corrupt: Fraction of datagrams of which one bit is flipped.
    :ivar segmentation: How TCP bytes are cut on their way.
    :ivar rewritten: Numbers of the TCP connections of which bytes were changed.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        trace_length: int = 200,
        steps_max: int = 5_000_000,
    ) -> None:
        super().__init__(seed, trace_length=trace_length, steps_max=steps_max)
        self.hosts: dict[str, Host] = {}
        self.udp_loss = 0.0
        self.udp_duplicate = 0.0
        self.udp_corrupt = 0.0
        self.segmentation: Segmentation = "whole"
        self.latency = (0, 0)
        self.rewritten: set[int] = set()
        self.draw = self.stream("net").random
        self._links: dict[tuple[Host, Host | None], Link] = {}
        self.latency_ms(0.2, 0.5)

    def link(self, source: Host, destination: Host | None) -> Link:
        """
        The link from one host to another.

        :param destination: None for an address where there is no host.
        """
        link = self._links.get((source, destination))
        if link is None:
            link = self._links[source, destination] = Link(self)
            if source is destination:
                link.latency = (ticks_of(_LOOPBACK_S), 0)
                link.udp_loss = 0.0
            link.change(dark=destination is None or not destination.powered)
        return link

    def darken(self, host: Host, dark: bool) -> None:
        """Tell the links to a host whether its machine is off."""
        for (_, destination), link in list(self._links.items()):
            if destination is host:
                link.change(dark=dark)

    def at(self, where: Host | str) -> Host:
        """
        The host itself, or the one of that name.

        :raises KeyError: When there is none.
        """
        return self.hosts[where] if isinstance(where, str) else where

    # -- weather --------------------------------------------------------------

    def latency_ms(
        self,
        least: float,
        mean: float,
        between: tuple[Host | str, Host | str] | None = None,
    ) -> None:
        """
        Set the latency of one way; what is above the least is exponential.

        :param between: Two hosts; both of their links get it. Otherwise every
            link that was not set by itself.
        """
        if not 0 <= least <= mean:
            raise ValueError(f"0 <= least <= mean, not {least} and {mean}")
        latency = (ticks_of(least / 1000), ticks_of((mean - least) / 1000))
        if between is None:
            self.latency = latency
        else:
            for link in self._both_ways(*between):
                link.latency = latency

    def slow(
        self,
        a: Host | str,
        b: Host | str,
        bytes_per_s: float | None,
        one_way: bool = False,
    ) -> None:
        """
        Limit the bandwidth from `a` to `b` and back; everything between the
        two queues for it.

        :param bytes_per_s: None takes the limit away.
        :param one_way: Only from `a` to `b`.
        """
        for link in self._both_ways(a, b, one_way):
            link.ticks_per_byte = TICKS_PER_S / bytes_per_s if bytes_per_s else 0.0

    def lossy(
        self,
        a: Host | str,
        b: Host | str,
        fraction: float | None,
        one_way: bool = False,
    ) -> None:
        """
        Lose that fraction of the datagrams from `a` to `b` and back.

        :param fraction: None goes back to the network's `udp_loss`.
        :param one_way: Only from `a` to `b`.
        """
        for link in self._both_ways(a, b, one_way):
            link.udp_loss = fraction

    # -- somebody on the way --------------------------------------------------

    def rewrite(
        self,
        a: Host | str,
        b: Host | str,
        rewrite: Rewrite | None,
        one_way: bool = False,
    ) -> None:
        """
        Let somebody between `a` and `b` change what TCP carries.

        :param rewrite: Called with the connection's number and each piece of
            bytes that is written at once; returns as many bytes. None: nobody.
        :param one_way: Only from `a` to `b`.
        """
        for link in self._both_ways(a, b, one_way):
            link.rewrite = rewrite

    def reset(self, a: Host | str, b: Host | str) -> None:
        """
        Forge a reset to both ends of each TCP connection between two hosts, as
        somebody on the way can.
        """
        here, there = self.at(a), self.at(b)
        for host, other in ((here, there), (there, here)):
            for connection in list(host.reactor.connections):
                if connection.peer.host is other:
                    connection.forged_reset()

    # -- partitions -----------------------------------------------------------

    def cut(self, a: Host | str, b: Host | str, one_way: bool = False) -> None:
        """
        Let nothing through from `a` to `b` and back.

        :param one_way: Only from `a` to `b`; what `b` says still arrives.
        """
        for link in self._both_ways(a, b, one_way):
            link.change(cut=True)
        arrow = "->" if one_way else "<->"
        self.record(self.at(a).name, f"cut {arrow} {self.at(b).name}")

    def heal(self, a: Host | str | None = None, b: Host | str | None = None) -> None:
        """
        Mend what was cut: between `a` and `b`, around `a`, or everywhere.
        """
        ends = [self.at(end) for end in (a, b) if end is not None]
        for (source, destination), link in list(self._links.items()):
            if link.cut and all(end in (source, destination) for end in ends):
                link.change(cut=False)
        self.record("", "heal", len(ends))

    def partition(self, *groups: Iterable[Host | str]) -> None:
        """
        Let the hosts talk only within their group, and mend other cuts.

        Hosts in no group are a group of their own together.
        """
        side: dict[Host, int] = {}
        for number, group in enumerate(groups):
            for where in group:
                side[self.at(where)] = number
        rest = len(groups)
        self._connect(lambda a, b: side.get(a, rest) == side.get(b, rest))

    def isolate(self, host: Host | str) -> None:
        """Cut a host off from all others; other cuts stay."""
        alone = self.at(host)
        for other in self.hosts.values():
            if other is not alone:
                self.cut(alone, other)

    def ring(self) -> None:
        """
        Let each host talk only with its two neighbours, in the order in which
        the hosts were made, the last being next to the first.
        """
        self._neighbours(around=True)

    def chain(self) -> None:
        """As `ring`, but the last host and the first are cut, too."""
        self._neighbours(around=False)

    def _neighbours(self, around: bool) -> None:
        place = {host: number for number, host in enumerate(self.hosts.values())}
        apart = {1, len(place) - 1} if around else {1}
        self._connect(lambda a, b: abs(place[a] - place[b]) in apart)

    def _connect(self, connected: Callable[[Host, Host], bool]) -> None:
        hosts = list(self.hosts.values())
        for a in hosts:
            for b in hosts:
                if a is not b:
                    self.link(a, b).change(cut=not connected(a, b))
        self.record("", "partition", len(hosts))

    def _both_ways(
        self, a: Host | str, b: Host | str, one_way: bool = False
    ) -> list[Link]:
        here, there = self.at(a), self.at(b)
        if here is there:
            raise ValueError("A host cannot be cut from itself")
        links = [self.link(here, there)]
        return links if one_way else [*links, self.link(there, here)]
