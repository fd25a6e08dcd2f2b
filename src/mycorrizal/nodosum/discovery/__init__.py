# -*- test-case-name: tests.nodosum.discovery -*-
"""
Where to look for other nodes.
"""

from __future__ import annotations

from mycorrizal.nodosum.config import NodosumConfig
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.discovery.dns_name import DnsName
from mycorrizal.nodosum.discovery.dns_sd import DnsSdDiscovery
from mycorrizal.nodosum.discovery.interfaces import (
    Announcement,
    IAnnouncing,
    IDiscovery,
    IPartial,
)
from mycorrizal.nodosum.discovery.static import StaticDiscovery
from mycorrizal.runtime import Runtime


def discoveries_of(runtime: Runtime, config: NodosumConfig) -> list[IDiscovery]:
    """
    The ways of discovery that the settings name; none for who runs alone.

    :raises ConfigError: One can't use what its settings name.
    """
    found: list[IDiscovery] = []
    if config.single:
        return found
    if config.static:
        found.append(StaticDiscovery(runtime, config.static))
    for name in config.dns_sd:
        found.append(
            DnsSdDiscovery(
                runtime, name, config.dns_servers, cluster_name=config.cluster_name
            )
        )
    if config.consul is not None:
        # It takes 0.3 s to import what it needs.
        from mycorrizal.nodosum.discovery.consul import ConsulDiscovery

        found.append(ConsulDiscovery(runtime, config.consul, config.cluster_name))
    return found


__all__ = [
    "Announcement",
    "ConsulSettings",
    "DnsName",
    "DnsSdDiscovery",
    "IAnnouncing",
    "IDiscovery",
    "IPartial",
    "StaticDiscovery",
    "discoveries_of",
]
