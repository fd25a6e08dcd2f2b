# -*- test-case-name: tests.nodosum.discovery.test_consul_sentences -*-
"""
What went wrong with Consul, in sentences that say what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from mycorrizal.errors import ConfigError

#: How much of another program's words is shown.
EXCERPT_CHARACTERS_MAX = 200

#: Which carry the reasons with them.
_OF_REASONS = (RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived)

#: What OpenSSL says, and what that means; the first that fits is told.
_TLS_PROBLEMS = {
    "certificate verify failed": (
        "its certificate has expired, or is not signed by an authority in "
        "--consul-ca (CONSUL_CACERT; without one, those that the system trusts)"
    ),
    "certificate required|handshake failure|bad certificate": (
        "it wants a certificate of ours: give --consul-cert and --consul-key"
    ),
    "unknown ca": (
        "it does not know the authority of our certificate: give another --consul-cert"
    ),
    "certificate (expired|revoked|unknown)": (
        "it refuses our certificate, which has expired, was revoked, or is not for "
        "clients: give another --consul-cert"
    ),
    "wrong version number|http request|packet length too long|record layer failure": (
        "it does not speak TLS there: is it http://, or another port?"
    ),
}


def excerpt(body: bytes) -> str:
    """
    The beginning of what another program said, on one line and safe to print.
    """
    text = body[: 4 * EXCERPT_CHARACTERS_MAX].decode("utf-8", "replace")
    text = " ".join(text.split())
    text = "".join(one if one.isprintable() else "?" for one in text)
    if len(text) > EXCERPT_CHARACTERS_MAX:
        text = text[: EXCERPT_CHARACTERS_MAX - 3] + "..."
    return text


def is_html(body: bytes) -> bool:
    """Whether this is a page for people."""
    return body.lstrip()[:1] == b"<"


def of_failure(failure: Failure, url: str) -> str:
    """
    Why a request to the agent at `url` came to nothing.
    """
    reasons = list(reasons_of(failure))
    known = next(filter(None, map(_known, reasons)), None)
    if known is None:
        last = reasons[-1]
        known = excerpt(str(last).encode()) or type(last).__name__
    return f"no Consul agent can be used at {url}: {known}"


def reasons_of(failure: Failure) -> Iterator[BaseException]:
    """What a failed request failed with, the innermost first."""
    value: Any = failure.value
    if isinstance(value, _OF_REASONS):
        for reason in value.reasons:
            yield from reasons_of(reason)
    yield value


def _known(reason: BaseException) -> str | None:
    match reason:
        case VerificationError():
            return (
                "its certificate is for another name; put a name that it has in "
                "--consul, or in CONSUL_TLS_SERVER_NAME"
            )
        case SSL.Error():
            return _tls_problem(reason)
        case ConfigError():
            return str(reason)
        case error.ConnectionRefusedError():
            return "connection refused; does it run there?"
        case error.DNSLookupError():
            return "its name has no address"
        case error.TimeoutError() | error.TCPTimedOutError():
            return "it does not answer"
        case error.NoRouteError() | error.ConnectError():
            return excerpt(str(reason).encode())
        case error.ConnectionDone() | error.ConnectionLost():
            return "it closed the connection before it had answered"
        case _:
            return None


def _tls_problem(reason: SSL.Error) -> str:
    entries = reason.args[0] if reason.args and isinstance(reason.args[0], list) else []
    said = " ".join(str(entry[-1]) for entry in entries if entry) or str(reason)
    for words, problem in _TLS_PROBLEMS.items():
        if re.search(words, said):
            return problem
    return f"TLS failed ({excerpt(said.encode())})"


def of_status(
    status: int, body: bytes, *, what: str, rule: str, with_token: bool
) -> str:
    """
    Why an agent did not do what it was asked for.

    :param what: What that was, as in ``list the service``.
    :param rule: The ACL rule that it takes.
    :param with_token: Whether a token was sent.
    """
    said = "a page of HTML" if is_html(body) else excerpt(body)
    if status in (401, 403):
        if "ACL not found" in said:
            return (
                f"Consul does not know our token, and so did not {what}; give the "
                "right --consul-token-file (CONSUL_HTTP_TOKEN)"
            )
        token = "the token" if with_token else "a token in --consul-token-file"
        return f"Consul refused to {what} ({said}); {token} needs the rule {rule}"
    if 300 <= status < 400:
        return f"Consul did not {what}: it sends us elsewhere; give the final URL"
    if status == 400 and "HTTP request to an HTTPS server" in said:
        return f"Consul did not {what}: its port speaks TLS, so --consul is https://"
    if status == 429:
        return f"Consul did not {what}: it gets too many requests"
    return f"Consul did not {what}: it answered {status} {said}".rstrip()


def of_no_json(body: bytes, url: str, *, html: bool) -> str:
    """
    What is wrong with an answer that is not what Consul would say.
    """
    if html or is_html(body):
        return (
            f"{url} answered with a page of HTML, not as Consul does; is --consul an "
            "agent's address, and not a proxy's or login page's?"
        )
    return f"{url} did not answer as Consul does: {excerpt(body) or 'nothing'}"
