# -*- test-case-name: tests.nodosum.discovery -*-
"""
Where to look for other nodes.
"""

from __future__ import annotations

from mycorrizal.nodosum.config import NodosumConfig
from mycorrizal.nodosum.discovery.dns_name import DnsName
from mycorrizal.nodosum.discovery.dns_sd import DnsSdDiscovery
from mycorrizal.nodosum.discovery.interfaces import IDiscovery
from mycorrizal.nodosum.discovery.static import StaticDiscovery
from mycorrizal.runtime import Runtime


def discoveries_of(runtime: Runtime, config: NodosumConfig) -> list[IDiscovery]:
    """The ways of discovery that the settings name."""
    found: list[IDiscovery] = []
    if config.static:
        found.append(StaticDiscovery(runtime, config.static))
    for name in config.dns_sd:
        found.append(
            DnsSdDiscovery(
                runtime, name, config.dns_servers, cluster_name=config.cluster_name
            )
        )
    return found


__all__ = [
    "DnsName",
    "DnsSdDiscovery",
    "IDiscovery",
    "StaticDiscovery",
    "discoveries_of",
]
