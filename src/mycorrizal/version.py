# -*- test-case-name: tests.test_version -*-
"""
The version, said once; ``setup.cfg`` says it for the package index.
"""

__version__ = "0.1.0"
