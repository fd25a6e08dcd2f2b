# -*- test-case-name: tests.nodosum.test_grants -*-
"""
What a client may do: grants ``APP:RESOURCE:ACTION``, and who has them.

What is not granted is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.wire.limits import LABELS_MAX, NAME_BYTES_MAX

ANY: Final = "*"
#: Of one client; all are told to it in one frame.
GRANTS_MAX: Final = LABELS_MAX
GRANT_BYTES_MAX: Final = NAME_BYTES_MAX
CLIENT_NAME_BYTES_MAX: Final = 64

#: What there is to grant.  A word that is mistyped would grant nothing, and
#: nobody would know why.
ACTIONS: Final = {
    "CACHE": ("READ", "WRITE", "ADMIN"),
    "CLUSTER": ("READ", "LEAVE", "ADMIN"),
    "MESSAGES": ("SEND",),
}
_CLIENT_NAME = re.compile(rf"[A-Za-z0-9._@-]{{1,{CLIENT_NAME_BYTES_MAX}}}")


@attrs.frozen
class Grant:
    """
    Something that may be done, or, with ``*`` in it, much of a kind.

    :ivar app: ``CACHE``, ``CLUSTER`` or ``MESSAGES``.
    :ivar resource: A bucket, a node, or an application that sends.
    """

    app: str
    resource: str
    action: str

    def __str__(self) -> str:
        return f"{self.app}:{self.resource}:{self.action}"

    def covers(self, wanted: Grant) -> bool:
        """Whether this allows what is wanted; a ``*`` stands for any one part."""
        return (
            self.app in (ANY, wanted.app)
            and self.resource in (ANY, wanted.resource)
            and self.action in (ANY, wanted.action)
        )


#: What whoever has the cluster's secret may do.
EVERYTHING: Final = Grant(ANY, ANY, ANY)


@attrs.frozen
class Principal:
    """
    Who asks, as the key tells that was proved.

    :ivar name: The client's; empty: it has the cluster's secret.
    :ivar fingerprint: Eight digits of the key.
    """

    name: str
    fingerprint: str
    grants: tuple[Grant, ...]

    def __str__(self) -> str:
        who = f"client {self.name}" if self.name else "pulse"
        return f"{who} (key {self.fingerprint})"

    def may(self, wanted: Grant) -> bool:
        """Whether it has a grant for that."""
        return any(grant.covers(wanted) for grant in self.grants)


def parse_grant(text: str, field: str) -> Grant:
    """
    Read ``APP:RESOURCE:ACTION``; a resource may have colons in it.

    :raises ConfigError: It is none, or would never allow anything.
    """
    app, colon, rest = text.partition(":")
    resource, other, action = rest.rpartition(":")
    if not (colon and other and app and resource and action):
        raise ConfigError(
            field,
            f"{text!r} is no grant; give APP:RESOURCE:ACTION, as in "
            "CACHE:sessions:READ, with * for any",
        )
    if not text.isprintable() or len(text.encode()) > GRANT_BYTES_MAX:
        raise ConfigError(
            field, f"a grant has at most {GRANT_BYTES_MAX} printable bytes: {text!r}"
        )
    if app != ANY and app not in ACTIONS:
        raise ConfigError(
            field, f"{text!r} begins with none of *, {', '.join(ACTIONS)}"
        )
    known = ACTIONS.get(app) or tuple(one for all_ in ACTIONS.values() for one in all_)
    if action not in (ANY, *known):
        raise ConfigError(field, f"{text!r} ends with none of *, {', '.join(known)}")
    if ANY in resource and resource != ANY:
        raise ConfigError(
            field, f"{text!r}: a * stands for a whole part, not for a piece of one"
        )
    return Grant(app, resource, action)


def parse_grants(texts: Iterable[str], field: str) -> tuple[Grant, ...]:
    """
    :raises ConfigError: One is wrong, or there are too many.
    """
    grants = tuple(parse_grant(text, field) for text in texts)
    if len(grants) > GRANTS_MAX:
        raise ConfigError(
            field, f"at most {GRANTS_MAX} grants for a client, not {len(grants)}"
        )
    return grants


def check_client_name(name: str, field: str) -> str:
    """
    :raises ConfigError: It is not a name that fits a log line.
    """
    if not _CLIENT_NAME.fullmatch(name):
        raise ConfigError(
            field,
            f"{name!r} is no client's name; use 1 to {CLIENT_NAME_BYTES_MAX} letters, "
            "digits and . _ @ -",
        )
    return name
