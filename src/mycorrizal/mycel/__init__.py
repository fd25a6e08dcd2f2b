# -*- test-case-name: tests.mycel -*-
"""
Mycel: the distributed cache.

Keys fall into slots; each slot has a *primary* and *replicas* among the
members, together its *owners*.  A write is acknowledged when all live owners
have it.
"""

from __future__ import annotations

from mycorrizal.mycel.api.buckets import UNCHANGED
from mycorrizal.mycel.api.outcomes import Copies
from mycorrizal.mycel.api.scanning import ScanPage
from mycorrizal.mycel.api.watching import CacheWatch, WatchEvent
from mycorrizal.mycel.cache import Cache, CacheEntry
from mycorrizal.mycel.cached import Cached, CachedInAsyncio, cached
from mycorrizal.mycel.codecs import Codec, JsonCodec, MsgpackCodec
from mycorrizal.mycel.config import BucketSettings, MycelConfig
from mycorrizal.mycel.near.copies import NearStats
from mycorrizal.mycel.service import MycelService
from mycorrizal.mycel.watch_messages import EventKind

__all__ = [
    # From api
    "UNCHANGED",
    "CacheWatch",
    "Copies",
    "EventKind",
    "ScanPage",
    "WatchEvent",
    # From cache
    "Cache",
    "CacheEntry",
    # From cached
    "Cached",
    "CachedInAsyncio",
    "cached",
    # From codecs
    "Codec",
    "JsonCodec",
    "MsgpackCodec",
    # From config
    "BucketSettings",
    "MycelConfig",
    # From near
    "NearStats",
    # From service
    "MycelService",
]
