"""NetBox: the lists of its API (devices, virtual machines, clusters, cables, power) as JSON, one or more files.

Each object tells by its `url` what it is. CIs go by their names; their path in the API, `dcim/devices/12`, is an
alias, so cables fit whatever file the device is in. A cable has no direction: the roles of its two devices give one,
where the table below knows both and they differ; else the ends are peers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering, Place
from opsbridge.topology.importers.values import at, first, items, mapping, text, unique
from opsbridge.topology.model import Dependency, Link, Need, TopologyDocument

ROLES: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("server", "host", "hypervisor", "storage", "nas", "appliance", "camera", "ap", "wlan", "phone"), 0
    ),
    **dict.fromkeys(("access", "tor", "leaf", "edge-switch"), 1),
    **dict.fromkeys(("distribution", "aggregation", "spine"), 2),
    **dict.fromkeys(("core", "backbone"), 3),
    **dict.fromkeys(("router", "border", "wan", "gateway"), 4),
}
"""A word in the slug of a role to how far upstream it is: what is further down depends on what is further up."""

PASSIVE: Final = ("patch-panel", "patchpanel", "panel", "cable-management")
"""Words of roles that nothing watches."""

GONE: Final = frozenset({"decommissioning", "retired", "planned", "inventory", "staged"})
"""Statuses of what is not, or not yet, in use."""

_POWERED: Final = frozenset({"dcim.powerport"})
_POWERING: Final = frozenset({"dcim.poweroutlet", "dcim.powerfeed"})
_CABLE: Final = "connects_via"
_URL: Final = re.compile(r"/api/((?:[a-z-]+)/(?:[a-z-]+))/(\d+)/?(?:\?.*)?$")
_CI_TYPES: Final = {
    "dcim/devices": "device",
    "virtualization/virtual-machines": "vm",
    "virtualization/clusters": "cluster",
    "dcim/power-feeds": "power_feed",
    "dcim/power-panels": "power_panel",
}
_LINKS: Final = frozenset({"dcim/cables", "dcim/interfaces", "dcim/power-ports"})


def recognises(content: Content) -> bool:
    """Objects whose `url` is one of the API's."""
    found = next(_objects(content), None)
    return found is not None and found[1] in _CI_TYPES.keys() | _LINKS


def fill(content: Content, into: Gathering) -> None:
    """CIs first, then what connects them."""
    into.finish = directed
    wires = _Wires(into)
    names = Counter(_name(said) for _, kind, _, said in _objects(content) if kind in _CI_TYPES)
    links: list[tuple[Place, str, Mapping[str, object]]] = []
    unknown: dict[str, tuple[Place, int]] = {}
    for place, kind, path, said in _objects(content):
        if kind in _CI_TYPES:
            name = _name(said)
            _ci(wires, place, kind, path, said, name if names[name] == 1 else "")
        elif kind in _LINKS:
            links.append((place, kind, said))
        else:
            where, count = unknown.get(kind, (place, 0))
            unknown[kind] = where, count + 1
    for place, kind, said in links:
        wires.read(place, kind, said)
    wires.tell()
    for kind, (where, count) in sorted(unknown.items()):
        into.warn(where, "", f"{count} objects of {kind or 'an unknown kind'}; left out")


def _objects(content: Content) -> Iterator[tuple[Place, str, str, Mapping[str, object]]]:
    """(place, kind as `app/models`, path in the API, object) of every object in every list."""
    for number, document in enumerate(content.documents):
        results = at(document, "results")
        found, way = (results, (number, "results")) if isinstance(results, list) else (document, (number,))
        for index, each in enumerate(items(found)):
            said = mapping(each)
            url = _URL.search(text(said.get("url")))
            yield (*way, index), url[1] if url else "", f"{url[1]}/{url[2]}" if url else "", said


def _path(said: object) -> str:
    """The path in the API of an object that another one names."""
    url = _URL.search(text(at(said, "url")))
    return f"{url[1]}/{url[2]}" if url else ""


def _name(said: object) -> str:
    return first(at(said, "name"), at(said, "display"), at(said, "display_name"))


def _role(said: Mapping[str, object]) -> str:
    role = said.get("role") or said.get("device_role")
    return first(at(role, "slug"), at(role, "name"), role).lower()


def directed(document: TopologyDocument) -> None:
    """Cables between devices whose roles say what is upstream become dependencies; of several ways up one is enough."""
    entries = {entry.id: entry for entry in document.cis}
    ranks = {ci: rank for ci, entry in entries.items() if (rank := _rank(entry.type)) is not None}
    uplinks: dict[str, list[str]] = {}
    rest = []
    for link in document.depends_on:
        ends = (link.from_, link.on) if isinstance(link, Link) and link.undirected and link.type == _CABLE else ()
        if len(ends) == 2 and all(end in ranks for end in ends) and ranks[ends[0]] != ranks[ends[1]]:
            below, above = sorted(ends, key=lambda end: ranks[end])
            uplinks.setdefault(below, []).append(above)
        else:
            rest.append(link)
    document.depends_on = rest
    for ci, above_it in uplinks.items():
        entry = entries[ci]
        if len(above_it) == 1:
            entry.depends_on = [*entry.depends_on, Dependency(on=above_it[0], type=_CABLE)]
        else:
            entry.needs = [*entry.needs, Need(name="uplinks", of=[*sorted(above_it)], type=_CABLE)]


def _rank(role: str) -> int | None:
    """How far upstream a role is."""
    words = role.replace("_", "-")
    return next((rank for word, rank in ROLES.items() if re.search(rf"(?<![a-z]){word}(?![a-z])", words)), None)


class _Wires:
    """What is connected with what, by the paths in the API, until all roles are known."""

    def __init__(self, into: Gathering) -> None:
        self.into = into
        self.hosts: dict[str, list[str]] = {}
        """Cluster to its devices."""
        self._names: dict[str, str] = {}
        self._feeds: dict[str, list[str]] = {}
        self._peers: dict[tuple[str, str], Place] = {}

    def mention(self, place: Place, said: object) -> str:
        """The path of an object that is named here, known as a CI from now on; empty if it has none."""
        path, name = _path(said), _name(said)
        if not path:
            return ""
        if not name or self._names.setdefault(name, path) != path:
            name = path
        return path if self.into.mention(place, name, path) else ""

    def read(self, place: Place, kind: str, said: Mapping[str, object]) -> None:
        """A cable, or an interface or power port that tells where its way ends."""
        if first(at(said, "status", "value"), said.get("status")) in GONE:
            return
        if kind == "dcim/cables":
            ends = [list(self._terminations(place, said, side)) for side in ("a", "b")]
            if not all(ends):
                self.into.warn(place, "", "a cable that does not end at two devices; left out", alike="open cable")
                return
        else:
            own = "dcim.powerport" if kind == "dcim/power-ports" else "dcim.interface"
            other = text(said.get("connected_endpoints_type"))
            far = items(said.get("connected_endpoints"))
            ends = [
                [(own, self.mention(place, said.get("device")))],
                [(other, self._end(place, other, mapping(each))) for each in far],
            ]
        for one_type, one in ends[0]:
            for other_type, other_end in ends[1]:
                if one and other_end and one != other_end:
                    self._wire(place, (one_type, one), (other_type, other_end))

    def _terminations(self, place: Place, said: Mapping[str, object], side: str) -> Iterator[tuple[str, str]]:
        for each in items(said.get(f"{side}_terminations")):
            kind = text(at(each, "object_type"))
            if end := self._end(place, kind, mapping(at(each, "object"))):
                yield kind, end
        kind = text(said.get(f"termination_{side}_type"))  # NetBox before 3.3
        if end := self._end(place, kind, mapping(said.get(f"termination_{side}"))):
            yield kind, end

    def _end(self, place: Place, kind: str, port: Mapping[str, object]) -> str:
        """The CI that a port belongs to; a power feed is one itself."""
        return self.mention(
            place, port if kind == "dcim.powerfeed" else port.get("device") or port.get("virtual_machine")
        )

    def _wire(self, place: Place, one: tuple[str, str], other: tuple[str, str]) -> None:
        for (kind, end), (far_kind, far) in ((one, other), (other, one)):
            if kind in _POWERED and far_kind in _POWERING:
                self._feeds.setdefault(end, []).append(far)
                return
        self._peers.setdefault((min(one[1], other[1]), max(one[1], other[1])), place)

    def tell(self) -> None:
        """Make dependencies of all wires: of several feeds or hosts, one is enough."""
        for found, kind, name in ((self._feeds, "powered_by", "power"), (self.hosts, "runs_on", "hosts")):
            for dependent, providers in found.items():
                self.into.needs(0, dependent, providers, 1, kind, name)
        for (one, other), place in self._peers.items():
            self.into.depends(place, one, other, _CABLE, undirected=True)


def _ci(wires: _Wires, place: Place, kind: str, path: str, said: Mapping[str, object], name: str) -> None:
    """One object as a CI; without a name of its own it goes by its path."""
    into = wires.into
    if first(at(said, "status", "value"), said.get("status")) in GONE:
        into.gone |= {each for each in (path, _name(said)) if each}
        return
    role = _role(said)
    addresses = [
        text(at(said, each, "address")).partition("/")[0] for each in ("primary_ip", "primary_ip4", "primary_ip6")
    ]
    dns = text(at(said, "primary_ip", "dns_name"))
    ci = into.ci(
        place,
        {
            "id": name or path,
            "name": "" if name else _name(said),
            "type": role.replace("-", "_") or _CI_TYPES[kind],
            "owner": _name(said.get("tenant")),
            "site": first(at(said, "site", "slug"), at(said, "site", "name"), at(said, "scope", "slug")),
            "monitored": False if any(word in role for word in PASSIVE) else None,
            "aliases": [
                each for each in unique([path, *addresses, dns, text(said.get("asset_tag"))]) if each != (name or path)
            ],
        },
    )
    if not ci:
        return
    match kind:
        case "virtualization/virtual-machines":
            host = said.get("device") or said.get("cluster")
            if provider := wires.mention(place, host):
                into.depends(place, ci, provider, "runs_on")
        case "dcim/devices":
            if provider := wires.mention(place, said.get("parent_device")):
                into.depends(place, ci, provider, "hosted_on")
            if cluster := wires.mention(place, said.get("cluster")):
                wires.hosts.setdefault(cluster, []).append(path)
        case "dcim/power-feeds":
            if provider := wires.mention(place, said.get("power_panel")):
                into.depends(place, ci, provider, "powered_by")
        case _:
            pass
