"""Outages that nobody was told of, incidents that nobody else knows, and lists that cannot be read."""

from pathlib import Path

import pytest

from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.times import rfc3339
from opsbridge.review.model import OutageFigures
from opsbridge.review.outages import Known, OutageListError, Span, held_against, read_outages

GRAPH = CIGraph(
    [CI(id="shop"), CI(id="host"), CI(id="switch"), CI(id="far")], [(0, 1), (1, 2)], aliases={"10.0.0.1": 1}
)
HOUR = 3_600_000


def held(*outages: tuple[str, int, int], spans: list[Span] | None = None) -> OutageFigures:
    about_host = Span("INC-1", 2 * HOUR, 3 * HOUR, frozenset({"host", "shop"}), "host")
    return held_against([Known(*each) for each in outages], spans or [about_host], GRAPH)


@pytest.mark.parametrize(
    ("outage", "seen"),
    [
        (("host", 2 * HOUR, 3 * HOUR), True),
        (("10.0.0.1", 1 * HOUR, 2 * HOUR), True),  # by another name, and they touch
        (("shop", 2 * HOUR, 4 * HOUR), True),  # affected
        (("host", 4 * HOUR, 5 * HOUR), False),  # later
        (("far", 2 * HOUR, 3 * HOUR), False),  # somewhere else
        (("switch", 2 * HOUR, 3 * HOUR), False),  # what the host depends on is not told of by the host
        (("unheard-of", 2 * HOUR, 3 * HOUR), False),
    ],
)
def test_an_incident_tells_of_an_outage_or_not(outage: tuple[str, int, int], seen: bool) -> None:
    found = held(outage)
    assert found.without_events == (0 if seen else 1)
    assert found.false_alarms == (0 if seen else 1)
    assert [each.ci for each in found.missed] == ([] if seen else [outage[0]])


def test_what_the_ci_depends_on_tells_of_it_too() -> None:
    """The switch's incident names only the switch, say because the host has another way: it is still what is known."""
    switch = Span("INC-2", 0, HOUR, frozenset({"switch"}), "switch")
    assert held(("shop", 0, HOUR), spans=[switch]).without_events == 0


def test_no_outages_at_all_make_every_incident_a_false_alarm() -> None:
    found = held()
    assert (found.outages, found.without_events, found.false_alarm_ids) == (0, 0, ["INC-1"])


LISTS = {
    "o.csv": "ci, begins, ends\nhost, 2026-01-01T12:00:00Z, 2026-01-01T13:00:00+00:00\n",
    "o.yaml": "outages:\n  - {ci: host, begins: 2026-01-01T12:00:00Z, ends: 2026-01-01 13:00:00}\n",
    "o.json": '[{"ci": "host", "begins": "2026-01-01T12:00:00Z", "ends": "2026-01-01T14:00:00+01:00"}]',
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_csv_yaml_or_json(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(LISTS[name])
    (outage,) = read_outages(tmp_path / name)
    assert (outage.ci, rfc3339(outage.begins), rfc3339(outage.ends)) == (
        "host",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T13:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("o.csv", "ci,begins\nhost,now\n", "o.csv:1: no column ends; needed are ci, begins and ends"),
        ("o.csv", "ci,begins,ends\nhost,now,then\n", "o.csv:2: begins: expected a time like"),
        ("o.csv", "ci,begins,ends\n,2026-01-01,2026-01-02\n", "o.csv:2: ci: expected the name of a CI"),
        ("o.csv", "ci,begins,ends\na,2026-01-02,2026-01-01\n", "o.csv:2: it ends before it begins"),
        ("o.yaml", "outages: 7\n", "o.yaml:1:10: expected a list of objects"),
        ("o.yaml", "- 7\n", "o.yaml:1:3: expected an object"),
        ("o.yaml", "a: [", "o.yaml:2:1: broken YAML"),
        ("o.json", "[", "o.json:1:2: broken JSON"),
        (
            "o.yaml",
            "outages:\n- {ci: a, begins: 2026-01-01, ends: 2026-01-02}\n- {ci: a, start: 2026-01-01}\n",
            "o.yaml:3:3: begins: expected a time like 2026-01-01T12:00:00Z; it has ci, start",
        ),
        ("none.csv", None, "No such file or directory"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(name: str, content: str | None, complaint: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(OutageListError) as raised:
        read_outages(tmp_path / name)
    assert complaint in str(raised.value)
