"""
What the README and the pages say is so.
"""

from __future__ import annotations

import inspect
import re
import runpy
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
from twisted.python.reflect import prefixedMethodNames
from twisted.trial import reporter
from twisted.trial.unittest import SynchronousTestCase

import mycorrizal
from mycorrizal.config import FIELDS, Config
from mycorrizal.nodosum.wire import limits
from mycorrizal.pulse import messages, session
from mycorrizal.pulse.cli import pulse
from mycorrizal.tap import Options
from tests.pages import ROOT, page_program, readme_programs

DOCS = ROOT / "docs"
ADR_LINES_MAX = 60
EXAMPLE_LINES_MAX = 120
ADR_SECTIONS = ["Status", "Context", "Decision", "Consequences", "Rejected"]


def setting_rows() -> dict[str, tuple[str, str]]:
    """Option and default of each setting that the page of settings lists."""
    text = (DOCS / "reference/options.rst").read_text()
    rows = re.findall(
        r"^   \* - ``(\w+)``\n     -(?: ``(--[\w-]+)``)?\n     - ``(.*)``$",
        text,
        re.MULTILINE,
    )
    return {setting: (option, default) for setting, option, default in rows}


def run_tests(program: str) -> reporter.TestResult:
    """Run the test cases in a program."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        names = runpy.run_path(file.name, run_name="program")
    suite = unittest.TestSuite()
    for kind in names.values():
        own = inspect.isclass(kind) and kind.__module__ == "program"
        if own and issubclass(kind, SynchronousTestCase):
            suite.addTests(kind(name) for name in vars(kind) if "test_" in name)
    result = reporter.TestResult()
    suite.run(result)
    return result


class SettingsPageTests(SynchronousTestCase):
    """The page of settings and the code agree."""

    def test_every_setting_is_listed(self) -> None:
        """The page has each setting of `Config`, in order, and no other."""
        self.assertEqual(tuple(setting_rows()), FIELDS)

    def test_defaults(self) -> None:
        """The page has the default of each setting."""
        parameters = inspect.signature(Config.__init__).parameters
        for setting, (_, default) in setting_rows().items():
            actual = parameters[setting].default
            shown = f'"{actual}"' if isinstance(actual, str) else repr(actual)
            self.assertEqual(default, shown, setting)

    def test_every_option_is_listed(self) -> None:
        """The page has each option of ``twist mycorrizal``, and no other."""
        options = {
            "--" + name.replace("_", "-")
            for name in prefixedMethodNames(Options, "opt_")
        }
        text = (DOCS / "reference/options.rst").read_text()
        self.assertEqual(set(re.findall(r"--[a-z][a-z-]+", text)), options)

    def test_options_belong_to_their_settings(self) -> None:
        """An option bears the name of its setting, less a plural or unit."""
        for setting, (option, _) in setting_rows().items():
            name = option.removeprefix("--").replace("-", "_")
            shorter = (setting, setting.removesuffix("s"), setting.removesuffix("_s"))
            self.assertIn(name, ("", *shorter, f"{setting}_label"))


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command line's commands that do something, each with its path."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(f"{path} {name}", inner)
    else:
        yield path, command


def options_of(command: click.Command) -> set[str]:
    """The long options of a command that its help shows."""
    return {
        name
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for name in option.opts
    }


class PulsePageTests(SynchronousTestCase):
    """The page of ``pulse`` and its command line agree."""

    def setUp(self) -> None:
        self.text = (DOCS / "reference/pulse.rst").read_text()
        parts = re.split(r"(?m)^(.+)\n-{3,}$", self.text)
        self.sections = dict(zip(parts[1::2], parts[2::2], strict=True))

    def test_every_command_has_a_section(self) -> None:
        """Each command has a section with its arguments, and no other has."""
        expected = []
        for path, command in commands("pulse", pulse):
            names = [
                argument.make_metavar(click.Context(command))
                for argument in command.params
                if isinstance(argument, click.Argument)
            ]
            expected.append(" ".join([path, *names]))
        shown = [title for title in self.sections if title.startswith("pulse ")]
        self.assertEqual(sorted(shown), sorted(expected))

    def test_every_option_is_in_its_section(self) -> None:
        """A command's section has each of its own options, and no other."""
        common = options_of(pulse)
        for path, command in commands("pulse", pulse):
            (section,) = (
                text
                for title, text in self.sections.items()
                if f"{title} ".startswith(f"{path} ")
            )
            listed = set(re.findall(r"(?m)^``(--[a-z-]+)", section))
            self.assertEqual(listed, options_of(command) - common, path)

    def test_every_common_option_is_listed(self) -> None:
        """The table of options has those of all commands, and no other."""
        listed = set(re.findall(r"(?m)^``(--[a-z-]+)``", self.sections["Options"]))
        self.assertEqual(listed, options_of(pulse) | {"--help"})

    def test_every_exit_code_is_listed(self) -> None:
        """The page has each exit code."""
        listed = set(map(int, re.findall(r"(?m)^(\d+)  ", self.text)))
        codes = {code for name, code in vars(session).items() if "EXIT_" in name}
        self.assertEqual(listed, {0, *codes})

    def test_every_field_is_shown(self) -> None:
        """The page shows each field of JSON that a node may answer with."""
        for kind in (
            messages.Status,
            messages.NodeStatus,
            messages.MemberStatus,
            messages.BucketStatus,
            messages.RoundTrip,
            messages.Value,
            messages.Ok,
        ):
            for field in kind.__struct_fields__:
                self.assertIn(f'"{field}": ', self.text, kind.__name__)


class ReferenceTests(SynchronousTestCase):
    """Nothing public is left out of the reference."""

    def test_every_name_has_an_entry(self) -> None:
        """Each name of the front door is on the page of the interface."""
        text = (DOCS / "reference/api.rst").read_text()
        errors = "mycorrizal.errors"
        for name in mycorrizal.__all__:
            if getattr(getattr(mycorrizal, name), "__module__", "") != errors:
                self.assertRegex(text, rf"(?m)^\.\. (auto|py:)\w+:: {name}$")

    def test_every_number_is_explained(self) -> None:
        """The protocol's page speaks of each code that a peer can send."""
        text = (DOCS / "reference/protocol.rst").read_text()
        for enumeration in (limits.RejectCode, limits.ErrorCode):
            for member in enumeration:
                self.assertIn(f"``{member.name}``", text)


class PageTests(SynchronousTestCase):
    """The pages are in good shape."""

    def test_decisions(self) -> None:
        """Each decision has a number, is short, and says what was rejected."""
        pages = sorted((DOCS / "adr").glob("0*.rst"))
        numbers = [int(page.name[:4]) for page in pages]
        self.assertEqual(numbers, list(range(1, len(pages) + 1)))
        for page in pages:
            lines = page.read_text().splitlines()
            self.assertLessEqual(len(lines), ADR_LINES_MAX, page.name)
            self.assertTrue(lines[0].startswith(f"{page.name[:4]}: "), page.name)
            heads = [
                line
                for line, below in pairwise(lines)
                if below == "-" * len(line) and line
            ]
            self.assertEqual(heads, ADR_SECTIONS, page.name)

    def test_examples_are_short(self) -> None:
        """An example can be read at one sitting."""
        for example in (ROOT / "examples").glob("*.py"):
            lines = example.read_text().splitlines()
            self.assertLessEqual(len(lines), EXAMPLE_LINES_MAX, example.name)

    def test_readme_links(self) -> None:
        """Whatever the README links to is there."""
        links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
        self.assertTrue(links)
        for link in links:
            self.assertTrue((ROOT / link).exists(), link)


class TestExampleTests(SynchronousTestCase):
    """The tests that we show pass."""

    def check(self, program: str, count: int) -> None:
        """A program has so many tests, and all of them pass."""
        result = run_tests(program)
        problems = [str(why) for _, why in [*result.errors, *result.failures]]
        self.assertEqual(problems, [])
        self.assertEqual(result.successes, count)

    def test_readme(self) -> None:
        """The README's test passes as it stands."""
        self.check(readme_programs()[2], 1)

    def test_tutorial(self) -> None:
        """The tutorial's tests pass as they stand."""
        program = page_program("tutorial/first-cluster.rst", "test_hello.py")
        self.check(program, 2)

    def test_how_to(self) -> None:
        """The tests of the how-to for trial pass as they stand."""
        for name, count in (
            ("test_sessions.py", 1),
            ("test_messages.py", 1),
            ("test_faults.py", 5),
            ("test_own_code.py", 2),
        ):
            self.check(page_program("howto/test-your-cluster.rst", name), count)

    def test_how_to_load(self) -> None:
        """The tests of the how-to for loading pass as they stand."""
        self.check(page_program("howto/load.rst", "test_loads.py"), 3)

    def test_how_to_with_pytest(self) -> None:
        """The how-to's test for pytest passes in a folder of its own."""
        program = page_program("howto/test-your-cluster.rst", "test_failover.py")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "test_failover.py").write_text(program)
            ended = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        self.assertIn("1 passed", ended.stdout)
        self.assertEqual(ended.returncode, 0)
