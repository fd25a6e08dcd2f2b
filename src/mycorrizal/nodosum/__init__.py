# -*- test-case-name: tests.nodosum -*-
"""
Nodosum: the cluster layer.  It finds other nodes, keeps one authenticated
link to each, knows who is a member, and carries messages between the
applications on them.

The names of the field: a *peer* is another node; a *link* is the one
connection that carries its frames; *membership* is who is in, as this node
sees it; a *contact* is an address that discovery named.
"""

from __future__ import annotations

from mycorrizal.nodosum.acl import (
    ClientKey,
    Key,
    KeyRing,
    derive_key,
    is_raw,
    new_secret,
    node_key_of,
    secrets_in,
)
from mycorrizal.nodosum.applications import Application, Applications
from mycorrizal.nodosum.calls import ANSWERED, LINK_LOST, TIMED_OUT
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.client_keys import client_keys_in
from mycorrizal.nodosum.config import (
    Address,
    NodosumConfig,
    format_address,
    is_nowhere,
)
from mycorrizal.nodosum.discovery import (
    Announcement,
    ConsulSettings,
    DnsName,
    IAnnouncing,
    IDiscovery,
    discoveries_of,
)
from mycorrizal.nodosum.grants import (
    Grant,
    Principal,
    check_client_name,
    parse_grants,
)
from mycorrizal.nodosum.link import Link, Route
from mycorrizal.nodosum.peer import (
    MemberDied,
    MemberEvent,
    MemberJoined,
    MemberLeft,
    Node,
    Peer,
    PeerState,
)
from mycorrizal.nodosum.pki import PkiSettings, PkiTls, tls_of
from mycorrizal.nodosum.readiness import Readiness
from mycorrizal.nodosum.service import NodosumService
from mycorrizal.nodosum.tls import AutoTls
from mycorrizal.nodosum.traffic import Traffic
from mycorrizal.nodosum.wire.limits import DEFAULT_PORT, ErrorCode
from mycorrizal.nodosum.wire.signals import printable

__all__ = [
    # From acl, client_keys, grants
    "ClientKey",
    "Grant",
    "Key",
    "KeyRing",
    "Principal",
    "check_client_name",
    "client_keys_in",
    "derive_key",
    "is_raw",
    "new_secret",
    "node_key_of",
    "parse_grants",
    "secrets_in",
    # From applications, channel, calls
    "ANSWERED",
    "LINK_LOST",
    "TIMED_OUT",
    "Application",
    "Applications",
    "Channel",
    # From config
    "Address",
    "NodosumConfig",
    "format_address",
    "is_nowhere",
    # From discovery
    "Announcement",
    "ConsulSettings",
    "DnsName",
    "IAnnouncing",
    "IDiscovery",
    "discoveries_of",
    # From link
    "Link",
    "Route",
    # From peer
    "MemberDied",
    "MemberEvent",
    "MemberJoined",
    "MemberLeft",
    "Node",
    "Peer",
    "PeerState",
    # From pki
    "PkiSettings",
    "PkiTls",
    "tls_of",
    # From readiness, service, tls
    "AutoTls",
    "NodosumService",
    "Readiness",
    "Traffic",
    # From wire.limits, wire.signals
    "DEFAULT_PORT",
    "ErrorCode",
    "printable",
]
