"""Tests for `mycorrizal.errors`."""

from __future__ import annotations

import inspect
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import mycorrizal
from mycorrizal import errors

#: (error, what it says, its attributes)
SAMPLES: list[tuple[errors.MycorrizalError, str, dict[str, Any]]] = [
    (
        errors.ConfigError("buckets[1].ttl", "'5x' is not a time; as in 15m"),
        "buckets[1].ttl: '5x' is not a time; as in 15m",
        {"field": "buckets[1].ttl", "problem": "'5x' is not a time; as in 15m"},
    ),
    (errors.ConfigError("", "no secret"), "no secret", {"field": ""}),
    (errors.NotRunning(), "the node is not running", {}),
    (errors.NotRunning("the cache"), "the cache is not running", {}),
    (errors.NotRunning("the node", "was stopped"), "the node was stopped", {}),
    (
        errors.Forked(),
        (
            "the node runs in the process that this one was forked from, and its "
            "connections are not for this one; start this one anew instead of forking "
            'it, as by multiprocessing.get_context("spawn")'
        ),
        {},
    ),
    (errors.NotReady("not ready within 30 s: x"), "not ready within 30 s: x", {}),
    (
        errors.CannotListen("127.0.0.1:7001", "address already in use"),
        (
            "cannot listen on 127.0.0.1:7001: address already in use; choose another "
            "with --listen HOST:PORT (port 0 takes a free one)"
        ),
        {"address": "127.0.0.1:7001"},
    ),
    (errors.StateError("node.json is damaged"), "node.json is damaged", {}),
    (errors.DiscoveryError("no name has an address"), "no name has an address", {}),
    (errors.LocalProtocolError("already closed"), "already closed", {}),
    (errors.RemoteProtocolError("kind 9 is unknown"), "kind 9 is unknown", {}),
    (errors.AuthenticationError("a refused us"), "a refused us", {}),
    (
        errors.NotGranted("client a (key 12)", "CACHE:b:READ"),
        (
            "client a (key 12) has no grant CACHE:b:READ; it is given in the nodes' "
            "client_keys_file"
        ),
        {"grant": "CACHE:b:READ"},
    ),
    (
        errors.DuplicateNodeId("n1", "10.0.0.1:1", "10.0.0.2:1"),
        (
            "node id 'n1' is used twice: by this node at 10.0.0.1:1 and by a live node "
            "at 10.0.0.2:1; give one of them another --node-id"
        ),
        {"node_id": "n1", "addresses": ("10.0.0.1:1", "10.0.0.2:1")},
    ),
    (
        errors.PeerUnreachable(["n1", "n2"]),
        "no link to n1, n2",
        {"node_ids": ("n1", "n2")},
    ),
    (errors.PeerUnreachable([]), "no link to any peer", {"node_ids": ()}),
    (errors.PeerBusy(["n1"]), "the queue to n1 is full", {"node_ids": ("n1",)}),
    (
        errors.MessageTooLarge(1_048_577, 1_048_560),
        "a message of 1048577 bytes is over the limit of 1048560",
        {"size_bytes": 1_048_577, "limit_bytes": 1_048_560},
    ),
    (
        errors.DuplicateApplication("chat"),
        "application 'chat' is registered already",
        {"application_id": "chat"},
    ),
    (
        errors.UnknownApplication("chat"),
        "application 'chat' is not registered here",
        {"application_id": "chat"},
    ),
    (
        errors.UnknownApplication("chat", "at n2"),
        "application 'chat' is not registered at n2",
        {"application_id": "chat"},
    ),
    (
        errors.ApplicationError("a b", "needs an id of letters"),
        "application 'a b' needs an id of letters",
        {"application_id": "a b"},
    ),
    (
        errors.CallTimeout("n2", 5.0),
        "n2 did not answer within 5 s",
        {"node_id": "n2", "timeout_s": 5.0},
    ),
    (errors.RemoteFailure("n2: no such user"), "n2: no such user", {}),
    (
        errors.LinkLost("n2"),
        "the link to n2 closed before it answered",
        {"node_id": "n2"},
    ),
    (errors.CallError("n2 takes no requests"), "n2 takes no requests", {}),
    (
        errors.UnknownBucket("s"),
        "no bucket 's'; create it with create_bucket",
        {"bucket": "s"},
    ),
    (
        errors.BucketConflict("s", "replicas is 1, not 2"),
        "bucket 's' exists with other settings (replicas is 1, not 2)",
        {"bucket": "s"},
    ),
    (errors.InvalidKey("a key is text"), "a key is text", {}),
    (errors.KeyTooLarge("a key has 1 to 9 bytes"), "a key has 1 to 9 bytes", {}),
    (
        errors.ValueTooLarge(9_000_000, 8_388_608),
        "a value of 9000000 bytes is over the limit of 8388608",
        {"size_bytes": 9_000_000, "limit_bytes": 8_388_608},
    ),
    (
        errors.LoadFailed("users", "KeyError: 7"),
        "the loader of a value of 'users' failed: KeyError: 7",
        {"bucket": "users", "problem": "KeyError: 7"},
    ),
    (errors.TooManyLoads("too many loads"), "too many loads", {}),
    (
        errors.CacheBusy("on this node", 16),
        (
            "16 operations are under way on this node; this one was not begun: wait "
            "for some of them before you begin more"
        ),
        {"limit": 16},
    ),
    (errors.CodecError("can't encode"), "can't encode", {}),
    (
        errors.Degraded(1, 3),
        "written, but 1 node holds it, not 3: members are missing",
        {"copies": 1, "wanted": 3},
    ),
    (
        errors.LastInService("n1"),
        (
            "n1 is the only node in service, and nobody could take what it holds; "
            "start another node, or bring one back with `pulse drain NODE --undo`"
        ),
        {"node_id": "n1"},
    ),
    (
        errors.PartialFailure({"a": 2}, {"b": errors.Indeterminate("too late")}),
        "1 of 2 keys failed, the first 'b': too late",
        {"done": {"a": 2}},
    ),
    (errors.Indeterminate("no answer within 5 s"), "no answer within 5 s", {}),
    (errors.CacheUnavailable("not done within 5 s"), "not done within 5 s", {}),
    (errors.CacheError("a value is bytes, not str"), "a value is bytes, not str", {}),
]


def every_error() -> dict[str, type[errors.MycorrizalError]]:
    """The errors that are defined, by name."""
    return {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.MycorrizalError)
    }


class ErrorTests(SynchronousTestCase):
    """Errors are sentences for people, and attributes for programs."""

    def test_sentences(self) -> None:
        """Each says what happened, without a period at its end, on one line."""
        for error, sentence, _ in SAMPLES:
            self.assertEqual(str(error), sentence)
            self.assertNotIn("\n", str(error))
            self.assertFalse(str(error).endswith("."), str(error))

    def test_attributes(self) -> None:
        """What the sentence is about need not be parsed out of it."""
        for error, _, attributes in SAMPLES:
            for name, value in attributes.items():
                self.assertEqual(getattr(error, name), value, f"{error!r}.{name}")

    def test_every_error_has_a_sample(self) -> None:
        """A new error is written down here, or is only a family of others."""
        families = {"MycorrizalError", "ProtocolError"}
        named = {type(error).__name__ for error, _, _ in SAMPLES}
        self.assertEqual(set(every_error()) - families, named)

    def test_all_are_at_the_front_door(self) -> None:
        """Whoever has to catch an error can import it from mycorrizal."""
        for name, kind in every_error().items():
            self.assertIn(name, mycorrizal.__all__)
            self.assertIs(getattr(mycorrizal, name), kind)

    def test_families(self) -> None:
        """One except clause catches all of a kind."""
        for family, kinds in (
            (errors.CacheError, (errors.Indeterminate, errors.UnknownBucket)),
            (errors.CacheError, (errors.ValueTooLarge, errors.KeyTooLarge)),
            (errors.CallError, (errors.CallTimeout, errors.RemoteFailure)),
            (errors.CallError, (errors.LinkLost,)),
            (errors.ApplicationError, (errors.DuplicateApplication,)),
            (errors.ApplicationError, (errors.UnknownApplication,)),
            (errors.ProtocolError, (errors.LocalProtocolError,)),
            (errors.ProtocolError, (errors.RemoteProtocolError,)),
        ):
            for kind in kinds:
                self.assertTrue(issubclass(kind, family), kind)
