"""
What a shell is given to complete commands.
"""

from __future__ import annotations

import json

from click.testing import CliRunner

from mycorrizal.pulse.cli import pulse
from mycorrizal.pulse.completion_command import SHELLS
from tests.pulse.worlds import PulseTestCase


class CompletionTests(PulseTestCase):
    """Shells without a node."""

    def test_scripts(self) -> None:
        """Each shell gets a script of its own."""
        self.environment.clear()
        scripts = [self.out_of("completion", shell) for shell in SHELLS]
        self.assertEqual(len(set(scripts)), len(SHELLS))
        for script in scripts:
            self.assertIn("_PULSE_COMPLETE", script)
        found = json.loads(self.out_of("completion", "zsh", "--json"))
        self.assertEqual(found["shell"], "zsh")

    def test_words(self) -> None:
        """The script asks pulse, which knows its commands."""
        result = CliRunner().invoke(
            pulse,
            prog_name="pulse",
            complete_var="_PULSE_COMPLETE",
            env={
                "_PULSE_COMPLETE": "bash_complete",
                "COMP_WORDS": "pulse ev",
                "COMP_CWORD": "1",
            },
        )
        self.assertEqual(result.stdout, "plain,events\n")

    def test_another_shell(self) -> None:
        """Other shells are not known."""
        self.assertIn("'bash', 'zsh', 'fish'", self.error_of(2, "completion", "sh"))
