"""JSON texts: plain values by the standard library, and the nodes of a text when a position is asked for.

The standard library is as fast here as orjson would be and, unlike it, says when a key is said twice.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NoReturn

from opsbridge.documents.text import Loc, Node, Nodes, ParseError, walk

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class _NotJSONError(Exception):
    """A constant that the standard library would take."""


def parse(text: str) -> list[object]:
    """The one document of a JSON text, none if it is blank; ParseError for NaN and keys said twice as well."""
    repeats = 0

    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeats
        value = dict(pairs)
        repeats += len(pairs) - len(value)
        return value

    def refuse(constant: str) -> NoReturn:
        raise _NotJSONError(constant)

    if not text.strip():
        return []
    try:
        value: object = json.loads(text, object_pairs_hook=mapping, parse_constant=refuse)
    except json.JSONDecodeError as broken:
        raise ParseError(broken.lineno, broken.colno, f"broken JSON: {broken.msg}") from None
    except _NotJSONError as broken:
        constant = str(broken)
        place = next((line, column) for token, line, column in _tokens(text) if token == constant)
        raise ParseError(*place, f"broken JSON: {constant} is not a JSON value") from None
    except RecursionError:
        raise ParseError(1, 1, "broken JSON: nested too deeply") from None
    except ValueError:  # an integer of thousands of digits
        raise ParseError(1, 1, "broken JSON: a number has too many digits") from None
    if repeats:
        raise _first_repeat(text)
    return [value]


def nodes(text: str) -> Nodes:
    """The nodes of a text that parses."""
    for token, line, column in _tokens(text):
        match token[0]:
            case "{":
                yield Node("mapping", "", line, column)
            case "[":
                yield Node("list", "", line, column)
            case "}" | "]":
                yield Node("end", "", line, column)
            case "," | ":":
                pass
            case '"':
                yield Node("scalar", json.loads(token), line, column)
            case _:
                yield Node("scalar", token, line, column)


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    for token in _TOKEN.finditer(text):
        line = bisect_right(line_starts, token.start())
        yield token.group(), line, token.start() - line_starts[line - 1] + 1


def _first_repeat(text: str) -> ParseError:
    """Where a key is said the second time, in a text known to have such a place."""
    seen: set[Loc] = set()
    for loc, key, node in walk(nodes(text)):
        if key and loc in seen:
            return ParseError(node.line, node.column, f"the key {node.text!r} is said twice")
        if key:
            seen.add(loc)
    raise AssertionError("no key is said twice")
