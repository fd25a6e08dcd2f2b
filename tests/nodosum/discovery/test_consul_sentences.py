"""
Sentences about what went wrong, whoever's words are in them.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from mycorrizal.nodosum.discovery.consul_sentences import (
    EXCERPT_CHARACTERS_MAX,
    excerpt,
    of_failure,
    of_no_json,
    of_status,
)

URL = "http://127.0.0.1:8500"


def tls_error(reason: str) -> SSL.Error:
    """What pyOpenSSL raises."""
    return SSL.Error([("SSL routines", "", reason)])


class FailureTests(SynchronousTestCase):
    """Requests without an answer."""

    def test_known(self) -> None:
        """What is known has its own sentence, however deep it lies."""
        for reason, said in (
            (error.ConnectionRefusedError(), "connection refused; does it run there?"),
            (error.DNSLookupError(), "its name has no address"),
            (error.TimeoutError(), "it does not answer"),
            (error.NoRouteError(), "No route to host"),
            (error.ConnectionLost(), "it closed the connection before it had answered"),
            (VerificationError([]), "its certificate is for another name"),
            (tls_error("certificate verify failed"), "is not signed by an authority"),
            (tls_error("tlsv13 alert certificate required"), "give --consul-cert and"),
            (tls_error("sslv3 alert handshake failure"), "give --consul-cert and"),
            (tls_error("tlsv1 alert unknown ca"), "give another --consul-cert"),
            (tls_error("ssl/tls alert certificate expired"), "refuses our certificate"),
            (tls_error("wrong version number"), "it does not speak TLS there"),
            (tls_error("something new"), "TLS failed (something new)"),
            (SSL.Error(), "TLS failed ()"),
        ):
            for failed in (
                reason,
                ResponseNeverReceived([Failure(reason)]),
                ResponseFailed([Failure(ResponseNeverReceived([Failure(reason)]))]),
            ):
                sentence = of_failure(Failure(failed), URL)
                self.assertIn(f"no Consul agent can be used at {URL}: ", sentence)
                self.assertIn(said, sentence)

    def test_unknown(self) -> None:
        """Anything else is told in its own words, or by its name."""
        self.assertIn(": boom", of_failure(Failure(RuntimeError("bo\x1bom")), URL)
                      .replace("?", ""))  # fmt: skip
        self.assertIn(": RuntimeError", of_failure(Failure(RuntimeError()), URL))


class StatusTests(SynchronousTestCase):
    """Answers that are no success."""

    def said(self, status: int, body: bytes, *, with_token: bool = True) -> str:
        """The sentence for that answer."""
        return of_status(
            status, body, what="list it", rule="RULE", with_token=with_token
        )

    def test_sentences(self) -> None:
        """Each says what was not done, why, and what to do."""
        for status, body, said in (
            (
                403,
                b"Permission denied",
                "Consul refused to list it (Permission denied)",
            ),
            (403, b"Permission denied", "the token needs the rule RULE"),
            (403, b"rpc error: ACL not found", "Consul does not know our token"),
            (401, b"", "Consul refused to list it"),
            (302, b"", "it sends us elsewhere; give the final URL"),
            (429, b"", "it gets too many requests"),
            (400, b"Client sent an HTTP request to an HTTPS server.", "is https://"),
            (500, b"No cluster leader", "did not list it: it answered 500 No cluster"),
            (502, b"<html>...", "it answered 502 a page of HTML"),
            (204, b"", "it answered 204"),
        ):
            self.assertIn(said, self.said(status, body))
        self.assertIn(
            "a token in --consul-token-file needs the rule RULE",
            self.said(403, b"", with_token=False),
        )

    def test_no_json(self) -> None:
        """A page for people is told from other nonsense."""
        for body, html in ((b" <!DOCTYPE html>", False), (b"Hello", True)):
            self.assertIn("a page of HTML", of_no_json(body, URL, html=html))
        self.assertIn("as Consul does: Hello", of_no_json(b"Hello", URL, html=False))
        self.assertIn("as Consul does: nothing", of_no_json(b"", URL, html=False))


class ExcerptTests(SynchronousTestCase):
    """What others say can't harm a log (F58)."""

    def test_bound(self) -> None:
        """Up to the bound all is shown, beyond it the beginning."""
        longest = "a" * EXCERPT_CHARACTERS_MAX
        self.assertEqual(excerpt(longest.encode()), longest)
        cut = excerpt(f"{longest}b".encode())
        self.assertEqual(cut, longest[:-3] + "...")

    @given(st.binary())
    def test_any(self, body: bytes) -> None:
        """Whatever it is, one line of printable characters comes of it (F58)."""
        shown = excerpt(body)
        self.assertTrue(shown.isprintable())
        self.assertLessEqual(len(shown), EXCERPT_CHARACTERS_MAX)
