"""
How hard Hypothesis tries; importing this chooses.

``HYPOTHESIS_PROFILE=nightly`` looks for new counter-examples; where ``CI`` is
set the examples are the same in each run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick",
    max_examples=100,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    # A busy machine is no fault of the code.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly", parent=settings.get_profile("quick"), max_examples=5000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
