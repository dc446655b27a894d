"""Answers of compiled respond rules held against a naive reading of the same file, over random rules and cases."""

import fnmatch
from pathlib import Path

import pytest
from cases import case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from opsbridge.core.case import Case
from opsbridge.core.decisions import Impact
from opsbridge.core.event import SEVERITIES
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import Handling, Selection, Ticket
from opsbridge.rules import compile_rules, load_rules

NAMES = ("a", "ab", "b", "")
TEXT = st.sampled_from(NAMES)
NUMBER = st.integers(0, 3)
SEVERITY = st.sampled_from(SEVERITIES)
SHARE = st.sampled_from([0.0, 0.25, 0.5, 1.0])

VALUES = {
    "root.ci": st.sampled_from(("a", "ab", "b")),
    "root.type": TEXT,
    "root.group": TEXT,
    "known_error": TEXT,
    "severity": SEVERITY,
    "alerts": NUMBER,
    "users": NUMBER,
    "tier": NUMBER,
    "changed": NUMBER,
    "confidence": SHARE,
    "silent": st.booleans(),
    "priority": st.sampled_from(("P1", "P2", "P3")),
    "status": st.sampled_from(("open", "resolved", "closed")),
}
TEXTS = ("root.ci", "root.type", "root.group", "known_error")
ORDERED = ("severity", "alerts", "users", "tier", "changed", "confidence")


def conditions(field: str) -> st.SearchStrategy[object]:
    value = VALUES[field]
    said: list[st.SearchStrategy[object]] = [value, st.lists(value, min_size=1, max_size=3)]
    if field in TEXTS:
        said.append(st.fixed_dictionaries({"glob": st.sampled_from(("a*", "*", "*b", "?"))}))
    if field in ORDERED:
        said += [st.fixed_dictionaries({sign: value}) for sign in ("gte", "gt", "lte", "lt")]
    either = st.one_of(said)
    return either | st.fixed_dictionaries({"not": either})


MATCH = st.sets(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3).flatmap(
    lambda fields: st.fixed_dictionaries({field: conditions(field) for field in sorted(fields)})
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"match": MATCH, "response": st.sampled_from(("incident", "none", "change", "request")), "last": st.booleans()}
    ),
    min_size=1,
    max_size=6,
)
CASES = st.builds(
    lambda ci, tier, users, severity, alerts, confidence, silent, status, priority, known, changed: case(
        ci,
        severity=severity,
        alerts=alerts,
        confidence=confidence,
        class_=None if silent else "X",
        status=status,
        impact=Impact(1, 0, (), tier=tier, users=users),
        priority=priority,
        known_errors=known,
        changes=("CHG",) * changed,
    ),
    st.builds(CI, VALUES["root.ci"], type=TEXT, owner=TEXT, group=TEXT),
    st.none() | NUMBER,
    NUMBER,
    st.integers(0, 4),
    NUMBER,
    SHARE,
    st.booleans(),
    VALUES["status"],
    VALUES["priority"],
    st.lists(st.sampled_from(("a", "ab", "b")), max_size=2).map(tuple),
    NUMBER,
)


def held(of: Case, field: str) -> object:
    """What a field holds, in the words of a file; a list of several."""
    situation, root = of.situation, of.root
    return {
        "root.ci": root.id,
        "root.type": root.type,
        "root.group": root.group or root.owner,
        "known_error": list(of.known_errors),
        "severity": SEVERITIES[situation.severity],
        "alerts": situation.alerts,
        "users": situation.impact.users,
        "tier": situation.impact.tier,
        "changed": len(of.changes),
        "confidence": situation.root.confidence,
        "silent": situation.root.class_ is None,
        "priority": of.priority,
        "status": situation.status,
    }[field]


def holds(said: object, value: object) -> bool:
    """What the page says of conditions, word by word."""
    if isinstance(said, list):
        return any(holds(each, value) for each in said)
    if isinstance(said, dict):
        return all(compares(sign, operand, value) for sign, operand in said.items())
    return any(holds(said, each) for each in value) if isinstance(value, list) else said == value


def compares(sign: str, operand: object, value: object) -> bool:
    if sign == "not":
        return not holds(operand, value)
    if sign == "glob":
        texts = value if isinstance(value, list) else [value]
        return any(fnmatch.fnmatchcase(str(text), str(operand)) for text in texts)
    if value is None:
        return False
    one, other = (SEVERITIES.index(each) if isinstance(each, str) else each for each in (value, operand))
    assert isinstance(one, int | float)
    assert isinstance(other, int | float)
    return {"gte": one >= other, "gt": one > other, "lte": one <= other, "lt": one < other}[sign]


def answers(rules: list[dict[str, object]], of: Case) -> Selection:
    """What follows, rule by rule."""
    decided, further = None, []
    for number, rule in enumerate(rules):
        match = rule["match"]
        assert isinstance(match, dict)
        if all(holds(said, held(of, field)) for field, said in match.items()):
            match response := rule["response"]:
                case "incident" | "none":
                    decided = decided or Handling(f"r{number}", response)
                case "change" | "request":
                    further.append(Ticket(f"r{number}", response))
            if rule["last"]:
                break
    return Selection(decided or Handling(), tuple(further))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RULES, st.lists(CASES, min_size=1, max_size=8))
def test_the_answers_are_those_of_a_naive_reading(rules: list[dict[str, object]], cases: list[Case]) -> None:
    file = Path("rules.json")
    said = [{"id": f"r{number}", "kind": "respond", **rule} for number, rule in enumerate(rules)]
    file.write_bytes(json.encode({"version": 1, "rules": said}))
    respond = compile_rules(load_rules([file]).rules).book.respond
    for each in cases:
        assert respond(each) == answers(rules, each)
        once_more = replace(each, situation=replace(each.situation, version=2))
        assert respond(once_more) == respond(each)
