"""What is found to be wrong with a topology: of its statements, and of what happened. And what is not told."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from opsbridge.core.decisions import Discrepancy
from opsbridge.topology import TopologyError
from opsbridge.topology.health import Alarms, Failure, Health, HealthFinding, Observed, health
from opsbridge.topology.live import NOTHING, Built, build
from opsbridge.topology.load import read_stated
from opsbridge.topology.strength import EDGE_COSTS

NOON = 1_767_268_800_000
MINUTE = 60_000

ESTATE = """\
cis:
  - {id: sw, type: switch}
  - {id: h1, type: host, aliases: [10.0.0.1], depends_on: [sw]}
  - {id: h2, type: host, depends_on: [sw]}
  - {id: pay, type: service, depends_on: [h1]}
  - {id: ledger, type: service, depends_on: [h2]}
  - {id: printer, type: printer}
  - {id: shelf, type: rack, monitored: false}
"""


def built(folder: Path, *texts: str) -> Built:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    stated, findings = read_stated([folder])
    assert not findings
    return build(stated, NOTHING, edge_costs=EDGE_COSTS)


@pytest.fixture
def estate(tmp_path: Path) -> Built:
    return built(tmp_path, ESTATE)


def seen(
    estate: Built,
    alarms: dict[str, Alarms] | None = None,
    told: Sequence[Discrepancy] = (),
    failures: Sequence[Failure] = (),
) -> dict[tuple[str, str], HealthFinding]:
    found = health(estate.topology.graph, estate.misfits, Observed(alarms or {}, told, failures))
    return {(each.kind, each.reference): each for each in found.findings}


def told(kind: str, reference: str, *evidence: str) -> Discrepancy:
    return Discrepancy(kind, reference, "", NOON, evidence)  # type: ignore[arg-type]


# what is stated


def test_statements_that_do_not_fit_are_errors_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    wrong = "{id: x, aliases: [10.0.0.1], depends_on: [sw, nowhere]}", "{id: y, needs: [{of: [sw], at_least: 3}]}"
    estate = built(tmp_path, ESTATE, f"cis: [{', '.join(wrong)}]")
    found = health(estate.topology.graph, estate.misfits)
    errors = [(each.kind, each.reference) for each in found.findings if each.severity == "error"]
    assert errors == [("alias_conflict", "10.0.0.1"), ("unknown_end", "x -> nowhere"), ("unusable", "sw")]
    assert not found.sound
    alias = found.findings[0]
    assert alias.what == f"'10.0.0.1' is already an alias of 'h1', defined at {tmp_path / '0.yaml'}"
    assert alias.evidence == (f"said by hand, {tmp_path / '1.yaml'}, of x",)
    assert alias.todo.startswith("decide whose name it is")
    graph = estate.topology.graph
    assert graph.numbers["sw"] in graph.providers[graph.numbers["x"]]


def test_files_that_are_not_valid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="idd"):
        built(tmp_path, "cis: [{idd: x}]")


def test_without_anything_seen_only_statements_are_judged(estate: Built) -> None:
    found = health(estate.topology.graph, estate.misfits)
    assert [(each.kind, each.severity, each.reference) for each in found.findings] == [
        ("orphan", "info", "printer"),
        ("orphan", "info", "shelf"),
    ]
    assert (found.cis, found.dependencies, found.alarmed, found.sound) == (7, 4, None, True)


def test_an_empty_estate_has_nothing_wrong() -> None:
    from opsbridge.core.graph import CIGraph

    assert health(CIGraph(()), ()) == Health(0, 0, None, ())


# what happened


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("h1.example.net", ("h1",)),
        ("H2:9100", ("h2",)),
        ("10.0.0.1:9100", ("h1",)),
        ("ledgre", ("ledger",)),
        ("10.0.0.7", ("h1",)),
        ("something-else", ()),
    ],
)
def test_a_ci_that_alarms_and_is_not_there_is_told_with_what_it_may_be(
    estate: Built, name: str, nearest: tuple[str, ...]
) -> None:
    found = seen(estate, {name: Alarms(3, NOON, NOON + MINUTE)})["unknown_ci", name]
    assert (found.severity, found.count, found.nearest) == ("warning", 3, nearest)
    assert (found.first, found.last) == ("2026-01-01T12:00:00.000Z", "2026-01-01T12:01:00.000Z")
    assert found.what.startswith("3 alerts of a CI that the topology does not have")


def test_what_only_a_discrepancy_remembers_counts_once(estate: Built) -> None:
    found = seen(estate, told=[told("unknown_ci", "till")])["unknown_ci", "till"]
    assert (found.count, found.first) == (1, "2026-01-01T12:00:00.000Z")


def test_what_has_been_mended_is_not_told(estate: Built) -> None:
    mended = [
        told("unknown_ci", "10.0.0.1"),
        told("contradicted_edge", "ledger -> sw"),
        told("contradicted_edge", "gone -> sw"),
        told("missing_edge", "pay -> sw"),
        told("missing_edge", "sw -> pay"),
        told("orphan", "h1"),
        told("orphan", "gone"),
        told("alias_conflict", "h1"),
    ]
    found = seen(estate, {"10.0.0.1": Alarms(1, NOON, NOON)}, mended)
    assert {kind for kind, _ in found} == {"orphan", "never_seen"}
    assert all(each.severity == "info" for each in found.values())


def test_a_contradicted_edge_comes_with_the_failures_that_contradict_it(estate: Built) -> None:
    failures = [Failure("sw", NOON + number * 60 * MINUTE, f"INC-{number}") for number in (4, 0, 2, 1, 3)]
    found = seen(estate, told=[told("contradicted_edge", "h2 -> sw", "in words")], failures=failures)
    edge = found["contradicted_edge", "h2 -> sw"]
    assert (edge.severity, edge.count, edge.first, edge.last) == (
        "warning",
        5,
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T16:00:00.000Z",
    )
    assert edge.evidence == (
        "in words",
        "2026-01-01T14:00:00.000Z sw failed: INC-2",
        "2026-01-01T15:00:00.000Z sw failed: INC-3",
        "2026-01-01T16:00:00.000Z sw failed: INC-4",
    )


def test_a_missing_edge_comes_with_when_the_two_failed_together(estate: Built) -> None:
    failures = [
        Failure("pay", NOON, "INC-1"),
        Failure("ledger", NOON + 5_500, "INC-2"),
        Failure("ledger", NOON + 2 * MINUTE, "INC-3"),
        Failure("pay", NOON + 60 * MINUTE, "INC-4"),
        Failure("ledger", NOON + 60 * MINUTE + 1_000, "INC-5"),
    ]
    told_ = [told("missing_edge", "ledger -> pay", "ledger failed 2 times in 7 days, pay 2 times")]
    edge = seen(estate, told=told_, failures=failures)["missing_edge", "ledger -> pay"]
    assert (edge.count, edge.last) == (2, "2026-01-01T13:00:01.000Z")
    assert edge.evidence == (
        "ledger failed 3 times, pay 2 times; 2 of these within 60 s of each other",
        "2026-01-01T12:00:00.000Z pay (INC-1), 5.5 s later ledger (INC-2)",
        "2026-01-01T13:00:00.000Z pay (INC-4), 1 s later ledger (INC-5)",
    )
    forgotten = seen(estate, told=told_)["missing_edge", "ledger -> pay"]
    assert forgotten.evidence == ("ledger failed 2 times in 7 days, pay 2 times",)


def test_names_may_contain_the_arrow(tmp_path: Path) -> None:
    estate = built(tmp_path, 'cis: [{id: "a -> b", depends_on: [c]}, {id: c}]')
    assert ("contradicted_edge", "a -> b -> c") in seen(estate, told=[told("contradicted_edge", "a -> b -> c")])


def test_an_orphan_that_failed_again_and_again_needs_work_and_others_do_not(estate: Built) -> None:
    once = seen(estate, {"printer": Alarms(1, NOON, NOON)})["orphan", "printer"]
    assert (once.severity, once.what) == ("info", "no dependency is stated; 1 alert correlated alone")
    often = seen(estate, {"printer": Alarms(3, NOON, NOON)}, [told("orphan", "printer", "why")])["orphan", "printer"]
    assert (often.severity, often.count, often.evidence) == ("warning", 3, ("why",))


def test_cis_that_never_alarmed_are_counted_by_type_if_somebody_watches_them(estate: Built) -> None:
    found = seen(estate, {"sw": Alarms(1, NOON, NOON), "10.0.0.1": Alarms(1, NOON, NOON)})
    silent = {reference: each for (kind, reference), each in found.items() if kind == "never_seen"}
    assert set(silent) == {"host", "printer"}  # services are told of by what they run on
    assert (silent["host"].what, silent["host"].evidence) == ("1 of 2 that are monitored opened no alert", ("h2",))
    assert all(each.severity == "info" for each in silent.values())


def test_the_worst_comes_first(tmp_path: Path) -> None:
    estate = built(tmp_path, ESTATE, "depends_on: [[sw, nowhere]]")
    alarms = {"few": Alarms(1, NOON, NOON), "many": Alarms(9, NOON, NOON)}
    found = health(estate.topology.graph, estate.misfits, Observed(alarms))
    assert [each.reference for each in found.findings][:3] == ["sw -> nowhere", "many", "few"]
    assert found.alarmed == 0
