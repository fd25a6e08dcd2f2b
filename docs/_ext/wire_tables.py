"""
Tables of the wire protocol, made from the code that speaks it.

``.. layout:: HELLO`` shows the fields of a fixed layout with their offsets,
and the bytes of each example that the tests encode and decode.
``.. messages:: mycorrizal.mycel.messages`` lists the MessagePack arrays of a
module.  ``.. numbers:: mycorrizal.nodosum.wire.limits.FrameType`` lists an
enumeration.  So the page can't say anything else than the code does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.nodosum.wire.cases import LAYOUTS, Case

#: Hexadecimal bytes on one line of an example.
BYTES_PER_LINE = 16


def table(heads: Iterable[str], widths: list[int], rows: Iterable[list[Any]]) -> Any:
    """A table of texts and nodes."""
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    head, body = nodes.thead(), nodes.tbody()
    head += _row(list(heads))
    body += [_row(row) for row in rows]
    group += [head, body]
    shown = nodes.table()
    shown += group
    return shown


def _row(cells: list[Any]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        text = cell if isinstance(cell, nodes.Node) else nodes.Text(str(cell))
        row += nodes.entry("", nodes.paragraph("", "", text))
    return row


def code(text: str) -> nodes.literal:
    """A text in code's type."""
    return nodes.literal(text, text)


class LayoutTable(Directive):
    """A fixed layout: its fields, then its examples, byte by byte."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        layout = {layout.name: layout for layout in LAYOUTS}[self.arguments[0]]
        shown: list[nodes.Node] = []
        if layout.length_bytes is not None:
            rows = [
                [offset, length, name] for offset, length, name, _ in _fields(layout)
            ]
            shown.append(table(["Offset", "Bytes", "Field"], [10, 10, 60], rows))
        for case in layout.cases:
            shown.append(nodes.paragraph("", f"Example: {case.name}."))
            shown.append(self._example(case))
        return shown

    def _example(self, case: Case) -> nodes.literal_block:
        lines = []
        for offset, _, name, digits in case.rows():
            data = bytes.fromhex(digits)
            for start in range(0, len(data), BYTES_PER_LINE):
                part = data[start : start + BYTES_PER_LINE].hex(" ")
                said = "" if start else name
                lines.append(f"{offset + start:4}  {part:<47}  {said}".rstrip())
        text = "\n".join(lines)
        return nodes.literal_block(text, text, language="none")


def _fields(layout: Any) -> list[tuple[int, int, str, str]]:
    rows: list[tuple[int, int, str, str]] = layout.cases[0].rows()
    return rows


class MessageTable(Directive):
    """The messages of a module: first elements, names, fields, meanings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = import_module(self.arguments[0])
        rows = []
        for name, kind in vars(module).items():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if not own or not issubclass(kind, msgspec.Struct) or name[0] == "_":
                continue
            config = kind.__struct_config__
            assert config.array_like, f"{name} is no array"
            fields = ", ".join(kind.__struct_fields__)
            meaning = " ".join((kind.__doc__ or "").split(":ivar")[0].split())
            tag = "" if config.tag is None else config.tag
            rows.append([tag, code(name), code(fields), meaning.replace("`", "")])
        heads = ["Tag", "Message", "Fields, in order", "Meaning"]
        return [table(heads, [5, 14, 35, 46], rows)]


class NumberTable(Directive):
    """The numbers of an enumeration."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        enumeration = getattr(import_module(module), name)
        rows = [[int(member), code(member.name)] for member in enumeration]
        return [table(["Number", "Name"], [10, 30], rows)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("layout", LayoutTable)
    app.add_directive("messages", MessageTable)
    app.add_directive("numbers", NumberTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
