"""What rules derive goes through the first level like any report: to its own alert, through gates, or elsewhere."""

import msgspec

from opsbridge.core.decisions import Derived, Outcome, Suppressed, Withheld
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.level import FirstLevel
from opsbridge.core.rulebook import Derivation, Gate, Heartbeat, Hold, Raise, Rulebook, Threshold

S = 1_000
START = 1_790_000_000_000

STORM = Threshold(
    rule="storm",
    key="storm",
    raises=Raise("LoginStorm", 3),
    measure="event_count",
    timespan=60 * S,
    holds=lambda count: count >= 3,
    at_least=3,
    resolve_after=60 * S,
)
HOLD = Hold(rule="h", for_ms=10 * S)


def book(*rules: Derivation, gates: tuple[Gate, ...] = ()) -> Rulebook:
    """The rules by their keys."""
    return Rulebook(derivations={rule.key: rule for rule in rules}, gates={gate.rule: gate for gate in gates})


def login(number: int, second: int, group: str = "db", *, observed: bool = True) -> Event:
    """A failed login that the rule counts."""
    marks = (Mark("storm", group=group),)
    return Event(
        f"e{number}",
        START + second * S,
        "db",
        "Failed",
        1,
        firing=True,
        fingerprint="db",
        marks=marks,
        observed=observed,
    )


def test_observed_events_are_no_reports_and_what_is_derived_of_them_is() -> None:
    first = FirstLevel(book(STORM))
    heard = first.advance([login(number, number) for number in range(3)], 0)
    assert heard == ([], [], [], [])
    assert first.due() is not None
    heard = first.expire(START + 10 * S)
    assert heard.outcomes == [Outcome.OPENED]
    assert [(change.change, change.class_, change.time_ms - START) for change in heard.transitions] == [
        ("opened", "LoginStorm", 2 * S)
    ]
    assert [type(news) for news in heard.news] == [Derived]
    heard = first.expire(START + 200 * S)
    assert heard.outcomes == [Outcome.RESOLVED]
    assert [change.change for change in heard.transitions] == ["resolved"]


def test_what_is_derived_goes_through_gates_and_over_a_restart() -> None:
    def held(event: Event) -> Event:
        return msgspec.structs.replace(event, marks=(Mark("h"),)) if event.firing else event

    rules = book(STORM, gates=(HOLD,))
    for restart in range(20):
        first = FirstLevel(rules, accept=held)
        told: list[tuple[str, int]] = []
        listed: list[str] = []
        saved: dict[bytes, bytes | None] = {}
        for step in range(20):
            heard = first.advance([login(step, step)], step) if step < 3 else first.expire(START + step * 10 * S)
            told += [(change.change, change.time_ms - START) for change in heard.transitions]
            listed += [news.state for news in heard.news if isinstance(news, Suppressed)]
            saved |= dict(first.changes())
            if step == restart:
                first = FirstLevel(rules, accept=held)
                first.restore((key, value) for key, value in saved.items() if value is not None)
        assert [change for change, _ in told] == ["opened", "resolved"], restart
        assert told[0][1] == 12 * S
        assert listed == ["withheld", "released"]


def test_what_belongs_to_other_partitions_is_handed_on() -> None:
    """Counted by user, raised for a CI that is kept elsewhere."""
    by_user = msgspec.structs.replace(STORM, group_by=("labels.user",), raises=Raise("LoginStorm", 3, ci="directory"))
    first = FirstLevel(book(by_user), owns=lambda text: text != "directory")
    first.advance([login(number, number, group="eve") for number in range(3)], 0)
    heard = first.expire(START + 10 * S)
    assert (heard.outcomes, heard.transitions) == ([], [])
    assert [(event.ci, event.class_, event.firing, event.observed) for _, event in heard.elsewhere] == [
        ("directory", "LoginStorm", True, False)
    ]


def test_what_rules_withhold_of_the_derived_is_told_and_is_no_report() -> None:
    first = FirstLevel(book(STORM), accept=lambda _event: Withheld("suppressed", "no-storms"))
    first.advance([login(number, number) for number in range(3)], 0)
    heard = first.expire(START + 10 * S)
    assert (heard.outcomes, heard.transitions) == ([], [])
    assert [type(news) for news in heard.news] == [Derived, Withheld]


def test_the_silence_of_the_expected_begins_with_the_first_time_that_is_known() -> None:
    beat = Heartbeat(rule="beat", key="beat", raises=Raise("Silent", 4), overdue_after=60 * S, expected=("db",))
    first = FirstLevel(book(beat))
    assert first.due() is None
    plain = Event("e0", START, "web", "Down", 3, firing=True, fingerprint="web")
    heard = first.advance([plain], 0)
    assert heard.outcomes == [Outcome.OPENED]
    assert first.expire(START + 60 * S).transitions == []
    assert [(change.ci, change.time_ms) for change in first.expire(START + 90 * S).transitions] == [
        ("db", START + 60 * S)
    ]
