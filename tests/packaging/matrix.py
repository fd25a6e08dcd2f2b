"""
Mycorrizal as its users install it: ``tox -e packaging``.

Not named ``test_...``, so that the other runs, which need no network, pass by.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "twisted/plugins/mycorrizal_plugin.py"

#: What tools leave in a tree, and no wheel holds.
LEFTOVERS = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "dropin.cache", "build", "dist", "_build"
)


@attrs.frozen
class Environment:
    """A virtual environment outside the tree."""

    folder: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands, in a folder that holds nothing of ours."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(
            [self.folder / "bin" / command, *arguments],
            cwd=self.folder,
            env=kept,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def check(self, command: str, *arguments: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.run(command, *arguments)
        assert done.returncode == 0, f"{done.args}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def lists_plugin(self) -> bool:
        """Whether ``twist --help`` names our command, and works at all."""
        lines = self.check("twist", "--help").splitlines()
        return any(line.split()[:1] == ["mycorrizal"] for line in lines)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, as a fresh clone has it."""
    copy = tmp_path_factory.mktemp("clone") / "mycorrizal"
    return Path(shutil.copytree(ROOT, copy, ignore=LEFTOVERS))


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, built from the tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, tree],
        check=True,
        timeout=300,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """A new virtual environment, deleted afterwards."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "virtualenv", "-q", folder], check=True)
    yield Environment(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["folder", "editable", "wheel"])
def test_plugin_comes_and_goes(
    how: str, tree: Path, wheel: Path, environment: Environment
) -> None:
    """``twist`` lists the plugin however it was installed, until uninstalled."""
    arguments = {
        "folder": [str(tree)],
        "editable": ["-e", str(tree)],
        "wheel": [str(wheel)],
    }
    environment.check("pip", "install", "-q", *arguments[how])
    assert environment.lists_plugin()
    assert "--listen" in environment.check("twist", "mycorrizal", "--help")

    shown = "import twisted, twisted.plugins; print(twisted.__file__)"
    twisted = environment.check("python", "-c", shown).strip()
    assert twisted.startswith(str(environment.folder)), "the real Twisted is hidden"

    if how == "wheel":
        refused = environment.run("pulse", "status")
        said = refused.stdout + refused.stderr
        assert refused.returncode != 0, "pulse ran without its extra"
        assert "mycorrizal[pulse]" in said, "pulse must say what to install"
        assert "Traceback" not in said

    environment.check("pip", "uninstall", "-q", "-y", "mycorrizal")
    assert not environment.lists_plugin()


def test_wheel_is_complete(tree: Path, wheel: Path) -> None:
    """The wheel holds each file of ours, data included, and nothing else."""
    ours = {
        path.relative_to(tree / "src").as_posix()
        for path in (tree / "src").rglob("*")
        if path.is_file()
        and not {"__pycache__"}.intersection(path.parts)
        and not path.match("*.egg-info/*")
        and path.name != "dropin.cache"
    }
    names = zipfile.ZipFile(wheel).namelist()
    held = {name for name in names if ".dist-info/" not in name}
    assert held - ours == set(), "the wheel holds files that are not in src/"
    assert ours - held == set(), "add these files to package_data in setup.cfg"
    assert "mycorrizal/py.typed" in held
    for name in ("page.html", "page.js", "uplot.js", "uplot-LICENSE.txt"):
        assert f"mycorrizal/pulse/static/{name}" in held


def test_wheel_leaves_twisted_alone(wheel: Path) -> None:
    """The wheel's only file in Twisted's folder is the plugin."""
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("twisted/")] == [PLUGIN]


def test_wheel_names_its_licence(wheel: Path) -> None:
    """The wheel's metadata says MIT, and carries the text."""
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    assert "License-Expression: MIT" in archive.read(metadata).decode()
    assert any(name.endswith("/LICENSE") for name in names)
