"""What is wrong with a topology, as far as its files and what happened tell: for who keeps the CMDB.

What events and situations bring to light is decided where they are correlated, and told as discrepancies
(core/decisions.py); what does not fit together is found when documents are merged (live.py). Here both are held against
the topology as it is now, with how often, when, and what to do; so a replay and the live topics give the same findings.
Nothing is read here: `opsbridge topology health` calls this.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from opsbridge.core.coordination.discrepancies import TOGETHER_MS, hang_together
from opsbridge.core.decisions import Discrepancy
from opsbridge.core.graph import CIGraph
from opsbridge.core.times import rfc3339
from opsbridge.documents import Nearest

Severity = Literal["error", "warning", "info"]
"""error: statements contradict each other, and files say so do not load. warning: needs work. info: good to know."""

FindingKind = Literal[
    "alias_conflict",
    "unknown_end",
    "unusable",
    "unknown_ci",
    "contradicted_edge",
    "missing_edge",
    "orphan",
    "never_seen",
]
"""The kinds of discrepancies, and what can only be said of a period: that something did not happen in it."""

_SHOWN: Final = 3
"""So many of the newest failures are shown as evidence..."""
_NAMED: Final = 5
"""...and so many names."""

_TODO: Final[Mapping[str, str]] = {
    "alias_conflict": "decide whose name it is and take it from the other; `opsbridge topology check` names the lines",
    "unknown_end": "add the CI, correct the name, or take the dependency out",
    "unusable": "correct the statement; until then it counts for nothing",
    "unknown_ci": "add it to the topology, or as an alias of the CI that it is",
    "contradicted_edge": "check whether the dependency still exists; if it is redundant, state a group (`needs`)",
    "missing_edge": "check whether one needs the other, or both a third, and state it; the direction is a guess",
    "orphan": "state what it depends on or what depends on it; if nothing does, nothing is to be done",
    "never_seen": "check that they are monitored and send events by a name that is known; else say `monitored: false`",
}


@dataclass(frozen=True, slots=True)
class Alarms:
    """How often alerts of one CI opened, and when; times in milliseconds since 1970."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An incident that had this root, and when its situation began."""

    root: str
    opened: int
    incident: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What happened in a period."""

    alarms: Mapping[str, Alarms] = field(default_factory=dict)
    """By CI, as the alert names it."""
    discrepancies: Sequence[Discrepancy] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing that is wrong, or good to know."""

    kind: FindingKind
    severity: Severity
    reference: str
    """The CI, the name, both ends of an edge joined by ` -> `, or the type of which some were never seen."""
    what: str
    todo: str
    count: int = 0
    """How often it showed; of what is stated wrongly, 0."""
    first: str | None = None
    last: str | None = None
    nearest: tuple[str, ...] = ()
    """CIs whose names are like it: what it may be an alias of."""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """All findings, the worst first, and what they are about."""

    cis: int
    dependencies: int
    alarmed: int | None
    """CIs of the topology that opened alerts; None: nothing was observed."""
    findings: tuple[HealthFinding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing needs work."""
        return all(finding.severity == "info" for finding in self.findings)


def health(graph: CIGraph, misfits: Iterable[Discrepancy], observed: Observed | None = None) -> Health:
    """The findings about this estate; `misfits` is what is said of it and does not fit together (live.py).

    What was observed of a CI or an edge that the topology says otherwise now is mended and not told.
    """
    found = [*_misfits(misfits)]
    alarmed = None
    if observed is not None:
        known = _known(graph, observed.alarms)
        alarmed = len(known)
        found += _unknown(graph, observed)
        found += _edges(graph, observed)
        found += _never_seen(graph, known)
    found += _orphans(graph, observed or Observed())
    order = {kind: place for place, kind in enumerate(get_args(FindingKind))}
    levels: tuple[Severity, ...] = get_args(Severity)
    found.sort(key=lambda each: (levels.index(each.severity), order[each.kind], -each.count, each.reference))
    return Health(len(graph), graph.edges, alarmed, tuple(found))


def _known(graph: CIGraph, alarms: Mapping[str, Alarms]) -> dict[int, Alarms]:
    """CI number to its alarms, of CIs that the topology has now."""
    known: dict[int, Alarms] = {}
    for name, more in alarms.items():
        number = graph.numbers.get(name)
        if number is not None:
            had = known.get(number, more)
            count = more.count + (had.count if number in known else 0)
            known[number] = Alarms(count, min(had.first, more.first), max(had.last, more.last))
    return known


def _misfits(misfits: Iterable[Discrepancy]) -> Iterator[HealthFinding]:
    for each in misfits:
        if each.kind in ("alias_conflict", "unknown_end", "unusable"):
            what, *said = each.evidence or (each.reference,)
            yield _finding(each.kind, "error", each.reference, what, evidence=said)


def _unknown(graph: CIGraph, observed: Observed) -> Iterator[HealthFinding]:
    alarms = {name: each for name, each in observed.alarms.items() if name not in graph.numbers}
    for told in observed.discrepancies:  # alerts may be forgotten sooner than discrepancies
        if told.kind == "unknown_ci" and told.reference not in graph.numbers:
            alarms.setdefault(told.reference, Alarms(1, told.time_ms, told.time_ms))
    names = _Names(graph)
    for name, each in alarms.items():
        near = names.like(name)
        what = f"{_times(each.count, 'alert')} of a CI that the topology does not have"
        what += f"; is it {' or '.join(near)}?" if near else ""
        yield _finding("unknown_ci", "warning", name, what, each, near)


def _edges(graph: CIGraph, observed: Observed) -> Iterator[HealthFinding]:
    """What many situations say about edges, as far as it has not been mended."""
    failures: dict[str, list[Failure]] = {}
    for failure in observed.failures:
        failures.setdefault(failure.root, []).append(failure)
    for each in failures.values():
        each.sort(key=lambda failure: (failure.opened, failure.incident))
    for told in observed.discrepancies:
        ends = _ends(told.reference, [*graph.numbers, *failures])
        if ends is None:
            continue
        dependent, provider = ends
        if told.kind == "contradicted_edge" and _stated(graph, dependent, provider):
            times = failures.get(provider, [])
            shown = tuple(f"{rfc3339(each.opened)} {provider} failed: {each.incident}" for each in times[-_SHOWN:])
            alarms = _span(times, told)
            what = f"{dependent} never felt it when {provider} failed; others that depend on it did"
            said = (*told.evidence, *shown)
            yield _finding("contradicted_edge", "warning", told.reference, what, alarms, evidence=said)
        elif told.kind == "missing_edge" and not hang_together(graph, dependent, provider):
            ours, theirs = failures.get(dependent, []), failures.get(provider, [])
            pairs = list(_together(ours, theirs))
            alarms = _span([each for pair in pairs for each in pair], told, len(pairs))
            what = f"they fail together, {provider} mostly first, and neither depends on the other"
            counts = f"{dependent} failed {_times(len(ours), 'time')}, {provider} {_times(len(theirs), 'time')}"
            together = f"{counts}; {len(pairs)} of these within {TOGETHER_MS // 1000} s of each other"
            # what the discrepancy says in figures depends on whose news came first: said only if nobody knows better
            said = (together, *(_pair(*pair) for pair in pairs[-_SHOWN:])) if pairs else told.evidence
            yield _finding("missing_edge", "warning", told.reference, what, alarms, evidence=said)


def _orphans(graph: CIGraph, observed: Observed) -> Iterator[HealthFinding]:
    told = {each.reference: each for each in observed.discrepancies if each.kind == "orphan"}
    known = _known(graph, observed.alarms)
    for number, ci in enumerate(graph.cis):
        if graph.connected(number):
            continue
        alarms, said = known.get(number), told.get(ci.id)
        what = "no dependency is stated" + (f"; {_times(alarms.count, 'alert')} correlated alone" if alarms else "")
        yield _finding("orphan", "info" if said is None else "warning", ci.id, what, alarms, evidence=_evidence(said))


def _never_seen(graph: CIGraph, known: Mapping[int, Alarms]) -> Iterator[HealthFinding]:
    """The monitored CIs of each type that never opened an alert; services seldom do, and are left out."""
    watched = {number: ci for number, ci in enumerate(graph.cis) if ci.monitored and not ci.service}
    monitored = Counter(ci.type for ci in watched.values())
    silent: dict[str, list[str]] = {}
    for number, ci in watched.items():
        if number not in known:
            silent.setdefault(ci.type, []).append(ci.id)
    for kind, names in silent.items():
        shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        what = f"{len(names)} of {monitored[kind]} that are monitored opened no alert"
        yield _finding("never_seen", "info", kind or "(no type)", what, count=len(names), evidence=(shown,))


def _finding(
    kind: FindingKind,
    severity: Severity,
    reference: str,
    what: str,
    alarms: Alarms | None = None,
    nearest: Sequence[str] = (),
    *,
    count: int = 0,
    evidence: Iterable[str] = (),
) -> HealthFinding:
    first, last = (None, None) if alarms is None else (rfc3339(alarms.first), rfc3339(alarms.last))
    count = count if alarms is None else alarms.count
    return HealthFinding(
        kind, severity, reference, what, _TODO[kind], count, first, last, tuple(nearest), tuple(evidence)
    )


def _evidence(told: Discrepancy | None) -> tuple[str, ...]:
    return () if told is None else told.evidence


def _span(failures: Sequence[Failure], told: Discrepancy, count: int | None = None) -> Alarms:
    """From the first of these to the last; where none is remembered, when it was told."""
    times = [each.opened for each in failures] or [told.time_ms]
    return Alarms(len(failures) if count is None else count, min(times), max(times))


def _together(one: Sequence[Failure], other: Sequence[Failure]) -> Iterator[tuple[Failure, Failure]]:
    """The failures of the two that began together, the earlier of each pair first; both lists are in order."""
    for mine in one:
        for theirs in other:
            if abs(theirs.opened - mine.opened) <= TOGETHER_MS:
                yield (mine, theirs) if mine.opened < theirs.opened else (theirs, mine)
                break


def _pair(first: Failure, second: Failure) -> str:
    later = (second.opened - first.opened) / 1000
    after = f"{later:g} s later {second.root} ({second.incident})"
    return f"{rfc3339(first.opened)} {first.root} ({first.incident}), {after}"


def _stated(graph: CIGraph, dependent: str, provider: str) -> bool:
    one, other = graph.numbers.get(dependent), graph.numbers.get(provider)
    return one is not None and other is not None and other in graph.providers[one]


_ARROW: Final = " -> "


def _ends(reference: str, known: Sequence[str]) -> tuple[str, str] | None:
    """Dependent and provider; names may contain the arrow themselves."""
    parts = reference.split(_ARROW)
    ways = [(_ARROW.join(parts[:at]), _ARROW.join(parts[at:])) for at in range(1, len(parts))]
    if len(ways) > 1:
        names = set(known)
        return next((way for way in ways if names.issuperset(way)), ways[0])
    return ways[0] if ways else None


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


class _Names:
    """Finds the CIs that a name may mean."""

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._short: dict[str, list[int]] = {}
        for name, number in graph.numbers.items():
            numbers = self._short.setdefault(_short(name), [])
            if number not in numbers:
                numbers.append(number)
        self._nearest = Nearest(graph.numbers.keys())

    def like(self, name: str) -> tuple[str, ...]:
        """Ids of CIs that have the same host part, else of those that are spelled nearly so; at most two."""
        numbers = self._short.get(_short(name)) or [self._graph.numbers[near] for near in self._nearest.names(name)]
        return tuple(dict.fromkeys(self._graph.cis[number].id for number in numbers[:2]))


def _short(name: str) -> str:
    """What is left of a name without port and domain, small, with one sort of dash; of an address, all of it."""
    host = name.casefold().replace("_", "-")
    if not host.replace(".", "").replace(":", "").isdigit():
        host = host.split(":")[0].split(".")[0]
    return host or name
