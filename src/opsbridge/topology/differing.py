"""What is different between two topologies: CIs, their attributes, dependencies and groups; not which file says what.

Called by `opsbridge topology diff`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from opsbridge.topology.model import CIEntry, Dependency, Link, Member, Need, TopologyDocument

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is there in only one of the two, or is another."""

    what: Literal["ci", "attribute", "dependency", "group"]
    ci: str
    """The CI; of a dependency, the dependent."""
    subject: str
    """The attribute, the provider or the group."""
    change: Change
    before: str = ""
    after: str = ""


_APART: Final = frozenset({"id", "depends_on", "needs"})


def differences(before: TopologyDocument, after: TopologyDocument) -> list[Difference]:
    """All differences between two topologies that are one document each, in the order of kinds and CIs."""
    return sorted([*_cis(before, after), *_edges(before, after), *_groups(before, after)])


def _cis(before: TopologyDocument, after: TopologyDocument) -> Iterator[Difference]:
    old, new = ({entry.id: entry for entry in document.cis} for document in (before, after))
    for ci in old.keys() - new.keys():
        yield Difference("ci", ci, "", "removed", before=old[ci].type)
    for ci in new.keys() - old.keys():
        yield Difference("ci", ci, "", "added", after=new[ci].type)
    for ci in old.keys() & new.keys():
        for name in CIEntry.model_fields.keys() - _APART:
            one, other = getattr(old[ci], name), getattr(new[ci], name)
            if one != other:
                yield Difference("attribute", ci, name, "changed", _shown(one), _shown(other))


def _edges(before: TopologyDocument, after: TopologyDocument) -> Iterator[Difference]:
    old, new = _edges_of(before), _edges_of(after)
    for ends in old.keys() | new.keys():
        one, other = old.get(ends), new.get(ends)
        if one == other:
            continue
        change: Change = "added" if one is None else "removed" if other is None else "changed"
        yield Difference("dependency", *ends, change, one or "", other or "")


def _edges_of(document: TopologyDocument) -> dict[tuple[str, str], str]:
    """(dependent, provider) to the types; peers as the two that they are, marked."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in document.cis:
        for said in entry.depends_on:
            on, kind = (said.on, said.type) if isinstance(said, Dependency) else (said, "")
            found.setdefault((entry.id, on), []).append(kind or "(no type)")
    for link in document.depends_on:
        if isinstance(link, Link):
            kind = link.type or "(no type)"
            found.setdefault((link.from_, link.on), []).append(f"{kind}, undirected" if link.undirected else kind)
    return {ends: "; ".join(sorted(kinds)) for ends, kinds in found.items()}


def _groups(before: TopologyDocument, after: TopologyDocument) -> Iterator[Difference]:
    old, new = _groups_of(before), _groups_of(after)
    for key in old.keys() | new.keys():
        one, other = old.get(key, []), new.get(key, [])
        gone, come = [each for each in one if each not in other], [each for each in other if each not in one]
        for index in range(max(len(gone), len(come))):
            was, is_now = (each[index] if index < len(each) else "" for each in (gone, come))
            change: Change = "added" if not was else "removed" if not is_now else "changed"
            yield Difference("group", *key, change, was, is_now)


def _groups_of(document: TopologyDocument) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for entry in document.cis:
        for need in entry.needs:
            found.setdefault((entry.id, need.name), []).append(_group(need))
    return {key: sorted(groups) for key, groups in found.items()}


def _group(need: Need) -> str:
    members = (f"{each.ci} x{each.weight}" if isinstance(each, Member) else each for each in need.of)
    return f"{need.at_least} of {', '.join(members)}" + (f" ({need.type})" if need.type else "")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
