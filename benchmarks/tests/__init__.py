# -*- test-case-name: benchmarks.tests -*-
"""
Tests of the harness itself: ``python -m twisted.trial benchmarks.tests``.

None of them asserts a timing.
"""
