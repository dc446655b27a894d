"""A seeded storm over many sites behind one core that dies without a word, while one site has a failure of its own.

Every site is a domain: a router behind the core, switches, hosts and guests; and, beside all that, a store with the
databases on it, which nothing connects with the core. Records are in order of event time and end at `end`.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from storm import Sent

CORE = "core"
STORE = "site-3-store"
SPREAD_S = 20.0
"""How long the storm rages, in event time."""


@dataclass(frozen=True, slots=True)
class SitesStorm:
    """An estate of sites and what is sent of it."""

    topology: bytes
    behind: frozenset[str]
    """Every CI behind the core, without the core."""
    alarmed: frozenset[str]
    """Those of them that send an alert."""
    apart: frozenset[str]
    """The databases of the store that fails for itself."""
    records: tuple[Sent, ...]

    def parts(self, count: int) -> list[tuple[Sent, ...]]:
        """The records in so many pieces of about equal length."""
        size = -(-len(self.records) // count)
        return [self.records[start : start + size] for start in range(0, len(self.records), size)]


def storm_over_sites(sites: int, *, end: float, seed: int = 1) -> SitesStorm:
    """Every host and guest of these sites (60 CIs each) alarms; the newest event is of `end` (seconds since 1970)."""
    rng = random.Random(seed)
    cis: list[dict[str, object]] = [{"id": CORE}]
    behind: list[str] = []
    alarmed: list[str] = []
    apart: list[str] = []

    def add(name: str, site: str, provider: str | None = None) -> str:
        cis.append({"id": name, "site": site, "depends_on": [provider] if provider else []})
        return name

    for number in range(sites):
        site = f"site-{number}"
        behind.append(add(f"{site}-router", site, CORE))
        for rack in range(3):
            behind.append(add(f"{site}-switch-{rack}", site, f"{site}-router"))
            hosts = [add(f"{site}-host-{rack}{each}", site, f"{site}-switch-{rack}") for each in range(5)]
            guests = [add(f"{host}-vm-{each}", site, host) for host in hosts for each in range(2)]
            behind += hosts + guests
            alarmed += hosts + guests
        store = add(f"{site}-store", site)
        databases = [add(f"{site}-db-{each}", site, store) for each in range(6)]
        if store == STORE:
            apart += databases

    start = end - SPREAD_S
    moments = [(start + 1 + rng.random() * 16, name, "HostUnreachable", "firing") for name in alarmed]
    moments += [(start + 6 + rng.random() * 4, name, "DatabaseDown", "firing") for name in apart]
    moments += [(min(end, time + 2), name, class_, "firing") for time, name, class_, _ in rng.sample(moments, 40)]
    cleared = rng.sample([moment for moment in moments if moment[1] in set(alarmed)], 12)
    moments += [(max(time + 2.5, end - 1), name, class_, "resolved") for time, name, class_, _ in cleared]
    moments.append((end, apart[0], "DatabaseDown", "firing"))
    moments.sort(key=lambda moment: moment[:2])
    records = tuple(_record(number, moment) for number, moment in enumerate(moments))
    return SitesStorm(orjson.dumps({"cis": cis}), frozenset(behind), frozenset(alarmed), frozenset(apart), records)


def _record(number: int, moment: tuple[float, str, str, str]) -> Sent:
    time, ci, class_, state = moment
    event = {
        "id": f"e{number}",
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "ci": ci,
        "class": class_,
        "state": state,
    }
    if state == "firing":
        event["severity"] = "critical"
    return ci.encode(), orjson.dumps(event)
