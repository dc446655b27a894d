"""How commands speak: data to stdout, everything for people to stderr, colour only on a terminal and unless NO_COLOR.

Consoles are made per call, because streams may be replaced (tests, pipes). rich is imported only when a table is due.
"""

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE: Final = 160
"""Columns where no terminal sets a width: a table in a file or a pipe is not squeezed."""


class Format(StrEnum):
    """What a command prints: for people or for programs."""

    TABLE = "table"
    JSON = "json"


def say(line: str) -> None:
    """One line for people, as it is: never wrapped, never taken for markup."""
    sys.stderr.write(f"{line}\n")


def write_json(value: object) -> None:
    """One JSON document on stdout."""
    write_line(to_json(value))


def write_line(text: bytes) -> None:
    """One line of data on stdout."""
    sys.stdout.write(text.decode() + "\n")


def write_text(text: str, path: Path | None) -> None:
    """`text` into a file, or on stdout; a file that cannot be written ends the command with exit code 2."""
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as failed:
        say(f"{path}: cannot be written: {failed.strerror or failed}")
        raise typer.Exit(2) from None


def to_json(value: object) -> bytes:
    """`value` as one line of JSON: dataclasses and structs become objects."""
    import msgspec

    return msgspec.json.encode(value)


def console(stream: TextIO, wide: int = WIDE) -> "Console":
    """A console for tables on this stream, so wide where there is no terminal."""
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else wide)


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    to: TextIO | None = None,
    wide: int = WIDE,
) -> None:
    """A table on stdout (or `to`); columns whose name starts with `#` hold numbers.

    `wide`: columns at most, where there is no terminal.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console(to or sys.stdout, wide).print(table)
