"""`opsbridge rules explain`: what every rule makes of one event, condition by condition, and who decides."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.explain import Shape
from opsbridge.cli.output import write_json

if TYPE_CHECKING:
    from opsbridge.core.intake import Report
    from opsbridge.testing.explain import Answer, Explanation, RuleAnswer

Paths = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="File or directory; may be repeated.")]


def explain(
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="A canonical event: a JSON file, - or the JSON itself.")
    ],
    *,
    rules: Paths = None,
    topology: Paths = None,
    near: Annotated[int, typer.Option(min=0, help="Show rules, too, of which so many conditions do not hold.")] = 1,
    every: Annotated[bool, typer.Option("--all", help="Show all rules in full.")] = False,
    output: Annotated[Shape, typer.Option("--output", "-o", help="What to print.")] = Shape.TEXT,
) -> None:
    """Show what every rule makes of an event: `opsbridge rules explain event.json --rules correlation_rules/`.

    Condition by condition, what was asked and what the event has; who decides; labels, fingerprint and severity before
    and after; which rules remember the event, and as what. Exit code 2: it is no event, or files cannot be used.
    """
    from opsbridge.core.graph import CIGraph
    from opsbridge.rules import compile_rules, load_rules
    from opsbridge.rules.compile import edge_strengths
    from opsbridge.testing.explain import explain as explained
    from opsbridge.topology import edge_costs, load_topology

    if not rules:
        raise typer.BadParameter("give at least one rule file or directory", param_hint="--rules")
    files = load_rules(rules)
    graph = CIGraph([], [])
    if topology:
        graph = load_topology(topology, edge_costs=edge_costs(edge_strengths(files.rules))).graph
    told = explained(_report(event), compile_rules(files.rules, graph), graph)
    if output is Shape.JSON:
        write_json(told)
    else:
        sys.stdout.writelines(f"{line}\n" for line in text(told, near=None if every else near))


def _report(event: str) -> "Report":
    """The event; NoEventError if it is none."""
    from opsbridge.core.decisions import Rejected
    from opsbridge.sources.canonical import decode
    from opsbridge.testing.explain import NoEventError

    if event == "-":
        payload = sys.stdin.buffer.read()
    elif event.lstrip().startswith("{"):
        payload = event.encode(errors="surrogateescape")
    else:
        try:
            payload = Path(event).read_bytes()
        except OSError as error:
            raise NoEventError(f"{event}: {error.strerror or error}; give a file, - for stdin, or JSON") from None
    report = decode(payload)
    if isinstance(report, Rejected):
        raise NoEventError(f"this is no event: {report.detail}")
    return report


# text

_MARK: Final = {True: "+", False: "-"}


def text(told: "Explanation", *, near: int | None) -> Iterator[str]:
    """The explanation for people; in full only rules that are that near to matching, None: all."""
    yield from _event(told)
    yield ""
    shown = [rule for rule in told.rules if near is None or rule.near(near)]
    for rule in shown:
        yield from _rule(rule)
    far = len(told.rules) - len(shown)
    if far:
        yield f"{far} {'rules do' if far > 1 else 'rule does'} not come near; --all shows all"
    if correlate := told.not_asked["correlate"]:
        yield f"{_rules(len(correlate))} of kind correlate, not asked of events: what the class means stands above"
    for kind in ("priority", "respond"):
        if asked := told.not_asked[kind]:
            yield f"{_rules(len(asked))} of kind {kind}, asked of situations: {', '.join(asked)}"


def _rules(count: int) -> str:
    return f"{count} rule{'s' if count > 1 else ''}"


def _event(told: "Explanation") -> Iterator[str]:
    known = "" if told.known_ci else " (not in the topology)"
    severity = f", {told.severity}" if told.state == "firing" else ""
    yield f"{told.event}: {told.class_} on {told.ci}{known}, {told.state}{severity}"
    by = f", by {told.decided_by}" if told.decided_by else ""
    route = f" to {told.route}" if told.route else ""
    yield f"  outcome: {told.outcome}{route}{by}"
    if told.severity_after != told.severity:
        yield f"  severity: {told.severity} -> {told.severity_after}"
    for label in sorted(told.labels_before | told.labels_after):
        before, after = told.labels_before.get(label), told.labels_after.get(label)
        if before != after:
            yield f"  labels.{label}: {'nothing' if before is None else before} -> {after}"
    if told.fingerprint_after != told.fingerprint_before:
        yield f"  fingerprint: {_visible(told.fingerprint_before)} -> {_visible(told.fingerprint_after)}"
    meaning = told.meaning
    yield f"  class: {meaning.nature}, travels to {meaning.travels}" + (f" ({meaning.rule})" if meaning.rule else "")
    for ground in told.grounds:
        yield f"  may be joined by: {_visible(ground)}"


def _rule(rule: "RuleAnswer") -> Iterator[str]:
    trial = ", in trial" if rule.shadow else ""
    verdict, note = _verdict(rule)
    yield f"{_MARK[rule.matches]} {rule.rule} ({rule.kind}{trial}) {verdict}  {rule.path}:{rule.line}"
    if note:
        yield f"    {note}"
    for answer in rule.answers:
        yield from _answer(answer, several=len(rule.answers) > 1)
    yield ""


def _verdict(rule: "RuleAnswer") -> tuple[str, str]:
    """What becomes of a rule, and what else is to be said of it."""
    if rule.nearest is not None:
        far = "" if rule.nearest.akin else ", and is not about such events"
        return f"does not match, {rule.missing} short{far}", rule.note
    if rule.kind == "maintenance":
        return f"covers it; {rule.note}", ""
    if not rule.decides and rule.note:
        return "matches, but has no say", rule.note
    return "matches, but does not count it" if any(each.uncounted for each in rule.answers) else "matches", rule.note


def _answer(answer: "Answer", *, several: bool) -> Iterator[str]:
    if several:
        yield f"    {answer.place}:"
    if not answer.heard:
        yield f"    - not asked: it hears {answer.hears} events only"
    for each in answer.tested:
        had = "nothing" if each.had is None else f"'{_visible(each.had)}'"
        yield f"    {_MARK[each.holds]} {each.field} {each.condition}: {had}"
        if each.similar:
            yield f"      nearly: '{_visible(each.had or '')}' is spelled '{each.similar}' in the rule"
    if answer.inherited:
        yield f"    + inherited: it is lost without {answer.inherited}"
    if not answer.tested and answer.heard and not answer.inherited:
        yield "    + every event"
    if answer.matches and answer.uncounted:
        yield f"    => not counted: {answer.uncounted}"
    elif answer.matches:
        yield f"    => {answer.effect}"
        if answer.group:
            group = ", ".join(f"{field} {_visible(value) or 'nothing'}" for field, value in answer.group.items())
            yield f"       group: {group}"
        if answer.value is not None:
            yield f"       value: {answer.value}"


def _visible(value: str) -> str:
    from opsbridge.testing.words import readable

    return readable(value)
