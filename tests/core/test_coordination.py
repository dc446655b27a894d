"""Coordination: permits within their limits, stops, and problems; each law against a model that forgets nothing."""

import random
from collections.abc import Iterable, Sequence

import pytest
from automating import save, situation_id
from hypothesis import given
from hypothesis import strategies as st

from estates import LAW, randoms
from opsbridge.core.coordination.limits import EXPIRES_MS, HOUR_MS
from opsbridge.core.coordination.news import (
    Asked,
    BelongsTo,
    Counted,
    Denied,
    Done,
    Ended,
    Granted,
    Halted,
    News,
    Opened,
    ProblemClosed,
)
from opsbridge.core.coordination.stage import Coordination, Told
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.records import Problem
from opsbridge.core.rulebook import BlastRadius, Limit

MINUTE = 60_000
FREE = BlastRadius()
ALONE = BlastRadius(concurrent=1)


def asked(
    number: int,
    now: int,
    action: str = "restart",
    ci: str = "sw",
    limits: BlastRadius = FREE,
    undo: bool = False,
) -> Asked:
    permit = f"RSP-{number:016x}:action:1"
    return Asked(permit, situation_id(number), permit[:20], action, ci, now, limits, undo)


def done(number: int, now: int) -> Done:
    return Done(f"RSP-{number:016x}:action:1", now)


def answers(stage: Coordination, *news: News) -> list[str]:
    """`granted`, or why not."""
    return [each.reason if isinstance(each, Denied) else "granted" for each in stage.advance(news)]


def restarted(stage: Coordination, policy: AutomationPolicy | None = None) -> Coordination:
    new = Coordination(policy)
    new.restore([(key, value) for key, value in stage.changes() if value is not None])
    return new


# limits


def test_so_many_on_a_ci_of_an_action_and_in_all() -> None:
    stage = Coordination(AutomationPolicy(per_hour=4))
    limits = BlastRadius(Limit(1, MINUTE), Limit(2, MINUTE))
    assert answers(stage, asked(1, 0, ci="a", limits=limits), asked(2, 0, ci="a", limits=limits)) == [
        "granted",
        "per_ci",
    ]
    assert answers(stage, asked(3, 0, ci="b", limits=limits), asked(4, 0, ci="c", limits=limits)) == [
        "granted",
        "per_action",
    ]
    assert answers(stage, asked(5, 0, "other", ci="c", limits=limits)) == ["granted"]
    assert answers(stage, asked(6, MINUTE - 1, ci="a", limits=limits)) == ["per_ci"]
    assert answers(stage, asked(7, MINUTE, ci="a", limits=limits)) == ["granted"]
    assert answers(stage, asked(8, MINUTE, "third")) == ["per_hour"]
    assert answers(stage, asked(9, HOUR_MS, "third")) == ["granted"]


def test_so_many_under_way_until_they_are_given_back() -> None:
    stage = Coordination(AutomationPolicy(concurrent=3))
    assert answers(stage, asked(1, 0, limits=ALONE), asked(2, 0, limits=ALONE)) == ["granted", "concurrent"]
    assert answers(stage, done(1, 5), asked(3, 5, limits=ALONE)) == ["granted"]
    assert answers(stage, asked(4, 6, "b"), asked(5, 6, "c"), asked(6, 6, "d")) == ["granted", "granted", "concurrent"]
    assert answers(stage, done(2, 7), done(99, 7), done(1, 7), asked(7, 7, "d")) == ["concurrent"]
    (denied,) = stage.advance([asked(7, 8, "d")])
    assert isinstance(denied, Denied)
    assert denied.detail == "all auto-responses: 3 under way of at most 3"


def test_the_same_permit_gets_the_same_answer() -> None:
    stage = Coordination(AutomationPolicy(per_hour=1))
    first = stage.advance([asked(1, 0), asked(2, 0)])
    stage.advance([done(1, 9)])
    for again in (stage, restarted(stage, AutomationPolicy())):
        assert again.advance([asked(1, 10), asked(2, 10)]) == first
    stage.expire(HOUR_MS + 9)
    assert answers(stage, asked(2, 0)) == ["granted"], "forgotten after an hour"


def test_a_permit_that_nobody_gives_back_expires() -> None:
    stage = Coordination(AutomationPolicy(concurrent=1))
    assert answers(stage, asked(1, 0), asked(2, EXPIRES_MS - 1), asked(3, EXPIRES_MS)) == [
        "granted",
        "concurrent",
        "granted",
    ]


def test_a_stop_holds_until_somebody_resumes() -> None:
    stage = Coordination()
    assert answers(stage, asked(1, 0), Halted(True, "f1", "ann", 5), asked(2, 6), asked(3, 6, undo=True)) == [
        "granted",
        "stopped",
        "stopped",
    ]
    stage = restarted(stage)
    assert stage.stopped
    (denied,) = stage.advance([asked(4, 7)])
    assert isinstance(denied, Denied)
    assert denied.detail == "ann has stopped all automation at 1970-01-01T00:00:00.005Z"
    assert answers(stage, Halted(False, "f2", "ben", 8), asked(5, 8), Halted(True, "f1", "ann", 5), asked(6, 9)) == [
        "granted",
        "granted",
    ], "the same stop, told again, does not stop it again"
    assert not stage.stopped


def test_undoing_is_not_limited_and_counts_nowhere() -> None:
    stage = Coordination(AutomationPolicy(per_hour=1, concurrent=1))
    once = BlastRadius(per_ci=Limit(1, MINUTE), concurrent=1)
    assert answers(
        stage, asked(1, 0, undo=True, limits=once), asked(2, 0, limits=once), asked(3, 0, undo=True, limits=once)
    ) == [
        "granted",
        "granted",
        "granted",
    ]
    assert answers(Coordination(AutomationPolicy(enabled=False)), asked(1, 0, undo=True)) == ["disabled"]


def test_a_window_looks_back_as_far_as_the_longest_rule_of_the_action() -> None:
    """A rule that looks back for a day counts what one that looks back for a minute did."""
    stage = Coordination()
    day = BlastRadius(per_action=Limit(1, 24 * HOUR_MS))
    assert answers(
        stage,
        asked(1, 0, limits=day),
        asked(2, 1, limits=BlastRadius(per_action=Limit(9, MINUTE))),
        done(1, 2),
        done(2, 2),
    ) == [
        "granted",
        "granted",
    ]
    stage = restarted(stage)
    assert answers(stage, asked(3, 24 * HOUR_MS, limits=day)) == ["per_action"]
    assert answers(stage, asked(4, 24 * HOUR_MS + 1, limits=day)) == ["granted"]


def test_what_was_given_back_counts_in_its_window_for_as_long_as_that_is() -> None:
    stage = Coordination()
    two_days = BlastRadius(per_ci=Limit(1, 48 * HOUR_MS))
    assert answers(stage, asked(1, 0, limits=two_days), done(1, 5), asked(2, 47 * HOUR_MS, limits=two_days)) == [
        "granted",
        "per_ci",
    ]
    assert answers(stage, asked(3, 48 * HOUR_MS, limits=two_days)) == ["granted"]


def test_what_counts_no_more_is_forgotten() -> None:
    stage = Coordination()
    stage.advance([asked(number, number) for number in range(20)])
    assert len(stage) == 20
    saved: dict[bytes, bytes] = {}
    save(saved, stage.changes())
    stage.advance([done(number, 100) for number in range(20)])
    due = stage.due()
    assert due is not None
    stage.expire(EXPIRES_MS + 3 * HOUR_MS)
    save(saved, stage.changes())
    assert (len(stage), stage.due(), saved) == (0, None, {})


class Model:
    """Limits as their description says, by looking at everything that was ever asked."""

    def __init__(self, policy: AutomationPolicy) -> None:
        self.policy = policy
        self.now = 0
        self.stopped = False
        self.known: dict[str, str] = {}
        self.granted: list[tuple[int, Asked]] = []
        self.back: set[str] = set()

    def under_way(self, action: str | None) -> int:
        return sum(
            each.permit not in self.back and action in (None, each.action) and time + EXPIRES_MS > self.now
            for time, each in self.granted
        )

    def within(self, limit: Limit, action: str | None, ci: str | None) -> bool:
        return limit.times > sum(
            time > self.now - limit.within_ms and action in (None, each.action) and ci in (None, each.ci)
            for time, each in self.granted
        )

    def answer(self, news: Asked) -> str:
        if news.permit not in self.known:
            self.known[news.permit] = self.fresh(news)
            if self.known[news.permit] == "granted" and not news.undo:
                self.granted.append((self.now, news))
        return self.known[news.permit]

    def fresh(self, news: Asked) -> str:
        limits = news.limits
        if self.stopped:
            return "stopped"
        if news.undo:
            return "granted"
        if limits.per_ci and not self.within(limits.per_ci, news.action, news.ci):
            return "per_ci"
        if limits.per_action and not self.within(limits.per_action, news.action, None):
            return "per_action"
        if not self.within(Limit(self.policy.per_hour, HOUR_MS), None, None):
            return "per_hour"
        if limits.concurrent is not None and self.under_way(news.action) >= limits.concurrent:
            return "concurrent"
        return "concurrent" if self.under_way(None) >= self.policy.concurrent else "granted"


@LAW
@given(randoms, st.integers(1, 8), st.integers(1, 5))
def test_answers_are_those_of_the_model(chance: random.Random, per_hour: int, concurrent: int) -> None:
    policy = AutomationPolicy(per_hour=per_hour, concurrent=concurrent)
    model, stage = Model(policy), Coordination(policy)
    saved: dict[bytes, bytes] = {}
    limits = {
        action: BlastRadius(
            chance.choice([None, Limit(chance.randint(1, 3), chance.choice([MINUTE, 3 * HOUR_MS]))]),
            chance.choice([None, Limit(chance.randint(1, 4), chance.choice([MINUTE, 3 * HOUR_MS]))]),
            chance.choice([None, 1, 2]),
        )
        for action in "ab"
    }
    now, gap = 0, chance.choice([MINUTE // 4, 20 * MINUTE, 5 * HOUR_MS])
    for number in range(chance.randint(1, 60)):
        now += chance.choice([0, 0, chance.randint(0, gap)])
        time = max(0, now - chance.choice([0, 0, chance.randint(0, 30_000)]))  # lanes that are behind
        model.now = max(model.now, time)
        before = number - chance.randint(0, min(8, 55 * MINUTE // gap))  # what was asked an hour ago may be forgotten
        match chance.choice(["ask", "ask", "ask", "done", "done", "halt"]):
            case "ask":
                again = max(0, before) if chance.random() < 0.2 else number
                action = "ab"[again % 2]
                undo = again % 11 == 0
                news = Asked(
                    f"p{again}", situation_id(again), "RSP-1", action, f"ci{again % 3}", time, limits[action], undo
                )
                assert answers(stage, news) == [model.answer(news)]
            case "done":
                permit = f"p{chance.randint(0, number)}"
                assert stage.advance([Done(permit, time)]) == []
                if permit in model.known:
                    model.back.add(permit)
            case _:
                model.stopped = chance.random() < 0.3
                assert stage.advance([Halted(model.stopped, f"f{number}", "ann", time)]) == []
        assert model.under_way(None) <= concurrent
        if chance.random() < 0.2:
            save(saved, stage.changes())
            stage = Coordination(policy)
            stage.restore(chance.sample(sorted(saved.items()), len(saved)))
            stage.expire(model.now)


# problems


def opened(number: int, now: int, again: int = 0, times: int = 3, within: int = HOUR_MS, same: str = "sw") -> Opened:
    counted = Counted("again", (same,), times, within, "", "network", "noc")
    name = situation_id(number)
    return Opened(name, "INC" + name[1:], same, "Down", now, now, again, (counted,))


def problems(told: Iterable[Told]) -> list[str]:
    return [
        f"{each.status} v{each.version} {each.count}: {' '.join(str(int(name[-4:], 16)) for name in each.incidents)}"
        if isinstance(each, Problem)
        else f"{int(each.situation[-4:], 16)} belongs"
        for each in told
        if isinstance(each, Problem | BelongsTo)
    ]


def test_the_third_within_an_hour_opens_a_problem_and_those_that_follow_belong_to_it() -> None:
    stage = Coordination()
    assert stage.advance([opened(1, 0), opened(2, 40 * MINUTE), opened(3, 61 * MINUTE)]) == []
    assert problems(stage.advance([opened(3, 62 * MINUTE)])) == [], "told twice, counted once"
    told = stage.advance([opened(4, 70 * MINUTE)])
    assert problems(told) == ["open v1 3: 2 3 4", "2 belongs", "3 belongs", "4 belongs"]
    (problem,) = [each for each in told if isinstance(each, Problem)]
    assert problem.title == "sw fails again and again"
    assert (problem.category, problem.group) == ("network", "noc")
    assert problem.because == ("rule again: 3 times within 1h with the same sw",)
    stage = restarted(stage)
    assert problems(stage.advance([opened(5, 500 * MINUTE)])) == ["open v2 4: 2 3 4 5", "5 belongs"]
    assert problems(stage.advance([opened(5, 501 * MINUTE)])) == ["5 belongs"]
    assert problems(stage.advance([opened(5, 502 * MINUTE, again=1)])) == ["open v3 4: 2 3 4 5", "5 belongs"]


def test_a_closed_problem_is_followed_by_another_one() -> None:
    stage = Coordination()
    first = next(each for each in stage.advance([opened(n, n) for n in (1, 2, 3)]) if isinstance(each, Problem))
    assert stage.advance([ProblemClosed("PRB-0000000000000000", "f0", "ann", 3)]) == []
    closing = ProblemClosed(first.id, "f1", "ann", 4)
    told = stage.advance([closing])
    assert problems(told) == ["closed v2 3: 1 2 3"]
    assert stage.advance([closing]) == []
    assert problems(stage.advance([opened(3, 5)])) == ["3 belongs"], "it still does"
    stage.expire(10 * HOUR_MS)
    stage = restarted(stage)
    assert stage.advance([opened(n, 10 * HOUR_MS + n) for n in (4, 5)]) == [], "what it had does not count again"
    second = next(each for each in stage.advance([opened(6, 10 * HOUR_MS + 6)]) if isinstance(each, Problem))
    assert (second.version, second.incidents[0][-1]) == (1, "4")
    assert second.id != first.id


def test_what_a_closed_problem_had_does_not_count_for_the_next() -> None:
    stage = Coordination()
    problem = next(each for each in stage.advance([opened(n, n) for n in (1, 2, 3)]) if isinstance(each, Problem))
    stage.advance([ProblemClosed(problem.id, "f1", "ann", 4)])
    stage = restarted(stage)
    assert stage.advance([opened(4, 5), opened(5, 6)]) == []
    assert problems(stage.advance([opened(6, 7)])) == ["open v1 3: 4 5 6", "4 belongs", "5 belongs", "6 belongs"]


def test_exactly_within_the_time_is_within_it() -> None:
    assert problems(Coordination().advance([opened(1, 0, times=2), opened(2, HOUR_MS, times=2)])) != []
    assert problems(Coordination().advance([opened(1, 0, times=2), opened(2, HOUR_MS + 1, times=2)])) == []


def test_lanes_that_are_behind_count_and_take_in_what_came_before_them() -> None:
    stage = Coordination()
    assert stage.advance([opened(1, 0), opened(2, 40 * MINUTE), opened(3, 70 * MINUTE)]) == []
    stage.expire(100 * MINUTE)
    told = problems(stage.advance([opened(4, 50 * MINUTE)]))
    assert told == ["open v1 4: 1 2 4 3", "1 belongs", "2 belongs", "4 belongs", "3 belongs"]
    stage = Coordination()
    stage.advance([opened(1, 0, times=2), opened(2, 50 * MINUTE, same="r", times=2)])
    stage.advance([opened(3, 50 * MINUTE, times=9)])
    stage.expire(120 * MINUTE)
    assert problems(stage.advance([opened(4, 55 * MINUTE, times=2)])) == ["open v1 2: 3 4", "3 belongs", "4 belongs"]


def test_a_problem_names_its_newest_hundred() -> None:
    stage = Coordination()
    told = stage.advance([opened(n, n) for n in range(250)])
    last = [each for each in told if isinstance(each, Problem)][-1]
    assert (len(last.incidents), last.count, int(last.incidents[-1][-4:], 16)) == (100, 250, 249)


def test_what_a_storm_leaves_of_one_rule_is_bounded() -> None:
    stage = Coordination()
    stage.advance([opened(n, n) for n in range(2_000)])
    (entry,) = [value for key, value in stage.changes() if key.startswith(b"o:")]
    assert entry is not None
    assert len(entry) < 60_000
    assert problems(stage.advance([opened(2_000, 2_000, times=1_000)]))[0].startswith("open v1999 2001:")


def test_what_never_came_to_a_problem_is_forgotten() -> None:
    stage = Coordination()
    stage.advance([opened(n, n, same=f"ci{n}") for n in range(5)])
    stage.expire(40 * 24 * HOUR_MS)
    assert (len(stage), stage.due()) == (0, None)


@LAW
@given(randoms, st.integers(1, 4))
def test_a_problem_opens_when_there_are_enough_within_the_time_in_whatever_order(
    chance: random.Random, times: int
) -> None:
    openings = [opened(n, chance.randint(0, 4 * HOUR_MS), times=times) for n in range(chance.randint(1, 12))]
    openings.sort(key=lambda each: each.now_ms + chance.randint(0, 10 * MINUTE))  # lanes differ
    openings = [each for each in openings for _ in range(chance.choice([1, 1, 2]))]
    stage, told = Coordination(), list[Told]()
    heard: list[Opened] = []
    saved: dict[bytes, bytes] = {}
    for news in openings:
        heard.append(news)
        told += stage.advance([news])
        assert any(isinstance(each, Problem) for each in told) == enough(heard, times)
        save(saved, stage.changes())
        if chance.random() < 0.3:
            stage = Coordination()
            stage.restore(chance.sample(sorted(saved.items()), len(saved)))
    versions = [each for each in told if isinstance(each, Problem)]
    assert [each.version for each in versions] == [*range(1, len(versions) + 1)]
    assert len({each.id for each in versions}) <= 1
    if versions:
        belong = {each.situation for each in told if isinstance(each, BelongsTo)}
        assert {"S" + name[3:] for name in versions[-1].incidents} == belong
        assert len(versions[-1].incidents) == versions[-1].count >= times


def enough(heard: Sequence[Opened], times: int) -> bool:
    moments = sorted({each.situation: each.now_ms for each in heard}.values())
    return any(sum(0 <= time - first <= HOUR_MS for time in moments) >= times for first in moments)


def test_all_kinds_of_news_are_heard_and_due_is_the_first_of_all() -> None:
    stage = Coordination()
    assert stage.due() is None
    assert stage.advance([Ended(situation_id(1), "sw", 0, 5)]) == []
    stage.advance([asked(1, 10), opened(1, 20)])
    assert (stage.now, stage.due()) == (20, 20 + 2 * HOUR_MS)


@pytest.mark.parametrize("kind", [Granted, Denied])
def test_answers_name_the_situation_and_the_response(kind: type[Granted | Denied]) -> None:
    stage = Coordination(AutomationPolicy(enabled=kind is Granted))
    (answer,) = stage.advance([asked(7, 3)])
    assert isinstance(answer, kind)
    assert (answer.situation, answer.response, answer.now_ms) == (situation_id(7), "RSP-0000000000000007", 3)
