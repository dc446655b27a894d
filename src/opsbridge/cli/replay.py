"""`opsbridge replay`: the production core on a file or stdin, without a broker."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from opsbridge.cli.options import DomainsBy, KnownErrors, Mappings, Source, domain_attribute
from opsbridge.cli.output import say, show_table, to_json, write_line

if TYPE_CHECKING:
    from opsbridge.cli.history import Changed
    from opsbridge.cli.inputs import Refuse, Refused
    from opsbridge.cli.preparing import Prepared
    from opsbridge.cli.replaying import Replay, Summary
    from opsbridge.core.decisions import Suppressed
    from opsbridge.core.weights import Weights
    from opsbridge.topology import DomainAttribute

SHOWN_REJECTIONS: Final = 20
"""How many rejected lines are told one by one; --dead-letters has them all."""

NO_TOPOLOGY: Final = "no --topology: every CI is unknown and its alerts are correlated alone"


class SummaryFormat(StrEnum):
    """In which shape the summary goes to stderr."""

    TABLE = "table"
    JSON = "json"
    NONE = "none"


def replay(
    events: Annotated[
        str,
        typer.Argument(metavar="EVENTS|DIR|-", help="A payload a line, may be gzip; recorded topics; - reads stdin."),
    ],
    source: Source = "auto",
    mappings: Mappings = None,
    topology: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Topology file or directory; may be repeated.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Rule file or directory; may be repeated.")
    ] = None,
    known_errors: KnownErrors = None,
    domains_by: DomainsBy = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where incidents go, else stdout.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where all rejected lines go, with reason, as JSON lines.")
    ] = None,
    suppressed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where it goes which alerts rules withhold, as JSON lines.")
    ] = None,
    feedback: Annotated[
        str | None, typer.Option(metavar="FILE", help="What people and tools said meanwhile, as JSON lines.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="FILE", help="Change records, as JSON lines.")] = None,
    topology_history: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="How the topology changed, as JSON lines with time, key and value."),
    ] = None,
    records: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it goes what the topics would have, a file per entity.")
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Take over rules that change while it reads; SIGHUP does so at once.")
    ] = False,
    summary: Annotated[SummaryFormat, typer.Option(help="The summary on stderr.")] = SummaryFormat.TABLE,
) -> None:
    """Correlate recorded events: `opsbridge replay events.jsonl --topology topology/ -o incidents.jsonl`.

    Writes one JSON line per incident in its last version. Rejected lines are told on stderr and do not change the exit
    code; an input that cannot be read, an invalid topology and invalid rules do (2). Of recorded topics (DIR), feedback
    and context are read too.
    """
    from threading import Lock

    from opsbridge.cli.inputs import Refused
    from opsbridge.cli.lines import name_of
    from opsbridge.cli.payloads import EVENTS, Reading, is_recording
    from opsbridge.review.recorded import Recorder

    _require(not watch or bool(rules), "--watch is about --rules: give them")
    made = prepared(topology or [], rules or [], domains=domain_attribute(domains_by), known_errors=known_errors)
    reading = Reading(source, mappings or (), lambda: int(time.time() * 1000))
    lock = Lock()
    with ExitStack() as files:
        incidents_file = _created(output, files)
        rejections = _Rejections(_created(dead_letters, files))
        recorder = None if records is None else files.enter_context(Recorder(records))
        run = made(
            suppressed=_writing(_created(suppressed, files)), records=None if recorder is None else recorder.write
        )
        recording = events if is_recording(events) else None
        place = name_of(events) if recording is None else str(Path(recording, EVENTS))
        tell_meanwhile(run, feedback or recording, context or recording, rejections.tell)
        changes = _changes(topology_history, context or recording, rejections.tell)
        _require(not (watch and changes), "--watch is about rules on a topology that does not change")
        if changes:
            from opsbridge.cli.history import TopologyHistory

            run.follow(TopologyHistory(made, changes, rejections.tell))
        with ExitStack() as watching:
            if watch:
                from opsbridge.cli.watching import Watcher

                watching.enter_context(Watcher(run, made, lock).watching())
            for line, payload in reading.events(events):
                with lock:
                    refused = run.read(payload)
                for rejected in refused:
                    rejections.tell(Refused(place, line, rejected.reason, rejected.detail))
        run.finish()
        for incident in run.incidents():
            if incidents_file is None:
                write_line(to_json(incident))
            else:
                _write(incidents_file, incident)
        rejections.close()
    figures = run.summary()
    _show(figures, summary)
    if not figures.balanced:
        say("the accounts do not balance: this is a defect of OpsBridge, please report it with the input")
        raise typer.Exit(1)


def _changes(history: str | None, context: str | None, refuse: "Refuse") -> "list[Changed]":
    """What is said of the topology, with its times."""
    from opsbridge.cli.history import history_of_context, read_history

    told = [] if history is None else read_history(history, refuse)
    return told if context is None else [*history_of_context(context), *told]


def _require(fine: bool, otherwise: str) -> None:  # noqa: FBT001 # reads as a sentence
    if not fine:
        raise typer.BadParameter(otherwise)


def prepared(
    topology: list[Path],
    rules: list[Path],
    weights: "Weights | None" = None,
    domains: "DomainAttribute | None" = None,
    known_errors: list[Path] | None = None,
) -> "Prepared":
    """Makes runs on this estate and these rules; raises what is wrong with the files, tells what is odd about them."""
    from opsbridge.cli.findings import say_findings
    from opsbridge.cli.preparing import prepare

    made = prepare(topology, rules, weights, domains, known_errors or ())
    if not topology:
        say(NO_TOPOLOGY)
    say_findings(made.findings)
    return made


def _writing(file: BinaryIO | None) -> "Callable[[Suppressed], None] | None":
    return None if file is None else lambda decision: _write(file, decision)


def _write(file: BinaryIO, value: object) -> None:
    file.write(to_json(value) + b"\n")


def _created(path: Path | None, files: ExitStack) -> BinaryIO | None:
    if path is None:
        return None
    try:
        return files.enter_context(path.open("wb"))
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None


def tell_meanwhile(run: "Replay", feedback: str | None, context: str | None, refuse: "Refuse") -> None:
    """Let a run know the context, and hear in time what people and tools say; what is neither is told to `refuse`."""
    from opsbridge.cli.inputs import read_context, read_feedback

    def refusing(entity: str) -> "Refuse":
        def tell(refused: "Refused") -> None:
            run.refuse(entity, refused)
            refuse(refused)

        return tell

    for record, line in read_context(context, refusing("context")) if context is not None else ():
        run.learn(record, line.content)
    if feedback is not None:
        sayings = read_feedback(feedback, refusing("feedback"))
        run.say(sayings, lambda saying, why: refuse(saying.refused(why)))


class _Rejections:
    """Tells of the first rejected lines one by one, of the rest in number, and writes all of them where asked."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self._count = 0

    def tell(self, refused: "Refused") -> None:
        self._count += 1
        line = refused.line
        if self._count <= SHOWN_REJECTIONS:
            say(f"{refused.file}:{line.number}: {refused.reason}: {refused.detail}")
        if self._file is not None:
            letter = {
                "file": refused.file,
                "line": line.number,
                "reason": refused.reason,
                "detail": refused.detail,
                "size": line.size,
                "payload": line.content.decode(errors="backslashreplace"),
            }
            _write(self._file, letter)

    def close(self) -> None:
        if self._count > SHOWN_REJECTIONS:
            hint = "" if self._file is not None else "; --dead-letters FILE writes all of them"
            say(f"... and {self._count - SHOWN_REJECTIONS} more rejected lines{hint}")


def _show(figures: "Summary", shape: SummaryFormat) -> None:
    if shape is SummaryFormat.JSON:
        say(to_json(figures).decode())
    elif shape is SummaryFormat.TABLE:
        show_table(["where events ended", "reason", "#events"], list(_rows(figures)), to=sys.stderr)
        if ruled := list(_by_rule(figures)):
            show_table(["what rules did", "rule", "#times"], ruled, to=sys.stderr)


def _rows(figures: "Summary") -> Iterator[tuple[str, str, int | str]]:
    for place, reasons in figures.places.items():
        for reason, count in reasons.items():
            yield place, reason, count
    included = ", derived events included" if figures.derived else ""
    yield "read", f"the places add up{included}" if figures.balanced else "THE PLACES DO NOT ADD UP", figures.read
    yield "incidents", f"{figures.merged} more were merged into these" if figures.merged else "", figures.incidents
    ratio = figures.collapse_ratio
    yield "collapse", f"{figures.events_in_incidents} events of alerts", "-" if ratio is None else f"{ratio:g} : 1"
    if figures.unknown_cis:
        yield "unknown CIs", "correlated alone", figures.unknown_cis


def _by_rule(figures: "Summary") -> Iterator[tuple[str, str, int]]:
    for rule, count in figures.derived.items():
        yield "alerts raised", rule, count
    for kind, rules in figures.withheld.items():
        for rule, count in rules.items():
            yield f"alerts withheld: {kind}", rule, count
    for rule, count in figures.unanswered.items():
        yield "events without incident", rule, count
    for rule, actions in figures.shadow.items():
        for would, count in actions.items():
            yield f"in trial, would {would}", rule, count
