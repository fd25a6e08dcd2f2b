"""
TLS with certificates of an authority at both ends, through real OpenSSL.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import attrs
from cryptography import x509
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import PkiSettings, PkiTls, node_key_of
from mycorrizal.nodosum.pki import NODE_URI
from mycorrizal.nodosum.tls import AutoTls, CertificateRefused, Clear, Whom
from mycorrizal.nodosum.wire.events import Exporter
from mycorrizal.nodosum.wire.handshake import EXPORTER_LABEL
from tests.nodosum.authority import NAME, Authority
from tests.nodosum.ends import runtime_of


class End:
    """One end of a session: whom it expects, and how it went."""

    def __init__(self, tls: PkiTls | AutoTls, whom: Whom, *, is_client: bool) -> None:
        self.transport = StringTransport()
        self.exporter: Exporter | None = None
        self.lost: list[Failure] = []
        self.protocol: Protocol = tls.start(
            runtime_of(Clock()),
            self.transport,
            is_client=is_client,
            clear=Clear(
                self.established, lambda data: None, self.lost.append, lambda: whom
            ),
        )

    def established(self, transport: ITransport, exporter: Exporter) -> None:
        """The handshake is done."""
        self.exporter = exporter

    def words(self) -> tuple[str, bool]:
        """What a certificate had to do with its end."""
        assert self.lost, "it was not refused"
        error = self.lost[0].value
        assert isinstance(error, CertificateRefused), error
        return error.reason, error.by_peer


class Session:
    """A session in memory, to its first standstill."""

    def __init__(
        self,
        client: PkiTls | AutoTls,
        server: PkiTls | AutoTls,
        *,
        host: str = "10.0.0.2",
        client_id: str = "a",
        client_is_node: bool = True,
    ) -> None:
        expected = Whom(host, node_key_of("b"))
        opener = Whom("", node_key_of(client_id), client_is_node)
        self.client = End(client, expected, is_client=True)
        self.server = End(server, opener, is_client=False)
        ends = (self.client, self.server)
        for source, target in itertools.islice(itertools.cycle((ends, ends[::-1])), 20):
            data = source.transport.value()
            source.transport.clear()
            if data and not target.lost:
                target.protocol.dataReceived(data)
            if source.transport.disconnecting and not source.lost:
                reason = Failure(ConnectionError("closed"))
                source.protocol.connectionLost(reason)


class PkiCase(SynchronousTestCase):
    """A directory, and an authority in it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.authority = Authority(self.directory)

    def tls(self, settings: PkiSettings) -> PkiTls:
        """A node's identity."""
        return PkiTls(settings)

    def refusal(self, settings: PkiSettings) -> str:
        """What is said to files that won't do."""
        return str(self.assertRaises(ConfigError, self.tls, settings))


class SessionTests(PkiCase):
    """Two nodes meet."""

    def test_mutual(self) -> None:
        """Two certificates of one authority make a session, bound as ever."""
        a = self.tls(self.authority.files("10.0.0.1", of="a"))
        b = self.tls(self.authority.files("10.0.0.2", of="b"))
        session = Session(a, b)
        material = [
            end.exporter(EXPORTER_LABEL, 32, bytes(32))
            for end in (session.client, session.server)
            if end.exporter is not None
        ]
        self.assertEqual(len(material), 2)
        self.assertEqual(material[0], material[1])

    def test_shared_name(self) -> None:
        """With a host name of the cluster, no certificate need bear an address."""
        a = self.tls(self.authority.files(NAME, of="a", hostname=NAME))
        b = self.tls(self.authority.files("*.shop.example", of="b", hostname=NAME))
        session = Session(a, b)
        self.assertIsNotNone(session.client.exporter)
        self.assertIsNotNone(session.server.exporter)

    def test_wrong_authority(self) -> None:
        """F15: whose certificate another authority has signed does not come in."""
        other = Authority(self.directory, "other")
        a = self.tls(other.files("10.0.0.1", of="a"))
        b = self.tls(self.authority.files("10.0.0.2", of="b"))
        for session in (Session(a, b), Session(b, a)):
            words, by_peer = session.client.words()
            self.assertFalse(by_peer)
            self.assertIn("certificate is signed by", words)
            self.assertIn("which is none of those in --tls-ca", words)
            words, by_peer = session.server.words()
            self.assertTrue(by_peer)
            self.assertIn("does not trust the authority of our certificate", words)

    def test_self_signed(self) -> None:
        """F19: a node without a certificate of the authority does not come in."""
        b = self.tls(self.authority.files("10.0.0.2", of="b"))
        session = Session(AutoTls(), b)
        words, by_peer = session.server.words()
        self.assertFalse(by_peer)
        self.assertIn("signed by nobody but itself", words)
        words, by_peer = session.client.words()
        self.assertTrue(by_peer)
        self.assertIn("it has --tls pki", words)
        self.assertIsNone(session.server.exporter)

    def test_wrong_address(self) -> None:
        """A certificate for another address is refused, and both are named."""
        a = self.tls(self.authority.files("10.0.0.1", of="a"))
        b = self.tls(self.authority.files("10.0.0.9", of="b"))
        words, _ = Session(a, b).client.words()
        self.assertEqual(
            words,
            "its certificate is for 10.0.0.9, and not for 10.0.0.2; see --tls-hostname",
        )

    def test_wrong_name(self) -> None:
        """A node's certificate must bear the cluster's name, whoever dials."""
        a = self.tls(self.authority.files("10.0.0.1", of="a"))
        b = self.tls(self.authority.files(NAME, of="b", hostname=NAME))
        words, _ = Session(a, b, host=NAME).server.words()
        self.assertEqual(words, f"its certificate is for 10.0.0.1, and not for {NAME}")

    def test_client_needs_no_name(self) -> None:
        """The certificate of a user of pulse is not that of a node."""
        a = self.tls(self.authority.files("ops@shop.example", "10.0.0.1", of="a"))
        b = self.tls(self.authority.files(NAME, of="b", hostname=NAME))
        session = Session(a, b, host=NAME, client_is_node=False)
        self.assertIsNotNone(session.server.exporter)

    def test_bound_to_a_node(self) -> None:
        """F13: a certificate with a node's id in it is of no use to another."""
        bound = self.authority.files("10.0.0.1", of="a")
        self.issue_bound(bound, "a")
        a = self.tls(bound)
        b = self.tls(self.authority.files("10.0.0.2", of="b"))
        self.assertIsNotNone(Session(a, b, client_id="a").server.exporter)
        words, by_peer = Session(a, b, client_id="c").server.words()
        self.assertFalse(by_peer)
        self.assertEqual(words, "its certificate is that of node a, and it is not")

    def issue_bound(self, settings: PkiSettings, node_id: str) -> None:
        """Sign a certificate again, with the id of a node in it."""
        from cryptography.hazmat.primitives import hashes, serialization

        old = x509.load_pem_x509_certificate(Path(settings.cert).read_bytes())
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uri = x509.UniformResourceIdentifier(NODE_URI + node_id)
        builder = x509.CertificateBuilder(
            old.issuer, old.subject, old.public_key(), old.serial_number + 1,
            old.not_valid_before_utc, old.not_valid_after_utc,
        )  # fmt: skip
        for extension in old.extensions:
            if extension.oid != names.oid:
                builder = builder.add_extension(extension.value, extension.critical)
        both = x509.SubjectAlternativeName([*names.value, uri])
        pem = self.authority.ca.private_key_pem.bytes()
        key = serialization.load_pem_private_key(pem, None)
        made = builder.add_extension(both, critical=False)
        signed = made.sign(key, hashes.SHA256())  # type: ignore[arg-type]
        Path(settings.cert).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


class ExpiredTests(PkiCase):
    """Certificates of the wrong time, which were right when they were read."""

    def session_with(self, days: tuple[int, int]) -> Session:
        """The dialler shows such a certificate."""
        good = self.authority.files("10.0.0.1", of="a")
        a = self.tls(good)
        wrong = self.authority.files("10.0.0.1", of="wrong", days=days)
        # As if time had passed since it was read.
        context = a._context
        context.use_certificate_chain_file(wrong.cert)
        context.use_privatekey_file(wrong.key)
        return Session(a, self.tls(self.authority.files("10.0.0.2", of="b")))

    def test_expired(self) -> None:
        """F15: an expired certificate is refused, with its date."""
        session = self.session_with((-9, -2))
        words, _ = session.server.words()
        self.assertRegex(words, r"^its certificate expired on \d{4}-\d\d-\d\d \d")
        words, by_peer = session.client.words()
        self.assertTrue(by_peer)
        self.assertIn("our certificate has expired", words)

    def test_not_yet_valid(self) -> None:
        """F9: a certificate that is not valid yet may be a wrong clock's."""
        words, _ = self.session_with((2, 9)).server.words()
        self.assertRegex(words, r"^its certificate is not valid before \d{4}-\d\d-\d\d")
        self.assertIn("is a clock wrong", words)


class FilesTests(PkiCase):
    """What an operator may get wrong in files, said at the start."""

    def test_unreadable(self) -> None:
        """A file that is not there is named, with the setting."""
        good = self.authority.files("10.0.0.1")
        for field in ("ca", "cert", "key"):
            wrong = attrs.evolve(good, **{field: "/nowhere/x.pem"})
            self.assertEqual(
                self.refusal(wrong),
                f"tls_{field}: cannot read /nowhere/x.pem: No such file or directory",
            )

    def test_not_pem(self) -> None:
        """A file of something else is named, and not quoted."""
        good = self.authority.files("10.0.0.1")
        path = self.directory / "x"
        path.write_text("hidden words")
        for field in ("ca", "cert", "key"):
            refusal = self.refusal(attrs.evolve(good, **{field: str(path)}))
            self.assertTrue(refusal.startswith(f"tls_{field}: {path} holds no "))
            self.assertNotIn("hidden", refusal)

    def test_other_key(self) -> None:
        """A key of another certificate is told from a damaged one."""
        one = self.authority.files("10.0.0.1", of="one")
        other = self.authority.files("10.0.0.1", of="other")
        refusal = self.refusal(attrs.evolve(one, key=other.key))
        self.assertEqual(refusal, f"tls_key: {other.key} is not the key of {one.cert}")

    def test_no_names(self) -> None:
        """A certificate with a common name alone names nobody."""
        refusal = self.refusal(self.authority.files())
        self.assertIn("names nobody: it has no subjectAltName", refusal)

    def test_other_name(self) -> None:
        """Our own certificate must bear the name that we want of all."""
        refusal = self.refusal(self.authority.files("10.0.0.1", hostname=NAME))
        self.assertIn(f"is for 10.0.0.1, and not for {NAME}", refusal)

    def test_expired(self) -> None:
        """F15: an expired certificate is refused at the start, with its date."""
        refusal = self.refusal(self.authority.files("10.0.0.1", days=(-9, -2)))
        self.assertRegex(refusal, r"^tls_cert: \S+ expired on \d{4}-\d\d-\d\d")

    def test_not_yet_valid(self) -> None:
        """So is one that is not valid yet."""
        refusal = self.refusal(self.authority.files("10.0.0.1", days=(2, 9)))
        self.assertIn("is not valid before", refusal)

    def test_wrong_authority(self) -> None:
        """So is one that our own authority has not signed."""
        other = Authority(self.directory, "other")
        mixed = attrs.evolve(self.authority.files("10.0.0.1"), ca=str(other.path))
        refusal = self.refusal(mixed)
        self.assertIn("tls_cert:", refusal)
        self.assertIn(f"is none of those in {other.path}", refusal)


class ReloadTests(PkiCase):
    """Certificates are replaced while the node runs."""

    def test_new_sessions(self) -> None:
        """Sessions that begin after a reload show the new certificate."""
        files = self.authority.files("10.0.0.1")
        tls = self.tls(files)
        before = tls.certificate
        self.assertFalse(tls.reload())
        self.assertEqual(tls.edition, 0)
        self.authority.files("10.0.0.1")
        self.assertTrue(tls.reload())
        self.assertEqual(tls.edition, 1)
        self.assertNotEqual(tls.certificate.serial_number, before.serial_number)

    def test_worse_files(self) -> None:
        """What can't be used changes nothing."""
        files = self.authority.files("10.0.0.1")
        tls = self.tls(files)
        before = tls.certificate
        self.authority.files("10.0.0.1", days=(-9, -2))
        self.assertRaises(ConfigError, tls.reload)
        self.assertEqual(tls.certificate, before)
        b = self.tls(self.authority.files("10.0.0.2", of="b"))
        self.assertIsNotNone(Session(tls, b).server.exporter)
