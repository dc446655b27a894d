"""Runs scenarios through all engines, on as many processors as there are, and keeps what each was worth.

The order of the results depends on the arguments alone, and so does every figure in them.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from benchmarks.quality.engine import opsbridge
from benchmarks.quality.faults import scenario
from benchmarks.quality.identify import Standing, standing
from benchmarks.quality.kinds import KINDS
from benchmarks.quality.naive import ENGINES as NAIVE
from benchmarks.quality.scores import RunScore, score

OURS: Final = "OpsBridge"
ENGINES: Final = (OURS, *NAIVE)

Task = tuple[str, int, int, tuple[str, ...]]
"""Kind, number and seed of a scenario, and the estates to choose from."""


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario and what every engine made of it."""

    kind: str
    number: int
    estate: str
    detailed: bool
    roots: tuple[str, ...]
    """The type of each fault's root."""
    standings: tuple[Standing, ...]
    """How each fault's root stands to all other CIs in the eyes of the oracle."""
    scores: dict[str, RunScore]
    broken: str
    """What went wrong in OpsBridge; the scenario then counts as one of which it told nothing."""


def tasks(kinds: Sequence[str], faults: int, seed: int, estates: Sequence[str]) -> Iterator[Task]:
    """Scenarios enough for at least so many faults of every kind, in these estates."""
    for kind in kinds:
        number = made = 0
        while made < faults:
            made += KINDS[kind].count(number)
            yield kind, number, seed, tuple(estates)
            number += 1


def run(task: Task) -> Run:
    """One scenario through every engine."""
    happened = scenario(*task)
    cis = happened.spec.world().cis
    broken = ""
    try:
        found = opsbridge(happened)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other scenarios and the report go on
        found, broken = [], f"{type(error).__name__}: {error}"
    return Run(
        kind=happened.kind,
        number=happened.number,
        estate=happened.spec.name,
        detailed=happened.spec.world().detailed,
        roots=tuple(cis[min(fault.breaks[0].failed)].type for fault in happened.faults),
        standings=tuple(standing(happened, fault) for fault in range(len(happened.faults))),
        scores={OURS: score(happened, found)}
        | {name: score(happened, engine(happened)) for name, engine in NAIVE.items()},
        broken=broken,
    )


def run_all(wanted: Iterable[Task], workers: int | None = None) -> Iterator[Run]:
    """All scenarios, in order; `workers` is how many processes work, by default one per processor."""
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1:
        yield from map(run, wanted)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(run, wanted, chunksize=24)
