"""While a situation holds on to what has gone from the graph: how its lane goes on, and what that costs it."""

from datetime import datetime
from typing import Final

from timetable import FAR, PROFILES, Severity

from opsbridge.core.decisions import ChangeOf, SituationUpdate, Transition
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.level import SecondLevel

START: Final = 1_790_000_000_000
STORM: Final = 150
"""More CIs than are explained whole at once."""


def graph(*, edge: bool) -> CIGraph:
    """A service and its database, a hub with many dependents, and one CI more."""
    cis = [CI("db"), CI("svc"), CI("lone"), CI("hub"), *(CI(f"leaf{number}") for number in range(STORM))]
    edges = [(number, 3) for number in range(4, len(cis))]
    found = CIGraph(cis, [*edges, (1, 0)] if edge else edges)
    found.passing = {1: False} if edge else {}
    return found


class Lane:
    """A second level whose changes are saved as a worker saves them."""

    def __init__(self) -> None:
        self.second, self.saved = SecondLevel(graph(edge=True)), dict[bytes, bytes]()
        self.position = 0

    def hear(self, second: int, *changes: tuple[ChangeOf, str]) -> None:
        now = START + second * 1000
        self.second.advance([self.told(change, ci, now) for change, ci in changes])
        self.save()

    def told(self, change: ChangeOf, ci: str, now: int) -> Transition:
        self.position = at = self.position + 1
        return Transition(change, ci, ci, "Down", 4, now, now, now, at, at, f"e{at}", known_ci=True, count=1)

    def save(self) -> None:
        for key, value in self.second.changes():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value

    def begin_anew(self, now: CIGraph) -> None:
        self.second = SecondLevel(now)
        self.second.restore(self.saved.items())

    def pass_time(self, until: int, step: int) -> None:
        while self.second.now < START + until * 1000:
            self.second.expire(min(self.second.now + step * 1000, START + until * 1000))
            self.save()


def holding() -> Lane:
    """An open situation holds on to a dependency that is gone."""
    lane = Lane()
    lane.hear(0, ("opened", "db"), ("opened", "svc"))
    lane.pass_time(30, 1)
    lane.begin_anew(graph(edge=False))
    assert lane.second.graph.edges == STORM + 1
    return lane


def test_letting_go_does_not_turn_back_the_clock() -> None:
    def let_go(step: int) -> dict[bytes, bytes]:
        lane = holding()
        lane.hear(40, ("resolved", "db"), ("resolved", "svc"))
        lane.hear(300, ("opened", "hub"), *(("opened", f"leaf{number}") for number in range(STORM)))
        lane.pass_time(1_000, step)
        assert lane.second.graph.edges == STORM, "nobody holds on to it any more"
        return lane.saved

    assert let_go(step=700) == let_go(step=1)


def test_what_is_over_is_not_remembered_for_as_long_as_something_is_held_on_to() -> None:
    lane = holding()
    for round_ in range(5):
        begin = 1_000 + round_ * 20_000
        lane.hear(begin, ("opened", f"leaf{round_}"))
        lane.hear(begin + 60, ("resolved", f"leaf{round_}"))
        lane.pass_time(begin + 19_000, 600)
    assert lane.second.graph.edges == STORM + 1, "the first situation is still open"
    assert lane.second._saved == lane.saved


def report(at: str, ci: str, class_: str, severity: Severity, fingerprint: str | None = None) -> Report:
    time = datetime.fromisoformat(f"2026-09-21T{at}+00:00")
    return Report(id=at, time=time, ci=ci, class_=class_, state="firing", severity=severity, fingerprint=fingerprint)


def test_a_ci_that_was_held_on_to_and_unknown_at_once_is_one_when_it_is_let_go() -> None:
    cis = [CI("core"), CI("edge"), CI("db"), CI("shop")]
    before, after = CIGraph(cis, [(2, 0), (3, 0), (3, 2)]), CIGraph([*cis[:2], cis[3]])
    before.passing, after.passing = dict.fromkeys(range(4), True), dict.fromkeys(range(3), True)
    pipeline = Pipeline(before, Rulebook(profiles=PROFILES))
    pipeline.advance([report("14:13:22", "db", "Down", "critical")], FAR)
    pipeline.advance([report("15:16:05", "db", "Odd", "minor")], FAR)
    pipeline = pipeline.reloaded(pipeline.intake.book, after)
    pipeline.advance([report("15:15:37", "db", "Odd", "warning", "another")], FAR)
    pipeline.advance([report("15:16:09", "db", "Down", "critical")], FAR)
    told = pipeline.advance([report("20:00:00", "ghost", "Slow", "minor")], FAR) + pipeline.finish()
    statuses = {each.situation.id: each.situation.status for each in told if isinstance(each, SituationUpdate)}
    assert len(statuses) > 1
    assert {situation.state.root for situation in pipeline.second.situations} == {"db", "ghost"}
