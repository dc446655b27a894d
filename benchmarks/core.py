"""The core from bytes to decisions: CPU per event, as a multiple of `orjson.loads` of the same events in the same run.

`python -m benchmarks.core`. Every repetition measures J (orjson.loads) and a fresh pipeline in turn; medians are shown.
Events go through `sources.canonical.decode` and `Pipeline.advance` in batches, with the shipped rules; the collector is
frozen after loading, as a worker does it. Saving the state (`changes`) is a column of its own. What the response side
costs is told for each update of a situation as well, since few events lead to one.
"""

import argparse
import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final, Protocol

import orjson

from benchmarks.estates import SPAN_S, START, Estate, estate, events, single_storm
from benchmarks.interpreter import described
from opsbridge.core.graph import CIGraph
from opsbridge.core.pipeline import Decision, Pipeline, Stage
from opsbridge.core.records import Incident
from opsbridge.core.state import Change
from opsbridge.rules import RuleSet, compile_rules, load_rules
from opsbridge.sources.canonical import decode

BATCH: Final = 1000
NOW: Final = int(START.timestamp() + SPAN_S + 60) * 1000
RULES: Final = Path(__file__).parent.parent / "correlation_rules"
TIMED: Final = ("first", "second", "response", "coordination")
STAGES: Final = ("decode", "intake", *TIMED, "save")

Batches = list[list[bytes]]


@dataclass(slots=True)
class Run:
    """One pass of all events through one pipeline: nanoseconds of CPU by stage, of the whole, and the longest batch."""

    j: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    core: int = 0
    pause: float = 0.0
    decisions: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    """Bytes of state that the response side changed."""
    roots: dict[str, str] = field(default_factory=dict)


class _Sized(Stage, Protocol):
    def __len__(self) -> int: ...


class _Timed:
    """A stage that adds the CPU of its work to a counter; all else is the stage's own."""

    def __init__(self, stage: _Sized, name: str, spent: Counter[str]) -> None:
        self._stage = stage
        self._name = name
        self._spent = spent
        for method in ("advance", "expire"):
            setattr(self, method, self._measured(getattr(stage, method)))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stage, name)

    def __len__(self) -> int:
        return len(self._stage)

    def _measured(self, method: Callable[..., object]) -> Callable[..., object]:
        def measured(*arguments: object) -> object:
            begun = time.thread_time_ns()
            try:
                return method(*arguments)
            finally:
                self._spent[self._name] += time.thread_time_ns() - begun

        return measured


def shipped_rules() -> RuleSet:
    """The compiled rules of this repository, the shipped ones with them."""
    return compile_rules(load_rules([RULES]).rules)


def batches_of(payloads: Sequence[bytes]) -> Batches:
    """The events as a worker would get them."""
    return [list(payloads[begin : begin + BATCH]) for begin in range(0, len(payloads), BATCH)]


def measure_j(batches: Batches) -> int:
    """Nanoseconds of CPU for `orjson.loads` of every event."""
    loads = orjson.loads
    begun = time.thread_time_ns()
    for batch in batches:
        for payload in batch:
            loads(payload)
    return time.thread_time_ns() - begun


def run(graph: CIGraph, rules: RuleSet, batches: Batches) -> Run:
    """One pass through a fresh pipeline, until nothing is left to be settled."""
    result = Run()
    pipeline = Pipeline(graph, rules.book)
    spent = result.stages
    for name in TIMED:
        setattr(pipeline, name, _Timed(getattr(pipeline, name), name, spent))
    clock = time.thread_time_ns
    for batch in [*batches, None]:
        wall, begun = time.perf_counter(), clock()
        if batch is None:
            made, decoded = pipeline.finish(), begun
        else:
            reports = [decode(payload) for payload in batch]
            decoded = clock()
            made = pipeline.advance(reports, NOW)
        ended = clock()
        result.pause = max(result.pause, time.perf_counter() - wall)
        spent["decode"] += decoded - begun
        result.core += ended - begun
        _notice(result, made)
        _save(result, pipeline)
    spent["intake"] = result.core - sum(spent[name] for name in ("decode", *TIMED))
    if not pipeline.accounts.balanced():
        raise RuntimeError(f"the accounts do not balance: {pipeline.accounts.places}")
    return result


def _notice(result: Run, decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        result.decisions[type(decision).__name__] += 1
        if isinstance(decision, Incident):
            result.roots[decision.id] = decision.root.ci


def _save(result: Run, pipeline: Pipeline) -> None:
    begun = time.thread_time_ns()
    changed: list[Change] = pipeline.changes()
    result.stages["save"] += time.thread_time_ns() - begun
    result.saved += sum(
        len(key) + len(value or b"") for key, value in changed if key.startswith((b"response:", b"coordination:"))
    )


def repeat(world: Estate, rules: RuleSet, payloads: Sequence[bytes], repetitions: int) -> list[Run]:
    """Several passes, each next to its own J; the graph is new each time, so that nothing is remembered."""
    batches = batches_of(payloads)
    runs: list[Run] = []
    for _ in range(repetitions):
        graph = world.graph()
        gc.collect()
        gc.freeze()
        before = measure_j(batches)
        result = run(graph, rules, batches)
        result.j = (before + measure_j(batches)) // 2
        runs.append(result)
        gc.unfreeze()
        del graph
    return runs


def memory(dependents: int, rules: RuleSet) -> tuple[float, float]:
    """Bytes per CI: the graph, and what one active alert on each adds to it (closures of the graph included)."""
    world, payloads, _ = single_storm(dependents)
    batches = batches_of(payloads)
    del payloads
    gc.collect()
    tracemalloc.start()
    graph = world.graph()
    empty = tracemalloc.get_traced_memory()[0]
    pipeline = Pipeline(graph, rules.book)
    for batch in batches:
        pipeline.advance([decode(payload) for payload in batch], NOW)
        pipeline.changes()
    pipeline.finish()
    pipeline.changes()
    gc.collect()
    full = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return empty / len(world.cis), (full - empty) / dependents


def storm_lines(sizes: Sequence[int], rules: RuleSet, repetitions: int) -> Iterator[str]:
    """CPU seconds for a whole storm behind one silent switch, and whether it became the one right incident."""
    yield (
        "| CIs behind one silent switch | CPU s in total | J | second level us an alert"
        " | longest batch ms | incidents | root right |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for size in sizes:
        world, payloads, switch = single_storm(size)
        runs = repeat(world, rules, payloads, repetitions)
        seconds = median(each.core for each in runs) / 1e9
        ratio = median(each.core / each.j for each in runs)
        pause = min(each.pause for each in runs) * 1000
        second = median(each.stages["second"] for each in runs) / size / 1000
        roots = runs[0].roots
        right = "yes" if list(roots.values()) == [switch] else f"NO: {sorted(roots.values())[:3]}"
        yield f"| {size} | {seconds:.3f} | {ratio:.1f} | {second:.1f} | {pause:.1f} | {len(roots)} | {right} |"


def stream_lines(sizes: Sequence[int], count: int, rules: RuleSet, repetitions: int) -> Iterator[str]:
    """CPU per event of a mixed stream on estates of several sizes: in full, in J, and by stage."""
    yield (
        "| CIs | events | J us | core us | core J | "
        + " | ".join(f"{stage} J" for stage in STAGES)
        + " | longest batch ms | incidents | decisions per event |"
        " situation updates | response us an update | saved bytes an update |"
    )
    yield "| ---: " * (11 + len(STAGES)) + "|"
    for size in sizes:
        world = estate(size)
        payloads = list(events(world, count))
        runs = repeat(world, rules, payloads, repetitions)
        number = len(payloads)
        j = median(each.j for each in runs) / number / 1000
        whole = median(each.core for each in runs) / number / 1000
        ratio = median(each.core / each.j for each in runs)
        stages = [median(each.stages[stage] / each.j for each in runs) for stage in STAGES]
        pause = min(each.pause for each in runs) * 1000
        updates = runs[0].decisions["SituationUpdate"]
        side = median(each.stages["response"] + each.stages["coordination"] for each in runs) / updates / 1000
        yield (
            f"| {size} | {number} | {j:.2f} | {whole:.2f} | {ratio:.2f} | "
            + " | ".join(f"{stage:.2f}" for stage in stages)
            + f" | {pause:.1f} | {len(runs[0].roots)} | {runs[0].decisions.total() / number:.2f} |"
            f" {updates} | {side:.1f} | {runs[0].saved / updates:.0f} |"
        )


def report(asked: argparse.Namespace) -> Iterator[str]:
    """The whole report, line by line as it becomes known."""
    rules = shipped_rules()
    yield "## Core: bytes to decisions"
    yield ""
    yield from (f"- {line}" for line in described())
    yield f"- J is orjson.loads of the same events in the same run; medians of {asked.repeat} passes, pause of the best"
    yield f"- batches of {BATCH}; collector thresholds {gc.get_threshold()}, frozen after loading"
    yield "- `save` (the changed state, encoded) is not part of `core`"
    yield ""
    yield from stream_lines(asked.sizes, asked.events, rules, asked.repeat)
    yield ""
    yield from storm_lines(asked.storms, rules, asked.repeat)
    yield ""
    graph, alert = memory(asked.memory, rules)
    yield f"Memory at {asked.memory} CIs with one active alert each: graph {graph:.0f}, state {alert:.0f} bytes per CI"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that both `benchmarks.core` and `benchmarks` take."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="CIs (%(default)s)")
    parser.add_argument("--events", type=int, default=100_000, help="in each stream (%(default)s)")
    parser.add_argument(
        "--storms", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="CIs in storms (%(default)s)"
    )
    parser.add_argument("--memory", type=int, default=10_000, help="CIs for the memory figure (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="passes of each (%(default)s)")


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments(parser)
    for line in report(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
