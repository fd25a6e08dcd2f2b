"""
Settings of Consul that make sense, and those that don't; the token's file.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery import ConsulSettings
from mycorrizal.nodosum.discovery.consul_settings import TAG_BYTES_MAX, TAGS_MAX

GOOD: list[dict[str, Any]] = [
    {"url": "http://127.0.0.1:8500"},
    {"url": "http://[::1]:8500/"},
    {"url": "https://consul.example/behind/a/proxy"},
    {"url": "unix:///var/run/consul.sock"},
    {"service": "a"},
    {"service": "a" * 128},
    {"tags": ("t" * TAG_BYTES_MAX,) * TAGS_MAX},
    {"datacenter": "dc1"},
    {"namespace": "team-a", "partition": "p1"},
    {"auth": "me:a password: \xe9"},
    {"auth": "me"},
    {"auth": "u:" + "p" * 1022},
    {"token": "x" * 4096},
    {"url": "https://a", "ca": "a", "cert": "b", "key": "c", "server_name": "d"},
    {"ttl_s": 1, "deregister_after_s": 1},
    {"ttl_s": 3600, "deregister_after_s": 7 * 86400},
]

#: (settings, the field that is named, a part of what is said)
WRONG: list[tuple[dict[str, Any], str, str]] = [
    *(
        ({"url": url}, "url", "is no URL of Consul; give the URL of an agent, as in")
        for url in (
            "", "a", "ftp://a", "http://", "http:///a", "http://a:b", "http://a:0",
            "http://a:65536", "http://a?b=c", "http://a#b", "http://a b", "http://\xe9",
            "http://[::1", "unix://a/b", "unix:///", "http://a\n",
        )
    ),
    ({"url": "http://me:secret@a"}, "url", "with a user and password is not taken"),
    ({"service": ""}, "service", "'' is no name; use 1 to 128 letters, digits"),
    ({"service": "a" * 129}, "service", "is no name"),
    ({"service": "a/b"}, "service", "is no name"),
    ({"datacenter": "a b"}, "datacenter", "is no name"),
    ({"namespace": "a b"}, "namespace", "is no name"),
    ({"partition": ""}, "partition", "is no name"),
    ({"auth": ""}, "auth", "give USER:PASSWORD"),
    ({"auth": ":secret"}, "auth", "give USER:PASSWORD"),
    ({"auth": "me:a\nb"}, "auth", "give USER:PASSWORD"),
    ({"auth": "u:" + "p" * 1023}, "auth", "up to 1,024 printable"),
    ({"url": "https://a", "server_name": "*.a"}, "server_name", "is no name"),
    ({"tags": ("a",) * (TAGS_MAX + 1)}, "tags", "at most 16 tags, not 17"),
    ({"tags": ("",)}, "tags", "'': give 1 to 128 printable bytes"),
    ({"tags": ("t" * 129,)}, "tags", "give 1 to 128 printable bytes"),
    ({"tags": ("a\n",)}, "tags", "give 1 to 128 printable bytes"),
    ({"token": "a b"}, "token", "the token is no ACL token: that is one word"),
    ({"token": ""}, "token", "is no ACL token"),
    ({"token": "x" * 4097}, "token", "is no ACL token"),
    ({"token": "a", "token_file": "b"}, "token", "give a token or a file, not both"),
    ({"ca": "a"}, "ca", "is for https://, and the URL is http://a"),
    ({"server_name": "a"}, "server_name", "is for https://"),
    ({"url": "https://a", "cert": "b"}, "key", "needs both cert and key"),
    ({"url": "https://a", "key": "b"}, "cert", "needs both cert and key"),
    ({"ttl_s": 0.9}, "ttl_s", "give 1 to 3600 seconds"),
    ({"ttl_s": 3601}, "ttl_s", "give 1 to 3600 seconds"),
    ({"ttl_s": float("nan")}, "ttl_s", "give 1 to 3600 seconds"),
    ({"deregister_after_s": 0.5}, "deregister_after_s", "give 1 to 604800 seconds"),
    ({"deregister_after_s": 604801}, "deregister_after_s", "give 1 to 604800 seconds"),
]  # fmt: skip


class SettingsTests(SynchronousTestCase):
    """Each setting, at its bounds and beyond."""

    def test_good(self) -> None:
        """What makes sense is taken."""
        for settings in GOOD:
            ConsulSettings(**{"url": "http://a", **settings}).validate()

    def test_wrong(self) -> None:
        """What doesn't is refused, in a sentence that names it."""
        for settings, field, problem in WRONG:
            with self.assertRaises(ConfigError) as caught:
                ConsulSettings(**{"url": "http://a", **settings}).validate("here")
            self.assertEqual(caught.exception.field, f"here.{field}", settings)
            self.assertIn(problem, caught.exception.problem)

    def test_secrets_are_not_shown(self) -> None:
        """No error and no repr has a token or a password in it."""
        wrong: list[dict[str, Any]] = [
            {"token": "my secret"},
            {"auth": "me:secret\n"},
            {"url": "http://me:secret@a"},
        ]
        for settings in wrong:
            with self.assertRaises(ConfigError) as caught:
                ConsulSettings(**{"url": "http://a", **settings}).validate()
            self.assertNotIn("secret", str(caught.exception))
        shown = repr(ConsulSettings(url="http://a", token="secret", auth="a:secret"))
        self.assertNotIn("secret", shown)
