# -*- test-case-name: tests.mycel.slots -*-
"""
Who owns what: keys fall into slots, and members share out the slots.
"""
