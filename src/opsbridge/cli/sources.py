"""`opsbridge sources`: which formats are understood, whether mapping files can be used, and what comes of a payload."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import OutputFormat
from opsbridge.cli.output import Format, say, show_table, write_json, write_line
from opsbridge.cli.trying import Tried, payloads_of, tried

if TYPE_CHECKING:
    from opsbridge.sources.catalogue import Sources
    from opsbridge.sources.source import Source

app = typer.Typer(help="Work with sources: the formats of monitoring tools.", no_args_is_help=True)

Own = Annotated[
    list[Path] | None,
    typer.Option("--sources", metavar="PATH", help="Your mapping files: a file or a directory; may be repeated."),
]


@app.callback()
def group() -> None:
    """Work with sources: the formats of monitoring tools."""


@app.command("list")
def list_(own: Own = None, output: OutputFormat = Format.TABLE) -> None:
    """List the sources and by what `auto` recognises each: `opsbridge sources list --sources sources/`."""
    described = _loaded(own, output).described()
    if output is Format.JSON:
        write_json(described)
        return
    rows = [(each.name, each.title, "\n".join(each.recognised_by), each.path if each.own else "") for each in described]
    show_table(["source", "title", "recognised by", "your file"], rows)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH...]", help="Mapping files, or directories of them; else the shipped ones."),
    ] = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Check mapping files and run the samples beside them: `opsbridge sources check sources/`.

    Exit code 0: fine; 1: a sample gives something else than it should, or there are none; 2: cannot be used.
    """
    from opsbridge.documents import Finding
    from opsbridge.sources.catalogue import load_sources
    from opsbridge.sources.language.reading import SourceError, read_mappings
    from opsbridge.sources.samples import failures, read_samples, samples_beside

    findings: list[Finding] = []
    rows: list[dict[str, object]] = []
    try:
        sources = load_sources(paths or [])
        checked = {name: each.mapping for name, each in sources.mapped.items()}
        if paths:
            checked, findings = read_mappings(paths)
        for name, mapping in sorted(checked.items()):
            beside = samples_beside(mapping.path)
            samples = read_samples(beside) if beside is not None else []
            if not samples:
                message = f"has no samples: nothing shows that it works; put them into {name}.samples.yaml beside it"
                findings.append(Finding(mapping.path, 0, 0, f"source {name}", message, "warning"))
            for sample in samples:
                findings += [
                    Finding(str(beside), sample.line, 1, f"sample {sample.name}", line, "warning")
                    for line in failures(sample, sources.mapped[name], sources.auto)
                ]
            rows.append({"source": name, "title": mapping.title, "samples": len(samples), "path": mapping.path})
    except SourceError as error:
        stop_at_errors(error, output)
    if output is Format.JSON:
        write_json({"findings": findings, "sources": rows})
    else:
        show_table(["source", "title", "#samples", "file"], [tuple(row.values()) for row in rows])
    if not rows:
        say("there are no mapping files in " + ", ".join(map(str, paths or [])))
    say_findings(findings)
    if findings or not rows:
        raise typer.Exit(1)


@app.command("try")
def try_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A payload as JSON, or one to a line; - is stdin.")],
    source: Annotated[
        str, typer.Option("--source", metavar="NAME|FILE", help="Its source, or a mapping file.")
    ] = "auto",
    own: Own = None,
    headers: Annotated[
        list[str] | None,
        typer.Option("--headers", metavar="NAME=VALUE", help="A header it comes with; may be repeated."),
    ] = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Show what comes of payloads: events, what is withheld or not understood and where, fields that nothing uses.

    `opsbridge sources try payload.json --source zabbix`. Exit code 1: something was not understood.
    """
    from time import time

    known = [*(own or []), *([Path(source)] if source.endswith((".yaml", ".yml", ".json")) else [])]
    name = Path(source).stem if len(known) > len(own or []) else source
    sources = _loaded(known, output)
    asked = _named(sources, name)
    pairs = [_header(text) for text in headers or ()]
    texts = asked is not sources.auto and name in sources.mapped and sources.mapped[name].mapping.payload == "text"
    arrived = int(time() * 1000)
    found = [tried(sources, asked, line, payload, pairs, arrived) for line, payload in payloads_of(file, by_line=texts)]
    if output is Format.JSON:
        write_json(found)
    else:
        for each in found:
            _show(each)
    if not found:
        say(f"{file}: there is nothing in it")
    if not found or any(each.rejected for each in found):
        raise typer.Exit(1)


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes, else stdout.")
    ] = None,
) -> None:
    """Print the JSON Schema of mapping files, for editors: `opsbridge sources schema -o schemas/sources-v1.json`."""
    from json import dumps

    from opsbridge.sources.language.schema import schema as schema_of

    text = dumps(schema_of(), indent=2)
    if output is None:
        write_line(text.encode())
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
    say(f"{output}: written")


def _loaded(own: "list[Path] | None", output: Format) -> "Sources":
    from opsbridge.sources.catalogue import SourceError, load_sources

    try:
        return load_sources(own or [])
    except SourceError as error:
        stop_at_errors(error, output)


def _named(sources: "Sources", name: str) -> "Source":
    from opsbridge.sources.catalogue import UnknownSourceError

    try:
        return sources.named(name)
    except UnknownSourceError as error:
        message = f"{error}; --sources adds mapping files of your own"
        raise typer.BadParameter(message, param_hint="--source") from None


def _header(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"expected NAME=VALUE, not {text!r}", param_hint="--headers")
    return name, value.encode()


def _show(told: Tried) -> None:
    """One payload for people."""
    place = f"line {told.line}: " if told.line else ""
    by = f", recognised by: {told.by}" if told.by else ""
    say(f"{place}{told.source}{by}" if told.source else f"{place}no source")
    if told.events:
        columns = ["time", "state", "severity", "ci", "class", "summary", "source", "fingerprint", "id"]
        show_table(columns, [[event[column] for column in columns] for event in told.events])
        for event in told.events:
            if event["labels"]:
                say(f"labels of {event['id']}: {event['labels']}")
    for reason in told.withheld:
        say(f"withheld: {reason}")
    for rejected in told.rejected:
        say(f"not understood: {rejected.reason}: {rejected.detail}")
    if told.unused:
        say(f"not used by the mapping: {', '.join(told.unused)}")
