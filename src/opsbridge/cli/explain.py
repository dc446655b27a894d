"""`opsbridge explain`: why an incident has its root, who belongs to it and why, and what would have changed it."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, KnownErrors, Mappings, Sets, Source, settings_from
from opsbridge.cli.output import say, to_json, write_line

if TYPE_CHECKING:
    from opsbridge.cli.inputs import Refused
    from opsbridge.cli.investigation import Answer, Payloads
    from opsbridge.cli.live import Published
    from opsbridge.cli.payloads import Reading
    from opsbridge.cli.preparing import Prepared
    from opsbridge.cli.replaying import Replay
    from opsbridge.settings import Settings

BEFORE_MS: Final = 3_600_000
"""How long before an incident opened its events are looked for: what is older does not bear on it."""

DAY_MS: Final = 86_400_000

_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


class Shape(StrEnum):
    """In which shape an explanation is printed."""

    TEXT = "text"
    JSON = "json"


def explain(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID [EVENTS|-]...", help="An incident, a situation or an event; JSON lines, or stdin."),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Explain every incident of EVENTS; no ID.")] = False,
    source: Source = "auto",
    mappings: Mappings = None,
    topology: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Topology file or directory; may be repeated.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Rule file or directory; may be repeated.")
    ] = None,
    known_errors: KnownErrors = None,
    feedback: Annotated[
        str | None, typer.Option(metavar="FILE", help="What people and tools said meanwhile, as JSON lines.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="FILE", help="Change records, as JSON lines.")] = None,
    output: Annotated[Shape, typer.Option("--output", "-o", help="What to print.")] = Shape.TEXT,
    topic: Annotated[bool, typer.Option("--topic", help="Read the live topics instead of EVENTS.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="How far back the input topics are read: 90m, 24h, 7d.")
    ] = None,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Explain an incident: `opsbridge explain INC-5a2b6c events.jsonl --topology topology/ --rules rules/`.

    Tells why this root (every term of the decision), the runners-up, why each alert belongs, and which single alert or
    silence would have changed it. An event's id tells where it ended first. With --topic it is told what the topics
    say; with --topology too, the input topics are run through the core again. Exit code 2: there is no such id.
    """
    given = list(arguments or ())
    if topic:
        _require(not (feedback or context), "--feedback and --context are about EVENTS")
        _require(len(given) == 1 and not every, "--topic takes one ID and no EVENTS")
        settings = settings_from(config, bootstrap_servers, sets)
        live = _Files(topology or [], rules or [], known_errors or [])
        _print([_live(settings, given[0], live, _milliseconds(since))], output)
        return
    _require(since is None, "--since is about --topic")
    _require(len(given) > (not every), "give EVENTS (- reads stdin)" + ("" if every else " after the ID, or --topic"))
    from opsbridge.cli.investigation import investigate, investigate_all
    from opsbridge.cli.lines import name_of
    from opsbridge.cli.payloads import Reading
    from opsbridge.cli.replay import prepared

    asked, files = ("", given) if every else (given[0], given[1:])
    payloads = _payloads(files, Reading(source, mappings or ()))
    made = prepared(topology or [], rules or [], known_errors=known_errors)
    make = _hearing(made, feedback, context)
    if every:
        _print(investigate_all(make, payloads), output)
    else:
        _print([investigate(make, payloads, asked, ", ".join(map(name_of, files)))], output)


def _require(fine: bool, otherwise: str) -> None:  # noqa: FBT001 # reads as a sentence
    if not fine:
        raise typer.BadParameter(otherwise)


def _milliseconds(since: str | None) -> int | None:
    if since is None:
        return None
    found = re.fullmatch(r"(\d+)([smhd])", since)
    if found is None:
        raise typer.BadParameter(f"expected a number with s, m, h or d, not {since!r}", param_hint="--since")
    return int(found[1]) * _UNITS[found[2]]


def _hearing(made: "Prepared", feedback: str | None, context: str | None) -> "Callable[[], Replay]":
    """Runs that hear this meanwhile; what cannot be heard is told once, of the first of them."""
    from opsbridge.cli.replay import tell_meanwhile

    told: set[tuple[object, ...]] = set()

    def refuse(refused: "Refused") -> None:
        if refused not in told:
            told.add(refused)
            say(f"{refused.file}:{refused.line.number}: {refused.reason}: {refused.detail}")

    def make() -> "Replay":
        run = made()
        tell_meanwhile(run, feedback, context, refuse)
        return run

    return make


def _payloads(files: list[str], reading: "Reading") -> "Payloads":
    """The payloads of the files; those of stdin are kept, since it can be read only once."""
    from opsbridge.cli.lines import STDIN

    kept = {path: list(reading.events(path)) for path in files if path == STDIN}
    return lambda: (payload for path in files for _, payload in (kept[path] if path in kept else reading.events(path)))


def _print(answers: "Iterable[Answer]", shape: Shape) -> None:
    from opsbridge.cli.telling import tell

    for number, answer in enumerate(answers):
        if shape is Shape.JSON:
            write_line(to_json(answer))
        else:
            if number:
                write_line(b"")
            tell(answer)


# live


class _Files(NamedTuple):
    """What to run the input topics through."""

    topology: list[Path]
    rules: list[Path]
    known_errors: list[Path]


def _live(settings: "Settings", asked: str, files: _Files, since: int | None) -> "Answer":
    """The answer from the topics: what is published and, where there is a topology, the explanation."""
    from opsbridge.cli.investigation import Answer, UnknownIdError
    from opsbridge.cli.live import published
    from opsbridge.core.ids import incident_id

    found = asyncio.run(published(settings))
    named = incident_id(asked) if asked.startswith("S-") else asked
    name = named if named in found.incidents else found.incident_of(asked)
    if files.topology:
        return _again(settings, found, asked, name, files, since)
    if name is None or name not in found.incidents:
        place = "the topics; an event that opened no alert is found with --topology only"
        raise UnknownIdError(asked, place, found.incidents)
    heir = found.heir(name)
    notes = [f"{name} was merged into {heir}"] if heir != name else []
    notes.append("this is what the topics say; with --topology the input topics are run through the core again")
    members = tuple(found.members.get(heir, {}).values())
    return Answer(asked, (), found.incidents[heir], None, members, tuple(notes))


def _again(
    settings: "Settings",
    found: "Published",
    asked: str,
    name: str | None,
    files: _Files,
    since: int | None,
) -> "Answer":
    """The answer from running what the input topics still have through the core again."""
    import msgspec

    from opsbridge.cli.investigation import Run, UnknownIdError, answer
    from opsbridge.cli.live import recorded
    from opsbridge.cli.replay import prepared
    from opsbridge.core.times import rfc3339
    from opsbridge.settings import weights

    start = _start(found, name, since)
    payloads = asyncio.run(recorded(settings, start))
    make = prepared(files.topology, files.rules, weights(settings), known_errors=files.known_errors)
    run = Run(make(), lambda: payloads, asked)
    events = [] if name is None else [member.event for member in found.members.get(name, {}).values()]
    again = run.incident(name or asked, events)
    if again is None and not run.fates:
        raise UnknownIdError(asked, f"the last {len(payloads)} records of the input topics", run.known())
    told = answer(make, lambda: payloads, run, asked, again)
    if name is None or again is None or name not in found.incidents:
        return told
    heir = found.heir(name)
    if heir == again:  # what people and executors said is known there only
        return msgspec.structs.replace(told, incident=found.incidents[heir])
    note = f"published as {heir}; run through the core again from {rfc3339(start)} on, its events are called {again}"
    return msgspec.structs.replace(told, notes=(*told.notes, note))


def _start(found: "Published", name: str | None, since: int | None) -> int:
    """From which record time on the input topics are read."""
    from datetime import datetime

    if since is not None:
        return int(time.time() * 1000) - since
    if name is None or name not in found.incidents:
        return int(time.time() * 1000) - DAY_MS
    return int(datetime.fromisoformat(found.incidents[name].opened).timestamp() * 1000) - BEFORE_MS
