"""Tests for `mycorrizal.service`: what a node is, and what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import capturedLogs

from mycorrizal import (
    ApplicationError,
    Config,
    ConfigError,
    DuplicateApplication,
    Mycorrizal,
    Runtime,
    StateError,
    UnknownApplication,
)
from mycorrizal.state import make_secret
from tests.node_case import OTHER_SECRET, RAW_SECRET, NodeCase
from tests.places import fresh_path

PASSPHRASE = "correct horse battery staple"


class NodeTests(NodeCase):
    """What a node is, and what it needs."""

    def test_children(self) -> None:
        """It is a service whose children have names."""
        node = self.node()
        self.assertEqual(node.name, "mycorrizal")
        self.assertIs(node.getServiceNamed("nodosum"), node.nodosum)
        self.assertIs(node.getServiceNamed("mycel"), node.mycel)

    def test_in_an_application(self) -> None:
        """It starts and stops with the service that it is a child of."""
        parent = MultiService()
        node = self.node()
        node.setServiceParent(parent)
        parent.startService()
        self.ready(node)
        self.world.result_of(parent.stopService())
        self.stop()
        late = self.node(self.b)
        parent = MultiService()
        parent.startService()
        late.setServiceParent(parent)
        self.ready(late)
        self.world.result_of(late.disownServiceParent())
        self.stop()

    def test_started_twice(self) -> None:
        """Starting it again while it runs changes nothing."""
        node = self.started()
        node.startService()
        self.ready(node)
        self.stop(node)

    def test_no_secret(self) -> None:
        """Without a secret there is no cluster; the error says how to make one."""
        with self.assertRaises(ConfigError) as raised:
            self.node(secret=None)
        self.assertEqual(raised.exception.field, "secret")
        for words in ("pulse secret new > FILE", "secret_files=", "single=True"):
            self.assertIn(words, str(raised.exception))

    def test_secrets_in_files(self) -> None:
        """The first secret signs, all are accepted: so secrets can be changed."""
        old, new, both = RAW_SECRET, OTHER_SECRET, []
        for secret in (new, old):
            path = fresh_path(self)
            path.write_text(secret)
            path.chmod(0o600)
            both.append(str(path))
        first = self.started(secret=old)
        second = self.started(
            self.b, secret=None, secret_files=both, static=[self.a.address]
        )
        self.ready(second)
        self.assertEqual(len(second.nodes()), 2)
        self.assertNotEqual(first.fingerprint, second.fingerprint)
        self.stop(first, second)

    def test_wrong_secret_in_a_file(self) -> None:
        """A wrong secret is named by its place in the list, and not shown."""
        paths = []
        for secret in (PASSPHRASE, "short"):
            path = fresh_path(self)
            path.write_text(secret)
            path.chmod(0o600)
            paths.append(str(path))
        with self.assertRaises(ConfigError) as raised:
            self.node(secret=None, secret_files=paths)
        self.assertEqual(raised.exception.field, "secret_files[1]")
        self.assertNotIn("short;", str(raised.exception).partition("bytes")[2])

    def test_secret_in_the_state_directory(self) -> None:
        """The secret that another of the user's nodes made is taken."""
        place = fresh_path(self)
        make_secret(place / "mycorrizal", self.a.runtime.token_bytes)
        first = self.started(secret=None, state_dir=str(place), listen="10.0.0.1:7001")
        second = self.started(
            self.b,
            secret=None,
            state_dir=str(place),
            listen="10.0.0.2:7002",
            static=["10.0.0.1:7001"],
        )
        self.ready(second)
        self.assertEqual(first.fingerprint, second.fingerprint)
        self.assertEqual(len(second.nodes()), 2)
        self.stop(first, second)

    def test_secret_that_leads_nowhere(self) -> None:
        """A broken link where the secret should be is named, not passed over."""
        place = fresh_path(self)
        (place / "mycorrizal").mkdir(parents=True)
        (place / "mycorrizal" / "secret").symlink_to("nowhere")
        with self.assertRaises(ConfigError) as raised:
            self.node(secret=None, state_dir=str(place))
        self.assertIn("No such file or directory", str(raised.exception))

    def test_state(self) -> None:
        """The next node of the same place has the id, and a higher incarnation."""
        settings: dict[str, Any] = {"state_dir": str(fresh_path(self)), "node_id": None}
        first = self.started(**settings)
        with self.assertRaises(StateError):
            self.node(**settings)
        self.ready(first)
        self.stop(first)
        self.a.jump_wall(-1000)
        second = self.started(**settings)
        self.assertEqual(second.node_id, first.node_id)
        self.assertGreater(second.nodosum.me.incarnation, first.nodosum.me.incarnation)
        self.stop(second)

    def test_another_incarnation_is_kept(self) -> None:
        """What others make a node take is stored; a full disk does not stop it."""
        place = str(fresh_path(self))
        node = self.started(state_dir=place)
        self.ready(node)
        incarnation = node.nodosum.me.incarnation + 10_000
        node.nodosum.incarnation_changed(incarnation)
        stored = Path(place) / "mycorrizal" / "6969" / "node.json"
        self.assertIn(str(incarnation), stored.read_text())
        (stored.parent / "node.new").mkdir()
        with capturedLogs() as events:
            node.nodosum.incarnation_changed(incarnation + 1)
        self.assertIn("cannot write state in ", events[0]["problem"])
        self.assertIn(str(incarnation), stored.read_text())
        self.stop(node)

    def test_no_state(self) -> None:
        """Without a state directory, or on any port, each node has a new id."""
        ids = set()
        place = str(fresh_path(self))
        any_port: dict[str, Any] = {"listen": "10.0.0.1:0", "state_dir": place}
        for settings in ({}, {}, any_port):
            ids.add(self.node(node_id=None, **settings).node_id)
        self.assertEqual(len(ids), 3)

    def test_two_nodes_in_one_process(self) -> None:
        """Two nodes can share a process and its reactor."""
        first = self.started(listen="10.0.0.1:7001", node_id="n1")
        second = self.started(
            listen="10.0.0.1:7002", node_id="n2", static=["10.0.0.1:7001"]
        )
        self.ready(second)
        self.assertEqual([one.id for one in first.nodes()], ["n1", "n2"])
        self.stop(first, second)

    def test_advertise(self) -> None:
        """Others are told the address that was asked for; port 0: the open one."""
        node = self.started(listen="0.0.0.0:0", advertise="10.0.0.1:0")
        self.ready(node)
        host, _, port = node.address.partition(":")
        self.assertEqual(host, "10.0.0.1")
        self.assertNotEqual(port, "0")
        self.stop(node)

    def test_applications(self) -> None:
        """Applications are registered once, by a sound id, and found again."""
        node = self.node()
        chat = node.register_application("chat")
        self.assertIs(node.get_application("chat"), chat)
        with self.assertRaises(DuplicateApplication):
            node.register_application("chat")
        with self.assertRaises(UnknownApplication):
            node.get_application("other")
        with self.assertRaises(UnknownApplication):
            node.get_application("SYSTEM-MYCEL")
        with self.assertRaises(ApplicationError):
            node.register_application("a b")

    def test_reactor_or_runtime(self) -> None:
        """The runtime of a reactor is found, or is given in its place."""
        node = Mycorrizal(self.a.runtime, Config(secret=RAW_SECRET))
        self.assertIs(node.runtime, self.a.runtime)
        self.assertIsInstance(self.node().runtime, Runtime)
