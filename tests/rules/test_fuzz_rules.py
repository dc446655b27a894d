"""Whatever becomes of a rule file, the loader refuses it by its own error or takes it; nothing else is raised.

`FUZZ_RULES` is how many files are tried; `python -m benchmarks.fuzz_rules --files 100000` tries many more.
"""

import os
from pathlib import Path

import pytest
from benchmarks.fuzz_rules import WAYS, corpus, loaded, mutated
from hypothesis import given, settings
from hypothesis import strategies as st

NUMBERS = st.integers(min_value=0, max_value=2**30)
STEPS = st.lists(st.tuples(st.integers(0, len(WAYS) - 1), NUMBERS, NUMBERS), min_size=1, max_size=5)
TEXTS = corpus()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@given(text=st.sampled_from(TEXTS), steps=STEPS, suffix=st.sampled_from([".yaml", ".json"]))
@settings(max_examples=int(os.environ.get("FUZZ_RULES", "300")), deadline=None)
def test_nothing_but_a_refusal_is_raised(
    text: bytes, steps: list[tuple[int, int, int]], suffix: str, folder: Path
) -> None:
    loaded(mutated(text, steps), folder, suffix)


@given(text=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_nor_by_what_was_never_a_rule_file(text: bytes, folder: Path) -> None:
    loaded(text, folder, ".yaml")
    loaded(text, folder, ".json")


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_is_mutated_was_sound(text: bytes, folder: Path) -> None:
    assert loaded(text, folder, ".yaml") is not None


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_every_way_changes_something(way: int) -> None:
    assert any(mutated(TEXTS[0], [(way, place, 7 * place + 1)]) != TEXTS[0] for place in range(20))
