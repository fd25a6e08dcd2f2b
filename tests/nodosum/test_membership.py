"""
Who is in the cluster: nodes come, go, restart, fall silent and come back.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import DuplicateNodeId
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.effects import (
    CloseLink,
    Dial,
    FoundOwnAddress,
    IdTaken,
    LinkDown,
    LinkUp,
    Notify,
    Reincarnate,
    SendPeers,
    SendPing,
    SendWelcome,
)
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.greeting import Greeted
from mycorrizal.nodosum.membership import (
    DEAD_REMEMBERED_S,
    DIAL_PATIENCE_S,
    LEFT_REMEMBERED_S,
    PEERS_MAX,
    Membership,
)
from mycorrizal.nodosum.messages import PeerEntry
from mycorrizal.nodosum.peer import MemberDied, MemberJoined, Peer, PeerState
from mycorrizal.nodosum.wire.limits import (
    ADDRESSES_PER_PEER_MAX,
    INCARNATION_MAX,
    Goodbye,
)
from tests.nodosum.town import (
    CONFIG,
    FakeLink,
    Town,
    address_of,
    core_of,
    link_to,
    welcome_of,
)

#: In the order of their node keys: each decides against those after it.
LOW, MIDDLE, HIGH = sorted("abc", key=node_key_of)
A, S, D, L = PeerState.ALIVE, PeerState.SUSPECT, PeerState.DEAD, PeerState.LEFT


def greeted(name: str, incarnation: int = 1, *, asked: bool = True) -> Greeted:
    """A HELLO exchange with the node of that name."""
    key = node_key_of(name)
    return Greeted(key, incarnation, address_of(name), bytes(16), asked=asked)


def entry(name: str, incarnation: int = 1) -> PeerEntry:
    """What a peer says of the node of that name."""
    return PeerEntry(node_key_of(name), incarnation, (address_of(name),))


def described(name: str) -> PeerEntry:
    """What a node says of another that has welcomed it."""
    key, places = node_key_of(name), (address_of(name),)
    return PeerEntry(key, 1, places, name, "host", {}, "1")


class CoreTestCase(SynchronousTestCase):
    """The core of the node with the lowest key, which decides."""

    def setUp(self) -> None:
        self.core = core_of(LOW)

    def peer(self, name: str = HIGH) -> Peer:
        """What it knows of another."""
        return self.core.peers[node_key_of(name)]

    def link(self, name: str = HIGH, now: float = 0, incarnation: int = 1) -> FakeLink:
        """A link to another, which is up."""
        link = link_to(name, incarnation, now=now)
        self.core.authenticated(link, now)
        self.core.welcomed(link, welcome_of(name), now)
        self.assertIs(self.peer(name).link, link)
        return link

    def tick_until(self, until: float, since: float = 0.0) -> list[tuple[float, str]]:
        """Ten ticks a second; what was asked for but pings, and when."""
        found: list[tuple[float, str]] = []
        for step in range(round(since * 10) + 1, round(until * 10) + 1):
            now = step / 10
            for effect in self.core.tick(now):
                if not isinstance(effect, SendPing):
                    what = effect.event if isinstance(effect, Notify) else effect
                    found.append((now, type(what).__name__))
                if isinstance(effect, Dial):
                    assert effect.node_key is not None
                    self.core.dial_failed(effect.node_key, refused=False, now=now)
        return found


class JoiningTests(CoreTestCase):
    """How a node becomes a member."""

    def test_welcome(self) -> None:
        """A node is a member when both have welcomed each other."""
        link = link_to(HIGH)
        self.assertEqual(self.core.authenticated(link, 0.0), (SendWelcome(link),))
        self.assertEqual(self.core.members(), [])
        effects = self.core.welcomed(link, welcome_of(HIGH), 0.0)
        peer = self.peer()
        joined = Notify(MemberJoined(peer.node))
        self.assertEqual(effects, (LinkUp(peer, link), joined))
        self.assertEqual(self.core.members(), [peer])
        self.assertEqual(self.core.entries(), (described(HIGH),))

    def test_others_are_told(self) -> None:
        """The other members hear of a newcomer, and it hears of them."""
        first = self.link(MIDDLE)
        link = link_to(HIGH)
        self.core.authenticated(link, 0.0)
        effects = self.core.welcomed(link, welcome_of(HIGH), 0.0)
        news = [e for e in effects if isinstance(e, SendPeers)]
        told = SendPeers(first, (described(HIGH),))
        self.assertEqual(news, [SendPeers(link, (described(MIDDLE),)), told])

    def test_one_seed_is_enough(self) -> None:
        """Nodes that only know a third one find each other through it."""
        for seed in "abc":
            town = Town("a", "b", "c")
            for name in sorted({"a", "b", "c"} - {seed}):
                town.dial(town.nodes[name], address_of(seed))
            town.settle()
            town.pass_time(1)
            self.assertEqual(len(town.live_wires()), 3)
            for node in town.nodes.values():
                self.assertEqual(len(node.core.members()), 2)

    def test_eight_nodes_at_once(self) -> None:
        """Eight nodes that all dial all have one link for each two."""
        town = Town(*"abcdefgh")
        for node in town.nodes.values():
            for name in town.nodes:
                if name != node.name:
                    town.dial(node, address_of(name))
        town.settle()
        town.pass_time(5)
        self.assertEqual(len(town.live_wires()), 28)
        self.assertEqual(town.half_wires(), [])
        for node in town.nodes.values():
            joined = sorted(
                f"Joined {name}" for name in town.nodes if name != node.name
            )
            self.assertEqual(sorted(node.kinds()), joined)

    def test_no_dial_while_the_welcome_is_on_its_way(self) -> None:
        """However long a WELCOME takes, the peer is not dialled again."""
        self.assertEqual(len(self.core.greeted(greeted(HIGH), 0.0)), 1)
        link = link_to(HIGH)
        self.core.authenticated(link, 0.2)
        self.assertEqual(self.tick_until(5.0), [])
        other = core_of(HIGH)
        other.greeted(greeted(LOW), 0.0)
        other.authenticated(link_to(LOW), 0.2)
        for step in range(50):
            self.assertEqual(other.tick(step / 10), ())

    def test_unknown_welcome(self) -> None:
        """A second WELCOME, or one on a link that nobody knows, closes it."""
        link = self.link()
        again = self.core.welcomed(link, welcome_of(HIGH), 1.0)
        self.assertEqual(again, (CloseLink(link),))
        stray = link_to(HIGH)
        for name in (HIGH, MIDDLE):
            stray = link_to(name)
            closing = self.core.welcomed(stray, welcome_of(name), 1.0)
            self.assertEqual(closing, (CloseLink(stray),))

    def test_addresses_at_the_bound(self) -> None:
        """At most 16 addresses of a peer are kept, each once (F53)."""
        many = tuple((f"10.1.0.{at}", 1) for at in range(ADDRESSES_PER_PEER_MAX))
        for _ in range(2):
            entries = [PeerEntry(node_key_of(HIGH), 1, many)]
            self.core.learned(entries, 0.0)
            self.assertEqual(self.peer().addresses, many)
        self.core.greeted(greeted(HIGH), 0.0)
        self.assertEqual(self.peer().addresses, (address_of(HIGH), *many[:-1]))


class DiallingTests(CoreTestCase):
    """Who dials, when, and how often."""

    def test_lower_key_dials(self) -> None:
        """Of two that have greeted each other the lower key dials at once."""
        dial = Dial(address_of(HIGH), node_key_of(HIGH))
        self.assertEqual(self.core.greeted(greeted(HIGH), 0.0), (dial,))

    def test_one_dial_at_a_time(self) -> None:
        """Greetings come twice; there is one dial, and none once linked (F10)."""
        self.core.greeted(greeted(HIGH), 0.0)
        for asked in (True, False):
            again = self.core.greeted(greeted(HIGH, asked=asked), 0.1)
            self.assertEqual(again, ())
        self.link()
        self.assertEqual(self.core.greeted(greeted(HIGH), 0.2), ())

    def test_higher_key_waits(self) -> None:
        """The other one dials only after 3 s without a link."""
        core = core_of(HIGH)
        self.assertEqual(core.greeted(greeted(LOW), 0.0), ())
        self.assertEqual(core.tick(DIAL_PATIENCE_S - 0.1), ())
        dial = Dial(address_of(LOW), node_key_of(LOW))
        self.assertEqual(core.tick(DIAL_PATIENCE_S), (dial,))
        self.assertEqual(core.tick(60.0), ())

    def test_pauses(self) -> None:
        """A peer that can't be dialled is dialled less and less often."""
        self.core.greeted(greeted(HIGH), 0.0)
        self.core.dial_failed(node_key_of(HIGH), refused=False, now=0.0)
        times = [at for at, what in self.tick_until(200.0) if what == "Dial"]
        pauses = [b - a for a, b in zip([0.0, *times], times, strict=False)]
        for pause_s, expected_s in zip(
            pauses, (0.75, 1.5, 3, 6, 12, 22.5), strict=False
        ):
            self.assertLess(abs(pause_s - expected_s), 0.11)
        self.assertLess(max(pauses), 22.7)

    def test_somebody_who_does_not_want_us(self) -> None:
        """A node that closes each link before it is up is left alone, too (F56)."""
        for end in (None, LinkEnd(Goodbye.SINGLE), LinkEnd(Goodbye.DUPLICATE_ID)):
            for name in (LOW, HIGH):
                core = core_of(name)
                other = HIGH if name == LOW else LOW
                core.greeted(greeted(other), 0.0)
                dials = 0
                for step in range(600):
                    for effect in core.tick(step / 10):
                        if isinstance(effect, Dial):
                            dials += 1
                            link = link_to(other, now=step / 10)
                            core.authenticated(link, step / 10)
                            core.link_closed(link, end, step / 10)
                self.assertLess(dials, 9)

    def test_dialled_in_vain(self) -> None:
        """A peer that was found by dialling alone is dialled there again."""
        link = link_to(HIGH)
        self.core.authenticated(link, 0.0)
        self.core.link_closed(link, LinkEnd(Goodbye.DUPLICATE_LINK), 0.1)
        dials = self.tick_until(2.0)
        self.assertEqual([what for _, what in dials][:1], ["Dial"])

    def test_all_addresses_are_tried(self) -> None:
        """One address after the other is dialled."""
        two = (("10.1.0.1", 1), ("10.1.0.2", 2))
        self.core.learned([PeerEntry(node_key_of(HIGH), 1, two)], 0.0)
        dialled = []
        for now in (0.0, 100.0, 200.0):
            (dial,) = self.core.tick(now)
            assert isinstance(dial, Dial)
            dialled.append(dial.address)
            self.core.dial_failed(node_key_of(HIGH), refused=False, now=now)
        self.assertEqual(dialled, [two[0], two[1], two[0]])

    def test_where_it_was_just_heard_is_dialled_first(self) -> None:
        """A node that greets us from a new address is dialled there."""
        self.core.learned([PeerEntry(node_key_of(HIGH), 1, (("10.1.0.1", 1),))], 0.0)
        for now in (0.0, 100.0, 200.0):
            self.core.tick(now)
            self.core.dial_failed(node_key_of(HIGH), refused=False, now=now)
        (dial,) = self.core.greeted(greeted(HIGH), 201.0)
        self.assertEqual(dial, Dial(address_of(HIGH), node_key_of(HIGH)))

    def test_dial_of_a_stranger(self) -> None:
        """News of a node that nobody knows is ignored."""
        failed = self.core.dial_failed(bytes(16), refused=True, now=0.0)
        self.assertEqual(failed, ())


class DeathTests(CoreTestCase):
    """When a member is suspect, and when it is dead."""

    def test_silence(self) -> None:
        """After 3 s without a byte a member is suspect, after 4.5 s dead (F1)."""
        link = self.link()
        self.tick_until(2.9)
        self.assertEqual(self.peer().state, A)
        self.tick_until(3.0, 2.9)
        self.assertEqual(self.peer().state, S)
        self.assertEqual(self.tick_until(4.4, 3.0), [])
        effects = self.core.tick(4.5)
        self.assertEqual(effects[:2], (CloseLink(link), LinkDown(self.peer(), link)))
        self.assertEqual(self.peer().state, D)
        kinds = [type(getattr(e, "event", e)).__name__ for e in effects[2:]]
        self.assertEqual(kinds, ["MemberDied", "Dial"])

    def test_flap(self) -> None:
        """A suspect that is heard again is alive, and nobody is told."""
        link = self.link()
        self.tick_until(4.0)
        self.assertEqual(self.peer().state, S)
        link.heard_at = 4.05
        self.assertEqual(self.tick_until(5.0, 4.0), [])
        self.assertEqual(self.peer().state, A)

    def test_ping_each_second(self) -> None:
        """Each link is pinged each second."""
        link = self.link()
        pings = 0
        for step in range(100):
            link.heard_at = step / 10
            pings += len(self.core.tick(step / 10))
        self.assertEqual(pings, 10)

    def test_our_own_stall(self) -> None:
        """If we were the ones who slept, nobody is blamed for it (F5)."""
        link = self.link()
        self.tick_until(2.0)
        for effect in self.core.tick(6.0):
            self.assertIsInstance(effect, SendPing)
        self.assertEqual(self.peer().state, A)
        self.assertLessEqual(link.heard_at, 6.0)
        # It must be heard again, in the time that we grant after a stall.
        self.tick_until(9.4, 6.0)
        self.assertEqual(self.peer().state, A)
        self.tick_until(16.0, 9.4)
        self.assertEqual(self.peer().state, D)

    def test_overslept(self) -> None:
        """
        After a sleep in which the others must have given us up, what waits in our links
        is dropped unread, and we begin again (F6, F8).
        """
        link = self.link()
        self.tick_until(2.0)
        effects = self.core.tick(2.0 + 5.0)
        self.assertEqual(effects[:2], (CloseLink(link), LinkDown(self.peer(), link)))
        (died,) = [e.event for e in effects if isinstance(e, Notify)]
        self.assertIsInstance(died, MemberDied)
        self.assertEqual(effects[-1], Dial(address_of(HIGH), node_key_of(HIGH)))

    def test_stall_of_someone_we_had_lost(self) -> None:
        """A stall does not use up the time of a lost link, nor of a contest."""
        link = self.link()
        self.core.tick(0.0)
        newcomer = link_to(HIGH)
        self.core.authenticated(newcomer, 0.1)
        self.core.tick(4.0)
        self.assertIs(self.peer().link, link)
        self.core.link_closed(newcomer, None, 4.0)
        self.core.link_closed(link, None, 4.0)
        for now in (8.0, 12.0, 16.0):
            self.core.tick(now)
        self.assertEqual(self.peer().state, S)

    def test_heard_just_after_the_stall(self) -> None:
        """A stall never moves what was heard into the future."""
        link = self.link()
        self.core.tick(0.0)
        link.heard_at = 3.9
        self.core.tick(4.0)
        self.assertEqual(link.heard_at, 4.0)

    def test_closed_link(self) -> None:
        """A closed link is noticed at once, and the peer dialled at once."""
        link = self.link()
        effects = self.core.link_closed(link, None, 1.0)
        self.assertEqual(effects, (LinkDown(self.peer(), link),))
        self.assertEqual(self.peer().state, S)
        (dial,) = self.core.tick(1.05)
        self.assertEqual(dial, Dial(address_of(HIGH), node_key_of(HIGH)))

    def test_nobody_listens(self) -> None:
        """A lost peer whose machine says that nothing listens is dead at once (F1)."""
        link = self.link()
        self.core.link_closed(link, None, 1.0)
        (died,) = self.core.dial_failed(node_key_of(HIGH), refused=True, now=1.1)
        assert isinstance(died, Notify)
        self.assertEqual(died.event.node.state, "dead")

    def test_no_answer_to_dials(self) -> None:
        """A lost peer whose machine is silent is dead 4.5 s later."""
        self.core.link_closed(self.link(), None, 1.0)
        told = [at for at, what in self.tick_until(10.0, 1.0) if what == "MemberDied"]
        self.assertEqual(told, [5.5])

    def test_refused_while_linked(self) -> None:
        """A refused dial means nothing while there is a link."""
        self.link()
        key = node_key_of(HIGH)
        self.assertEqual(self.core.dial_failed(key, refused=True, now=1.0), ())
        self.assertEqual(self.peer().state, A)

    def test_second_link_that_never_comes_up(self) -> None:
        """A member whose only link never comes up is suspect, then dead."""
        for name, other in ((LOW, HIGH), (HIGH, LOW)):
            self.core = core_of(name)
            old, new = link_to(other), link_to(other)
            self.core.authenticated(old, 0.0)
            self.core.welcomed(old, welcome_of(other), 0.0)
            self.core.authenticated(new, 0.1)
            old.heard_at = 5.0
            self.tick_until(1.5)
            self.core.link_closed(old, None, 1.5)
            self.core.tick(1.6)
            self.assertEqual(self.peer(other).state, S)
            self.tick_until(6.7, 1.6)
            self.assertEqual(self.peer(other).state, D)

    def test_return_of_the_dead(self) -> None:
        """A dead member that is linked again joins again."""
        town = Town("a", "b").joined()
        town.kill("b")
        town.pass_time(1)
        self.assertEqual(town.nodes["a"].state("b"), D)
        town.start("b", 2)
        town.dial(town.nodes["b"], address_of("a"))
        town.pass_time(1)
        kinds = town.nodes["a"].kinds()
        self.assertEqual(kinds, ["Joined b", "Died b", "Joined b"])

    def test_killed_without_a_word(self) -> None:
        """A machine without power is dead within 6 s (F1)."""
        town = Town("a", "b", "c").joined()
        town.pass_time(1)
        town.kill("b", silent=True)
        town.pass_time(6)
        for name in "ac":
            self.assertEqual(town.nodes[name].kinds()[-1], "Died b")
            self.assertEqual(len(town.nodes[name].core.members()), 1)


class GoodbyeTests(CoreTestCase):
    """Links that end in good order."""

    def test_leaving(self) -> None:
        """A member that leaves has left at once, and is not dialled."""
        link = self.link()
        effects = self.core.link_closed(link, LinkEnd(Goodbye.LEAVING), 1.0)
        self.assertEqual(effects[0], LinkDown(self.peer(), link))
        self.assertEqual(type(effects[1]).__name__, "Notify")
        self.assertEqual(self.peer().state, L)
        self.assertEqual(self.tick_until(60.0, 1.0), [])

    def test_leaving_before_it_joined(self) -> None:
        """A node that leaves before it was a member is not told of, nor dialled."""
        self.core.learned([entry(HIGH)], 0.0)
        (dial,) = self.core.tick(0.0)
        self.assertIsInstance(dial, Dial)
        link = link_to(HIGH)
        self.core.authenticated(link, 0.1)
        left = self.core.link_closed(link, LinkEnd(Goodbye.LEAVING), 0.2)
        self.assertEqual(left, ())
        self.assertEqual(self.tick_until(60.0, 0.2), [])

    def test_leaving_ourselves(self) -> None:
        """When we leave, everybody linked is told."""
        links = {self.link(MIDDLE), self.link(HIGH)}
        waiting = link_to(HIGH)
        self.peer().waiting.append(waiting)
        closing = self.core.leave()
        self.assertEqual({e.link for e in closing if isinstance(e, CloseLink)},
                         {*links, waiting})  # fmt: skip
        self.assertEqual(len(closing), 3)
        for effect in closing:
            assert isinstance(effect, CloseLink)
            self.assertEqual(effect.reason, Goodbye.LEAVING)

    def test_id_taken(self) -> None:
        """The text of GOODBYE says where the other node with our id is."""
        for text, other in (("10.0.0.9:7", "10.0.0.9:7"), ("", "10.0.0.%d:7000")):
            link = link_to(HIGH)
            self.core.authenticated(link, 0.0)
            end = LinkEnd(Goodbye.DUPLICATE_ID, 0, text)
            effects = self.core.link_closed(link, end, 0.0)
            place = other.replace("%d", str(ord(HIGH) - 96))
            self.assertEqual(effects[0], IdTaken(place))

    def test_own_address(self) -> None:
        """GOODBYE self names the address that we dialled as ours."""
        link = link_to(LOW)
        end = LinkEnd(Goodbye.SELF)
        found = FoundOwnAddress(address_of(LOW))
        self.assertEqual(self.core.link_closed(link, end, 0.0), (found,))
        accepted = link_to(LOW, dialled=False)
        self.assertEqual(self.core.link_closed(accepted, end, 0.0), ())

    def test_stale_incarnation(self) -> None:
        """Who is told of a later life of its own begins one after that (F14)."""
        for detail, expected in (
            (9, (Reincarnate(10),)),
            (INCARNATION_MAX - 1, (Reincarnate(INCARNATION_MAX),)),
            # No number after it fits; and this was said to an earlier life.
            (INCARNATION_MAX, ()),
            (1, ()),
            (0, ()),
        ):
            end = LinkEnd(Goodbye.STALE_INCARNATION, detail)
            effects = self.core.link_closed(link_to(HIGH), end, 0.0)
            self.assertEqual(effects, expected)

    def test_other_reasons(self) -> None:
        """A duplicate link, or a node that runs alone, is no news."""
        for reason in (Goodbye.DUPLICATE_LINK, Goodbye.SINGLE):
            effects = self.core.link_closed(link_to(HIGH), LinkEnd(reason), 0.0)
            self.assertEqual(effects, ())

    def test_leaving_while_a_newcomer_waits(self) -> None:
        """An old process says goodbye when its successor is linked already."""
        for name, other in ((LOW, HIGH), (HIGH, LOW)):
            core = core_of(name)
            old, new = link_to(other), link_to(other, 2)
            core.authenticated(old, 0.0)
            core.welcomed(old, welcome_of(other), 0.0)
            core.authenticated(new, 1.0)
            core.link_closed(old, LinkEnd(Goodbye.LEAVING), 1.1)
            core.welcomed(new, welcome_of(other), 1.2)
            peer = core.peers[node_key_of(other)]
            self.assertIs(peer.link, new)
            self.assertEqual((peer.state, peer.incarnation), (A, 2))


class RestartTests(CoreTestCase):
    """One node id, one life after the other."""

    def restarted(self, *, silent: bool) -> Town:
        """Node b was killed, starts again, and dials a."""
        town = Town("a", "b").joined()
        town.pass_time(1)
        town.kill("b", silent=silent)
        town.start("b", 2)
        town.dial(town.nodes["b"], address_of("a"))
        town.settle()
        return town

    def test_old_link_is_closed(self) -> None:
        """After a crash the restarted node is a member at once, as a new one (F12)."""
        town = self.restarted(silent=False)
        self.assertEqual(town.nodes["a"].kinds(), ["Joined b", "Died b", "Joined b"])
        told = [what for what, _ in town.nodes["a"].told]
        self.assertEqual(told, ["up", "down", "up"])
        self.assertEqual(town.nodes["a"].peer("b").incarnation, 2)

    def test_old_link_hangs(self) -> None:
        """After a power cut the restarted node is a member 1 s later (F12)."""
        town = self.restarted(silent=True)
        self.assertEqual(town.nodes["a"].kinds(), ["Joined b"])
        town.pass_time(1.2)
        self.assertEqual(town.nodes["a"].kinds(), ["Joined b", "Died b", "Joined b"])
        self.assertEqual(town.nodes["b"].kinds(), ["Joined a"])
        self.assertEqual(len(town.live_wires()), 1)
        town.pass_time(30)
        self.assertEqual(len(town.nodes["a"].events), 3)

    def test_two_live_nodes_with_one_id(self) -> None:
        """The second is told at once, the first goes on as if nothing were (F13)."""
        for second in (2, 1):
            town = Town("a", "b").joined()
            town.nodes["b"].core.me.established = True
            town.pass_time(1)
            twin = town.start("b", second, at="c")
            town.dial(twin, address_of("a"))
            town.settle()
            if second == 2:
                self.assertEqual(twin.ids_taken, ["10.0.0.2:7000"])
            self.assertEqual(town.nodes["a"].kinds(), ["Joined b"])
            self.assertEqual(len(town.live_wires()), 1)

    def test_two_live_nodes_text(self) -> None:
        """The error names both addresses and says what to do (F13)."""
        error = DuplicateNodeId("b", "10.0.0.3:7000", "10.0.0.2:7000")
        for words in ("'b'", "10.0.0.3:7000", "10.0.0.2:7000", "--node-id"):
            self.assertIn(words, str(error))
        self.assertEqual(error.addresses, ("10.0.0.3:7000", "10.0.0.2:7000"))

    def test_twins_that_meet_each_other(self) -> None:
        """Two nodes with one id that dial each other find out as well (F13)."""
        for twin_incarnation in (1, 2):
            for dialler in ("b", "c"):
                town = Town("b")
                first = town.nodes["b"]
                first.core.me.incarnation = 1
                first.core.me.established = True
                twin = town.start("b", twin_incarnation, at="c")
                node = town.nodes[dialler]
                where = address_of("c" if dialler == "b" else "b")
                town.dial(node, where)
                town.settle()
                if twin_incarnation == 1:
                    # Nobody can tell them apart: this looks like oneself.
                    self.assertEqual(first.ids_taken + twin.ids_taken, [])
                else:
                    self.assertEqual(twin.ids_taken, ["10.0.0.2:7000"])
                    self.assertEqual(first.ids_taken, [])

    def test_two_new_twins(self) -> None:
        """Of two that both start the one that started first stays (F13)."""
        for dialler in ("b", "c"):
            town = Town("b")
            twin = town.start("b", 2, at="c")
            where = address_of("c" if dialler == "b" else "b")
            town.dial(town.nodes[dialler], where)
            town.settle()
            self.assertEqual(twin.ids_taken, ["10.0.0.2:7000"])
            self.assertEqual(town.nodes["b"].ids_taken, [])

    def test_clock_that_went_back(self) -> None:
        """A node that restarts with an earlier incarnation takes a later one (F14)."""
        town = Town("a")
        town.start("b", 7)
        town.joined()
        town.kill("b")
        town.start("b", 3)
        town.dial(town.nodes["b"], address_of("a"))
        town.settle()
        self.assertEqual(town.nodes["b"].core.me.incarnation, 8)
        town.pass_time(5)
        self.assertEqual(town.nodes["a"].peer("b").incarnation, 8)
        self.assertEqual(len(town.live_wires()), 1)

    def test_late_welcome_of_an_earlier_life(self) -> None:
        """A link of a life that is over is not taken any more (F8)."""
        core = core_of(HIGH)
        old, new = link_to(LOW, 1), link_to(LOW, 2)
        core.authenticated(old, 0.0)
        core.authenticated(new, 0.1)
        closing = core.welcomed(old, welcome_of(LOW), 0.2)
        self.assertEqual(closing, (CloseLink(old),))
        core.welcomed(new, welcome_of(LOW), 0.3)
        self.assertIs(core.peers[node_key_of(LOW)].link, new)

    def test_second_link_of_one_life(self) -> None:
        """A hanging link that is replaced by a second one kills nobody."""
        town = Town("a", "b").joined()
        town.pass_time(1)
        town.wires[0].hung = True
        for name, other in (("a", "b"), ("b", "a")):
            town.dial(town.nodes[name], address_of(other))
        town.pass_time(2)
        self.assertEqual(len(town.live_wires()), 1)
        for name, other in (("a", "b"), ("b", "a")):
            node = town.nodes[name]
            self.assertEqual(node.kinds(), [f"Joined {other}"])
            self.assertEqual([what for what, _ in node.told], ["up", "down", "up"])

    def test_link_breaks_during_a_contest(self) -> None:
        """If the first link breaks meanwhile, the second is taken; no death."""
        old, new = self.link(), link_to(HIGH)
        self.core.authenticated(new, 1.0)
        effects = self.core.link_closed(old, None, 1.1)
        self.assertEqual(effects, (LinkDown(self.peer(), old), SendWelcome(new)))
        effects = self.core.welcomed(new, welcome_of(HIGH), 1.2)
        self.assertEqual(effects, (LinkUp(self.peer(), new),))

    def test_pong_of_another_ping(self) -> None:
        """Only the pong that was asked for decides a contest."""
        old, new = self.link(), link_to(HIGH)
        (ping,) = self.core.authenticated(new, 1.0)
        assert isinstance(ping, SendPing)
        for link, token in ((old, ping.token + 1), (new, ping.token)):
            self.assertEqual(self.core.ponged(link, token, 1.1), ())
        (closing,) = self.core.ponged(old, ping.token, 1.1)
        self.assertEqual(closing, CloseLink(new, Goodbye.DUPLICATE_LINK))
        self.assertEqual(self.core.ponged(old, ping.token, 1.2), ())


class OurselvesTests(CoreTestCase):
    """Our own address is among those we were given."""

    def test_by_udp(self) -> None:
        """Our own answer to our own HELLO says which address is ours (F53)."""
        found = FoundOwnAddress(address_of(LOW))
        self.assertEqual(self.core.greeted(greeted(LOW), 0.0), (found,))
        self.assertEqual(self.core.greeted(greeted(LOW, asked=False), 0.0), ())

    def test_by_tcp(self) -> None:
        """
        So does a connection to ourselves, which is closed on both sides (F53, F18).
        """
        for dialled in (True, False):
            link = link_to(LOW, dialled=dialled)
            found = (FoundOwnAddress(address_of(LOW)),) if dialled else ()
            closing = CloseLink(link, Goodbye.SELF)
            effects = self.core.authenticated(link, 0.0)
            self.assertEqual(effects, (closing, *found))

    def test_somebody_with_our_id(self) -> None:
        """A node with our id and another life is dialled, to tell one of us."""
        dial = Dial(address_of(LOW))
        self.assertEqual(self.core.greeted(greeted(LOW, 2), 0.0), (dial,))
        self.assertEqual(self.core.greeted(greeted(LOW, 2, asked=False), 0.0), ())

    def test_news_of_ourselves(self) -> None:
        """What others say of us is not news."""
        self.core.learned([entry(LOW, 9)], 0.0)
        self.assertEqual(self.core.peers, {})


class HearsayTests(CoreTestCase):
    """Peers that others told us of."""

    def test_a_peer_that_never_links(self) -> None:
        """
        A peer that others named and that never answers is no member, is
        passed on to nobody, dialled ever more rarely, and forgotten.
        """
        self.core.learned([entry(HIGH)], 0.0)
        dials = self.tick_until(600.0)
        self.assertEqual({what for _, what in dials}, {"Dial"})
        self.assertLess(len(dials), 40)
        self.assertEqual((self.core.members(), self.core.entries()), ([], ()))
        self.tick_until(DEAD_REMEMBERED_S + 60, 600.0)
        self.assertEqual(self.core.peers, {})

    def test_left_and_dead_are_forgotten(self) -> None:
        """Who left is remembered for 60 s, who died for an hour (F57)."""
        self.core.link_closed(self.link(HIGH), LinkEnd(Goodbye.LEAVING), 0.0)
        self.core.link_closed(self.link(MIDDLE), None, 0.0)
        self.core.dial_failed(node_key_of(MIDDLE), refused=True, now=0.0)
        for now, known in (
            (LEFT_REMEMBERED_S, 2),
            (LEFT_REMEMBERED_S + 0.1, 1),
            (DEAD_REMEMBERED_S, 1),
            (DEAD_REMEMBERED_S + 0.1, 0),
        ):
            self.core._ticked_at = now
            for effect in self.core.tick(now):
                if isinstance(effect, Dial):
                    key = node_key_of(MIDDLE)
                    self.core.dial_failed(key, refused=False, now=now)
            self.core.tick(now)
            self.assertEqual(len(self.core.peers), known, now)

    def test_no_news(self) -> None:
        """News of a linked peer, of its earlier life, or without a place, is none."""
        self.link()
        self.core.learned([entry(HIGH, 5)], 0.0)
        self.assertEqual(self.peer().incarnation, 1)
        self.core.learned([entry(MIDDLE, 5)], 0.0)
        self.core.learned([entry(MIDDLE, 4)], 0.0)
        self.core.learned([PeerEntry(node_key_of(MIDDLE), 9, ())], 0.0)
        self.assertEqual(self.peer(MIDDLE).incarnation, 5)

    def test_news_of_a_later_life(self) -> None:
        """A dead peer that others have seen again is dialled."""
        self.core.link_closed(self.link(), None, 0.0)
        self.core.dial_failed(node_key_of(HIGH), refused=True, now=0.0)
        self.assertEqual(self.core.tick(0.1), ())
        self.core.learned([entry(HIGH)], 0.2)
        self.assertEqual(self.core.tick(0.2), ())
        self.core.learned([entry(HIGH, 2)], 0.3)
        dial = Dial(address_of(HIGH), node_key_of(HIGH))
        self.assertEqual(self.core.tick(0.3), (dial,))

    def test_welcome_brings_news(self) -> None:
        """The peers that a WELCOME names are dialled, by the lower key at once."""
        link = link_to(HIGH)
        self.core.authenticated(link, 0.0)
        self.core.welcomed(link, welcome_of(HIGH, entry(MIDDLE)), 0.0)
        dials = [e for e in self.core.tick(0.0) if isinstance(e, Dial)]
        self.assertEqual(dials, [Dial(address_of(MIDDLE), node_key_of(MIDDLE))])


class BoundTests(CoreTestCase):
    """The table of peers."""

    def fill(self, core: Membership, count: int) -> None:
        """Somebody names so many peers."""
        for at in range(count):
            key = at.to_bytes(16, "big")
            core.learned([PeerEntry(key, 1, (("10.0.0.9", 1),))], at / 1e6)

    def test_hearsay_at_the_bound(self) -> None:
        """Of 4,097 peers that others name the last is not remembered (F57)."""
        self.fill(self.core, PEERS_MAX + 1)
        self.assertEqual(len(self.core.peers), PEERS_MAX)
        self.assertFalse(PEERS_MAX.to_bytes(16, "big") in self.core.peers)

    def test_room_for_who_is_here(self) -> None:
        """Who proves itself takes the place of the one not heard of longest."""
        self.fill(self.core, PEERS_MAX)
        link = link_to(HIGH)
        self.assertEqual(self.core.authenticated(link, 1.0), (SendWelcome(link),))
        self.assertEqual(len(self.core.peers), PEERS_MAX)
        self.assertFalse(bytes(16) in self.core.peers)

    def test_full_of_members(self) -> None:
        """With 4,096 members there is no room for one more."""
        self.fill(self.core, PEERS_MAX)
        for peer in self.core.peers.values():
            peer.state = A
        link = link_to(HIGH)
        self.assertEqual(self.core.authenticated(link, 1.0), (CloseLink(link),))
        self.assertEqual(self.core.greeted(greeted(HIGH), 1.0), ())
        self.assertEqual(self.core.link_closed(link, None, 1.0), ())
        self.assertEqual(len(self.core.peers), PEERS_MAX)

    def test_defaults(self) -> None:
        """Suspect after 3 s, dead after 4.5 s, a ping each second."""
        self.assertEqual(
            (CONFIG.suspect_after_s, CONFIG.dead_after_s, CONFIG.ping_interval_s),
            (3.0, 4.5, 1.0),
        )
