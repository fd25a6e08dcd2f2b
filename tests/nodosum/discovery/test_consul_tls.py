"""
Mutual TLS with an agent: whom we trust, who we are, and what is said when one
does not fit.  (OpenSSL for real, over simulated connections.)
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
)
from twisted.internet.protocol import Factory, Protocol

from mycorrizal.errors import ConfigError, DiscoveryError
from mycorrizal.nodosum.discovery import ConsulSettings
from mycorrizal.nodosum.discovery.consul_tls import connection_creator
from mycorrizal.nodosum.pem import PEM_BYTES_MAX
from tests.fakes.consul import FakeConsul, tls_context
from tests.nodosum.discovery.consul_case import AGENT, ConsulCase
from tests.places import fresh_path

#: Making keys takes long; one authority does for all tests.
CA = trustme.CA()
OTHER_CA = trustme.CA()
OF_AGENT = CA.issue_cert("agent", "server.dc1.consul", AGENT)
OF_NODE = CA.issue_cert("node.example")


class Blunt(Protocol):
    """What Go's server says to bytes that are no request, or no TLS."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        said = b"Client sent an HTTP request to an HTTPS server.\n"
        transport.write(b"HTTP/1.0 400 Bad Request\r\n\r\n" + said)
        transport.loseConnection()


class TlsCase(ConsulCase):
    """An agent that speaks TLS on port 8501."""

    def setUp(self) -> None:
        super().setUp()
        self.place: Path = fresh_path(self)
        self.place.mkdir()
        self.ca = self.file("ca.pem", CA.cert_pem.bytes())
        self.chain = b"".join(blob.bytes() for blob in OF_NODE.cert_chain_pems)
        self.cert = self.file("cert.pem", self.chain)
        self.key = self.file("key.pem", OF_NODE.private_key_pem.bytes())

    def file(self, name: str, data: bytes) -> str:
        """Write a file; its path."""
        path = self.place / name
        path.write_bytes(data)
        return str(path)

    def serve(
        self,
        leaf: trustme.LeafCert = OF_AGENT,
        clients_ca: trustme.CA | None = CA,
    ) -> None:
        """Listen with TLS."""
        self.secure = FakeConsul(self.agent.reactor, address=AGENT)
        own = self.file("agent.pem", leaf.private_key_and_cert_chain_pem.bytes())
        clients = None
        if clients_ca is not None:
            clients = self.file("clients.pem", clients_ca.cert_pem.bytes())
        context = tls_context(own, clients)
        self.secure.listen(8501, interface="", context=context)

    def own(self, **more: Any) -> dict[str, Any]:
        """All settings for mutual TLS."""
        files = {"ca": self.ca, "cert": self.cert, "key": self.key}
        return {"url": f"https://{AGENT}:8501", **files, **more}


class MutualTests(TlsCase):
    """Both ends show a certificate."""

    def test_names(self) -> None:
        """The agent is known by its name, its IP address, or a name we are told."""
        self.serve()
        for number, settings in enumerate(
            (
                self.own(),
                self.own(url="https://agent:8501"),
                self.own(url="https://agent:8501", server_name="server.dc1.consul"),
            )
        ):
            discovery = self.discovery(f"n{number}", **settings)
            self.found(discovery.discover())
        self.world.advance(10)
        services = sorted(self.secure.state.services)
        self.assertEqual(services, ["mycorrizal-n0", "mycorrizal-n1", "mycorrizal-n2"])
        self.withdraw()

    def test_long_query(self) -> None:
        """Waiting for changes works through TLS, and leaves nothing behind."""
        self.serve()
        a = self.discovery("a", **self.own())
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(90)
        self.assertNoResult(look)
        self.discovery("b", **self.own())
        self.assertEqual(self.found(look), [(self.host("b").address, 6969)])
        self.withdraw()

    def test_renewed_certificate(self) -> None:
        """A certificate that was replaced is used by the next connection."""
        self.serve()
        discovery = self.discovery("a", **self.own())
        self.found(discovery.discover())
        self.file("cert.pem", b"")
        self.world.result_of(self.secure.stop())
        self.serve()
        for said in ("it closed the connection", "cert.pem holds no certificate"):
            with self.assertRaises(DiscoveryError) as caught:
                self.found(discovery.discover())
            self.assertIn(said, str(caught.exception))
        self.file("cert.pem", self.chain)
        self.world.advance(40)
        self.assertEqual(sorted(self.secure.state.services), ["mycorrizal-a"])

    def test_not_verified(self) -> None:
        """Who asks for it gets TLS with whoever answers."""
        self.serve(OTHER_CA.issue_cert("somebody.example"), None)
        for url in (f"https://{AGENT}:8501", "https://agent:8501"):
            discovery = self.discovery("a", url=url, verify=False)
            self.found(discovery.discover())
            self.world.result_of(discovery.withdraw())


class RefusalTests(TlsCase):
    """What is said when the two don't fit (F46)."""

    def problem(self, **settings: Any) -> str:
        """What a look comes to."""
        discovery = self.discovery("a", announced=False, **settings)
        with self.assertRaises(DiscoveryError) as caught:
            self.found(discovery.discover())
        return str(caught.exception)

    def test_wrong_ca(self) -> None:
        """An agent of another authority."""
        self.serve(OTHER_CA.issue_cert(AGENT))
        said = self.problem(**self.own())
        self.assertIn("is not signed by an authority in --consul-ca", said)

    def test_system_trust(self) -> None:
        """Without a CA file the system's authorities count, which are others."""
        self.serve(clients_ca=None)
        said = self.problem(url="https://agent:8501")
        self.assertIn("is not signed by an authority in --consul-ca", said)

    def test_expired(self) -> None:
        """A certificate whose time is over."""
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        self.serve(CA.issue_cert(AGENT, not_after=past))
        self.assertIn("its certificate has expired, or", self.problem(**self.own()))

    def test_wrong_name(self) -> None:
        """A certificate for another name, or address."""
        self.serve(CA.issue_cert("elsewhere.example"))
        for url in (f"https://{AGENT}:8501", "https://agent:8501"):
            said = self.problem(**self.own(url=url))
            self.assertIn("its certificate is for another name", said)
            self.assertIn("CONSUL_TLS_SERVER_NAME", said)

    def test_no_client_certificate(self) -> None:
        """An agent that wants a certificate, and gets none."""
        self.serve()
        said = self.problem(url=f"https://{AGENT}:8501", ca=self.ca)
        self.assertIn("give --consul-cert and --consul-key", said)

    def test_client_of_another_ca(self) -> None:
        """An agent that does not know our authority."""
        self.serve(clients_ca=OTHER_CA)
        said = self.problem(**self.own())
        self.assertIn("it does not know the authority of our certificate", said)

    def test_plain_port(self) -> None:
        """https:// where http is spoken, and the other way round."""
        for port in (8502, 8503):
            factory = Factory.forProtocol(Blunt)
            self.agent.reactor.listenTCP(port, factory)
        said = self.problem(**self.own(url=f"https://{AGENT}:8502"))
        self.assertIn("it does not speak TLS there", said)
        said = self.problem(url=f"http://{AGENT}:8503")
        self.assertIn("its port speaks TLS, so --consul is https://", said)


class FileTests(TlsCase):
    """Files that are not what they should be."""

    def problem(self, **settings: Any) -> ConfigError:
        """What is wrong."""
        with self.assertRaises(ConfigError) as caught:
            connection_creator(ConsulSettings(**self.own(**settings)), AGENT)
        error: ConfigError = caught.exception
        return error

    def test_wrong(self) -> None:
        """Each is named, with its setting, before the node starts."""
        rubbish = self.file("rubbish.pem", b"rubbish")
        damaged = self.file("damaged.pem", CA.cert_pem.bytes().replace(b"M", b"!"))
        other = self.file("other.pem", OTHER_CA.issue_cert("x").private_key_pem.bytes())
        key = load_pem_private_key(OF_NODE.private_key_pem.bytes(), None)
        encrypted = self.file("encrypted.pem", key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            BestAvailableEncryption(b"password"),
        ))  # fmt: skip
        huge = self.file("huge.pem", b"x" * (PEM_BYTES_MAX + 1))
        for settings, field, said in (
            ({"ca": "nowhere"}, "ca", "cannot read nowhere: No such file"),
            ({"ca": rubbish}, "ca", "holds no certificate (PEM)"),
            ({"ca": damaged}, "ca", "holds a damaged certificate (PEM)"),
            ({"ca": huge}, "ca", "is longer than 4194304 bytes"),
            ({"cert": rubbish}, "cert", "holds no certificate (PEM)"),
            ({"key": rubbish}, "key", "holds no private key (PEM)"),
            ({"key": encrypted}, "key", "is encrypted; give a key without password"),
            ({"key": other}, "key", f"other.pem is not the key of {self.cert}"),
        ):
            error = self.problem(**settings)
            self.assertEqual(error.field, f"consul.{field}")
            self.assertIn(said, error.problem)
            self.assertNotIn("PRIVATE", error.problem)

    def test_both_in_one_file(self) -> None:
        """Certificate and key may stand in one file, and a chain in the first."""
        both = self.file("both.pem", OF_NODE.private_key_and_cert_chain_pem.bytes())
        self.serve()
        discovery = self.discovery("a", **self.own(cert=both, key=both))
        self.assertEqual(self.found(discovery.discover()), [])
        self.assertIn("mycorrizal-a", self.secure.state.services)
