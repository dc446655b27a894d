"""One layout for YAML texts: indentation by two, keys in a given order, and every word and comment of the author kept.

A text is read into pieces as they are written (never into values and back, which would lose quotes, comments and the
form of lists), and the pieces are put down again. What is in braces or brackets stays as it is written, except that a
line that gets too long is broken. Called by `rules.formatting`; what the keys mean is not known here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final, cast

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from opsbridge.documents.text import Loc

WIDTH: Final = 120
"""Lists and mappings in brackets are broken beyond this column; text never is."""

Rank = Callable[[Loc, str], int]
"""(way to a mapping, key) -> where the key belongs; keys of the same rank keep the order in which they are written."""

_PROPERTIES: Final = re.compile(r"[&!]\S*(?:[ \t]+[&!]\S*)*")


@dataclass(slots=True)
class _Raw:
    """A scalar, an alias, or a collection in brackets: as it is written."""

    text: str
    column: int
    below: bool
    """It begins on a line below its key."""
    items: tuple[int, ...] = ()
    """Where the items of a collection in brackets begin in the text."""
    nesting: tuple[tuple[int, int], ...] = ()
    """(where, 1 or -1): the brackets in the text that open and close."""


@dataclass(slots=True)
class _Entry:
    """A key or a dash, with its value and with the comments that belong to it."""

    value: "_Block | _Raw | None" = None
    name: str = ""
    key: str = ""
    """The key as written; empty in a list."""
    above: list[str] = field(default_factory=list)
    """Comments, and empty texts for blank lines."""
    beside: str = ""
    """The comment at the end of the line."""


@dataclass(slots=True)
class _Block:
    """A mapping or list that is written line by line."""

    mapping: bool
    column: int
    way: Loc
    properties: str = ""
    """Anchor and tag."""
    entries: list[_Entry] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    """Comments after the last entry."""


def laid_out(text: str, rank: Rank) -> str:
    """The text in the one layout. `text` must have been parsed without complaint; values and comments are the same."""
    reader = _Reader(text.replace("\r\n", "\n"))
    lines: list[str] = []
    for start, root, below in reader.documents():
        lines += start
        lines += _document(root, rank)
        lines += below
    return "".join(f"{line}\n" for line in _without_double_blanks(lines))


class _Reader:
    """Reads the pieces of a text in order; what lies between two pieces is indicators, blanks and comments."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events = list(_events(text))
        self._next = 0
        self._read_to = 0
        self._last: _Entry | None = None  # whose line the text before the next piece ends

    def documents(self) -> Iterator[tuple[list[str], _Entry | None, list[str]]]:
        """(lines before, the value, lines after) of each document."""
        start: list[str] = []
        root: _Entry | None = None
        known = False
        while not isinstance(event := self._take(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                if known:
                    yield start, root, []
                start, root, known = [], None, True
                if event.explicit:
                    start = [*self._comments(_start(event)), "---"]
                    self._read_to = _end(event)
                    self._last = None
            elif isinstance(event, ScalarEvent | AliasEvent | CollectionStartEvent):
                root = _Entry()
                self._value(event, root, (), -1, listed=True)
        yield start, root, self._comments(len(self._text))

    def _take(self) -> Event:
        event = self._events[self._next]
        self._next += 1
        return event

    def _value(self, event: Event, entry: _Entry, way: Loc, outer: int, *, listed: bool) -> None:
        """Read the value that begins with this event into the entry; `outer` is the column of the block around it."""
        start = _start(event)
        if not isinstance(event, CollectionStartEvent) or event.flow_style:
            below = "\n" in self._text[self._read_to : start]
            if entry.key:
                self._last = None  # a comment beside the key goes above it: the line may become the value's
            entry.above += self._comments(start)
            raw = entry.value = _Raw("", _column(event), below)
            end = self._brackets(event, raw) if isinstance(event, CollectionStartEvent) else _end(event)
            raw.text = _kept(self._text[start:end])
            self._read_to = start + len(raw.text)
            self._last = entry
            return
        if listed:
            entry.above += self._comments(start)
            self._read_to = start
        block = _Block(isinstance(event, MappingStartEvent), _column(event), way)
        if found := _PROPERTIES.match(self._text, start) if event.anchor or event.tag else None:
            block.properties = found[0]
            self._read_to = found.end()
            self._last = entry
        entry.value = block
        self._block(block, outer)

    def _block(self, block: _Block, outer: int) -> None:
        first = True
        while not isinstance(event := self._take(), CollectionEndEvent):
            entry = _Entry()
            block.entries.append(entry)
            if first and block.properties:
                block.column = _column(event) if block.mapping else self._dash(_start(event))
            first = False
            if not block.mapping:
                self._value(event, entry, (*block.way, len(block.entries) - 1), block.column, listed=True)
                continue
            entry.above += self._comments(_start(event))
            entry.key = self._text[_start(event) : _end(event)].rstrip()
            entry.name = event.value if isinstance(event, ScalarEvent) else ""
            self._read_to = _start(event) + len(entry.key)
            self._last = entry
            self._value(self._take(), entry, (*block.way, entry.name), block.column, listed=False)
        self._end_of(block, outer)

    def _dash(self, before: int) -> int:
        """The column of the dash before an item."""
        dash = self._text.rfind("-", self._read_to, before)
        return dash - self._text.rfind("\n", 0, dash) - 1

    def _end_of(self, block: _Block, outer: int) -> None:
        """Comments after the last entry belong to the block if they stand as deep as its entries do."""
        upcoming = next(event for event in self._events[self._next :] if _is_piece(event))
        stop = len(self._text) if isinstance(upcoming, StreamEndEvent) else _start(upcoming)
        line = self._text[self._text.rfind("\n", 0, stop) + 1 : stop + 1]
        if not isinstance(upcoming, StreamEndEvent | DocumentStartEvent):
            outer = max(outer, len(line) - len(line.lstrip()))
        position = self._text.find("\n", self._read_to, stop)
        taken = None
        while 0 <= position < stop:
            ends = self._text.find("\n", position + 1, stop)
            line = self._text[position + 1 : stop if ends < 0 else ends]
            indent = len(line) - len(line.lstrip())
            if line.strip() and not (line.lstrip().startswith("#") and indent >= block.column and indent > outer):
                break
            position = ends
            if line.strip():
                taken = stop if ends < 0 else ends
        if taken is not None:
            block.below += self._comments(taken)
            self._read_to = taken

    def _brackets(self, event: Event, raw: _Raw) -> int:
        """Where a collection in brackets ends; what it has in it goes to `raw`."""
        start = _start(event)
        items: list[int] = []
        nesting = [(0, 1)]
        depth, pieces = 1, 0
        step = 2 if isinstance(event, MappingStartEvent) else 1
        while depth:
            inner = self._take()
            if isinstance(inner, CollectionEndEvent):
                depth -= 1
                nesting.append((_end(inner) - 1 - start, -1))
                continue
            if depth == 1:
                if pieces % step == 0:
                    items.append(_start(inner) - start)
                pieces += 1
            if isinstance(inner, CollectionStartEvent):
                depth += 1
                nesting.append((_start(inner) - start, 1))
        raw.items, raw.nesting = tuple(items), tuple(nesting)
        return _end(inner)

    def _comments(self, until: int) -> list[str]:
        """Comments and blank lines up to there; one that ends the line of the piece before goes beside that."""
        beside, *lines = self._text[self._read_to : until].split("\n")
        found: list[str] = []
        if comment := _comment(beside):
            if self._last is None:
                found.append(comment)
            else:
                self._last.beside = comment
        found += [_comment(line) for line in lines[:-1] if not line.strip() or _comment(line)]
        if lines and _comment(lines[-1]):
            found.append(_comment(lines[-1]))
        self._read_to = until
        return found


def _events(text: str) -> Iterator[Event]:
    loader = yaml.CSafeLoader(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
    finally:
        loader.dispose()


def _is_piece(event: Event) -> bool:
    if isinstance(event, DocumentStartEvent):
        return bool(event.explicit)
    return isinstance(event, ScalarEvent | AliasEvent | CollectionStartEvent | StreamEndEvent)


def _start(event: Event) -> int:
    return cast("yaml.Mark", event.start_mark).index  # libyaml always says where


def _end(event: Event) -> int:
    return cast("yaml.Mark", event.end_mark).index


def _column(event: Event) -> int:
    return cast("yaml.Mark", event.start_mark).column


def _kept(text: str) -> str:
    """A piece without the blanks after it, which mean something only in a block of text marked with `+`."""
    return text.removesuffix("\n") if text[:1] in ("|", ">") and "+" in text[:3] else text.rstrip()


def _comment(line: str) -> str:
    """The comment in a piece of text that has nothing else but indicators; directives count as comments."""
    return line.strip() if line.startswith("%") else "".join(line.partition("#")[1:]).rstrip()


# writing


def _document(root: _Entry | None, rank: Rank) -> Iterator[str]:
    if root is None:
        return
    yield from root.above
    match root.value:
        case _Block():
            if root.value.properties or root.beside:
                yield f"{root.value.properties}{_beside(root)}".strip()
            yield from _block(root.value, 0, rank)
        case _Raw():
            yield f"{root.value.text}{_beside(root)}"


def _block(block: _Block, indent: int, rank: Rank) -> Iterator[str]:
    margin = " " * indent
    entries = sorted(block.entries, key=lambda entry: rank(block.way, entry.name)) if block.mapping else block.entries
    for number, entry in enumerate(entries):
        lines = _entry(entry, indent, block.column, rank)
        comments = entry.above if number else [*dropwhile(lambda line: not line, entry.above)]
        yield from (margin + line if line else "" for line in comments)
        yield from lines
    yield from (margin + line if line else "" for line in block.below)


def _entry(entry: _Entry, indent: int, was: int, rank: Rank) -> list[str]:
    """The entry's lines, one element each or one for a text of several lines."""
    margin = " " * indent
    head = f"{margin}{entry.key}:" if entry.key else f"{margin}-"
    value = entry.value
    if not isinstance(value, _Block):
        lines = [head] if value is None else _raw(value, head, indent, was, listed=not entry.key)
        lines[-1] += _beside(entry)
        return lines
    if entry.key or value.properties:
        properties = f" {value.properties}" if value.properties else ""
        return [head + properties + _beside(entry), *_block(value, indent + 2, rank)]
    lines = list(_block(value, indent + 2, rank))
    while lines[0].lstrip()[:1] in ("", "#"):  # above a key that was not the first
        entry.above.append(lines.pop(0).strip())
    lines[0] = f"{margin}- {lines[0].lstrip()}"
    return lines


def _raw(value: _Raw, head: str, indent: int, was: int, *, listed: bool) -> list[str]:
    """The lines of a value that is kept as it is written."""
    margin = " " * (indent + 2)
    text = value.text
    if not text:
        return [head]
    if "\n" in text:
        first, *others = text.split("\n")
        if value.nesting:
            first = first.rstrip()
            others = _nested(value, indent if not (value.below or listed) else indent + 2)
        else:
            moved = indent + 2 - value.column if value.below else indent - was
            others = [_moved(line, moved) for line in others]
        start = f"{head}\n{margin}{first}" if value.below and not listed else f"{head} {first}"
        return ["\n".join([start, *others])]
    joined = f"{head} {text}"
    fits_below = value.items and not listed and len(margin + text) <= WIDTH
    if fits_below and (value.below or len(joined) > WIDTH):
        return [head, margin + text]
    if not value.items or len(joined) <= WIDTH:
        return [joined]
    opening = [f"{head} {text[0]}"] if listed else [head, margin + text[0]]
    return [*opening, *_filled(value, margin + "  "), margin + text[-1]]


def _filled(value: _Raw, margin: str) -> Iterator[str]:
    """The items of a collection in brackets, as many to a line as fit."""
    ends = [*value.items[1:], len(value.text) - 1]
    line = ""
    for start, end in zip(value.items, ends, strict=True):
        item = value.text[start:end].strip()
        if line and len(margin) + len(line) + 1 + len(item) > WIDTH:
            yield margin + line
            line = item
        else:
            line = f"{line} {item}".strip()
    yield margin + line


def _nested(value: _Raw, indent: int) -> list[str]:
    """The lines after the first of a collection in brackets, each as deep as the brackets that are open there."""
    lines = []
    position = 0
    for line in value.text.split("\n"):
        bare = line.strip()
        begins = position + len(line) - len(line.lstrip())
        depth = sum(step for place, step in value.nesting if place < begins) - (bare[:1] in ("]", "}"))
        lines.append(" " * (indent + 2 * depth) + bare if bare else "")
        position += len(line) + 1
    return lines[1:]


def _moved(line: str, by: int) -> str:
    bare = line.lstrip(" ")
    return " " * max(len(line) - len(bare) + by, 0) + bare if bare.strip() else ""


def _beside(entry: _Entry) -> str:
    return f" {entry.beside}" if entry.beside else ""


def _without_double_blanks(lines: list[str]) -> Iterator[str]:
    """Never two blank lines together, none at either end; a text of several lines is one element, and left alone."""
    blank = True
    for number, line in enumerate(lines):
        if line or (not blank and any(lines[number:])):
            yield line
        blank = not line
