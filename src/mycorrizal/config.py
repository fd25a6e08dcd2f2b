# -*- test-case-name: tests.test_config -*-
"""
All settings of a node, from wherever they come.

Later ones win: the defaults, a TOML file, the environment
(``MYCORRIZAL_LISTEN`` and so on), options or arguments.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from mycorrizal.consul_options import VARIABLES as CONSUL_VARIABLES
from mycorrizal.consul_options import completed, merged, read_consul
from mycorrizal.dns_options import read_dns_sd, read_dns_servers
from mycorrizal.errors import ConfigError
from mycorrizal.http_options import HttpEndpoint, read_http, read_http_hosts
from mycorrizal.key_options import read_key_settings
from mycorrizal.mycel import BucketSettings
from mycorrizal.nodosum import (
    Address,
    ConsulSettings,
    KeyRing,
    NodosumConfig,
    is_nowhere,
)
from mycorrizal.settings import (
    check_node_id,
    make_bucket,
    parse_bucket,
    parse_duration_s,
    read_address,
    read_items,
    read_labels,
    read_name,
    read_text,
)
from mycorrizal.tls_options import TLS_MODES, check_tls, read_hostname

ENVIRONMENT_PREFIX = "MYCORRIZAL_"
HELLO_MODES = ("udp", "tcp")
COMPRESSION_MODES = ("auto", "zlib", "off")
MODES = {"tls": TLS_MODES, "hello": HELLO_MODES, "compression": COMPRESSION_MODES}
STATIC_MAX = 256
TIMEOUT_S_MAX = 3600.0


def _optional_text(value: object, field: str) -> str | None:
    return None if value is None else read_text(value, field)


def _texts(**settings: object) -> dict[str, Any]:
    """Some settings that are texts, if they are given."""
    return {name: _optional_text(value, name) for name, value in settings.items()}


def _optional_address(value: object, field: str) -> Address | None:
    address = None if value is None else read_address(value, field)
    if address is not None and is_nowhere(address[0]):
        raise ConfigError(
            field, f"nobody can reach {address[0]}; name the address that others use"
        )
    if address is not None:
        read_name(address[0], field)
    return address


def _static(value: object, field: str) -> tuple[Address, ...]:
    items = read_items(value, field, "addresses, as in 10.0.0.1:6969,10.0.0.2:6969")
    if len(items) > STATIC_MAX:
        raise ConfigError(field, f"at most {STATIC_MAX} addresses, not {len(items)}")
    return tuple(read_address(item, field, any_port=False) for item in items)


def _seconds(value: object, field: str) -> float:
    seconds = parse_duration_s(value, field) if isinstance(value, str) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or not 0 < seconds <= TIMEOUT_S_MAX
    ):
        raise ConfigError(
            field,
            f"give a time above 0 and up to an hour, as in 2.5 or 500ms, not {value!r}",
        )
    return float(seconds)


def _seconds_or_off(value: object, field: str) -> float:
    off = value in ("0", "off") or (value == 0 and not isinstance(value, bool))
    return 0.0 if off else _seconds(value, field)


def _flag(value: object, field: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if not isinstance(value, bool):
        raise ConfigError(field, f"give true or false, not {value!r}")
    return value


def _buckets(value: object, field: str) -> tuple[BucketSettings, ...]:
    if isinstance(value, str):
        # A comma separates a bucket's own settings, so buckets take blanks.
        value = value.split()
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise ConfigError(
            field, f"give a list of buckets ([[buckets]] in TOML), not {value!r}"
        )
    found = [_bucket(item, f"{field}[{i}]") for i, item in enumerate(value)]
    names = [bucket.name for bucket in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(field, f"bucket {name!r} is described twice")
    return tuple(found)


def _bucket(value: object, field: str) -> BucketSettings:
    if isinstance(value, BucketSettings):
        value.validate(field)
        return value
    if isinstance(value, Mapping):
        parts = {str(key): str(item) for key, item in value.items() if key != "name"}
        return make_bucket(read_text(value.get("name"), f"{field}.name"), parts, field)
    if not isinstance(value, str):
        raise ConfigError(field, f"give a bucket, as in s:ttl=15m, not {value!r}")
    return parse_bucket(value, field)


def _modes(**settings: object) -> dict[str, Any]:
    """Some settings that are one of several words."""
    for name, value in settings.items():
        if value not in MODES[name]:
            choices = ", ".join(MODES[name])
            raise ConfigError(name, f"give one of {choices}, not {value!r}")
    return settings


def _node_id(value: object, field: str) -> str | None:
    return None if value is None else check_node_id(read_text(value, field), field)


def _cluster_name(value: object, field: str) -> str:
    return read_name(read_text(value, field), field)


@attrs.frozen(init=False)
class Config:
    """
    The settings of a node; wrong ones raise `ConfigError`, which names them.

    Addresses are ``HOST:PORT`` (without a port: 6969), times are seconds or
    texts as ``15m``, lists are lists or texts with commas.

    :ivar listen: Where to listen, TCP and UDP; port 0 takes a free one.
    :ivar advertise: Where others reach this node, if that is another address.
    :ivar static: Where to look for others; this node may be among them.
    :ivar dns_sd: Names in the DNS to look for others under: services, as
        ``_cluster._tcp.shop.example``, or hosts with a port.
    :ivar dns_servers: Whom to ask for those (without a port: 53); none: as
        ``/etc/resolv.conf`` says.
    :ivar node_id: Unique in the cluster; else kept in the state directory, or
        made up.
    :ivar cluster_name: Nodes of other names are refused.
    :ivar secret_files: Files with a secret each; the first signs.
    :ivar secret: A secret itself, for embedding and tests.
    :ivar client_keys_file: A file with keys of clients, and what each may do.
    :ivar tls: ``auto``, ``pki`` (certificates of an authority at both ends), or
        ``off``: no encryption.
    :ivar tls_ca: For ``pki``: a file with the authorities that are trusted.
    :ivar tls_cert: A file with the node's certificate.
    :ivar tls_key: A file with its key.
    :ivar tls_hostname: A name that the certificate of every node bears.
    :ivar hello: ``udp``, or ``tcp`` where UDP is blocked.
    :ivar compression: Of long messages: ``auto``, ``zlib`` or ``off``.
    :ivar consul: How to find others with Consul; a URL, a mapping, or
        `ConsulSettings`.
    :ivar state_dir: Where id, incarnation and a generated secret are kept;
        None: nowhere.
    :ivar single: Alone on purpose: other nodes are refused.
    :ivar buckets: Cache buckets to create, as ``sessions:ttl=15m,replicas=1``.
    :ivar labels: Names and texts that other nodes see.
    :ivar host: Names the machine, so that copies need not share one.
    :ivar http: Where to serve the status page, metrics and health, as
        ``tcp:6971``; None: nowhere.
    :ivar http_token_file: A file with the token that page and metrics ask for.
    :ivar http_hosts: Names by which browsers and Prometheus may call this node.
    :ivar watchdog_s: How long code may hold up the reactor before the log tells
        which; 0: it is not watched.
    """

    listen: Address
    advertise: Address | None
    static: tuple[Address, ...]
    dns_sd: tuple[str, ...]
    dns_servers: tuple[Address, ...]
    node_id: str | None
    cluster_name: str
    secret_files: tuple[str, ...] = attrs.field(repr=False)
    secret: str | None = attrs.field(repr=False)
    client_keys_file: str | None
    tls: str
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None
    tls_hostname: str | None
    hello: str
    compression: str
    consul: ConsulSettings | None
    state_dir: str | None
    single: bool
    buckets: tuple[BucketSettings, ...]
    labels: dict[str, str]
    host: str | None
    handshake_timeout_s: float
    ready_timeout_s: float
    stop_timeout_s: float
    watchdog_s: float
    http: HttpEndpoint | None
    http_token_file: str | None
    http_hosts: tuple[str, ...]

    def __init__(
        self,
        *,
        listen: str | Address = "0.0.0.0:6969",
        advertise: str | Address | None = None,
        static: str | Iterable[str | Address] = (),
        dns_sd: str | Iterable[str] = (),
        dns_servers: str | Iterable[str | Address] = (),
        node_id: str | None = None,
        cluster_name: str = "mycorrizal",
        secret_files: str | Iterable[str] = (),
        secret: str | None = None,
        client_keys_file: str | None = None,
        tls: str = "auto",
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        tls_hostname: str | None = None,
        hello: str = "udp",
        compression: str = "auto",
        consul: str | Mapping[str, object] | ConsulSettings | None = None,
        state_dir: str | None = None,
        single: bool | str = False,
        buckets: str | Iterable[str | BucketSettings | Mapping[str, object]] = (),
        labels: str | Mapping[str, str] = "",
        host: str | None = None,
        handshake_timeout_s: float | str = 2.0,
        ready_timeout_s: float | str = 30.0,
        stop_timeout_s: float | str = 25.0,
        watchdog_s: float | str = 0.5,
        http: str | HttpEndpoint | None = None,
        http_token_file: str | None = None,
        http_hosts: str | Iterable[str] = (),
    ) -> None:
        self.__attrs_init__(
            listen=read_address(listen, "listen"),
            advertise=_optional_address(advertise, "advertise"),
            static=_static(static, "static"),
            dns_sd=read_dns_sd(dns_sd, "dns_sd"),
            dns_servers=read_dns_servers(dns_servers, "dns_servers"),
            node_id=_node_id(node_id, "node_id"),
            cluster_name=_cluster_name(cluster_name, "cluster_name"),
            **read_key_settings(secret_files, secret, client_keys_file),
            **_modes(tls=tls, hello=hello, compression=compression),
            tls_hostname=read_hostname(tls_hostname, "tls_hostname"),
            **_texts(tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key),
            consul=read_consul(consul),
            single=_flag(single, "single"),
            buckets=_buckets(buckets, "buckets"),
            labels=read_labels(labels, "labels"),
            host=None if host is None else read_name(read_text(host, "host"), "host"),
            handshake_timeout_s=_seconds(handshake_timeout_s, "handshake_timeout_s"),
            ready_timeout_s=_seconds(ready_timeout_s, "ready_timeout_s"),
            stop_timeout_s=_seconds(stop_timeout_s, "stop_timeout_s"),
            watchdog_s=_seconds_or_off(watchdog_s, "watchdog_s"),
            http=read_http(http, http_token_file),
            **_texts(state_dir=state_dir, http_token_file=http_token_file),
            http_hosts=read_http_hosts(http_hosts, "http_hosts"),
        )
        check_tls(self)

    @classmethod
    def from_sources(
        cls,
        *,
        file: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Config:
        """
        Put settings together; later sources win.

        :param file: What `read_file` gave.
        :param environment: As ``os.environ``; names begin with
            ``MYCORRIZAL_``; ``MYCORRIZAL_ID`` is the node id.  Consul's own
            variables complete the settings of ``consul``.
        :param options: From a command line or a program.
        :raises ConfigError: A setting is unknown or wrong.
        """
        found: dict[str, Any] = {}
        for source in (file, _from_environment(environment or {}), options):
            for name, value in (source or {}).items():
                if name not in FIELDS:
                    raise ConfigError(name, _unknown(name))
                of_consul = name == "consul"
                found[name] = merged(found.get(name), value) if of_consul else value
        if "consul" in found:
            found["consul"] = completed(found["consul"], environment or {})
        return cls(**found)


FIELDS = tuple(field.name for field in attrs.fields(Config))
#: Variables of the environment that are not settings of a node.
_OTHER_VARIABLES = ("NODE", "SECRET_FILE", "CONFIG")
#: Kubernetes tells each container of a service that is called mycorrizal.
_OF_KUBERNETES = re.compile(r"(SERVICE_HOST|SERVICE_PORT|PORT)(_.*)?")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, FIELDS, 1)
    return f"unknown setting; did you mean {near[0]}?" if near else "unknown setting"


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, Any] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name == "ID":
            found.setdefault("node_id", value)
        elif name == "SECRET_FILE":
            found.setdefault("secret_files", [value])
        elif name in CONSUL_VARIABLES:
            found.setdefault("consul", {})[CONSUL_VARIABLES[name]] = value
        elif name.lower() in FIELDS:
            found[name.lower()] = value
        elif name not in _OTHER_VARIABLES and not _OF_KUBERNETES.fullmatch(name):
            raise ConfigError(variable, _unknown(name.lower()))
    return found


def read_file(path: str) -> dict[str, object]:
    """
    Read a TOML file of settings.

    :raises ConfigError: It can't be read or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        problem = error.strerror or str(error)
        place = path or "''"
        raise ConfigError("config", f"cannot read {place}: {problem}") from None
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError, UnicodeDecodeError, or a number of 5,000 digits.
        raise ConfigError("config", f"{path} is not valid TOML: {error}") from None


def nodosum_settings(config: Config, keys: KeyRing) -> NodosumConfig:
    """What the cluster layer wants to know of them."""
    return NodosumConfig(
        keys=keys,
        listen=config.listen,
        advertise=config.advertise,
        static=config.static,
        dns_sd=config.dns_sd,
        dns_servers=config.dns_servers,
        consul=config.consul,
        cluster_name=config.cluster_name,
        tls=config.tls,
        hello=config.hello,
        compression=config.compression,
        single=config.single,
        labels=config.labels,
        handshake_timeout_s=config.handshake_timeout_s,
        ready_timeout_s=config.ready_timeout_s,
    )
