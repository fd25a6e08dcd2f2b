"""
The settings of Consul, from all the places that they may come from.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Config, ConfigError, ConsulSettings
from mycorrizal.config import read_file
from mycorrizal.consul_options import merged, option_of
from tests.pages import ROOT

#: (what Config is given, what it is)
GOOD: list[tuple[Any, dict[str, Any]]] = [
    ("http://a:8500", {"url": "http://a:8500"}),
    ("a:8500", {"url": "http://a:8500"}),
    ({"url": "https://a"}, {"url": "https://a"}),
    ({}, {"url": "http://127.0.0.1:8500"}),
    ({"service": "s", "tags": "a, b"}, {"service": "s", "tags": ("a", "b")}),
    ({"tags": ["a,b"]}, {"tags": ("a,b",)}),
    ({"verify": "false"}, {"verify": False}),
    ({"verify": True}, {"verify": True}),
    (
        {"ttl_s": "1m", "deregister_after_s": 90},
        {"ttl_s": 60, "deregister_after_s": 90},
    ),
    ({"token": "t"}, {"token": "t"}),
]

#: (what Config is given, the field that is named, a part of what is said)
WRONG: list[tuple[Any, str, str]] = [
    (5, "consul", "give the URL of an agent, as in http://127.0.0.1:8500, not 5"),
    (["a"], "consul", "give the URL of an agent"),
    ("", "consul.url", "give a text, not ''"),
    ("ftp://a", "consul.url", "is no URL of Consul"),
    ({"urll": "a"}, "consul.urll", "unknown setting; did you mean url?"),
    ({"x": "a"}, "consul.x", "unknown setting; did you mean url, service, tags"),
    ({"tags": 5}, "consul.tags", "give a list of tags, not 5"),
    ({"tags": [5]}, "consul.tags", "give a text, not 5"),
    ({"verify": "maybe"}, "consul.verify", "give true or false, not 'maybe'"),
    ({"ttl_s": "soon"}, "consul.ttl_s", "'soon' is not a time"),
    ({"ttl_s": True}, "consul.ttl_s", "give a time, as in 15 or 1m, not True"),
    ({"ttl_s": "0"}, "consul.ttl_s", "give 1 to 3600 seconds"),
    ({"token": 5}, "consul.token", "give a text, not int"),
    ({"auth": 5}, "consul.auth", "give a text, not int"),
    ({"service": "a\0"}, "consul.service", "give a text"),
    (ConsulSettings(url="http://a", service=""), "consul.service", "'' is no name"),
]


def from_environment(consul: Any = None, **variables: str) -> ConsulSettings | None:
    """What a node has, with these variables."""
    options = {} if consul is None else {"consul": consul}
    return Config.from_sources(options=options, environment=variables).consul


class ValueTests(SynchronousTestCase):
    """What `Config` takes."""

    def test_good(self) -> None:
        """A URL, a mapping, or settings."""
        for value, fields in GOOD:
            expected = ConsulSettings(**{"url": "http://127.0.0.1:8500", **fields})
            self.assertEqual(Config(consul=value).consul, expected)
            self.assertEqual(Config(consul=expected).consul, expected)
        self.assertIsNone(Config().consul)

    def test_wrong(self) -> None:
        """Anything else is refused, in a sentence that names it."""
        for value, field, problem in WRONG:
            with self.assertRaises(ConfigError) as caught:
                Config(consul=value)
            self.assertEqual(caught.exception.field, field)
            self.assertIn(problem, caught.exception.problem)

    def test_names_of_options(self) -> None:
        """An error names the option that a person has typed."""
        for field, option in (
            ("consul", "--consul"),
            ("consul.url", "--consul"),
            ("consul.tags", "--consul-tag"),
            ("consul.token_file", "--consul-token-file"),
        ):
            self.assertEqual(option_of(field), option)

    def test_merged(self) -> None:
        """Of two descriptions, each part is taken from the later one that has it."""
        self.assertEqual(
            merged({"url": "a", "service": "s"}, {"service": "t"}),
            {"url": "a", "service": "t"},
        )
        self.assertEqual(merged({"service": "s"}, "b"), {"service": "s", "url": "b"})
        self.assertEqual(merged("a", {"service": "s"}), {"service": "s", "url": "a"})
        settings = ConsulSettings(url="http://a")
        self.assertIs(merged({"url": "b"}, settings), settings)
        self.assertEqual(merged(settings, "b"), {"url": "b"})


class SourceTests(SynchronousTestCase):
    """Files, variables of ours and of Consul, options."""

    def test_ours(self) -> None:
        """Each setting has a variable; options win over it, and that over a file."""
        config = Config.from_sources(
            file={"consul": {"service": "file", "tags": ["file"], "datacenter": "dc1"}},
            environment={
                "MYCORRIZAL_CONSUL": "http://b",
                "MYCORRIZAL_CONSUL_SERVICE": "variable",
                "MYCORRIZAL_CONSUL_TAGS": "a,b",
                "MYCORRIZAL_CONSUL_TTL_S": "20s",
            },
            options={"consul": {"service": "option"}},
        )
        expected = ConsulSettings(
            url="http://b",
            service="option",
            tags=("a", "b"),
            datacenter="dc1",
            ttl_s=20,
        )
        self.assertEqual(config.consul, expected)

    def test_only_if_asked(self) -> None:
        """Consul's own variables alone make no node use it, however wrong."""
        self.assertIsNone(
            from_environment(
                CONSUL_HTTP_ADDR="http://a", CONSUL_HTTP_SSL="x", CONSUL_CACERT="/a"
            )
        )

    def test_address(self) -> None:
        """Without a URL of ours, Consul's variables say where the agent is."""
        for variables, url in (
            ({}, "http://127.0.0.1:8500"),
            ({"CONSUL_HTTP_ADDR": ""}, "http://127.0.0.1:8500"),
            ({"CONSUL_HTTP_ADDR": "a:8500"}, "http://a:8500"),
            ({"CONSUL_HTTP_ADDR": "https://a"}, "https://a"),
            ({"CONSUL_HTTP_ADDR": "unix:///a"}, "unix:///a"),
            ({"CONSUL_HTTP_ADDR": "a", "CONSUL_HTTP_SSL": "true"}, "https://a"),
            ({"CONSUL_HTTP_ADDR": "http://a", "CONSUL_HTTP_SSL": "1"}, "https://a"),
            ({"CONSUL_HTTP_ADDR": "unix:///a", "CONSUL_HTTP_SSL": "1"}, "unix:///a"),
            ({"CONSUL_HTTP_ADDR": "a", "CONSUL_HTTP_SSL": "f"}, "http://a"),
            ({"CONSUL_HTTP_SSL": "T"}, "https://127.0.0.1:8500"),
        ):
            found = from_environment({"service": "s"}, **variables)
            assert found is not None
            self.assertEqual(found.url, url)
            mine = from_environment("http://mine", **variables)
            assert mine is not None
            self.assertEqual(mine.url, "http://mine")

    def test_proxy_and_namespace(self) -> None:
        """So are a user and password, namespace and partition; ours win."""
        of_consul = {
            "CONSUL_HTTP_AUTH": "me:secret",
            "CONSUL_NAMESPACE": "team",
            "CONSUL_PARTITION": "part",
        }
        found = from_environment("http://a", **of_consul)
        assert found is not None
        self.assertEqual(
            (found.auth, found.namespace, found.partition),
            ("me:secret", "team", "part"),
        )
        ours = {"url": "http://a", "namespace": "mine", "auth": "you"}
        found = from_environment(ours, **of_consul)
        assert found is not None
        self.assertEqual((found.auth, found.namespace), ("you", "mine"))

    def test_token(self) -> None:
        """Our token wins over Consul's variables, of which the file wins."""
        both = {"CONSUL_HTTP_TOKEN": "t", "CONSUL_HTTP_TOKEN_FILE": "/f"}
        for given, variables, expected in (
            ({}, {"CONSUL_HTTP_TOKEN": "t"}, ("t", None)),
            ({}, {"CONSUL_HTTP_TOKEN_FILE": "/f"}, (None, "/f")),
            ({}, both, (None, "/f")),
            ({"token": "mine"}, both, ("mine", None)),
            ({"token_file": "/mine"}, both, (None, "/mine")),
        ):
            found = from_environment(given, **variables)
            assert found is not None
            self.assertEqual((found.token, found.token_file), expected)

    def test_tls(self) -> None:
        """Certificates are taken from Consul's variables for https, else not."""
        variables = {
            "CONSUL_CACERT": "/ca",
            "CONSUL_CLIENT_CERT": "/cert",
            "CONSUL_CLIENT_KEY": "/key",
            "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
            "CONSUL_HTTP_SSL_VERIFY": "false",
        }
        self.assertEqual(
            from_environment("https://a", **variables),
            ConsulSettings(
                url="https://a",
                ca="/ca",
                cert="/cert",
                key="/key",
                server_name="server.dc1.consul",
                verify=False,
            ),
        )
        self.assertEqual(
            from_environment("http://a", **variables), ConsulSettings(url="http://a")
        )
        mine = from_environment({"url": "https://a", "ca": "/mine"}, **variables)
        assert mine is not None
        self.assertEqual((mine.ca, mine.cert), ("/mine", "/cert"))

    def test_wrong_variables(self) -> None:
        """A wrong variable is named."""
        for variables, field in (
            ({"CONSUL_HTTP_SSL": "maybe"}, "CONSUL_HTTP_SSL"),
            ({"CONSUL_HTTP_ADDR": "ftp://a"}, "consul.url"),
            ({"CONSUL_HTTP_TOKEN": "a b"}, "consul.token"),
            ({"MYCORRIZAL_CONSUL_SERVCE": "a"}, "MYCORRIZAL_CONSUL_SERVCE"),
        ):
            with self.assertRaises(ConfigError) as caught:
                from_environment({"service": "s"}, **variables)
            self.assertEqual(caught.exception.field, field)
            self.assertNotIn("a b", str(caught.exception))


class ManualTests(SynchronousTestCase):
    """What the page on Consul shows is so."""

    def test_file(self) -> None:
        """The settings file can be read as it stands."""
        file = read_file(str(ROOT / "docs/howto/consul/node.toml"))
        consul = Config.from_sources(file=file).consul
        assert consul is not None
        self.assertEqual(consul.url, "https://consul.example:8501")
        self.assertEqual(consul.tags, ("production",))

    def test_rules(self) -> None:
        """The policy has the rules that we ask for when one is missing."""
        policy = (ROOT / "docs/howto/consul/mycorrizal-policy.hcl").read_text()
        policy = " ".join(policy.split())
        for rule in (
            'service "mycorrizal" { policy = "write" }',
            'node_prefix "" { policy = "read" }',
        ):
            self.assertIn(rule, policy)

    def test_every_part_is_listed(self) -> None:
        """The page of settings has each part of ``consul``, with its option."""
        text = (ROOT / "docs/reference/options.rst").read_text()
        _, _, text = text.partition("Part of ``consul``")
        for field in attrs.fields(ConsulSettings):
            self.assertIn(f"``.{field.name}``", text)
