# -*- test-case-name: benchmarks.tests -*-
"""
What is measured: one module for each shape of work, and the rows made of them.
"""
