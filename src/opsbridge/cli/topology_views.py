"""`opsbridge topology show|path|impact`: pictures of the estate, and what depends on what."""

import sys
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from opsbridge.cli.findings import stop_at_errors
from opsbridge.cli.options import ConfigFile, DomainsBy, OutputFormat, Sets, domain_attribute, settings_from
from opsbridge.cli.output import Format, say, show_table, write_json, write_text

if TYPE_CHECKING:
    from opsbridge.core.graph import CIGraph
    from opsbridge.topology import DomainAttribute, Topology
    from opsbridge.topology.impact import Consequences
    from opsbridge.topology.paths import Answer, Step
    from opsbridge.topology.paths import Path as Way

_SHOWN: Final = 40
"""So many CIs of an impact are listed."""


class Picture(StrEnum):
    """What a drawing is written as."""

    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"


Where = Annotated[
    list[Path] | None,
    typer.Option("--topology", metavar="PATH", help="File or directory; may be repeated; else paths.topology."),
]


def show(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Topology files or directories; else paths.topology."),
    ] = None,
    *,
    picture: Annotated[Picture, typer.Option("--format", help="What to write.")] = Picture.SVG,
    centre: Annotated[
        str | None, typer.Option("--around", metavar="CI", help="Only this CI and what is around it.")
    ] = None,
    hops: Annotated[int, typer.Option(min=0, metavar="N", help="How far around it.")] = 2,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="DOMAIN", help="Only the CIs of this correlation domain.")
    ] = None,
    domains_by: DomainsBy = None,
    incident: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the root and the affected CIs of this incident.")
    ] = None,
    incidents: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The incidents that a replay wrote; for --incident.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many CIs at most.")] = 300,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; else to stdout.")
    ] = None,
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Draw an estate, or a part of it: `opsbridge topology show topology/ --around web-shop -o web-shop.svg`.

    Exit code 2: the files cannot be used, there is no such CI or domain, or there are too many CIs for a picture.
    """
    from opsbridge.topology.drawing import Mark, around, draw
    from opsbridge.topology.markup import to_dot, to_mermaid
    from opsbridge.topology.svg import to_svg

    chosen = [name for name in (centre, domain, incident) if name is not None]
    if len(chosen) > 1:
        raise typer.BadParameter("give one of --around, --domain and --incident")
    if (incident is None) != (incidents is None):
        raise typer.BadParameter("--incident and --incidents go together")
    paths = paths or [settings_from(config, None, sets).paths.topology]
    topology = _load(paths, domain_attribute(domains_by))
    graph = topology.graph
    marks: dict[int, Mark] = {}
    if centre is not None:
        number = _number(graph, centre)
        shown = around(graph, number, hops)
        marks[number] = Mark.FOCUS
        title = f"Around {graph.cis[number].id}, {hops} {'hop' if hops == 1 else 'hops'}"
    elif domain is not None:
        shown = [number for number, name in enumerate(graph.domains) if name == domain]
        if not shown:
            _unknown("domain", domain, set(graph.domains))
        title = f"Domain {domain}"
    elif incident is not None and incidents is not None:
        root, affected = _incident(incidents, incident)
        numbers = [graph.numbers[name] for name in affected if name in graph.numbers]
        marks = dict.fromkeys(numbers, Mark.AFFECTED)
        if root in graph.numbers:
            marks[graph.numbers[root]] = Mark.ROOT
        shown, title = list(marks), f"{incident}: {root}"
        if missing := len({root, *affected} - graph.numbers.keys()):
            say(f"warning: {missing} of its CIs are not in the topology")
    else:
        shown, title = list(range(len(graph))), ", ".join(map(str, paths))
    drawing = draw(topology, shown, title, marks=marks, limit=limit)
    write = {Picture.DOT: to_dot, Picture.MERMAID: to_mermaid, Picture.SVG: to_svg}[picture]
    write_text(write(drawing), output)
    if output is not None:
        say(f"{output}: {len(drawing.nodes)} CIs, {len(drawing.edges)} dependencies")


def path(
    a: Annotated[str, typer.Argument(metavar="A", help="A CI, by id or alias.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    *,
    topology: Where = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Rules that say how strong kinds of dependencies are.")
    ] = None,
    output: OutputFormat = Format.TABLE,
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Tell why one CI depends on another: `opsbridge topology path web-shop core-sw-ams1`.

    Looks in both directions. Exit code 1: neither depends on the other; it is told what both have in common. 2: the
    files cannot be used, or there is no such CI.
    """
    from opsbridge.topology.paths import between

    loaded = _loaded(topology, rules, config, sets, output)
    one, other = _number(loaded.graph, a), _number(loaded.graph, b)
    if one == other:
        raise typer.BadParameter(f"{a!r} and {b!r} are the same CI")
    answer = between(loaded, one, other)
    if output is Format.JSON:
        write_json(answer)
    else:
        _tell_path(answer)
    if not answer.paths:
        raise typer.Exit(1)


def impact(
    ci: Annotated[str, typer.Argument(metavar="CI", help="A CI that fails, by id or alias.")],
    *,
    failed: Annotated[
        list[str] | None, typer.Option("--failed", metavar="CI", help="One that has failed too; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When, for service times: RFC 3339; else now.")] = None,
    topology: Where = None,
    output: OutputFormat = Format.TABLE,
    config: ConfigFile = None,
    sets: Sets = None,
) -> None:
    """Tell what a failure would take along: `opsbridge topology impact acc-sw-ams1-1`.

    Redundancy and service times count as they do for incidents. Exit code 2: the files cannot be used, or there is no
    such CI.
    """
    from opsbridge.topology.impact import consequences

    loaded = _loaded(topology, None, config, sets, output)
    numbers = dict.fromkeys(_number(loaded.graph, name) for name in (ci, *(failed or ())))
    found = consequences(loaded.graph, list(numbers), _time(at))
    if output is Format.JSON:
        write_json(found)
    else:
        _tell_impact(found)


# what is asked about


def _load(
    paths: Iterable[Path],
    domains: "DomainAttribute | None" = None,
    rules: list[Path] | None = None,
    output: Format = Format.TABLE,
) -> "Topology":
    from opsbridge.rules.compile import edge_strengths
    from opsbridge.rules.load import load_rules
    from opsbridge.topology import TopologyError, edge_costs, load_topology

    costs = edge_costs(edge_strengths(load_rules(rules or ()).rules))
    try:
        return load_topology(paths, domain_attribute=domains, edge_costs=costs)
    except TopologyError as error:
        stop_at_errors(error, output)


def _loaded(
    topology: list[Path] | None,
    rules: list[Path] | None,
    config: Path | None,
    sets: list[str] | None,
    output: Format,
) -> "Topology":
    return _load(topology or [settings_from(config, None, sets).paths.topology], None, rules, output)


def _number(graph: "CIGraph", name: str) -> int:
    number = graph.numbers.get(name)
    return _unknown("CI", name, graph.numbers.keys()) if number is None else number


def _unknown(what: str, name: str, known: Iterable[str]) -> NoReturn:
    from opsbridge.documents import Nearest

    say(f"no {what} {name!r}{Nearest(list(known)).hint(name)}")
    raise typer.Exit(2)


def _incident(file: Path, incident: str) -> tuple[str, tuple[str, ...]]:
    """Root and affected CIs of an incident that a replay wrote."""
    import msgspec

    from opsbridge.cli.replaying import FinalIncident

    known: list[str] = []
    try:
        with file.open("rb") as lines:
            for line in lines:
                found = msgspec.json.decode(line, type=FinalIncident)
                if found.id == incident:
                    return found.root.ci, found.affected_cis
                known.append(found.id)
    except (OSError, msgspec.DecodeError) as error:
        say(f"{file}: cannot be read: {error}")
        raise typer.Exit(2) from None
    _unknown("incident", incident, known)


def _time(at: str | None) -> int:
    from datetime import UTC, datetime

    if at is None:
        return int(time.time() * 1000)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise typer.BadParameter(f"expected a time like 2026-01-31T08:00:00Z, not {at!r}", param_hint="--at") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


# what is answered


def _tell_path(answer: "Answer") -> None:
    for found in answer.paths:
        sys.stdout.write(f"{found.dependent} depends on {found.provider}{_likely(found)}\n")
        show_table(
            ["#", "dependent", "provider", "type", "group", "said by", "#felt"],
            [
                (
                    number,
                    step.dependent,
                    step.provider,
                    _kind(step),
                    "; ".join(step.groups),
                    _whose(step),
                    _share(step.chance),
                )
                for number, step in enumerate(found.steps, 1)
            ],
        )
    if answer.paths:
        return
    sys.stdout.write(f"neither of {answer.a} and {answer.b} depends on the other\n")
    for what, shared in (("both depend on", answer.providers), ("both are needed by", answer.dependents)):
        for each in shared:
            sys.stdout.write(
                f"{what} {each.ci}: {_steps(each.from_a)} from {answer.a}, {each.from_b} from {answer.b}\n"
            )
    if answer.connection:
        sys.stdout.write(f"the shortest connection, whatever the directions: {' - '.join(answer.connection)}\n")
    else:
        sys.stdout.write("nothing connects them: they are in different parts of the estate\n")


def _likely(found: "Way") -> str:
    told = f": a failure comes over this path in {_share(found.chance)} of cases"
    return told if found.followed else f"{told}; that is too rare for it to be followed as a cause"


def _share(chance: float) -> str:
    return f"{chance:.0%}" if chance >= 0.01 else "less than 1%"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _kind(step: "Step") -> str:
    return ", ".join(filter(None, (step.kind, "direction not known" if step.undirected else "")))


def _whose(step: "Step") -> str:
    return ", ".join(origin or "hand" for origin in step.origins)


def _tell_impact(found: "Consequences") -> None:
    from collections import Counter

    counts = Counter(_WORDS[each.condition] for each in found.affected)
    told = [f"{counts[word]} {word}" for word in _WORDS.values() if counts[word]]
    sys.stdout.write(
        f"if {', '.join(found.failed)} {'fails' if len(found.failed) == 1 else 'fail'}: {', '.join(told)}\n"
    )
    if found.users:
        sys.stdout.write(f"users of services that are lost: {found.users}\n")
    if found.services:
        rows = [(each.ci, _WORDS[each.condition], each.tier, each.users or "", each.because) for each in found.services]
        show_table(["service", "is", "#tier", "#users", "because"], rows)
    if found.sites:
        show_table(["site", "#lost", "#degraded"], [(each.site, each.lost, each.degraded) for each in found.sites])
    others = [each for each in found.affected if not each.service]
    title = f"Other CIs, the first {_SHOWN} of {len(others)}" if len(others) > _SHOWN else "Other CIs"
    if others:
        shown = [(each.ci, _WORDS[each.condition], each.type, each.site, each.because) for each in others[:_SHOWN]]
        show_table(["CI", "is", "type", "site", "because"], shown, title=title)


_WORDS: Final = {
    "down": "down",
    "unreachable": "lost",
    "degraded": "degraded",
    "not_in_service": "out of service then",
}
