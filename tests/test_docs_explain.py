"""docs/explain.md against what happens: the example's output, the terms and the kinds of facts.

`python tests/test_docs_explain.py` writes the output that the page shows anew.
"""

import re
import tempfile
from pathlib import Path
from typing import Final, get_args

from opsbridge.core.explain.because import TermName
from opsbridge.core.explain.whatif import Kind
from pages import ROOT, blocks, names, page, run, section

PAGE: Final = "docs/explain.md"


def explained(where: Path) -> str:
    """What the example's command prints for the example's files."""
    text = section(PAGE, "An example")
    (estate,), (events,) = blocks(text, "yaml"), blocks(text, "json")
    (where / "estate.yaml").write_text(estate)
    (where / "events.jsonl").write_text(events)
    (command,) = re.findall(r"^`(opsbridge explain [^`]*)`:$", text, re.MULTILINE)
    done = run(command.split(), where)
    assert (done.returncode, done.stderr) == (0, "")
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    (shown,) = blocks(section(PAGE, "An example"), "text")
    assert explained(tmp_path) == shown


def test_every_term_and_every_kind_of_fact_is_documented() -> None:
    terms = [*names(PAGE, "How to read it", 0), *names(PAGE, "How to read it", 1)]
    assert tuple(terms) == get_args(TermName)
    assert tuple(names(PAGE, "How to read it", 2)) == get_args(Kind)


def rewrite() -> None:
    """Put what the command prints today into the page."""
    text = page(PAGE)
    with tempfile.TemporaryDirectory() as directory:
        (shown,) = blocks(section(PAGE, "An example"), "text")
        head, block, rest = text.partition(f"```text\n{shown}```")
        (ROOT / PAGE).write_text(f"{head}```text\n{explained(Path(directory))}```{rest}", encoding="utf-8")
        assert block, "the page has no such block"


if __name__ == "__main__":
    rewrite()
