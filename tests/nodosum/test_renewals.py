"""
Links are renewed under traffic when a secret or a certificate has changed (F15).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.acl import Key, derive_key, new_secret
from mycorrizal.nodosum.outdated import (
    PACE_S,
    RENEW_REMOVED_WITHIN_S,
    RENEW_WITHIN_S,
    RETRY_MAX_S,
)
from mycorrizal.nodosum.renewals import LOOK_S, READY_TIMEOUT_S
from mycorrizal.nodosum.wire.limits import Feature, FrameType
from mycorrizal.recorder import Kind
from tests.nodosum.chatter import Chatter, links
from tests.nodosum.nodes import Nodes, states
from tests.nodosum.wire.cases import SECRET

OLD = derive_key(SECRET, "mycorrizal")
NEW, OTHER = (derive_key(new_secret(bytes([n]) * 32), "mycorrizal") for n in (1, 2))
#: What a renewal takes beside the pause before it.
SOON_S = LOOK_S + 0.5


def use(*keys: Key, at: tuple[NodosumService, ...]) -> None:
    """Have nodes use these keys from now on, the first to sign."""
    for node in at:
        node.config.keys.replace(keys)


def keeper(got: list[bytes]) -> Callable[[bytes, str], None]:
    """A receive function that keeps what comes."""
    return lambda payload, _: got.append(payload)


class RenewalTestCase(SynchronousTestCase):
    """Nodes in a world, that talk."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world

    def form(self, **settings: Any) -> tuple[NodosumService, ...]:
        """Three nodes, which have been told of each other."""
        found = tuple(self.nodes.three(**settings))
        self.told = {name: list(told) for name, told in self.nodes.told.items()}
        return found

    def made_with(self, *nodes: NodosumService) -> set[str]:
        """The secrets that links of these nodes were made with."""
        return {link.remote.key.fingerprint for link in links(*nodes)}

    def renewed(self, node: NodosumService) -> list[str]:
        """Which of its links a node says were renewed."""
        kept = node.recorder.recent(0)
        return [str(it.fields["peer"]) for it in kept if it.kind is Kind.LINK_RENEWED]

    def begun(self, *nodes: NodosumService) -> None:
        """Wait until a renewal begins."""
        self.world.until(lambda: any(node.mesh.renewals._begun for node in nodes), 5)

    def check_quiet(self, *nodes: NodosumService) -> None:
        """Nobody was told of anything, and one connection is left for each two."""
        self.assertEqual(self.nodes.told, self.told)
        for node in nodes:
            self.assertEqual(set(states(node).values()), {"alive"})
            self.assertEqual(len(node.mesh.admission.connections), len(nodes) - 1)
            self.assertEqual(len(node.mesh.renewals), 0)
            self.assertEqual(len(node.mesh.renewals._by_spare), 0)


class ChangeTests(RenewalTestCase):
    """A secret or a certificate is changed under traffic."""

    def test_secret_is_changed(self) -> None:
        """
        A secret is added, used, and the old one removed: all links are made anew,
        and no message is lost, doubled or late, with TLS and without.
        """
        for settings in ({}, {"tls": "off"}):
            self.setUp()
            abc = self.form(**settings)
            chatter = Chatter(self.world, *abc)
            for keys in ((OLD, NEW), (NEW, OLD)):
                use(*keys, at=abc)
                chatter.talk(2 * PACE_S + SOON_S)
            self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
            use(NEW, at=abc)
            chatter.talk(3)
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)
            for node in abc:
                self.assertEqual(len(self.renewed(node)), 2)

    def test_at_one_end_first(self) -> None:
        """
        Whichever end uses the new secret first, the link is renewed when who
        listens uses it; until then it stays, and no pause is short.
        """
        for first in (0, 1):
            self.setUp()
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=False)
            use(OLD, NEW, at=abc)
            listening = [node for node in abc if self.accepted(node)]
            dialling = [node for node in abc if node not in listening[:1]]
            early = (listening[:1], dialling)[first]
            use(NEW, OLD, at=tuple(early))
            chatter.talk(2 * PACE_S + SOON_S)
            expected = {
                link.node_key: early_one.config.keys.first
                for early_one in early
                for link in self.accepted(early_one)
            }
            for node in early:
                for link in self.accepted(node):
                    self.assertEqual(link.remote.key, expected[link.node_key])
            use(NEW, OLD, at=abc)
            chatter.talk(2 * PACE_S + SOON_S)
            self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)

    def test_removed(self) -> None:
        """A secret is removed: links that were made with it last 2 s more."""
        abc = self.form()
        chatter = Chatter(self.world, *abc)
        use(OLD, NEW, at=abc)
        chatter.talk(1)
        use(NEW, at=abc)
        chatter.talk(RENEW_REMOVED_WITHIN_S + SOON_S)
        self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
        self.assertEqual(chatter.problems(), [])
        self.check_quiet(*abc)

    def test_removed_at_one_end(self) -> None:
        """That one end has removed it is enough, whichever end has dialled."""
        for number in range(3):
            self.setUp()
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=False)
            use(OLD, NEW, at=abc)
            use(NEW, at=abc[number : number + 1])
            chatter.talk(RENEW_REMOVED_WITHIN_S + SOON_S)
            self.assertEqual(self.made_with(abc[number]), {NEW.fingerprint})
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)

    def test_certificate_is_replaced(self) -> None:
        """A node has a new certificate: all its links show it, and no others."""
        for number in range(3):
            self.setUp()
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=False)
            tls: Any = abc[number].mesh.admission.tls
            tls.edition += 1
            chatter.talk(2 * PACE_S + SOON_S)
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)
            counts = [len(self.renewed(node)) for node in abc]
            self.assertEqual(counts, [2 if at == number else 1 for at in range(3)])

    def test_nothing_has_changed(self) -> None:
        """As long as nothing changes no link is renewed, nor if a key is added."""
        abc = self.form()
        self.world.advance(2 * RENEW_WITHIN_S)
        use(OLD, NEW, at=abc)
        self.world.advance(2 * RENEW_WITHIN_S)
        self.assertEqual([self.renewed(node) for node in abc], [[], [], []])

    def test_many_nodes(self) -> None:
        """
        Of eight nodes each renews one link at a time, and all within a minute.
        """
        hosts = [self.world.host(f"h{n}") for n in range(8)]
        found = tuple(self.nodes.start(host, *hosts) for host in hosts)
        for node in found:
            self.world.result_of(node.readiness.when_ready())
        self.world.advance(5)
        use(OLD, NEW, at=found)
        use(NEW, OLD, at=found)
        began_s, moments = self.world.now_s, []
        while self.made_with(*found) != {NEW.fingerprint}:
            before = sum(len(self.renewed(node)) for node in found)
            self.world.advance(0.5)
            moments.append(sum(len(self.renewed(node)) for node in found) - before)
            self.assertLess(self.world.now_s - began_s, RENEW_WITHIN_S)
        # Twice 28 links, told of at both ends, and never many of them at once.
        self.assertEqual(sum(moments), 56)
        self.assertLess(max(moments), 20)
        self.assertGreater(sum(map(bool, moments)), 5)

    def test_one_at_a_time(self) -> None:
        """However urgent, a node begins one renewal after the other."""
        self.world.latency_ms(10, 10)
        hosts = [self.world.host(f"h{n}") for n in range(8)]
        found = tuple(self.nodes.start(host, *hosts) for host in hosts)
        for node in found:
            self.world.result_of(node.readiness.when_ready())
        use(OLD, NEW, at=found)
        use(NEW, at=found)
        most = 0
        while self.made_with(*found) != {NEW.fingerprint}:
            self.world.advance(0.01)
            for node in found:
                moves = node.mesh.renewals._moves.values()
                begun = [one for one in moves if one.link.dialled and not one.moved]
                most = max(most, len(begun))
        self.assertEqual(most, 1)

    def accepted(self, node: NodosumService) -> list[Any]:
        """Those links of a node that others have dialled."""
        return [link for link in links(node) if link.dialled is None]


class FailureTests(RenewalTestCase):
    """A renewal comes to nothing."""

    def test_wrong_secret(self) -> None:
        """
        A node got another new secret than the rest: its links stay as they were,
        with all that goes over them, and are renewed when that is put right.
        """
        abc = self.form()
        chatter = Chatter(self.world, *abc, long=False)
        use(NEW, at=abc[:2])
        use(OTHER, at=abc[2:])
        tried = self.count_connections(*abc)
        chatter.talk(RETRY_MAX_S)
        self.assertEqual(self.made_with(abc[2]), {OLD.fingerprint})
        # With doubled pauses that is about 2, 4, 8, 16, 32 s.
        self.assertIn(len(tried), range(8, 18))
        use(NEW, at=abc)
        chatter.talk(RETRY_MAX_S + SOON_S)
        self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
        self.assertEqual(chatter.problems(), [])
        self.check_quiet(*abc)

    def count_connections(self, *nodes: NodosumService) -> list[Any]:
        """A list that has each connection that is dialled from now on."""
        found: list[Any] = []
        for node in nodes:
            dialling = node.mesh.dialling
            original = dialling.dial

            def dial(*arguments: Any, original: Any = original) -> None:
                found.append(arguments)
                original(*arguments)

            dialling.dial = dial  # type: ignore[method-assign, assignment]
        return found

    def test_never_ready(self) -> None:
        """A node that never says it is ready is given time, and asked again."""
        abc = self.form()
        chatter = Chatter(self.world, *abc, long=False)
        use(OLD, NEW, at=abc)
        held: list[Any] = []
        originals = [node.mesh.renewals._offered for node in abc]
        for node in abc:
            node.mesh.renewals._offered = (  # type: ignore[method-assign]
                lambda protocol, remote: held.append(protocol)
            )
        use(NEW, at=abc)
        chatter.talk(RENEW_REMOVED_WITHIN_S + SOON_S + 1)
        self.assertEqual(self.made_with(*abc), {OLD.fingerprint})
        self.assertIn(len(held), (2, 3))
        chatter.talk(READY_TIMEOUT_S + 1)
        self.assertEqual({one._lost for one in held[:2]}, {True})
        for node, original in zip(abc, originals, strict=True):
            node.mesh.renewals._offered = original  # type: ignore[method-assign]
        chatter.talk(3 * READY_TIMEOUT_S)
        self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
        self.assertEqual(chatter.problems(), [])
        self.check_quiet(*abc)

    def test_peer_of_an_older_version(self) -> None:
        """Links to a node that does not know of renewals stay as they are."""
        hosts = [self.world.host(name) for name in "abc"]
        abc = tuple(self.nodes.start(host, *hosts) for host in hosts)
        older = abc[1].mesh.admission
        features = older.local.features & ~Feature.RENEWAL
        older.local = attrs.evolve(older.local, features=features)
        for node in abc:
            self.world.result_of(node.readiness.when_ready())
        self.told = {name: list(told) for name, told in self.nodes.told.items()}
        chatter = Chatter(self.world, *abc, long=False)
        use(OLD, NEW, at=abc)
        use(NEW, at=abc)
        chatter.talk(2 * PACE_S + SOON_S)
        self.assertEqual(self.made_with(abc[1]), {OLD.fingerprint})
        self.assertEqual(len(self.renewed(abc[0])), 1)
        self.assertEqual(chatter.problems(), [])
        self.check_quiet(*abc)

    def test_leaves_meanwhile(self) -> None:
        """A node that leaves at any moment of a renewal has left, and not died."""
        for moment in range(40):
            self.setUp()
            self.world.latency_ms(5, 5)
            abc = self.form()
            use(OLD, NEW, at=abc)
            use(NEW, at=abc)
            self.begun(*abc)
            self.world.advance(moment * 0.002)
            leaver = abc[moment % 3]
            self.world.result_of(leaver.stopService())
            self.world.advance(1)
            self.assertEqual(self.world.errors(), [])
            for node in abc:
                if node is not leaver:
                    told = self.nodes.told[node.me.node_id]
                    self.assertNotIn(f"Died {leaver.me.node_id}", told)
            host = self.world.hosts[leaver.me.node_id]
            self.assertEqual(host.sockets(), [])
            self.assertEqual(host.reactor.getDelayedCalls(), [])

    def test_crash_meanwhile(self) -> None:
        """A crash at any moment of a renewal is a crash; all others go on."""
        for moment in range(40):
            self.setUp()
            self.world.latency_ms(5, 5)
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=False)
            use(OLD, NEW, at=abc)
            use(NEW, at=abc)
            self.begun(*abc)
            self.world.advance(moment * 0.002)
            name = "abc"[moment % 3]
            self.world.hosts[name].crash("silence" if moment % 2 else "reset")
            del chatter.nodes[name]
            chatter.talk(0.5)
            self.world.advance(10)
            left = [node for node in abc if node.me.node_id != name]
            self.assertEqual(self.made_with(*left), {NEW.fingerprint})
            for node in left:
                self.assertEqual(states(node)[name], "dead")
                others = {node.me.node_id for node in left} - {node.me.node_id}
                self.assertEqual(set(node.applications.links), others)
                self.assertEqual(len(node.mesh.renewals), 0)
                self.assertEqual(len(node.mesh.admission.connections), 1)
            self.assertTrue(chatter.in_order())
            self.assertEqual(self.world.errors(), [])

    def test_connections_break_meanwhile(self) -> None:
        """
        All connections of two nodes are reset at any moment of a renewal: they
        are linked again at once, nothing is doubled, and nobody has died.
        """
        for moment in range(30):
            self.setUp()
            self.world.latency_ms(5, 5)
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=False)
            use(OLD, NEW, at=abc)
            use(NEW, at=abc)
            self.begun(*abc)
            self.world.advance(moment * 0.002)
            for a, b in ("ab", "bc", "ac"):
                self.world.reset(self.world.hosts[a], self.world.hosts[b])
            chatter.talk(1)
            self.world.advance(10)
            self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
            self.assertTrue(chatter.in_order())
            self.assertEqual(self.world.errors(), [])
            self.check_quiet(*abc)


class NetworkTests(RenewalTestCase):
    """The network is not at its best."""

    def test_slow_network(self) -> None:
        """On a slow line, with half a long message on its way, nothing is lost."""
        for bytes_per_s in (300_000, 1_000_000):
            self.setUp()
            abc = self.form()
            hosts = [self.world.hosts[name] for name in "abc"]
            for at, host in enumerate(hosts):
                self.world.slow(host, hosts[at - 1], bytes_per_s)
            application = [node.applications.register("bulk") for node in abc]
            got: list[bytes] = []
            keep = keeper(got)
            for one in application:
                one.set_receive_func(keep)
            sent = []
            for number in range(40):
                for at, one in enumerate(application):
                    message = bytes([number, at]) + bytes(100_000)
                    sent += [message, message]
                    one.post(message)
            chatter = Chatter(self.world, *abc, long=False)
            use(OLD, NEW, at=abc)
            use(NEW, at=abc)
            chatter.talk(RENEW_REMOVED_WITHIN_S + 10)
            self.world.advance(60)
            self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
            self.assertEqual(sorted(got), sorted(sent))
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)

    def test_stalls(self) -> None:
        """
        Bytes that wait for a second, at any moment of a renewal, are late; they
        are neither lost nor out of order, and nobody is thought dead.
        """
        for moment in range(30):
            self.setUp()
            self.world.latency_ms(5, 5)
            abc = self.form()
            chatter = Chatter(self.world, *abc, long=moment % 2 == 0)
            use(OLD, NEW, at=abc)
            use(NEW, at=abc)
            self.begun(*abc)
            self.world.advance(moment * 0.002)
            a, b = (
                self.world.hosts["abc"[moment % 3]],
                self.world.hosts["abc"[moment % 3 - 1]],
            )
            self.world.cut(a, b, one_way=moment % 4 > 1)
            chatter.talk(1)
            self.world.heal()
            chatter.talk(1)
            self.world.advance(10)
            self.assertEqual(self.made_with(*abc), {NEW.fingerprint})
            self.assertEqual(chatter.problems(), [])
            self.check_quiet(*abc)


class FrameTests(RenewalTestCase):
    """What peers say of renewals, and must not."""

    def test_out_of_place(self) -> None:
        """MOVED and READY, and RENEW of who has dialled, end a link out of place."""
        for kind in (FrameType.MOVED, FrameType.READY, FrameType.RENEW):
            self.setUp()
            abc = self.form()
            link = next(link for link in links(*abc) if link.dialled is not None)
            link.send_control(kind, bytes(32))
            self.world.advance(0.05)
            self.assertTrue(link.closed, kind)
            self.world.advance(5)
            self.assertEqual(self.world.errors(), [])

    def test_ready_too_late(self) -> None:
        """READY for a connection that was given up changes nothing."""
        abc = self.form()
        link = next(link for link in links(*abc) if link.dialled is None)
        link.send_control(FrameType.READY, bytes(32))
        self.world.advance(1)
        self.assertFalse(link.closed)
        self.check_quiet(*abc)

    def test_asked_again_and_again(self) -> None:
        """However often a peer asks for it, a link is renewed once in 2 s."""
        abc = self.form()
        link = next(link for link in links(*abc) if link.dialled is None)
        for _ in range(100):
            link.send_control(FrameType.RENEW, b"")
            self.world.advance(0.1)
        count = sum(len(self.renewed(node)) for node in abc)
        self.assertIn(count // 2, range(4, 7))
        self.check_quiet(*abc)
