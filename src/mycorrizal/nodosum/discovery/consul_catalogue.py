# -*- test-case-name: tests.nodosum.discovery.test_consul_catalogue -*-
"""
What Consul says of a service: entries, and the index to wait for more with.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from mycorrizal.nodosum.config import Address

#: Keys in an entry's metadata: which node it is, in which of its lives, and of
#: which cluster.
META_NODE_ID = "mycorrizal-node-id"
META_RUN = "mycorrizal-run"
META_CLUSTER = "mycorrizal-cluster"
META_VERSION = "mycorrizal-version"

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


class _Node(msgspec.Struct, rename="pascal"):
    """The machine of an entry."""

    address: str = ""


class _Service(msgspec.Struct, rename="pascal"):
    """What was registered."""

    id: str = msgspec.field(name="ID")
    port: int = 0
    address: str = ""
    tags: list[str] | None = None
    meta: dict[str, str] | None = None


class Entry(msgspec.Struct, rename="pascal"):
    """One instance of the service, as ``/v1/health/service`` lists it."""

    service: _Service
    node: _Node = msgspec.field(default_factory=_Node)

    @property
    def address(self) -> Address | None:
        """
        Where it is reached: its own address, or else its machine's; None when
        nobody could dial that.
        """
        host = self.service.address or self.node.address
        if not 0 < self.service.port < 65536:
            return None
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            named = _NAME.fullmatch(host) and not re.fullmatch(r"[0-9.]+", host)
            return (host, self.service.port) if named else None
        if literal.is_unspecified or literal.is_multicast:
            return None
        return str(literal), self.service.port

    @property
    def run(self) -> str | None:
        """Which process registered it, if one of ours did."""
        return (self.service.meta or {}).get(META_RUN)

    def belongs(self, cluster_name: str, tags: tuple[str, ...]) -> bool:
        """
        Whether it may be a node of that cluster: it has all the tags, and does
        not say that it is another cluster's.
        """
        cluster = (self.service.meta or {}).get(META_CLUSTER, cluster_name)
        return cluster == cluster_name and set(tags) <= set(self.service.tags or ())


_decoder = msgspec.json.Decoder(list[Entry] | None)


def read_entries(body: bytes) -> list[Entry]:
    """
    :raises ValueError: It is not what Consul would say.
    """
    try:
        return _decoder.decode(body) or []
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def next_index(waited_with: int, answered: int | None) -> int:
    """
    The index of the next query, by HashiCorp's rules for blocking queries.

    :param waited_with: The index of the query that was answered; 0: it did not
        wait.
    :param answered: The index in the answer; None: there was none.
    :return: The index to wait with; 0: begin anew, without waiting.
    """
    if answered is None or answered < waited_with:
        return 0
    # To wait with 0 is not to wait; 1 is always right.
    return max(1, answered)
