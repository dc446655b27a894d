"""The page about topology files says what the code does: its examples load, its figures are those in use."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from opsbridge.core.context import ChangeRecord, Context
from opsbridge.core.graph import DEFAULT_COST, MAX_COST, REDUNDANT, UNDIRECTED
from opsbridge.core.impact import Condition
from opsbridge.topology import DOMAIN_ATTRIBUTES, EDGE_COSTS, load_topology
from opsbridge.topology.model import CIEntry, Dependency, Link, Member, Need
from pages import blocks, page, section, tables

PAGE = "docs/topology.md"


def rows(heading: str, number: int = 0) -> Iterator[list[str]]:
    """The cells of a table, without their quotes."""
    for row in list(tables(section(PAGE, heading)))[number]:
        yield [cell.strip("`") for cell in row]


@pytest.mark.parametrize("example", [text for text in blocks(page(PAGE), "yaml") if "switch-9" not in text])
def test_every_example_can_be_used(tmp_path: Path, example: str) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(example)
    topology = load_topology([file])
    assert len(topology.graph) > 0
    assert topology.findings == ()


def test_costs() -> None:
    told = {
        kind: int(cost)
        for kinds, _, cost, _ in rows("What a dependency can say", 1)
        for kind in kinds.split("`, `")
        if cost.isdigit()
    }
    assert told.pop("any other, or none") == DEFAULT_COST
    assert told == EDGE_COSTS
    added = [cost for _, _, cost, _ in rows("What a dependency can say", 1) if cost.startswith("+")]
    assert added == [f"+ {UNDIRECTED}", f"+ {REDUNDANT}"]
    assert f"A path may cost {MAX_COST} (" in page(PAGE)
    assert f"{MAX_COST // DEFAULT_COST} dependencies of no type, {MAX_COST // EDGE_COSTS['runs_on']} of" in page(PAGE)


def test_the_change_can_be_learned() -> None:
    (example,) = blocks(section(PAGE, "Changes"), "json")
    record = msgspec.json.decode(example, type=ChangeRecord)
    context = Context()
    context.learn(record)
    begins = int(record.begins.timestamp()) * 1000
    assert context.window(record.cis[0], begins) == begins + 3_600_000


def test_fields() -> None:
    assert {row[0] for row in rows("A CI")} == set(CIEntry.model_fields)
    fields = {field.alias or name for model in (Dependency, Link) for name, field in model.model_fields.items()}
    assert {row[0] for row in rows("What a dependency can say")} == fields
    assert {row[0] for row in rows("Redundancy")} == set(Need.model_fields)
    assert all(f"`{name}`" in section(PAGE, "Redundancy") for name in Member.model_fields)


def test_conditions_and_attributes() -> None:
    assert {row[0] for row in rows("Redundancy", 1)} == {str(condition) for condition in Condition}
    assert "(`{}`, `{}` or `{}`)".format(*DOMAIN_ATTRIBUTES) in section(PAGE, "Domains and backbone")
