"""Change records at work: their windows withhold alerts, and what was just changed is more readily the root."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gates import Play, at, since

from opsbridge.core.classes import Nature, Profile, Profiles
from opsbridge.core.context import ChangeRecord, Context
from opsbridge.core.decisions import ChangeOf, RecentChange, Situation, SituationUpdate, Transition
from opsbridge.core.explain.because import explain
from opsbridge.core.explain.trial import Scene, Trial
from opsbridge.core.first_level.level import FirstLevel
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.rulebook import Gate, Hold, Maintenance, Rulebook
from opsbridge.core.second_level.backbone import Backbone
from opsbridge.core.second_level.evidence import Alerting, Evidence
from opsbridge.core.second_level.level import SecondLevel
from opsbridge.core.weights import NAT, Weights

PLANNED = Maintenance(rule="m", windows=(), changes=True)  # type: ignore[arg-type] # counts for nothing
SECOND, MINUTE = 1_000, 60_000


def change(
    begins: str,
    ends: str | None = None,
    *,
    cis: tuple[str, ...] = ("db",),
    name: str = "CHG-1",
    suppresses: bool = True,
) -> ChangeRecord:
    """A change of which times are as in timetables."""

    def time(text: str) -> datetime:
        return datetime.fromtimestamp(at(text) / 1000, UTC)

    end = None if ends is None else time(ends)
    return ChangeRecord(id=name, cis=cis, title="New disks", begins=time(begins), ends=end, suppresses=suppresses)


class Changing(Play):
    """A play with change records."""

    def __init__(self, *gates: Gate, known: Iterable[ChangeRecord] = ()) -> None:
        super().__init__(*gates)
        self.book = Rulebook(gates={gate.rule: gate for gate in gates})
        self.context = Context()
        self.learn(*known)
        self.first = FirstLevel(self.book, context=self.context)

    def hear(self, timetable: str) -> "Changing":
        super().hear(timetable)
        return self

    def learn(self, *records: ChangeRecord) -> "Changing":
        for record in records:
            self.context.learn(record)
        return self

    def withdraw(self, name: str = "CHG-1") -> "Changing":
        self.context.forget(name)
        return self

    def restart(self) -> "Changing":
        """Go on from what was saved, with a context that has learned everything anew."""
        self._saved |= dict(self.first.changes())
        self.first = FirstLevel(self.book, context=self.context)
        self.first.restore((key, value) for key, value in self._saved.items() if value is not None)
        return self


# windows


def test_alerts_that_begin_in_a_window_are_withheld_until_it_ends() -> None:
    play = Changing(PLANNED, known=[change("60s", "10m")])
    play.hear("0s major\n30s resolved").tells("0s opened at 0s since 0s #1\n30s resolved at 30s since 0s #1")
    play.hear("60s major\n604.9s -").tells("60s withheld maintenance m until 10m")
    play.hear("605s -").tells("605s released maintenance m x1\n605s opened at 10m since 10m #2")


def test_an_alert_that_is_over_by_then_is_never_told() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")])
    play.hear("60s major\n120s resolved\n20m -").tells(
        "60s withheld maintenance m until 10m\n125s resolved maintenance m x1\n125s resolved at 120s since 60s #1"
    )


@pytest.mark.parametrize(
    "record",
    [change("60s", "10m", cis=("web",)), change("60s", "10m", suppresses=False), change("10m", "20m")],
    ids=["another CI", "a change that suppresses nothing", "another time"],
)
def test_near_misses(record: ChangeRecord) -> None:
    Changing(PLANNED, known=[record]).hear("70s major").tells("70s opened at 70s since 70s #1")


def test_windows_that_follow_on_each_other_are_one() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m", name="a"), change("9m", "20m", name="b")])
    play.hear("60s major").tells("60s withheld maintenance m until 20m")


def test_an_alert_that_is_held_may_come_to_count_in_a_window() -> None:
    play = Changing(Hold(rule="h", for_ms=2 * MINUTE), PLANNED, known=[change("100s", "10m")])
    play.hear("0s major\n605s -").tells(
        """
        0s withheld maintenance m until 10m
        605s released maintenance m x1
        605s opened at 10m since 10m #1
        """
    )


def test_a_window_that_is_withdrawn_lets_go_at_the_next_tick() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")])
    play.hear("60s major\n100s -").tells("60s withheld maintenance m until 10m")
    assert play.first.due() == at("605s")
    play.withdraw()
    assert play.first.due() == at("100s")
    play.hear("101s -").tells("100s released maintenance m x1\n100s opened at 95s since 95s #1")
    play.hear("30m -").tells("")


def test_an_alert_of_just_now_waits_out_the_lateness() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")]).hear("60s major")
    play.withdraw().hear("61s -").tells("60s withheld maintenance m until 10m")
    play.hear("65s -").tells("65s released maintenance m x1\n65s opened at 60s since 60s #1")


def test_what_comes_next_lets_go_as_well_as_time() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")]).hear("60s major\n100s -").withdraw()
    play.hear("101s minor").tells(
        """
        60s withheld maintenance m until 10m
        100s released maintenance m x1
        100s opened at 95s since 95s #1
        101s escalated at 101s since 95s #1
        """
    )


def test_a_window_that_ends_earlier_lets_go_then() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")])
    play.hear("60s major\n100s -").tells("60s withheld maintenance m until 10m")
    play.learn(change("0s", "200s")).hear("150s -").tells("100s withheld maintenance m until 200s")
    play.hear("205s -").tells("205s released maintenance m x1\n205s opened at 200s since 200s #1")


def test_a_window_that_turns_out_to_be_over_lets_go_at_once() -> None:
    play = Changing(PLANNED, known=[change("0s")])
    play.hear("60s major\n300s -").tells("60s withheld maintenance m until ?")
    play.learn(change("0s", "200s")).hear("301s -").tells(
        "300s released maintenance m x1\n300s opened at 295s since 295s #1"
    )


def test_a_window_that_is_prolonged_goes_on() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")])
    play.hear("60s major\n100s -").tells("60s withheld maintenance m until 10m")
    play.learn(change("0s", "20m")).hear("15m -").tells("100s withheld maintenance m until 20m")
    play.hear("1205s -").tells("1205s released maintenance m x1\n1205s opened at 20m since 20m #1")


def test_a_window_that_is_prolonged_at_the_last_moment_goes_on() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")]).hear("60s major\n604s -")
    play.learn(change("0s", "20m")).hear("606s -").tells(
        "60s withheld maintenance m until 10m\n604s withheld maintenance m until 20m"
    )


def test_news_of_other_changes_mean_nothing() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")]).hear("60s major\n100s -")
    play.learn(change("0s", "5m", cis=("web",), name="CHG-2")).hear("101s -")
    play.learn(change("0s", "10m")).hear("102s -").tells("60s withheld maintenance m until 10m")


def test_what_has_been_told_is_not_taken_back() -> None:
    play = Changing(PLANNED).hear("60s major")
    play.tells("60s opened at 60s since 60s #1")
    play.learn(change("0s", "10m")).hear("61s major\n20m -").tells("")


def test_a_rule_in_trial_withholds_nothing() -> None:
    tried = Maintenance(rule="m", windows=(), changes=True, shadow=True)  # type: ignore[arg-type]
    play = Changing(tried, known=[change("0s", "10m")])
    play.hear("60s major").tells("60s m would withhold\n60s opened at 60s since 60s #1")


def test_a_restart_that_learns_everything_first_goes_on() -> None:
    play = Changing(PLANNED, known=[change("0s", "10m")])
    play.hear("60s major\n100s -").tells("60s withheld maintenance m until 10m")
    play.restart().hear("604s -").tells("")
    play.restart().hear("605s -").tells("605s released maintenance m x1\n605s opened at 10m since 10m #1")


def test_a_window_that_was_withdrawn_meanwhile_lets_go_after_the_restart() -> None:
    play = Changing(PLANNED, known=[change("0s")])
    play.hear("60s major\n100s -").tells("60s withheld maintenance m until ?")
    play.withdraw()
    play.restart().hear("101s -").tells("100s released maintenance m x1\n100s opened at 95s since 95s #1")


MOMENTS = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.sampled_from(
            ["major", "major", "resolved", "-", "learn 0s 60s", "learn 20s 200s", "learn 10s", "withdraw", "restart"]
        ),
    ),
    min_size=1,
    max_size=14,
)


def played(moments: Iterable[tuple[int, str]], *, restarts: bool) -> Changing:
    """An alert that fires first, and what happens then; in the end no change is left, and all is settled."""
    play, time = Changing(PLANNED), 0
    play.hear("0s minor")
    for wait, what in moments:
        time += wait
        match what.split():
            case ["learn", begins, *ends]:
                play.learn(change(begins, *ends))
            case ["withdraw"]:
                play.withdraw()
            case ["restart"]:
                if restarts:
                    play.restart()
            case [state]:
                play.hear(f"{time}s {state}")
    play.withdraw().hear(f"{time + 1}s -").hear(f"{time + 300}s -")
    return play


@given(MOMENTS)
def test_whatever_becomes_of_a_change_nothing_stays_withheld_and_nothing_is_lost(
    moments: list[tuple[int, str]],
) -> None:
    play = played(moments, restarts=False)
    states = [what for _, what in moments if what in ("major", "resolved")]
    assert len(play.outcomes) == 1 + len(states)
    listed = [line.split()[1] for line in play.lines if " maintenance m " in line]
    assert listed[-1:] != ["withheld"]
    changes = [line.split()[1] for line in play.lines if " #" in line]
    assert (changes[-1] == "resolved") == (states[-1:] == ["resolved"])


@given(MOMENTS)
def test_restarts_make_no_difference(moments: list[tuple[int, str]]) -> None:
    assert played(moments, restarts=True).lines == played(moments, restarts=False).lines


# priors


def _transition(
    ci: str, time: str, of: ChangeOf = "opened", class_: str = "Down", position: int = 1, *, opened: str = ""
) -> Transition:
    began = at(opened or time)
    return Transition(of, f"{ci}.{class_}", ci, class_, 4, at(time), at(time), began, 1, position, f"e-{ci}")


CAUSES = Rulebook(profiles=Profiles(lambda class_: Profile(Nature.CAUSE if class_ == "DiskFull" else Nature.SYMPTOM)))

PAIR = CIGraph([CI(id="web-1"), CI(id="web-2"), CI(id="db"), CI(id="cache")], [(0, 2), (1, 2), (0, 3), (1, 3)])
"""Two hosts that need the same two CIs: whether database or cache has failed, nothing tells."""


def told(second: SecondLevel, transitions: Iterable[Transition], until: str) -> list[Situation]:
    said = [*second.advance(transitions), *second.expire(at(until))]
    return [update.situation for update in said if isinstance(update, SituationUpdate)]


def root_of(*records: ChangeRecord, late: bool = False, alerts: str = "60s web-1,60s web-2") -> Situation:
    context = Context(PAIR)
    second = SecondLevel(PAIR, CAUSES, context=context)
    for record in () if late else records:
        context.learn(record)
    transitions = [_transition(ci, time) for time, ci in (each.split() for each in alerts.split(","))]
    second.advance(transitions)
    for record in records:
        context.learn(record)
    (situation,) = told(second, (), "120s")
    return situation


def test_of_equals_the_one_just_changed_is_the_root() -> None:
    assert root_of().root.ci == "cache"
    situation = root_of(change("0s", "30s", cis=("db",)))
    assert situation.root.ci == "db"
    assert situation.root.silent
    assert situation.root.confidence > root_of().root.confidence
    assert situation.changes == (RecentChange("CHG-1", "db", "New disks", at("0s"), at("30s")),)
    assert "change CHG-1 to db was under way or recent then" in situation.because


def test_it_does_not_matter_whether_it_is_learned_after_the_alerts() -> None:
    record = change("0s", "30s", cis=("db",))
    assert root_of(record, late=True) == root_of(record)


@pytest.mark.parametrize(
    "record",
    [change("61s", cis=("db",)), change("0s", "30s", cis=("elsewhere",))],
    ids=["begun later", "another CI"],
)
def test_other_changes_make_no_difference(record: ChangeRecord) -> None:
    assert root_of(record) == root_of()


def test_a_change_of_long_ago_makes_no_difference() -> None:
    alerts = "3h web-1,3h web-2"
    context = Context(PAIR)
    context.learn(change("0s", "30m", cis=("db",)))
    second = SecondLevel(PAIR, CAUSES, context=context)
    (situation,) = told(second, [_transition(ci, time) for time, ci in map(str.split, alerts.split(","))], "4h")[:1]
    assert situation.root.ci == "cache"
    assert situation.changes == ()


def test_a_change_that_is_still_under_way_is_named_though_it_explains_nothing() -> None:
    context = Context(PAIR)
    context.learn(change("0s", cis=("cache",)))
    second = SecondLevel(PAIR, CAUSES, context=context)
    situation = told(second, [_transition("web-1", "3h"), _transition("web-2", "3h")], "4h")[0]
    assert [each.id for each in situation.changes] == ["CHG-1"]
    assert situation.root.confidence == root_of().root.confidence


def test_evidence_still_beats_it() -> None:
    """The cache says itself that its disk is full: the change to the database was not it."""
    context = Context(PAIR)
    context.learn(change("0s", "30s", cis=("db",)))
    second = SecondLevel(PAIR, CAUSES, context=context)
    alerts = [_transition("web-1", "60s"), _transition("web-2", "60s"), _transition("cache", "60s", class_="DiskFull")]
    (situation,) = told(second, alerts, "120s")
    assert situation.root.ci == "cache"
    assert [each.ci for each in situation.changes] == ["db"], "but it is shown"


def test_an_incident_keeps_the_changes_that_it_began_with() -> None:
    context = Context(PAIR)
    for number in range(7):
        context.learn(change(f"{number}s", "50s", cis=("db", "cache"), name=f"CHG-{number}"))
    second = SecondLevel(PAIR, CAUSES, context=context)
    (first,) = told(second, [_transition("web-1", "60s"), _transition("web-2", "60s")], "120s")
    later = told(second, [_transition("web-1", "4h", "escalated", position=2, opened="60s")], "5h")
    assert {each.id for each in first.changes} == {"CHG-6", "CHG-5", "CHG-4"}
    assert [each.began_ms for each in first.changes] == sorted((each.began_ms for each in first.changes), reverse=True)
    assert len(first.changes) == 5
    assert all(one.changes == first.changes for one in later if one.status != "merged")


def test_what_counts_is_when_the_ci_itself_began_to_alert() -> None:
    """The disk fills up a minute after the first symptoms, half a minute after the change."""
    context = Context(PAIR)
    context.learn(change("90s", cis=("db",)))
    second = SecondLevel(PAIR, CAUSES, context=context)
    alerts = [_transition("web-1", "60s"), _transition("web-2", "60s"), _transition("db", "120s", class_="DiskFull")]
    situation = told(second, alerts, "5m")[-1]
    assert situation.root.ci == "db"
    assert [each.id for each in situation.changes] == ["CHG-1"]


def test_a_change_learned_later_counts_from_the_next_weighing() -> None:
    graph = CIGraph([*PAIR.cis, CI(id="web-3")], [(number, provider) for number in (0, 1, 4) for provider in (2, 3)])
    context = Context(graph)
    second = SecondLevel(graph, CAUSES, context=context)
    (first,) = told(second, [_transition("web-1", "60s"), _transition("web-2", "60s")], "120s")
    context.learn(change("0s", "30s", cis=("db",)))
    assert told(second, (), "180s") == [], "by itself it moves nothing"
    (weighed,) = told(second, [_transition("web-3", "190s")], "240s")
    assert (first.root.ci, weighed.root.ci) == ("cache", "db")
    assert weighed.id == first.id


def test_a_restart_decides_the_same() -> None:
    record = change("0s", "30s", cis=("db",))
    context = Context(PAIR)
    context.learn(record)
    before = SecondLevel(PAIR, CAUSES, context=context)
    before.advance([_transition("web-1", "60s"), _transition("web-2", "61s")])
    saved = {key: value for key, value in before.changes() if value is not None}
    anew = Context(PAIR)
    anew.learn(record)
    after = SecondLevel(PAIR, CAUSES, context=anew)
    after.restore(saved.items())
    assert after.expire(at("120s")) == before.expire(at("120s"))


def test_prices() -> None:
    context, weights = Context(PAIR), Weights()
    plain, knowing = Evidence(PAIR, weights), Evidence(PAIR, weights, context=context)
    for evidence in (plain, knowing):
        for node in (0, 1):
            evidence.add(node, Alerting(at("60s"), forward=True))
    for node in range(4):
        assert knowing.price(node) == plain.price(node)
    saved = knowing.saves(2)
    context.learn(change("0s", "30s", cis=("db", "web-1")))
    assert [plain.price(node) - knowing.price(node) for node in range(4)] == [weights.changed, 0, weights.changed, 0]
    assert plain.alone(0) - knowing.alone(0) == weights.changed
    assert knowing.saves(2) == saved - weights.changed, "what web-1 would cost alone is cheaper, too"
    context.forget("CHG-1")
    assert knowing.saves(2) == saved


def test_no_price_falls_below_a_nat() -> None:
    context = Context(PAIR)
    context.learn(change("0s", "30s"))
    evidence = Evidence(PAIR, Weights(changed=20 * NAT), context=context)
    evidence.add(2, Alerting(at("60s"), nature=Nature.CAUSE, forward=True, occurrence=3))
    assert evidence.price(2) == evidence.alone(2) == NAT


def test_it_is_explained_and_the_terms_add_up() -> None:
    context = Context(PAIR)
    context.learn(change("0s", "30s"))
    second = SecondLevel(PAIR, CAUSES, context=context)
    second.advance([_transition("web-1", "60s"), _transition("web-2", "60s")])
    second.expire(at("120s"))
    (situation,) = second.situations
    claims = second.claims
    found = explain(
        Scene(Trial(claims.evidence), claims.at, claims.profiles, second.now), situation, claims.related, {}
    )
    for weighed in (found.root, *found.runners_up):
        assert sum(term.nats for term in weighed.terms) == pytest.approx(weighed.price)
    (term,) = [term for term in found.root.terms if term.name == "changed"]
    assert term.nats == -2.0
    assert term.words == "it was changed shortly before: one change in 55 breaks its CI"
    assert found.runners_up[0].difference == "db was changed shortly before"


def test_a_shared_backbone_knows_of_changes() -> None:
    graph = CIGraph(
        [CI(id="core-1"), CI(id="core-2"), *(CI(id=f"{site}-sw", site=site) for site in "abcd")],
        [(number, core) for number in range(2, 6) for core in (0, 1)],
        domains=["backbone:core-1", "backbone:core-1", *"abcd"],
        backbone=[True, True, *[False] * 4],
    )

    def root(*records: ChangeRecord) -> Situation:
        context = Context(graph)
        for record in records:
            context.learn(record)
        domain, backbone = SecondLevel(graph, CAUSES, context=context), Backbone(graph, CAUSES, context=context)
        found = [*domain.advance(_transition(f"{site}-sw", "60s") for site in "abcd"), *domain.expire(at("90s"))]
        backbone.advance(each for each in found if isinstance(each, SituationUpdate))
        said = [each.situation for each in backbone.expire(at("200s")) if isinstance(each, SituationUpdate)]
        return said[0]

    assert root().root.ci == "core-1"
    changed = root(change("0s", "30s", cis=("core-2",)))
    assert changed.root.ci == "core-2"
    assert [each.ci for each in changed.changes] == ["core-2"]
    assert since(changed.opened_ms) == "60s"
