"""A seeded storm for the live tests: an estate behind two switches, one of which dies without a word.

Everything behind the silent switch alarms within seconds, some of it twice, some of it clears; beside it come events
that end earlier (informational, suppressed), CIs nobody knows, and records that are no events. Times count back from
`end`, so that the newest are of the present; records are in order of event time.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

SPREAD_S = 18.0
"""How long the storm rages, in event time; longer than a situation is watched before it is told of."""

SWITCH = "sw-silent"
CORE = "core"
UNKNOWN = ("nobody-knows-1", "nobody-knows-2")

Sent = tuple[bytes, bytes]
"""Key and value of a record."""

POISON: tuple[bytes, ...] = (b"{bad", b"", b'{"id":"p"}', b"\xff\xfe", b"[]", b'{"id":1,"time":"now"}')


@dataclass(frozen=True, slots=True)
class Storm:
    """An estate and what is sent of it."""

    topology: bytes
    affected: frozenset[str]
    """The silent switch and every CI behind it."""
    records: tuple[Sent, ...]
    """In order of event time; poison is strewn in."""
    poison: tuple[Sent, ...]

    def parts(self, count: int) -> list[tuple[Sent, ...]]:
        """The records in so many pieces of about equal length."""
        size = -(-len(self.records) // count)
        return [self.records[start : start + size] for start in range(0, len(self.records), size)]


def storm(behind: int, *, end: float, seed: int = 1) -> Storm:
    """`behind` CIs (100 or more) fall silent behind one switch; the newest event is of `end` (seconds since 1970)."""
    rng = random.Random(seed)
    providers, hypervisors, vms, services = _estate(behind, rng)
    start = end - SPREAD_S
    moments: list[tuple[float, str, str, str, str | None]] = []  # time, ci, class, state, severity
    for names, class_ in ((hypervisors, "HostUnreachable"), (vms, "AgentLost"), (services, "EndpointDown")):
        moments += [(start + 2 + rng.random() * 14, name, class_, "firing", "critical") for name in names]
    alarms = list(moments)
    for time, ci, class_, _, _ in rng.sample(alarms, behind // 10):
        moments.append((min(end, time + rng.random() * 3), ci, class_, "firing", "critical"))
    for time, ci, class_, _, _ in rng.sample(alarms, behind // 50):
        moments.append((min(end, time + 3.5), ci, class_, "resolved", None))
    for _ in range(behind // 20):
        moments.append((start + rng.random() * SPREAD_S, rng.choice(vms), "BackupFinished", "firing", "info"))
        moments.append((start + rng.random() * SPREAD_S, rng.choice(vms), "Heartbeat", "firing", "minor"))
    moments += [(start, name, "AgentLost", "firing", "major") for name in UNKNOWN]
    moments.append((end, vms[0], "BackupFinished", "firing", "info"))
    moments.sort(key=lambda moment: moment[:2])
    records = [_record(number, moment) for number, moment in enumerate(moments)]
    poison = [(b"poison-%d" % number, value) for number, value in enumerate(POISON * 3)]
    for bad in poison:
        records.insert(rng.randrange(len(records)), bad)
    cis = {CORE, *providers}
    topology = {
        "cis": [{"id": name} for name in sorted(cis)],
        "depends_on": [[name, provider] for name, all_of in providers.items() for provider in all_of],
    }
    affected = frozenset((SWITCH, *hypervisors, *vms, *services))
    return Storm(orjson.dumps(topology), affected, tuple(records), tuple(poison))


def _estate(behind: int, rng: random.Random) -> tuple[dict[str, list[str]], list[str], list[str], list[str]]:
    """CI -> providers, and the layers behind the silent switch; the second switch carries healthy hypervisors."""
    hypervisors = [f"hyp-{number}" for number in range(behind // 25)]
    vms = [f"vm-{number}" for number in range((behind - len(hypervisors)) * 11 // 20)]
    services = [f"svc-{number}" for number in range(behind - len(hypervisors) - len(vms))]
    providers = {SWITCH: [CORE], "sw-healthy": [CORE]}
    providers |= {f"healthy-{number}": ["sw-healthy"] for number in range(max(20, behind // 10))}
    providers |= {name: [SWITCH] for name in hypervisors}
    providers |= {name: [rng.choice(hypervisors)] for name in vms}
    providers |= {name: rng.sample(vms, 2) for name in services}
    return providers, hypervisors, vms, services


def _record(number: int, moment: tuple[float, str, str, str, str | None]) -> Sent:
    time, ci, class_, state, severity = moment
    event = {
        "id": f"e{number}",
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "ci": ci,
        "class": class_,
        "state": state,
        "severity": severity,
        "summary": f"{class_} on {ci}",
    }
    if severity is None:
        del event["severity"]
    return ci.encode(), orjson.dumps(event)
