"""What monitoring finds in one scenario: the alarms of every fault and of noise, with the truth about whose they are.

An alarm that something else may as well have caused is undecided. `faults.py` asks; `monitoring.py` says how.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from benchmarks.quality.breaks import Break, Fault, Spec, chances_of, reached
from benchmarks.quality.impact import Level
from benchmarks.quality.kinds import Kind
from benchmarks.quality.monitoring import (
    CAUSES,
    NOISE,
    NOTICED,
    OWN_SYMPTOM,
    SEVERITIES,
    START,
    UNDECIDED,
    Alarm,
    delay,
    detection,
    symptom_classes,
)

AS_LIKELY: Final = 0.5
"""What is at least so many times as likely another fault's doing as a fault's own decides nothing."""


def alarms_of(spec: Spec, what: Kind, faults: tuple[Fault, ...], rng: random.Random) -> list[Alarm]:
    """All alarms of a scenario, each condition of a CI once, with the truth about whose they are."""
    cis = spec.world().cis
    found = [alarm for number, fault in enumerate(faults) for alarm in _of_fault(spec, what, fault, number, rng)]
    chances = [{cis[ci].id: chance for ci, chance in chances_of(spec, fault).items()} for fault in faults]
    chronic = list(_chronic(spec, what, faults[0], rng))
    often = {(alarm.ci, alarm.class_) for alarm in chronic}

    def doubtful(alarm: Alarm) -> bool:
        """Whether something else may as well have caused the alarm of a fault."""
        own = 0.0 if alarm.fault == UNDECIDED else chances[alarm.fault][alarm.ci] * AS_LIKELY
        others = (of.get(alarm.ci, 0.0) for number, of in enumerate(chances) if number != alarm.fault)
        return (alarm.ci, alarm.class_) in often or any(other >= own > 0 for other in others)

    def touched(alarm: Alarm) -> bool:
        """Whether a fault may have caused the alarm of a CI that alarms often."""
        return any(
            alarm.ci in of and fault.breaks[0].at <= alarm.begins <= fault.repaired + 120_000
            for fault, of in zip(faults, chances, strict=True)
        )

    return [
        *(_undecided(alarm) if doubtful(alarm) else alarm for alarm in found),
        *(_undecided(alarm) if touched(alarm) else alarm for alarm in chronic),
        *_spurious(spec, what, faults[0].breaks[0].at, set().union(*chances), rng),
    ]


def _undecided(alarm: Alarm) -> Alarm:
    return replace(alarm, fault=UNDECIDED)


def _of_fault(spec: Spec, what: Kind, fault: Fault, number: int, rng: random.Random) -> Iterable[Alarm]:
    """What one fault makes monitoring say; of two reports of one condition, the earlier."""
    alarms: dict[tuple[str, str], Alarm] = {}
    for part in fault.breaks:
        for alarm in _of_break(spec, what, fault, part, number, rng):
            earlier = alarms.get((alarm.ci, alarm.class_))
            if earlier is None or alarm.begins < earlier.begins:
                alarms[alarm.ci, alarm.class_] = alarm
    flapping = set(rng.sample(sorted(alarms), min(what.flapping, len(alarms))))
    return [
        replace(alarm, flaps=min(round(10 ** rng.uniform(1.0, 2.2)), (alarm.ends - alarm.begins) // 4_000))
        if key in flapping
        else alarm
        for key, alarm in alarms.items()
    ]


def _of_break(spec: Spec, what: Kind, fault: Fault, part: Break, number: int, rng: random.Random) -> list[Alarm]:
    world = spec.world()
    happens: dict[int, int] = {}
    alarms: list[Alarm] = []

    def found(ci: int, class_: str, level: Level, begins: int, *, own: bool = False) -> None:
        ends = fault.repaired + detection(world, ci, rng) + rng.randrange(30_000)
        if begins < fault.repaired:
            severity = rng.choice(SEVERITIES[level])
            whose = number if part.judged else UNDECIDED
            alarms.append(Alarm(world.cis[ci].id, class_, severity, begins, ends, whose, own))

    for each in reached(spec, part.failed, part.level):
        if not each.hop:
            happens[each.ci] = part.at
        elif each.via in happens and rng.random() < each.step:
            happens[each.ci] = happens[each.via] + delay(each.level, rng)
            if world.monitored[each.ci] and rng.random() < NOTICED[each.level]:
                for class_ in symptom_classes(world.cis[each.ci].type, each.level, rng):
                    found(each.ci, class_, each.level, happens[each.ci] + detection(world, each.ci, rng))
    first = min((alarm.begins for alarm in alarms), default=part.at)
    for root in sorted(part.newly):
        if what.own == "silent" or not world.monitored[root]:
            continue
        late = what.own == "late"
        prompt = part.at + (rng.randrange(3_000) if rng.random() < 0.5 else detection(world, root, rng))
        begins = first + rng.randint(30_000, 180_000) if late else prompt
        found(root, part.class_, part.level, begins, own=True)
        if not late and rng.random() < OWN_SYMPTOM:
            class_ = symptom_classes(world.cis[root].type, part.level, rng)[0]
            found(root, class_, part.level, part.at + detection(world, root, rng))
    return alarms


# noise


def _spurious(spec: Spec, what: Kind, at: int, reach: set[str], rng: random.Random) -> Iterable[Alarm]:
    """Alerts of CIs that no fault reaches, and of CIs that nobody knows."""
    if not what.spurious:
        return
    world = spec.world()
    quiet = [ci for number, ci in enumerate(world.cis) if ci.id not in reach and world.monitored[number]]
    for number in range(rng.randint(3, what.spurious)):
        begins = at + rng.randint(-60_000, 180_000)
        ends = begins + rng.randint(60_000, 600_000)
        if not quiet or rng.random() < 0.3:
            yield Alarm(f"stray-{number}", "HostDown", "major", begins, ends, NOISE)
            continue
        ci = rng.choice(quiet)
        causes = [cause.rstrip("-") for cause in CAUSES.get(ci.type, ("ConfigError",))]
        class_ = rng.choice([*causes, *symptom_classes(ci.type, Level.DEGRADED, rng), "HighLatency"])
        yield Alarm(ci.id, class_, rng.choice(SEVERITIES[Level.DEGRADED]), begins, ends, NOISE)


def _chronic(spec: Spec, what: Kind, fault: Fault, rng: random.Random) -> Iterable[Alarm]:
    """CIs that alarm for a minute or four every five to twenty minutes, long before the fault and through it."""
    if not what.chronic:
        return
    world = spec.world()
    watched = [ci for number, ci in enumerate(world.cis) if world.monitored[number] and number not in fault.roots]
    for ci in rng.sample(watched, rng.randint(3, what.chronic)):
        class_ = rng.choice(("CPUSaturated", "HighLatency", "Timeouts"))
        period = rng.randint(300_000, 1_200_000)
        begins = START + rng.randrange(period)
        while begins < fault.repaired:
            ends = begins + rng.randint(60_000, 240_000)
            yield Alarm(ci.id, class_, "warning", begins, ends, NOISE)
            begins += round(period * rng.uniform(0.8, 1.2))
