# -*- test-case-name: tests.test_consul_options -*-
"""
The settings of discovery by Consul, from wherever they come: options, a TOML
table, our environment, and that which Consul's own tools read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import ConsulSettings
from mycorrizal.settings import parse_duration_s

DEFAULT_URL = "http://127.0.0.1:8500"
FIELDS = tuple(field.name for field in attrs.fields(ConsulSettings))
#: Our variables, without their prefix, and the fields that they set.
VARIABLES = {f"CONSUL_{name.upper()}": name for name in FIELDS} | {"CONSUL": "url"}
#: As Go's strconv.ParseBool reads them.
_FLAGS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
#: What Consul's tools call our settings, whatever the URL.
_ALWAYS_OF_CONSUL = {
    "auth": "CONSUL_HTTP_AUTH",
    "namespace": "CONSUL_NAMESPACE",
    "partition": "CONSUL_PARTITION",
}
#: And with an https:// URL.
_OF_CONSUL = {
    "ca": "CONSUL_CACERT",
    "cert": "CONSUL_CLIENT_CERT",
    "key": "CONSUL_CLIENT_KEY",
    "server_name": "CONSUL_TLS_SERVER_NAME",
}


class ConsulOptions:
    """The options of ``twist mycorrizal`` that begin with ``--consul``."""

    _settings: dict[str, Any]

    def _consul(self, name: str, value: object) -> None:
        self._settings.setdefault("consul", {})[name] = value

    def opt_consul(self, url: str) -> None:
        """
        The URL of a Consul agent, as in http://127.0.0.1:8500: register there,
        and look there for other nodes. [default, if there is another --consul
        option: CONSUL_HTTP_ADDR, or http://127.0.0.1:8500]
        """
        self._consul("url", url)

    def opt_consul_service(self, name: str) -> None:
        """
        The name under which all nodes register with Consul.
        [default: mycorrizal]
        """
        self._consul("service", name)

    def opt_consul_tag(self, tag: str) -> None:
        """
        A tag to register with in Consul; only nodes that have it, too, are
        looked at. May be repeated.
        """
        consul = self._settings.setdefault("consul", {})
        consul.setdefault("tags", []).append(tag)

    def opt_consul_datacenter(self, name: str) -> None:
        """
        The datacenter of Consul to look for other nodes in.
        [default: the agent's]
        """
        self._consul("datacenter", name)

    def opt_consul_namespace(self, name: str) -> None:
        """
        The namespace of Consul Enterprise. [default: CONSUL_NAMESPACE]
        """
        self._consul("namespace", name)

    def opt_consul_partition(self, name: str) -> None:
        """
        The admin partition of Consul Enterprise. [default: CONSUL_PARTITION]
        """
        self._consul("partition", name)

    def opt_consul_token_file(self, path: str) -> None:
        """
        A file with the ACL token for Consul. [default: CONSUL_HTTP_TOKEN_FILE,
        or the token in CONSUL_HTTP_TOKEN]
        """
        self._consul("token_file", path)

    def opt_consul_ca(self, path: str) -> None:
        """
        A PEM file of the authorities that sign the agent's certificate.
        [default: CONSUL_CACERT, or those that the system trusts]
        """
        self._consul("ca", path)

    def opt_consul_cert(self, path: str) -> None:
        """
        A PEM file with this node's certificate for the agent.
        [default: CONSUL_CLIENT_CERT]
        """
        self._consul("cert", path)

    def opt_consul_key(self, path: str) -> None:
        """
        The PEM file with the key of --consul-cert. [default: CONSUL_CLIENT_KEY]
        """
        self._consul("key", path)


def option_of(field: str) -> str:
    """The option of a setting that an error names, as ``consul.tags``."""
    name = field.removeprefix("consul").removeprefix(".")
    if not name or name == "url":
        return "--consul"
    return "--consul-" + {"tags": "tag"}.get(name, name).replace("_", "-")


def merged(below: object, above: object) -> object:
    """
    Put two descriptions together; what `above` says wins.
    """
    if isinstance(above, str):
        above = {"url": above}
    if isinstance(below, str):
        below = {"url": below}
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        # The one, whole; whether it makes sense is seen later.
        return above
    return {**below, **above}


def completed(value: object, environment: Mapping[str, str]) -> object:
    """
    Add what a description leaves open and the environment of Consul's own
    tools has.

    :raises ConfigError: A variable is wrong.
    """
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, Mapping):
        return value
    found = dict(value)
    if "url" not in found:
        found["url"] = environment.get("CONSUL_HTTP_ADDR") or DEFAULT_URL
        if _flag(environment, "CONSUL_HTTP_SSL") and isinstance(found["url"], str):
            address = found["url"].removeprefix("http://")
            found["url"] = address if "://" in address else f"https://{address}"
    if "token" not in found and "token_file" not in found:
        for name in ("token", "token_file"):
            given = environment.get(f"CONSUL_HTTP_{name.upper()}")
            if given:
                # The file wins, as it does with Consul's tools.
                found.pop("token", None)
                found[name] = given
    for name, variable in _ALWAYS_OF_CONSUL.items():
        if environment.get(variable):
            found.setdefault(name, environment[variable])
    if str(found["url"]).startswith("https://"):
        for name, variable in _OF_CONSUL.items():
            if environment.get(variable):
                found.setdefault(name, environment[variable])
        if not _flag(environment, "CONSUL_HTTP_SSL_VERIFY", True):
            found.setdefault("verify", False)
    return found


def _flag(environment: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = environment.get(name) or ""
    if text and text not in _FLAGS:
        raise ConfigError(name, f"give true or false, not {text!r}")
    return _FLAGS.get(text, default)


def read_consul(value: object, field: str = "consul") -> ConsulSettings | None:
    """
    Read the settings.

    :param value: None, `ConsulSettings`, a URL, or a mapping as in TOML.
    :raises ConfigError: One is unknown or wrong.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = {"url": value}
    if isinstance(value, ConsulSettings):
        value.validate(field)
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(
            field, f"give the URL of an agent, as in {DEFAULT_URL}, not {value!r}"
        )
    found: dict[str, Any] = {"url": DEFAULT_URL}
    for name, item in value.items():
        found[str(name)] = _one(str(name), item, f"{field}.{name}")
    settings = ConsulSettings(**found)
    settings.validate(field)
    return settings


def _one(name: str, value: Any, field: str) -> Any:
    if name not in FIELDS:
        near = difflib.get_close_matches(name, FIELDS, 1)
        known = near[0] if near else ", ".join(FIELDS)
        raise ConfigError(field, f"unknown setting; did you mean {known}?")
    if name == "tags":
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
            raise ConfigError(field, f"give a list of tags, not {value!r}")
        return tuple(_text(tag, field) for tag in value)
    if name.endswith("_s"):
        if isinstance(value, str):
            return parse_duration_s(value, field)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(field, f"give a time, as in 15 or 1m, not {value!r}")
        return value
    if name == "verify":
        if isinstance(value, str) and value in _FLAGS:
            return _FLAGS[value]
        if not isinstance(value, bool):
            raise ConfigError(field, f"give true or false, not {value!r}")
        return value
    if name in ("token", "auth"):
        # Never the value itself in the error.
        if not isinstance(value, str):
            raise ConfigError(field, f"give a text, not {type(value).__name__}")
        return value
    text = _text(value, field)
    return f"http://{text}" if name == "url" and "://" not in text else text


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ConfigError(field, f"give a text, not {value!r}")
    return value
