"""Tests for `mycorrizal.tap`: the options of ``twist mycorrizal``."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet import reactor as _installed  # noqa: F401
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import textFileLogObserver
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Config, __version__, new_secret
from mycorrizal.config import FIELDS
from mycorrizal.tap import EXIT_FAILED, EXIT_USAGE, NodeService, Options, makeService
from tests.places import fresh_path

#: (an option and its values, the same setting of Config)
GOOD: list[tuple[list[str], dict[str, Any]]] = [
    (["--listen", "127.0.0.1:7001"], {"listen": "127.0.0.1:7001"}),
    (["--listen=[::1]:0"], {"listen": "[::1]:0"}),
    (["--advertise", "10.0.0.1"], {"advertise": "10.0.0.1"}),
    (["--static", "a,b:1"], {"static": ["a", "b:1"]}),
    (["--static", "a, b,", "--static", "c"], {"static": ["a", "b", "c"]}),
    (["--dns-sd", "_c._tcp.x", "--dns-sd", "b:7"], {"dns_sd": ["_c._tcp.x", "b:7"]}),
    (
        ["--dns-server", "10.0.0.53", "--dns-server", "[::1]:5353"],
        {"dns_servers": "10.0.0.53:53,[::1]:5353"},
    ),
    (["--node-id", "n1"], {"node_id": "n1"}),
    (["--cluster-name", "c"], {"cluster_name": "c"}),
    (["--secret-file", "/a"], {"secret_files": ["/a"]}),
    (
        ["--secret-file", "/a,b", "--secret-file", "/c"],
        {"secret_files": ["/a,b", "/c"]},
    ),
    (["--client-keys-file", "/a"], {"client_keys_file": "/a"}),
    (["--tls", "off"], {"tls": "off"}),
    (
        ["--tls", "pki", "--tls-ca", "/a", "--tls-cert", "/c", "--tls-key", "/k"],
        {"tls": "pki", "tls_ca": "/a", "tls_cert": "/c", "tls_key": "/k"},
    ),
    (
        [
            "--tls-hostname",
            "n.example",
            "--tls",
            "pki",
            "--tls-ca",
            "/a",
            "--tls-cert",
            "/c",
            "--tls-key",
            "/k",
        ],
        {
            "tls_hostname": "n.example",
            "tls": "pki",
            "tls_ca": "/a",
            "tls_cert": "/c",
            "tls_key": "/k",
        },
    ),
    (["--hello", "tcp"], {"hello": "tcp"}),
    (["--compression", "zlib"], {"compression": "zlib"}),
    (["--consul", "http://a:8500"], {"consul": "http://a:8500"}),
    (["--consul", "a:8500"], {"consul": {"url": "http://a:8500"}}),
    (["--consul-service", "s"], {"consul": {"service": "s"}}),
    (["--consul-tag", "a", "--consul-tag", "b,c"], {"consul": {"tags": ["a", "b,c"]}}),
    (["--consul-datacenter", "dc2"], {"consul": {"datacenter": "dc2"}}),
    (["--consul-namespace", "team"], {"consul": {"namespace": "team"}}),
    (["--consul-partition", "part"], {"consul": {"partition": "part"}}),
    (["--consul-token-file", "/t"], {"consul": {"token_file": "/t"}}),
    (
        ["--consul", "https://a", "--consul-ca", "/a"],
        {"consul": {"url": "https://a", "ca": "/a"}},
    ),
    (
        ["--consul=https://a", "--consul-cert", "/b", "--consul-key", "/c"],
        {"consul": {"url": "https://a", "cert": "/b", "key": "/c"}},
    ),
    (["--state-dir", "/s"], {"state_dir": "/s"}),
    (["--single"], {"single": True}),
    (
        ["--bucket", "s:ttl=15m,replicas=0", "--bucket", "t"],
        {"buckets": ["s:ttl=15m,replicas=0", "t"]},
    ),
    (["--label", "zone=a", "--label", "rack=b=c"], {"labels": "zone=a,rack=b=c"}),
    (["--host-label", "rack-7"], {"host": "rack-7"}),
    (["--watchdog", "0"], {"watchdog_s": 0}),
    (["--http", "tcp:6971"], {"http": "tcp:6971"}),
    (
        ["--http", "tcp:1:interface=0.0.0.0", "--http-token-file", "t"],
        {"http": "tcp:1:interface=0.0.0.0", "http_token_file": "t"},
    ),
    (["--http-host", "a", "--http-host", "b"], {"http_hosts": "a,b"}),
]

#: (arguments, what the one sentence on stderr says)
WRONG: list[tuple[list[str], str]] = [
    (["--listen", "banana:x"], "listen: 'banana:x' .* as in 10.0.0.1:6969"),
    (["--listen", "a:70000"], "listen: port 70000 is out of range"),
    (["--listen", ""], "listen: '' is not an address"),
    (["--advertise", "0.0.0.0:7001"], "advertise: nobody can reach 0.0.0.0"),
    (["--static", "10.0.0.1:a"], "static: '10.0.0.1:a' .* as in"),
    (["--static", "a:0"], "static: port 0 is out of range"),
    (["--dns-sd", "a..b"], "dns-sd: 'a..b' is no name to look up: each part"),
    (["--dns-sd", "_c._tcp.x:7"], "dns-sd: .*leave the port out; give one as in _cl"),
    (["--dns-server", "a:x"], "dns-server: 'a:x' has no valid port"),
    (["--node-id", "a b"], "node.id: 'a b' is no node id; use "),
    (["--cluster-name", ""], "cluster.name: give a text"),
    (["--secret-file", ""], "secret.file.*: give a text"),
    (["--client-keys-file", ""], "--client-keys-file: give a text, not ''"),
    (["--tls", "pki"], "tls_ca: tls pki needs a PEM file here"),
    (["--tls-ca", "/a"], "--tls-ca: this is for tls pki, and tls is auto"),
    (["--tls-cert", "/a"], "--tls-cert: this is for tls pki, and tls is auto"),
    (["--tls-key", "/a"], "--tls-key: this is for tls pki, and tls is auto"),
    (["--tls-hostname", "a b"], "--tls-hostname: 'a b' is no name"),
    (["--tls", "maybe"], "tls: give one of auto, pki, off, not 'maybe'"),
    (["--hello", "icmp"], "hello: give one of udp, tcp, not 'icmp'"),
    (["--compression", "gzip"], "compression: give one of auto, zlib, off"),
    (["--consul", "ftp://a"], "--consul: 'ftp://a' is no URL of Consul; give the URL"),
    (["--consul", ""], "--consul: give a text"),
    (["--consul-service", "a b"], "--consul-service: 'a b' is no name; use 1 to 128"),
    (["--consul-tag", ""], "--consul-tag: give a text"),
    (["--consul-datacenter", "/"], "--consul-datacenter: '/' is no name"),
    (["--consul-namespace", "/"], "--consul-namespace: '/' is no name"),
    (["--consul-partition", "/"], "--consul-partition: '/' is no name"),
    (["--consul-token-file", ""], "--consul-token-file: give a text"),
    (["--consul-ca", "a"], "--consul-ca: is for https://, and the URL is http://127"),
    (["--consul=https://a", "--consul-cert", "a"], "--consul-key: .*both cert and key"),
    (["--consul=https://a", "--consul-key", "a"], "--consul-cert: .*both cert and key"),
    (["--state-dir", ""], "state.dir: give a text"),
    (["--bucket", "s", "--bucket", "t:ttl=5x"], "bucket.*: '5x' .* as in 15m"),
    (["--bucket", "s:colour=5"], "bucket.*: 'colour=5' .*NAME:ttl=15m"),
    (["--bucket", "s", "--bucket", "s"], "bucket.*: bucket 's' is described twice"),
    (["--label", "zone"], "label: .*as in zone=a, not 'zone'"),
    (["--label", "=a"], "label: .*as in zone=a, not '=a'"),
    (["--host-label", ""], "host.label: give a text"),
    (["--watchdog", "soon"], "watchdog: 'soon' is not a time"),
    (["--http", "6971"], "http: '6971' is not an endpoint; .*tcp:6971"),
    (["--http", "tcp:1:interface=0.0.0.0"], "http: others .*--http-token-file"),
    (["--http-token-file", ""], "http.token.file: give a text"),
    (["--http-host", "a b"], "http.host.*: 'a b' is not an address"),
    (["--config", "nowhere.toml"], "config: cannot read nowhere.toml: No such file"),
    (["--config", ""], "config: cannot read ''"),
    (["stray"], "unexpected argument 'stray'; see --help"),
    (["--wrong"], "option --wrong not recognized; see `twist mycorrizal --help`"),
    (["--listen"], "option --listen requires argument"),
    (["--single=yes"], "option --single must not have an argument"),
]


class Case(SynchronousTestCase):
    """An environment of our own, and what is said on stderr and stdout."""

    def setUp(self) -> None:
        self.home = fresh_path(self)
        self.home.mkdir()
        self.environment({})
        self.err, self.out = io.StringIO(), io.StringIO()
        self.patch(sys, "stderr", self.err)
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "argv", ["twist", "mycorrizal"])

    def environment(self, variables: dict[str, str]) -> None:
        """Have these variables, and a home."""
        self.patch(os, "environ", {"HOME": str(self.home), **variables})

    def parse(self, *arguments: str) -> Config:
        """The settings that a command line gives."""
        options = Options()
        options.parseOptions(list(arguments))
        return options.config

    def sentence(self, code: int, call: Any, *arguments: Any) -> str:
        """What is said when the program ends with that code: one line."""
        self.err.seek(0)
        self.err.truncate()
        with self.assertRaises(SystemExit) as raised:
            call(*arguments)
        self.assertEqual(raised.exception.code, code)
        self.assertEqual(self.out.getvalue(), "")
        said = self.err.getvalue()
        self.assertTrue(re.fullmatch(r"mycorrizal: [^\n]+\n", said), said)
        return said.removeprefix("mycorrizal: ")


class OptionTests(Case):
    """Each option is understood, or refused in one sentence."""

    def test_good(self) -> None:
        """Each option becomes its setting; some may be repeated."""
        state_dir = str(self.home / ".local/state/mycorrizal")
        for arguments, settings in GOOD:
            expected = Config(**{"state_dir": state_dir, **settings})
            self.assertEqual(self.parse(*arguments), expected, arguments)

    def test_every_option_is_tested(self) -> None:
        """A new option gets a good and a wrong value in these tables."""
        options = {f"--{name.rstrip('=')}" for name in Options().longOpt}
        others = {"--help", "--version", "--config"}
        good = {word.partition("=")[0] for words, _ in GOOD for word in words}
        wrong = {word.partition("=")[0] for words, _ in WRONG for word in words}
        self.assertEqual(options - others - good, set())
        self.assertEqual(options - others - wrong, set())
        # What has no option: a secret would show in the list of processes.
        without = set(FIELDS) - {
            option.removeprefix("--").replace("-", "_") for option in options
        }
        self.assertEqual(
            without
            - {
                "secret_files",
                "buckets",
                "labels",
                "dns_servers",
                "host",
                "http_hosts",
            },
            {"secret", *(name for name in FIELDS if name.endswith("_s"))},
        )

    def test_wrong(self) -> None:
        """A wrong one ends with code 64 and a sentence: no help, no traceback."""
        for arguments, pattern in WRONG:
            said = self.sentence(EXIT_USAGE, self.parse, *arguments)
            self.assertTrue(re.search(pattern, said), (arguments, said))

    def test_version(self) -> None:
        """``--version`` prints ours, and nothing else."""
        with self.assertRaises(SystemExit) as raised:
            self.parse("--version")
        self.assertEqual(raised.exception.code, 0)
        self.assertEqual(self.out.getvalue(), f"mycorrizal {__version__}\n")

    def test_help(self) -> None:
        """The help names each option, in whole sentences without stray blanks."""
        options = Options()
        with self.assertRaises(SystemExit):
            options.parseOptions(["--help"])
        shown = self.out.getvalue() or str(options)
        for name in Options().longOpt:
            self.assertIn(f"--{name}", shown)
        for name, option in vars(Options).items():
            if name.startswith("opt_"):
                text = option.__doc__
                self.assertGreater(len(text), 20, name)
                self.assertFalse(re.search(r"\s\s|\n", text), text)
                self.assertTrue(text.endswith((".", "]")), text)
                self.assertTrue(text[0].isupper() or text[:4] in ("auto", "udp:"), text)
        self.assertFalse(re.search(r"\s\s", Options.longdesc))

    def test_plugin(self) -> None:
        """``twist`` finds the plugin, and these are its options."""
        plugins = {plugin.tapname: plugin for plugin in getPlugins(IServiceMaker)}
        plugin = plugins["mycorrizal"]
        self.assertIs(plugin.options, Options)
        self.assertIs(plugin.makeService, makeService)


class SourceTests(Case):
    """Options win over the environment, and that over the file."""

    def test_environment(self) -> None:
        """Every setting can come from the environment."""
        self.environment(
            {
                "MYCORRIZAL_STATIC": "a:1,b",
                "MYCORRIZAL_ID": "n1",
                "MYCORRIZAL_CLUSTER_NAME": "by-environment",
                "MYCORRIZAL_STATE_DIR": "/s",
                "PATH": "/bin",
            }
        )
        self.assertEqual(
            self.parse("--cluster-name", "by-option"),
            Config(
                static="a:1,b", node_id="n1", cluster_name="by-option", state_dir="/s"
            ),
        )

    def test_wrong_environment(self) -> None:
        """A wrong variable is refused like a wrong option."""
        for variables, pattern in (
            ({"MYCORRIZAL_LISTN": "x"}, "MYCORRIZAL_LISTN: .* did you mean listen"),
            ({"MYCORRIZAL_TLS": "maybe"}, "tls: give one of auto, pki, off"),
            ({"MYCORRIZAL_CONFIG": ""}, "config: cannot read ''"),
            ({"MYCORRIZAL_CLUSTER_NAME": "\udcff"}, "cluster_name: .*printable"),
        ):
            self.environment(variables)
            said = self.sentence(EXIT_USAGE, self.parse)
            self.assertTrue(re.search(pattern, said), (variables, said))

    def test_file(self) -> None:
        """A file may be named by option or by variable; the option wins."""
        for name in ("one", "two"):
            text = f'cluster_name = "{name}"\nnode_id = "by-file"\n[labels]\nzone = "a"'
            (self.home / name).write_text(text)
        one, two = str(self.home / "one"), str(self.home / "two")
        self.environment({"MYCORRIZAL_CONFIG": one, "MYCORRIZAL_ID": "by-environment"})
        config = self.parse()
        self.assertEqual(config.cluster_name, "one")
        self.assertEqual(
            (config.node_id, config.labels), ("by-environment", {"zone": "a"})
        )
        self.assertEqual(self.parse("--config", two).cluster_name, "two")

    def test_wrong_file(self) -> None:
        """A wrong setting in a file is named by its path in the file."""
        path = self.home / "node.toml"
        for text, pattern in (
            ('[[buckets]]\nname = "s"\nttl = "5x"', r"buckets\[0\]\.ttl: '5x' is not"),
            ("listn = 5", "listn: unknown setting; did you mean listen"),
            ("listen", "is not valid TOML"),
            ("secret = 5", "secret: give a text, not int"),
        ):
            path.write_text(text)
            said = self.sentence(EXIT_USAGE, self.parse, "--config", str(path))
            self.assertTrue(re.search(pattern, said), said)

    def test_state_directory(self) -> None:
        """Without one it is the user's; nothing is made before all is known."""
        self.environment({"XDG_STATE_HOME": str(self.home / "s")})
        self.assertEqual(self.parse().state_dir, str(self.home / "s/mycorrizal"))
        self.environment({"HOME": "~nobody-of-this-name"})
        said = self.sentence(EXIT_USAGE, self.parse)
        self.assertIn("there is no home directory; name a place with --state-dir", said)
        self.assertEqual(self.parse("--state-dir", "/s").state_dir, "/s")
        self.assertEqual(list(self.home.iterdir()), [])

    def test_log_is_text(self) -> None:
        """The log is text, unless somebody asked for a format."""

        class Parent(usage.Options):
            """What ``twist`` itself has parsed."""

        for arguments, text in (
            (["twist", "mycorrizal"], True),
            (["twist", "--log-file", "a", "mycorrizal"], True),
            (["twist", "--log-format", "json", "mycorrizal"], False),
            (["twist", "--log-format=json", "mycorrizal"], False),
        ):
            self.patch(sys, "argv", arguments)
            options: Any = Options()
            options.parent = Parent()
            options.parseOptions([])
            observer = options.parent.get("fileLogObserverFactory")
            self.assertEqual(observer is textFileLogObserver, text, arguments)


class MakeServiceTests(Case):
    """The service that the options describe."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = MemoryReactorClock()
        self.patch(sys.modules["twisted.internet"], "reactor", self.reactor)

    def make(self, *arguments: str) -> Any:
        """A service that was not started."""
        options = Options()
        options.parseOptions(["--listen", "127.0.0.1:7001", *arguments])
        return makeService(options)

    def test_make(self) -> None:
        """It is the node with what reports on it; a secret was made."""
        service = self.make("--node-id", "n1")
        self.assertIsInstance(service, NodeService)
        node = service.getServiceNamed("mycorrizal")
        self.assertEqual((node.node_id, node.config.listen[1]), ("n1", 7001))
        state = self.home / ".local/state/mycorrizal/mycorrizal"
        self.assertEqual(sorted(os.listdir(state)), ["7001", "secret"])
        self.assertEqual((state / "secret").stat().st_mode & 0o777, 0o600)
        self.successResultOf(node.stopService())
        again = self.make().getServiceNamed("mycorrizal")
        self.assertEqual(again.node_id, "n1")
        self.assertEqual(again.fingerprint, node.fingerprint)
        self.assertEqual(self.err.getvalue(), "")

    def test_own_secret(self) -> None:
        """Who gives a secret gets no other one made."""
        path = self.home / "secret"
        path.write_text(new_secret(b"x" * 32))
        path.chmod(0o600)
        service = self.make("--secret-file", str(path), "--listen", "127.0.0.1:0")
        self.assertIsInstance(service, NodeService)
        self.assertEqual(os.listdir(self.home), ["secret"])

    def test_wrong_secret(self) -> None:
        """A wrong secret is a wrong option."""
        path = self.home / "secret"
        for text, mode, pattern in (
            ("x" * 20, 0o644, "run `chmod 600 .*` first"),
            ("", 0o600, "is empty; .*pulse secret new"),
            ("short", 0o600, r"secret_files\[0\]: .*at least 16 bytes"),
            ("myk1:xyz", 0o600, "base64 of 32 bytes"),
        ):
            path.write_text(text)
            path.chmod(mode)
            said = self.sentence(EXIT_USAGE, self.make, "--secret-file", str(path))
            self.assertTrue(re.search(pattern, said), said)
            self.assertEqual(os.listdir(self.home), ["secret"])

    def test_state_cannot_be_used(self) -> None:
        """A place that can't be written, or is in use, ends with code 1."""
        (self.home / "file").touch()
        said = self.sentence(
            EXIT_FAILED, self.make, "--state-dir", str(self.home / "file")
        )
        self.assertIn("cannot write state in ", said)
        service = self.make()
        said = self.sentence(EXIT_FAILED, self.make)
        self.assertIn("another node runs with the state in ", said)
        self.successResultOf(service.getServiceNamed("mycorrizal").stopService())

    def test_state_is_damaged(self) -> None:
        """A damaged file is named, and left as it is; its place is let go."""
        place = self.home / ".local/state/mycorrizal/mycorrizal/7001"
        place.mkdir(parents=True)
        (place / "node.json").write_text("{")
        for _ in range(2):
            said = self.sentence(EXIT_FAILED, self.make)
            self.assertIn("node.json is damaged; remove it", said)
        (place / "node.json").unlink()
        node = self.make().getServiceNamed("mycorrizal")
        self.successResultOf(node.stopService())

    def test_time_is_monotonic(self) -> None:
        """The reactor's timers do not follow the wall clock."""
        before = self.reactor.seconds()
        self.make("--single", "--listen", "127.0.0.1:0")
        self.assertNotEqual(self.reactor.seconds(), before)
