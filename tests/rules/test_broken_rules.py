"""Every message that rule files can be refused with, at its exact place, all of a file's at once.

Here are files; rules that are broken by themselves are in `broken_matches`, `broken_events`, `broken_withholding`,
`broken_raising` and `broken_responses`.
"""

import re
from itertools import pairwise
from pathlib import Path

import broken_events
import broken_matches
import broken_raising
import broken_responses
import broken_withholding
import pytest
from broken_pieces import SAID, SHORT

from opsbridge.rules import RuleError, compile_rules, load_rules
from opsbridge.rules.language.model import MODELS

TOP = "version: 1\nrules:\n"
KINDS = f"known are {', '.join(MODELS)}"
SLUG = "lower-case words joined by -, such as drop-test-hosts"
SEVERITIES = "known are info, warning, minor, major, critical"
UNKNOWN = "unknown field; known are"
PATTERN = 'a pattern such as "web-*", or a list of them'
FIELDS = "class, ci, source, severity, ci.type, ci.owner, ci.environment, ci.site, ci.tier, fingerprint, summary"


def drop(match: str) -> str:
    """A file with one filter; its match stands on line 7."""
    return f"{TOP}  - id: a-rule\n    kind: filter\n    action: drop\n    match:\n      {match}\n"


def threshold(name: str, hears: str, raises: str) -> str:
    """Two lines of a rule; what it raises stands in the second."""
    return (
        f"  - {{id: {name}, kind: threshold, type: event_count, match: {{class: {hears}}}, timespan: 5m,\n"
        f"     condition: {{gte: 3}}, group_by: [ci], raise: {{class: {raises}, severity: minor}}}}\n"
    )


BROKEN: dict[str, tuple[str, list[str]]] = {
    "not yaml": (
        "version: 1: 2\n",
        [
            "a.yaml:1:11: broken YAML: mapping values are not allowed in this context; "  # noqa: ISC004
            "put quotes around text with a colon in it, or look at the indentation"
        ],
    ),
    "not a mapping": ("- id: x\n", ["a.yaml:1:1: must be a mapping, not a list"]),
    "no version, no rules": ("{}\n", ["a.yaml:1:1: rules: is required", "a.yaml:1:1: version: is required"]),
    "another version": ("version: 2\nrules: []\n", ["a.yaml:1:10: version: must be 1, not the number 2"]),
    "version as text": ("version: '1'\nrules: []\n", ["a.yaml:1:10: version: must be 1, not '1'"]),
    "unknown top field": (
        "version: 1\nrule: []\nrules: []\n",
        ["a.yaml:2:1: rule: unknown field; did you mean 'rules'?"],
    ),
    "rules not a list": ("version: 1\nrules: {id: a}\n", ["a.yaml:2:8: rules: must be a list, not a mapping"]),
    "rule not a mapping": (TOP + "  - drop\n", ["a.yaml:3:5: rules[0]: must be a mapping, not 'drop'"]),
    "no kind": (
        TOP + "  - id: a-rule\n",
        ["a.yaml:3:5: rule a-rule: kind: is required; " + KINDS],
    ),
    "misspelt kind": (
        TOP + "  - id: a-rule\n    kind: fliter\n",
        ["a.yaml:4:11: rule a-rule: kind: unknown kind 'fliter'; did you mean 'filter'?"],
    ),
    "kind not text": (
        TOP + "  - kind: [filter]\n",
        ["a.yaml:3:11: rules[0]: kind: unknown kind a list; " + KINDS],
    ),
    "no id, no action, no match": (
        TOP + "  - kind: filter\n",
        [
            "a.yaml:3:5: rules[0]: action: is required",
            "a.yaml:3:5: rules[0]: id: is required",
            "a.yaml:3:5: rules[0]: match: is required",
        ],
    ),
    "id is not a slug": (
        TOP + "  - {id: Drop It, kind: filter, action: drop, match: {ci: a}}\n",
        [f"a.yaml:3:10: rule Drop It: id: must be {SLUG}; it is 'Drop It'"],
    ),
    "unknown action": (
        TOP + "  - {id: a, kind: filter, action: discard, match: {ci: a}}\n",
        ["a.yaml:3:35: rule a: action: must be 'drop', 'keep' or 'route', not 'discard'"],
    ),
    "misspelt field of a rule": (
        TOP + "  - {id: a, kind: classify, severty: info, significance: warning, match: {ci: a}}\n",
        ["a.yaml:3:29: rule a: severty: unknown field; did you mean 'severity'?"],
    ),
    "a field of the other kind": (
        TOP + "  - {id: a, kind: filter, action: drop, severity: info, match: {ci: a}}\n",
        [
            (
                "a.yaml:3:41: rule a: severity: unknown field; known are action, description, id, kind, match, shadow, "
                "tests, title, to"
            ),
        ],
    ),
    "unknown severity and significance": (
        TOP + "  - {id: a, kind: classify, severity: bad, significance: 2, match: {ci: a}}\n",
        [
            "a.yaml:3:39: rule a: severity: must be 'info', 'warning', 'minor', 'major' or 'critical', not 'bad'",
            "a.yaml:3:58: rule a: significance: must be 'informational', 'warning' or 'exception', not the number 2",
        ],
    ),
    "classifies as nothing": (
        TOP + "  - {id: a, kind: classify, match: {ci: a}}\n",
        ["a.yaml:3:5: rule a: sets neither severity nor significance"],
    ),
    "match is a list": (
        TOP + "  - {id: a, kind: filter, action: drop, match: [ci]}\n",
        ["a.yaml:3:48: rule a: match: must be a mapping, not a list"],
    ),
    "match is empty": (
        TOP + "  - {id: a, kind: filter, action: drop, match: {}}\n",
        ['a.yaml:3:48: rule a: match: is empty; to match every event, say `source: {glob: "*"}`'],
    ),
    "misspelt field of match": (
        drop("clas: x"),
        ["a.yaml:7:7: rule a-rule: match.clas: unknown field; did you mean 'class'?"],
    ),
    "misspelt attribute": (
        drop("ci.ownr: x"),
        ["a.yaml:7:7: rule a-rule: match.ci.ownr: unknown field; did you mean 'ci.owner'?"],
    ),
    "misspelt label": (
        drop("label.env: x"),
        ["a.yaml:7:7: rule a-rule: match.label.env: unknown field; did you mean 'labels.env'?"],
    ),
    "unknown field": (
        drop("colour: x"),
        [f"a.yaml:7:7: rule a-rule: match.colour: unknown field; known are {FIELDS}, labels.NAME"],
    ),
    "label without a name": (
        drop("labels.: x"),
        ["a.yaml:7:7: rule a-rule: match.labels.: unknown field; did you mean 'labels.NAME'?"],
    ),
    "number for text": (
        drop("labels.port: 80"),
        ["a.yaml:7:20: rule a-rule: match.labels.port: must be text, not the number 80; put it in quotes"],
    ),
    "true for text": (
        drop("labels.up: true"),
        ["a.yaml:7:18: rule a-rule: match.labels.up: must be text, not true; put it in quotes"],
    ),
    "nothing for text": (drop("class:"), ["a.yaml:7:13: rule a-rule: match.class: must be text, not nothing"]),
    "misspelt severity": (
        drop("severity: [info, mayor]"),
        ["a.yaml:7:24: rule a-rule: match.severity[1]: unknown severity 'mayor'; did you mean 'major'?"],
    ),
    "unknown severity": (
        drop("severity: {gte: 3rd}"),
        [
            f"a.yaml:7:23: rule a-rule: match.severity.gte: unknown severity '3rd'; {SEVERITIES}",
        ],
    ),
    "severity as a number": (
        drop("severity: 3"),
        ["a.yaml:7:17: rule a-rule: match.severity: must be a severity, not the number 3"],
    ),
    "tier as text": (
        drop("ci.tier: {lte: one}"),
        ["a.yaml:7:22: rule a-rule: match.ci.tier.lte: must be a whole number, not 'one'"],
    ),
    "empty list": (
        drop("class: []"),
        ["a.yaml:7:14: rule a-rule: match.class: is an empty list, which nothing matches"],
    ),
    "empty mapping": (
        drop("class: {}"),
        ["a.yaml:7:14: rule a-rule: match.class: is an empty mapping; known are not, glob, regex, gte, gt, lte, lt"],
    ),
    "misspelt comparison": (
        drop("severity: {gtr: info}"),
        ["a.yaml:7:18: rule a-rule: match.severity.gtr: unknown comparison; did you mean 'gt'?"],
    ),
    "unknown comparison": (
        drop("class: {matches: a.*}"),
        [
            (
                "a.yaml:7:15: rule a-rule: match.class.matches: unknown comparison; "
                "known are not, glob, regex, gte, gt, lte, lt"
            )
        ],
    ),
    "glob of a severity": (
        drop("severity: {glob: m*}"),
        ["a.yaml:7:18: rule a-rule: match.severity.glob: glob compares text or a label; this field is a severity"],
    ),
    "order of text": (
        drop("class: {gte: a}"),
        [
            (
                "a.yaml:7:15: rule a-rule: match.class.gte: gte compares a severity, a whole number or a label; "
                "this field is text"
            )
        ],
    ),
    "glob of a number": (
        drop("ci: {not: {glob: [a*, 3]}}"),
        [f"a.yaml:7:29: rule a-rule: match.ci.not.glob[1]: must be {PATTERN}, not the number 3"],
    ),
    "nested deeply": (
        drop("ci: " + "[" * 90 + "a" + "]" * 90),
        [f"a.yaml:7:21: rule a-rule: match.ci{'[0]' * 10}: is nested too deeply"],
    ),
    "globs nested deeply": (
        drop("ci: {glob: " + "[" * 90 + "a" + "]" * 90 + "}"),
        [f"a.yaml:7:19: rule a-rule: match.ci.glob[0]: must be {PATTERN}, not a list"],
    ),
    "correlates nothing": (
        TOP + "  - {id: a, kind: correlate, nature: cause}\n",
        ["a.yaml:3:5: rule a: says nothing to correlate by: edges, join_by or classes"],
    ),
    "classes that mean nothing": (
        TOP + "  - {id: a, kind: correlate, classes: [x]}\n",
        ["a.yaml:3:5: rule a: sets neither nature nor travels"],
    ),
    "no classes": (
        TOP + "  - {id: a, kind: correlate, classes: [], nature: cause}\n",
        ["a.yaml:3:39: rule a: classes: is an empty list, which nothing matches"],
    ),
    "classes that are no list of words": (
        TOP + "  - {id: a, kind: correlate, classes: [3, '-'], nature: cause}\n",
        [
            "a.yaml:3:40: rule a: classes[0]: must be text, not the number 3; put it in quotes",
            "a.yaml:3:43: rule a: classes[1]: must have a letter, a digit or a * to match, not '-'",
        ],
    ),
    "one class that is no list": (
        TOP + "  - {id: a, kind: correlate, classes: disk_full, nature: cause}\n",
        ["a.yaml:3:39: rule a: classes: must be a list, not 'disk_full'; say [disk_full]"],
    ),
    "unknown nature and direction": (
        TOP + "  - {id: a, kind: correlate, classes: [x], nature: reason, travels: up}\n",
        [
            "a.yaml:3:52: rule a: nature: must be 'cause', 'symptom' or 'unknown', not 'reason'",
            "a.yaml:3:69: rule a: travels: must be 'dependents', 'providers', 'both' or 'nowhere', not 'up'",
        ],
    ),
    "correlation with a match": (
        TOP + "  - {id: a, kind: correlate, classes: [x], travels: both, match: {}}\n",
        [
            f"a.yaml:3:59: rule a: match: {UNKNOWN} classes, description, id, kind, nature, tests, title, travels",
        ],
    ),
    "edges without strength": (
        TOP + "  - {id: a, kind: correlate, edges: [calls]}\n",
        ["a.yaml:3:5: rule a: strength: is required"],
    ),
    "an edge that fails by more than always": (
        TOP + "  - {id: a, kind: correlate, edges: [calls], strength: 1.5}\n",
        ["a.yaml:3:56: rule a: strength: must be a number above 0 and at most 1, not the number 1.5"],
    ),
    "edges and natures in one rule": (
        TOP + "  - {id: a, kind: correlate, edges: [calls], strength: 1, nature: cause}\n",
        [
            (
                "a.yaml:3:59: rule a: nature: unknown field; known are description, edges, id, kind, strength, "
                "tests, title"
            ),
        ],
    ),
    "strength in words": (
        TOP + "  - {id: a, kind: correlate, edges: [calls], strength: strong}\n",
        ["a.yaml:3:56: rule a: strength: must be a number above 0 and at most 1, not 'strong'"],
    ),
    "joined by what there is not": (
        TOP + "  - {id: a, kind: correlate, join_by: label.service}\n",
        ["a.yaml:3:39: rule a: join_by: unknown field; did you mean 'labels.service'?"],
    ),
    "joined by what is no text": (
        TOP + "  - {id: a, kind: correlate, join_by: ci.tier}\n",
        ["a.yaml:3:39: rule a: join_by: joins by text; this field is a whole number"],
    ),
    "two rules of one name": (
        TOP + "  - {id: a, kind: filter, action: drop, match: {ci: a}}\n  - {id: a, kind: filter}\n",
        [
            "a.yaml:4:5: rule a: action: is required",
            "a.yaml:4:5: rule a: match: is required",
            "a.yaml:4:10: rule a: id: is taken by another rule, at a.yaml:3:10",
        ],
    ),
    "all faults of all rules at once": (
        TOP
        + "  - id: one\n    kind: filter\n    action: dorp\n    match: {clas: x, severity: {not: bad}}\n"
        + "---\nversion: 1\nrules:\n  - {id: two, kind: clasify}\n",
        [
            "a.yaml:5:13: rule one: action: must be 'drop', 'keep' or 'route', not 'dorp'",
            "a.yaml:6:13: rule one: match.clas: unknown field; did you mean 'class'?",
            f"a.yaml:6:38: rule one: match.severity.not: unknown severity 'bad'; {SEVERITIES}",
            "a.yaml:10:21: rule two: kind: unknown kind 'clasify'; did you mean 'classify'?",
        ],
    ),
    "tables that are none": (
        "version: 1\nrules: []\ntables: [a]\n",
        ["a.yaml:3:9: tables: must be a mapping, not a list"],
    ),
    "a table that is none": (
        "version: 1\nrules: []\ntables: {a: b}\n",
        ["a.yaml:3:13: tables.a: must be a mapping, not 'b'"],
    ),
    "a table with numbers": (
        "version: 1\nrules: []\ntables: {a: {b: 3, c: text}}\n",
        ["a.yaml:3:17: tables.a.b: must be text, not the number 3; put it in quotes"],
    ),
    "a table of a strange name": (
        "version: 1\nrules: []\ntables: {A B: {b: c}}\n",
        [f"a.yaml:3:10: tables.A B: must be {SLUG}; it is 'A B'"],
    ),
    "a table that there is not, in a file without any": (
        TOP + "  - {id: a, kind: enrich, match: {ci: x}, set: {labels.x: {table: owners, by: ci}}}\n",
        ["a.yaml:3:67: rule a: set.labels.x.table: there is no table 'owners' in this file; the file has no `tables`"],
    ),
    "aliases that grow": (
        "version: 1\nrules:\n  - {id: a, kind: filter, action: drop, match: {ci: &z [x, x, x, x, x, x, x, x, x]}}\n"
        "x: [" + "".join(f"&{b} [{', '.join(['*' + a] * 9)}], " for a, b in pairwise("zyxwvutsr")) + "]\n",
        ["a.yaml:1:1: is more than 1000000 values with its aliases written out"],
    ),
    "two rules that hear each other": (
        TOP + threshold("a", "x", "y") + threshold("b", "y", "x"),
        [
            (
                "a.yaml:4:58: rule a: raise.class: raises alerts that feed themselves: y, which b hears and raises x, "
                "which a hears again; say `class: {not: x}` in the match of a"
            )
        ],
    ),
    "a circle of three, and one for itself": (
        TOP
        + threshold("c", "z", "x y")
        + threshold("a", "x y", "y")
        + threshold("b", "y", "z")
        + threshold("d", "d", "d"),
        [
            (
                "a.yaml:4:58: rule c: raise.class: raises alerts that feed themselves: x y, which a hears and raises "
                "y, which b hears and raises z, which c hears again; say `class: {not: z}` in the match of c"
            ),
            (
                "a.yaml:10:58: rule d: raise.class: raises alerts that feed themselves: d, which it hears itself; "
                "say `class: {not: d}` in its match"
            ),
        ],
    ),
}

TABLES = (
    broken_matches.CASES,
    broken_events.CASES,
    broken_withholding.CASES,
    broken_raising.CASES,
    broken_responses.CASES,
)
RULES = {name: case for table in TABLES for name, case in table.items()}


def spelled_out(text: str, pieces: dict[str, str]) -> str:
    for short in sorted(pieces, key=len, reverse=True):
        text = text.replace(short, pieces[short])
    return text


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(text: str) -> list[str]:
    Path("a.yaml").write_text(text)
    with pytest.raises(RuleError) as refused:
        load_rules(["a.yaml"])
    assert refused.value.exit_code == 2
    return str(refused.value).splitlines()


@pytest.mark.parametrize("name", BROKEN)
def test_refused(name: str) -> None:
    text, expected = BROKEN[name]
    assert refusal(text) == expected


@pytest.mark.parametrize("name", RULES)
def test_a_broken_rule_is_refused_at_its_place(name: str) -> None:
    short, *messages = RULES[name]
    rule = "  - " + spelled_out(short, SHORT)
    places = [match.start() + 1 - number for number, match in enumerate(re.finditer("§", rule))]
    expected = [
        f"a.yaml:4:{place}: {'' if said.startswith(('rule ', 'rules[0]')) else 'rule a: '}{said}"
        for place, said in zip(places, (spelled_out(message, SAID) for message in messages), strict=True)
    ]
    found = refusal(f"version: 1\ntables: {{owners: {{x: y}}}}\nrules:\n{rule.replace('§', '')}\n")
    assert found == expected


def test_there_are_many() -> None:
    assert len(BROKEN) + len(RULES) >= 300
    assert len(RULES) == sum(map(len, TABLES))


def test_an_id_taken_in_another_file_is_refused() -> None:
    Path("a.yaml").write_text(drop("ci: x"))
    Path("b.json").write_text(
        '{"version": 1, "rules": [\n{"id": "a-rule", "kind": "filter", "action": "keep", "match": {"ci": "y"}}]}'
    )
    with pytest.raises(RuleError) as refused:
        load_rules(["."])
    assert str(refused.value) == "b.json:2:8: rule a-rule: id: is taken by another rule, at a.yaml:3:9"


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(RuleError, match=r"^gone: cannot be read: No such file or directory$"):
        load_rules(["gone"])


def test_an_empty_file_is_a_warning_and_no_rules_judge_nothing() -> None:
    Path("a.yaml").write_text("# later\n")
    loaded = load_rules(["a.yaml"])
    assert [str(finding) for finding in loaded.findings] == ["a.yaml:1:1: the file is empty"]
    assert compile_rules(loaded.rules).rules == ()
