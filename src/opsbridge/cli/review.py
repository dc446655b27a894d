"""`opsbridge review`: the event and outage review of a period, from events, recorded topics or live topics."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.options import (
    BootstrapServers,
    ConfigFile,
    DomainsBy,
    KnownErrors,
    Mappings,
    OutputFormat,
    Sets,
    Source,
    domain_attribute,
    settings_from,
)
from opsbridge.cli.output import Format, say, show_table, write_json

if TYPE_CHECKING:
    from opsbridge.cli.inputs import Refused
    from opsbridge.cli.payloads import Reading
    from opsbridge.cli.preparing import Prepared
    from opsbridge.review.model import Review
    from opsbridge.review.recorded import Recorded
    from opsbridge.settings import Settings

DEFAULT_SINCE: Final = "7d"

WIDE: Final = 100
"""Columns of the text where there is no terminal: it is read, mailed and printed."""


def review(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|DIR|-",
            help="Events, a payload a line, to be replayed; or a directory of recorded topics.",
        ),
    ] = None,
    *,
    read_as: Source = "auto",
    mappings: Mappings = None,
    topic: Annotated[bool, typer.Option("--topic", help="Read the live topics instead.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help=f"How far back to count: of topics {DEFAULT_SINCE}, else everything if not given."
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Of a directory: replay its events, do not read what was written.")
    ] = False,
    outages: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Known outages: CSV, YAML or JSON with ci, begins, ends.")
    ] = None,
    topology: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Topology file or directory; may be repeated.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Rule file or directory; may be repeated.")
    ] = None,
    known_errors: KnownErrors = None,
    domains_by: DomainsBy = None,
    feedback: Annotated[
        str | None, typer.Option(metavar="FILE", help="What people and tools said meanwhile, as JSON lines.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="FILE", help="Change records, as JSON lines.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one self-contained page too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: the same as -o json.")] = False,
    output: OutputFormat = Format.TABLE,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Review a period: `opsbridge review events.jsonl --topology topology/ --rules rules/ --html report.html`.

    Counts events, alerts, incidents, responses and what rules did, and holds them against a list of outages. Exit code
    1: the figures do not add up.
    """
    from opsbridge.cli.replay import prepared
    from opsbridge.review.figures import review as reviewed
    from opsbridge.review.outages import read_outages
    from opsbridge.review.page import page

    _require(bool(source) != topic, "give FILE, DIR or --topic")
    recording = source is not None and Path(source).is_dir()
    _require(recording or not replay, "--replay is about a directory of recorded topics")
    replays = source is not None and (replay or not recording)
    _require(replays or not (feedback or context), "--feedback and --context are about events that are replayed")
    from opsbridge.cli.payloads import Reading
    from opsbridge.settings.inputs import inputs

    known = None if outages is None else read_outages(outages)
    back = _milliseconds(since or (DEFAULT_SINCE if topic else None))
    if topic:
        settings = settings_from(config, bootstrap_servers, sets)
        made = _of_settings(settings, topology, rules, known_errors)
        sources = inputs(settings)
        records: Iterable[Recorded] = _live(settings)
    else:
        domains = domain_attribute(domains_by)
        made = prepared(topology or [], rules or [], domains=domains, known_errors=known_errors)
        reading = Reading(read_as, mappings or ())
        sources = reading.inputs
        records = _replayed(made, source or "", reading, feedback, context) if replays else _recorded(source or "")
    kinds = {rule.id: rule.kind for rule in made.rules.rules}
    until = int(time.time() * 1000) if topic else None
    found = reviewed(records, made.graph, made.rules.book, kinds, known, sources, back=back, until=until)
    if html is not None:
        _write(html, page(found))
    if as_json or output is Format.JSON:
        write_json(found)
    else:
        _show(found)
    if not found.adds_up:
        for check in found.checks:
            if not check.holds:
                hint = f" ({check.hint})" if check.hint else ""
                say(f"does not add up: {check.what}: {check.left} and {check.right}{hint}")
        raise typer.Exit(1)


def _require(fine: bool, otherwise: str) -> None:  # noqa: FBT001 # reads as a sentence
    if not fine:
        raise typer.BadParameter(otherwise)


def _milliseconds(since: str | None) -> int:
    from opsbridge.rules.language.durations import milliseconds

    try:
        return 0 if since is None else milliseconds(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _of_settings(
    settings: "Settings", topology: list[Path] | None, rules: list[Path] | None, known_errors: list[Path] | None
) -> "Prepared":
    from opsbridge.cli.replay import prepared
    from opsbridge.settings import weights

    paths = settings.paths
    return prepared(
        topology or [path for path in [paths.topology] if path.exists()],
        rules or [path for path in [paths.rules] if path.exists()],
        weights(settings),
        settings.correlation.domain_attribute,
        known_errors or [path for path in [paths.known_errors] if path.exists()],
    )


def _recorded(directory: str) -> "Iterable[Recorded]":
    from opsbridge.review.recorded import read_records

    return read_records(Path(directory))


def _live(settings: "Settings") -> "list[Recorded]":
    from opsbridge.review.told import ENTITIES
    from opsbridge.review.topics import held

    async def all_held() -> "list[Recorded]":
        return [record async for record in held(settings, ENTITIES)]

    return asyncio.run(all_held())


def _replayed(
    made: "Prepared", source: str, reading: "Reading", feedback: str | None, context: str | None
) -> "list[Recorded]":
    """What the topics would have if these events came."""
    from opsbridge.cli.payloads import is_recording
    from opsbridge.cli.replay import tell_meanwhile

    records: list[Recorded] = []
    run = made(records=records.append)
    recording = source if is_recording(source) else None
    tell_meanwhile(run, feedback or recording, context or recording, _refused)
    for _, payload in reading.events(source):
        run.read(payload)
    run.finish()
    return records


def _refused(refused: "Refused") -> None:
    say(f"{refused.file}:{refused.line.number}: {refused.reason}: {refused.detail}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--html") from None


def _show(found: "Review") -> None:
    from opsbridge.review.tell import sections

    for section in sections(found):
        for table in section.tables:
            title = f"{section.title}: {table.title}" if table.title else section.title
            show_table(table.columns, table.rows, title=title, wide=WIDE)
