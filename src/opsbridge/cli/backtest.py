"""`opsbridge backtest`: what other rules or another topology would have made of the same events."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.options import (
    BootstrapServers,
    ConfigFile,
    Mappings,
    OutputFormat,
    Sets,
    Source,
    settings_from,
)
from opsbridge.cli.output import Format, say, show_table, write_json, write_line

if TYPE_CHECKING:
    from opsbridge.cli.comparing import Backtest
    from opsbridge.cli.payloads import Payload
    from opsbridge.settings import Settings
    from opsbridge.testing.differences import Brief

DEFAULT_SINCE: Final = "7d"

MEANINGS: Final = {
    "opens": "would open",
    "closes": "would not open",
    "merges": "would be one",
    "splits": "would be several",
    "root": "would have another root",
    "changes": "would change a little",
}
"""What the kinds of differences are called, the most important first."""


def backtest(
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|-", help="A payload a line, may be gzip; - reads stdin; may be repeated."),
    ] = None,
    source: Source = "auto",
    mappings: Mappings = None,
    topic: Annotated[bool, typer.Option("--topic", help="Read the live input topics instead.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help=f"How far back the topics are read; {DEFAULT_SINCE} if not given."),
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="The new rules: file or directory; may be repeated.")
    ] = None,
    topology: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="The new topology; the old one if not given.")
    ] = None,
    known_errors: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="The new known errors; the old ones if not given.")
    ] = None,
    against_rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="The old rules; paths.rules if not given.")
    ] = None,
    against_topology: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="The old topology; paths.topology if not given, or if that is not there the new one."
        ),
    ] = None,
    against_known_errors: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="The old known errors; paths.known_errors if not given."),
    ] = None,
    output: OutputFormat = Format.TABLE,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Compare what rules make of events, old against new: `opsbridge backtest --events events.jsonl --rules new/`.

    Tells which incidents would open, not open, merge, split or have another root, and what each rule would do more or
    less often. Exit code 0: all the same; 1: something differs.
    """
    _require(bool(events) != topic, "give --events FILE or --topic")
    _require(topic or since is None, "--since is about --topic")
    _require(bool(rules or topology or known_errors), "give --rules, --topology or --known-errors: what would be new")
    from opsbridge.cli.comparing import backtested
    from opsbridge.cli.replay import prepared
    from opsbridge.settings import weights

    settings = settings_from(config, bootstrap_servers, sets)
    believed, domains = weights(settings), settings.correlation.domain_attribute
    old_topology = against_topology or _existing(settings.paths.topology) or topology or []
    old_rules = against_rules or _existing(settings.paths.rules)
    old_errors = against_known_errors or _existing(settings.paths.known_errors)
    old = prepared(old_topology, old_rules, believed, domains, old_errors)
    new = prepared(topology or old_topology, rules or old_rules, believed, domains, known_errors or old_errors)
    payloads = _recorded(settings, since or DEFAULT_SINCE) if topic else _read(events or [], source, mappings or [])
    answer = backtested(old, new, payloads, int(time.time() * 1000))
    if output is Format.JSON:
        write_json(answer)
    else:
        _show(answer)
    if not answer.equal:
        raise typer.Exit(1)


def _existing(default: Path) -> list[Path]:
    """Where nothing was named, what the settings name counts only if it is there: recordings come from elsewhere."""
    return [default] if default.exists() else []


def _require(fine: bool, otherwise: str) -> None:  # noqa: FBT001 # reads as a sentence
    if not fine:
        raise typer.BadParameter(otherwise)


def _read(files: list[str], source: str, mappings: list[Path]) -> "Iterator[Payload]":
    from opsbridge.cli.payloads import Reading

    reading = Reading(source, mappings)
    return (payload for path in files for _, payload in reading.events(path))


def _recorded(settings: "Settings", since: str) -> "list[Payload]":
    from opsbridge.cli.live import recorded
    from opsbridge.rules.language.durations import milliseconds

    try:
        back = milliseconds(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    return asyncio.run(recorded(settings, int(time.time() * 1000) - back))


def _show(answer: "Backtest") -> None:
    say(f"{answer.read} events; incidents: {answer.old.incidents} by the old, {answer.new.incidents} by the new")
    if answer.differences:
        rows = [
            (MEANINGS[each.kind], _named(each.old), _named(each.new), ", ".join(each.details))
            for each in answer.differences
        ]
        show_table(["incidents that", "old", "new", "what differs"], rows)
    counted = [each for each in answer.counts if each.old != each.new] + answer.trials
    if counted:
        show_table(
            ["what rules do", "rule", "#old", "#new"], [(each.what, each.rule, each.old, each.new) for each in counted]
        )
    if answer.equal:
        write_line(b"no difference")


def _named(incidents: "tuple[Brief, ...]") -> str:
    """Each incident with its root, its severity and its events, on a line of its own."""
    return "\n".join(
        f"{each.root} ({each.severity}, {each.events} event{'s' * (each.events != 1)}): {each.title}"
        for each in incidents
    )
