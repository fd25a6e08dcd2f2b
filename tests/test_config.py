"""Tests for `mycorrizal.config`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Config, ConfigError, new_secret
from mycorrizal.config import (
    FIELDS,
    read_file,
)
from mycorrizal.nodosum.wire import limits
from mycorrizal.settings import LABELS_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX
from tests.config_values import BAD, GOOD, PASSPHRASE
from tests.places import fresh_path


class ValueTests(SynchronousTestCase):
    """Each setting takes what makes sense, and says what does not."""

    def make(self, **settings: Any) -> Config:
        return Config(**settings)

    def test_defaults(self) -> None:
        """Nothing has to be given."""
        config = Config()
        self.assertEqual(config.listen, ("0.0.0.0", 6969))
        self.assertEqual(config.cluster_name, "mycorrizal")
        self.assertEqual((config.tls, config.hello), ("auto", "udp"))
        self.assertEqual((config.static, config.buckets, config.labels), ((), (), {}))
        self.assertEqual(config.handshake_timeout_s, 2.0)
        self.assertEqual(config.ready_timeout_s, 30.0)
        self.assertEqual(config.stop_timeout_s, 25.0)
        self.assertFalse(config.single)

    def test_good(self) -> None:
        """Good values, at the bound too, become what is documented."""
        for name, given, value in GOOD:
            config = self.make(**{name: given})
            self.assertEqual(getattr(config, name), value, (name, given))

    def test_bad(self) -> None:
        """
        Wrong values, one past the bound too, are refused with the setting's path,
        what is wrong, and what would be right.
        """
        for name, given, path, sentence in BAD:
            with self.assertRaises(ConfigError) as raised:
                self.make(**{name: given})
            error = raised.exception
            self.assertEqual(error.field, path, (name, given))
            self.assertIn(sentence, str(error), (name, given))
            self.assertTrue(str(error).startswith(f"{path}: "), str(error))

    def test_every_setting_is_tested(self) -> None:
        """A new setting gets good and bad values in these tables."""
        self.assertEqual({name for name, *_ in GOOD}, set(FIELDS))
        self.assertEqual({name for name, *_ in BAD}, set(FIELDS))

    def test_others_accept_what_we_accept(self) -> None:
        """Names and labels that are good here are good for other nodes."""
        self.assertEqual(NAME_BYTES_MAX, limits.NAME_BYTES_MAX)
        self.assertEqual(LABELS_MAX, limits.LABELS_MAX)
        self.assertEqual(LABELS_BYTES_MAX, limits.LABELS_BYTES_MAX)

    def test_label_bytes_at_the_bound(self) -> None:
        """All labels of a node take 2,048 bytes, and not a byte more."""
        labels = {f"{at:02}" + "é" * 31: "x" * 64 for at in range(16)}
        self.assertEqual(Config(labels=labels).labels, labels)
        with self.assertRaises(ConfigError) as caught:
            Config(labels={**labels, "a": ""})
        self.assertIn("2048 bytes in all, not 2049", str(caught.exception))

    def test_copy(self) -> None:
        """A Config can be copied with changes, and checks them."""
        config = Config(
            listen="[::1]:7001", static=["a", "b:1"], buckets=["s:ttl=5m"], labels="a=b"
        )
        self.assertEqual(attrs.evolve(config), config)
        copy = attrs.evolve(config, tls="off")
        self.assertEqual((copy.tls, copy.static), ("off", config.static))
        with self.assertRaises(ConfigError):
            attrs.evolve(config, tls="maybe")
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            config.tls = "off"  # type: ignore[misc]


class SecretTests(SynchronousTestCase):
    """The secret is for no eyes."""

    def test_secret_is_not_shown(self) -> None:
        """Neither repr, str nor an error shows the secret."""
        secret = new_secret(b"x" * 32)
        config = Config(secret=secret)
        for text in (repr(config), str(config), f"{config}"):
            self.assertNotIn(secret, text)
            self.assertNotIn(secret[10:20], text)
            self.assertNotIn("secret=", text)

    def test_errors_do_not_show_it(self) -> None:
        """A secret of a wrong kind is refused without being quoted."""
        wrong: Any
        for wrong in (PASSPHRASE.encode(), [PASSPHRASE], {"a": PASSPHRASE}):
            with self.assertRaises(ConfigError) as raised:
                Config(secret=wrong)
            self.assertEqual(
                str(raised.exception),
                f"secret: give a text, not {type(wrong).__name__}",
            )

    def test_given_in_place_of_a_file(self) -> None:
        """Nor is one that was given where a path belongs."""
        secret = new_secret(b"x" * 32)
        wrong: Any
        for wrong in ([secret], secret, f" {secret}\n", [secret.encode()], [[secret]]):
            with self.assertRaises(ConfigError) as raised:
                Config(secret_files=wrong)
            self.assertNotIn(secret[5:20], str(raised.exception))
        self.assertNotIn(PASSPHRASE, repr(Config(secret_files=[PASSPHRASE])))


class SourceTests(SynchronousTestCase):
    """Defaults < file < environment < options."""

    def test_precedence(self) -> None:
        """Later sources win, one setting at a time."""
        config = Config.from_sources(
            file={"node_id": "file", "cluster_name": "file", "tls": "off"},
            environment={
                "MYCORRIZAL_NODE_ID": "environment",
                "MYCORRIZAL_CLUSTER_NAME": "environment",
                "MYCORRIZAL_HELLO": "tcp",
                "HOME": "/root",
            },
            options={"node_id": "options"},
        )
        self.assertEqual(config.node_id, "options")
        self.assertEqual(config.cluster_name, "environment")
        self.assertEqual((config.tls, config.hello), ("off", "tcp"))
        self.assertEqual(config.listen, ("0.0.0.0", 6969))
        self.assertEqual(Config.from_sources(), Config())

    def test_every_setting_from_the_environment(self) -> None:
        """All are texts there; lists have commas, buckets blanks."""
        config = Config.from_sources(
            environment={
                "MYCORRIZAL_LISTEN": "127.0.0.1:7001",
                "MYCORRIZAL_ADVERTISE": "10.0.0.1:7001",
                "MYCORRIZAL_STATIC": "a:1,b",
                "MYCORRIZAL_DNS_SD": "_c._tcp.x,b:7",
                "MYCORRIZAL_DNS_SERVERS": "10.0.0.53,[::1]:5353",
                "MYCORRIZAL_ID": "n1",
                "MYCORRIZAL_CLUSTER_NAME": "c",
                "MYCORRIZAL_SECRET_FILES": "/a,/b",
                "MYCORRIZAL_SECRET": PASSPHRASE,
                "MYCORRIZAL_TLS": "off",
                "MYCORRIZAL_HELLO": "tcp",
                "MYCORRIZAL_STATE_DIR": "/s",
                "MYCORRIZAL_SINGLE": "true",
                "MYCORRIZAL_BUCKETS": "s:ttl=15m,replicas=0 t",
                "MYCORRIZAL_LABELS": "zone=a,rack=b",
                "MYCORRIZAL_HOST": "h",
                "MYCORRIZAL_HANDSHAKE_TIMEOUT_S": "1500ms",
                "MYCORRIZAL_READY_TIMEOUT_S": "1m",
                "MYCORRIZAL_STOP_TIMEOUT_S": "5",
                "MYCORRIZAL_WATCHDOG_S": "2",
            }
        )
        self.assertEqual(
            config,
            Config(
                listen="127.0.0.1:7001",
                advertise="10.0.0.1:7001",
                static=["a:1", "b"],
                dns_sd=["_c._tcp.x", "b:7"],
                dns_servers=["10.0.0.53:53", "[::1]:5353"],
                node_id="n1",
                cluster_name="c",
                secret_files=["/a", "/b"],
                secret=PASSPHRASE,
                tls="off",
                hello="tcp",
                state_dir="/s",
                single=True,
                buckets=["s:ttl=15m,replicas=0", "t"],
                labels={"zone": "a", "rack": "b"},
                host="h",
                handshake_timeout_s=1.5,
                ready_timeout_s=60,
                stop_timeout_s=5,
                watchdog_s=2,
            ),
        )

    def test_two_names_of_one_setting(self) -> None:
        """The setting's own name wins over its short one, in any order."""
        for order in (1, -1):
            variables = [
                ("MYCORRIZAL_ID", "short"),
                ("MYCORRIZAL_NODE_ID", "long"),
                ("MYCORRIZAL_SECRET_FILE", "/short"),
                ("MYCORRIZAL_SECRET_FILES", "/a,/b"),
            ]
            config = Config.from_sources(environment=dict(variables[::order]))
            self.assertEqual(config.node_id, "long")
            self.assertEqual(config.secret_files, ("/a", "/b"))

    def test_one_secret_file(self) -> None:
        """The variable for one file takes its commas as they are."""
        config = Config.from_sources(environment={"MYCORRIZAL_SECRET_FILE": "/a,b"})
        self.assertEqual(config.secret_files, ("/a,b",))

    def test_unknown(self) -> None:
        """An unknown setting is refused in each source, with the likely one."""
        for sources, path in (
            ({"file": {"listn": "x"}}, "listn"),
            ({"environment": {"MYCORRIZAL_LISTN": "x"}}, "MYCORRIZAL_LISTN"),
            ({"options": {"listn": "x"}}, "listn"),
        ):
            with self.assertRaises(ConfigError) as raised:
                Config.from_sources(**sources)
            self.assertEqual(
                str(raised.exception),
                f"{path}: unknown setting; did you mean listen?",
            )
        with self.assertRaises(ConfigError) as raised:
            Config.from_sources(file={"xyzzy": 5})
        self.assertEqual(str(raised.exception), "xyzzy: unknown setting")

    def test_variables_of_others(self) -> None:
        """Those of pulse, and what Kubernetes sets by itself, are let be."""
        config = Config.from_sources(
            environment={
                "MYCORRIZAL_NODE": "10.0.0.1:7001",
                "MYCORRIZAL_CONFIG": "/a.toml",
                "MYCORRIZAL_SERVICE_HOST": "10.96.0.7",
                "MYCORRIZAL_SERVICE_PORT": "6969",
                "MYCORRIZAL_SERVICE_PORT_CLUSTER": "6969",
                "MYCORRIZAL_PORT": "tcp://10.96.0.7:6969",
                "MYCORRIZAL_PORT_6969_TCP_ADDR": "10.96.0.7",
                "MYCORRIZALX": "x",
            }
        )
        self.assertEqual(config, Config())


class FileTests(SynchronousTestCase):
    """A TOML file holds any setting."""

    def file(self, data: bytes) -> str:
        path = fresh_path(self)
        path.write_bytes(data)
        return str(path)

    def problem(self, path: str) -> str:
        with self.assertRaises(ConfigError) as raised:
            read_file(path)
        self.assertEqual(raised.exception.field, "config")
        return str(raised.exception)

    def test_file(self) -> None:
        """Lists, tables and times may be written as TOML has them."""
        path = self.file(
            b"""
            listen = "127.0.0.1:7001"
            static = ["a:1", "b"]
            single = true
            secret_files = "/a"
            handshake_timeout_s = 1.5
            ready_timeout_s = "1m"
            [labels]
            zone = "a"
            [[buckets]]
            name = "sessions"
            ttl = "15m"
            replicas = 0
            [[buckets]]
            name = "pages"
            ttl = 900
            max_entries = 10
            """
        )
        config = Config.from_sources(file=read_file(path))
        self.assertEqual(
            config,
            Config(
                listen="127.0.0.1:7001",
                static="a:1,b",
                single=True,
                secret_files=["/a"],
                handshake_timeout_s=1.5,
                ready_timeout_s=60,
                labels="zone=a",
                buckets="sessions:ttl=15m,replicas=0 pages:ttl=15m,max_entries=10",
            ),
        )

    def test_buckets_in_one_list(self) -> None:
        """Buckets may also be texts, as on the command line."""
        file = tomllib.loads('buckets = ["a:ttl=5m,replicas=0", "b"]')
        self.assertEqual(len(Config.from_sources(file=file).buckets), 2)

    def test_wrong_path_in_the_file(self) -> None:
        """A wrong setting in a table is named by its path."""
        file = tomllib.loads(
            '[[buckets]]\nname = "a"\n[[buckets]]\nname = "b"\nttl = "5x"'
        )
        with self.assertRaises(ConfigError) as raised:
            Config.from_sources(file=file)
        self.assertEqual(raised.exception.field, "buckets[1].ttl")

    def test_not_there(self) -> None:
        """A file that can't be read is named with the reason."""
        path = str(fresh_path(self))
        self.assertEqual(
            self.problem(path), f"config: cannot read {path}: No such file or directory"
        )
        Path(path).mkdir()
        self.assertEqual(
            self.problem(path), f"config: cannot read {path}: Is a directory"
        )
        self.assertIn("cannot read '': ", self.problem(""))

    def test_not_toml(self) -> None:
        """What is no TOML, or not UTF-8, is refused with the place."""
        for data, sentence in (
            (b"listen = ", "at end of document"),
            (b'a = 1\nlisten "x"', "line 2"),
            (b"a = '\xff'", "utf-8"),
            (b"a = " + b"9" * 5000, "digits"),
            (b"a = " + b"[" * 100_000, "recursion"),
        ):
            problem = self.problem(self.file(data))
            self.assertIn("is not valid TOML", problem)
            self.assertIn(sentence, problem)

    def test_secret_stays_out_of_errors(self) -> None:
        """A mistake beside the secret does not show it."""
        for line in (f'secret = "{PASSPHRASE}', f"secret = {PASSPHRASE}"):
            self.assertNotIn("horse", self.problem(self.file(line.encode())))
