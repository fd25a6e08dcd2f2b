# -*- test-case-name: tests.nodosum.test_acl -*-
"""
Secrets and the keys made from them.

HKDF is RFC 5869 with SHA-256, scrypt is RFC 7914.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.grants import EVERYTHING, Principal

#: How a secret of 32 random bytes is written.
RAW_PREFIX = "myk1:"
RAW_BYTES = 32
#: A shorter passphrase could be guessed from one captured HELLO.
PASSPHRASE_BYTES_MIN = 16
#: The handshake offers at most four keys.
KEYS_MAX = 4

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1
_SCRYPT_BYTES_MAX = 64 * 1024 * 1024
_KEY_ID = struct.Struct("<I")


@attrs.frozen
class Key:
    """
    The keys made from one secret.

    :ivar key_id: A public number that names the secret on the wire.
    :ivar udp: 32 bytes, for HELLO.
    :ivar node: 32 bytes, for AUTH between nodes.
    :ivar client: 32 bytes, for AUTH of Pulse to a node.
    """

    key_id: int
    udp: bytes = attrs.field(repr=False)
    node: bytes = attrs.field(repr=False)
    client: bytes = attrs.field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits to compare two secrets by."""
        return f"{self.key_id:08x}"


@attrs.frozen
class ClientKey:
    """
    The key of a client that is no full member, and what it may do.

    Of `key` only ``client`` is ever used.
    """

    key: Key
    principal: Principal


def new_secret(random_bytes: bytes) -> str:
    """
    The text of a secret.

    :param random_bytes: 32 unpredictable bytes.
    """
    assert len(random_bytes) == RAW_BYTES, "a secret is 32 bytes"
    return RAW_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def _extract(secret: bytes) -> bytes:
    return hmac.digest(b"mycorrizal/1", secret, "sha256")


def _expand(prk: bytes, label: bytes) -> bytes:
    return hmac.digest(prk, label + b"\x01", "sha256")


def derive_key(secret: str, cluster_name: str, field: str = "secret") -> Key:
    """
    Make the keys of a secret.

    :param secret: ``myk1:`` and base64 of 32 bytes, as ``pulse secret new``
        prints it, or a passphrase, which takes about 60 ms to stretch.
    :param cluster_name: The salt of a passphrase.
    :param field: The setting to name in an error.
    :raises ConfigError: It is malformed or too short; the secret is not shown.
    """
    text = secret.strip()
    if text.startswith(RAW_PREFIX):
        try:
            raw = base64.b64decode(text.removeprefix(RAW_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != RAW_BYTES:
            raise ConfigError(
                field,
                f"a secret that begins with {RAW_PREFIX} must go on with the "
                "base64 of 32 bytes; make one with `pulse secret new`",
            )
    else:
        passphrase: bytes | None = None
        try:
            passphrase = text.encode()
        except UnicodeEncodeError:
            # Raised outside: this error would carry the secret along.
            pass
        if passphrase is None:
            raise ConfigError(field, "the passphrase is not valid UTF-8")
        if len(passphrase) < PASSPHRASE_BYTES_MIN:
            raise ConfigError(
                field,
                f"a passphrase needs at least {PASSPHRASE_BYTES_MIN} bytes, this "
                f"one has {len(passphrase)}; `pulse secret new` makes a good secret",
            )
        raw = hashlib.scrypt(
            passphrase,
            salt=cluster_name.encode(),
            n=_SCRYPT_N,
            r=_SCRYPT_R,
            p=_SCRYPT_P,
            maxmem=_SCRYPT_BYTES_MAX,
            dklen=32,
        )
    prk = _extract(raw)
    (key_id,) = _KEY_ID.unpack(hashlib.sha256(b"kid" + prk).digest()[:4])
    return Key(
        # 0 means "no key" on the wire.
        key_id=key_id or 1,
        udp=_expand(prk, b"udp"),
        node=_expand(prk, b"acl node"),
        client=_expand(prk, b"acl client"),
    )


def is_raw(secret: str) -> bool:
    """Whether a text is, or begins with, 32 random bytes, not a passphrase."""
    return secret.startswith(RAW_PREFIX)


def secrets_in(text: str) -> tuple[str, ...]:
    """
    The secrets in a file: one on each line if all begin with ``myk1:``, or
    else one passphrase.
    """
    lines = tuple(filter(None, map(str.strip, text.splitlines())))
    if lines and all(map(is_raw, lines)):
        return lines
    return (text,)


class KeyRing:
    """
    The live secrets: the first signs, all are accepted.

    :param clients: Keys that nobody but a client may prove.
    :ivar by_id: The secrets of nodes.
    :ivar clients: Apart from them, so that nothing else takes a client's key.
    :raises ConfigError: There is no secret, more than four, or two with one id.
    """

    def __init__(self, keys: Iterable[Key], clients: Iterable[ClientKey] = ()) -> None:
        self.keys: tuple[Key, ...] = ()
        self.by_id: dict[int, Key] = {}
        self.clients: dict[int, ClientKey] = {}
        self.replace(keys, clients)

    def replace(self, keys: Iterable[Key], clients: Iterable[ClientKey] = ()) -> None:
        """
        Have other secrets from now on; links are made with these.

        :raises ConfigError: As at the start; the ring is as it was.
        """
        found = tuple(keys)
        by_id = {key.key_id: key for key in found}
        if not 1 <= len(found) <= KEYS_MAX:
            raise ConfigError(
                "secret_files", f"give one to {KEYS_MAX} secrets, not {len(found)}"
            )
        if len(by_id) != len(found):
            raise ConfigError(
                "secret_files", "two of the secrets are the same; give each once"
            )
        known = tuple(clients)
        clients_by_id = {client.key.key_id: client for client in known}
        if len(clients_by_id) != len(known):
            raise ConfigError("client_keys_file", "two clients have the same key")
        for client in known:
            if client.key.key_id in by_id:
                raise ConfigError(
                    "client_keys_file",
                    f"the key of client {client.principal.name} is a secret of the "
                    "cluster; make it one of its own",
                )
        self.keys, self.by_id, self.clients = found, by_id, clients_by_id

    def principal(self, key_id: int) -> Principal | None:
        """Who has proved a key, and what it may do now; None: it is not live."""
        if key_id in self.by_id:
            return Principal("", self.by_id[key_id].fingerprint, (EVERYTHING,))
        client = self.clients.get(key_id)
        return None if client is None else client.principal

    def of_client(self, key_ids: Iterable[int]) -> ClientKey | None:
        """The first of the keys that are offered which is a client's, or None."""
        for key_id in key_ids:
            if key_id in self.clients:
                return self.clients[key_id]
        return None

    @property
    def sentence(self) -> str:
        """Which secrets are in force, by their fingerprints."""
        others = ", ".join(key.fingerprint for key in self.keys[1:])
        clients = len(self.clients)
        return (
            f"secret {self.first.fingerprint}"
            + (f", and {others} accepted" if others else "")
            + (
                f"; {clients} client{'s'[: clients != 1]} with grants"
                if clients
                else ""
            )
        )

    @property
    def first(self) -> Key:
        """The key that signs."""
        return self.keys[0]

    def shared(self, key_ids: Iterable[int]) -> Key | None:
        """Our first key among those that a peer offers, or None."""
        offered = set(key_ids)
        for key in self.keys:
            if key.key_id in offered:
                return key
        return None


def cluster_tag(cluster_name: str) -> bytes:
    """Eight bytes that tell clusters apart before authentication."""
    return hashlib.sha256(b"cluster" + cluster_name.encode()).digest()[:8]


def node_key_of(node_id: str) -> bytes:
    """The 16 bytes that stand for a node id on the wire."""
    return hashlib.sha256(node_id.encode()).digest()[:16]
