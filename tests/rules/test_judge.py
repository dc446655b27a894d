"""What compiled rules say of events: the meaning of every condition, the order of rules, and an oracle for all of it."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core.event import SEVERITIES, SEVERITY_NUMBER, SIGNIFICANCES, Event, Verdict
from opsbridge.core.graph import CI, unknown_ci
from opsbridge.documents.text import Loc
from opsbridge.rules import Rule, RuleSet, compile, compile_rules, load_rules
from opsbridge.rules.conditions import Complain, parse_match

EVENT = Event("e1", 0, "web-01", "DiskFull", 3, True, "fp", True, "prometheus", "Disk 97 % full", {"env": "prod"})
HOST = CI("web-01", "vm", "", "shop", "production", "ams1", 2)


def refuse(loc: Loc, message: str, *, key: bool = False) -> None:
    raise AssertionError((loc, message))


def rule(name: str, match: Mapping[str, object], kind: str = "filter", verdict: Verdict | None = None) -> Rule:
    complain: Complain = refuse
    said = verdict or Verdict(name, drop=True)
    return Rule(name, "filter" if kind == "filter" else "classify", parse_match(match, complain), said, text=name)


def rule_set(tmp_path: Path, text: str) -> RuleSet:
    (tmp_path / "rules.yaml").write_text("version: 1\nrules:\n" + text)
    return compile_rules(load_rules([tmp_path]).rules)


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"class": "DiskFull"}, True),
        ({"class": "diskfull"}, False),
        ({"class": ["LinkDown", "DiskFull"]}, True),
        ({"class": ["LinkDown", {"glob": "Disk*"}]}, True),
        ({"class": {"glob": ["Link*", "*Full"]}}, True),
        ({"class": {"glob": "Disk*", "not": "DiskFull"}}, False),
        ({"class": {"glob": "Disk*", "not": ["DiskLate", {"glob": "*Slow"}]}}, True),
        ({"class": {"not": {"not": "DiskFull"}}}, True),
        ({"class": "DiskFull", "ci": "web-02"}, False),
        ({"class": "DiskFull", "ci": "web-01", "source": "prometheus"}, True),
        ({"severity": "major"}, True),
        ({"severity": ["minor", "critical"]}, False),
        ({"severity": {"gte": "major"}}, True),
        ({"severity": {"gte": "critical"}}, False),
        ({"severity": {"gte": "minor", "lte": "major"}}, True),
        ({"severity": {"lte": "minor"}}, False),
        ({"severity": {"not": {"gte": "major"}}}, False),
        ({"ci.type": "vm", "ci.owner": "shop", "ci.environment": "production", "ci.site": "ams1"}, True),
        ({"ci.tier": 2}, True),
        ({"ci.tier": [0, 1]}, False),
        ({"ci.tier": {"lte": 1}}, False),
        ({"ci.tier": {"gte": 2, "lte": 2}}, True),
        ({"labels.env": "prod"}, True),
        ({"labels.env": {"glob": "*"}}, True),
        ({"labels.zone": {"glob": "*"}}, False),
        ({"labels.zone": {"not": "a"}}, True),
        ({"labels.zone": {"not": {"glob": "*"}}}, True),
        ({"summary": {"glob": "*9? %*"}}, True),
        ({"summary": {"glob": "*full*now*"}}, False),
        ({"fingerprint": "fp", "summary": {"glob": "Disk*"}}, True),
        ({"fingerprint": {"not": "fp"}}, False),
    ],
)
def test_a_condition(match: dict[str, object], holds: bool) -> None:
    judge = compile_rules([rule("r", match)]).judge
    expected = Verdict("r", drop=True) if holds else None
    assert judge(EVENT, HOST) == expected
    assert judge(EVENT, HOST) == expected  # now from the tables


def test_an_unknown_ci_has_no_attributes() -> None:
    judge = compile_rules([rule("any-tier", {"ci.tier": {"gte": -100}}), rule("no-type", {"ci.type": ""})]).judge
    assert judge(EVENT, unknown_ci("web-01")) == Verdict("no-type", drop=True)


def test_no_rules_have_nothing_to_say() -> None:
    assert compile_rules([]).judge(EVENT, HOST) is None


def test_filters_come_first_and_the_first_match_of_each_kind_decides(tmp_path: Path) -> None:
    judge = rule_set(
        tmp_path,
        """\
  - {id: first, kind: classify, severity: warning, match: {ci: {glob: "*-01"}}}
  - {id: second, kind: classify, significance: informational, match: {class: DiskFull}}
  - {id: third, kind: classify, severity: minor, significance: exception, match: {class: DiskFull}}
  - {id: keep-prod, kind: filter, action: keep, match: {labels.env: prod}}
  - {id: drop-disks, kind: filter, action: drop, match: {class: {glob: "Disk*"}}}
  - {id: keep-late, kind: filter, action: keep, match: {class: DiskFull}}
""",
    ).judge
    elsewhere = msgspec.structs.replace(EVENT, ci="db")
    tested = msgspec.structs.replace(EVENT, labels={"env": "test"})
    assert judge(EVENT, HOST) == Verdict("first", severity=1)
    assert judge(elsewhere, HOST) == Verdict("second", significance=0)
    assert judge(tested, HOST) == Verdict("drop-disks", drop=True)
    assert judge(msgspec.structs.replace(elsewhere, class_="Other"), HOST) is None


def test_files_are_asked_in_the_order_of_their_names(tmp_path: Path) -> None:
    line = "version: 1\nrules: [{{id: {}, kind: classify, severity: {}, match: {{class: DiskFull}}}}]\n"
    (tmp_path / "20-b.yaml").write_text(line.format("later", "info"))
    (tmp_path / "10-c.yml").write_text(line.format("earlier", "critical"))
    loaded = load_rules([tmp_path])
    assert [each.id for each in loaded.rules] == ["earlier", "later"]
    assert compile_rules(loaded.rules).judge(EVENT, HOST) == Verdict("earlier", severity=4)


def test_the_digest_is_of_the_meaning_not_of_the_layout(tmp_path: Path) -> None:
    one = rule_set(tmp_path, "  - {id: a, kind: filter, action: drop, match: {ci: x}}\n")
    other = rule_set(tmp_path, "  # a comment\n  - kind: filter\n    match: {ci: x}\n    action: drop\n    id: a\n")
    changed = rule_set(tmp_path, "  - {id: a, kind: filter, action: drop, match: {ci: y}}\n")
    assert one.digest == other.digest != changed.digest


def test_a_verdict_is_made_once_for_a_rule() -> None:
    judge = compile_rules([rule("r", {"class": "DiskFull"})]).judge
    assert judge(EVENT, HOST) is judge(msgspec.structs.replace(EVENT, id="e2"), HOST)


HOSTILE = [
    '"); import os #',
    "'''",
    '"""\n',
    "{0.__class__}",
    "%s",
    "\\",
    "\\N{BULLET}",
    "__import__('os')",
    "x\x00y",
    "][",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_a_rule_file_says_reaches_the_generated_source(hostile: str) -> None:
    match = {"class": hostile, f"labels.{hostile}": [hostile], "summary": {"glob": f"*{hostile.replace('[', '[[]')}*"}}
    rules = compile_rules([rule(hostile, match)])
    clean = compile_rules([rule("r", {"class": "x", "labels.y": ["x"], "summary": {"glob": "*x*"}})])
    assert rules.source == clean.source
    event = msgspec.structs.replace(EVENT, class_=hostile, labels={hostile: hostile}, summary=f"<{hostile}>")
    assert rules.judge(event, HOST) == Verdict(hostile, drop=True)
    assert rules.judge(EVENT, HOST) is None


def test_tables_start_anew_rather_than_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "REMEMBERED", 4)
    rules = compile_rules([rule("even", {"ci": {"glob": "*[02468]"}})])
    said = [rules.judge(msgspec.structs.replace(EVENT, ci=f"ci-{number}"), HOST) for number in range(40)]
    assert [verdict is not None for verdict in said] == [number % 2 == 0 for number in range(40)]
    (table,) = (value for value in rules.judge.__globals__.values() if isinstance(value, compile._Possible))
    assert len(table) <= 4


# The oracle: the same rules as the files say them, read naively, one after the other.


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
        return isinstance(value, str) and any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)
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
    judge = compile_rules(rules).judge
    for event, ci in asked * 2:  # a second time: from the tables
        assert judge(event, ci) == oracle(naive, event, ci)


SHIPPED = Path(__file__).parents[2] / "correlation_rules"


@pytest.mark.parametrize(
    ("event", "ci", "expected"),
    [
        ({"class_": "Heartbeat"}, {}, ("drop-heartbeats", "dropped")),
        ({"class_": "MonitoringSilent", "labels": {"state_type": "SOFT"}}, {}, None),
        ({"class_": "DiskFull", "labels": {"state_type": "SOFT"}}, {}, ("drop-soft-states", "dropped")),
        ({"class_": "DiskFull"}, {"environment": "test"}, ("drop-test-environments", "dropped")),
        ({"class_": "DiskFull", "ci": "test-web-1"}, {}, ("drop-test-hosts", "dropped")),
        ({"class_": "DiskFull", "ci": "test-coordination-1"}, {}, None),
        ({"class_": "CertificateExpiry"}, {}, ("certificate-expires-soon", "informational")),
        ({"class_": "CertificateExpiry", "labels": {"days_left": "1"}}, {}, ("certificate-expired", "exception")),
        ({"class_": "JobFailed"}, {}, ("batch-job", "informational")),
        ({"class_": "JobFailed"}, {"tier": 1}, ("batch-job-tier-one", "exception")),
        ({"class_": "BackupFailed", "severity": 4}, {}, ("backup-failed", "warning")),
        ({"class_": "SyntheticCheckoutSlow"}, {}, ("synthetic-slow", "informational")),
        ({"class_": "link_down", "labels": {"port_role": "access"}}, {"type": "access_switch"}, ("access-port-down", "informational")),
        ({"class_": "link_down"}, {"type": "access_switch"}, None),
        ({"class_": "HighCPU", "severity": 2}, {}, ("host-load", "informational")),
        ({"class_": "HighCPU", "severity": 3}, {}, None),
        ({"class_": "host_down", "severity": 4}, {"type": "hypervisor"}, None),
    ],
)  # fmt: skip
def test_the_shipped_rules(event: dict[str, object], ci: dict[str, object], expected: tuple[str, str] | None) -> None:
    loaded = load_rules([SHIPPED])
    assert loaded.findings == ()
    asked = msgspec.structs.replace(EVENT, labels={}, severity=3)
    verdict = compile_rules(loaded.rules).judge(
        msgspec.structs.replace(asked, **event), msgspec.structs.replace(CI("web-01"), **ci)
    )
    said = None
    if verdict is not None:
        outcome = "dropped" if verdict.drop else SIGNIFICANCES[verdict.significance or 0]
        said = (verdict.rule, outcome)
    assert said == expected
