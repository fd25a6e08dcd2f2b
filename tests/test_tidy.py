"""
The laws of the source tree hold, and each of them can be broken.
"""

from __future__ import annotations

import textwrap

from twisted.trial.unittest import SynchronousTestCase

from tests import tidy_rules as rules
from tests.tidy_rules import ROOT, RULES, SRC, Module, Rule


def source_modules() -> list[Module]:
    """Each module below src/."""
    return [
        Module.parse(path.relative_to(SRC).as_posix(), path.read_text())
        for path in sorted(SRC.rglob("*.py"))
    ]


def complaints(rule: Rule, path: str, text: str) -> list[int]:
    """The lines of a module of this text that a rule complains about."""
    module = Module.parse(f"mycorrizal/{path}", textwrap.dedent(text))
    return [line for line, _ in rule(module)]


class TreeTests(SynchronousTestCase):
    """The tree as it is."""

    def test_source_is_tidy(self) -> None:
        """No module breaks a law; the message says where, and what to do."""
        problems = [
            f"src/{module.path}:{line}: {rule.__name__}: {problem}"
            for module in source_modules()
            for rule in RULES
            for line, problem in rule(module)
        ]
        if problems:
            self.fail("\n".join([f"{len(problems)} problems", *problems]))

    def test_trial_finds_every_test(self) -> None:
        """Each folder of tests is a package: trial passes others by in silence."""
        for path in (ROOT / "tests").rglob("test_*.py"):
            folder = path.parent
            self.assertTrue(
                (folder / "__init__.py").is_file(), f"add {folder}/__init__.py"
            )

    def test_twisted_is_not_shadowed(self) -> None:
        """Our folder for the plugin never becomes a package that hides Twisted's."""
        found = [path.name for path in (SRC / "twisted").rglob("*.py")]
        self.assertEqual(found, ["mycorrizal_plugin.py"])


class RuleTests(SynchronousTestCase):
    """Each rule sees the fault it is for, and lets its neighbour pass."""

    def check(self, rule: Rule, path: str, bad: str, good: str) -> None:
        """The rule complains about the last line of `bad`, and not about `good`."""
        last = len(textwrap.dedent(bad).strip("\n").splitlines())
        self.assertEqual(complaints(rule, path, bad.lstrip("\n")), [last], bad)
        self.assertEqual(complaints(rule, path, good), [], good)

    def test_upward_import(self) -> None:
        """Nodosum can't import Mycel, by whatever form of import."""
        rule, good = rules.imports_go_down, "from mycorrizal.errors import NotRunning"
        for bad in (
            "import mycorrizal.mycel",
            "from mycorrizal import mycel",
            "from ..mycel.cache import Cache",
            "from mycorrizal.testing import Cluster",
            "def f() -> None:\n    from mycorrizal import Config",
        ):
            self.check(rule, "nodosum/mesh.py", bad, good)

    def test_houses_do_not_import_each_other(self) -> None:
        """The cache and the events are composed above them."""
        self.check(
            rules.imports_go_down,
            "mycel/cache.py",
            "from mycorrizal.hypha import Call",
            "from mycorrizal.mycel.store import Store",
        )

    def test_nodosum_is_entered_by_its_front(self) -> None:
        """The houses above take from Nodosum only what it offers."""
        good = "from mycorrizal.nodosum import Application"
        for bad in (
            "from mycorrizal.nodosum.wire.frame import Frame",
            "from mycorrizal.nodosum import wire",
            "import mycorrizal.nodosum.mesh.x",
        ):
            self.check(rules.imports_go_down, "mycel/service.py", bad, good)

    def test_nothing_imports_testing(self) -> None:
        """The simulated world stays out of real nodes."""
        self.check(
            rules.imports_go_down,
            "service.py",
            "from mycorrizal.testing.world import World",
            "from mycorrizal.mycel import MycelService",
        )

    def test_pure_module(self) -> None:
        """A pure module imports nothing of Twisted, not even Deferred."""
        good = "import attrs, msgspec, bisect\nfrom mycorrizal import errors"
        for bad in (
            "from twisted.internet.defer import Deferred",
            "import cryptography",
            "from mycorrizal.runtime import Runtime",
        ):
            self.check(rules.imports_fit_kind, "mycel/store/lru.py", bad, good)

    def test_api_module(self) -> None:
        """An api module makes Deferreds, and has no timers or sockets of Twisted."""
        self.check(
            rules.imports_fit_kind,
            "mycel/cache.py",
            "from twisted.internet import task",
            "from twisted.internet.defer import Deferred\n"
            "from mycorrizal.runtime import Runtime",
        )

    def test_shell_module(self) -> None:
        """A shell imports what it likes."""
        bad = "from twisted.internet.protocol import Protocol"
        rule = rules.imports_fit_kind
        self.assertEqual(complaints(rule, "nodosum/protocol.py", bad), [])
        self.assertEqual(complaints(rule, "pulse/web/page.py", bad), [])
        self.assertEqual(complaints(rule, "nodosum/membership.py", bad), [1])

    def test_world(self) -> None:
        """Only the Runtime reads clocks, draws random numbers, opens sockets."""
        rule = rules.world_only_through_runtime
        for bad in (
            "import time",
            "from random import random",
            "import socket as s",
            "from uuid import uuid4",
            "import secrets",
            "from threading import Thread",
            "from os import urandom",
            "import os\nos.urandom(8)",
        ):
            self.check(rule, "nodosum/mesh.py", bad, "import os\nos.getpid()")
            self.assertEqual(complaints(rule, "runtime.py", bad), [])

    def test_simulation_draws_from_a_seed(self) -> None:
        """The simulated world may make Random objects, and no other chance."""
        rule = rules.world_only_through_runtime
        good = "import random\nrandom.Random(5)\nfrom random import Random"
        for bad in ("import random\nrandom.random()", "import time"):
            self.check(rule, "testing/world.py", bad, good)

    def test_reactor(self) -> None:
        """The global reactor is for the entry of a program."""
        inside = "def main() -> None:\n    from twisted.internet import reactor"
        outside = "from twisted.internet import reactor"
        rule = rules.no_global_reactor
        self.check(rule, "tap.py", outside, inside)
        self.check(rule, "pulse/cli.py", "import twisted.internet.reactor", inside)
        self.check(rule, "service.py", inside, "from twisted.internet import defer")

    def test_dangerous(self) -> None:
        """Bytes are decoded, never run."""
        for bad in ("import pickle", "from marshal import loads", "eval('1')"):
            self.check(rules.no_dangerous_calls, "state.py", bad, "int('1')")

    def test_undeclared_requirement(self) -> None:
        """A package that only happens to be installed can't be imported."""
        self.check(
            rules.requirements_are_declared,
            "mycel/store/lru.py",
            "import sortedcontainers",
            "import attrs, bisect, OpenSSL\nfrom zope.interface import implementer",
        )

    def test_banned_words(self) -> None:
        """Modules, classes, functions, arguments and attributes say what they are."""
        rule, good = rules.no_banned_words, "utilization = 1\nclass Mesh:\n    pass"
        for bad in (
            "class LinkManager: pass",
            "def frameHandler(): pass",
            "def f(helper): pass",
            "class A:\n    def f(self):\n        self._utils = 1",
            "class A:\n    HTTPProcessors: int",
            "def engine_2(): pass",
        ):
            self.check(rule, "nodosum/mesh.py", bad, good)
        self.assertEqual(complaints(rule, "nodosum/utils.py", ""), [1])

    def test_snake_case(self) -> None:
        """Only names that Twisted calls are in mixed case."""
        self.check(
            rules.names_are_snake_case,
            "nodosum/mesh.py",
            "class A:\n    async def whenReady(self): pass",
            "def when_ready(): pass\ndef dataReceived(data): pass",
        )

    def test_long_file(self) -> None:
        """A file may have 400 lines, not 401."""
        at, over = "a = 1\n" * 400, "a = 1\n" * 401
        self.check(rules.files_are_short, "mycel/cache.py", over, at)

    def test_long_function(self) -> None:
        """A function may have 60 lines, not 61."""
        at = "def f():\n" + "    a = 1\n" * 59
        rule = rules.functions_are_short
        self.assertEqual(complaints(rule, "tap.py", at), [])
        self.assertEqual(complaints(rule, "tap.py", at + "    a = 1\n"), [1])

    def test_first_line(self) -> None:
        """The first line names tests that exist."""
        rule = rules.first_line_names_tests
        good = "# -*- test-case-name: tests.test_tidy,tests.mycel -*-"
        for bad in ("import os", "# -*- test-case-name: tests.test_nothing -*-"):
            self.check(rule, "tap.py", bad, good)
        self.assertEqual(complaints(rule, "pulse/__init__.py", ""), [])

    def test_class_docstring(self) -> None:
        """A public class says what it is."""
        self.check(
            rules.public_classes_say_what_they_are,
            "clock.py",
            "class Stamp: x = 1",
            'class Stamp:\n    "A point in time."\nclass _Inner: x = 1',
        )

    def test_left_to_do(self) -> None:
        """A note to oneself is an issue, or it is done."""
        rule, word = rules.nothing_is_left_to_do, "TO" + "DO"
        self.check(rule, "tap.py", f"a = 1  # {word}: b", f"a = 1  # {word}S")

    def test_log_format(self) -> None:
        """Log lines have fields."""
        self.check(
            rules.log_formats_are_constant,
            "service.py",
            'class A:\n    def f(self, x):\n        self._log.info(f"got {x}")',
            'class A:\n    def f(self, x):\n        self._log.info("got {x}", x=x)',
        )

    def test_every_rule_is_applied(self) -> None:
        """No rule was written and then left out of the list."""
        written = {
            name
            for name, value in vars(rules).items()
            if getattr(value, "__annotations__", None)
            == {"module": "Module", "return": "Problems"}
        }
        self.assertEqual(written, {rule.__name__ for rule in RULES})
