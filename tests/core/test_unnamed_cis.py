"""Alerts whose tool names no CI: each is one of a CI of its own, so no two of them are thought to have one cause."""

from datetime import UTC, datetime
from typing import Any, Final

from timetable import FAR

from opsbridge.core.decisions import Transition
from opsbridge.core.event import Event
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import UNKNOWN, Intake, Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.records import Incident

START: Final = 1_790_000_000
GRAPH: Final = CIGraph([CI("web"), CI("db")], [(0, 1)], aliases={"unknown/known": 0})


def report(name: str, second: float = 0, **fields: Any) -> Report:  # Any: whatever a report may have
    """A firing one that names no CI, unless the fields say something else."""
    said: dict[str, Any] = {"ci": UNKNOWN, "class_": "Down", "state": "firing", "severity": "major"}
    return Report(id=name, time=datetime.fromtimestamp(START + second, UTC), **said | fields)


def cis(*reports: Report, graph: CIGraph = GRAPH) -> list[str]:
    found = [Intake(graph).accept(each, FAR) for each in reports]
    return [each.ci for each in found if isinstance(each, Event)]


def alerts_of_incidents(*reports: Report) -> list[int]:
    pipeline = Pipeline(GRAPH)
    decisions = [*pipeline.advance(reports, FAR), *pipeline.finish()]
    newest = {each.id: each for each in decisions if isinstance(each, Incident)}
    return [each.alerts for each in newest.values()]


def test_each_alert_that_names_no_ci_is_an_incident_of_its_own() -> None:
    one, other, third = (report(key, at, fingerprint=key) for at, key in enumerate(("a", "b", "c")))
    assert alerts_of_incidents(one, other, third) == [1, 1, 1]


def test_alerts_of_one_ci_that_is_named_but_not_known_still_are_one_incident() -> None:
    assert alerts_of_incidents(*(report(key, at, ci="ghost", fingerprint=key) for at, key in enumerate("ab"))) == [2]


def test_it_is_named_after_what_identifies_the_alert() -> None:
    assert cis(report("a", fingerprint="f"), report("b")) == ["unknown/f", "unknown/Down"]


def test_the_topology_may_know_it() -> None:
    assert cis(report("a", fingerprint="known")) == ["web"]
    assert cis(report("a"), report("b", fingerprint="f"), graph=CIGraph([CI(UNKNOWN)])) == [UNKNOWN, UNKNOWN]


def test_its_resolution_finds_it() -> None:
    for fields in (("fingerprint",), (), ("fingerprint", "by_key"), ("by_key",)):
        key: dict[str, Any] = {field: {"fingerprint": "f", "by_key": True}[field] for field in fields}  # Any: as above
        pipeline = Pipeline(GRAPH)
        decisions = pipeline.advance([report("a", **key), report("b", 5, state="resolved", **key)], FAR)
        changes = [each.change for each in decisions if isinstance(each, Transition)]
        assert changes == ["opened", "resolved"], key


def test_a_resolution_by_key_that_comes_first_does_not_say_that_the_ci_is_unknown() -> None:
    pipeline = Pipeline(GRAPH)
    key: dict[str, Any] = {"fingerprint": "f", "by_key": True}  # Any: as above
    decisions = pipeline.advance([report("b", 5, state="resolved", **key), report("a", ci="db", **key)], FAR)
    assert {each.ci for each in decisions if isinstance(each, Transition)} == {"db"}
