"""
What ``from mycorrizal import ...`` offers.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mycorrizal
import mycorrizal.testing
from mycorrizal import errors

#: What an import must leave to the program, or to those who ask for it.
UNWANTED = ("twisted.internet.reactor", "mycorrizal.testing", "click", "rich")


class ExportsTests(SynchronousTestCase):
    """The front door."""

    def test_everything_promised_is_there(self) -> None:
        """Each name of `__all__` can be imported, and is named once."""
        for module in (mycorrizal, mycorrizal.testing):
            names = module.__all__
            self.assertEqual(len(names), len(set(names)))
            missing = [name for name in names if not hasattr(module, name)]
            self.assertEqual(missing, [])

    def test_nothing_is_offered_by_accident(self) -> None:
        """Each name that the front door imports is one that it promises."""
        path = inspect.getsourcefile(mycorrizal)
        assert path is not None
        imported = {
            alias.asname or alias.name
            for statement in ast.walk(ast.parse(Path(path).read_text()))
            if isinstance(statement, ast.ImportFrom)
            and statement.module != "__future__"
            for alias in statement.names
        }
        self.assertEqual(imported, set(mycorrizal.__all__))

    def test_every_error_can_be_caught(self) -> None:
        """Each error has one root, and can be imported from the front."""
        found = [
            name
            for name, kind in vars(errors).items()
            if inspect.isclass(kind) and issubclass(kind, Exception)
        ]
        self.assertTrue(found)
        for name in found:
            kind = getattr(mycorrizal, name)
            self.assertTrue(issubclass(kind, mycorrizal.MycorrizalError), name)
            self.assertTrue(kind.__doc__, name)

    def test_everything_says_what_it_is(self) -> None:
        """Each public class and function, and each of its methods, is described."""
        bare = []
        for name in mycorrizal.__all__:
            thing = getattr(mycorrizal, name)
            if not inspect.isclass(thing) and not inspect.isfunction(thing):
                continue
            if not thing.__doc__:
                bare.append(name)
            for attribute, method in vars(thing).items():
                public = not attribute.startswith("_") and inspect.isfunction(method)
                if public and not method.__doc__:
                    bare.append(f"{name}.{attribute}")
        self.assertEqual(bare, [])

    def test_import_leaves_the_reactor_to_the_program(self) -> None:
        """Importing installs no reactor, and loads neither pulse nor the simulation."""
        loaded = f"[name for name in {UNWANTED} if name in sys.modules]"
        code = f"import mycorrizal, sys; print({loaded})"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(ran.stdout.strip(), "[]", ran.stderr)
