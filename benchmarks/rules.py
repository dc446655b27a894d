"""What rules cost an event: prepare, judge and listen of compiled sets of 10, 100 and 1 000 rules of all kinds.

`python -m benchmarks.rules`. Of every set the same rules match now and then, and all others cannot: what grows with the
set is what such rules cost. Beside it the naive way, a list of lambdas that are asked one after the other; then windows
of maintenance, and what reading and compiling a set takes. J is `orjson.loads` of the same events in the same run.
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from benchmarks.estates import Estate, estate, events
from benchmarks.interpreter import described
from opsbridge.core.decisions import Rejected
from opsbridge.core.event import SEVERITY_NUMBER, Event, default_fingerprint
from opsbridge.core.graph import CI, CIGraph, unknown_ci
from opsbridge.core.rulebook import Rulebook
from opsbridge.rules import RuleSet, compile_rules, load_rules
from opsbridge.sources.canonical import decode

SIZES: Final = (10, 100, 1_000)
RULES: Final = Path(__file__).parent.parent / "correlation_rules"
ESTATE: Final = 10_000
"""CIs."""

Test = Callable[[Event, CI], bool]
Says = dict[str, object]
Asked = list[tuple[Event, CI]]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of rule: what one says whose events have this class, and how a lambda asks the same."""

    kind: str
    says: Callable[[str], Says]
    test: Callable[[str], Test]
    prepares: bool = False
    hears: bool = False
    """Also resolutions."""


def _plain(class_: str) -> Test:
    return lambda event, _: event.class_ == class_


def _begins(class_: str) -> Test:
    return lambda event, _: event.class_.startswith(class_)


def _from_two_sites(class_: str) -> Test:
    return lambda event, ci: event.class_ == class_ and ci.site in ("ams1", "fra1")


def _major(class_: str) -> Test:
    return lambda event, _: event.class_ == class_ and event.severity >= SEVERITY_NUMBER["major"]


def _soft(class_: str) -> Test:
    return lambda event, _: event.class_ == class_ and event.labels.get("state_type") == "SOFT"


def _checked(class_: str) -> Test:
    return lambda event, _: event.class_ == class_ and event.labels.get("check", "").startswith("r")


def _raised(class_: str) -> dict[str, str]:
    return {"class": f"{class_}Raised", "severity": "major"}


SHAPES: Final = (
    Shape("filter", lambda c: {"match": {"class": c, "labels.state_type": "SOFT"}, "action": "drop"}, _soft),
    Shape(
        "classify", lambda c: {"match": {"class": c, "ci.site": ["ams1", "fra1"]}, "severity": "minor"}, _from_two_sites
    ),
    Shape(
        "enrich",
        lambda c: {"match": {"class": {"glob": f"{c}*"}}, "set": {"labels.team": {"from": "ci.owner"}}},
        _begins,
        prepares=True,
    ),
    Shape("dedup", lambda c: {"match": {"class": c}, "fingerprint": ["ci", "class"]}, _plain, prepares=True),
    Shape("hold", lambda c: {"match": {"class": c, "severity": {"gte": "major"}}, "for": "2m"}, _major),
    Shape("flapping", lambda c: {"match": {"class": c}, "within": "10m", "enter": 6, "leave": 2}, _plain),
    Shape("heartbeat", lambda c: {"match": {"class": c}, "every": "5m", "raise": _raised(c)}, _plain, hears=True),
    Shape(
        "threshold",
        lambda c: {
            "type": "event_count",
            "match": {"class": c, "labels.check": {"glob": "r*"}},
            "timespan": "5m",
            "condition": {"gte": 10},
            "raise": _raised(c),
        },
        _checked,
    ),
    Shape(
        "trend",
        lambda c: {
            "match": {"class": c},
            "field": "labels.value",
            "limit": 100,
            "crosses_within": "4h",
            "over": "1h",
            "group_by": ["ci"],
            "raise": _raised(c),
        },
        _plain,
    ),
    Shape("inhibit", lambda c: {"source": {"class": f"{c}Source"}, "target": {"class": c}, "equal": ["ci"]}, _plain),
)
REAL: Final = ("datastore_lost", "kernel_panic", "agent_lost")
"""Classes that the stream has: of the first rules of a set."""


def rules(count: int, classes: Sequence[str]) -> tuple[list[Says], list[tuple[Shape, Test]]]:
    """So many rules of all kinds in turn, and the lambdas that ask the same; the first ones are about these classes."""
    said: list[Says] = []
    asked: list[tuple[Shape, Test]] = []
    for number in range(count):
        shape = SHAPES[number % len(SHAPES)]
        class_ = classes[number % len(classes)] if number < len(SHAPES) else f"App{number}Slow"
        said.append({"id": f"rule-{number}", "kind": shape.kind, **shape.says(class_)})
        asked.append((shape, shape.test(class_)))
    return said, asked


def windows(count: int, graph: CIGraph) -> list[Says]:
    """Maintenance windows, each for one CI and all that cannot do without it."""
    span = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
    step = max(1, len(graph.cis) // count)
    return [
        {"id": f"window-{number}", "kind": "maintenance", "cis": {"ci": graph.cis[place].id}, "windows": [span]}
        for number, place in enumerate(range(0, step * count, step))
    ]


def compiled(said: Sequence[Says], graph: CIGraph) -> tuple[RuleSet, float, float]:
    """The set, and the milliseconds that reading and compiling it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.json"
        path.write_text(json.dumps({"version": 1, "rules": said}), encoding="utf-8")
        begun = time.thread_time_ns()
        loaded = load_rules([path]).rules
        read = time.thread_time_ns()
        made = compile_rules(loaded, graph)
        return made, (read - begun) / 1e6, (time.thread_time_ns() - read) / 1e6


def bound(payloads: Sequence[bytes], graph: CIGraph) -> Asked:
    """Events and their CIs as intake would ask rules about them."""
    asked: Asked = []
    for payload in payloads:
        report = decode(payload)
        if isinstance(report, Rejected):
            raise ValueError(report.detail)
        number = graph.numbers.get(report.ci)
        ci = unknown_ci(report.ci) if number is None else graph.cis[number]
        event = Event(
            report.id,
            0,
            ci.id,
            report.class_,
            SEVERITY_NUMBER.get(report.severity or "", 0),
            report.state == "firing",
            default_fingerprint(ci.id, report.class_),
            number is not None,
            report.source,
            report.summary,
            report.labels,
        )
        asked.append((event, ci))
    return asked


def ask(book: Rulebook, asked: Asked) -> tuple[int, int]:
    """Nanoseconds of CPU for all that rules are asked, and of how many events they had something to say."""
    prepare, judge, listen = book.prepare, book.judge, book.listen
    said = 0
    begun = time.thread_time_ns()
    for event, ci in asked:
        if prepare is not None:
            event = prepare(event, ci)
        if event.firing:
            said += judge(event, ci) is not None
        elif listen is not None:
            said += listen(event, ci) != ()
    return time.thread_time_ns() - begun, said


def ask_lambdas(tests: Sequence[tuple[Shape, Test]], asked: Asked) -> int:
    """Nanoseconds of CPU for asking one after the other which match; what follows is left out."""
    prepares = [test for shape, test in tests if shape.prepares]
    firing = [test for shape, test in tests if not shape.prepares]
    resolved = [test for shape, test in tests if shape.hears]
    begun = time.thread_time_ns()
    for event, ci in asked:
        [test for test in prepares if test(event, ci)]
        [test for test in (firing if event.firing else resolved) if test(event, ci)]
    return time.thread_time_ns() - begun


def measure_j(payloads: Sequence[bytes]) -> int:
    """Nanoseconds of CPU for `orjson.loads` of every event."""
    loads = orjson.loads
    begun = time.thread_time_ns()
    for payload in payloads:
        loads(payload)
    return time.thread_time_ns() - begun


def in_turn(repetitions: int, *measured: Callable[[], int]) -> list[float]:
    """The median of each, measured one after the other again and again, so that all see the same machine."""
    passes = [[each() for each in measured] for _ in range(repetitions)]
    return [median(column) for column in zip(*passes, strict=True)]


def size_lines(world: Estate, payloads: Sequence[bytes], repetitions: int) -> Iterator[str]:
    """What sets of several sizes cost an event, and how long it takes until they are in force."""
    compile_rules(())  # reads the shipped rules, once in a process
    yield "| rules | said something of | us | J | list of lambdas us | J | reading ms | compiling ms |"
    yield "| ---: " * 8 + "|"
    graph = world.graph()
    asked = bound(payloads, graph)
    per_event = 1000 * len(asked)
    few = asked[: len(asked) // 10]
    for size in SIZES:
        said, tests = rules(size, REAL)
        made, read, compiling = compiled(said, graph)
        gc.collect()
        gc.freeze()
        share = ask(made.book, asked)[1] / len(asked)
        j, whole, naive = in_turn(
            repetitions,
            lambda: measure_j(payloads),
            lambda book=made.book: ask(book, asked)[0],  # type: ignore[misc]  # the default binds it to this turn
            lambda tests=tests: 10 * ask_lambdas(tests, few),  # type: ignore[misc]
        )
        gc.unfreeze()
        yield (
            f"| {size} | {share:.0%} | {whole / per_event:.2f} | {whole / j:.2f} | {naive / per_event:.2f}"
            f" | {naive / j:.2f} | {read:.0f} | {compiling:.0f} |"
        )


def set_lines(world: Estate, payloads: Sequence[bytes], repetitions: int) -> Iterator[str]:
    """What the rules of this repository cost, and windows of maintenance."""
    yield "| set | said something of | us | J | compiling ms |"
    yield "| :--- " + "| ---: " * 4 + "|"
    graph = world.graph()
    asked = bound(payloads, graph)
    begun = time.thread_time_ns()
    own = compile_rules(load_rules([RULES]).rules, graph)
    sets = {"correlation_rules/ (reading included)": (own, 0.0, (time.thread_time_ns() - begun) / 1e6)}
    sets |= {f"{count} maintenance windows": compiled(windows(count, graph), graph) for count in (1, 1_000)}
    for name, (made, _, compiling) in sets.items():
        gc.collect()
        gc.freeze()
        share = ask(made.book, asked)[1] / len(asked)
        j, whole = in_turn(repetitions, lambda: measure_j(payloads), lambda book=made.book: ask(book, asked)[0])  # type: ignore[misc]
        gc.unfreeze()
        yield f"| {name} | {share:.0%} | {whole / 1000 / len(asked):.2f} | {whole / j:.2f} | {compiling:.0f} |"


def report(asked: argparse.Namespace) -> Iterator[str]:
    """The whole report, line by line as it becomes known."""
    world = estate(ESTATE)
    payloads = list(events(world, min(asked.events, 50_000)))
    yield "## Rules: what they cost an event"
    yield ""
    yield f"- {len(payloads)} events on {ESTATE} CIs; medians of {asked.repeat} passes, each beside its own J"
    yield "- the same few rules match in every set; reading and compiling are what a reload takes"
    yield ""
    yield from size_lines(world, payloads, asked.repeat)
    yield ""
    yield from set_lines(world, payloads, asked.repeat)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=50_000, help="in the stream (%(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="passes of each (%(default)s)")
    for line in (*described(), *report(parser.parse_args())):
        print(line, flush=True)


if __name__ == "__main__":
    main()
