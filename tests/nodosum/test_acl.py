"""
Secrets: how they are written, and the keys made from them.
"""

from __future__ import annotations

import base64
import hashlib
import traceback

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.acl import (
    KEYS_MAX,
    Key,
    KeyRing,
    cluster_tag,
    derive_key,
    new_secret,
    node_key_of,
)
from mycorrizal.nodosum.wire.events import Local, Remote
from mycorrizal.nodosum.wire.version import Role

RAW = bytes(range(32))
SECRET = "myk1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PASSPHRASE = "correct horse battery"


def independent_key(raw: bytes) -> Key:
    """The keys of 32 bytes, by another implementation of HKDF."""

    def expand(label: bytes) -> bytes:
        return HKDF(SHA256(), 32, b"mycorrizal/1", label).derive(raw)

    prk = HKDF.extract(SHA256(), b"mycorrizal/1", raw)
    key_id = int.from_bytes(hashlib.sha256(b"kid" + prk).digest()[:4], "little")
    return Key(key_id, expand(b"udp"), expand(b"acl node"), expand(b"acl client"))


def numbered(key_id: int) -> Key:
    """A key that has only an id."""
    return Key(key_id, b"", b"", b"")


class SecretTests(SynchronousTestCase):
    """From the text of a secret to keys."""

    def refusal(self, secret: str) -> ConfigError:
        """The error that a secret gives; it does not show the secret."""
        with self.assertRaises(ConfigError) as caught:
            derive_key(secret, "demo", "secret_files[1]")
        error: ConfigError = caught.exception
        self.assertEqual(error.field, "secret_files[1]")
        shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        # Nor does another error that it may drag along.
        self.assertIsNone(error.__context__)
        for piece in secret.split():
            if len(piece.removeprefix("myk1:")) > 3:
                self.assertNotIn(piece.removeprefix("myk1:"), shown)
        return error

    def test_golden_keys(self) -> None:
        """The keys of a secret never change from version to version."""
        key = derive_key(SECRET, "demo")
        self.assertEqual(key.fingerprint, "9c753c18")
        self.assertEqual(
            [key.udp.hex(), key.node.hex(), key.client.hex()],
            [
                "8fede5b824a406b5bb9ce96559ae645ca8e7f0519f2d0dd546041f5a7ff8c7e1",
                "7765f030f03d9d726ed7528b010e08c229e31fe8a8cfbff428e03c425833ad1b",
                "9235fbad0545f8b289ee114ebf127633c6cb8109024d0ee6251bb59b7526a386",
            ],
        )

    @given(st.binary(min_size=32, max_size=32))
    def test_hkdf(self, raw: bytes) -> None:
        """The keys are those of RFC 5869, as another implementation has it."""
        key = derive_key(new_secret(raw), "demo")
        self.assertEqual(key, independent_key(raw))
        self.assertEqual(len({key.udp, key.node, key.client}), 3)

    def test_scrypt(self) -> None:
        """A passphrase is stretched as RFC 7914 says, salted with the cluster."""
        stretched = Scrypt(b"demo", 32, 2**15, 8, 1).derive(PASSPHRASE.encode())
        self.assertEqual(derive_key(PASSPHRASE, "demo"), independent_key(stretched))
        self.assertNotEqual(
            derive_key(PASSPHRASE, "other").key_id,
            derive_key(PASSPHRASE, "demo").key_id,
        )

    def test_new_secret(self) -> None:
        """What is printed for 32 random bytes is what is read back."""
        self.assertEqual(new_secret(RAW), SECRET)

    def test_white_space_around(self) -> None:
        """The end of line that an editor adds does not change a secret."""
        for text in (f"{SECRET}\n", f"  {SECRET}\r\n", f"\t{SECRET} "):
            self.assertEqual(derive_key(text, "demo"), derive_key(SECRET, "demo"))

    def test_cluster_does_not_change_raw_secrets(self) -> None:
        """A raw secret needs no salt; clusters are told apart by their tag."""
        self.assertEqual(derive_key(SECRET, "a"), derive_key(SECRET, "b"))

    def test_malformed(self) -> None:
        """What begins like a secret must be one: 32 bytes, not 31, not 33."""
        b64 = base64.b64encode
        for body in (
            "",
            "AAEC",
            SECRET[5:-2],
            SECRET[5:] + "AAAA",
            b64(bytes(31)).decode(),
            b64(bytes(33)).decode(),
            SECRET[5:20] + " " + SECRET[20:],
            SECRET[5:].replace("A", "!"),
            SECRET[5:].replace("A", "é"),
            SECRET[5:].replace("A", "\udcff"),
        ):
            error = self.refusal("myk1:" + body)
            self.assertIn("pulse secret new", str(error))

    def test_passphrase_at_the_minimum(self) -> None:
        """Sixteen bytes are enough for a passphrase, fifteen are not."""
        derive_key("a" * 16, "demo")
        derive_key("é" * 8, "demo")
        for short in ("", "a", "a" * 15, "   " + "a" * 15 + "   ", "é" * 7 + "a"):
            self.assertIn("at least 16 bytes", str(self.refusal(short)))

    def test_passphrase_that_is_no_text(self) -> None:
        """Stray bytes of the environment are refused, and not shown either."""
        self.refusal("correct \udcff horse battery staple")

    def test_keys_are_not_shown(self) -> None:
        """Whatever is logged with its repr shows fingerprints at most."""
        key = derive_key(SECRET, "demo")
        ring = KeyRing([key])
        local = Local(bytes(16), 1, bytes(8), ring, tls=False)
        remote = Remote(bytes(16), 1, Role.NODE, key, 0, 1)
        for thing in (key, ring, local, remote):
            for shown in (repr(thing), str(thing)):
                for hidden in (key.udp, key.node, key.client):
                    self.assertNotIn(repr(hidden), shown)
                    self.assertNotIn(hidden.hex(), shown)
        self.assertEqual(repr(key), f"Key(key_id={key.key_id})")


class KeyRingTests(SynchronousTestCase):
    """Several live secrets."""

    def test_how_many(self) -> None:
        """One to four secrets can be live; none, or five, is an error."""
        for count in (1, KEYS_MAX):
            ring = KeyRing(numbered(n) for n in range(count))
            self.assertEqual(len(ring.keys), count)
        for count in (0, KEYS_MAX + 1):
            with self.assertRaises(ConfigError):
                KeyRing(numbered(n) for n in range(count))

    def test_twice_the_same(self) -> None:
        """A secret that is given twice is a mistake."""
        with self.assertRaises(ConfigError):
            KeyRing([numbered(1), numbered(2), numbered(1)])

    def test_first_signs(self) -> None:
        """The first secret is the one that signs."""
        self.assertEqual(KeyRing([numbered(2), numbered(1)]).first, numbered(2))

    def test_shared(self) -> None:
        """Of the secrets that both have, ours says which comes first."""
        ring = KeyRing([numbered(1), numbered(2), numbered(3)])
        self.assertEqual(ring.shared([3, 2]), numbered(2))
        self.assertEqual(ring.shared((9, 1, 3)), numbered(1))
        self.assertIsNone(ring.shared([]))
        self.assertIsNone(ring.shared([4, 0]))


class NameTests(SynchronousTestCase):
    """Names as they stand on the wire."""

    def test_cluster_tag(self) -> None:
        """A cluster's name becomes eight bytes that never change."""
        self.assertEqual(cluster_tag("demo").hex(), "1cf5db58ffe992b2")
        self.assertNotEqual(cluster_tag("demo"), cluster_tag("demo2"))

    def test_node_key(self) -> None:
        """A node's id, of whatever length, becomes sixteen bytes."""
        for node_id in ("a", "ü" * 60):
            expected = hashlib.sha256(node_id.encode()).digest()[:16]
            self.assertEqual(node_key_of(node_id), expected)
