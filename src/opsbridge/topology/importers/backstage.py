"""Backstage catalogues: the entities of catalog-info.yaml files, and what they say of each other.

References are `[kind:][namespace/]name`, without case; ids are the full form. Who consumes an API needs it, and an
API needs the component that provides it; a system needs its parts. Users, groups, locations, templates and domains
are no CIs.
"""

import re
from collections.abc import Mapping
from typing import Final

from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering, Place
from opsbridge.topology.importers.values import at, first, items, mapping, text, texts, unique

KINDS: Final = frozenset({"component", "resource", "api", "system"})
"""Kinds of entities that are CIs."""

PEOPLE_AND_PLACES: Final = frozenset({"user", "group", "location", "template", "domain"})

_CALLED_BY_NAME: Final = frozenset({"component", "resource"})
"""Events call these by their bare names."""

RELATIONS: Final[Mapping[str, tuple[str, str, bool]]] = {
    "dependsOn": ("component", "", False),
    "dependencyOf": ("component", "", True),
    "consumesApis": ("api", "calls", False),
    "providesApis": ("api", "runs_on", True),
    "subcomponentOf": ("component", "", True),
    "system": ("system", "", True),
}
"""Field of `spec` to the kind that a bare name means, the type of dependency, and whether what is named depends on the
entity rather than the other way round."""

ALIAS_ANNOTATIONS: Final = (
    "backstage.io/kubernetes-id",
    "pagerduty.com/service-id",
    "opsgenie.com/component",
    "argocd/app-name",
    "opsbridge/aliases",
)
"""Annotations that other tools know the entity by; several names have commas between them."""

_REFERENCE: Final = re.compile(r"(?:(?P<kind>[^:/]+):)?(?:(?P<namespace>[^:/]+)/)?(?P<name>[^:/]+)")


def recognises(content: Content) -> bool:
    """Any document of Backstage's API."""
    return any(text(at(each, "apiVersion")).startswith("backstage.io/") for each in content.documents)


def fill(content: Content, into: Gathering) -> None:
    """Every entity of every document."""
    for number, entity in enumerate(content.documents):
        if entity is None:
            continue
        kind = text(at(entity, "kind")).lower()
        name = text(at(entity, "metadata", "name")).lower()
        if kind in PEOPLE_AND_PLACES:
            continue
        if kind not in KINDS or not name:
            what = "no metadata.name" if kind in KINDS else f"of an unknown kind {kind!r}"
            into.warn((number,), name, f"an entity with {what}; left out" if not name else f"{what}; left out")
            continue
        _entity(into, number, kind, name, mapping(entity))


def _entity(into: Gathering, number: int, kind: str, name: str, entity: Mapping[str, object]) -> None:
    metadata, spec = mapping(entity.get("metadata")), mapping(entity.get("spec"))
    namespace = (text(metadata.get("namespace")) or "default").lower()
    annotations = mapping(metadata.get("annotations"))
    names = [part.strip() for key in ALIAS_ANNOTATIONS for part in text(annotations.get(key)).split(",")]
    ci = into.ci(
        (number,),
        {
            "id": f"{kind}:{namespace}/{name}",
            "type": text(spec.get("type")) if kind in _CALLED_BY_NAME else kind,
            "name": text(metadata.get("title")),
            "owner": _owner(spec),
            "environment": text(spec.get("lifecycle")),
            "service": True if kind == "system" else None,
            "links": texts([mapping(link).get("url") for link in items(metadata.get("links"))]),
            "aliases": unique([name if kind in _CALLED_BY_NAME else "", *names]),
        },
    )
    for field, (default_kind, edge, reverse) in RELATIONS.items() if ci else ():
        said = spec.get(field)
        if kind == "api" and field == "system":
            continue  # the component that provides it is a part already
        for index, reference in enumerate(texts(said if isinstance(said, list) else [said])):
            place: Place = (number, "spec", field, index) if isinstance(said, list) else (number, "spec", field)
            other = _resolved(reference, default_kind, namespace)
            if not other or other.partition(":")[0] not in KINDS:
                into.warn(place, ci, f"{field}: {reference!r} is no reference to an entity that can fail; left out")
            elif into.mention(place, other):
                into.depends(place, *((other, ci) if reverse else (ci, other)), edge)


def _resolved(reference: str, kind: str, namespace: str) -> str:
    """The full form of a reference, or nothing if it is none."""
    found = _REFERENCE.fullmatch(reference.lower())
    if found is None:
        return ""
    return f"{found['kind'] or kind}:{found['namespace'] or namespace}/{found['name']}"


def _owner(spec: Mapping[str, object]) -> str:
    """The owning group as people call it."""
    return first(spec.get("owner")).rpartition(":")[2].removeprefix("default/")
