# -*- test-case-name: tests.mycel.near -*-
"""
Copies of what other nodes are primary of, near to those who read them.

A primary tells those who keep such copies of each key that has changed, with a
sequence number; and each of them asks it every second whether it has heard all.
What it was not told in order, or could not ask, it trusts no more.
"""
