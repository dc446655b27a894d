"""Random small estates and what happens on them, for the tests of the laws.

An estate has 3 to 25 CIs, cycles among them, some unmonitored, some known by two names. What happens is a list of
steps: a report, or a time that comes without one. Reports come late, twice, before what they follow, and from unknown
CIs.
`OPSBRIDGE_EXAMPLES` sets how many examples each law is tried on.
"""

import os
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import cycle, groupby
from typing import Final

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from timetable import FAR, PROFILES, START, Severity

from opsbridge.core.decisions import Reject, Rejected, Withheld
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.rulebook import Rulebook

LAW: Final = settings(
    max_examples=int(os.environ.get("OPSBRIDGE_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Item = Report | Withheld | Rejected
Step = Report | Withheld | Rejected | int
"""An item that arrives, or a time (milliseconds since 1970) that comes."""

ASIDE: Final = (Withheld("suppressed", "tool/soft_state"), Rejected(Reject.INVALID_FIELD, "no ci - at `$.alerts[3]`"))
"""What sources let not become a report."""

CLASSES: Final = ("Down", "Down", "Slow", "DiskFull", "NoRequests", "CertificateExpires", "Odd")
"""Of every nature, and travelling in every way."""
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "major", "minor", "warning", "info")

# one second has many events; some gaps pass the deadlines of waiting, reporting, ceasing, closing and forgetting
GAPS: Final = (0, 0, 0, 1, 100, 300, 999, 1_000, 3_000, 11_000)
SHORT_GAPS: Final = (0, 100, 400, 1_500)
CALM_GAPS: Final = (0, 1, 100, 300, 999)
LONG_GAPS: Final = (*GAPS, 61_000, 299_500, 301_000, 3_700_000)
LATENESS: Final = (0, 0, 0, 0, 400, 2_000, 30_000)


def build(chance: random.Random) -> CIGraph:
    """An estate: mostly a tree of layers, with edges across and back."""
    size = chance.randint(3, 25)
    cis = [
        CI(
            id=f"ci{n}",
            service=chance.random() < 0.2,
            monitored=chance.random() < 0.85,
            tier=chance.choice((None, 1, 2)),
        )
        for n in range(size)
    ]
    edges = [(n, chance.randrange(n)) for n in range(1, size) if chance.random() < 0.9]
    edges += [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.choice((0, 1, 3, size)))]
    return CIGraph(cis, edges, aliases={f"alias{n}": n for n in range(0, size, 4)})


def happen(
    chance: random.Random, graph: CIGraph, gaps: Sequence[int], lengths: Sequence[int] = (5, 20, 60)
) -> list[Step]:
    """What happens there: noise, and storms of all that depends on one CI."""
    names = [*graph.numbers, "ghost1", "ghost2"]
    clock = START + chance.randrange(2_000)
    steps: list[Step] = []
    storm: list[str] = []
    for number in range(chance.choice(lengths)):
        clock += chance.choice(gaps if not storm else SHORT_GAPS)
        if chance.random() < 0.08:
            steps.append(clock)
            continue
        if chance.random() < 0.06:
            behind = graph.impacted(chance.randrange(len(graph)))
            storm = [graph.cis[ci].id for ci in chance.sample(behind, len(behind))]
        resolved = not storm and chance.random() < 0.35
        if chance.random() < 0.03:
            steps.append(chance.choice(ASIDE))
        if chance.random() < 0.08:
            steps.append(keyed(chance, f"e{number}", clock - chance.choice(LATENESS), chance.choice(names)))
            continue
        steps.append(
            Report(
                id=f"e{number}",
                time=datetime.fromtimestamp((clock - chance.choice(LATENESS)) / 1000, UTC),
                ci=storm.pop() if storm else chance.choice(names),
                class_=chance.choice(CLASSES),
                state="resolved" if resolved else "firing",
                severity=None if resolved else chance.choice(SEVERITIES),
                fingerprint=f"key{chance.randrange(3)}" if chance.random() < 0.1 else None,
            )
        )
    return steps


def keyed(chance: random.Random, name: str, time: int, ci: str) -> Report:
    """A report of an alert that is kept by its key; a resolution mostly says nothing else."""
    resolved = chance.random() < 0.5
    named = chance.random() < 0.3
    return Report(
        id=name,
        time=datetime.fromtimestamp(time / 1000, UTC),
        ci=ci if named or not resolved else "",
        class_=chance.choice(CLASSES) if named or not resolved else "",
        state="resolved" if resolved else "firing",
        severity=None if resolved else chance.choice(SEVERITIES),
        fingerprint=f"problem{chance.randrange(4)}",
        by_key=True,
    )


def pipeline_on(graph: CIGraph) -> Pipeline:
    """A pipeline without rules but those that are shipped."""
    return Pipeline(graph, Rulebook(profiles=PROFILES))


randoms = st.integers(0, 2**40).map(random.Random)


@st.composite
def lives(draw: st.DrawFn, gaps: Sequence[int] = LONG_GAPS) -> tuple[CIGraph, list[Step]]:
    """An estate and what happens on it. Shrinks by leaving steps out."""
    chance = draw(randoms)
    graph = build(chance)
    steps = happen(chance, graph, gaps)
    kept = draw(st.lists(st.sampled_from((False, True, True, True, True)), min_size=len(steps), max_size=len(steps)))
    return graph, [step for step, keep in zip(steps, kept, strict=True) if keep]


def batches(steps: Iterable[Step], sizes: Iterable[int]) -> list[list[Item] | int]:
    """The steps with neighbouring reports taken together, as many as the sizes say in turn, over and over."""
    cut: list[list[Item] | int] = []
    room = cycle(sizes)
    left = 0
    for step in steps:
        if isinstance(step, int):
            cut.append(step)
            continue
        if not left or not cut or isinstance(cut[-1], int):
            left = next(room)
            cut.append([])
        batch = cut[-1]
        assert not isinstance(batch, int)
        batch.append(step)
        left -= 1
    return cut


def apply(pipeline: Pipeline, step: Sequence[Item] | Step) -> list[Decision]:
    """One step of a pipeline."""
    if isinstance(step, int):
        return pipeline.expire(step)
    return pipeline.advance(step if isinstance(step, Sequence) else [step], FAR)


def bytes_by_topic(decisions: Iterable[Decision]) -> dict[str, list[bytes]]:
    """The decisions as they would be written, in order for each kind; kinds have no order among each other."""
    kinds = sorted(decisions, key=lambda decision: type(decision).__name__)
    return {kind: list(map(msgspec.json.encode, told)) for kind, told in groupby(kinds, lambda one: type(one).__name__)}


def digest(seeds: range) -> str:
    """What many pipelines decide, and save, in one number; the same in every process."""
    state = blake2b()
    for seed in seeds:
        chance = random.Random(seed)
        graph = build(chance)
        pipeline = pipeline_on(graph)
        for step in happen(chance, graph, LONG_GAPS):
            for decision in apply(pipeline, step):
                state.update(msgspec.json.encode(decision))
            state.update(repr(pipeline.changes()).encode())
    return state.hexdigest()
