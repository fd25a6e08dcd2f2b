# -*- test-case-name: tests.pulse.test_doctor_command -*-
"""
What a doctor finds.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Finding:
    """
    One thing that is wrong.

    :ivar node_id: Where it was seen; empty: it concerns all.
    """

    node_id: str
    what: str
    fix: str
