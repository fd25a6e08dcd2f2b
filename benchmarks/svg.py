# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
A small writer of SVG: rectangles, lines and words, readable on light and dark pages.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

FONT = "system-ui, sans-serif"
FONT_PX = 13
#: About what a letter of that font takes.
LETTER_PX = 7.0
INK = "#777777"


class Drawing:
    """An SVG document that grows."""

    def __init__(self, width_px: float, height_px: float, title: str) -> None:
        self._head = (
            '<svg xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {_px(width_px)} {_px(height_px)}"'
            f' font-family={quoteattr(FONT)} font-size="{FONT_PX}" role="img">'
        )
        self._parts = [f"<title>{escape(title)}</title>"]

    def box(
        self, x: float, y: float, width: float, height: float, color: str, hint: str
    ) -> None:
        """
        :param hint: shown where the pointer rests on it.
        """
        self._parts.append(
            f'<rect x="{_px(x)}" y="{_px(y)}" width="{_px(width)}"'
            f' height="{_px(height)}" fill={quoteattr(color)}>'
            f"<title>{escape(hint)}</title></rect>"
        )

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        color: str = INK,
        width: float = 1.0,
        dashes: str = "",
    ) -> None:
        dashed = f" stroke-dasharray={quoteattr(dashes)}" if dashes else ""
        self._parts.append(
            f'<line x1="{_px(start[0])}" y1="{_px(start[1])}"'
            f' x2="{_px(end[0])}" y2="{_px(end[1])}"'
            f' stroke={quoteattr(color)} stroke-width="{_px(width)}"{dashed}/>'
        )

    def path(self, points: list[tuple[float, float]], color: str) -> None:
        """
        A line through all points, with a dot at each.
        """
        places = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
        self._parts.append(
            f'<polyline points="{places}" fill="none" stroke={quoteattr(color)}'
            ' stroke-width="2"/>'
        )
        self._parts += [
            f'<circle cx="{_px(x)}" cy="{_px(y)}" r="3" fill={quoteattr(color)}/>'
            for x, y in points
        ]

    def words(
        self, x: float, y: float, text: str, anchor: str = "start", bold: bool = False
    ) -> None:
        """
        :param anchor: which end is at `x`: start, middle or end.
        """
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{_px(x)}" y="{_px(y)}" text-anchor={quoteattr(anchor)}'
            f' fill="{INK}"{weight}>{escape(text)}</text>'
        )

    def document(self) -> str:
        return "\n".join([self._head, *self._parts, "</svg>", ""])


def _px(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
