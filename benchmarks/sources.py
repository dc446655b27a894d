"""What mappings cost: reading a payload and making events of it, for the first sample of every shipped source.

`python -m benchmarks.sources`. J is `orjson.loads` of the same payload in the same run (of a text, of it as a JSON
string). Beside it stands the floor: the same payload parsed, and a report with a time built for each of its events,
which no mapping can do without.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from benchmarks.interpreter import described
from benchmarks.rules import in_turn
from opsbridge.core.intake import Report
from opsbridge.sources.catalogue import Sources, load_sources
from opsbridge.sources.mapped import MappedSource
from opsbridge.sources.samples import Sample, read_samples, samples_beside
from opsbridge.sources.source import Source

ROUNDS: Final = 2_000
"""Readings of a payload in one pass."""

MANY: Final = 50
"""Alerts in the payload of a storm."""


def spent(work: Callable[[], object], rounds: int) -> int:
    """Nanoseconds of CPU for so many times this work."""
    begun = time.thread_time_ns()
    for _ in range(rounds):
        work()
    return time.thread_time_ns() - begun


def reading(source: Source, sample: Sample) -> Callable[[], object]:
    """Reads the sample once."""
    payload, headers, arrived = sample.payload, sample.headers, sample.arrived_ms
    return lambda: source.items(payload, headers, arrived)


def floor(events: int) -> Callable[[], object]:
    """Makes so many reports with their times, of constants."""
    parse = datetime.fromisoformat
    labels: dict[str, str] = {}

    def make() -> None:
        for _ in range(events):
            Report(
                id="i",
                time=parse("2026-03-01T08:00:00.250Z"),
                ci="c",
                class_="k",
                state="firing",
                severity="major",
                source="s",
                summary="t",
                labels=labels,
                fingerprint="f",
            )

    return make


def line(name: str, source: MappedSource, sources: Sources, sample: Sample, repetitions: int) -> str:
    """One row of the table."""
    text = source.mapping.payload == "text"
    parsed = orjson.dumps(sample.payload.decode()) if text else sample.payload
    events = len(source.items(sample.payload, sample.headers, sample.arrived_ms))
    rounds = max(50, ROUNDS // events)
    j, least, whole, auto = in_turn(
        repetitions,
        lambda: spent(lambda: orjson.loads(parsed), rounds),
        lambda: spent(floor(events), rounds),
        lambda: spent(reading(source, sample), rounds),
        lambda: spent(reading(sources.auto, sample), rounds),
    )
    per_event = 1000 * rounds * events
    return (
        f"| {name} | {len(sample.payload)} | {events} | {j / per_event:.2f} | {whole / per_event:.2f} | {whole / j:.1f}"
        f" | {whole / j - 1:.1f} | {1 + least / j:.1f} | {auto / j:.1f} |"
    )


def storm(sample: Sample, key: str) -> Sample:
    """The same payload with many of its first item."""
    payload = orjson.loads(sample.payload)
    payload[key] = payload[key][:1] * MANY
    return Sample(sample.name, orjson.dumps(payload), sample.headers, sample.arrived_ms, sample.auto, (), (), (), 0)


def report(asked: argparse.Namespace) -> Iterator[str]:
    """The whole report, line by line as it becomes known."""
    sources = load_sources()
    yield "## Sources: what mappings cost"
    yield ""
    yield f"- the first sample of each source; medians of {asked.repeat} passes; us are per event, J per payload"
    yield "- whole: parsed and mapped; floor: parsed, and a bare report with a time for each event"
    yield ""
    yield "| source | bytes | events | J us | whole us | whole J | mapping alone J | floor J | by auto J |"
    yield "| :--- " + "| ---: " * 8 + "|"
    gc.collect()
    gc.freeze()
    for name, source in sorted(sources.mapped.items()):
        first = read_samples(samples_beside(source.mapping.path) or Path())[0]
        yield line(name, source, sources, first, asked.repeat)
        if name in ("alertmanager", "grafana"):
            many = storm(first, "alerts")
            yield line(f"{name}, {MANY} alerts", source, sources, many, asked.repeat)
    gc.unfreeze()


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=7, help="passes of each (%(default)s)")
    for text in (*described(), *report(parser.parse_args())):
        print(text, flush=True)


if __name__ == "__main__":
    main()
