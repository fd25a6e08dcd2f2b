# -*- test-case-name: tests.nodosum.discovery -*-
"""
Where to look for other nodes.
"""

from __future__ import annotations

from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.discovery.interfaces import (
    Announcement,
    IAnnouncing,
    IDiscovery,
)
from mycorrizal.nodosum.discovery.static import StaticDiscovery

__all__ = [
    "Announcement",
    "ConsulSettings",
    "IAnnouncing",
    "IDiscovery",
    "StaticDiscovery",
]
