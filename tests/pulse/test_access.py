"""
Which node is asked, and with which secret.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.pulse.access import Access, find_access

SECRET, OTHER = new_secret(bytes(32)), new_secret(bytes([1]) * 32)


class FindAccessTests(SynchronousTestCase):
    """A user with a home directory."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)
        self.environment = {"HOME": directory.name}

    def write(self, path: str, secret: str = SECRET) -> Path:
        """Write a secret below the home directory."""
        whole = self.home / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(secret + "\n")
        whole.chmod(0o600)
        return whole

    def find(self, *options: str) -> Access:
        """Access with options: name, value, name, value ..."""
        pairs = dict(zip(options[::2], options[1::2], strict=True))
        return find_access(pairs, self.environment)

    def problem(self, *options: str) -> str:
        """What is wrong with them."""
        with self.assertRaises(ConfigError) as raised:
            self.find(*options)
        return str(raised.exception)

    def test_defaults(self) -> None:
        """With nothing said it is the node here, and the secret it made."""
        path = self.write(".local/state/mycorrizal/mycorrizal/secret")
        access = self.find()
        self.assertEqual(access.place, "127.0.0.1:6969")
        self.assertEqual(access.cluster_name, "mycorrizal")
        self.assertEqual(access.tls, "auto")
        self.assertEqual(access.secret_path, path)
        self.assertEqual(access.keys.keys, (derive_key(SECRET, "mycorrizal"),))

    def test_other_cluster(self) -> None:
        """Another cluster has another secret."""
        path = self.write(".local/state/mycorrizal/blue/secret", OTHER)
        access = self.find("--cluster-name", "blue")
        self.assertEqual((access.cluster_name, access.secret_path), ("blue", path))

    def test_state_dir(self) -> None:
        """A state directory that the environment names is looked at."""
        self.environment["MYCORRIZAL_STATE_DIR"] = str(self.home / "state")
        path = self.write("state/mycorrizal/secret")
        self.assertEqual(self.find().secret_path, path)

    def test_environment(self) -> None:
        """The environment wins over the defaults, options over both."""
        path, other = self.write("a"), self.write("b", OTHER)
        self.environment |= {
            "MYCORRIZAL_NODE": "[::1]:7001",
            "MYCORRIZAL_SECRET_FILE": str(path),
            "MYCORRIZAL_CLUSTER_NAME": "blue",
            "MYCORRIZAL_TLS": "off",
        }
        access = self.find()
        self.assertEqual((access.place, access.tls), ("[::1]:7001", "off"))
        self.assertEqual((access.cluster_name, access.secret_path), ("blue", path))
        access = self.find("--node", "host", "--secret-file", str(other))
        self.assertEqual((access.place, access.secret_path), ("host:6969", other))

    def test_empty_variable(self) -> None:
        """A variable that is set to nothing is not set."""
        self.write(".local/state/mycorrizal/mycorrizal/secret")
        self.environment |= {"MYCORRIZAL_NODE": "", "MYCORRIZAL_SECRET_FILE": ""}
        self.assertEqual(self.find().place, "127.0.0.1:6969")

    def test_no_secret(self) -> None:
        """Without a secret, the sentence says where it was looked for."""
        problem = self.problem()
        path = self.home / ".local/state/mycorrizal/mycorrizal/secret"
        self.assertIn(str(path), problem)
        self.assertIn("--secret-file", problem)

    def test_bad_secret_file(self) -> None:
        """A secret that can't be used is named with the option it came by."""
        self.assertIn("cannot read", self.problem("--secret-file", "/nowhere"))
        path = self.write("short", "too short")
        self.assertIn("--secret-file: ", self.problem("--secret-file", str(path)))
        path.chmod(0o644)
        self.assertIn("chmod 600", self.problem("--secret-file", str(path)))
        self.environment["MYCORRIZAL_SECRET_FILE"] = str(path)
        self.assertIn("MYCORRIZAL_SECRET_FILE: ", self.problem())

    def test_bad_node(self) -> None:
        """So is an address that is none, before any secret is looked for."""
        self.assertIn("--node: '1.2.3.4:x'", self.problem("--node", "1.2.3.4:x"))
        self.assertIn("--node: port 0", self.problem("--node", "1.2.3.4:0"))
        self.environment["MYCORRIZAL_NODE"] = "a:b:c"
        self.assertIn("MYCORRIZAL_NODE: ", self.problem())

    def test_bad_tls(self) -> None:
        """So is a TLS mode that there is not."""
        self.environment["MYCORRIZAL_TLS"] = "on"
        self.assertIn("MYCORRIZAL_TLS: give one of auto, pki, off", self.problem())

    def test_secret_is_not_shown(self) -> None:
        """What is logged of it does not contain the secret."""
        self.write(".local/state/mycorrizal/mycorrizal/secret")
        access = self.find()
        self.assertNotIn(access.keys.first.client.hex(), repr(access))
        self.assertNotIn(repr(access.keys.first.client), repr(access))
