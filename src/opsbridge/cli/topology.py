"""`opsbridge topology`: whether topology files can be used, and how they come from and go to others."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import DomainsBy, OutputFormat, domain_attribute
from opsbridge.cli.output import Format, say, show_table, write_json, write_text

if TYPE_CHECKING:
    from opsbridge.topology import Analysis
    from opsbridge.topology.importers import Direction, Options
    from opsbridge.topology.model import TopologyDocument

_SHOWN: Final = 20
"""So many domains are listed."""

_SUFFIXES: Final = (".yaml", ".yml", ".json", ".csv", ".tsv", ".graphml", ".xml", ".cfg", ".conf", ".prom", ".txt")
"""Files of a directory that an import looks at."""


class Export(StrEnum):
    """What a topology is written as."""

    NATIVE = "native"
    NODE_LINK = "node-link"
    GRAPHML = "graphml"
    CSV = "csv"


class Ends(StrEnum):
    """Which end of an edge is the dependent."""

    SOURCE = "source-depends-on-target"
    TARGET = "target-depends-on-source"


Target = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; else to stdout.")]

app = typer.Typer(help="Look at topology files, bring them in from other tools and out to them.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at topology files, bring them in from other tools and out to them."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    domains_by: DomainsBy = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Check topology files and show the estate: `opsbridge topology check topology/`.

    Exit code 0: fine; 1: usable, with warnings; 2: cannot be used.
    """
    from opsbridge.topology import TopologyError, analyse, load_topology

    try:
        topology = load_topology(paths, domain_attribute=domain_attribute(domains_by))
    except TopologyError as error:
        stop_at_errors(error, output)
    analysis = analyse(topology)
    if output is Format.JSON:
        write_json({"findings": topology.findings, "digest": topology.digest, "estate": analysis})
    else:
        _show(analysis)
    say_findings(topology.findings)
    if any(finding.level == "warning" for finding in topology.findings):
        raise typer.Exit(1)


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, directories, or - for stdin.")],
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="What the files are; else it is recognised.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who says so; else the format's name.", show_default=False)
    ] = None,
    precedence: Annotated[
        int | None, typer.Option(metavar="N", help="What several origins say of a CI: the higher counts.")
    ] = None,
    direction: Annotated[
        Ends | None, typer.Option(help="Which end of an edge depends on which, where the file does not say.")
    ] = None,
    strict: Annotated[  # noqa: FBT002  # a flag
        bool, typer.Option("--strict", help="Write nothing if anything could not be used.")
    ] = False,
    output: Target = None,
) -> None:
    """Bring in what other tools know: `opsbridge topology import cmdb_ci.csv cmdb_rel_ci.csv -o topology/cmdb.yaml`.

    Exit code 0: all of it was used; 1: written, but not all could be used; 2: nothing was written.
    """
    from opsbridge.topology.importers import FORMATS, Options
    from opsbridge.topology.load import without_collecting
    from opsbridge.topology.model import DOCUMENT

    if format_name is not None and format_name not in FORMATS:
        raise typer.BadParameter(f"must be one of {', '.join(FORMATS)}, not {format_name!r}", param_hint="--format")
    try:
        DOCUMENT.validate_python({"origin": origin or ""})
    except ValueError:
        message = "must be a name of a-z, 0-9, `.`, `_` and `-`"
        raise typer.BadParameter(message, param_hint="--origin") from None
    way: Direction | None = None if direction is None else direction.value
    options = Options(origin or "", precedence, way)
    with without_collecting():
        _import(paths, format_name, options, strict=strict, output=output)


def _import(
    paths: list[Path], format_name: str | None, options: "Options", *, strict: bool, output: Path | None
) -> None:
    """Read all files, write what they say together, tell what could not be used."""
    from opsbridge.documents import Finding
    from opsbridge.topology.importers import Part, read, unite
    from opsbridge.topology.writing import to_yaml

    findings: list[Finding] = []
    parts: list[Part] = []
    for path, listed in _files(paths):
        try:
            content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        except OSError as failed:
            findings.append(Finding(str(path), 0, 0, "", f"cannot be read: {failed.strerror or failed}"))
            continue
        imported = read("stdin" if str(path) == "-" else str(path), content, options, format_name)
        if listed and not imported.format and not any(finding.line for finding in imported.findings):
            say(f"info: {path}: not recognised; skipped")
            continue
        parts += imported.parts
        findings += imported.findings
    documents, more = unite(parts)
    findings += more
    say_findings(findings)
    counted = sum(len(document.cis) for document in documents)
    wrong = any(finding.level != "info" for finding in findings)
    if not counted or (strict and wrong):
        say("nothing was written: " + ("not all could be used, and --strict asks for all" if counted else "no CIs"))
        raise typer.Exit(2)
    write_text(to_yaml(documents), output)
    named = ", ".join(document.origin or "written by hand" for document in documents)
    say(f"{counted} CIs ({named}) to {output or 'stdout'}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def export(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Topology files, or directories of them.")],
    format_name: Annotated[Export, typer.Option("--format", help="What to write.")] = Export.NATIVE,
    output: Target = None,
) -> None:
    """Write topology files for other programs: `opsbridge topology export topology --format graphml -o estate.graphml`.

    Exit code 0: written; 1: written, but the format has no place for all of it; 2: the files cannot be used.
    """
    from opsbridge.topology import TopologyError
    from opsbridge.topology.exporting import EXPORTS, peers
    from opsbridge.topology.load import load_stated

    try:
        stated, known = load_stated(paths)
    except TopologyError as error:
        stop_at_errors(error, Format.TABLE)
    write_text(EXPORTS[format_name](stated, known), output)
    if format_name is Export.CSV and (left_out := peers(stated)):
        say(f"warning: {left_out} dependencies of unknown direction are left out: a table has no place for them")
        raise typer.Exit(1)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A topology, file or directory.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The other one.")],
    output: OutputFormat = Format.TABLE,
) -> None:
    """Show what is different between two topologies: `opsbridge topology diff topology/cmdb.yaml new.yaml`.

    Exit code 0: nothing; 1: something; 2: one of them cannot be used.
    """
    from opsbridge.topology.differing import differences

    found = differences(_one_document(before, output), _one_document(after, output))
    if output is Format.JSON:
        write_json(found)
    elif found:
        rows = [(each.change, each.what, each.ci, each.subject, each.before, each.after) for each in found]
        show_table(["change", "what", "CI", "attribute, provider or group", str(before), str(after)], rows)
    if found:
        raise typer.Exit(1)


def _one_document(path: Path, output: Format) -> "TopologyDocument":
    from opsbridge.topology import TopologyError
    from opsbridge.topology.exporting import one_document
    from opsbridge.topology.load import load_stated

    try:
        return one_document(*load_stated([path]))
    except TopologyError as error:
        stop_at_errors(error, output)


def _files(paths: list[Path]) -> Iterator[tuple[Path, bool]]:
    """Every file, and whether it was only found in a directory."""
    for path in paths:
        if not path.is_dir():
            yield path, False
            continue
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path).parts
            if file.name.lower().endswith(_SUFFIXES) and file.is_file() and not any(p.startswith(".") for p in inside):
                yield file, True


def _show(estate: "Analysis") -> None:
    rows = [
        ("CIs", estate.cis),
        ("dependencies", estate.edges),
        ("of unknown direction", estate.undirected),
        ("redundancy groups", estate.groups),
        ("aliases", estate.aliases),
        ("services", estate.services),
        ("not monitored", estate.unmonitored),
        ("with a service time", estate.timed),
        ("correlation domains", len(estate.domains)),
        ("backbone (shared by domains)", estate.backbone),
        ("cycles (legal: they fail as one)", len(estate.cycles)),
        ("orphans (correlated alone)", len(estate.orphans)),
    ]
    show_table(["estate", "#count"], rows)
    if estate.types:
        show_table(["type", "#CIs"], estate.types)
    if any(kind for kind, _ in estate.edge_types):
        rows = [(kind or "(none)", count) for kind, count in estate.edge_types]
        show_table(["type of dependency", "#dependencies"], rows)
    if len(estate.domains) > 1:
        title = "Correlation domains" if len(estate.domains) <= _SHOWN else f"The {_SHOWN} largest correlation domains"
        show_table(["domain", "#CIs"], estate.domains[:_SHOWN], title=title)
    if estate.top_providers:
        show_table(
            ["provider", "type", "#direct dependents", "#all dependents"],
            [(each.ci, each.type, each.direct, each.dependents) for each in estate.top_providers],
            title="Who carries the most",
        )
    for cycle in estate.cycles[:10]:
        sys.stdout.write(f"cycle of {len(cycle)}: {', '.join(cycle[:10])}{', ...' if len(cycle) > 10 else ''}\n")
    if estate.orphans:
        shown = ", ".join(estate.orphans[:10])
        sys.stdout.write(f"orphans: {shown}{', ...' if len(estate.orphans) > 10 else ''}\n")
