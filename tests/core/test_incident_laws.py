"""Laws of the response stage under anything that situations, people and time may do, in any order."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from incidents import ESTATE, HOUR, MINUTE, SITUATION, START, Desk

from estates import LAW, randoms
from opsbridge.core.case import Case
from opsbridge.core.decisions import SituationUpdate, Status
from opsbridge.core.feedback import Feedback
from opsbridge.core.records import Incident, IncidentMembers, Notification
from opsbridge.core.response.lifecycle import LIFE_CYCLE, WORDS, Refused
from opsbridge.core.response.selection import Decision, ResponseSelection
from opsbridge.core.rulebook import Handling, Notify, ProblemWatch, Rulebook, Selection, Ticket

Deed = SituationUpdate | Feedback | int
"""News of a situation, what somebody says, or a time that comes."""


class Life(list[Deed]):
    """What happens, in order; short to read."""

    def __repr__(self) -> str:
        return "\n".join(map(_brief, self))


def _brief(deed: Deed) -> str:
    if isinstance(deed, int):
        return f"{(deed - START) / 1000:g}s"
    if isinstance(deed, SituationUpdate):
        what, joined = deed.situation, len(deed.moved.joined)
        again = f" again {what.reopened}" if what.reopened else ""
        at = f"{(deed.told_ms - START) / 1000:g}s"
        return f"{at} {what.id} v{what.version} {deed.part}/{deed.parts} {what.status} {what.severity} +{joined}{again}"
    return f"{deed.id} {type(deed).__name__} {getattr(deed, 'incident', '')}"


OTHERS = (SITUATION, "S-0000000000000002")


def answers(case: Case) -> Selection:
    """A bit of everything, that changes as the situation goes on."""
    return Selection(
        Handling("calm", "none") if case.situation.severity < 2 else Handling("loud", group="net"),
        (
            Ticket("rfc", "change", "replace {root.ci}"),
            *((Notify("tell", "boss"),) if case.situation.severity > 3 else ()),
            ProblemWatch("again", ("root.ci",), 2, HOUR),
        ),
    )


BOOK = Rulebook(respond=answers)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Two situations, that may open, go on, clear, close, begin again and merge, while people say this and that."""
    chance = draw(randoms)
    desk = Desk()
    status: dict[str, Status] = {}
    again: dict[str, int] = {}
    deeds = Life()
    closed_at: dict[str, int] = {}
    for number in range(chance.randint(1, 40)):
        desk.now += chance.choice((0, 1_000, MINUTE, 10 * MINUTE, HOUR // 2))
        name = chance.choice(OTHERS)
        match chance.choice(("news", "news", "word", "word", "word", "time")):
            case "time":
                deeds.append(desk.now)
            case "word":
                deeds.append(word(chance, name, number, desk.now))
            case "news" if status.get(name) != "merged":
                follows: tuple[Status, ...] = ("open", "open", "resolved")
                if status.get(name) == "resolved":
                    follows = ("open", "resolved", "closed")
                elif status.get(name) == "closed":
                    if desk.now - closed_at[name] > 10 * MINUTE:
                        continue  # forgotten
                    follows = ("open",)
                    again[name] = again.get(name, 0) + 1
                heir = next(other for other in OTHERS if other != name)
                if status.get(heir) == "open" and status.get(name) == "open" and chance.random() < 0.1:
                    follows = ("merged",)
                status[name] = chance.choice(follows)
                closed_at[name] = desk.now
                deeds += desk.update(
                    status[name],
                    name=name,
                    joined=chance.choice((0, 0, 1)),
                    cis=chance.choice((0, 0, 0, 300)),
                    severity=chance.choice(("info", "major", "critical")),
                    services=chance.choice((0, 3, 20)),
                    reopened=again.get(name, 0),
                    merged_into=heir if status[name] == "merged" else None,
                )
    return deeds


def word(chance: random.Random, name: str, number: int, now: int) -> Feedback:
    fields: dict[str, object] = {"id": f"said-{number}", "incident": "INC" + name[1:]}
    kind = chance.choice(WORDS)
    if kind == "snooze":
        fields["until"] = datetime.fromtimestamp((now + chance.choice((-MINUTE, MINUTE, HOUR))) / 1000, UTC)
    if kind == "assign" and chance.random() < 0.5:
        fields["group"] = "dba"
    return Desk.spoken(kind, **fields)


def did(stage: ResponseSelection, deed: Deed) -> list[Decision]:
    if isinstance(deed, int):
        return stage.expire(deed)
    if isinstance(deed, SituationUpdate):
        return stage.advance([deed])
    told = stage.heard(deed)
    return [] if isinstance(told, str) else told


def run(deeds: Life, between: Callable[[ResponseSelection], ResponseSelection] = lambda stage: stage) -> list[Decision]:
    stage = ResponseSelection(BOOK, ESTATE)
    told: list[Decision] = []
    for deed in deeds:
        told += did(stage, deed)
        stage = between(stage)
    return told + stage.expire(START + 40 * HOUR)


@LAW
@given(lives())
def test_no_incident_makes_a_step_that_the_table_does_not_have(deeds: Life) -> None:
    steps = {
        (status, end) for status, row in LIFE_CYCLE.items() for end in row.values() if not isinstance(end, Refused)
    }
    legal = steps | {(one, last) for one, middle in steps for start, last in steps if start == middle}
    newest: dict[str, Incident] = {}
    seen: set[str] = set()
    for each in run(deeds):
        if isinstance(each, Incident):
            before = newest.get(each.id)
            assert each.version == (1 if before is None else before.version + 1)
            if before is not None:
                assert (before.status, each.status) in legal
                assert each.reopened >= before.reopened
            if each.status in ("resolved", "closed", "merged"):
                assert (each.acknowledge_by, each.resolve_by, each.snoozed_until) == (None, None, None)
            assert (each.resolved is not None) or each.status not in ("resolved", "closed")
            assert len(each.history) <= 50
            newest[each.id] = each
        elif isinstance(each, Notification):
            assert each.id not in seen, "a notification is told once"
            seen.add(each.id)
            assert each.to
        elif isinstance(each, IncidentMembers):
            assert each.version <= newest[each.incident].version + 1 if each.incident in newest else each.version == 1


@LAW
@given(lives(), randoms)
def test_a_restart_at_any_point_changes_nothing(deeds: Life, chance: random.Random) -> None:
    saved: dict[bytes, bytes] = {}

    def between(stage: ResponseSelection) -> ResponseSelection:
        for key, value in stage.changes():
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = value
        if chance.random() < 0.5:
            return stage
        new = ResponseSelection(BOOK, ESTATE)
        new.restore(chance.sample(sorted(saved.items()), len(saved)))
        assert new.due() == stage.due()
        new.now = stage.now
        return new

    assert run(deeds, between) == run(deeds)


@LAW
@given(lives(), randoms)
def test_what_comes_twice_changes_nothing(deeds: Life, chance: random.Random) -> None:
    wanted = run(deeds)
    stage = ResponseSelection(BOOK, ESTATE)
    told: list[Decision] = []
    heard: list[Deed] = []
    for deed in deeds:
        answer = did(stage, deed) if isinstance(deed, int | SituationUpdate) else stage.heard(deed)
        if not isinstance(answer, str):
            told += answer
            heard.append(deed)
        again = chance.choice(heard[-5:]) if heard else 0
        if not isinstance(again, SituationUpdate) or stage.now - again.told_ms < HOUR:  # else it is forgotten
            assert did(stage, again) == []
    assert told + stage.expire(START + 40 * HOUR) == wanted


@LAW
@given(lives(), randoms)
def test_how_it_is_cut_in_batches_and_how_far_time_jumps_change_nothing(deeds: Life, chance: random.Random) -> None:
    """Times that only pass are left out, or come in between, as long as what people say comes at the same time."""
    stage = ResponseSelection(BOOK, ESTATE)
    wanted = run(deeds)
    told: list[Decision] = []
    batch: list[SituationUpdate] = []
    now = START
    for deed in deeds:
        if isinstance(deed, SituationUpdate):
            batch.append(deed)
            now = max(now, deed.told_ms)
            if chance.random() < 0.5:
                continue
        told += stage.advance(batch)
        batch = []
        if isinstance(deed, int):
            if chance.random() < 0.5:
                told += stage.expire(chance.randint(stage.now, max(deed, stage.now)))
            told += stage.expire(deed)
        elif not isinstance(deed, SituationUpdate):
            told += did(stage, deed)
    told += stage.advance(batch)
    assert told + stage.expire(START + 40 * HOUR) == wanted


@LAW
@given(lives())
def test_all_is_forgotten_in_the_end(deeds: Life) -> None:
    stage = ResponseSelection(BOOK, ESTATE)
    for deed in deeds:
        did(stage, deed)
    desk = Desk()
    desk._versions = dict.fromkeys(OTHERS, 100)
    for name in OTHERS:
        desk.now = max(stage.now, START)
        stage.advance(desk.update("closed", name=name, reopened=9))
    stage.expire(stage.now + 32 * 24 * HOUR)
    left: dict[bytes, bytes | None] = dict(stage.changes())
    assert (len(stage), stage.due(), [key for key, value in left.items() if value is not None]) == (0, None, [])
