# -*- test-case-name: tests.pulse.web -*-
"""
What a node shows by HTTP: a status page, metrics for Prometheus, and health.

Start at `service`.  A `report` says how one node is; a `survey` has those of
all nodes; a `board` makes of them what the page shows.
"""
