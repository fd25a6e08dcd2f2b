# -*- test-case-name: tests.nodosum.wire -*-
"""
The wire protocol, sans-IO: bytes to events and back.

Nothing here knows a socket, a clock or Twisted.
"""
