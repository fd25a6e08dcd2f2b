# -*- test-case-name: tests.test_exports -*-
"""
Mycorrizal: a cluster inside your Twisted process.

Processes that run a `Mycorrizal` node find each other, keep an encrypted link
to each, send messages and requests, and share a cache.  No other program is
needed.

The parts are named after the fungi that join the roots of a forest: *Nodosum*
is the cluster layer, *Mycel* the distributed cache, *Pulse* the command line.
"""

from __future__ import annotations

from mycorrizal.config import Config
from mycorrizal.errors import (
    ApplicationError,
    AuthenticationError,
    BucketConflict,
    CacheBusy,
    CacheError,
    CacheUnavailable,
    CallError,
    CallTimeout,
    CannotListen,
    CodecError,
    ConfigError,
    Degraded,
    DiscoveryError,
    DuplicateApplication,
    DuplicateNodeId,
    Forked,
    Indeterminate,
    InvalidKey,
    KeyTooLarge,
    LastInService,
    LinkLost,
    LoadFailed,
    LocalProtocolError,
    MessageTooLarge,
    MycorrizalError,
    NotGranted,
    NotReady,
    NotRunning,
    PartialFailure,
    PeerBusy,
    PeerUnreachable,
    ProtocolError,
    RemoteFailure,
    RemoteProtocolError,
    StateError,
    TooManyLoads,
    UnknownApplication,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.http_options import HttpEndpoint
from mycorrizal.mycel import (
    UNCHANGED,
    BucketSettings,
    Cache,
    Cached,
    CachedInAsyncio,
    CacheEntry,
    CacheWatch,
    Codec,
    Copies,
    EventKind,
    JsonCodec,
    MsgpackCodec,
    NearStats,
    ScanPage,
    WatchEvent,
    cached,
)
from mycorrizal.nodosum import (
    Application,
    ConsulSettings,
    IDiscovery,
    MemberDied,
    MemberEvent,
    MemberJoined,
    MemberLeft,
    Node,
    new_secret,
)
from mycorrizal.runtime import Entropy, Runtime
from mycorrizal.service import Mycorrizal
from mycorrizal.version import __version__

__all__ = [
    # From service, config, version
    "Config",
    "HttpEndpoint",
    "Mycorrizal",
    "__version__",
    # From nodosum
    "Application",
    "ConsulSettings",
    "IDiscovery",
    "MemberDied",
    "MemberEvent",
    "MemberJoined",
    "MemberLeft",
    "Node",
    "new_secret",
    # From mycel
    "UNCHANGED",
    "BucketSettings",
    "Cache",
    "CacheEntry",
    "CacheWatch",
    "Cached",
    "CachedInAsyncio",
    "Codec",
    "Copies",
    "EventKind",
    "JsonCodec",
    "MsgpackCodec",
    "NearStats",
    "ScanPage",
    "WatchEvent",
    "cached",
    # From runtime
    "Entropy",
    "Runtime",
    # From errors
    "ApplicationError",
    "AuthenticationError",
    "BucketConflict",
    "CacheBusy",
    "CacheUnavailable",
    "CacheError",
    "CallError",
    "CallTimeout",
    "CannotListen",
    "CodecError",
    "ConfigError",
    "Degraded",
    "DiscoveryError",
    "DuplicateApplication",
    "DuplicateNodeId",
    "Forked",
    "Indeterminate",
    "InvalidKey",
    "KeyTooLarge",
    "LastInService",
    "LinkLost",
    "LoadFailed",
    "LocalProtocolError",
    "MessageTooLarge",
    "MycorrizalError",
    "NotGranted",
    "NotReady",
    "NotRunning",
    "PartialFailure",
    "PeerBusy",
    "PeerUnreachable",
    "ProtocolError",
    "RemoteFailure",
    "RemoteProtocolError",
    "StateError",
    "TooManyLoads",
    "UnknownApplication",
    "UnknownBucket",
    "ValueTooLarge",
]
