"""The judge against an oracle: the same rules, as the files say them, read naively one after the other."""

import fnmatch
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core.event import SEVERITIES, SEVERITY_NUMBER, Event, Verdict
from opsbridge.core.graph import CI
from opsbridge.documents.text import Loc
from opsbridge.rules import Rule, compile_rules
from opsbridge.rules.conditions import parse_match


def refuse(loc: Loc, message: str, *, key: bool = False) -> None:
    raise AssertionError((loc, message))


def holds(said: object, value: str | int | None, severity: bool) -> bool:
    if isinstance(said, list):
        return any(holds(part, value, severity) for part in said)
    if isinstance(said, dict):
        return all(compares(name, part, value, severity) for name, part in said.items())
    return value == (SEVERITY_NUMBER[str(said)] if severity else said)


def compares(name: str, said: object, value: str | int | None, severity: bool) -> bool:
    if name == "not":
        return not holds(said, value, severity)
    if name == "glob":
        patterns = said if isinstance(said, list) else [said]
        return isinstance(value, str) and any(fnmatch.fnmatchcase(value, str(pattern)) for pattern in patterns)
    bound = SEVERITY_NUMBER[said] if isinstance(said, str) else said
    assert isinstance(bound, int)
    return isinstance(value, int) and (value >= bound if name == "gte" else value <= bound)


def value_of(field: str, event: Event, ci: CI) -> str | int | None:
    if field.startswith("labels."):
        return event.labels.get(field.removeprefix("labels."))
    owner, _, name = field.rpartition(".")
    found = getattr(ci if owner else event, "class_" if field == "class" else name)
    assert found is None or isinstance(found, str | int)
    return found


Said = tuple[str, Mapping[str, object], Verdict | None]
"""Kind, match and verdict of a rule."""


def oracle(rules: list[Said], event: Event, ci: CI) -> Verdict | None:
    def first(kind: str) -> Said | None:
        for said in rules:
            if said[0] == kind and all(
                holds(part, value_of(field, event, ci), field == "severity") for field, part in said[1].items()
            ):
                return said
        return None

    decided = first("filter")
    if decided is not None and decided[2] is not None:
        return decided[2]
    classified = first("classify")
    return classified[2] if classified else None


TEXTS = st.sampled_from(["", "a", "b", "ab", "ba", "aab", "a-1", "b-2", "*", "[a"])
PATTERNS = st.text("ab*?[]!-1", max_size=5)
NUMBERS = st.integers(-1, 4)


def conditions(value: st.SearchStrategy[object], comparisons: dict[str, st.SearchStrategy[object]]):  # type: ignore[no-untyped-def]
    def deeper(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        mappings = st.fixed_dictionaries({}, optional={"not": inner, **comparisons}).filter(bool)
        return st.lists(inner, min_size=1, max_size=3) | mappings

    return st.recursive(value, deeper, max_leaves=4)


OF_TEXT = conditions(TEXTS, {"glob": PATTERNS | st.lists(PATTERNS, min_size=1, max_size=2)})
SEVERITY = st.sampled_from(SEVERITIES)
OF_SEVERITY = conditions(SEVERITY, {"gte": SEVERITY, "lte": SEVERITY})
OF_TIER = conditions(NUMBERS, {"gte": NUMBERS, "lte": NUMBERS})
TEXT_FIELDS = ("class", "ci", "source", "summary", "fingerprint", "ci.type", "ci.site", "labels.x", "labels.y z")
MATCHES = st.fixed_dictionaries(
    {}, optional={"severity": OF_SEVERITY, "ci.tier": OF_TIER, **dict.fromkeys(TEXT_FIELDS, OF_TEXT)}
).filter(bool)
SMALL_MATCHES = st.sampled_from(["severity", "ci.tier", *TEXT_FIELDS]).flatmap(
    lambda field: st.fixed_dictionaries(
        {field: OF_SEVERITY if field == "severity" else OF_TIER if field == "ci.tier" else OF_TEXT}
    )
)
LABELS = st.dictionaries(st.sampled_from(["x", "y z"]), TEXTS)
EVENTS = st.builds(
    Event,
    id=st.just("e"),
    time=st.just(0),
    ci=TEXTS,
    class_=TEXTS,
    severity=st.integers(0, 4),
    firing=st.just(True),
    fingerprint=TEXTS,
    source=TEXTS,
    summary=TEXTS,
    labels=LABELS,
)
CIS = st.builds(CI, id=TEXTS, type=TEXTS, site=TEXTS, tier=st.none() | NUMBERS)


@given(
    st.lists(st.tuples(st.sampled_from(["drop", "keep", "classify"]), SMALL_MATCHES | MATCHES), max_size=6),
    st.lists(st.tuples(EVENTS, CIS), min_size=1, max_size=6),
)
def test_the_judge_says_what_a_naive_reading_of_the_rules_says(
    said: list[tuple[str, dict[str, object]]], asked: list[tuple[Event, CI]]
) -> None:
    naive: list[Said] = []
    rules: list[Rule] = []
    for number, (action, match) in enumerate(said):
        name = f"r{number}"
        verdict = Verdict(name, drop=action == "drop", severity=number % 5) if action != "keep" else None
        kind = "classify" if action == "classify" else "filter"
        naive.append((kind, match, verdict))
        rules.append(Rule(name, "classify" if action == "classify" else "filter", parse_match(match, refuse), verdict))
    ask = compile_rules(rules).judge
    for event, ci in asked * 2:  # a second time: from the tables
        assert ask(event, ci) == oracle(naive, event, ci)
