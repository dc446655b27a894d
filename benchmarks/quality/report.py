"""The report: from what engines were worth in every scenario to the tables of QUALITY.md.

Figures depend on the runs alone; nothing here knows the time or the machine. Rates are means over faults, precision
and recall means over scenarios, so that one storm of a thousand events does not outweigh a hundred small faults.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from statistics import mean, median
from typing import Final

from benchmarks.quality.identify import Standing
from benchmarks.quality.runs import ENGINES, OURS, Run
from benchmarks.quality.scores import FaultScore, RunScore

BINS: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Where the bins of confidence begin; the last one ends the one before, itself included."""

MANY: Final = 0.05
"""A kind of which more faults than this share cannot be identified is named."""

HEAD: Final = """\
# Quality of root choice and grouping

Written by `{command}`; the same command gives the same figures. [docs/quality.md](../docs/quality.md) says
what the kinds are, what each figure means, and how far it can be trusted. {faults} faults in {scenarios} scenarios.

How to read it: `top-1` is how often the incident that holds most of a fault names the right root; `identifiable` is how
often that can be known at all, by an oracle's judgement, so compare `top-1 of identifiable` with 1. `precision` falls
with noise and other faults in an incident, `recall` with a fault that is told in pieces. A kind with one fault and no
noise cannot show wrong merges: look at `concurrent`, `spurious`, `chronic` and `mixed` for those.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One fault in one run, as one engine told it."""

    run: Run
    root: str
    standing: Standing
    score: FaultScore

    @property
    def identifiable(self) -> bool:
        """Whether the alerts leave exactly one best candidate, the real root."""
        return self.standing == "alone"


def told(runs: Iterable[Run], engine: str) -> list[Told]:
    """Every fault of these runs."""
    return [
        Told(run, root, stands, score)
        for run in runs
        for root, stands, score in zip(run.roots, run.standings, run.scores[engine].faults, strict=True)
    ]


# figures


def share(flags: Iterable[bool]) -> float:
    """The share that is true; nan of nothing."""
    found = list(flags)
    return sum(found) / len(found) if found else float("nan")


def precision(score: RunScore) -> float:
    """Of the pairs that were put together, how many belong together; one that put nothing together did no wrong."""
    made = score.together + score.wrongly
    return score.together / made if made else 1.0


def recall(score: RunScore) -> float:
    """Of the pairs that belong together, how many were put together."""
    wanted = score.together + score.apart
    return score.together / wanted if wanted else 1.0


def f1(score: RunScore) -> float:
    """The harmonic mean of both."""
    both = precision(score) + recall(score)
    return 2 * precision(score) * recall(score) / both if both else 0.0


def merges(scores: Sequence[RunScore]) -> float:
    """The share of the incidents with a fault's events that hold another fault's as well."""
    return sum(score.merged for score in scores) / max(1, sum(score.incidents for score in scores))


def percentile(values: Iterable[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def rate(value: float) -> str:
    """A rate with three places, or a dash."""
    return "-" if isnan(value) else f"{value:.3f}"


# tables


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose first column is text."""
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


Figure = Callable[[Sequence[Run], Sequence[Told]], str]

FIGURES: Final[dict[str, Figure]] = {
    "faults": lambda _, faults: str(len(faults)),
    "identifiable": lambda _, faults: rate(share(fault.identifiable for fault in faults)),
    "top-1": lambda _, faults: rate(share(fault.score.first for fault in faults)),
    "top-3": lambda _, faults: rate(share(fault.score.third for fault in faults)),
    "top-1 of identifiable": lambda _, faults: rate(share(each.score.first for each in faults if each.identifiable)),
    "precision": lambda runs, _: rate(mean(precision(run.scores[OURS]) for run in runs)),
    "recall": lambda runs, _: rate(mean(recall(run.scores[OURS]) for run in runs)),
    "F1": lambda runs, _: rate(mean(f1(run.scores[OURS]) for run in runs)),
    "false merges": lambda runs, _: rate(merges([run.scores[OURS] for run in runs])),
    "false splits": lambda _, faults: rate(share(fault.score.split for fault in faults)),
    "incidents per fault": lambda _, faults: f"{mean(fault.score.incidents for fault in faults):.2f}",
    "outside": lambda _, faults: rate(mean(fault.score.outside for fault in faults)),
    "strangers": lambda _, faults: rate(mean(fault.score.strangers for fault in faults)),
    "collapse": lambda _, faults: f"{_collapse(faults):.1f}",
    "wait s": lambda _, faults: f"{median(fault.score.waited_ms for fault in faults) / 1000:.0f}",
    "wait s p90": lambda _, faults: f"{percentile((each.score.waited_ms for each in faults), 0.9) / 1000:.0f}",
}
"""The columns of the main table."""


def _collapse(faults: Sequence[Told]) -> float:
    """Firing events of faults per incident that they are in."""
    return sum(each.score.events for each in faults) / max(1, sum(each.score.incidents for each in faults))


def by(runs: Iterable[Run], key: Callable[[Run], str]) -> dict[str, list[Run]]:
    """Runs in groups, in order of first appearance."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return groups


def _main(groups: dict[str, list[Run]]) -> Iterator[str]:
    rows = ([name, *(figure(runs, told(runs, OURS)) for figure in FIGURES.values())] for name, runs in groups.items())
    return table(["", *FIGURES], rows)


def _beside(groups: dict[str, list[Run]]) -> Iterator[str]:
    """All engines: root right / F1 / false merges / false splits."""

    def cell(runs: Sequence[Run], engine: str) -> str:
        scores = [run.scores[engine] for run in runs]
        faults = told(runs, engine)
        figures = (
            share(fault.score.first for fault in faults),
            mean(f1(score) for score in scores),
            merges(scores),
            share(fault.score.split for fault in faults),
        )
        return " / ".join(f"{figure:.2f}" for figure in figures)

    return table(["", *ENGINES], ([name, *(cell(runs, engine) for engine in ENGINES)] for name, runs in groups.items()))


def calibration(faults: Sequence[Told]) -> tuple[list[list[str]], float]:
    """Per bin of confidence: faults, mean confidence, share right; and the mean gap between the two."""
    rows: list[list[str]] = []
    gap = 0.0
    rated = [(fault.score.confidence, fault.score.first) for fault in faults if fault.score.confidence is not None]
    for begin, end in pairwise(BINS):
        inside = [each for each in rated if begin <= each[0] < end or (end == BINS[-1] and each[0] == end)]
        if inside:
            confidence, right = mean(each[0] for each in inside), share(each[1] for each in inside)
            gap += abs(confidence - right) * len(inside) / len(rated)
            rows.append([f"{begin:g} to {end:g}", str(len(inside)), rate(confidence), rate(right)])
    return rows, gap


def _blame(faults: Sequence[Told]) -> Iterator[str]:
    """By the type of the real root: how often it is found, and what is blamed instead."""
    groups: dict[str, list[Told]] = defaultdict(list)
    for fault in faults:
        groups[fault.root].append(fault)
    places = ("above", "below", "beside", "nothing")
    yield from table(
        ["root", "faults", "identifiable", "top-1", *places],
        (
            [
                type_,
                str(len(group)),
                rate(share(fault.identifiable for fault in group)),
                rate(share(fault.score.first for fault in group)),
                *(rate(share(fault.score.blamed == place for fault in group)) for place in places),
            ]
            for type_, group in sorted(groups.items())
        ),
    )


def report(runs: Sequence[Run], command: str) -> Iterator[str]:
    """The whole report, line by line."""
    kinds = by(runs, lambda run: run.kind)
    ours = told(runs, OURS)
    yield from HEAD.format(command=command, faults=len(ours), scenarios=len(runs)).splitlines()
    yield ""
    yield "## By kind of fault"
    yield ""
    yield from _main({**kinds, "all": list(runs)})
    yield "## Beside naive engines"
    yield ""
    yield "Root right / F1 / false merges / false splits."
    yield ""
    yield from _beside({**kinds, "all": list(runs)})
    yield "## Is the confidence worth its name?"
    yield ""
    for name, faults in (("all faults", ours), ("identifiable faults", [each for each in ours if each.identifiable])):
        rows, gap = calibration(faults)
        yield f"{name[0].upper()}{name[1:]}; the mean gap between confidence and truth is {gap:.3f}:"
        yield ""
        yield from table(["confidence", "faults", "mean", "right"], rows)
    yield "## By estate"
    yield ""
    yield from _main(
        by(runs, lambda run: f"{run.estate}, {'types and redundancy told' if run.detailed else 'plain edges'}")
    )
    yield "## By what failed, and what is blamed instead"
    yield ""
    yield from _blame(ours)
    if broken := [run for run in runs if run.broken]:
        yield "## Where OpsBridge broke down"
        yield ""
        yield from (f"- {run.kind} {run.number}: {run.broken}" for run in broken)
        yield ""
    yield "## Where the information does not suffice"
    yield ""
    yield from _insufficient(kinds)


def _insufficient(kinds: dict[str, list[Run]]) -> Iterator[str]:
    """The faults that the oracle would not find either, by kind."""
    yield "Even an oracle that knows the real estate, and which events belong together, would not name the real root of"
    yield "these faults: another CI is exactly as likely (`tied`), or likelier (`beaten`: what was seen misleads). An"
    yield "engine that is right about them is lucky, or has looked at times as well."
    yield ""
    rows: list[list[str]] = []
    for kind, runs in kinds.items():
        faults = told(runs, OURS)
        hidden = [fault for fault in faults if not fault.identifiable]
        counts = Counter(fault.standing for fault in hidden)
        if hidden:
            right = rate(share(fault.score.first for fault in hidden))
            rows.append([kind, str(len(faults)), str(counts["tied"]), str(counts["beaten"]), right])
    yield from table(["", "faults", "tied", "beaten", "top-1 of these"], rows)
    many = [row[0] for row in rows if int(row[2]) + int(row[3]) > MANY * int(row[1])]
    yield f"More than {MANY:.0%} of the faults: {', '.join(many) or 'of no kind'}."
