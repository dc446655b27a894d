"""Where events ended: which firing they belong to, and where that is, in whatever order topics are read."""

import pytest

from opsbridge.core.decisions import ChangeOf as Change
from opsbridge.core.decisions import Impact, Member, Moved, Root, Situation, SituationUpdate, Suppressed, Transition
from opsbridge.core.records import IncidentMembers
from opsbridge.review.heard import Reported
from opsbridge.review.places import Home, Places
from opsbridge.review.told import Told

MINUTE = 60_000
END = 1_000 * MINUTE
ALERT = "host\x1fDown"


def transition(change: Change, event: str, opened: int, position: int) -> Transition:
    return Transition(change, ALERT, "host", "Down", 4, opened, opened, opened, 1, position, event)


def joined(incident: str, event: str, *, left: bool = False) -> IncidentMembers:
    members = (Member(ALERT, 1, "host", "Down", event),)
    return IncidentMembers("INC-" + incident, 1, 1, 1, Moved(left=members) if left else Moved(joined=members))


def told(*records: object) -> Told:
    found = Told()
    for record in records:
        if isinstance(record, Transition):
            found.transitions[record.fingerprint, record.position] = record
        else:
            found._take(record)
    return found


def places(found: Told, *reports: tuple[float, str]) -> Places:
    made = Places(found, END)
    made.hear(ALERT, [Reported(int(time * MINUTE), state == "firing") for time, state in reports])
    return made


def counted(made: Places) -> dict[str, int]:
    """Events by the firing that they belong to, or the place if they are in none."""
    firings = {event: events for (_, event), events in made.events.items()}
    return firings | {home.place: events for home, events in made.nowhere.items()}


TWICE = (transition("opened", "e1", 10 * MINUTE, 0), transition("opened", "e2", 30 * MINUTE, 2))


def test_an_event_belongs_to_the_newest_firing_that_had_begun() -> None:
    made = places(told(*TWICE), (10, "firing"), (11, "firing"), (12, "resolved"), (30, "firing"), (31, "resolved"))
    assert counted(made) == {"e1": 3, "e2": 2}


def test_a_report_from_before_the_first_firing_belongs_to_it() -> None:
    assert counted(places(told(*TWICE), (9.9, "firing"), (10, "firing"))) == {"e1": 2}


def test_a_resolution_belongs_to_the_firing_that_it_came_before_by_a_little() -> None:
    assert counted(places(told(*TWICE), (9.5, "resolved"), (10, "firing"))) == {"e1": 2}
    assert counted(places(told(*TWICE), (8.5, "resolved"), (10, "firing"))) == {"e1": 1, "expired": 1}


def test_a_resolution_of_what_is_long_forgotten_expires() -> None:
    reports = [(10, "firing"), (12, "resolved"), (71, "resolved"), (140, "resolved")]
    once = told(TWICE[0])
    assert counted(places(once, *reports)) == {"e1": 3, "expired": 1}


def test_reports_of_no_known_alert_wait_or_are_unexplained() -> None:
    assert counted(places(Told(), (500, "firing"), (999.9, "firing"))) == {"unexplained": 1, "waiting": 1}


JOINS, LEAVES, ELSEWHERE = joined("aaaa", "e1"), joined("aaaa", "e1", left=True), joined("bbbb", "e1")


@pytest.mark.parametrize(
    "order",
    [(JOINS, LEAVES, ELSEWHERE), (JOINS, ELSEWHERE, LEAVES), (ELSEWHERE, JOINS, LEAVES)],
    ids=["left first", "between", "joined first"],
)
def test_what_moved_is_where_it_has_not_left(order: tuple[IncidentMembers, ...]) -> None:
    """In whatever order the partitions are read; the records of one incident are in one, in order."""
    assert told(*order).situation_of((ALERT, "e1")) == "S-bbbb"


@pytest.mark.parametrize(("state", "place"), [("withheld", "suppressed"), ("resolved", "suppressed"), ("released", "")])
def test_a_withheld_firing_is_suppressed_until_it_is_released(state: str, place: str) -> None:
    news = Suppressed(state, "hold", "wait", ALERT, "host", "Down", 4, "e1", 10 * MINUTE, 10 * MINUTE)  # type: ignore[arg-type] # of three words
    made = places(told(news), (10, "firing"))
    assert made.homes[ALERT, "e1"] == (Home("suppressed", "wait") if place else Home("unexplained", "no alert"))


def test_a_firing_that_was_over_between_two_reports_belongs_with_the_next() -> None:
    made = places(told(*TWICE, joined("aaaa", "e2")), (10, "firing"))
    assert made.homes[ALERT, "e1"] == made.homes[ALERT, "e2"] == Home("unanswered", "S-aaaa")


def test_a_firing_that_goes_on_while_it_is_withheld_is_withheld_with_it() -> None:
    news = Suppressed("withheld", "inhibit", "covers", ALERT, "host", "Down", 4, "e1", 10 * MINUTE, 10 * MINUTE)
    renewed = transition("renewed", "e2", 30 * MINUTE, 2)
    assert places(told(TWICE[0], news, renewed)).homes[ALERT, "e2"] == Home("suppressed", "covers")
    assert places(told(*TWICE, news)).homes[ALERT, "e2"] == Home("unexplained", "no alert")


def test_what_two_situations_claim_is_in_the_one_that_was_not_merged() -> None:
    """The heir may be heard first, and the one that was merged may never say that it was left."""
    merged = Situation(
        "S-aaaa", 2, "merged", 4, Root("host", None, True, 1.0), (), 0, 0, Impact(1, 0, ()), 0, 0, None, "S-bbbb", ()
    )
    found = told(joined("bbbb", "e1"), joined("aaaa", "e1"), SituationUpdate(merged, 1, 1, Moved()))
    assert found.situation_of((ALERT, "e1")) == "S-bbbb"
    assert found.last("S-aaaa") == "S-bbbb"
