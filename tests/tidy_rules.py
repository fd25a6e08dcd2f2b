"""
The laws of the source tree, each a small function from a module to problems.

What changes with the tree, as new modules and names, is in
``tests.tidy_tables``; ``tests.test_tidy`` applies the rules.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import attrs

from tests.tidy_tables import (
    API_IMPORTS,
    APIS,
    BANNED_WORDS,
    DANGEROUS,
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    HOUSES,
    LEVELS,
    PURE_PACKAGES,
    REACTOR,
    REACTOR_INSIDE_FUNCTIONS_OF,
    REQUIREMENTS,
    SEAM,
    SHELLS,
    TWISTED_NAMES,
    WORLD,
)

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"

Problems = Iterator[tuple[int, str]]


@attrs.frozen
class Module:
    """One source file: its path below src/, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> Module:
        """Read a module that has this text."""
        return cls(path, text, ast.parse(text))

    @property
    def name(self) -> str:
        """The dotted name; a package's is that of its folder."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def matches(self, patterns: tuple[str, ...]) -> bool:
        """Whether one of the patterns fits its path."""
        return any(fnmatch(self.path, pattern) for pattern in patterns)

    @property
    def kind(self) -> str:
        """``pure``, ``api`` or ``shell``."""
        below = self.path.removeprefix("mycorrizal/")
        for kind, patterns in (("shell", SHELLS), ("api", APIS)):
            if below == self.path or any(fnmatch(below, p) for p in patterns):
                return kind
        return "pure"

    def imports(self, inside: ast.AST | None = None) -> Problems:
        """Each imported name, absolute and in full, with its line."""
        package = self.name.split(".")
        if not self.path.endswith("/__init__.py"):
            package = package[:-1]
        for node in ast.walk(inside or self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*above, *filter(None, [node.module])])
                for alias in node.names:
                    yield node.lineno, f"{source}.{alias.name}"


Rule = Callable[[Module], Problems]


def within(name: str, package: str) -> bool:
    """Whether a dotted name is a package or something inside it."""
    return name == package or name.startswith(f"{package}.")


def _level(name: str) -> int:
    return LEVELS[max((p for p in LEVELS if within(name, p)), key=len)]


def _is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports_go_down(module: Module) -> Problems:
    """A lower level never names a higher one; houses keep to themselves."""
    if not within(module.name, "mycorrizal"):
        return
    house = next((h for h in HOUSES if within(module.name, h)), None)
    for line, name in module.imports():
        if not within(name, "mycorrizal"):
            continue
        if _level(name) > _level(module.name):
            yield line, f"{name} is on a higher level: pass it in as an argument"
        elif house and any(within(name, h) for h in HOUSES if h != house):
            yield line, f"{name} is another house: compose the two in service.py"
        elif house and name.startswith("mycorrizal.nodosum."):
            inner = name.removeprefix("mycorrizal.nodosum.")
            if "." in inner or _is_module(name):
                yield line, f"{name} is inside Nodosum: take it from mycorrizal.nodosum"


def imports_fit_kind(module: Module) -> Problems:
    """A pure module knows nothing of Twisted; an api module little."""
    if module.kind == "shell":
        return
    allowed = {*sys.stdlib_module_names, *PURE_PACKAGES, "mycorrizal"}
    for line, name in module.imports():
        if module.kind == "api" and any(within(name, a) for a in API_IMPORTS):
            continue
        if name == "mycorrizal.runtime.Entropy":
            continue
        if module.kind == "pure" and within(name, "mycorrizal.runtime"):
            yield line, "a pure module takes `now` or an Entropy, not the Runtime"
        elif name.split(".")[0] not in allowed:
            yield (
                line,
                (
                    f"{name} in {module.kind} module: move that to a shell, or enter "
                    "the module in SHELLS or APIS of tests/tidy_tables.py"
                ),
            )


def world_only_through_runtime(module: Module) -> Problems:
    """Time, randomness and sockets are asked of the Runtime."""
    if module.path == SEAM:
        return
    simulated = within(module.name, "mycorrizal.testing")
    for line, name in module.imports():
        seeded = simulated and name in ("random", "random.Random")
        if not seeded and any(within(name, banned) for banned in WORLD):
            yield line, f"{name}: ask the Runtime (now, wall, random, token_bytes)"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name == "os.urandom":
                yield node.lineno, "os.urandom: ask the Runtime for token_bytes"
            if simulated and node.value.id == "random" and node.attr != "Random":
                yield node.lineno, f"{name}: draw from the world's seeded Random"


def no_global_reactor(module: Module) -> Problems:
    """The reactor is an argument; only a program's entry imports the global one."""
    allowed: set[tuple[int, str]] = set()
    if module.matches(REACTOR_INSIDE_FUNCTIONS_OF):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                allowed.update(module.imports(node))
    for line, name in module.imports():
        if within(name, REACTOR) and (line, name) not in allowed:
            yield line, "the global reactor: take the reactor as first argument"


def no_dangerous_calls(module: Module) -> Problems:
    """Nothing received or stored is ever run as code."""
    for line, name in module.imports():
        if name.split(".")[0] in DANGEROUS:
            yield line, f"{name} runs what it reads: use msgspec"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("eval", "exec"):
                yield node.lineno, f"{node.func.id}: never"


def requirements_are_declared(module: Module) -> Problems:
    """Each package that is imported stands in setup.cfg."""
    declared = (ROOT / "setup.cfg").read_text()
    for line, name in module.imports():
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package == "mycorrizal":
            continue
        requirement = REQUIREMENTS.get(package, package)
        if not re.search(rf"(?m)^ +{re.escape(requirement)}[<>=~]", declared):
            yield line, f"{package}: add it to setup.cfg, and to REQUIREMENTS"


def _defined_names(tree: ast.Module) -> Problems:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node.ctx, ast.Store):
                name = node.id if isinstance(node, ast.Name) else node.attr
                yield node.lineno, name


def words_of(name: str) -> list[str]:
    """The words of a name in either case style, plurals without their s."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return [word.lower().removesuffix("s") for word in words]


def no_banned_words(module: Module) -> Problems:
    """A name says what a thing is, in the field's word."""
    for line, name in [(1, module.path), *_defined_names(module.tree)]:
        for word in BANNED_WORDS.keys() & words_of(name):
            yield line, f"{name}: {BANNED_WORDS[word]} (docs: glossary)"


def names_are_snake_case(module: Module) -> Problems:
    """Functions are snake_case, but for those that Twisted knows by name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            mixed = re.search(r"[a-z][A-Z]", node.name)
            if mixed and node.name not in TWISTED_NAMES:
                yield (
                    node.lineno,
                    (
                        f"{node.name}: use snake_case, or enter it in TWISTED_NAMES of "
                        "tests/tidy_tables.py if Twisted calls it"
                    ),
                )


def files_are_short(module: Module) -> Problems:
    """A file near the limit is split by verb."""
    lines = len(module.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield lines, f"{lines} lines (at most {FILE_LINES_MAX}): split it by verb"


def functions_are_short(module: Module) -> Problems:
    """A function is read without scrolling."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield (
                    node.lineno,
                    (f"{node.name} has {lines} lines (at most {FUNCTION_LINES_MAX})"),
                )


def first_line_names_tests(module: Module) -> Problems:
    """The first line says which tests to run, and they exist."""
    if not module.text:
        return
    first = module.text.splitlines()[0]
    found = re.fullmatch(
        r"# -\*- test-case-name: (tests[\w.]*(?:,tests[\w.]*)*) -\*-", first
    )
    if not found:
        yield 1, "begin with: # -*- test-case-name: tests.mycel.test_bucket -*-"
        return
    for name in found[1].split(","):
        path = ROOT.joinpath(*name.split("."))
        if not path.is_dir() and not path.with_suffix(".py").is_file():
            yield 1, f"{name} does not exist: write it, or name the right one"


def public_classes_say_what_they_are(module: Module) -> Problems:
    """Each public class has a docstring."""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node.lineno, f"class {node.name}: say what it is in a docstring"


def nothing_is_left_to_do(module: Module) -> Problems:
    """What is missing is in the list of issues, not in the text."""
    for line, text in enumerate(module.text.splitlines(), 1):
        if found := re.search(r"\b(TODO|FIXME|XXX)\b", text):
            yield line, f"{found[0]}: do it, or file an issue and take this out"


def log_formats_are_constant(module: Module) -> Problems:
    """A log line is a constant format and fields, so that it can be searched."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if ast.unparse(node.func.value).split(".")[-1] in ("_log", "log"):
                if any(isinstance(a, ast.JoinedStr) for a in node.args):
                    yield node.lineno, 'log with fields: info("… {peer}", peer=peer)'


RULES: tuple[Rule, ...] = (
    imports_go_down,
    imports_fit_kind,
    world_only_through_runtime,
    no_global_reactor,
    no_dangerous_calls,
    requirements_are_declared,
    no_banned_words,
    names_are_snake_case,
    files_are_short,
    functions_are_short,
    first_line_names_tests,
    public_classes_say_what_they_are,
    nothing_is_left_to_do,
    log_formats_are_constant,
)
