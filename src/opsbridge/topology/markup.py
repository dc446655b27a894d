"""A drawing as text for other programs: DOT for Graphviz, Mermaid for pages that render it.

Names of CIs are never names there: nodes are n0, n1, ... and what people read is quoted, so that no id can be taken
for markup. Called by `opsbridge topology show`.
"""

import re
from typing import Final

from opsbridge.topology.drawing import Drawing, Mark, Node, plain

_FILLS: Final = {Mark.FOCUS: "#fde68a", Mark.ROOT: "#fca5a5", Mark.AFFECTED: "#fed7aa"}
_SERVICE: Final = "#dbeafe"

_MERMAID_SAFE: Final = re.compile(r"[A-Za-z0-9 ._:/@,()+\-]|[^\x00-\x7f]")
"""What stands for itself in a quoted text of Mermaid; all else is written as its code."""


def to_dot(drawing: Drawing) -> str:
    """The drawing for `dot -Tsvg`."""
    lines = [
        "digraph topology {",
        f"  label={_dot(_caption(drawing))};",
        '  labelloc=t; rankdir=TB; fontname="sans-serif";',
        '  node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    for node in drawing.nodes:
        looks = {"label": _dot(node.id, *([node.type] if node.type else []), *node.groups)}
        looks["tooltip"] = _dot("; ".join(f"{name}: {value}" for name, value in node.facts) or node.id)
        fill = _fill(node)
        if fill:
            looks["fillcolor"] = f'"{fill}"'
        if node.service:
            looks["penwidth"] = "2"
        if not node.monitored:
            looks["style"] = '"rounded,filled,dashed"'
        lines.append(f"  n{node.number} [{_attributes(looks)}];")
    for edge in drawing.edges:
        looks = {"tooltip": _dot(drawing.words(edge))}
        if edge.kind:
            looks["label"] = _dot(edge.kind)
        if edge.undirected:
            looks["dir"] = "none"
        if edge.groups and not edge.needed:
            looks["style"] = "dashed"
        lines.append(f"  n{edge.dependent} -> n{edge.provider} [{_attributes(looks)}];")
    return "\n".join([*lines, "}", ""])


def to_mermaid(drawing: Drawing) -> str:
    """The drawing as a flow chart of Mermaid."""
    lines = ["flowchart TB", f"  %% {_comment(_caption(drawing))}"]
    for node in drawing.nodes:
        rows = [node.id, *([node.type] if node.type else []), *node.groups]
        text = "<br/>".join(map(_mermaid, rows))
        left, right = ('(["', '"])') if node.service else ('["', '"]')
        lines.append(f"  n{node.number}{left}{text}{right}")
    for edge in drawing.edges:
        arrow = "---" if edge.undirected else "-.->" if edge.groups and not edge.needed else "-->"
        label = f'|"{_mermaid(edge.kind)}"|' if edge.kind else ""
        lines.append(f"  n{edge.dependent} {arrow}{label} n{edge.provider}")
    for name, fill, members in _classes(drawing):
        if members:
            lines.append(f"  classDef {name} fill:{fill},stroke:#334155,color:#0f172a")
            lines.append(f"  class {','.join(members)} {name}")
    return "\n".join([*lines, ""])


def _classes(drawing: Drawing) -> list[tuple[str, str, list[str]]]:
    classes = [(f"{mark}_ci", fill, mark) for mark, fill in _FILLS.items()]
    found = [
        (name, fill, [f"n{node.number}" for node in drawing.nodes if node.mark is mark]) for name, fill, mark in classes
    ]
    services = [f"n{node.number}" for node in drawing.nodes if node.service and node.mark is None]
    return [("service_ci", _SERVICE, services), *found]


def _fill(node: Node) -> str:
    if node.mark is not None:
        return _FILLS[node.mark]
    return _SERVICE if node.service else ""


def _caption(drawing: Drawing) -> str:
    return f"{drawing.title}: {len(drawing.nodes)} CIs, {len(drawing.edges)} dependencies"


def _attributes(looks: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in looks.items())


def _dot(*lines: str) -> str:
    """A quoted text of these lines; a backslash is one, and no escape."""
    return '"' + r"\n".join(plain(line).replace("\\", r"\\").replace('"', r"\"") for line in lines) + '"'


def _mermaid(text: str) -> str:
    return "".join(each if _MERMAID_SAFE.match(each) else f"#{ord(each)};" for each in plain(text))


def _comment(text: str) -> str:
    """Braces after %% would be a directive."""
    return plain(text).replace("{", "(").replace("}", ")")
