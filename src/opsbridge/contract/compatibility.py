"""What a new schema takes back of what an old one has promised: to readers of what we write, to writers of the rest.

Schemas are those that documents.py generates: objects, arrays, enumerations, patterns, `anyOf` and references; what is
not among these is compared as a whole. Field by field, with the place of each break.
"""

from collections.abc import Iterator
from typing import Literal

from opsbridge.contract.documents import Document

Writer = Literal["opsbridge", "others"]


def breaks(old: Document, new: Document, written_by: Writer) -> list[str]:
    """What no longer holds, one line each with its place; empty if every reader and writer of old can go on.

    What we write: no field may go, become optional, or change its type; values of an enumeration may come, since
    readers were told to expect what they do not know. What others write: no field may go or become required, and
    everything that was accepted still has to be.
    """
    return list(_compare(old, new, old, new, written_by, "$"))


def _compare(
    old: Document, new: Document, old_all: Document, new_all: Document, writer: Writer, place: str
) -> Iterator[str]:
    old, new = _resolved(old, old_all), _resolved(new, new_all)
    if "properties" in old and "properties" in new:
        yield from _objects(old, new, old_all, new_all, writer, place)
        return
    if "items" in old and "items" in new:
        yield from _compare(old["items"], new["items"], old_all, new_all, writer, f"{place}[]")
        return
    for choice in ("oneOf", "anyOf"):
        if choice in old and choice in new:
            yield from _choices(old[choice], new[choice], old_all, new_all, writer, place)
            return
    if writer == "others" and "oneOf" in new:  # there was one kind, now there are several
        yield from _choices([old], new["oneOf"], old_all, new_all, writer, place)
        return
    if "enum" in old and "enum" in new:
        if gone := [value for value in old["enum"] if value not in new["enum"]]:
            yield f"{place}: no longer one of {gone}"
        return
    if _core(old) != _core(new):
        yield f"{place}: was {_core(old)}, is {_core(new)}"


def _objects(
    old: Document, new: Document, old_all: Document, new_all: Document, writer: Writer, place: str
) -> Iterator[str]:
    were, are = old["properties"], new["properties"]
    required_before, required_now = set(old.get("required", ())), set(new.get("required", ()))
    for name in were:
        if name not in are:
            yield f"{place}.{name}: is gone"
        else:
            yield from _compare(were[name], are[name], old_all, new_all, writer, f"{place}.{name}")
    changed = required_before - required_now if writer == "opsbridge" else required_now - required_before
    word = "is no longer always there" if writer == "opsbridge" else "has become required"
    yield from (f"{place}.{name}: {word}" for name in sorted(changed) if name in are)


def _choices(
    old: list[Document], new: list[Document], old_all: Document, new_all: Document, writer: Writer, place: str
) -> Iterator[str]:
    """Each old choice has to have its like among the new ones; those with a name have one of the same name."""
    for before in old:
        found = [list(_compare(before, after, old_all, new_all, writer, place)) for after in new]
        named = [breaking for after, breaking in zip(new, found, strict=True) if "$ref" in before and after == before]
        if not any(not breaking for breaking in found):
            yield from min(named or found, key=len, default=[f"{place}: a choice is gone"])


def _resolved(schema: Document, whole: Document) -> Document:
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = whole["$defs"][name]
    return schema


def _core(schema: Document) -> Document:
    """What of a schema decides about values."""
    return {key: value for key, value in schema.items() if key not in ("description", "default", "examples", "$defs")}
