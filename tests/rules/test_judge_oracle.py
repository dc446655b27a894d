"""Compiled rules against an oracle: the same rules, as files say them, read naively one after the other."""

import fnmatch
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.calendar import Span
from opsbridge.core.event import SEVERITIES, SEVERITY_NUMBER, Event, Mark, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.rulebook import Hold, Inhibition, Maintenance, Raise, Threshold
from opsbridge.documents.text import Loc
from opsbridge.rules import compile_rules
from opsbridge.rules.matching.conditions import Match, parse_match
from opsbridge.rules.rule import Ask, Constant, Enrich, FromField, FromTable, Identify, Keep, Kind, Planned, Rule, Says

Raw = Mapping[str, object]
"""A match as a file says it."""
Value = str | int | None


def parsed(raw: Raw) -> Match:
    def refuse(loc: Loc, message: str, *, key: bool = False) -> None:
        raise AssertionError((loc, message, key))

    return parse_match(raw, refuse) if raw else {}


# What a file says, read naively.


def holds(said: object, value: Value, severity: bool) -> bool:
    if isinstance(said, list):
        return any(holds(part, value, severity) for part in said)
    if isinstance(said, dict):
        return all(compares(name, part, value, severity) for name, part in said.items())
    return value == (SEVERITY_NUMBER[str(said)] if severity else said)


def compares(name: str, said: object, value: Value, severity: bool) -> bool:
    if name == "not":
        return not holds(said, value, severity)
    if name in ("glob", "regex"):
        fits = fnmatch.fnmatchcase if name == "glob" else lambda text, pattern: re.fullmatch(pattern, text)
        patterns = said if isinstance(said, list) else [said]
        return isinstance(value, str) and any(fits(value, str(pattern)) for pattern in patterns)
    bound = SEVERITY_NUMBER[said] if isinstance(said, str) else said
    assert isinstance(bound, int | float)
    number = as_number(value) if isinstance(value, str) else value
    if number is None:
        return False
    return {"gte": number >= bound, "gt": number > bound, "lte": number <= bound, "lt": number < bound}[name]


def as_number(text: str | None) -> float | None:
    try:
        number = float(text or "none")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def value_of(name: str, event: Event, ci: CI) -> Value:
    if name.startswith("labels."):
        return event.labels.get(name.removeprefix("labels."))
    owner, _, attribute = name.rpartition(".")
    found = getattr(ci if owner else event, "class_" if name == "class" else attribute)
    assert found is None or isinstance(found, str | int)
    return found


def text_of(name: str, event: Event, ci: CI) -> str:
    value = value_of(name, event, ci)
    return SEVERITIES[event.severity] if name == "severity" else "" if value is None else str(value)


def meets(raw: Raw, event: Event, ci: CI) -> bool:
    return all(holds(part, value_of(name, event, ci), name == "severity") for name, part in raw.items())


# Rules, as they are said and as the loader hands them on.


@dataclass(frozen=True)
class Asking:
    match: Raw
    group_by: tuple[str, ...] = ()
    measures: str = ""
    as_number: bool = False
    firing: bool = True
    resolved: bool = False


@dataclass(frozen=True)
class Said:
    kind: Kind
    asks: tuple[Asking, ...]
    id: str = ""
    action: Literal["drop", "keep", "route"] = "drop"
    shadow: bool = False
    labels: Mapping[str, Constant | FromField | FromTable] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    cis: Raw = field(default_factory=dict)
    inherit: bool = False

    @property
    def verdict(self) -> Verdict | None:
        if self.kind == "filter":
            route = "desk" if self.action == "route" else ""
            return None if self.action == "keep" else Verdict(self.id, drop=self.action == "drop", route=route)
        said = Verdict(self.id, severity=len(self.id) % 5, significance=len(self.id) % 3)
        return said if self.kind == "classify" else None

    @property
    def mark(self) -> str:
        return f"{self.id}@1" if self.kind == "threshold" else self.id

    def rule(self) -> Rule:
        asks = tuple(
            Ask(parsed(ask.match), part, ask.group_by, ask.measures, ask.as_number, ask.firing, ask.resolved)
            for part, ask in enumerate(self.asks)
        )
        return Rule(self.id, self.kind, self.says(), asks, self.shadow)

    def says(self) -> Says:
        match self.kind:
            case "filter" | "classify":
                return self.verdict or Keep()
            case "enrich":
                return Enrich(dict(self.labels))
            case "dedup":
                return Identify(self.fields)
            case "hold":
                return Hold(rule=self.id, for_ms=1)
            case "maintenance":
                return Planned(Maintenance(rule=self.id, windows=NEVER), parsed(self.cis), self.inherit)
            case "inhibit":
                return Inhibition(rule=self.id)
        return Threshold(
            rule=self.id,
            key=self.mark,
            raises=Raise("X", 3),
            measure="event_count",
            timespan=1,
            holds=bool,
            at_least=1,
            resolve_after=1,
        )


NEVER: Final = Span(0, 1)


def dependents(graph: CIGraph, failed: set[str]) -> set[str]:
    """These and all that depends on them, of a graph without groups."""
    while (
        more := {
            graph.cis[number].id
            for number, providers in enumerate(graph.providers)
            if any(graph.cis[provider].id in failed for provider in providers)
        }
        - failed
    ):
        failed = failed | more
    return failed


def planned(said: Said, ci: CI, graph: CIGraph) -> bool:
    """Whether a maintenance window is for the CI."""
    if not said.inherit or ci not in graph.cis:
        return meets(said.cis, event_of(ci), ci)
    return ci.id in dependents(graph, {each.id for each in graph.cis if meets(said.cis, event_of(each), each)})


def event_of(ci: CI) -> Event:
    return Event("e", 0, ci.id, "", 0, True, "")


def marks(rules: Iterable[Said], event: Event, ci: CI, graph: CIGraph) -> set[Mark]:
    found = set()
    for said in rules:
        if said.kind in ("filter", "classify", "enrich", "dedup") or not planned(said, ci, graph):
            continue
        for part, ask in enumerate(said.asks):
            if (ask.firing if event.firing else ask.resolved) and meets(ask.match, event, ci):
                group = "\x1f".join(text_of(name, event, ci) for name in ask.group_by)
                value: float | str | None = None
                if ask.measures:
                    text = event.labels.get(ask.measures.removeprefix("labels."))
                    value = as_number(text) if ask.as_number else text
                found.add(Mark(said.mark, part, group, value))
    return found


def judged(rules: Iterable[Said], event: Event, ci: CI, graph: CIGraph) -> tuple[Verdict | None, set[Mark]]:
    """The verdict without its marks, and these."""
    rules = list(rules)
    shadows: list[str] = []

    def first(kind: str) -> Said | None:
        matching = [said for said in rules if said.kind == kind and any(meets(a.match, event, ci) for a in said.asks)]
        shadows.extend(said.id for said in matching[:1] if said.shadow)
        return next((said for said in matching if not said.shadow), None)

    filtered = first("filter")
    decided = filtered.verdict if filtered else None
    taken = decided is not None
    if not taken and (classified := first("classify")):
        decided = classified.verdict
    marked = set() if taken else marks(rules, event, ci, graph)
    if decided is None and not shadows and not marked:
        return None, set()
    return msgspec.structs.replace(decided or Verdict(), shadows=tuple(shadows)), marked


def prepared(rules: Iterable[Said], event: Event, ci: CI) -> Event:
    rules = list(rules)
    labels = dict(event.labels)
    is_set: set[str] = set()
    for said in rules:
        if said.kind == "enrich" and meets(said.asks[0].match, event, ci):
            for label, new in said.labels.items():
                match new:
                    case Constant(text):
                        value: str | None = text
                    case FromField(name):
                        value = text_of(name, event, ci) or None
                    case FromTable(table, by):
                        value = table.get(text_of(by, event, ci))
                if value is not None and label not in is_set:
                    labels[label] = value
                    is_set.add(label)
    event = msgspec.structs.replace(event, labels=labels)
    for said in rules:
        if said.kind == "dedup" and meets(said.asks[0].match, event, ci):
            values = [text_of(name, event, ci) for name in said.fields]
            return msgspec.structs.replace(event, fingerprint="\x1f".join(["", ",".join(said.fields), *values]))
    return event


# Strategies.

TEXTS = st.sampled_from(["", "a", "b", "ab", "a-1", "*", "[a", "1", "2.5", "nan"])
PATTERNS = st.text("ab*?[]!-1", max_size=5)
EXPRESSIONS = st.sampled_from(["a+", "[ab]*", "a|b", "(a|b)-[0-9]", ".*", "a.?b?", "[^a]+", ""])
NUMBERS = st.integers(-1, 4)


def conditions(
    value: st.SearchStrategy[object], comparisons: dict[str, st.SearchStrategy[object]]
) -> st.SearchStrategy[object]:
    def deeper(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        mappings = st.fixed_dictionaries({}, optional={"not": inner, **comparisons}).filter(bool)
        return st.lists(inner, min_size=1, max_size=3) | mappings

    return st.recursive(value, deeper, max_leaves=4)


def bounds(value: st.SearchStrategy[object]) -> dict[str, st.SearchStrategy[object]]:
    return dict.fromkeys(("gte", "gt", "lte", "lt"), value)


TEXT_TESTS: dict[str, st.SearchStrategy[object]] = {
    "glob": PATTERNS | st.lists(PATTERNS, min_size=1, max_size=2),
    "regex": EXPRESSIONS | st.lists(EXPRESSIONS, min_size=1, max_size=2),
}
SEVERITY = st.sampled_from(SEVERITIES)
OF_TEXT = conditions(TEXTS, TEXT_TESTS)
OF_LABEL = conditions(TEXTS, {**TEXT_TESTS, **bounds(NUMBERS | st.sampled_from([0.5, 2.5]))})
OF_SEVERITY = conditions(SEVERITY, bounds(SEVERITY))
OF_TIER = conditions(NUMBERS, bounds(NUMBERS))
OF_CI: dict[str, st.SearchStrategy[object]] = {"ci.tier": OF_TIER} | dict.fromkeys(
    ("ci", "ci.type", "ci.site"), OF_TEXT
)
OF_EVENT: dict[str, st.SearchStrategy[object]] = {
    "severity": OF_SEVERITY,
    **dict.fromkeys(("class", "source", "summary", "fingerprint"), OF_TEXT),
    **dict.fromkeys(("labels.x", "labels.y z"), OF_LABEL),
}


def matches(fields: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Raw]:
    """Of one field, mostly, so that something matches."""
    one = st.sampled_from(sorted(fields)).flatmap(lambda name: st.fixed_dictionaries({name: fields[name]}))
    return one | st.fixed_dictionaries({}, optional=fields).filter(bool)


MATCHES: st.SearchStrategy[Raw] = st.just({}) | matches(OF_CI | OF_EVENT)
FIELDS = st.sampled_from(["class", "ci", "severity", "ci.site", "ci.tier", "labels.x", "labels.y z", "labels.new"])
GROUPS = st.lists(FIELDS, max_size=3, unique=True).map(tuple)
NEW: st.SearchStrategy[Constant | FromField | FromTable] = (
    TEXTS.map(Constant)
    | FIELDS.map(FromField)
    | st.builds(FromTable, st.dictionaries(TEXTS, TEXTS, max_size=4), FIELDS)
)


def asking(**more: st.SearchStrategy[object]) -> st.SearchStrategy[Asking]:
    return st.builds(Asking, match=MATCHES, **more)


def one(**more: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[Asking, ...]]:
    return st.tuples(asking(**more))


MEASURED = st.sampled_from(["", "labels.x", "labels.y z"])
HEARING = {
    "group_by": GROUPS,
    "measures": MEASURED,
    "as_number": st.booleans(),
    "firing": st.booleans(),
    "resolved": st.booleans(),
}
SAID: st.SearchStrategy[Said] = st.one_of(
    st.builds(
        Said,
        kind=st.just("filter"),
        asks=one(),
        action=st.sampled_from(["drop", "keep", "route"]),
        shadow=st.booleans(),
    ),
    st.builds(Said, kind=st.just("classify"), asks=one(), shadow=st.booleans()),
    st.builds(
        Said,
        kind=st.just("enrich"),
        asks=one(),
        labels=st.dictionaries(st.sampled_from(["x", "new", "y z"]), NEW, min_size=1),
    ),
    st.builds(Said, kind=st.just("dedup"), asks=one(), fields=st.lists(FIELDS, min_size=1, max_size=3).map(tuple)),
    st.builds(Said, kind=st.just("hold"), asks=one()),
    st.builds(
        Said,
        kind=st.just("maintenance"),
        asks=st.tuples(st.builds(Asking, match=st.just({}) | matches(OF_EVENT))),
        cis=st.just({}) | matches(OF_CI),
        inherit=st.booleans(),
    ),
    st.builds(
        Said,
        kind=st.just("inhibit"),
        asks=GROUPS.flatmap(lambda group: st.tuples(*[asking(group_by=st.just(group))] * 2)),
    ),
    st.builds(Said, kind=st.just("threshold"), asks=st.lists(asking(**HEARING), min_size=1, max_size=3).map(tuple)),
)
RULES = st.lists(SAID, max_size=8).map(lambda said: [replace(each, id="r" * (at + 1)) for at, each in enumerate(said)])
EVENTS = st.builds(
    Event,
    id=st.just("e"),
    time=st.just(0),
    ci=TEXTS,
    class_=TEXTS,
    severity=st.integers(0, 4),
    firing=st.booleans(),
    fingerprint=TEXTS,
    source=TEXTS,
    summary=TEXTS,
    labels=st.dictionaries(st.sampled_from(["x", "y z", "other"]), TEXTS),
)
CIS = st.builds(CI, id=TEXTS, type=TEXTS, site=TEXTS, tier=st.none() | NUMBERS)
GRAPHS = st.lists(CIS, max_size=5, unique_by=lambda ci: ci.id).flatmap(
    lambda cis: st.builds(
        CIGraph,
        st.just(cis),
        st.lists(st.tuples(*[st.integers(0, len(cis) - 1)] * 2), max_size=5) if cis else st.just([]),
    )
)


@settings(max_examples=200)
@given(RULES, GRAPHS, st.lists(st.tuples(EVENTS, CIS), min_size=1, max_size=6))
def test_compiled_rules_say_what_a_naive_reading_of_them_says(
    said: list[Said], graph: CIGraph, asked: list[tuple[Event, CI]]
) -> None:
    book = compile_rules([each.rule() for each in said], graph).book
    asked += [(event, ci) for ci in graph.cis for event, _ in asked]
    for event, ci in [(msgspec.structs.replace(event, ci=ci.id), ci) for event, ci in asked] * 2:  # then from tables
        labels = dict(event.labels)
        expected = prepared(said, event, ci)
        assert (book.prepare(event, ci) if book.prepare else event) == expected
        assert event.labels == labels
        if event.firing:
            verdict = book.judge(event, ci)
            made = [] if verdict is None else verdict.marks
            plain = None if verdict is None else msgspec.structs.replace(verdict, marks=())
            assert (plain, set(made)) == judged(said, event, ci, graph)
        else:
            made = book.listen(event, ci) if book.listen else ()
            assert set(made) == marks(said, event, ci, graph)
        assert len(made) == len(set(made))
    assert (book.listen is None) == (not any(ask.resolved for each in said for ask in each.asks))
    assert (book.prepare is None) == (not any(each.kind in ("enrich", "dedup") for each in said))


@given(
    st.lists(st.tuples(TEXTS, OF_LABEL), min_size=20, max_size=30),
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8),
)
def test_a_label_with_many_tests(said: list[tuple[str, object]], asked: list[tuple[str, str]]) -> None:
    rules = [
        Said("hold", (Asking({"class": class_, "labels.x": condition}),), f"r{number}")
        for number, (class_, condition) in enumerate(said)
    ]
    ask = compile_rules([each.rule() for each in rules]).book.judge
    for class_, text in asked * 2:
        event = msgspec.structs.replace(event_of(CI("a")), class_=class_, labels={"x": text})
        verdict = ask(event, CI("a"))
        expected = marks(rules, event, CI("a"), CIGraph([]))
        assert set(verdict.marks if verdict else ()) == expected
