"""A file that is imported: its bytes as text, as parsed JSON or YAML, or as the rows of a table, each worked out once.

What it cannot be raises ParseError with a place; `importers.read` makes a finding of it.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Final

from opsbridge.documents import json_text, yaml_text
from opsbridge.documents.text import Loc, ParseError, walk

DELIMITERS: Final = ",;\t|"
_HEAD: Final = 65_536
_END: Final = "\0end of table\0"
"""A line after the last one; at the end of a longer cell only if a quote is still open."""
_UNPRINTED: Final = re.compile(r"[^a-z0-9.]+")


class Content:
    """What is in a file, whatever its name says."""

    def __init__(self, path: str, raw: bytes) -> None:
        self.path = path
        self.name = PurePath(path).name.lower()
        self._raw = raw

    @cached_property
    def text(self) -> str:
        """UTF-8, or UTF-16 with a byte order mark."""
        try:
            if self._raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                return self._raw.decode("utf-16")
            return self._raw.decode("utf-8-sig")
        except UnicodeDecodeError as broken:
            line = self._raw[: broken.start].count(b"\n") + 1
            column = broken.start - self._raw.rfind(b"\n", 0, broken.start)
            message = f"not {broken.encoding.upper()} text: byte 0x{self._raw[broken.start]:02x}"
            raise ParseError(line, column, message) from None

    @cached_property
    def head(self) -> str:
        """The beginning, for whoever wants to know what this is: never an error."""
        encoding = "utf-16" if self._raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return self._raw[:_HEAD].decode(encoding, errors="replace")

    @cached_property
    def is_json(self) -> bool:
        """Whether it begins as JSON objects and lists do; a YAML flow mapping does too."""
        return self.head.lstrip()[:1] in ("{", "[") and not self.name.endswith((".yaml", ".yml"))

    @cached_property
    def documents(self) -> list[object]:
        """The parsed documents, as JSON or else as YAML."""
        return json_text.parse(self.text) if self.is_json else yaml_text.parse(self.text)

    def places(self, wanted: set[Loc]) -> dict[Loc, tuple[int, int]]:
        """Line and column of these places in the documents."""
        nodes = json_text.nodes(self.text) if self.is_json else yaml_text.nodes(self.text)
        return {loc: (node.line, node.column) for loc, key, node in walk(nodes) if not key and loc in wanted}

    @cached_property
    def table(self) -> "Table":
        """The rows below a line of column names."""
        try:
            return Table(self.text, "")
        except ParseError as broken:
            message = (
                f"{broken.message} in line {broken.line}; read as windows-1252, look at names with such characters"
            )
            return Table(self._raw.decode("cp1252", errors="replace"), message)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: column names in lower case to what stands there, blanks stripped."""

    line: int
    cells: dict[str, str]
    odd: str = ""

    def get(self, *columns: str) -> str:
        """The first of these columns that has something."""
        return next((self.cells[column] for column in columns if self.cells.get(column)), "")


class Table:
    """A table in a text with delimiters, which are guessed from the line of column names."""

    def __init__(self, text: str, odd: str) -> None:
        self._text = text
        self.odd = odd
        """What is odd about the whole file; empty: nothing."""
        header = next(iter(text[:_HEAD].lstrip("\r\n").splitlines()), "")
        bare = re.sub(r'"[^"]*"', "", header)
        self._delimiter = max(DELIMITERS, key=bare.count)
        try:
            cells = next(csv.reader([header], delimiter=self._delimiter), [])
        except csv.Error as broken:
            raise ParseError(1, 1, f"broken table: {broken}") from None
        self.columns = [column_name(cell) for cell in cells]

    def rows(self) -> Iterator[Row]:
        """Every line that has anything in it; ParseError where the text cannot be read on."""
        body = self._text.lstrip("\r\n")
        blank = self._text[: len(self._text) - len(body)].count("\n")
        lines = [*io.StringIO(body, newline=""), _END]
        reader = csv.reader(lines, delimiter=self._delimiter)
        begins = blank + 1
        width = len(self.columns)
        try:
            for number, cells in enumerate(reader):
                line, begins = begins, blank + reader.line_num + 1
                if cells and cells[-1].endswith(_END):
                    if cells != [_END]:
                        raise ParseError(line, 1, "a quote in this line is not closed: left out, with all that follows")
                    return
                if number and any(map(str.strip, cells)):
                    odd = f"{len(cells)} columns, but the table has {width}" if len(cells) > width else ""
                    over = lines[line - blank - 1 : begins - blank - 1]
                    if len(over) > 1 and (len(cells) < width or not self._quoted(over)):
                        odd = f"is read as one line with the {len(over) - 1} below it: is a quote not closed?"
                    yield Row(line, {name: cell.strip() for name, cell in zip(self.columns, cells, strict=False)}, odd)
        except csv.Error as broken:
            raise ParseError(blank + reader.line_num, 1, f"broken table: {broken}") from None

    def _quoted(self, lines: list[str]) -> bool:
        """Whether quotes are only where cells begin and end, or doubled."""
        try:
            return bool(next(csv.reader(lines, delimiter=self._delimiter, strict=True)))
        except csv.Error:
            return False


def column_name(cell: str) -> str:
    """A column as importers ask for it: `Support group` and `support-group` are `support_group`."""
    return _UNPRINTED.sub("_", cell.strip().lower()).strip("_")
