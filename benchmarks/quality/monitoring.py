"""What monitoring says of a failing estate: classes, severities, detection delays, flapping, transport.

An `Alarm` is one condition that monitoring finds at one CI, in real time; `signals` turns alarms into the events that
arrive, with the CIs' clocks, repeated notifications, flaps and the time that transport takes.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from benchmarks.quality.impact import Level
from benchmarks.quality.world import World

START: Final = int(datetime(2026, 3, 2, 8, 0, tzinfo=UTC).timestamp()) * 1000
"""When every scenario begins."""

NOISE: Final = -1
"""The fault of an event that belongs to none."""

UNDECIDED: Final = -2
"""The fault of an event that more than one thing may have caused: nobody is judged by it."""

Severity = Literal["critical", "major", "minor", "warning"]

_NETWORK: Final = ("LinkDown", "HardwareFault", "PowerFailure", "ConfigError", "CPUSaturated-")
_COMPUTE: Final = ("HardwareFault", "PowerFailure", "OutOfMemory", "CPUSaturated-", "DiskFull-")
_STORE: Final = ("DiskFull", "ProcessDown", "OutOfMemory", "ConfigError-", "CPUSaturated-")
_SOFTWARE: Final = ("ProcessDown", "OutOfMemory", "ConfigError", "ConfigError-", "CPUSaturated-")

CAUSES: Final[dict[str, tuple[str, ...]]] = {
    "site": ("PowerFailure",),
    "zone": ("PowerFailure", "LinkDown"),
    "rack": ("PowerFailure",),
    "pdu": ("PowerFailure", "HardwareFault"),
    "backbone_router": ("LinkDown", "HardwareFault", "ConfigError"),
    "core_switch": _NETWORK,
    "dist_switch": _NETWORK,
    "access_switch": _NETWORK,
    "spine_switch": _NETWORK,
    "leaf_switch": _NETWORK,
    "storage_array": ("HardwareFault", "DiskFull-", "CPUSaturated-"),
    "hypervisor": _COMPUTE,
    "server": _COMPUTE,
    "k8s_node": _COMPUTE,
    "vm": ("OutOfMemory", "ConfigError", "CPUSaturated-", "DiskFull-"),
    "pod": ("OutOfMemory", "ProcessDown"),
    "database": _STORE,
    "queue": _STORE,
    "cache": _STORE,
    "app": _SOFTWARE,
    "service": _SOFTWARE,
    "gateway": _SOFTWARE,
    "load_balancer": _SOFTWARE,
}
"""What may break a CI of a type, by the class of its own alert; with `-`, the CI goes on badly instead of stopping."""

CAUSE_CLASSES: Final = frozenset(cause.rstrip("-") for causes in CAUSES.values() for cause in causes)


SOFTWARE_TYPES: Final = frozenset(
    {"database", "queue", "cache", "app", "service", "gateway", "load_balancer", "business_service"}
)

SYMPTOMS: Final[dict[tuple[bool, Level], tuple[str, ...]]] = {
    (False, Level.DOWN): ("Unreachable", "HostDown"),
    (False, Level.DEGRADED): ("HighLatency", "Timeouts"),
    (True, Level.DOWN): ("ServiceUnavailable", "Timeouts", "ErrorRateHigh", "Unreachable"),
    (True, Level.DEGRADED): ("HighLatency", "ErrorRateHigh", "Timeouts"),
    (True, Level.STARVED): ("NoRequests",),
}
"""What a CI that suffers says, by whether it is software."""

SEVERITIES: Final[dict[Level, tuple[Severity, ...]]] = {
    Level.DOWN: ("critical", "critical", "major"),
    Level.DEGRADED: ("major", "minor", "warning"),
    Level.STARVED: ("minor", "warning"),
}

NOTICED: Final = {Level.DOWN: 0.92, Level.DEGRADED: 0.8, Level.STARVED: 0.75}
"""How likely monitoring notices what happens to a CI that it watches."""

SECOND_ALARM: Final = 0.25
"""How likely a CI that suffers says so in two classes..."""

MISLEADING: Final = 0.04
"""...and software that stopped reports its own process, as if that were the cause."""

OWN_SYMPTOM: Final = 0.4
"""How likely the root says what it suffers beside what broke it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One condition at one CI, from when monitoring finds it to when it finds it gone; real time in milliseconds."""

    ci: str
    class_: str
    severity: Severity
    begins: int
    ends: int
    fault: int
    own: bool = False
    """Whether it is the root's own report of what broke it."""
    flaps: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """One event as it arrives. `fault` is the truth: the number of the fault it belongs to, NOISE or UNDECIDED."""

    id: str
    arrives: int
    time: int
    ci: str
    class_: str
    severity: Severity
    firing: bool
    fault: int


def symptom_classes(type_: str, level: Level, rng: random.Random) -> list[str]:
    """What a suffering CI of a type says, mostly one class."""
    if type_ == "queue" and level is Level.STARVED:
        return ["ConsumerIdle"]
    software = type_ in SOFTWARE_TYPES
    if software and level is Level.DOWN and rng.random() < MISLEADING:
        return ["ProcessDown"]
    known = SYMPTOMS.get((software, level), ("HighLatency",))
    return rng.sample(known, min(len(known), 1 + (rng.random() < SECOND_ALARM)))


def detection(world: World, ci: int, rng: random.Random) -> int:
    """How long monitoring takes to find something at this CI: until its next check, which may want confirmation."""
    interval = world.intervals[ci]
    confirmation = min(interval, 15_000) if rng.random() < 0.4 else 0
    return rng.randrange(interval) + confirmation + rng.randrange(2_000)


def delay(level: Level, rng: random.Random) -> int:
    """How long it takes until a provider's trouble becomes a dependent's."""
    fewest, most = {Level.DOWN: (0, 2_000), Level.DEGRADED: (1_000, 10_000), Level.STARVED: (20_000, 60_000)}[level]
    return rng.randint(fewest, most)


def signals(alarms: Iterable[Alarm], skew: Mapping[str, int], lost: float, rng: random.Random) -> tuple[Signal, ...]:
    """What arrives, in order of arrival. `skew` is how far a CI's clock is off, `lost` the share that never comes."""
    found: list[tuple[int, int, Alarm, bool]] = []
    for alarm in alarms:
        for moment, firing in _moments(alarm, rng):
            if not alarm.own and alarm.fault != NOISE and rng.random() < (lost if firing else lost / 2):
                continue
            transport = rng.randint(200, 3_000) if rng.random() < 0.95 else rng.randint(3_000, 20_000)
            found.append((moment + transport, moment, alarm, firing))
    found.sort(key=lambda each: (each[0], each[1], each[2].ci, each[2].class_, each[3]))
    return tuple(
        Signal(
            id=f"e{number}",
            arrives=arrives,
            time=moment + skew.get(alarm.ci, 0),
            ci=alarm.ci,
            class_=alarm.class_,
            severity=alarm.severity,
            firing=firing,
            fault=alarm.fault,
        )
        for number, (arrives, moment, alarm, firing) in enumerate(found, 1)
    )


def _moments(alarm: Alarm, rng: random.Random) -> Iterator[tuple[int, bool]]:
    """When the alarm is said to fire and to be gone."""
    yield alarm.begins, True
    if alarm.flaps:
        period = min(rng.randint(4_000, 30_000), (alarm.ends - alarm.begins) // (alarm.flaps + 1))
        for flap in range(1, alarm.flaps + 1):
            yield alarm.begins + flap * period - period // 2, False
            yield alarm.begins + flap * period, True
    elif rng.random() < 0.15:
        again = alarm.begins + rng.randint(60_000, 120_000)
        if again < alarm.ends:
            yield again, True
    yield alarm.ends, False
