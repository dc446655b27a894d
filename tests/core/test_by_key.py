"""Alerts that are kept by their key: who says nothing but the key still resolves them, whichever partition it is."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

import msgspec
import pytest
from deriving import event_count, named
from hypothesis import given
from timetable import FAR

from estates import CLASSES, LAW, randoms
from opsbridge.core.decisions import Expired, Outcome, Reject, Rejected, Transition
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.alert import Heard
from opsbridge.core.first_level.level import WAIT_FOR_FIRING_MS, FirstLevel
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import Hold, Rulebook
from opsbridge.core.sharing import copies

START: Final = 1_790_000_000_000
GRAPH: Final = CIGraph([CI("web"), CI("db")], [(0, 1)], aliases={"www": 0})


def report(name: str, second: float = 0, **fields: Any) -> Report:  # Any: whatever a report may have
    """A firing one on `web`, unless the fields say something else."""
    said: dict[str, Any] = {
        "ci": "web",
        "class_": "Down",
        "state": "firing",
        "severity": "major",
        "fingerprint": "77",
        "by_key": True,
    }
    return Report(id=name, time=datetime.fromtimestamp(START / 1000 + second, UTC), **said | fields)


def over(name: str, second: float, **fields: Any) -> Report:
    """A resolution that says nothing but the key."""
    return report(name, second, **{"ci": "", "class_": "", "state": "resolved", "severity": None} | fields)


def told(pipeline: Pipeline, *reports: Report) -> list[tuple[str, str, str, bool]]:
    decisions = pipeline.advance(reports, FAR)
    return [(each.change, each.ci, each.class_, each.known_ci) for each in decisions if isinstance(each, Transition)]


def test_a_resolution_that_names_nothing_else_resolves_the_alert_of_its_key() -> None:
    pipeline = Pipeline(GRAPH)
    assert told(pipeline, report("a", ci="www"), over("b", 5)) == [
        ("opened", "web", "Down", True),
        ("resolved", "web", "Down", True),
    ]
    pipeline.finish()
    assert pipeline.accounts.places == {("alert", Outcome.OPENED): 1, ("alert", Outcome.RESOLVED): 1}


@pytest.mark.parametrize("said", [{}, {"ci": "db"}, {"class_": "Slow"}])
def test_one_that_comes_first_waits_and_the_firing_says_what_it_did_not(said: dict[str, str]) -> None:
    pipeline = Pipeline(GRAPH)
    assert told(pipeline, over("b", 5, **said)) == []
    assert pipeline.accounts.places == {("alert", Outcome.WAITING): 1}
    named_by = said.get("ci", "web"), said.get("class_", "Down"), True
    assert told(pipeline, report("a", 1)) == [("opened", *named_by), ("resolved", *named_by)]


def test_one_whose_firing_never_comes_expires() -> None:
    pipeline = Pipeline(GRAPH)
    pipeline.advance([over("b", 0)], FAR)
    decisions = pipeline.expire(START + WAIT_FOR_FIRING_MS + 1)
    assert Expired("77", 1) in decisions
    assert pipeline.accounts.balanced()
    assert pipeline.accounts.places["expired", "resolution_without_problem"] == 1


def test_a_firing_that_a_rule_holds_back_is_resolved_by_its_key_too() -> None:
    """Also where the resolution came first: what is told of the alert then is told with its CI."""
    held = Rulebook(
        gates={"hold": Hold(rule="hold", for_ms=60_000)},
        prepare=lambda event, _ci: msgspec.structs.replace(event, marks=(Mark("hold"),)) if event.firing else event,
    )
    for order in ([report("a", 0), over("b", 5)], [over("b", 5), report("a", 0)]):
        pipeline = Pipeline(GRAPH, held)
        pipeline.advance(order, FAR)
        decisions = pipeline.finish()
        assert pipeline.accounts.balanced()
        assert [each.ci for each in decisions if isinstance(each, Transition)] == ["web"] * sum(
            isinstance(each, Transition) for each in decisions
        )


def test_rules_that_say_what_an_alert_is_do_not_say_it_of_one_with_a_key_of_its_own() -> None:
    book = Rulebook(prepare=lambda event, _ci: msgspec.structs.replace(event, fingerprint=f"\x1f{event.ci}"))
    intake = Intake(GRAPH, book)
    firing, resolved = (intake.accept(each, FAR) for each in (report("a"), over("b", 1)))
    assert isinstance(firing, Event)
    assert isinstance(resolved, Event)
    assert (firing.fingerprint, resolved.fingerprint) == ("77", "77")
    other = intake.accept(report("c", by_key=False), FAR)
    assert isinstance(other, Event)
    assert other.fingerprint == "\x1fweb"


@pytest.mark.parametrize(
    ("lacking", "detail"),
    [
        (report("a", ci=""), "Object missing required field `ci`"),
        (report("a", class_=""), "Object missing required field `class`"),
        (over("b", 0, by_key=False), "Object missing required field `ci`"),
        (over("b", 0, by_key=False, ci="web"), "Object missing required field `class`"),
        (over("b", 0, fingerprint=None), "a resolution by key needs the fingerprint, or CI and class"),
    ],
)
def test_nothing_else_may_lack_its_ci_or_class(lacking: Report, detail: str) -> None:
    answer = Intake(GRAPH).accept(lacking, FAR)
    assert isinstance(answer, Rejected)
    assert answer.reason == Reject.INVALID_FIELD
    assert answer.detail.startswith(detail)


def test_an_alert_with_ci_and_class_and_no_key_is_kept_by_these() -> None:
    pipeline = Pipeline(GRAPH)
    both = report("a", fingerprint=None), over("b", 1, fingerprint=None, ci="www", class_="Down")
    assert [change for change, *_ in told(pipeline, *both)] == ["opened", "resolved"]


# several partitions

PARTITIONS: Final = 4
STORM: Final = named(event_count(2, "20s", "5s"), "storm", group_by=("ci",))
BOOK: Final = Rulebook(derivations={STORM.key: STORM})


def owner(text: str) -> int:
    return crc32(text.encode()) % PARTITIONS


class Partitions:
    """First levels that share the events as workers do, all of them at one time."""

    def __init__(self, partitions: int) -> None:
        self._count = partitions
        self._levels = [
            FirstLevel(BOOK, owns=lambda text, number=number: owner(text) % partitions == number)  # type: ignore[misc]
            for number in range(partitions)
        ]
        self._places = [0] * partitions
        self._saved: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
        self.heard: list[Heard] = []

    def hear(self, event: Event) -> None:
        self._send(copies(event, BOOK) if event.marks else [(event.home, event)])
        self.expire(max(level.now for level in self._levels))

    def expire(self, now: int) -> None:
        for level in self._levels:
            self._took(level.expire(now))

    def _send(self, shared: Iterable[tuple[str, Event]]) -> None:
        for text, event in shared:
            number = owner(text) % self._count
            self._places[number] += 1
            self._took(self._levels[number].advance([event], self._places[number]))

    def _took(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._send(heard.elsewhere)

    def restart(self, number: int) -> None:
        """One of them goes and comes back with what it saved."""
        number %= self._count
        for key, value in self._levels[number].changes():
            if value is None:
                self._saved[number].pop(key, None)
            else:
                self._saved[number][key] = value
        level = FirstLevel(BOOK, owns=lambda text: owner(text) % self._count == number)
        level.restore(self._saved[number].items())
        level.now = max(level.now, *(each.now for each in self._levels))
        self._levels[number] = level

    def told(self) -> list[Transition]:
        """What is told of alerts; places are each partition's own."""
        found = [msgspec.structs.replace(each, position=0) for heard in self.heard for each in heard.transitions]
        return sorted(
            found, key=lambda each: (each.fingerprint, each.now_ms, each.occurrence, each.time_ms, each.change)
        )

    def outcomes(self) -> list[str]:
        return sorted(str(outcome) for heard in self.heard for outcome in heard.outcomes)


def happened(chance: random.Random) -> list[Event]:
    """Reports of alerts by key, with marks of a rule that counts by CI."""
    intake = Intake(GRAPH)
    clock, events = START, []
    for number in range(chance.choice((5, 20, 40))):
        clock += chance.choice((0, 100, 1_000, 4_000, 30_000, 70_000))
        key, resolved = chance.randrange(5), chance.random() < 0.4
        made = (over if resolved else report)(
            f"e{number}", (clock - START - chance.choice((0, 0, 3_000))) / 1000, fingerprint=f"p{key}"
        )
        if not resolved or chance.random() < 0.3:
            ci = chance.choice(("web", "www", "db", "ghost"))
            made = msgspec.structs.replace(made, ci=ci, class_=CLASSES[key])
        event = intake.accept(made, FAR)
        assert isinstance(event, Event)
        if event.ci and chance.random() < 0.7:
            event = msgspec.structs.replace(event, marks=(Mark(STORM.key, 0, event.ci),))
        events.append(event)
    return events


@LAW
@given(randoms)
def test_partitions_and_restarts_make_no_difference_to_alerts_by_key(chance: random.Random) -> None:
    alone, shared = Partitions(1), Partitions(PARTITIONS)
    for event in happened(chance):
        for partitions in (alone, shared):
            partitions.hear(event)
        if chance.random() < 0.2:
            shared.restart(chance.randrange(PARTITIONS))
    for partitions in (alone, shared):
        partitions.expire(START + 10**8)
    assert shared.told() == alone.told()
    assert shared.outcomes() == alone.outcomes()
