"""Laws of auto-responses: whatever happens in whatever order, and however often a worker dies or hears things twice."""

import random
from collections.abc import Iterable

from automating import OUTCOMES, PROBE, UNDO, Desk, rule, save, situation_id
from hypothesis import given
from hypothesis import strategies as st
from test_automation_scenarios import check_ends, check_permits
from timetable import START

from estates import LAW, randoms
from opsbridge.core.coordination.news import Asked, Done, Granted
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.records import Response
from opsbridge.core.response.automation import Automation, Told
from opsbridge.core.response.loop import FORGET_AFTER_MS
from opsbridge.core.response.loop_state import FINAL
from opsbridge.core.rulebook import AutoResponse, BlastRadius, Limit

SITUATIONS = 4

Event = tuple[int, str, tuple[str, ...], int]
"""When, what, more about it, and the number of the situation."""


@st.composite
def rule_sets(draw: st.DrawFn) -> list[AutoResponse]:
    chance = draw(randoms)
    return [
        rule(
            name,
            requires=(lambda _: True) if chance.random() < 0.3 else None,
            approval_group=chance.choice(["", "", "leads"]),
            approval_ms=60_000,
            attempts=chance.randint(1, 3),
            retry_ms=chance.choice([1, 30_000]),
            verify=chance.choice(["cleared", "probe", "result"]),
            verify_ms=chance.choice([10_000, 60_000]),
            probe=chance.choice([None, PROBE, PROBE]),
            rollback=chance.choice([None, UNDO]),
            before_incident=chance.random() < 0.5,
            limits=BlastRadius(
                chance.choice([None, Limit(2, 60_000)]),
                chance.choice([None, Limit(3, 120_000)]),
                chance.choice([None, 2]),
            ),
        )
        for name in ("a", "b")[: chance.randint(1, 2)]
    ]


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Anything may happen at any time; situations mostly open first, and executors mostly answer."""
    chance = draw(randoms)
    now = START
    events: list[Event] = [(now, "open", (), number) for number in range(SITUATIONS)]
    news = ["open", "resolved", "resolved", "closed", "merged", "reopened"]
    reports = ["started", "started", *OUTCOMES, "succeeded", "failed", "failed"]
    rest = ["approve", "reject", "stop", "resume", "resume", "coordination", "answer", "-"]
    for _ in range(chance.randint(1, 50)):
        now += chance.choice([0, chance.randint(0, 5_000), chance.randint(0, 40_000)])
        what = chance.choice(chance.choice([news, reports, reports, reports, rest]))
        more = (chance.choice(["back", "back", "slow", "out"]),) if what == "coordination" else ()
        if what in reports and chance.random() < 0.2:
            more = (f"{chance.choice(['action', 'probe', 'rollback'])}:{chance.randint(1, 3)}",)
        events.append((now, what, more, chance.randrange(SITUATIONS)))
    return events


def play(desk: Desk, events: Iterable[Event]) -> Desk:
    """Executors report what was requested of them, or something that never is; not what will be."""
    for now, what, more, number in events:
        if what == "started" or what in OUTCOMES:
            tried = [each.idempotency_key for last in desk.responses(situation_id(number))[-1:] for each in last.tried]
            if not tried:
                continue
            if more and not any(key.endswith(more[0]) for key in tried):
                more = ("action:9",)
        desk.happens(now, what, *more, number=number)
    return desk


def end(desk: Desk) -> None:
    """Everything is waited for, and situations end: nothing is under way any more."""
    desk.happens(desk.now, "coordination", "back")
    for number in range(SITUATIONS):
        desk.happens(desk.now + 1, "closed", number=number)
    desk.time(desk.now + 3_600_000)


@LAW
@given(rule_sets(), lives(), st.integers(1, 6), st.booleans())
def test_every_response_ends_once_gives_its_permits_back_and_is_forgotten(
    rules: list[AutoResponse], events: list[Event], most: int, restarts: bool
) -> None:
    desk = play(Desk(*rules, policy=AutomationPolicy(concurrent=most), restarts=restarts), events)
    end(desk)
    last = [each for number in range(SITUATIONS) for each in desk.responses(situation_id(number))]
    assert last
    assert all(each.status in FINAL for each in last)
    check_ends(desk)
    if any(what == "coordination" for _, what, _, _ in events):  # answers that come late are given back once more
        granted = {each.permit for each in desk.answers if isinstance(each, Granted)}
        assert granted <= {each.permit for _, each in desk.told if isinstance(each, Done)}
    else:
        check_permits(desk)
    desk.time(desk.now + FORGET_AFTER_MS)
    assert (len(desk.automation), desk.automation.due()) == (0, None)


@LAW
@given(rule_sets(), lives(), st.integers(1, 6))
def test_restarts_change_nothing(rules: list[AutoResponse], events: list[Event], most: int) -> None:
    policy = AutomationPolicy(concurrent=most, per_hour=7)
    assert play(Desk(*rules, policy=policy, restarts=True), events).table() == (
        play(Desk(*rules, policy=policy), events).table()
    )


@LAW
@given(rule_sets(), lives(), st.integers(1, 6))
def test_never_is_more_under_way_than_allowed(rules: list[AutoResponse], events: list[Event], most: int) -> None:
    desk = play(Desk(*rules, policy=AutomationPolicy(concurrent=most)), events)
    undoing = {each.permit for _, each in desk.told if isinstance(each, Asked) and each.undo}
    under_way: set[str] = set()
    for each in desk.order:
        if isinstance(each, Granted) and each.permit not in undoing:
            under_way.add(each.permit)
        elif isinstance(each, Done):
            under_way.discard(each.permit)
        assert len(under_way) <= most


# workers that die


def hear_again(desk: Desk, chance: random.Random, *, whole: bool) -> tuple[dict[bytes, bytes], list[Told]]:
    """What is saved in the end, if the worker dies now and then, and what was told in all.

    `whole`: it dies after it has saved, but what it heard is heard again; else it dies while it saves.
    """
    saved: dict[bytes, bytes] = {}
    told: list[Told] = []
    again = Desk(*desk.rules)
    again.situations = desk.situations

    def expire(now: int) -> None:
        told.extend(again.automation.expire(now)[0])

    place, deaths = 0, 0
    while place < len(desk.heard):
        stop = min(len(desk.heard), place + chance.randint(1, 6))
        for now, heard, _ in desk.heard[place:stop]:
            expire(now)
            told += again.hear(heard)
        changes = again.automation.changes()
        dies = deaths < 10 and chance.random() < 0.5
        deaths += dies
        save(saved, changes[: chance.randint(0, len(changes))] if dies and not whole else changes)
        if dies:
            again.automation = Automation(again.respond)
            again.automation.restore(chance.sample(sorted(saved.items()), len(saved)))
        place = place if dies else stop
    expire(desk.now)
    save(saved, again.automation.changes())
    return saved, told


def undisturbed(rules: list[AutoResponse], events: list[Event]) -> tuple[Desk, dict[bytes, bytes]]:
    desk = play(Desk(*rules), events)
    saved: dict[bytes, bytes] = {}
    save(saved, desk.automation.changes())
    return desk, saved


@LAW
@given(rule_sets(), lives(), randoms)
def test_what_is_heard_again_changes_nothing(
    rules: list[AutoResponse], events: list[Event], chance: random.Random
) -> None:
    desk, wanted = undisturbed(rules, events)
    saved, told = hear_again(desk, chance, whole=True)
    assert saved == wanted
    assert requested(told) == requested(each for _, each in desk.told)


@LAW
@given(rule_sets(), lives(), randoms)
def test_a_worker_that_dies_while_it_saves_requests_nothing_twice(
    rules: list[AutoResponse], events: list[Event], chance: random.Random
) -> None:
    desk, wanted = undisturbed(rules, events)
    saved, told = hear_again(desk, chance, whole=False)
    assert saved.keys() == wanted.keys()
    assert requested(told) <= requested(each for _, each in desk.told)


def requested(told: Iterable[Told]) -> set[tuple[str, str]]:
    """Everything that executors were asked to do: key and action."""
    return {(each.idempotency_key, each.action) for each in told if isinstance(each, Response) and each.idempotency_key}
