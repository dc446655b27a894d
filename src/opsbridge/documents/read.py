"""Finding the files an operator names, reading them into documents, and telling where in them something is.

A directory stands for every *.yaml, *.yml and *.json below it, in the order of their paths; hidden names are left out
(editors' and Kubernetes' own files). Called by the rooms that give files a meaning.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from opsbridge.documents import json_text, yaml_text
from opsbridge.documents.findings import Document, Fault, Finding, Spot
from opsbridge.documents.text import Loc, ParseError, walk

SUFFIXES: Final = (".json", ".yaml", ".yml")


def read_documents(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Document], list[Finding]]:
    """All documents of these files and directories, each file once, and what is wrong or odd about the files."""
    documents: list[Document] = []
    findings: list[Finding] = []
    seen: set[Path] = set()
    for named in paths:
        path = Path(named)
        files = list(_files(path)) if path.is_dir() else [path]
        if not files:
            patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
            findings.append(Finding(str(path), 0, 0, "", f"no files here ({patterns})", "warning"))
        for file in files:
            if (resolved := file.resolve()) not in seen:
                seen.add(resolved)
                _read(file, documents, findings)
    return documents, findings


def place(faults: Sequence[Fault]) -> list[Finding]:
    """The faults as findings with line and column, in the order of files and lines; reads the files concerned again."""
    wanted: dict[str, set[Loc]] = {}
    for fault in faults:
        for spot in filter(None, (fault.spot, fault.related)):
            way = (spot.document.number, *spot.loc)
            wanted.setdefault(spot.document.path, set()).update(way[:length] for length in range(1, len(way) + 1))
    places = {path: _places(Path(path), ways) for path, ways in wanted.items()}
    findings = []
    for fault in faults:
        message = fault.message
        if fault.related is not None:
            message += " {}:{}:{}".format(fault.related.document.path, *_find(places, fault.related))
        line, column = _find(places, fault.spot)
        findings.append(Finding(fault.spot.document.path, line, column, fault.subject, message, fault.level))
    return sorted(findings)


def _files(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


def _read(file: Path, documents: list[Document], findings: list[Finding]) -> None:
    try:
        values = _format(file).parse(_text(file))
    except OSError as failed:
        findings.append(Finding(str(file), 0, 0, "", f"cannot be read: {failed.strerror or failed}"))
        return
    except ParseError as broken:
        findings.append(Finding(str(file), broken.line, broken.column, "", broken.message))
        return
    if all(value is None for value in values):
        findings.append(Finding(str(file), 1, 1, "", "the file is empty", "warning"))
    documents += [Document(str(file), number, value) for number, value in enumerate(values) if value is not None]


def _format(file: Path):  # type: ignore[no-untyped-def]  # one of two modules with the same two functions
    return json_text if file.suffix == ".json" else yaml_text


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        before = content[: broken.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig")) + 1
        raise ParseError(line, column, f"not UTF-8 text: byte 0x{content[broken.start]:02x}") from None


def _places(file: Path, wanted: set[Loc]) -> dict[tuple[Loc, bool], tuple[int, int]]:
    nodes = _format(file).nodes(_text(file))
    return {(loc, key): (node.line, node.column) for loc, key, node in walk(nodes) if loc in wanted}


def _find(places: dict[str, dict[tuple[Loc, bool], tuple[int, int]]], spot: Spot) -> tuple[int, int]:
    """The spot's place, else that of the nearest value around it."""
    known = places[spot.document.path]
    way = (spot.document.number, *spot.loc)
    if spot.key and (way, True) in known:
        return known[way, True]
    while way and (way, False) not in known:
        way = way[:-1]
    return known.get((way, False), (1, 1))
