# -*- test-case-name: tests.pulse.test_server -*-
"""
What a node answers when Pulse asks about the cache.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from mycorrizal.errors import ConfigError
from mycorrizal.mycel import Cache, ScanPage
from mycorrizal.pulse.messages import (
    AskAlter,
    AskClear,
    AskCreate,
    AskDelete,
    AskDrop,
    AskGet,
    AskPut,
    AskScan,
    AskTtl,
    Keys,
    Ok,
    Value,
)

AboutCache = (
    AskCreate
    | AskAlter
    | AskClear
    | AskDrop
    | AskScan
    | AskPut
    | AskGet
    | AskDelete
    | AskTtl
)

#: Settings of a bucket that may be changed.
ALTERABLE: Final = ("ttl_s", "max_entries", "max_bytes", "replicas", "write")


def answer_about_cache(cache: Cache, question: AboutCache) -> Deferred[Any]:
    """
    The answer to a question about the cache.

    :raises ConfigError: It can't be asked so.
    """
    done: Deferred[Any]
    match question:
        case AskCreate(bucket):
            settings: dict[str, Any] = {
                name: getattr(question, name) for name in ALTERABLE
            }
            return cache.create_bucket(bucket, **settings).addCallback(lambda _: Ok())
        case AskAlter(bucket, changes):
            for name in changes:
                if name not in ALTERABLE:
                    raise ConfigError(name, "is no setting that can be changed")
            settings = dict(changes)
            return cache.alter_bucket(bucket, **settings).addCallback(lambda _: Ok())
        case AskClear(bucket):
            return cache.clear(bucket).addCallback(lambda _: Ok())
        case AskDrop(bucket):
            return cache.drop_bucket(bucket).addCallback(lambda _: Ok())
        case AskScan(bucket, prefix, cursor, limit):
            return cache.scan(bucket, prefix, cursor, limit).addCallback(_keys)
        case AskPut(bucket, key, value, ttl_s, only):
            # As they are: a program's codecs are not Pulse's.
            if only == "add":
                done = cache.add(bucket, key, value, ttl_s, raw=True)
                return done.addCallback(lambda added: Ok(existed=not added))
            if only == "replace":
                done = cache.replace(bucket, key, value, ttl_s, raw=True)
                return done.addCallback(lambda replaced: Ok(existed=replaced))
            done = cache.put(bucket, key, value, ttl_s, raw=True)
            return done.addCallback(lambda copies: Ok(copies=int(copies)))
        case AskGet(bucket, key):
            found = cache.entry(bucket, key, raw=True)
            return found.addCallback(
                lambda e: Value(e.value, e.remaining_s) if e else Value(None)
            )
        case AskDelete(bucket, key):
            return cache.delete(bucket, key).addCallback(Ok)
        case AskTtl(bucket, key, ttl_s):
            return cache.put_ttl(bucket, key, ttl_s).addCallback(Ok)


def _keys(page: ScanPage) -> Keys:
    return Keys(list(page.keys), page.cursor)
