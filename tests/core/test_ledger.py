"""The ledger: where alerts are at the end, in whatever order their news come."""

from incidents import situation
from timetable import graph_of

from opsbridge.core.decisions import Member, Moved, Root
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.records import Incident, IncidentMembers, Unanswered
from opsbridge.core.response.incident import IncidentState, record

ALERT = Member("f", 1, "db", "Down", "e")
HERE, THERE = "INC-0000000000000001", "INC-0000000000000002"


def told(incident: str) -> Incident:
    return record(IncidentState(version=1, situation=situation(name="S" + incident[3:])), ())


def moved(incident: str, version: int, *, joined: bool) -> IncidentMembers:
    return IncidentMembers(incident, version, 1, 1, Moved((ALERT,)) if joined else Moved((), (ALERT,)))


def ledger() -> Ledger:
    made = Ledger(Pipeline(graph_of("db")))
    made._events_of["f", "e"] = ["e"]
    return made


def test_an_alert_is_where_it_has_stayed_though_it_was_elsewhere_in_between() -> None:
    """An operator splits it off in its domain, while the backbone takes it into another one and lets it go again."""
    book = ledger()
    book.told([moved(HERE, 1, joined=True), told(HERE)])
    book.told([moved(THERE, 1, joined=True), told(THERE), moved(THERE, 2, joined=False)])
    assert book.events_by_incident() == {HERE: ["e"], THERE: []}
    assert book.unexplained() == []


def test_an_alert_is_in_the_newest_incident_until_that_lets_it_go() -> None:
    book = ledger()
    book.told([moved(HERE, 1, joined=True), told(HERE), moved(THERE, 1, joined=True), told(THERE)])
    assert book.events_by_incident() == {HERE: [], THERE: ["e"]}


def test_what_was_kept_back_and_has_left_is_not_affected_once_it_is_an_incident() -> None:
    root = Root("db", "Down", silent=False, confidence=1.0)
    kept = Unanswered(
        HERE, "S-0000000000000001", "calm", root.ci, "open", None, begins=True, moved=Moved(cis_joined=("db", "web"))
    )
    book = ledger()
    book.told([kept])
    book.told([IncidentMembers(HERE, 1, 1, 1, Moved((ALERT,), cis_joined=("db",))), told(HERE)])
    assert list(book.affected_cis[HERE]) == ["db"]
    assert book.unanswered == {}
