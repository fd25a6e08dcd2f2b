# -*- test-case-name: tests.mycel.operations -*-
"""
What happens to an operation: it is routed to its slot's primary, which reads,
or writes to all owners.
"""
