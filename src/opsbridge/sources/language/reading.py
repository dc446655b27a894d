"""Mapping files read and checked: everything that is wrong is reported at once with its place.

Errors: SourceError (an operator's configuration). `catalogue` and `opsbridge sources check` call this.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as File
from typing import Final

from pydantic import ValidationError

from opsbridge.documents import (
    Document,
    DocumentError,
    Fault,
    Finding,
    Spot,
    dotted,
    from_validation,
    place,
    read_documents,
    shown,
)
from opsbridge.documents.text import Loc, ParseError
from opsbridge.sources.language.expressions import Reader
from opsbridge.sources.language.function import SEVERITIES, STATES, outcomes
from opsbridge.sources.language.model import PATTERNS, MappingModel, known_fields
from opsbridge.sources.language.regex import compile_search
from opsbridge.sources.language.terms import (
    COMPUTED,
    HEADERS,
    PAYLOAD,
    Alternative,
    Expr,
    Labels,
    Mapping,
    Path,
    Skip,
)
from opsbridge.sources.language.walking import paths_in
from opsbridge.sources.source import AUTO, CANONICAL

SAMPLES: Final = (".samples.yaml", ".samples.yml", ".samples.json")
"""How the names of sample files end, which stand beside mapping files."""

_SUFFIXES: Final = (".yaml", ".yml", ".json")


class SourceError(DocumentError):
    """Mapping files that cannot be used; `findings` has every reason."""


@dataclass(slots=True)
class _Complaining:
    """Puts complaints about a document among the faults, and counts them."""

    document: Document
    subject: str
    faults: list[Fault]
    count: int = 0

    def __call__(self, loc: Loc, message: str, *, key: bool = False) -> None:
        self.count += 1
        named = ": ".join(filter(None, (self.subject, dotted(loc))))
        self.faults.append(Fault(Spot(self.document, loc, key), named, message))


def mapping_files(paths: Iterable[str | os.PathLike[str]]) -> list[File]:
    """The mapping files that these paths name; a directory stands for those in it, samples and hidden ones left out."""
    files: list[File] = []
    for named in paths:
        path = File(named)
        if path.is_dir():
            files += sorted(
                each
                for each in path.rglob("*")
                if each.name.endswith(_SUFFIXES)
                and not each.name.endswith(SAMPLES)
                and not any(part.startswith(".") for part in each.relative_to(path).parts)
            )
        else:
            files.append(path)
    return files


def read_mappings(paths: Iterable[str | os.PathLike[str]]) -> tuple[dict[str, Mapping], list[Finding]]:
    """The mappings in these files and directories by name, and what is odd; SourceError if any is wrong."""
    documents, findings = read_documents(mapping_files(paths))
    faults: list[Fault] = []
    mappings: dict[str, Mapping] = {}
    first: dict[str, Spot] = {}
    for document in documents:
        mapping = _mapping(document, faults)
        if mapping is None:
            continue
        at = Spot(document, ("source",))
        if mapping.source in first:
            faults.append(
                Fault(at, f"source {mapping.source}", "is told by another file, at", related=first[mapping.source])
            )
        first.setdefault(mapping.source, at)
        mappings[mapping.source] = mapping
    findings += _placed(faults)
    if any(finding.level == "error" for finding in findings):
        raise SourceError(findings)
    return mappings, findings


def _placed(faults: list[Fault]) -> list[Finding]:
    try:
        return place(faults)
    except (OSError, ParseError):  # the file has changed since it was read
        return [Finding(fault.spot.document.path, 0, 0, fault.subject, fault.message, fault.level) for fault in faults]


def _mapping(document: Document, faults: list[Fault]) -> Mapping | None:
    """The mapping in a document; None if there were complaints."""
    said = document.value
    name = said.get("source") if isinstance(said, dict) else None
    complain = _Complaining(document, f"source {name}" if isinstance(name, str) else "", faults)
    try:
        model = MappingModel.model_validate(said)
    except ValidationError as invalid:
        for loc, key, message in from_validation(invalid, known_fields, PATTERNS):
            complain(loc, message, key=key)
        return None
    if model.source in (AUTO, CANONICAL):
        complain(("source",), f"{model.source} is built in; choose another name")
    if model.source != (stem := File(document.path).stem):
        complain(("source",), f"is {model.source}, and the file {stem}; they must be the same")
    mapping = _read(model, complain)
    _checked(mapping, complain)
    return None if complain.count else mapping


def _read(model: MappingModel, complain: _Complaining) -> Mapping:
    reader = Reader(complain)
    each = {name: _options(reader, said, ("each", name)) for name, said in model.each.items()}
    lets = {name: reader.let(said, ("let", name)) for name, said in model.let.items()}
    skip = tuple(
        Skip(said.reason, reader.conditions(said.when, ("skip", number, "when")))
        for number, said in enumerate(model.skip)
    )
    fields: dict[str, Expr] = {}
    given = {info.alias or name: getattr(model.fields, name) for name, info in type(model.fields).model_fields.items()}
    for field in COMPUTED:
        if given[field] is not None:
            read = reader.time if field == "time" else reader.expression
            fields[field] = read(given[field], ("fields", field))
        reader.computed = (*reader.computed, field)
    labels = model.fields.labels
    recognise = tuple(
        Alternative(
            tuple((of, wanted) for of, wanted in reader.conditions(said, ("recognise", number)) if isinstance(of, Path))
        )
        for number, said in enumerate(model.recognise)
    )
    return Mapping(
        source=model.source,
        title=model.title,
        payload=model.payload,
        fields=fields,
        labels=Labels(
            tuple(reader.path(said, ("fields", "labels", "from", number)) for number, said in enumerate(labels.from_)),
            tuple(
                (name, reader.expression(said, ("fields", "labels", "add", name))) for name, said in labels.add.items()
            ),
            frozenset(labels.without),
        ),
        patterns=tuple(model.patterns),
        recognise=recognise,
        priority=model.priority,
        lets=lets,
        each=each,
        skip=skip,
        by_key=model.by_key,
        path=complain.document.path,
    )


def _options(reader: Reader, said: object, loc: Loc) -> tuple[Path, ...]:
    if isinstance(said, list) and said:
        return tuple(reader.path(each, (*loc, number)) for number, each in enumerate(said))
    return (reader.path(said, loc),)


def _checked(mapping: Mapping, complain: _Complaining) -> None:
    """What the parts say about each other."""
    if (mapping.payload == "text") != bool(mapping.patterns):
        complain(("patterns",), "are for `payload: text`, which needs at least one")
    groups: set[str] = set()
    for number, pattern in enumerate(mapping.patterns):
        try:
            groups |= compile_search(pattern)[1].keys()
        except ValueError as refused:
            complain(("patterns", number), str(refused))
    taken = {PAYLOAD, HEADERS}
    known = set(taken)
    for kind, names in (("each", mapping.each), ("let", mapping.lets)):
        for name in names:
            if name in taken:
                complain((kind, name), "is the name of another root", key=True)
            taken.add(name)
    order = list(mapping.each)
    for number, (name, options) in enumerate(mapping.each.items()):
        for option in options:
            if option.root in order[number:]:
                complain(("each", name), f"refers to {option.root}, whose items come later")
    for name, let in mapping.lets.items():
        for path in paths_in(let):
            if path.root in mapping.lets and path.root not in known:
                complain(("let", name), f"refers to {path.root}, which is derived later")
        known.add(name)
    if mapping.payload == "text":
        _only_groups(mapping, groups | {"text"}, complain)
    if mapping.by_key and "fingerprint" not in mapping.fields:
        complain(("by_key",), "needs `fields.fingerprint`, the key that alerts are kept by")
    if not mapping.by_key:
        for field in ("ci", "class"):
            if field not in mapping.fields:
                complain(("fields",), f"has no {field}, which every event needs (with `by_key`, not resolutions)")
    for field, allowed in (("state", STATES), ("severity", SEVERITIES)):
        if field in mapping.fields and (counted := outcomes(mapping.fields[field])) is not None:
            for value in sorted(counted - allowed):
                complain(("fields", field), f"can be {shown(value)}; known are {', '.join(sorted(allowed))}")


def _only_groups(mapping: Mapping, groups: set[str], complain: _Complaining) -> None:
    """Paths of a text begin at a group of its patterns: a misspelt one would never be there."""
    known = groups | {PAYLOAD, HEADERS} | mapping.lets.keys() | mapping.each.keys()
    parts: dict[str, object] = {f"fields.{name}": said for name, said in mapping.fields.items()}
    parts |= {
        "fields.labels": mapping.labels,
        "skip": mapping.skip,
        "recognise": mapping.recognise,
        "each": mapping.each,
    }
    parts |= {f"let.{name}": said for name, said in mapping.lets.items()}
    for place_, said in parts.items():
        for path in paths_in(said):
            if path.root not in known:
                complain(tuple(place_.split(".")), f"{path.root} is no group of the patterns, nor a name of `let`")
