# -*- test-case-name: tests.pulse.test_config_command -*-
"""
The settings of a node, value by value: what each is, and who said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from mycorrizal.config import ENVIRONMENT_PREFIX, FIELDS, Config
from mycorrizal.consul_options import VARIABLES as CONSUL_VARIABLES
from mycorrizal.pulse.live_settings import DEFAULT, of_consul, shown
from mycorrizal.state import cluster_directory, default_directory

#: Settings that have a variable of another name; the first wins.
_VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "node_id": ("NODE_ID", "ID"),
    "secret_files": ("SECRET_FILES", "SECRET_FILE"),
}


#: What Consul's own tools call a setting.
_OF_CONSUL: Final = {
    "url": "CONSUL_HTTP_ADDR",
    "token": "CONSUL_HTTP_TOKEN",
    "token_file": "CONSUL_HTTP_TOKEN_FILE",
    "ca": "CONSUL_CACERT",
    "cert": "CONSUL_CLIENT_CERT",
    "key": "CONSUL_CLIENT_KEY",
    "server_name": "CONSUL_TLS_SERVER_NAME",
    "verify": "CONSUL_HTTP_SSL_VERIFY",
}


@attrs.frozen
class Setting:
    """
    One setting.

    :ivar text: Its value, for people; secrets are masked.
    :ivar source: Who said so: a variable, a file, or ``default``.
    """

    name: str
    text: str
    source: str


def settings(
    path: str | None, file: Mapping[str, object] | None, environment: Mapping[str, str]
) -> list[Setting]:
    """
    What a node has that is started here without options.

    :param path: The name of the TOML file, and `file` what is in it.
    :raises ConfigError: A setting is unknown or wrong.
    """
    config = Config.from_sources(file=file, environment=environment)
    found: list[Setting] = []
    for name in FIELDS:
        value = getattr(config, name)
        if name == "state_dir" and value is None:
            value = str(default_directory(environment))
        if name == "consul" and value is not None:
            for inner, text in of_consul(value):
                source = _source_of_consul(inner, path, file or {}, environment)
                found.append(Setting(f"consul.{inner}", text, source))
            continue
        source = _source(name, path, file or {}, environment)
        found.append(Setting(name, shown(name, value), source))
        if name == "secret_files" and not value and config.secret is None:
            found[-1] = Setting(name, _stored(config, environment), DEFAULT)
    return found


def _stored(config: Config, environment: Mapping[str, str]) -> str:
    directory = config.state_dir or str(default_directory(environment))
    return str(cluster_directory(Path(directory), config.cluster_name) / "secret")


def _source(
    name: str,
    path: str | None,
    file: Mapping[str, object],
    environment: Mapping[str, str],
) -> str:
    for variable in _VARIABLES.get(name, (name.upper(),)):
        if ENVIRONMENT_PREFIX + variable in environment:
            return ENVIRONMENT_PREFIX + variable
    return path or "file" if name in file else DEFAULT


def _source_of_consul(
    name: str,
    path: str | None,
    file: Mapping[str, object],
    environment: Mapping[str, str],
) -> str:
    for variable, field in CONSUL_VARIABLES.items():
        if field == name and ENVIRONMENT_PREFIX + variable in environment:
            return ENVIRONMENT_PREFIX + variable
    in_file = file.get("consul", {})
    if isinstance(in_file, str):
        in_file = {"url": in_file}
    if isinstance(in_file, Mapping) and name in in_file:
        return path or "file"
    theirs = _OF_CONSUL.get(name)
    return theirs if theirs and environment.get(theirs) else DEFAULT
