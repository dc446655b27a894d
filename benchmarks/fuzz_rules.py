"""Rule files with something wrong in them, any number of them: the loader must refuse them, and raise nothing else.

    python -m benchmarks.fuzz_rules --files 100000

Sound files (the shipped rules one by one, and tests/rules/sound) are changed in a few places: tokens and bytes that are
dropped, said twice, swapped or replaced, and values that become others. tests/rules/test_fuzz_rules.py does a few
hundred of them with Hypothesis, which finds a shorter example where one fails.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from opsbridge.documents import yaml_text
from opsbridge.rules import RuleError, RuleFiles, lint, load_rules
from opsbridge.rules.defaults import SHIPPED

ROOT: Final = Path(__file__).parents[1]

ODD: Final = tuple(
    odd.encode("utf-8", "surrogatepass")
    for odd in (
        *(
            "",
            " ",
            "\n",
            "\t",
            "\x00",
            "\x1f",
            "\ufeff",
            "\ud800",
            "\U0001f9e8",
            "é",
            "'",
            '"',
            "#",
            "---",
            "...",
            "- ",
        ),
        *("{", "}", "[", "]", ":", ",", "|", ">", "!", "!!python/object:os.system", "%YAML 1.1", "&a", "*a", "<<: *a"),
        *("null", "~", "true", "0", "-1", "1.5", "1e999", ".nan", "0x10", "9" * 400, "9" * 5000, "x" * 5000, "(a+)+$"),
        *(
            "{}",
            "[]",
            "[[]]",
            "{a: b}",
            "[" * 300,
            "{a: " * 150,
            "not",
            "regex",
            "(?=",
            "\\",
            "{ci}",
            "{",
            "0s",
            "1w1w",
        ),
        *(
            "state",
            "firing",
            "severity",
            "labels.",
            "labels.x",
            "ci",
            "match",
            "raise",
            "steps",
            "tests",
            "tables",
            "set",
        ),
        *(
            "2026-02-30T00:00:00Z",
            "0000-00-00T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
            "Sat 01:00-01:00",
            "Europe/Berln",
        ),
    )
)
"""What is put in the place of something."""

_VALUES: Final[tuple[object, ...]] = (
    *(None, True, 0, -1, 10**400, 1.5, 1e308, "", "x", "ci", "5m", "{ci}", "\ud800", "labels.x", "a" * 5000),
    *([], [[]], {}, {"": ""}, {"not": {}}, {"gte": 1}, ["x", 1], [{"match": {}}], {"a": {"b": {"c": []}}}),
)

_TOKEN: Final = re.compile(rb"\w+|\s+|.", re.DOTALL)

Step = tuple[int, int, int]
"""Which way, where, and what with: any numbers."""


def _tokens(change: Callable[[list[bytes], int, int], None]) -> Callable[[bytes, int, int], bytes]:
    def way(text: bytes, place: int, what: int) -> bytes:
        tokens = _TOKEN.findall(text)
        if tokens:
            change(tokens, place % len(tokens), what)
        return b"".join(tokens)

    return way


def _drop(tokens: list[bytes], at: int, what: int) -> None:
    del tokens[at : at + 1 + what % 3]


def _repeat(tokens: list[bytes], at: int, what: int) -> None:
    tokens[at:at] = tokens[at : at + 1 + what % 20]


def _replace(tokens: list[bytes], at: int, what: int) -> None:
    tokens[at] = ODD[what % len(ODD)]


def _move(tokens: list[bytes], at: int, what: int) -> None:
    tokens[at], tokens[what % len(tokens)] = tokens[what % len(tokens)], tokens[at]


def _byte(text: bytes, place: int, what: int) -> bytes:
    at = place % (len(text) + 1)
    return text[:at] + bytes((what % 256,)) + text[at + what % 2 :]


def _value(text: bytes, place: int, what: int) -> bytes:
    """Another value somewhere in the file, which is JSON from then on; unchanged if it cannot be read any more."""
    try:
        said = yaml_text.parse(text.decode())[0]
    except (ValueError, IndexError):
        return text
    spots: list[tuple[list[object] | dict[str, object], int | str]] = []
    seen: set[int] = set()
    todo = [said]
    while todo:
        value = todo.pop()
        if isinstance(value, list | dict) and id(value) not in seen:
            seen.add(id(value))
            for key, held in enumerate(value) if isinstance(value, list) else value.items():
                spots.append((value, key))
                todo.append(held)
    if spots:
        holder, key = spots[place % len(spots)]
        holder[key] = _VALUES[what % len(_VALUES)]  # type: ignore[index]  # a key of this very holder
    try:
        return json.dumps(said).encode()
    except (RecursionError, ValueError):
        return text


WAYS: Final = (*map(_tokens, (_drop, _repeat, _replace, _move)), _byte, _value)


def corpus() -> list[bytes]:
    """Sound files; of those that are shipped, every rule is one, with the tables of its file."""
    texts = [path.read_bytes() for path in sorted((ROOT / "tests" / "rules" / "sound").glob("*.yaml"))]
    for path in (*sorted((ROOT / "correlation_rules").glob("*.yaml")), SHIPPED):
        for document in yaml_text.parse(path.read_text()):
            assert isinstance(document, dict)
            texts += [json.dumps(document | {"rules": [rule]}, indent=1).encode() for rule in document["rules"]]
    return texts


def mutated(text: bytes, steps: Sequence[Step]) -> bytes:
    """The text with all these changes, one after the other."""
    for way, place, what in steps:
        text = WAYS[way % len(WAYS)](text, place, what)
    return text


def loaded(text: bytes, folder: Path, suffix: str) -> RuleFiles | None:
    """What the file says; None if it was refused, as it may be. Whatever else is raised is a fault of the loader's."""
    path = folder / f"a{suffix}"
    path.write_bytes(text)
    try:
        files = load_rules([path])
    except RuleError as refused:
        if not all(finding.path == str(path) and finding.message for finding in refused.findings):
            raise ValueError("a finding says not where or not what") from refused
        return None
    lint(files, now=0)
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Load as many as are asked for; 1, with the file, if anything but a refusal comes out."""
    options = argparse.ArgumentParser(description="Load mutated rule files.")
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args(arguments)
    chance = random.Random(asked.seed)
    texts = corpus()
    taken = 0
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        for number in range(asked.files):
            steps = [
                (chance.getrandbits(30), chance.getrandbits(30), chance.getrandbits(30))
                for _ in range(1 + number % 8 // 4 + number % 8 // 7)
            ]
            text = mutated(chance.choice(texts), steps)
            suffix = ".json" if number % 3 == 0 and text.startswith(b"{") else ".yaml"
            try:
                taken += loaded(text, Path(name), suffix) is not None
            except Exception:
                print(f"file {number} of seed {asked.seed}, as {suffix}:\n{text[:5000]!r}", file=sys.stderr)
                raise
    seconds = time.process_time() - began
    print(
        f"{asked.files} mutated files: {asked.files - taken} refused, {taken} taken, nothing else; {seconds:.0f} s CPU"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
