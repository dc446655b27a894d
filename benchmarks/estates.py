"""Seeded estates and event streams for benchmarks and tests: the same arguments give the same bytes everywhere.

An estate has layers, from core switches to business services, with about 1.67 edges per CI and many providers for
services. A stream is what a monitoring tool would send while some of the estate fails: storms with and without an event
of their root, duplicates, flapping, noise, clears. Pure: no clock, no files, no global random numbers.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import orjson

from opsbridge.core.graph import CI, CIGraph

START: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""The event time of every stream's beginning."""

SPAN_S: Final = 600
"""Over how much event time a stream spreads."""

SHARES: Final = {"core": 0.001, "access": 0.01, "hypervisor": 0.04, "vm": 0.5, "service": 0.4, "business": 0.05}
"""Each layer's share of the CIs, providers first."""

TYPES: Final = {
    "core": "core_switch",
    "access": "access_switch",
    "hypervisor": "hypervisor",
    "vm": "vm",
    "service": "service",
    "business": "business_service",
}

SYMPTOMS: Final = {
    "core": ("NeighbourLost", "device_unreachable"),
    "access": ("device_unreachable", "NeighbourLost"),
    "hypervisor": ("host_unreachable", "datastore_lost"),
    "vm": ("host_unreachable", "agent_lost", "HighLoad"),
    "service": ("endpoint_down", "error_rate_high", "SyntheticCheckFailed"),
    "business": ("availability_low", "SyntheticCheckSlow"),
}
"""What a CI of the layer may send when something it depends on has failed."""

ROOT_CLASS: Final = {"core": "device_down", "access": "device_down", "hypervisor": "host_down", "vm": "kernel_panic"}
ROOT_LAYERS: Final = ("access", "access", "access", "hypervisor", "hypervisor", "hypervisor", "hypervisor", "vm", "vm")
"""What fails, by how often."""


@dataclass(frozen=True, slots=True)
class Estate:
    """CIs in layers and the edges between them, as (dependent, provider) by number."""

    cis: tuple[CI, ...]
    depends_on: tuple[tuple[int, int], ...]
    layers: dict[str, range]

    def graph(self) -> CIGraph:
        """A new index for the core, with nothing remembered from earlier runs."""
        return CIGraph(self.cis, self.depends_on)

    def layer_of(self, number: int) -> str:
        """The layer that a CI belongs to."""
        return next(name for name, numbers in self.layers.items() if number in numbers)

    def as_json(self) -> bytes:
        """The estate as one native topology file."""
        return orjson.dumps(
            {
                "cis": [{"id": ci.id, "type": ci.type, "site": ci.site} for ci in self.cis],
                "depends_on": [[self.cis[a].id, self.cis[b].id] for a, b in self.depends_on],
            }
        )


def estate(size: int, seed: int = 1) -> Estate:
    """A layered estate of about `size` CIs; 100 or more."""
    rng = random.Random(seed)
    counts = {layer: max(1, round(size * share)) for layer, share in SHARES.items()}
    bounds = [sum(list(counts.values())[:place]) for place in range(len(counts) + 1)]
    layers = {layer: range(*ends) for layer, ends in zip(counts, pairwise(bounds), strict=True)}
    cis = tuple(_ci(layer, number, place) for layer in layers for place, number in enumerate(layers[layer]))
    edges: set[tuple[int, int]] = set()
    for layer, below, fewest, most in (
        ("access", "core", 1, 1),
        ("hypervisor", "access", 1, 2),
        ("vm", "hypervisor", 1, 1),
        ("service", "vm", 1, 4),
        ("business", "service", 2, 6),
    ):
        for place, number in enumerate(layers[layer]):
            # every provider has dependents, the rest of the choice is free
            providers = {layers[below][place % len(layers[below])]}
            wanted = _how_many(rng, layer, fewest, most)
            while len(providers) < min(wanted, len(layers[below])):
                providers.add(rng.choice(layers[below]))
            edges.update((number, provider) for provider in providers)
    return Estate(cis, tuple(sorted(edges)), layers)


def _how_many(rng: random.Random, layer: str, fewest: int, most: int) -> int:
    if layer == "hypervisor":  # one in five has two uplinks
        return most if rng.random() < 0.2 else fewest
    return rng.randint(fewest, most)


def _ci(layer: str, number: int, place: int) -> CI:
    service = layer in ("service", "business")
    return CI(
        id=f"{layer}-{place:05d}.{'ams1' if number % 2 else 'fra1'}.example.net",
        type=TYPES[layer],
        site="ams1" if number % 2 else "fra1",
        service=service,
    )


Moment = tuple[int, int, str, str, str | None]
"""Before it is written: (arrival in ms since START, CI's number, class, state, severity)."""


class EventWriter:
    """Writes canonical events of about 300 bytes; ids count from 0 in the order of writing."""

    def __init__(self, cis: Sequence[CI]) -> None:
        self._cis = cis
        self._written = 0

    def write(self, moment: Moment) -> bytes:
        """One canonical event as a JSON line without its end."""
        arrival, number, class_, state, severity = moment
        name = self._cis[number].id if number >= 0 else f"forgotten-{-number:04d}.lab.example.net"
        event = {
            "id": f"evt-{self._written:08d}",
            "time": (START + timedelta(milliseconds=arrival)).isoformat(timespec="milliseconds"),
            "ci": name,
            "class": class_,
            "state": state,
            "severity": severity,
            "source": "poller-3",
            "summary": f"{class_} on {name}: check failed 3 of 3 times",
            "labels": {"site": name.split(".")[1], "check": "reachability", "state_type": "HARD"},
        }
        if severity is None:
            del event["severity"]
        self._written += 1
        return orjson.dumps(event)


def events(world: Estate, count: int, seed: int = 1, *, failures: int | None = None) -> Iterator[bytes]:
    """About `count` events in order of arrival: 70 % storm symptoms, 15 % duplicates, 10 % flapping, 5 % noise.

    `failures` CIs fail, 50 by default and fewer on small estates; a third of them send nothing themselves. Each fails
    again and again until its share of the events is used up. Pollers report a symptom twice and then that it cleared,
    so that about half of all events change an alert, whatever the size of the estate.
    """
    rng = random.Random(seed)
    symptoms = round(count * 0.7)
    storm = _storms(world, symptoms * 2 // 3, failures or max(5, min(50, len(world.cis) // 200)), rng)
    moments = [
        *storm,
        *_duplicates(storm, symptoms - len(storm), rng),
        *_duplicates(storm, round(count * 0.15), rng),
        *_flapping(world, round(count * 0.10), rng),
        *_noise(world, round(count * 0.05), rng),
    ]
    moments.sort(key=lambda moment: moment[:4])
    return map(EventWriter(world.cis).write, moments)


def _storms(world: Estate, count: int, failures: int, rng: random.Random) -> list[Moment]:
    graph = world.graph()
    roots: dict[int, None] = {}
    while len(roots) < failures:
        roots[rng.choice(world.layers[rng.choice(ROOT_LAYERS)])] = None
    affected = {root: _symptoms_of(world, graph, root, rng) for root in roots}
    waves = -(-count // (2 * sum(map(len, affected.values()))))
    moments: list[Moment] = []
    for number, (root, symptoms) in enumerate(affected.items()):
        begins = rng.randrange(SPAN_S * 400)
        period = (SPAN_S * 1000 - begins) // waves
        for wave in range(waves):
            fails = begins + wave * period
            if number % 3:  # every third root is silent
                late = rng.randrange(max(1, period // 10))
                moments += _pair(root, ROOT_CLASS[world.layer_of(root)], "critical", fails + late, period // 2)
            for ci, class_ in symptoms:
                late = min(int(rng.expovariate(1 / (0.05 * period + 1))), period // 3)
                severity = rng.choice(("critical", "major", "major", "minor"))
                moments += _pair(ci, class_, severity, fails + late, period // 2)
    surplus = len(moments) - count
    if surplus > 0:  # whole pairs leave, so that what is left clears as it should
        for pair in sorted(rng.sample(range(len(moments) // 2), surplus // 2), reverse=True):
            del moments[2 * pair : 2 * pair + 2]
    return moments


def _symptoms_of(world: Estate, graph: CIGraph, root: int, rng: random.Random) -> list[tuple[int, str]]:
    symptoms: list[tuple[int, str]] = []
    for number in graph.impacted(root):
        classes = SYMPTOMS[world.layer_of(number)]
        symptoms += [(number, class_) for class_ in classes[: rng.randint(1, len(classes))]]
    return symptoms


def _pair(number: int, class_: str, severity: str, fires: int, lasts: int) -> tuple[Moment, Moment]:
    return (fires, number, class_, "firing", severity), (fires + lasts, number, class_, "resolved", None)


def _duplicates(storm: list[Moment], count: int, rng: random.Random) -> list[Moment]:
    """Firing reports again, a little later, while the problem lasts."""
    duplicates: list[Moment] = []
    for _ in range(count if storm else 0):
        pair = 2 * rng.randrange(len(storm) // 2)
        fires, ends = storm[pair][0], storm[pair + 1][0]
        duplicates.append((rng.randrange(fires, ends) if ends > fires else fires, *storm[pair][1:]))
    return duplicates


def _flapping(world: Estate, count: int, rng: random.Random) -> list[Moment]:
    """A few interfaces and checks that go up and down every few seconds."""
    flappers = max(5, count // 200)
    moments: list[Moment] = []
    for _ in range(flappers):
        number = rng.choice((*world.layers["access"], *world.layers["vm"]))
        each = max(1, count // flappers // 2)
        period = SPAN_S * 1000 // each
        for turn in range(each):
            moments += _pair(number, "linkDown", "minor", turn * period + rng.randrange(period // 2 + 1), period // 2)
    return moments


def _noise(world: Estate, count: int, rng: random.Random) -> list[Moment]:
    """What is always there: notes, warnings that end by themselves or never, CIs that nobody knows."""
    moments: list[Moment] = []
    while len(moments) < count:
        time = rng.randrange(SPAN_S * 1000)
        number = rng.randrange(len(world.cis))
        kind = rng.random()
        if kind < 0.5:
            moments.append((time, number, "BackupFinished", "firing", "info"))
        elif kind < 0.95:
            moments += _pair(number, "DiskFull", "warning", time, 60_000)
        else:
            moments.append((time, -1 - rng.randrange(50), "agent_lost", "firing", "warning"))
    return moments


def single_storm(dependents: int) -> tuple[Estate, list[bytes], str]:
    """`dependents` CIs behind one silent switch all send one event within half a minute: (estate, events, the switch).

    Fewer than about 100 would be explained as well by a hypervisor that reports itself.

    The core switch above it carries a second, healthy switch, so that it cannot be blamed.
    """
    rng = random.Random(dependents)
    hypervisors = max(3, dependents // 25)
    vms = (dependents - hypervisors) * 11 // 20
    services = dependents - hypervisors - vms
    healthy = max(20, dependents // 10)
    counts = {"core": 1, "access": 2, "hypervisor": hypervisors + healthy, "vm": vms, "service": services}
    bounds = [sum(list(counts.values())[:place]) for place in range(len(counts) + 1)]
    layers = {layer: range(*ends) for layer, ends in zip(counts, pairwise(bounds), strict=True)}
    cis = tuple(_ci(layer, number, place) for layer in layers for place, number in enumerate(layers[layer]))
    failing, well = layers["access"]
    behind = layers["hypervisor"][:hypervisors]
    edges = {(failing, 0), (well, 0)}
    edges |= {(number, failing) for number in behind}
    edges |= {(number, well) for number in layers["hypervisor"][hypervisors:]}
    edges |= {(number, rng.choice(behind)) for number in layers["vm"]}
    providers = layers["vm"] or behind
    edges |= {(number, rng.choice(providers)) for number in layers["service"] for _ in range(2)}
    world = Estate(cis, tuple(sorted(edges)), layers)
    moments: list[Moment] = [
        (rng.randrange(30_000), number, SYMPTOMS[world.layer_of(number)][0], "firing", "critical")
        for number in (*behind, *layers["vm"], *layers["service"])
    ]
    moments.sort(key=lambda moment: moment[:4])
    return world, list(map(EventWriter(world.cis).write, moments)), cis[failing].id
