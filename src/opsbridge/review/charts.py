"""Charts as inline SVG: bars beside a table, and a timeline. They repeat what tables say, for the eye.

Colours are the page's, by class; all text is escaped here.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from opsbridge.review.model import Slot

WIDTH: Final = 640
_LABEL: Final = 190
_ROW: Final = 22
_LONGEST: Final = 28


def bars(what: str, rows: Sequence[tuple[str, int]]) -> str:
    """Horizontal bars with label and number; empty without anything to compare."""
    most = max((number for _, number in rows), default=0)
    if most <= 0:
        return ""
    space = WIDTH - _LABEL - 70
    height = _ROW * len(rows) + 4
    parts = [_open(what, WIDTH, height)]
    for at, (name, number) in enumerate(rows):
        top = at * _ROW + 2
        width = max(1.0, number / most * space) if number else 0
        short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
        parts.append(
            f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(short)}</text>'
            f'<rect class="bar" x="{_LABEL}" y="{top + 3}" width="{width:.1f}" height="14" rx="2"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{top + 14}">{number}</text>'
        )
    return "".join([*parts, "</svg>"])


def timeline(slots: Sequence[Slot]) -> str:
    """Events as columns; below them, the incidents opened in the same time, as numbers in circles."""
    most = max((slot.events for slot in slots), default=0)
    if most <= 0:
        return ""
    left, high, width = 60, 120, 900
    step = (width - left - 10) / len(slots)
    parts = [_open("Events and incidents over time", width, high + 62)]
    parts.append(
        f'<line class="axis" x1="{left}" y1="{high + 8}" x2="{width - 10}" y2="{high + 8}"/>'
        f'<text x="{left - 6}" y="18" text-anchor="end">{most}</text>'
        f'<text x="{left - 6}" y="{high + 12}" text-anchor="end">0</text>'
        f'<text x="{left - 6}" y="{high + 30}" text-anchor="end">incidents</text>'
    )
    for at, slot in enumerate(slots):
        x, tall = left + at * step, slot.events / most * (high - 6)
        if slot.events:
            parts.append(
                f'<rect class="bar" x="{x + 0.5:.1f}" y="{high + 8 - max(tall, 1):.1f}" '
                f'width="{max(step - 1, 1):.1f}" height="{max(tall, 1):.1f}">'
                f"<title>{escape(slot.begins)}: {slot.events} events</title></rect>"
            )
        if slot.incidents:
            parts.append(
                f'<circle class="mark" cx="{x + step / 2:.1f}" cy="{high + 26}" r="{min(9.0, max(step / 2, 4)):.1f}">'
                f"<title>{escape(slot.begins)}: {slot.incidents} incidents opened</title></circle>"
                f'<text class="on" x="{x + step / 2:.1f}" y="{high + 30}" text-anchor="middle">{slot.incidents}</text>'
            )
    for at, anchor in {0: "start", len(slots) // 2: "middle", len(slots) - 1: "end"}.items():
        if at == 0 or len(slots) > 2:
            x = left + (at + (0.5 if anchor == "middle" else anchor == "end")) * step
            parts.append(f'<text x="{x:.1f}" y="{high + 54}" text-anchor="{anchor}">{_minute(slots[at].begins)}</text>')
    return "".join([*parts, "</svg>"])


def _minute(time: str) -> str:
    return escape(time[:16].replace("T", " "))


def _open(what: str, width: int, height: int) -> str:
    name = escape(what)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}"><title>{name}</title>'
    )
