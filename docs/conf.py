"""How Sphinx builds these pages: see ``tox -e docs``."""

import sys
from importlib.metadata import version as _version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Mycorrizal"
author = "The Mycorrizal authors"
copyright = "2026, The Mycorrizal authors"
release = version = _version("mycorrizal")

extensions = ["sphinx.ext.autodoc", "wire_tables"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"

exclude_patterns = ["_build", "_ext"]
# Names of other projects: their pages are not fetched when ours are built.
nitpick_ignore_regex = [
    ("py:.*", r"(?!mycorrizal\b).*"),
    # A type variable.
    ("py:class", r"mycorrizal\.[\w.]+\.T"),
]

html_theme = "furo"
html_title = f"Mycorrizal {release}"
html_show_sourcelink = False
