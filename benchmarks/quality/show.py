"""One scenario for people: what broke, every event with the fault it belongs to, and what OpsBridge made of it."""

from collections import Counter
from collections.abc import Iterator

from benchmarks.quality.engine import Found, opsbridge
from benchmarks.quality.faults import Scenario, scenario
from benchmarks.quality.identify import oracle
from benchmarks.quality.kinds import KINDS
from benchmarks.quality.monitoring import NOISE, UNDECIDED
from benchmarks.quality.scores import score

_BESIDE = {NOISE: "noise", UNDECIDED: "?"}


def shown(kind: str, number: int, seed: int, estates: tuple[str, ...]) -> Iterator[str]:
    """The lines; times are seconds after the first break."""
    happened = scenario(kind, number, seed, estates)
    found = opsbridge(happened)
    begins = min(fault.breaks[0].at for fault in happened.faults)
    world = happened.spec.world()
    yield f"{kind} {number}, seed {seed}: {KINDS[kind].about}"
    yield f"in {world.name}: {len(world.cis)} CIs, topology {'detailed' if world.detailed else 'with plain edges'}"
    yield from _truth(happened, begins)
    yield ""
    yield "Events in order of arrival; + fires, - is resolved; number of the fault, [number of the incident]:"
    home = {event: f"[{place}]" for place, incident in enumerate(found) for event in incident.events}
    for signal in happened.signals:
        where = home.get(signal.id, "[-]" if signal.firing else "")
        late = f" (says {(signal.time - begins) / 1000:.1f})" if abs(signal.arrives - signal.time) > 5_000 else ""
        yield (
            f"{(signal.arrives - begins) / 1000:9.1f} {'+' if signal.firing else '-'} {signal.ci:24} {signal.class_:18}"
            f" {signal.severity:8} {_BESIDE.get(signal.fault, str(signal.fault)):>5} {where}{late}"
        )
    yield ""
    for place, incident in enumerate(found):
        yield from _incident(happened, place, incident, begins)
    yield ""
    worth = score(happened, found)
    yield f"Pairs: {worth.together} together, {worth.wrongly} wrongly, {worth.apart} apart"
    for place, told in enumerate(worth.faults):
        yield f"fault {place}: {told}"


def _truth(happened: Scenario, begins: int) -> Iterator[str]:
    world = happened.spec.world()
    for place, fault in enumerate(happened.faults):
        for part in fault.breaks:
            names = ", ".join(
                f"{world.cis[ci].id} ({world.cis[ci].type}{'' if world.monitored[ci] else ', unmonitored'})"
                for ci in sorted(part.failed)
            )
            yield f"fault {place}: at {(part.at - begins) / 1000:.0f} s {part.class_} on {names}: {part.level.name}"
        yield f"  repaired at {(fault.repaired - begins) / 1000:.0f} s; {len(happened.members(place))} firing events"
        ranked = sorted(oracle(happened, place).items(), key=lambda each: -each[1])[:4]
        best = ", ".join(f"{'+'.join(world.cis[ci].id for ci in sorted(cis))} {value:.1f}" for cis, value in ranked)
        yield f"  the oracle's best: {best}"


def _incident(happened: Scenario, place: int, incident: Found, begins: int) -> Iterator[str]:
    truth = {signal.id: signal.fault for signal in happened.signals}
    counts = Counter(truth[event] for event in incident.events)
    held = ", ".join(f"{count} of {_BESIDE.get(fault, f'fault {fault}')}" for fault, count in sorted(counts.items()))
    sure = "" if incident.confidence is None else f" ({incident.confidence:.2f})"
    yield f"[{place}] {incident.root}{sure}, told at {(incident.told - begins) / 1000:.0f} s: {held}"
    yield f"    candidates {' '.join(incident.candidates[:6])}"
