"""What compiled rules say of events: the meaning of every condition, and the order of rules."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from opsbridge.core.event import Event, Verdict
from opsbridge.core.graph import CI, unknown_ci
from opsbridge.documents.text import Loc
from opsbridge.rules import Rule, RuleSet, compile_rules, judge, load_rules
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
    ask = compile_rules([rule("r", match)]).judge
    expected = Verdict("r", drop=True) if holds else None
    assert ask(EVENT, HOST) == expected
    assert ask(EVENT, HOST) == expected  # now from the tables


def test_an_unknown_ci_has_no_attributes() -> None:
    ask = compile_rules([rule("any-tier", {"ci.tier": {"gte": -100}}), rule("no-type", {"ci.type": ""})]).judge
    assert ask(EVENT, unknown_ci("web-01")) == Verdict("no-type", drop=True)


def test_no_rules_have_nothing_to_say() -> None:
    assert compile_rules([]).judge(EVENT, HOST) is None


def test_filters_come_first_and_the_first_match_of_each_kind_decides(tmp_path: Path) -> None:
    ask = rule_set(
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
    assert ask(EVENT, HOST) == Verdict("first", severity=1)
    assert ask(elsewhere, HOST) == Verdict("second", significance=0)
    assert ask(tested, HOST) == Verdict("drop-disks", drop=True)
    assert ask(msgspec.structs.replace(elsewhere, class_="Other"), HOST) is None


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
    ask = compile_rules([rule("r", {"class": "DiskFull"})]).judge
    assert ask(EVENT, HOST) is ask(msgspec.structs.replace(EVENT, id="e2"), HOST)


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
    monkeypatch.setattr(judge, "REMEMBERED", 4)
    rules = compile_rules([rule("even", {"ci": {"glob": "*[02468]"}})])
    said = [rules.judge(msgspec.structs.replace(EVENT, ci=f"ci-{number}"), HOST) for number in range(40)]
    assert [verdict is not None for verdict in said] == [number % 2 == 0 for number in range(40)]
    (table,) = (value for value in rules.judge.__globals__.values() if isinstance(value, judge._Possible))
    assert len(table) <= 4
