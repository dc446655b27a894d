"""The page about imports says what the importers do: formats, relationships, columns, and commands that are there."""

import re
from collections.abc import Iterator

from opsbridge.topology.importers import FORMATS
from opsbridge.topology.importers.backstage import ALIAS_ANNOTATIONS, RELATIONS
from opsbridge.topology.importers.servicenow import RELATIONSHIPS
from opsbridge.topology.importers.tables import (
    CI_COLUMNS,
    DEPENDENT_COLUMNS,
    KIND_COLUMNS,
    MORE_ALIASES,
    PROVIDER_COLUMNS,
)
from pages import page, section, tables

PAGE = "docs/topology-import.md"


def rows(heading: str, number: int = 0) -> Iterator[list[str]]:
    for row in list(tables(section(PAGE, heading)))[number]:
        yield [cell.strip("`") for cell in row]


def test_every_format_is_in_the_table_and_has_a_section() -> None:
    listed = [row for row in tables(page(PAGE)) if row[0][0].strip("`") in FORMATS]
    assert {row[0].strip("`") for row in listed[0]} == set(FORMATS)
    for row in listed[0]:
        heading = re.search(r"\[(.+)\]", row[3])
        assert heading is not None
        assert section(PAGE, heading[1])


def test_relationships() -> None:
    told = {name: (needs, kind) for name, needs, kind in rows("ServiceNow")}
    assert told == {name: (meaning.needs, meaning.kind) for name, meaning in RELATIONSHIPS.items()}


def test_columns_are_told() -> None:
    said = set(re.findall(r"`([a-z_]+)`", section(PAGE, "Tables")))
    columns = {*MORE_ALIASES, *DEPENDENT_COLUMNS, *PROVIDER_COLUMNS, *KIND_COLUMNS}
    for field in ("id", "type", "group", "owner", "environment", "site", "tier"):
        columns |= set(CI_COLUMNS[field]) - {"is_service"}
    assert columns <= said


def test_backstage_relations_and_annotations_are_told() -> None:
    text = section(PAGE, "Backstage")
    assert all(f"`{name}`" in text for name in (*RELATIONS, *ALIAS_ANNOTATIONS))
