# -*- test-case-name: tests.mycel -*-
"""
Mycel: the distributed cache.

Keys fall into slots; each slot has a *primary* and *replicas* among the
members, together its *owners*.  A write is acknowledged when all live owners
have it.
"""

from __future__ import annotations

from mycorrizal.mycel.cache import Cache, CacheEntry
from mycorrizal.mycel.cached import Cached, CachedInAsyncio, MsgpackCodec, cached
from mycorrizal.mycel.config import BucketSettings, MycelConfig
from mycorrizal.mycel.near.copies import NearStats
from mycorrizal.mycel.service import MycelService

__all__ = [
    # From cache
    "Cache",
    "CacheEntry",
    # From cached
    "Cached",
    "CachedInAsyncio",
    "MsgpackCodec",
    "cached",
    # From config
    "BucketSettings",
    "MycelConfig",
    # From near
    "NearStats",
    # From service
    "MycelService",
]
