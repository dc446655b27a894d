"""What both file formats share: the error for broken text, and the stream of nodes that positions are found in."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

Loc = tuple[str | int, ...]
"""The way to a value: the document's number in its file, then keys of mappings and indexes of lists."""


class ParseError(ValueError):
    """Text that is not the format it should be; line and column count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line, self.column, self.message = line, column, message
        super().__init__(f"{line}:{column}: {message}")


class Node(NamedTuple):
    """A piece of a text that parses: a mapping or list that opens or ends, or a scalar (value or key) with its text."""

    kind: Literal["mapping", "list", "end", "scalar"]
    text: str
    line: int
    column: int


Nodes = Iterator[Node]


def walk(nodes: Nodes) -> Iterator[tuple[Loc, bool, Node]]:
    """(way, is it the key itself, node) of every key and value, in the text's order."""
    way: list[str | int | None] = [0]  # None: in a mapping, before a key
    in_mapping = [False]
    for node in nodes:
        if node.kind == "end":
            in_mapping.pop()
            way.pop()
        elif way[-1] is None:
            way[-1] = node.text
            yield cast("Loc", tuple(way)), True, node
            continue
        else:
            yield cast("Loc", tuple(way)), False, node
            if node.kind != "scalar":
                in_mapping.append(node.kind == "mapping")
                way.append(None if in_mapping[-1] else 0)
                continue
        way[-1] = None if in_mapping[-1] else cast("int", way[-1]) + 1
