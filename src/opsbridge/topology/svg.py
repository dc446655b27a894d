"""A drawing as one SVG file: no script, nothing from elsewhere, light or dark as the viewer prefers.

Every text of a file goes through `_text`, which leaves no character that could be markup. What stands out is told by
shape as well as by colour. Hovering a CI shows its dependencies where the viewer knows `:has()`; titles say the rest.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from opsbridge.topology.dependencies import Dependency
from opsbridge.topology.drawing import Drawing, Mark, Node, plain
from opsbridge.topology.layout import Layout, Point, Size, layout

_MARGIN: Final = 28.0
_HEAD: Final = 88.0
"""Room for the title..."""
_FOOT: Final = 44.0
"""...and down to what explains the signs."""
_LEGEND_LINE: Final = 24.0

_LONGEST: Final = 30
"""Characters of a name that a box shows; its title shows all."""
_NARROWEST: Final = 84.0
_TAG: Final = 17.0
"""So high is the line that tells of a redundancy group."""

_DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "14 5", "5 2 1 2 1 2")
"""Lines by their kind, the most frequent first; further kinds look like the last."""

_COLOURS: Final = {
    # what: (light, dark)
    "ground": ("#ffffff", "#0f172a"),
    "ink": ("#0f172a", "#e2e8f0"),
    "faint": ("#64748b", "#94a3b8"),
    "box": ("#f8fafc", "#1e293b"),
    "rim": ("#94a3b8", "#64748b"),
    "service": ("#dbeafe", "#1e3a8a"),
    "service-rim": ("#2563eb", "#60a5fa"),
    "focus": ("#fef3c7", "#713f12"),
    "focus-rim": ("#d97706", "#fbbf24"),
    "root": ("#fee2e2", "#7f1d1d"),
    "root-rim": ("#dc2626", "#f87171"),
    "affected": ("#ffedd5", "#7c2d12"),
    "affected-rim": ("#ea580c", "#fb923c"),
    "line": ("#94a3b8", "#64748b"),
    "hot": ("#db2777", "#f472b6"),
    "tag": ("#e2e8f0", "#334155"),
}

_RULES: Final = (
    # selector, {property: colour}
    (".ground", {"fill": "ground"}),
    (".ink", {"fill": "ink"}),
    (".faint", {"fill": "faint"}),
    (".box", {"fill": "box", "stroke": "rim"}),
    (".service .box", {"fill": "service", "stroke": "service-rim"}),
    (".focus .box", {"fill": "focus", "stroke": "focus-rim"}),
    (".root .box", {"fill": "root", "stroke": "root-rim"}),
    (".affected .box", {"fill": "affected", "stroke": "affected-rim"}),
    (".tag", {"fill": "tag"}),
    (".line", {"stroke": "line"}),
    (".tip", {"fill": "line"}),
    (".hot", {"fill": "hot"}),
    (".edge:hover .line", {"stroke": "hot"}),
)

_FIXED: Final = """\
text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;font-size:12px}
.head{font-size:17px;font-weight:600}.small{font-size:10.5px}.mid{text-anchor:middle}
.box{stroke-width:1.2}.service .box,.focus .box,.root .box,.affected .box{stroke-width:2}
.service .name,.focus .name,.root .name{font-weight:600}
.unwatched .box{stroke-dasharray:4 3}
.line{fill:none;stroke-width:1.4}.reach{fill:none;stroke:#000;stroke-opacity:0;stroke-width:9}
.edge:hover .line{stroke-width:2.6}
"""


def to_svg(drawing: Drawing) -> str:
    """The drawing as a complete document."""
    sizes = {node.number: _size(node) for node in drawing.nodes}
    found = layout(
        sizes,
        [(edge.dependent, edge.provider) for edge in drawing.edges if not edge.undirected],
        [(edge.dependent, edge.provider) for edge in drawing.edges if edge.undirected],
    )
    dashes = _dashes(drawing.edges)
    legend = list(_legend(drawing, dashes))
    caption = _caption(drawing)
    wide = 2 * _MARGIN + max(found.width, _wide(drawing.title, 9.6), _wide(caption, 6.2), 620.0)
    lines = _flow(legend, wide - 2 * _MARGIN)
    bottom = _HEAD + found.height + _FOOT
    tall = bottom + _LEGEND_LINE * len(lines)
    left = (wide - found.width) / 2
    extent = f'width="{_n(wide)}" height="{_n(tall)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {extent} viewBox="0 0 {_n(wide)} {_n(tall)}">',
        f"<title>{_text(drawing.title)}</title>",
        f"<style>{_style(drawing)}</style>",
        f"<defs>{_tip('tip')}{_tip('hot')}</defs>",
        f'<rect class="ground" {extent}/>',
        f'<text class="ink head" x="{_n(_MARGIN)}" y="{_n(_MARGIN + 10)}">{_text(drawing.title)}</text>',
        f'<text class="faint" x="{_n(_MARGIN)}" y="{_n(_MARGIN + 30)}">{_text(caption)}</text>',
        f'<g transform="translate({_n(left)} {_n(_HEAD)})">',
    ]
    parts += [_edge(drawing, edge, found, sizes, dashes[edge.kind]) for edge in drawing.edges]
    parts += [_node(node, found.boxes[node.number], sizes[node.number]) for node in drawing.nodes]
    parts.append("</g>")
    for line, entries in enumerate(lines):
        y = bottom + line * _LEGEND_LINE
        parts += [f'<g transform="translate({_n(_MARGIN + x)} {_n(y)})">{content}</g>' for x, content in entries]
    return "\n".join([*parts, "</svg>", ""])


# boxes


def _size(node: Node) -> Size:
    texts = [
        _wide(_short(node.id), 7.4),
        _wide(_short(node.type), 6.2),
        *(_wide(_short(g), 6.2) + 12 for g in node.groups),
    ]
    return Size(max(_NARROWEST, *texts) + 22, 42.0 + _TAG * len(node.groups) - (0 if node.type else 12))


def _node(node: Node, middle: Point, size: Size) -> str:
    classes = ["node", f"n{node.number}"]
    classes += ["service"] if node.service else []
    classes += [] if node.monitored else ["unwatched"]
    classes += [] if node.mark is None else [node.mark.value]
    x, y = middle[0] - size.width / 2, middle[1] - size.height / 2
    title = "\n".join([node.id, *(f"{name}: {value}" for name, value in node.facts)])
    corner = 12 if node.service else 4
    parts = [
        f'<g class="{" ".join(classes)}" transform="translate({_n(x)} {_n(y)})">',
        f"<title>{_text(title, lines=True)}</title>",
        f'<rect class="box" width="{_n(size.width)}" height="{_n(size.height)}" rx="{corner}"/>',
        f'<text class="ink mid name" x="{_n(size.width / 2)}" y="18">{_text(_short(node.id))}</text>',
    ]
    if node.type:
        parts.append(f'<text class="faint small mid" x="{_n(size.width / 2)}" y="33">{_text(_short(node.type))}</text>')
    for number, group in enumerate(node.groups):
        top = size.height - _TAG * (len(node.groups) - number) - 2
        parts.append(
            f'<rect class="tag" x="5" y="{_n(top)}" width="{_n(size.width - 10)}" height="{_n(_TAG - 2)}" rx="7"/>'
            f'<text class="ink small mid" x="{_n(size.width / 2)}" y="{_n(top + 11)}">{_text(_short(group))}</text>'
        )
    return "".join([*parts, "</g>"])


# lines


def _edge(
    drawing: Drawing,
    edge: Dependency,
    found: Layout,
    sizes: dict[int, Size],
    dash: str,
) -> str:
    ends = edge.dependent, edge.provider
    boxes = [(found.boxes[end], sizes[end]) for end in ends]
    path = _path(*boxes[0], found.lines.get(ends, []), *boxes[1], below=edge.undirected)
    drawn = f' stroke-dasharray="{dash}"' if dash else ""
    tip = "" if edge.undirected else ' marker-end="url(#tip)"'
    return (
        f'<g class="edge e{ends[0]} e{ends[1]}"><title>{_text(drawing.words(edge))}</title>'
        f'<path class="reach" d="{path}"/><path class="line" d="{path}"{drawn}{tip}/></g>'
    )


def _path(start: Point, size: Size, way: Sequence[Point], end: Point, other: Size, *, below: bool) -> str:
    """From the rim of one box to the rim of the other.

    Side by side: over the heads of those between, or `below` them, as is the way back.
    """
    if start[1] == end[1]:
        x, to = start[0], end[0]
        side = -1 if x < to and not below else 1
        y, at = start[1] + side * size.height / 2, end[1] + side * other.height / 2
        far = (min(y, at) if side < 0 else max(y, at)) + side * min(44.0, 16.0 + abs(to - x) * 0.06)
        return f"M{_n(x)} {_n(y)}C{_n(x)} {_n(far)} {_n(to)} {_n(far)} {_n(to)} {_n(at)}"
    down = 1 if end[1] > start[1] else -1
    first = (start[0], start[1] + down * size.height / 2)
    last = (end[0], end[1] - down * other.height / 2)
    stops = [first, *way, last]
    parts = [f"M{_n(first[0])} {_n(first[1])}"]
    for (x, y), (to, at) in pairwise(stops):
        bend = (at - y) * 0.5
        parts.append(f"C{_n(x)} {_n(y + bend)} {_n(to)} {_n(at - bend)} {_n(to)} {_n(at)}")
    return "".join(parts)


def _dashes(edges: Sequence[Dependency]) -> dict[str, str]:
    """Kind -> how its lines are drawn, the most frequent kind first."""
    kinds = sorted(Counter(edge.kind for edge in edges).items(), key=lambda item: (-item[1], item[0]))
    return {kind: _DASHES[min(place, len(_DASHES) - 1)] for place, (kind, _) in enumerate(kinds)}


def _tip(name: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 .6L8 4L0 7.4Z"/></marker>'
    )


# around it


def _style(drawing: Drawing) -> str:
    """The style sheet: colours for light and dark, and what hovering a CI shows."""

    def sheet(scheme: int) -> str:
        return "\n".join(
            f"{where}{{{';'.join(f'{what}:{_COLOURS[colour][scheme]}' for what, colour in looks.items())}}}"
            for where, looks in _RULES
        )

    numbers = [node.number for node in drawing.nodes]
    hovered = "\n".join(
        f"svg:has(.n{number}:hover) .e{number} .line{{stroke:#db2777;stroke-width:2.4;marker-end:url(#hot)}}"
        for number in numbers
    )
    return f"\n{_FIXED}{sheet(0)}\n@media (prefers-color-scheme:dark){{\n{sheet(1)}\n}}\n{hovered}\n"


def _caption(drawing: Drawing) -> str:
    told = f"{_count(len(drawing.nodes), 'CI', 'CIs')}, {_count(len(drawing.edges), 'dependency', 'dependencies')}"
    if drawing.outside:
        told += f"; {_count(drawing.outside, 'more leads', 'more lead')} to CIs that are not shown"
    return f"{told}. Who depends stands above whom it needs."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _legend(drawing: Drawing, dashes: dict[str, str]) -> Iterator[tuple[float, str]]:
    """(width, content) of everything there is to explain."""

    def entry(picture: str, words: str) -> tuple[float, str]:
        return 48 + _wide(words, 6.4), f'{picture}<text class="faint small" x="40" y="4">{_text(words)}</text>'

    boxes = [("service", "service", any(node.service for node in drawing.nodes))]
    boxes += [("unwatched", "not monitored", any(not node.monitored for node in drawing.nodes))]
    boxes += [(mark.value, _MARKED[mark], any(node.mark is mark for node in drawing.nodes)) for mark in Mark]
    for name, words, there in boxes:
        if there:
            corner = 7 if name == "service" else 3
            box = f'<rect class="box" x="2" y="-8" width="30" height="16" rx="{corner}"/>'
            yield entry(f'<g class="{name}">{box}</g>', words)
    for kind, dash in dashes.items():
        if kind or len(dashes) > 1:
            drawn = f' stroke-dasharray="{dash}"' if dash else ""
            line = f'<path class="line" d="M0 0H32"{drawn} marker-end="url(#tip)"/>'
            yield entry(line, kind or "no kind stated")
    if any(edge.undirected for edge in drawing.edges):
        yield entry('<path class="line" d="M0 0H32"/>', "no arrow: direction not known")
    if any(node.groups for node in drawing.nodes):
        yield entry(
            '<rect class="tag" x="0" y="-7" width="32" height="14" rx="7"/>', "group: so many of so many are needed"
        )


_MARKED: Final = {Mark.FOCUS: "the CI asked for", Mark.ROOT: "root cause", Mark.AFFECTED: "affected"}


def _flow(entries: Sequence[tuple[float, str]], width: float) -> list[list[tuple[float, str]]]:
    """Entries in lines, each with its place."""
    lines: list[list[tuple[float, str]]] = []
    x = 0.0
    for wide, content in entries:
        if not lines or x + wide > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, content))
        x += wide + 10
    return lines


# text


def _short(text: str) -> str:
    """The text as far as a box has room, cut in the middle: names often differ at their ends."""
    text = plain(text)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}…{text[-half + 1 :]}"


def _wide(text: str, each: float) -> float:
    """How wide the text is about, in pixels."""
    return sum(each * (1.75 if east_asian_width(character) in "WF" else 1.0) for character in text)


def _text(text: str, *, lines: bool = False) -> str:
    """The text as content of an element."""
    if lines:
        return "\n".join(map(_text, text.split("\n")))
    return escape(plain(text), {'"': "&quot;", "'": "&#39;"})


def _n(number: float) -> str:
    """A number with one decimal at most."""
    return f"{number:.1f}".removesuffix(".0")
