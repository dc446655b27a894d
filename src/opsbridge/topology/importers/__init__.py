"""Topologies of other tools: what each format says becomes the native one, whatever of it cannot be used is a finding.

`read` takes a file's name and content and never raises for what is in it; FORMATS says which formats there are and by
what they are recognised. `uniting` makes documents of what several files say. Called by `opsbridge topology import`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from opsbridge.documents import Finding
from opsbridge.documents.text import ParseError
from opsbridge.topology.importers import (
    backstage,
    graphml,
    icinga,
    kubernetes,
    nagios,
    native,
    netbox,
    node_link,
    service_graph,
    servicenow,
    tables,
)
from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Direction, Gathering, Imported, Options, Part
from opsbridge.topology.importers.uniting import unite

__all__ = ["FORMATS", "Direction", "Format", "Imported", "Options", "Part", "read", "unite"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    name: str
    title: str
    recognises: Callable[[Content], bool]
    """Whether a file is of this kind; ParseError if it cannot even be parsed as what it would have to be."""
    fill: Callable[[Content, Gathering], None]
    """Reads it."""
    parses: bool = True
    """Whether its files are JSON or YAML."""


_ALL: Final[Sequence[Format]] = (
    Format("graphml", "GraphML", graphml.recognises, graphml.fill, parses=False),
    Format(
        "service-graph",
        "OpenTelemetry service-graph metrics",
        service_graph.recognises,
        service_graph.fill,
        parses=False,
    ),
    Format("icinga", "Icinga 2 configuration", icinga.recognises, icinga.fill, parses=False),
    Format("nagios", "Nagios object configuration", nagios.recognises, nagios.fill, parses=False),
    Format("kubernetes", "Kubernetes objects (kubectl get -o json)", kubernetes.recognises, kubernetes.fill),
    Format("backstage", "Backstage catalogue (catalog-info.yaml)", backstage.recognises, backstage.fill),
    Format("netbox", "NetBox API lists (JSON)", netbox.recognises, netbox.fill),
    Format("native", "OpsBridge topology (YAML or JSON)", native.recognises, native.fill),
    Format("node-link", "node-link JSON", node_link.recognises, node_link.fill),
    Format(
        "servicenow",
        "ServiceNow cmdb_rel_ci and cmdb_ci exports (CSV or JSON)",
        servicenow.recognises,
        servicenow.fill,
        parses=False,
    ),
    Format("csv", "tables of CIs or of dependencies (CSV)", tables.recognises, tables.fill, parses=False),
)

FORMATS: Final[dict[str, Format]] = {each.name: each for each in _ALL}
"""All formats by name, in the order in which they are asked whether a file is theirs."""

_TABLES: Final = (".csv", ".tsv", ".txt")


def read(path_name: str, content: bytes, options: Options | None = None, format_name: str | None = None) -> Imported:
    """What a file says, in the native format; raises KeyError for a format that there is not, and nothing else.

    Without `format_name` the content is recognised. A file that nobody can read, or only in part, has findings of the
    level error.
    """
    options = options or Options()
    there = Content(path_name, content)
    into = Gathering(path_name, options, there.places)
    found = FORMATS[format_name] if format_name is not None else None
    try:
        if found is None:
            found = _recognised(there)
        if found is None:
            names = ", ".join(each.name for each in _ALL)
            why = f"not recognised as any of {names}; say --format if it is one" if content.strip() else "is empty"
            into.warn(0, "", why, level="error")
            return Imported("", (), tuple(into.findings()))
        found.fill(there, into)
    except ParseError as broken:
        return _ended(found, into, Finding(path_name, broken.line, broken.column, "", broken.message))
    except RecursionError:
        return _ended(found, into, Finding(path_name, 0, 0, "", "nested too deeply"))
    return _ended(found, into)


def _ended(found: Format | None, into: Gathering, broken: Finding | None = None) -> Imported:
    """What was read, up to where it broke."""
    name = found.name if found else ""
    if name != "native" or into.cis:
        into.close(into.options.origin or (name if name != "native" else ""), into.options.precedence or 0)
    if broken is not None:
        into.locate = None
    parts = tuple(part for part in into.parts if part.document.cis or part.document.depends_on)
    return Imported(name, parts, (*into.findings(), *([broken] if broken else [])))


def _recognised(content: Content) -> Format | None:
    """The format of a file; ParseError if it is broken JSON or YAML and nothing else."""
    broken: ParseError | None = None
    is_table = content.name.endswith(_TABLES)
    for each in _ALL:
        if each.parses and (broken is not None or (is_table and not content.is_json)):
            continue
        try:
            if each.recognises(content):
                return each
        except ParseError as failed:
            broken = failed
    if broken is not None and (content.is_json or content.name.endswith((".json", ".yaml", ".yml"))):
        raise broken
    return None
