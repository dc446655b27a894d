"""Known errors from files: what they match, what is wrong with them at its exact place, what is shipped and shown."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from cases import case

from opsbridge.core.graph import CI
from opsbridge.core.records import KnownError
from opsbridge.documents import yaml_text
from opsbridge.rules import (
    KnownErrorFiles,
    RuleError,
    compile_rules,
    known_errors_schema,
    lint,
    load_known_errors,
    load_rules,
)

ROOT = Path(__file__).parents[2]
CHECKED_IN = ROOT / "schemas" / "known-errors-v1.json"
SHIPPED = ROOT / "known_errors"
TOP = "version: 1\nknown_errors:\n"
A = "id: KE-1, title: It hangs"
CHECK = jsonschema.Draft7Validator(known_errors_schema())


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(*entries: str) -> KnownErrorFiles:
    Path("a.yaml").write_text(TOP + "".join(f"  - {{{entry}}}\n" for entry in entries))
    return load_known_errors(["a.yaml"])


def refusal(text: str) -> list[str]:
    Path("a.yaml").write_text(text)
    with pytest.raises(RuleError) as refused:
        load_known_errors(["a.yaml"])
    assert refused.value.exit_code == 2
    return str(refused.value).splitlines()


def test_all_that_match_are_told_in_their_order() -> None:
    files = load(
        f"{A}, match: {{root.type: printer}}, workaround: Kick it, permanent_fix: A new one, problem: PRB-1",
        "id: KE-2, title: It burns, match: {root.type: oven}",
        "id: KE-3, title: It is silent, match: {silent: true, severity: {gte: minor}}",
    )
    known = compile_rules([], known_errors=files.errors).book.known_errors
    first = KnownError("KE-1", "It hangs", "Kick it", "A new one", "PRB-1")
    assert known(case()) == (first, KnownError("KE-3", "It is silent"))
    assert known(case(severity=1)) == (first,)
    assert known(case(CI("o-1", type="oven"), class_="Hot")) == (KnownError("KE-2", "It burns"),)
    assert files.findings == ()


@pytest.mark.parametrize(("opened", "expected"), [(-1, 1), (0, 0), (1, 0)])
def test_it_counts_for_what_began_before_it_was_fixed(opened: int, expected: int) -> None:
    files = load(f"{A}, match: {{alerts: 5}}, until: 2027-04-01T00:00:00Z")
    known = compile_rules([], known_errors=files.errors).book.known_errors
    assert len(known(case(opened_ms=1_806_537_600_000 + opened))) == expected


def test_a_folder_that_is_missing_has_none_and_one_that_is_asked_for_must_be_there() -> None:
    assert load_known_errors(["known_errors"]) == KnownErrorFiles((), ())
    with pytest.raises(RuleError, match=r"^known_errors: cannot be read: No such file or directory$"):
        load_known_errors(["known_errors"], required=True)


def test_another_database_is_another_rule_set() -> None:
    one, other = load(f"{A}, match: {{alerts: 1}}"), load(f"{A}, match: {{alerts: 2}}")
    digests = {compile_rules([], known_errors=files.errors).digest for files in (one, other, KnownErrorFiles((), ()))}
    assert len(digests) == 3
    assert compile_rules([]).digest == compile_rules([], known_errors=()).digest


BROKEN: dict[str, tuple[str, ...]] = {
    "no version": ("§known_errors: []", "version: is required"),
    "another version": ("version: §2\nknown_errors: []", "version: must be 1, not the number 2"),
    "rules": ("version: 1\n§rules: []\nknown_errors: []", "rules: unknown field; known are known_errors, version"),
    "a list of text": (TOP + "  - §KE-1\n", "known_errors[0]: must be a mapping, not 'KE-1'"),
    "no id": (TOP + "  - §{title: x, match: {alerts: 1}}", "known_errors[0]: id: is required"),
    "no title": (TOP + "  - §{id: KE-1, match: {alerts: 1}}", "known error KE-1: title: is required"),
    "no match": (TOP + f"  - §{{{A}}}", "known error KE-1: match: is required"),
    "an empty id": (
        TOP + "  - {id: §'', title: x, match: {alerts: 1}}",
        "known error : id: must be text without blanks around it and without control characters; it is ''",
    ),
    "an id of digits": (
        TOP + "  - {id: §4711, title: x, match: {alerts: 1}}",
        "known_errors[0]: id: must be text, not the number 4711; put it in quotes",
    ),
    "an empty match": (
        TOP + f"  - {{{A}, match: §{{}}}}",
        'known error KE-1: match: is empty; to match every situation, say `root.ci: {glob: "*"}`',
    ),
    "a match in a list": (TOP + f"  - {{{A}, match: §[x]}}", "known error KE-1: match: must be a mapping, not a list"),
    "a misspelt field of situations": (
        TOP + f"  - {{{A}, match: {{§root.clas: x}}}}",
        "known error KE-1: match.root.clas: unknown field; did you mean 'root.class' or 'root.ci'?",
    ),
    "a wrong value in a list": (
        TOP + f"  - {{{A}, match: {{root.tier: [1, §two]}}}}",
        "known error KE-1: match.root.tier[1]: must be a whole number, not 'two'",
    ),
    "by priority": (
        TOP + f"  - {{{A}, match: {{§priority: P1}}}}",
        "known error KE-1: match.priority: is not known yet where known errors are looked for",
    ),
    "by another": (
        TOP + f"  - {{{A}, match: {{§known_error: KE-2}}}}",
        "known error KE-1: match.known_error: is not known yet where known errors are looked for",
    ),
    "a misspelt field": (
        TOP + f"  - {{{A}, match: {{alerts: 1}}, §workarround: x}}",
        "known error KE-1: workarround: unknown field; did you mean 'workaround'?",
    ),
    "fixed on a day": (
        TOP + f"  - {{{A}, match: {{alerts: 1}}, until: §2027-04-01}}",
        (
            "known error KE-1: until: must be a time such as 2026-03-01T22:00:00Z or 2026-03-01T22:00:00+01:00; it is "
            "'2027-04-01'"
        ),
    ),
    "two at once": (
        TOP + f"  - {{{A}, match: {{§alert: 1}}, §fix: y}}",
        "known error KE-1: match.alert: unknown field; did you mean 'alerts'?",
        "known error KE-1: fix: unknown field; known are id, match, permanent_fix, problem, title, until, workaround",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused_at_its_place(name: str) -> None:
    marked, *messages = BROKEN[name]
    lines = marked.splitlines()
    places = [
        (number, match.start() + 1 - index)
        for number, line in enumerate(lines, 1)
        for index, match in enumerate(re.finditer("§", line))
    ]
    expected = [f"a.yaml:{line}:{column}: {said}" for (line, column), said in zip(places, messages, strict=True)]
    assert refusal(marked.replace("§", "")) == expected


def test_an_id_is_taken_once() -> None:
    entry = f"{{{A}, match: {{alerts: 1}}}}"
    Path("b.yaml").write_text(TOP + f"  - {entry}\n")
    Path("a.yaml").write_text(TOP + f"  - {entry}\n")
    with pytest.raises(RuleError) as refused:
        load_known_errors(["."])
    assert str(refused.value) == ("b.yaml:3:10: known error KE-1: id: is taken by another known error, at a.yaml:3:10")


def test_rules_that_ask_for_what_is_not_there() -> None:
    known = load(f"{A}, match: {{alerts: 1}}")
    Path("r.yaml").write_text(
        "version: 1\nrules:\n"
        "  - {id: a, kind: respond, response: none, match: {known_error: [KE-1, KE-11, {glob: X-*}]}}\n"
        "  - {id: b, kind: respond, response: change, match: {known_error: {not: PE-7}}}\n"
    )
    files = load_rules(["r.yaml"])
    assert [str(finding) for finding in lint(files, known_errors=known)] == [
        "r.yaml:3:72: rule a: match.known_error[1]: there is no known error 'KE-11'; did you mean 'KE-1'?",
        "r.yaml:4:73: rule b: match.known_error.not: there is no known error 'PE-7'",
    ]
    assert lint(files) == []


def test_the_checked_in_schema_is_current_and_one_of_draft_7() -> None:
    said = known_errors_schema()
    jsonschema.Draft7Validator.check_schema(said)
    assert json.loads(CHECKED_IN.read_text()) == said, (
        "run: opsbridge rules schema --known-errors -o schemas/known-errors-v1.json"
    )
    references = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(said)))
    definitions = said["definitions"]
    assert isinstance(definitions, dict)
    assert references == set(definitions)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_ones_keep_to_it_and_are_taken(path: Path) -> None:
    first, _, rest = path.read_text().partition("\n")
    assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve() == CHECKED_IN
    (document,) = yaml_text.parse(rest)
    assert [error.message for error in CHECK.iter_errors(document)] == []
    files = load_known_errors([path])
    assert (len(files.errors) > 0, files.findings) == (True, ())


@pytest.mark.parametrize(
    ("ci", "class_", "expected"),
    [
        (CI("sw-1", type="access_switch"), None, ["KE-0012"]),
        (CI("sw-1", type="access_switch"), "DeviceDown", []),
        (CI("san-1", type="storage_array"), "ArrayOffline", ["KE-0015"]),
        (CI("san-1", type="storage_array"), "DiskFailed", []),
        (CI("fraud-check-2"), "HighLatency", ["KE-0021"]),
        (CI("ledger"), "HighLatency", []),
    ],
)
def test_whom_the_shipped_ones_concern(ci: CI, class_: str | None, expected: list[str]) -> None:
    known = compile_rules([], known_errors=load_known_errors([SHIPPED]).errors).book.known_errors
    assert [error.id for error in known(case(ci, class_=class_))] == expected


def test_the_one_on_the_page_is_taken() -> None:
    (shown, *_) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "known-errors.md").read_text(), re.DOTALL)
    Path("a.yaml").write_text(shown)
    assert [each.error.id for each in load_known_errors(["a.yaml"]).errors] == ["KE-0012"]
