"""
The programs that stand in the README and the pages.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def readme_programs() -> list[str]:
    """The blocks of Python in the README, in order."""
    text = (ROOT / "README.md").read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def page_program(page: str, caption: str) -> str:
    """A block of Python in a page, by its caption."""
    text = (ROOT / "docs" / page).read_text()
    found = re.search(
        rf"^\.\. code-block:: python\n   :caption: {re.escape(caption)}\n"
        r"((?:   .*\n|\n)+)",
        text,
        re.MULTILINE,
    )
    assert found is not None, f"{page} has no program {caption}"
    return textwrap.dedent(found[1]).strip("\n") + "\n"
