"""All benchmarks, one after the other: `make bench`, or `python -m benchmarks [--write] [options]`.

The core, the rules, the sources and the importers are measured first, then the stream beside a real Apache Kafka and
the gateway beside Alertmanager; what is missing for it, the report says. `--write` keeps it as benchmarks/RESULTS.md.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks import core, gateway, importers, rules, sources, stream

RESULTS: Final = Path(__file__).with_name("RESULTS.md")

HEAD: Final = """\
# Benchmark results

Written by `python -m benchmarks --write`. Compare ratios, not microseconds: J is `orjson.loads` of the same events, L a
plain aiokafka `getmany` loop with `orjson.loads`, each measured in the same run.
"""


async def report(asked: argparse.Namespace) -> AsyncIterator[str]:
    """Every line of the report, as it becomes known."""
    for line in HEAD.splitlines():
        yield line
    yield ""
    for line in (*core.report(asked), "", *rules.report(asked), "", *sources.report(asked)):
        yield line
    yield ""
    for line in importers.report(asked):
        yield line
    yield ""
    if asked.only_core:
        return
    async for line in stream.lines(asked):
        yield line
    yield ""
    for line in gateway.lines(asked):
        yield line


async def _run(asked: argparse.Namespace) -> None:
    lines: list[str] = []
    async for line in report(asked):
        print(line, flush=True)
        lines.append(line)
    if asked.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Print the whole report, and keep it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="All benchmarks of OpsBridge.")
    parser.add_argument("--write", action="store_true", help="keep the report as benchmarks/RESULTS.md")
    parser.add_argument("--only-core", action="store_true", help="leave Kafka out")
    core.arguments(parser)
    importers.arguments(parser)
    stream.arguments(parser)
    gateway.arguments(parser)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
