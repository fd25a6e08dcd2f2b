"""
Certificates that end soon, as nodes tell of them and a doctor finds them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import PkiTls
from mycorrizal.nodosum.pki import SHOWN_MAX
from mycorrizal.nodosum.tls import Whom
from mycorrizal.pulse.certificates import certificate_ends
from mycorrizal.pulse.cluster_messages import CertificateEnd, Vitals
from mycorrizal.pulse.expiry import DAYS_LEFT_MIN, expiring
from mycorrizal.pulse.findings import Finding
from tests.nodosum.authority import Authority
from tests.nodosum.test_pki import Session
from tests.pulse.test_doctor_command import vital

NOW_S = datetime(2026, 11, 25, 10, tzinfo=UTC).timestamp()
DAY_S = 86400


def has(node_id: str, *ends: CertificateEnd) -> Vitals:
    """A node that knows of these certificates."""
    found = vital(node_id, certificates=list(ends), wall_s=NOW_S).reply
    assert found is not None
    return found


def end(node_id: str, days: float, name: str = "") -> CertificateEnd:
    """A certificate that ends so many days from now."""
    return CertificateEnd(node_id, name, NOW_S + days * DAY_S)


class ExpiringTests(SynchronousTestCase):
    """What nodes say of certificates, and what follows."""

    def found(self, *vitals: Vitals) -> list[Finding]:
        """The findings."""
        return list(expiring(vitals))

    def test_bound(self) -> None:
        """Two weeks are enough, and a second less is not."""
        self.assertEqual(self.found(has("a", end("a", DAYS_LEFT_MIN))), [])
        (finding,) = self.found(has("a", end("a", DAYS_LEFT_MIN - 1 / DAY_S)))
        self.assertEqual(finding.node_id, "a")
        self.assertEqual(
            finding.what, "its certificate ends in 13 days, on 2026-12-09 09:59 UTC"
        )
        self.assertIn("--tls-cert", finding.fix)

    def test_words(self) -> None:
        """The last day is told in hours, and what is over as what it is."""
        for days, words in (
            (1.5, "ends in 1 day, on 2026-11-26 22:00 UTC"),
            (0.5, "ends in 12 h, on 2026-11-25 22:00 UTC"),
            (-2, "expired on 2026-11-23 10:00 UTC"),
        ):
            (finding,) = self.found(has("a", end("a", days)))
            self.assertEqual(finding.what, f"its certificate {words}")

    def test_of_others(self) -> None:
        """What others saw counts only of who does not say itself what it has."""
        seen = has("a", end("b", 1))
        (finding,) = self.found(seen)
        self.assertEqual(finding.node_id, "b")
        self.assertEqual(self.found(seen, has("b", end("b", 90))), [])
        self.assertEqual(self.found(has("b", end("b", 90)), seen), [])

    def test_authority(self) -> None:
        """An authority is told once, and that its successor comes first."""
        ends = [has(name, end(name, 90), end(name, 9, "CN=root")) for name in "ab"]
        (finding,) = self.found(*ends)
        self.assertEqual(
            finding.what,
            "the authority CN=root ends in 9 days, on 2026-12-04 10:00 UTC",
        )
        self.assertEqual(finding.node_id, "")
        self.assertIn("--tls-ca", finding.fix)


class CertificateTests(SynchronousTestCase):
    """Nodes with certificates in files."""

    def setUp(self) -> None:
        self.authority = Authority(Path(self.mktemp()))

    def node(self, tls: Any, *peers: Any) -> Any:
        """A node's cluster layer, as far as it is asked here."""
        membership = SimpleNamespace(members=lambda: peers)
        me = SimpleNamespace(node_id="a")
        return SimpleNamespace(tls=tls, me=me, membership=membership)

    def test_own(self) -> None:
        """A node tells of its own certificate, and of the authority's above it."""
        tls = PkiTls(self.authority.files("10.0.0.1", days=(-1, 9)))
        own, above = certificate_ends(self.node(tls))
        self.assertEqual((own.node_id, own.name), ("a", ""))
        self.assertEqual(own.until_s, tls.certificate.not_valid_after_utc.timestamp())
        self.assertIn("The test authority ca", above.name)
        self.assertGreater(above.until_s, own.until_s)

    def test_replaced(self) -> None:
        """What was read again counts at once; what will not do does not."""
        tls = PkiTls(self.authority.files("10.0.0.1", days=(-1, 9)))
        before = certificate_ends(self.node(tls))[0].until_s
        self.authority.files("10.0.0.1", days=(-9, -1))
        self.assertRaises(ConfigError, tls.reload)
        self.assertEqual(certificate_ends(self.node(tls))[0].until_s, before)
        self.authority.files("10.0.0.1", days=(-1, 90))
        tls.reload()
        after = certificate_ends(self.node(tls))[0].until_s
        self.assertEqual(round((after - before) / DAY_S), 81)

    def test_shown(self) -> None:
        """A node tells of those that members have shown; not of strangers'."""
        a = PkiTls(self.authority.files("10.0.0.1", of="a"))
        b = PkiTls(self.authority.files("10.0.0.2", of="b", days=(-1, 5)))
        Session(a, b)
        (key,) = a.shown
        member = SimpleNamespace(node_key=key, node_id="b")
        unknown = SimpleNamespace(node_key=bytes(16), node_id="c")
        found = certificate_ends(self.node(a, member, unknown))
        self.assertEqual([it.node_id for it in found], ["a", "a", "b"])
        self.assertEqual(
            found[2].until_s, b.certificate.not_valid_after_utc.timestamp()
        )
        self.assertEqual(len(certificate_ends(self.node(a))), 2)

    def test_refused(self) -> None:
        """A certificate that will not do is not kept, and none of Pulse's is."""
        a = PkiTls(self.authority.files("10.0.0.1", of="a"))
        b = PkiTls(self.authority.files("10.0.0.77", of="b"))
        Session(a, b)
        self.assertEqual(a.shown, {})
        Session(b, a, host="10.0.0.1", client_is_node=False)
        self.assertEqual(a.shown, {})

    def test_bound(self) -> None:
        """So many are kept, the last ones."""
        tls = PkiTls(self.authority.files("10.0.0.1"))
        for number in range(SHOWN_MAX + 1):
            tls._shows(Whom("", number.to_bytes(16)), tls.certificate)
        self.assertEqual(len(tls.shown), SHOWN_MAX)
        self.assertNotIn(bytes(16), tls.shown)

    def test_other_tls(self) -> None:
        """Nodes that make their certificates themselves have none that counts."""
        self.assertEqual(certificate_ends(self.node(None)), [])
