# -*- test-case-name: tests.mycel.api -*-
"""
The parts of the cache's public API, by what they are about.

`mycorrizal.mycel.cache.Cache` has them all.
"""
