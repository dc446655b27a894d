"""The pages on rules against what happens: every example's own tests pass, and every command prints what is shown.

`python tests/test_docs_workflow.py` writes the outputs that docs/rules-workflow.md shows anew.
"""

import re
import tempfile
from pathlib import Path
from typing import Final

import pytest

from pages import ROOT, blocks, page, run

WORKFLOW: Final = "docs/rules-workflow.md"
FILE: Final = re.compile(r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE: Final = re.compile(
    r"(?P<head><!-- generated: python tests/test_docs_workflow\.py -->\n```console\n)(?P<shown>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
EITHER: Final = re.compile(f"{FILE.pattern}|{CONSOLE.pattern}", re.MULTILINE | re.DOTALL)
TIMING: Final = re.compile(r"in \d+\.\d s")


def played(text: str, where: Path) -> str:
    """The page with the outputs that its commands print, each after those before it and with the files shown so far."""

    def step(found: re.Match[str]) -> str:
        if found["file"]:
            (where / found["file"]).parent.mkdir(exist_ok=True)
            (where / found["file"]).write_text(found["content"])
            return found[0]
        commands = re.findall(r"^\$ .*$", found["shown"], re.MULTILINE)
        return found["head"] + "".join(_printed(command, where) for command in commands) + "```"

    return EITHER.sub(step, text)


def _printed(command: str, where: Path) -> str:
    done = run(["bash", "-c", command.removeprefix("$ ")], where)
    said = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).strip("\n").splitlines())
    return f"{command}\n{TIMING.sub('in 0.1 s', said)}\n" if said else f"{command}\n"


def test_the_walk_through_prints_what_is_shown(tmp_path: Path) -> None:
    assert played(page(WORKFLOW), tmp_path) == page(WORKFLOW)


EXAMPLES: Final = [
    example
    for name in ("docs/rules.md", "docs/known-errors.md")
    for example in blocks(page(name), "yaml")
    if "tests:" in example
]


def test_every_kind_has_an_example() -> None:
    kinds = set(re.findall(r"^\| \[`([a-z]+)`\]", page("docs/rules.md"), re.MULTILINE))
    examples = "\n".join(blocks(page("docs/rules.md"), "yaml"))
    assert kinds == set(re.findall(r"^    kind: (\w+)", examples, re.MULTILINE))
    assert len(kinds) == 15


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: re.findall(r"id: (\S+)", example)[0])
def test_the_examples_pass_their_own_tests(example: str, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(example)
    for command in ("check", "test"):
        done = run(["opsbridge", "rules", command, "example.yaml"], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        (ROOT / WORKFLOW).write_text(played(page(WORKFLOW), Path(folder)))
