"""How Sphinx builds these pages: see ``tox -e docs``."""

from importlib.metadata import version as _version

project = "Mycorrizal"
author = "The Mycorrizal authors"
copyright = "2026, The Mycorrizal authors"
release = version = _version("mycorrizal")

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"

exclude_patterns = ["_build"]
# Names of other projects: their pages are not fetched when ours are built.
nitpick_ignore_regex = [
    ("py:.*", r"(?!mycorrizal\b).*"),
]

html_theme = "furo"
html_title = f"Mycorrizal {release}"
html_show_sourcelink = False
