"""Every path in an expression or in a whole mapping, in the order of the file."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from opsbridge.sources.language.terms import Path


def paths_in(said: object) -> Iterator[Path]:
    """The paths that stand anywhere in this piece of a mapping."""
    if isinstance(said, Path):
        yield said
    elif isinstance(said, tuple):
        for each in said:
            yield from paths_in(each)
    elif isinstance(said, dict):
        for each in said.values():
            yield from paths_in(each)
    elif is_dataclass(said):
        for field in fields(said):
            yield from paths_in(getattr(said, field.name))
