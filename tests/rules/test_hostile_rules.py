"""Nothing that a rule file says reaches generated code: whatever ids, labels, values, patterns and tables hold."""

import ast
from pathlib import Path

import msgspec
import pytest

from opsbridge.core.calendar import Span
from opsbridge.core.event import Event, Mark, Verdict
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import Hold, Inhibition, Maintenance, Raise, Threshold
from opsbridge.rules import Rule, compile_rules, load_rules
from opsbridge.rules.matching import questions
from opsbridge.rules.matching.conditions import FIELDS, Condition, Match
from opsbridge.rules.rule import Ask, Enrich, FromField, FromTable, Identify, Planned

HOSTILE = [
    '"); import os #',
    "'''",
    '"""\n',
    "{0.__class__}",
    "{}{possible}{nothing}{narrowing}",
    "%s%(x)s",
    "\\",
    "\\N{BULLET}",
    "__import__('os')",
    "\n    raise SystemExit",
    "x\x00y",
    "a\x1fb",
    "][",
    "",
    "ünïcödé\u2028\u202e",
    "\ud800",
    "event.ci",
    "table0",
]


def equal(text: str) -> Condition:
    """What the loader would refuse too, as half a surrogate pair."""
    return Condition(frozenset([text]).__contains__, frozenset([text]))


def compared(text: str) -> Condition:
    return Condition(lambda value: value == text)


def rules(hostile: str) -> list[Rule]:
    """A rule of every shape, with the text wherever a text can be."""
    label = f"labels.{hostile}"
    everywhere: Match = {"class": equal(hostile), label: compared(hostile), "summary": compared(hostile)}
    of_ci: Match = {"ci": compared(hostile), "ci.owner": equal(hostile)}
    raises = Raise(hostile, 3, hostile, hostile)
    counted = Threshold(
        rule=hostile,
        key=f"{hostile}@",
        raises=raises,
        group_by=(label,),
        measure="value_count",
        timespan=1,
        holds=bool,
        at_least=1,
        resolve_after=1,
    )
    window = Maintenance(rule=hostile, windows=Span(0, 1))
    either = (Ask(everywhere, 0, (label,)), Ask(of_ci, 1, ("ci.owner", label)))
    return [
        Rule(
            hostile, "filter", Verdict(hostile, route=f"to {hostile}"), (Ask({"source": equal(hostile)}),), text=hostile
        ),
        Rule(hostile, "classify", Verdict(hostile, severity=1), (Ask(everywhere | of_ci),), text=hostile),
        Rule(hostile, "filter", Verdict(hostile, drop=True), (Ask(of_ci),), shadow=True),
        Rule(hostile, "hold", Hold(rule=hostile, for_ms=1), (Ask({"fingerprint": compared(hostile)}),)),
        Rule(hostile, "threshold", counted, (Ask(everywhere, 0, (label, "ci"), label, resolved=True),)),
        Rule(hostile, "inhibit", Inhibition(rule=hostile), either),
        Rule(hostile, "maintenance", Planned(window, of_ci, inherit=True), (Ask({"summary": equal(hostile)}),)),
        Rule(
            hostile,
            "enrich",
            Enrich({hostile: FromTable({hostile: hostile}, label), f"{hostile}2": FromField(label)}),
            (Ask(everywhere),),
        ),
        Rule(hostile, "dedup", Identify((label, "ci")), (Ask({label: equal(hostile)}),)),
    ]


EVENT = Event("e1", 0, "web-01", "DiskFull", 3, True, "fp", True, "prometheus", "Disk 97 % full", {"env": "prod"})
HOST = CI("web-01")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_a_rule_file_says_reaches_the_generated_source(hostile: str) -> None:
    compiled, clean = compile_rules(rules(hostile)), compile_rules(rules("plain"))
    assert compiled.source == clean.source


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_mean_themselves(hostile: str) -> None:
    book = compile_rules(rules(hostile)).book
    assert book.prepare is not None
    assert book.listen is not None
    event = Event("e", 0, hostile, hostile, 3, True, hostile, False, "tool", hostile, {hostile: hostile})
    ci = CI(hostile, owner=hostile)
    inside = hostile.replace("\x1f", " ")  # where several values are joined, none may hold what joins them
    counted = Mark(f"{hostile}@", 0, f"{inside}\x1f{inside}", hostile)
    sides = Mark(hostile, 0, hostile), Mark(hostile, 1, f"{inside}\x1f{inside}")
    verdict = book.judge(event, ci)
    assert verdict is not None
    assert (verdict.rule, verdict.severity, verdict.shadows) == (hostile, 1, (hostile,))
    assert set(verdict.marks) == {Mark(hostile), counted, *sides}
    assert book.listen(event, ci) == (counted,)
    routed = book.judge(msgspec.structs.replace(event, source=hostile), ci)
    assert routed == Verdict(hostile, route=f"to {hostile}")
    after = book.prepare(event, ci)
    assert after.labels[hostile] == hostile
    assert after.labels.keys() == ({hostile, f"{hostile}2"} if hostile else {hostile})
    assert after.fingerprint == f"\x1flabels.{hostile},ci\x1f{inside}\x1f{inside}"
    assert (book.judge(EVENT, HOST), book.listen(EVENT, HOST), book.prepare(EVENT, HOST)) == (None, (), EVENT)


def test_a_hostile_file_is_loaded_and_its_source_is_that_of_a_plain_one(tmp_path: Path) -> None:
    def source(text: str) -> str:
        path = tmp_path / "rules.json"
        match = {"class": text, f"labels.{text}": [text, {"glob": [f"{text.replace('[', '[[]')}*"]}]}
        classify = {"id": "c", "kind": "classify", "severity": "info", "title": text, "match": match}
        held = {"id": "h", "kind": "hold", "for": "1m", "match": match | {"summary": {"regex": "[a-z']*"}}}
        path.write_bytes(msgspec.json.encode({"version": 1, "rules": [classify, held]}))
        return compile_rules(load_rules([path]).rules).source

    plain = source("plain")
    assert [source(text) for text in ("__import__('os')", "'''\n", '"\n# {event}', "possible")] == [plain] * 4


VOCABULARY = (
    {"ask", "event", "ci", "known", "of_ci", "possible", "labels", "left", "few", "many", "of_labels", "name", "table"}
    | {"answers", "said", "more", "every", "tuple"}
    | {"get", "find", "narrow"}  # methods of the tables
    | {expression.partition(".")[2] for expression, _ in FIELDS.values()}
)
"""All names that generated code may have, besides `table` with a number."""


def words_of(source: str) -> set[str]:
    """Every name in the source; constants as they are written."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                found.add(name.rstrip("0123456789"))
            case ast.Constant(value=value):
                found.add(repr(value))
            case ast.Import() | ast.ImportFrom() | ast.Lambda() | ast.JoinedStr():
                raise AssertionError(ast.dump(node))
    return found


def test_generated_source_is_made_of_known_names_and_numbers() -> None:
    many = [
        Rule(f"r{number}", "hold", Hold(rule=f"r{number}", for_ms=1), (Ask({"labels.x": compared(str(number))}),))
        for number in range(questions.FEW + 1)
    ]
    all_fields = [
        Rule(name, "hold", Hold(rule=name, for_ms=1), (Ask({name: compared("x")}, resolved=True),)) for name in FIELDS
    ]
    found = words_of(compile_rules([*rules("plain"), *many, *all_fields]).source)
    assert found <= VOCABULARY | {"None", "0", "1"}
    assert {"many", "narrow", "of_ci"} <= found
