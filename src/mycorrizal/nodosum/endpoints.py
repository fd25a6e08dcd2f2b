# -*- test-case-name: tests.nodosum.test_endpoints -*-
"""
How an address is dialled: a literal at once, a name when it was looked up.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from mycorrizal.nodosum.config import Address


def client_endpoint(
    reactor: Any, address: Address, timeout_s: float
) -> IStreamClientEndpoint:
    """
    The endpoint that dials an address.

    :param timeout_s: How long one attempt may take, in seconds.
    """
    host, port = address
    kind: Any = HostnameEndpoint
    if isIPAddress(host):
        kind = TCP4ClientEndpoint
    elif isIPv6Address(host):
        kind = TCP6ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(reactor, host, port, timeout=timeout_s)
    return endpoint
