"""`opsbridge rules fmt`: one layout, with every word and comment kept, and never another meaning."""

import random
import re
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app
from opsbridge.documents import yaml_text
from opsbridge.documents.layout import WIDTH, laid_out
from opsbridge.documents.text import ParseError
from opsbridge.rules import compile_rules, load_rules
from opsbridge.rules.defaults import SHIPPED
from opsbridge.rules.language.formatting import ORDER, FormattingError, formatted
from opsbridge.rules.language.model import MODELS

REPOSITORY = Path(__file__).parents[2]
FILES = [*sorted((REPOSITORY / "correlation_rules").glob("*.yaml")), SHIPPED]

TABLE: dict[str, tuple[str, str]] = {
    "nothing": ("", ""),
    "only comments": ("# a\n\n\n\n# b\n", "# a\n\n# b\n"),
    "keys of a rule in order, with their comments": (
        """\
        version: 1
        rules:
          # the rule
          - tests: []
            # whom it asks
            match: {class: X} # beside
            action: drop

            # what it is
            kind: filter
            id: a
        """,
        """\
        version: 1
        rules:
          # the rule
          - id: a

            # what it is
            kind: filter
            action: drop
            # whom it asks
            match: {class: X} # beside
            tests: []
        """,
    ),
    "a comment above a key that comes first": (
        "rules:\n  - kind: filter\n    # the name\n    id: a\n",
        "rules:\n  # the name\n  - id: a\n    kind: filter\n",
    ),
    "subjects of correlate stay as they are written": (
        "rules:\n- nature: cause\n  classes: [x]\n  kind: correlate\n  id: a\n",
        "rules:\n  - id: a\n    kind: correlate\n    nature: cause\n    classes: [x]\n",
    ),
    "indentation": (
        """\
        version:   1
        rules:
        -   id:  a
            match:
                  class:
                  - X
                  -   "Y"
                  # as deep as its key
                # less deep
        # at the end
        """,
        """\
        version: 1
        rules:
          - id: a
            match:
              class:
                - X
                - "Y"
              # as deep as its key
            # less deep
        # at the end
        """,
    ),
    "a comment before the next rule is the next rule's": (
        "rules:\n- id: a\n  match:\n    class: X\n\n\n# b\n- id: b\n",
        "rules:\n  - id: a\n    match:\n      class: X\n\n  # b\n  - id: b\n",
    ),
    "a comment after a key and one after a dash": (
        "rules: # all\n- # one\n  id: a # name\n",
        "rules: # all\n  # one\n  - id: a # name\n",
    ),
    "texts of several lines": (
        """\
        rules:
        - id: a
          description: |
              one
                two


              three
          title: >-
            a
            b
          summary: one
            two
          other: "one

            two"
        """,
        """\
        rules:
          - id: a
            title: >-
              a
              b
            description: |
                one
                  two


                three
            summary: one
              two
            other: "one

              two"
        """,
    ),
    "a text that keeps its blank lines": (
        "rules:\n  - id: a\n    description: |+\n      one\n\n\n    kind: x\n",
        "rules:\n  - id: a\n    kind: x\n    description: |+\n      one\n\n\n",
    ),
    "quotes and empty values": (
        "a: 'x'\nb:\nc: \"y\" # why\nd: ~\n'e': {}\nf: []\n",
        "a: 'x'\nb:\nc: \"y\" # why\nd: ~\n'e': {}\nf: []\n",
    ),
    "brackets over several lines": (
        "rules:\n- id: a\n  classes:\n    [\n      x, # why\n      y,\n    ]\n  edges: [a,\n    b]\n",
        "rules:\n  - id: a\n    classes:\n      [\n        x, # why\n        y,\n      ]\n    edges: [a,\n      b]\n",
    ),
    "brackets in brackets": (
        "rules:\n- id: a\n  tests: [{a: [\n  1,\n\n  '[',\n  2]},\n # c\n    {b: 1}\n    ]\n",
        """\
        rules:
          - id: a
            tests: [{a: [
                  1,

                  '[',
                  2]},
              # c
              {b: 1}
            ]
        """,
    ),
    "anchors, merges and documents": (
        "# head\n---\na: &x\n    b: 1\n    c: &y [1]\nd:\n    <<: *x\n    e: *y\n# foot\n---\n- &z\n  q: 1\n- *z\n",
        "# head\n---\na: &x\n  b: 1\n  c: &y [1]\nd:\n  <<: *x\n  e: *y\n# foot\n---\n- &z\n  q: 1\n- *z\n",
    ),
    "lines end as they should": ("a: 1\r\nb: # c  \r\n  - 2\r\n", "a: 1\nb: # c\n  - 2\n"),
    "a document in brackets": ("{version: 1,\n   rules: []}\n", "{version: 1,\n   rules: []}\n"),
}


def texts(name: str) -> tuple[str, str]:
    before, after = TABLE[name]
    return dedent(before), dedent(after)


@pytest.mark.parametrize("name", TABLE)
def test_the_layout(name: str) -> None:
    before, after = texts(name)
    assert formatted(before) == after
    assert formatted(after) == after


def test_lines_that_are_too_long_are_broken_where_they_may() -> None:
    names = ", ".join(f'"*name_{number}*"' for number in range(12))
    events = ", ".join(f"label{number}: {{a: {number}}}" for number in range(9))
    text = f"rules:\n- id: a\n  title: {'x' * 200}\n  classes: [{names}]\n  tests:\n  - events:\n    - {{{events}}}\n"
    after = formatted(text)
    assert after == formatted(after)
    assert all(len(line) <= WIDTH for line in after.splitlines() if "title" not in line)
    assert '    classes:\n      [\n        "*name_0*", "*name_1*",' in after
    assert "          - {\n              label0: {a: 0}, label1: {a: 1}," in after
    short = f'rules:\n  - id: a\n    classes:\n      [{names[:100]}*"]\n'
    assert formatted(short) == short


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_shipped_files_are_in_this_layout(path: Path) -> None:
    text = path.read_text()
    after = formatted(text)
    assert after == text, "opsbridge rules fmt correlation_rules/"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_digest_stays_however_a_file_was_typed(path: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(mangled(path.read_text(), 7))
    other.write_text(formatted(one.read_text()))
    digests = {compile_rules(load_rules([file]).rules).digest for file in (path, one, other)}
    assert len(digests) == 1


def mangled(text: str, seed: int) -> str:
    """As somebody else would have typed it: other depths, blank lines, ends of lines, comments; the same meaning."""
    dice = random.Random(seed)
    lines = []
    for number, line in enumerate(text.splitlines()):
        bare = line.lstrip(" ")
        indent = " " * 2 * (len(line) - len(bare))
        bare = f"-   {bare[2:]}" if bare.startswith("- ") else bare
        lines.append(indent + bare + " " * dice.choice([0, 0, 3]))
        if dice.random() < 0.1 and not inside_brackets(text, number):
            lines.append(dice.choice(["", "", f"# comment {number}", f"      # deep {number}"]))
    return dice.choice(["\n", "\r\n"]).join(lines) + "\n" * dice.choice([0, 1, 3])


def inside_brackets(text: str, number: int) -> bool:
    so_far = "\n".join(re.sub(r'#.*|"[^"]*"', "", line) for line in text.splitlines()[: number + 1])
    return so_far.count("[") > so_far.count("]") or so_far.count("{") > so_far.count("}")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 1_000_000))
def test_any_typing_of_a_file_becomes_one_that_stays(path: Path, seed: int) -> None:
    text = mangled(path.read_text(), seed)
    after = formatted(text)
    assert formatted(after) == after
    assert comments(after) == comments(text)
    assert yaml_text.parse(after) == yaml_text.parse(text)
    assert rules_only(after) == rules_only(formatted(path.read_text()))


def rules_only(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def comments(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.splitlines() if line.lstrip().startswith("#"))


SCRAPS = st.sampled_from(
    [
        *("a: 1", "- b", "  c:", "    - d", "# x", "   # y", "", "{e: f}", "[g,", "h]", "|", "  text", "'q'", "- - i"),
        *("rules:", "- id: k", "  kind: l", "  match:", "---", "...", "? m", ": n", "!!str o", "\tp", "%YAML 1.2"),
        *("&j", "*j", "|+", ">2"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(SCRAPS, max_size=12), st.sampled_from(["\n", "\n", " "]))
def test_what_parses_is_formatted_to_the_same_or_refused(scraps: list[str], between: str) -> None:
    text = between.join(scraps)
    try:
        before = yaml_text.parse(text)
    except ParseError:
        return
    try:
        after = formatted(text)
    except FormattingError:
        return
    assert yaml_text.parse(after) == before
    assert formatted(after) == after


def test_every_field_of_every_kind_has_its_place() -> None:
    said = {
        field.alias or name
        for kind, shapes in MODELS.items()
        if kind != "correlate"
        for shape in shapes
        for name, field in shape.model_fields.items()
    }
    assert said - {"tests"} == set(ORDER)


# the command


def fmt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", "fmt", *arguments])


UNTIDY = "version: 1\nrules:\n- kind: filter\n  id: a # name\n  action: drop\n  match: {class: X}\n"
TIDY = "version: 1\nrules:\n  - id: a # name\n    kind: filter\n    action: drop\n    match: {class: X}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(UNTIDY)
    (tmp_path / "rules" / "b.yaml").write_text(TIDY.replace("id: a", "id: b"))
    return tmp_path / "rules"


def test_files_are_written_anew(folder: Path) -> None:
    (folder / "a.yaml").chmod(0o640)
    result = fmt("rules")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "rules/a.yaml: formatted\n1 of 2 files changed\n"
    assert (folder / "a.yaml").read_text() == TIDY
    assert (folder / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in folder.iterdir()) == ["a.yaml", "b.yaml"]
    assert fmt("rules").stderr == "0 of 2 files changed\n"


def test_check_and_diff_write_nothing_and_end_with_one(folder: Path) -> None:
    result = fmt("rules", "--check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "rules/a.yaml: would change\n1 of 2 files would change\n"
    result = fmt("rules", "--diff")
    assert result.exit_code == 1
    assert "--- rules/a.yaml\n+++ rules/a.yaml (formatted)\n" in result.stdout
    assert "\n-- kind: filter\n" in result.stdout
    assert (folder / "a.yaml").read_text() == UNTIDY
    (folder / "a.yaml").unlink()
    assert fmt("rules", "--check").exit_code == 0


def test_a_file_that_cannot_be_read_stops_all_and_says_where(folder: Path) -> None:
    (folder / "b.yaml").write_text("version: 1\nrules: [\n")
    result = fmt("rules")
    assert result.exit_code == 2
    assert "rules/b.yaml:3:1: broken YAML" in result.stderr
    assert (folder / "a.yaml").read_text() == UNTIDY
    assert fmt("nowhere.yaml").exit_code == 2


def test_what_would_mean_something_else_is_left_alone_and_the_others_are_formatted(folder: Path) -> None:
    moved = "version: 1\nrules:\n  - match: &x {class: X}\n    kind: filter\n    id: c\n    shadow: *x\n"
    (folder / "c.yaml").write_text(moved)
    result = fmt("rules")
    assert result.exit_code == 2
    assert "rules/c.yaml: cannot be formatted without changing what it says, and is left as it is" in result.stderr
    assert (folder / "c.yaml").read_text() == moved
    assert (folder / "a.yaml").read_text() == TIDY


def test_json_is_left_alone(folder: Path) -> None:
    (folder / "d.json").write_text('{"version": 1, "rules": []}')
    result = fmt("rules/d.json")
    assert result.exit_code == 0
    assert "rules/d.json: is JSON" in result.stderr


def test_the_layout_knows_nothing_of_rules() -> None:
    assert laid_out("b: 1\na:\n- 2\n", lambda _way, key: ord(key)) == "a:\n  - 2\nb: 1\n"
