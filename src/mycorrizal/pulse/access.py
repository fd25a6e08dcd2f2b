# -*- test-case-name: tests.pulse.test_access -*-
"""
Which node to ask, and how to prove that we may: from options, environment
and state directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import (
    Address,
    KeyRing,
    PkiSettings,
    derive_key,
    format_address,
    is_raw,
    secrets_in,
)
from mycorrizal.pulse.client import PulseClient
from mycorrizal.runtime import Runtime
from mycorrizal.settings import parse_address
from mycorrizal.state import cluster_directory, default_directory, read_secret
from mycorrizal.tls_options import TLS_MODES

DEFAULT_NODE = "127.0.0.1:6969"
DEFAULT_CLUSTER_NAME = "mycorrizal"

#: The options, and the variables that stand in for them.
VARIABLES = {
    "--node": "MYCORRIZAL_NODE",
    "--secret-file": "MYCORRIZAL_SECRET_FILE",
    "--cluster-name": "MYCORRIZAL_CLUSTER_NAME",
    "--tls": "MYCORRIZAL_TLS",
    "--tls-ca": "MYCORRIZAL_TLS_CA",
    "--tls-cert": "MYCORRIZAL_TLS_CERT",
    "--tls-key": "MYCORRIZAL_TLS_KEY",
    "--tls-hostname": "MYCORRIZAL_TLS_HOSTNAME",
}


@attrs.frozen
class Access:
    """
    Which node to ask, and what to show it.

    :ivar secret_path: Where the secret was found.
    :ivar tls: ``auto``, ``pki`` or ``off``.
    :ivar pki: Where the certificates are, for ``pki``.
    """

    address: Address
    cluster_name: str
    secret_path: Path
    keys: KeyRing
    tls: str
    pki: PkiSettings | None = None

    @property
    def place(self) -> str:
        """The node's address, as ``HOST:PORT``."""
        return format_address(self.address)

    def client(self, runtime: Runtime) -> PulseClient:
        """A client that is still to be connected."""
        return PulseClient(
            runtime,
            self.address,
            self.keys,
            cluster_name=self.cluster_name,
            tls=self.tls != "off",
            pki=self.pki,
        )


def find_access(options: Mapping[str, str], environment: Mapping[str, str]) -> Access:
    """
    Put together how to reach a node; options win over the environment.

    :param options: By name, as in ``{"--node": "10.0.0.1"}``.
    :raises ConfigError: One is wrong, or there is no secret; it says where one
        was looked for.
    """

    def setting(option: str, default: str) -> tuple[str, str]:
        variable = VARIABLES[option]
        if options.get(option):
            return option, options[option]
        return variable, environment.get(variable) or default

    field, node = setting("--node", DEFAULT_NODE)
    address = parse_address(node, field)
    field, tls = setting("--tls", "auto")
    if tls not in TLS_MODES:
        raise ConfigError(field, f"give one of {', '.join(TLS_MODES)}, not {tls!r}")
    pki = None
    if tls == "pki":
        ca, cert, private = (
            _required(*setting(option, "")) for option in list(VARIABLES)[4:7]
        )
        pki = PkiSettings(ca, cert, private, setting("--tls-hostname", "")[1] or None)
    _, cluster_name = setting("--cluster-name", DEFAULT_CLUSTER_NAME)
    field, file = setting("--secret-file", "")
    if file:
        path = Path(file)
    else:
        field, path = "", _stored_secret(cluster_name, environment)
    secrets = secrets_in(read_secret(path, field))
    # Of a client's line only the key is for us: nodes know what it may do.
    keys = KeyRing(
        derive_key(secret.split()[0] if is_raw(secret) else secret, cluster_name, field)
        for secret in secrets
    )
    return Access(address, cluster_name, path, keys, tls, pki)


def _required(field: str, value: str) -> str:
    if not value:
        raise ConfigError(field, "tls pki needs a PEM file here")
    return value


def _stored_secret(cluster_name: str, environment: Mapping[str, str]) -> Path:
    stated = environment.get("MYCORRIZAL_STATE_DIR")
    directory = Path(stated) if stated else default_directory(environment)
    path = cluster_directory(directory, cluster_name) / "secret"
    try:
        found = path.exists()
    except OSError:
        # A directory that we may not enter: reading will say so.
        found = True
    if not found:
        raise ConfigError(
            "",
            f"no secret of cluster {cluster_name!r} in {path}; copy the one of its "
            "nodes and name it with --secret-file FILE or MYCORRIZAL_SECRET_FILE "
            "(a node started without one makes it there)",
        )
    return path
