"""Nagios object files: hosts with their parents, host groups, templates and dependencies.

A host needs one of its parents, as Nagios means it: it is unreachable when all of them are. A host dependency is a
dependency. Events of services are about their host, so a service dependency between two hosts is one of the hosts,
and within one host says nothing. Wildcards and exclusions in lists of hosts are not evaluated.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering
from opsbridge.topology.importers.values import unique

_BEGINS: Final = re.compile(r"define\s+(\w+)\s*\{?\s*(.*)")
_DEFINES: Final = re.compile(
    r"^\s*define\s+(host|service|hostgroup|hostdependency|servicedependency)\s*\{", re.MULTILINE
)
_NOT_NAMES: Final = re.compile(r"[*!?]")
_DEEPEST: Final = 50


@dataclass(slots=True)
class _Object:
    """A definition: where it begins and what it says."""

    line: int
    kind: str
    said: dict[str, str]


def recognises(content: Content) -> bool:
    """Any definition of a host or of what belongs to hosts."""
    return _DEFINES.search(content.head) is not None


def fill(content: Content, into: Gathering) -> None:
    """Hosts, then what depends on what."""
    objects = list(_objects(content.text, into))
    templates = {(each.kind, each.said["name"]): each for each in objects if "name" in each.said}
    hosts: list[_Object] = []
    known: _Templates = {}
    for each in objects:
        each.said = _inherited(each, templates, into, 0, known)
        if each.kind == "host" and each.said.get("register") != "0" and each.said.get("host_name"):
            hosts.append(each)
    groups = _groups(objects, hosts)
    for host in hosts:
        _host(into, host)
    for each in objects:
        if each.kind in ("hostdependency", "servicedependency") and each.said.get("register") != "0":
            _dependency(into, each, groups)


def _objects(text: str, into: Gathering) -> Iterator[_Object]:
    """Every definition; one that is not closed is a finding and ends with the file."""
    there: _Object | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if not line or line.startswith("#"):
            continue
        if begins := _BEGINS.match(line):
            if there is not None:
                into.warn(
                    there.line, "", f"define {there.kind}: is not closed before the next begins", alike="not closed"
                )
                yield there
            there = _Object(number, begins[1].lower(), {})
            line = begins[2]
        if there is None:
            continue
        closed = line.endswith("}")
        for part in line.removesuffix("}").split("\t\n"):
            name, _, value = part.strip().partition(" ") if " " in part.strip() else part.strip().partition("\t")
            if name:
                there.said[name.split("\t")[0].lower()] = " ".join([*name.split("\t")[1:], value]).strip()
        if closed:
            yield there
            there = None
    if there is not None:
        into.warn(there.line, "", f"define {there.kind}: is not closed before the file ends")
        yield there


_Templates = dict[tuple[str, str], dict[str, str]]
"""Kind and name of templates to what they say with all that they use: each is worked out once."""


def _inherited(
    each: _Object, templates: dict[tuple[str, str], _Object], into: Gathering, depth: int, known: _Templates
) -> dict[str, str]:
    """What it says itself, then what the templates that it uses say, the first first; `+` adds to what they say."""
    said = dict(each.said)
    for name in _names(said.pop("use", "")):
        key = each.kind, name
        if key not in known:
            template = templates.get(key)
            if template is None or depth > _DEEPEST:
                message = f"there is no template {name!r} for a {each.kind} here"
                into.warn(each.line, "use", message, alike="no template")
                continue
            known[key] = {}  # one that uses itself gets nothing by that
            known[key] = _inherited(template, templates, into, depth + 1, known)
        for field, value in known[key].items():
            if field in ("name", "register"):
                continue
            if field not in said:
                said[field] = value
            elif said[field].startswith("+"):
                said[field] = f"{value},{said[field][1:]}"
    return {
        field: value.removeprefix("+") if field != "name" else value for field, value in said.items() if value != "null"
    }


def _names(cell: str) -> list[str]:
    return unique([part.strip() for part in cell.split(",")])


def _groups(objects: list[_Object], hosts: list[_Object]) -> dict[str, list[str]]:
    """Host group to its hosts."""
    groups: dict[str, list[str]] = {}
    for each in objects:
        if each.kind == "hostgroup" and (name := each.said.get("hostgroup_name")):
            groups.setdefault(name, []).extend(_names(each.said.get("members", "")))
    for host in hosts:
        for name in _names(host.said.get("hostgroups", "")):
            groups.setdefault(name, []).append(host.said["host_name"])
    for each in objects:
        if each.kind == "hostgroup" and (name := each.said.get("hostgroup_name")):
            for member in _names(each.said.get("hostgroup_members", "")):
                groups[name] = unique([*groups[name], *groups.get(member, [])])
    return groups


def _host(into: Gathering, host: _Object) -> None:
    said = host.said
    ci = into.ci(
        host.line,
        {
            "id": said["host_name"],
            "type": said.get("_type", "host"),
            "name": said.get("display_name") or said.get("alias", ""),
            "owner": said.get("_owner", ""),
            "site": said.get("_site", ""),
            "environment": said.get("_environment", ""),
            "runbook": said.get("notes_url", "") if "$" not in said.get("notes_url", "") else "",
            "monitored": False
            if said.get("active_checks_enabled") == "0" == said.get("passive_checks_enabled")
            else None,
            "aliases": [said["address"]] if said.get("address", said["host_name"]) != said["host_name"] else [],
        },
    )
    parents = [parent for parent in _names(said.get("parents", "")) if into.mention(host.line, parent)]
    if ci and parents:
        into.needs(host.line, ci, parents, 1, "connects_via", "parents")


def _dependency(into: Gathering, each: _Object, groups: dict[str, list[str]]) -> None:
    providers = _hosts(into, each, groups, "host_name", "hostgroup_name")
    dependents = _hosts(into, each, groups, "dependent_host_name", "dependent_hostgroup_name")
    if not dependents and each.kind == "servicedependency":
        return  # services of the same host
    if not providers or not dependents:
        into.warn(each.line, "", f"define {each.kind}: names no host at one of its ends; left out", alike="no ends")
        return
    for dependent in dependents:
        for provider in providers:
            if dependent != provider and into.mention(each.line, dependent) and into.mention(each.line, provider):
                into.depends(each.line, dependent, provider)


def _hosts(into: Gathering, each: _Object, groups: dict[str, list[str]], field: str, group_field: str) -> list[str]:
    said = each.said.get(field) or each.said.get(field.replace("host_name", "host"), "")
    names = _names(said) + [host for group in _names(each.said.get(group_field, "")) for host in groups.get(group, [])]
    if odd := [name for name in names if _NOT_NAMES.search(name)]:
        into.warn(
            each.line, field, f"{odd[0]!r} is a pattern, and patterns are not evaluated; left out", alike="pattern"
        )
    return [name for name in unique(names) if name not in odd]
