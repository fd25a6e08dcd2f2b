# -*- test-case-name: benchmarks.tests -*-
"""
The others: each module is one product, used as its own documentation recommends.
"""
