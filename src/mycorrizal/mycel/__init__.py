# -*- test-case-name: tests.mycel -*-
"""
Mycel: the distributed cache.

Keys fall into slots; each slot has a *primary* and *replicas* among the
members, together its *owners*.  A write is acknowledged when all live owners
have it.
"""

from __future__ import annotations

from mycorrizal.mycel.cache import Cache, CacheEntry
from mycorrizal.mycel.config import BucketSettings, MycelConfig
from mycorrizal.mycel.service import MycelService

__all__ = [
    # From cache
    "Cache",
    "CacheEntry",
    # From config
    "BucketSettings",
    "MycelConfig",
    # From service
    "MycelService",
]
