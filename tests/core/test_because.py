"""Explanations: their numbers add up, their words say why, and what they suppose is what would have happened."""

from itertools import pairwise
from math import log

import msgspec
import pytest
from campus import campus
from hypothesis import given
from test_backbone import down
from test_backbone import timetable as times
from timetable import FAR, PROFILES, START, Scenario, milliseconds, report

from estates import LAW, Step, apply, lives, pipeline_on
from opsbridge.core.classes import Join
from opsbridge.core.explain.because import Explanation, Membership, Term, explain
from opsbridge.core.explain.explaining import Explainer
from opsbridge.core.explain.trial import Scene, Trial
from opsbridge.core.graph import CIGraph
from opsbridge.core.ids import incident_id
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.records import Incident
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.evidence import NEVER
from opsbridge.core.second_level.explanation import confidence
from opsbridge.core.second_level.situations import LiveSituation, SituationState, weighed
from opsbridge.core.weights import NAT, Weights

STORM = """
1s h1 HostDown critical
1s h2 HostDown critical
2s h3 HighLatency major
4s pay HighErrorRate major
"""
SITE = """
pay* -> h1
h1 h2 h3 h4 -> sw-2 -> core
g1 g2 -> sw-1 -> core
"""


SPREAD = "that should feel its failure"


def explanations(topology: str | CIGraph, timetable: str) -> list[Explanation]:
    """The explanations of all that a timetable leads to, as they were taken last."""
    with Scenario(topology) as scenario:
        explainer = Explainer(scenario.pipeline)
        scenario.play(timetable)
        scenario.finish()
        explainer.look()
        scenario.checked()
        told = {each.situation for each in scenario.ledger.incidents.values() if each.status != "merged"}
    return [found for name in explainer if name in told and (found := explainer.get(name))]


def explanation(topology: str | CIGraph, timetable: str) -> Explanation:
    (found,) = explanations(topology, timetable)
    return found


def terms(of: Explanation) -> list[str]:
    return [f"{term.nats:.3f} {term.name}: {term.words}" for term in of.root.terms]


# the words


def test_a_silent_root_is_told_with_every_term() -> None:
    found = explanation(SITE, STORM)
    assert (found.root.ci, found.root.sent, found.root.explains, found.cis) == ("sw-2", (), 4, 4)
    assert terms(found) == [
        "6.000 alone: a CI fails by itself in one of 403 windows",
        "2.303 unreported: it is monitored and sent nothing: one failure in 10",
        "3.401 misfit: of 5 CIs that should feel its failure 4 are affected and 1 silent",
    ]


def test_the_runners_up_are_told_with_what_makes_the_difference() -> None:
    found = explanation(SITE, STORM)
    assert [(other.ci, other.difference) for other in found.runners_up] == [
        (
            "core",
            f"of 7 CIs {SPREAD} 5 are affected and 2 silent; what it explains is farther from it than from sw-2",
        ),
        ("h1", "it explains 2 of 4 CIs, not h2, h3"),
        ("h2", "it explains 1 of 4 CIs, not h1, h3, pay"),
        ("h3", "it explains 1 of 4 CIs, not h1, h2, pay"),
    ]
    assert all(other.ratio < found.root.ratio for other in found.runners_up)


def test_members_are_told_by_their_path() -> None:
    found = explanation(SITE, STORM)
    assert [(member.event, member.path, member.words) for member in found.members] == [
        ("e1", ("sw-2", "h1"), "h1 depends on sw-2; began at the same time"),
        ("e2", ("sw-2", "h2"), "h2 depends on sw-2; began at the same time"),
        ("e3", ("sw-2", "h3"), "h3 depends on sw-2; began 1 s after it"),
        ("e4", ("sw-2", "h1", "pay"), "h1 depends on sw-2, pay depends on h1; began 3 s after it"),
    ]
    edge, *_ = found.members[3].terms
    assert edge.words == "h1 depends on sw-2; 2 CIs that alert share the edge"


def test_a_root_that_spoke_late_is_told_so_and_its_own_alert_is_no_symptom() -> None:
    found = explanation(
        "a b c -> sw", "0s a Down critical\n0s b Down critical\n40s sw PowerSupplyFailed critical\n60s -"
    )
    assert found.root.ci == "sw"
    assert terms(found)[1] == "0.000 cause: it sent PowerSupplyFailed: a cause"
    own = next(member for member in found.members if member.ci == "sw")
    assert (own.path, own.words, own.cost) == (("sw",), "it is the root's own", 0)
    assert found.members[0].words == "a depends on sw; began 40 s before it"
    assert [term.name for term in found.members[0].terms] == ["edge", "time"]


def test_a_rival_whose_own_alert_came_late_is_told_so() -> None:
    timetable = "0s sub Gurgles critical\n0s a HostDown major\n0s b HostDown major\n600s sw HostDown major"
    found, _ = explanations("a b -> sub -> sw\nc -> sub", f"{timetable}\n610s -")
    rival = next(other for other in found.runners_up if other.ci == "sw")
    assert (found.root.ci, rival.difference) == ("sub", "its own alert came 10 min after the first symptoms")


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("0s sw DiskFull critical", "cause", "it sent DiskFull: a cause"),
        ("0s sw Gurgles critical", "vague", "no rule says whether Gurgles is a cause"),
        ("0s sw HighLatency critical", "symptomatic", "it sent only symptoms (HighLatency): one failure in 4"),
    ],
)
def test_what_a_roots_own_alert_is_worth_is_told(line: str, name: str, words: str) -> None:
    found = explanation("a b -> sw", f"{line}\n1s a HostDown major\n1s b HostDown major")
    assert (found.root.ci, found.root.terms[1].name, found.root.terms[1].words) == ("sw", name, words)


def test_what_nothing_watches_is_not_blamed_lightly() -> None:
    found = explanation("a b c -> sw?", "1s a HostDown major\n1s b HostDown major\n1s c HostDown major")
    assert found.root.terms[1].name == "hidden"
    assert found.root.terms[2].words == "all that should feel its failure is affected (3 CIs)"


def test_an_alert_on_a_provider_is_told_as_felt_there() -> None:
    found = explanation("app -> db", "0s app ProcessCrashed critical\n1s db NoRequests major")
    assert found.root.ci == "app"
    member = next(member for member in found.members if member.ci == "db")
    assert (member.path, member.words) == (("app", "db"), "db serves app and feels it; began 1 s after it")
    assert [term.name for term in member.terms] == ["edge", "nature", "time"]


def test_a_cause_that_is_said_to_be_an_effect_costs_and_is_told() -> None:
    timetable = "0s sw PowerSupplyFailed critical\n1s a DiskFull major\n1s b HostDown major\n1s c HostDown major"
    found = explanation("a b c -> sw", timetable)
    member = next(member for member in found.members if member.ci == "a")
    assert member.terms[1].words == "DiskFull is a cause by itself, seldom another's effect"


def test_what_comes_when_the_root_is_over_is_told_so() -> None:
    timetable = """
    0s sw LinkDown critical
    0s a HostDown critical
    0s b HostDown critical
    10s sw LinkDown resolved
    20s c HostDown critical
    """
    member = next(member for member in explanation("a b c -> sw", timetable).members if member.ci == "c")
    assert member.words == "c depends on sw; began 20 s after it, when it was over"


def test_a_lone_alert_stands_by_itself_and_what_fails_often_is_no_surprise() -> None:
    found = explanation("a -> sw", "0s a DiskFull major")
    assert (found.root.ci, found.root.ratio, found.runners_up) == ("a", 0, ())
    assert found.confidence == confidence(0, [])
    assert found.members[0].words == "it is the root's own"
    again = (
        "0s a DiskFull major\n1s a DiskFull resolved\n2s a DiskFull major\n3s a DiskFull resolved\n4s a DiskFull major"
    )
    found = explanation("a -> sw", again)
    assert found.root.terms[-1] == Term("repeated", -round(log(3), 3), "fired 3 times: no surprise")


def test_what_a_rule_joins_is_told_with_the_rule() -> None:
    join = Join("by-service", "labels.service", lambda _: True)
    pipeline = Pipeline(CIGraph(()), Rulebook(profiles=PROFILES, joins=(join,)))
    explainer = Explainer(pipeline)
    for number, line in enumerate(("0s x1 DiskFull critical", "1s x2 HostDown critical"), 1):
        pipeline.advance([msgspec.structs.replace(report(number, line), labels={"service": "shop"})], FAR)
    pipeline.finish()
    explainer.look()
    (found,) = filter(None, map(explainer.get, explainer))
    assert (found.root.ci, found.members[1].path) == ("x1", ("x1", "x2"))
    assert found.members[1].words == "no edge connects them, but the rule by-service does, by shop; began 1 s after it"
    assert [term.name for term in found.members[1].terms] == ["joined", "time"]


def test_an_alert_that_is_no_evidence_any_more_keeps_the_reason_it_had() -> None:
    """The tools repeat two of three alerts hours later: the situation goes on with these."""
    timetable = """
    0s sw LinkDown critical
    0s a HostDown critical
    0s b HostDown critical
    9000s sw LinkDown critical
    9000s a HostDown critical
    """
    found = explanation("a b c -> sw", timetable)
    assert found.cis == 2
    assert {member.ci: member.path for member in found.members} == {"sw": ("sw",), "a": ("sw", "a"), "b": ("sw", "b")}
    assert found.notes == (
        "1 of its 3 alerts no longer count as evidence: why they belong is older",
        "it has come back once",
    )


# what if


def root_of(topology: str, timetable: str) -> str:
    """The root of the largest incident that a timetable ends in."""
    with Scenario(topology) as scenario:
        scenario.play(timetable)
        scenario.finish()
        scenario.checked()
        open_ones = [each for each in scenario.ledger.incidents.values() if each.status != "merged"]
    return max(open_ones, key=lambda incident: incident.alerts).root.ci


@pytest.mark.parametrize(
    ("topology", "timetable"),
    [
        (SITE, STORM),
        ("a b c -> sw", "0s sw PowerSupplyFailed critical\n0s a HostDown major\n0s b HostDown major"),
        ("a b c d -> sw", "0s a HostDown major\n0s b HostDown major"),
        ("a b c -> sw\nsw -> pdu", "0s sw HighLatency critical\n0s a HostDown major\n0s b HostDown major"),
    ],
)
def test_what_is_supposed_is_what_would_have_happened(topology: str, timetable: str) -> None:
    """Every fact of an explanation is put in the timetable, and the root changes as was told, or does not."""
    lines = [line.strip() for line in timetable.strip().splitlines()]
    first = lines[0].split()[0]
    found = explanation(topology, timetable)
    for fact in found.tried:
        if fact.kind == "own_alert":
            supposed = [f"{first} {fact.ci} DiskFull critical", *lines]
        elif fact.kind == "alarmed":
            supposed = [*lines, f"{first} {fact.ci} HostDown critical"]
        else:
            supposed = [line for line in lines if line.split()[1] != fact.ci]
        root = root_of(topology, "\n".join(supposed))
        assert (root != found.root.ci) == fact.changes, fact
        assert fact.explains == 1 or root == fact.root, fact  # what falls apart into single CIs has no largest part
    assert len(found.tried) >= 4


def test_a_silence_that_would_have_changed_the_root_is_told() -> None:
    found = explanation(SITE, STORM)
    changing = {(fact.kind, fact.fact, fact.root) for fact in found.tried if fact.changes}
    assert ("alarmed", "g1, which depends on sw-1, had alarmed too", "core") not in changing
    assert ("alarmed", "sw-1, which depends on core, had alarmed too", "core") in changing
    assert ("own_alert", "core had sent a cause-like alert when it began", "core") in changing


def test_nothing_is_left_to_explain_without_a_lone_alert() -> None:
    (unsent,) = [fact for fact in explanation("a -> sw", "0s a DiskFull major").tried if fact.kind == "unsent"]
    assert (unsent.root, unsent.changes, unsent.explains) == (None, True, 0)


def test_a_storm_is_tried_less_often() -> None:
    hosts = " ".join(f"h{number}" for number in range(2_000))
    timetable = "\n".join(f"1s {host} HostDown critical" for host in hosts.split())
    found = explanation(f"{hosts} -> sw", timetable)
    assert found.cis == 2_000
    assert 4 <= len(found.tried) < 20
    assert len(found.members) == 2_000


def test_a_situation_that_would_fall_apart_says_so() -> None:
    found = explanation("a b c d -> sw", "0s a HostDown major\n0s b HostDown major")
    (fact,) = [each for each in found.tried if each.kind == "own_alert" and each.ci == "b"]
    assert (fact.changes, fact.explains, found.cis) == (True, 1, 2)


# what several domains share


def test_a_shared_failure_is_told_with_what_each_domain_found() -> None:
    found = explanation(campus(3), times(down("abc"), 60))
    assert (found.root.ci, found.cis) == ("core", 3)
    assert [(part.root.ci, len(part.members)) for part in found.parts] == [
        ("a-switch", 4),
        ("b-switch", 4),
        ("c-switch", 4),
    ]
    assert found.members[0].path == ("core", "a-router", "a-switch")
    assert {member.event for member in found.members} == {""}
    assert ("missing", "what was found on a-switch had not come") in {(each.kind, each.fact) for each in found.tried}


def test_what_one_domain_found_is_told_as_it_was_found_and_whom_else_it_could_have_been() -> None:
    found = explanation(campus(3), times(down("b"), 60))
    assert (found.root.ci, found.parts) == ("b-switch", ())
    assert [member.event for member in found.members] == ["e1", "e2", "e3", "e4"]
    facts = [(each.kind, each.ci) for each in found.tried]
    assert ("own_alert", "core") in facts
    assert ("unsent", "b-switch") not in facts
    assert len(facts) == len(set(facts))


# the numbers


@LAW
@given(lives())
def test_the_numbers_of_every_explanation_add_up(life: tuple[CIGraph, list[Step]]) -> None:
    graph, steps = life
    pipeline = pipeline_on(graph)
    explainer = Explainer(pipeline)
    told = [decision for step in steps for decision in apply(pipeline, step)]
    told += pipeline.finish()
    explainer.look()
    for found in filter(None, map(explainer.get, explainer)):
        for candidate in (found.root, *found.runners_up):
            assert candidate.price == pytest.approx(sum(term.nats for term in candidate.terms))
            assert candidate.ratio == pytest.approx(candidate.saved - candidate.price)
        for member in found.members:
            assert_path(graph, found, member)
    incidents = {decision.id: decision for decision in told if isinstance(decision, Incident)}
    for name, incident in incidents.items():
        if incident.status != "merged":
            assert incident.situation in list(explainer), name


def assert_path(graph: CIGraph, found: Explanation, member: Membership) -> None:
    """A path leads along edges, either way, from the root to the alert's CI."""
    assert member.path[-1] == member.ci
    if len(member.path) > 1:
        numbers = [graph.numbers[ci] for ci in member.path]
        for here, there in pairwise(numbers):
            assert here in graph.providers[there] or there in graph.providers[here]
        assert member.cost == pytest.approx(sum(term.nats for term in member.terms))


@LAW
@given(lives())
def test_routes_cost_what_links_cost_and_alerts_weigh_what_they_weigh(life: tuple[CIGraph, list[Step]]) -> None:
    graph, steps = life
    pipeline = pipeline_on(graph)
    for number, step in enumerate(steps):
        apply(pipeline, step)
        if number % 8 == 0:
            second = pipeline.second
            trial = Trial(second.claims.evidence)
            for node, alerts in second.claims.at.items():
                assert weighed(alerts, PROFILES) == trial.alerting[node]
            for node in list(trial.alerting):  # times cost what is left: here they cost nothing
                at_once = msgspec.structs.replace(trial.alerting[node], since=START, until=NEVER)
                trial.suppose(node, at_once)
            for root in [*range(len(graph)), *trial.alerting]:
                links = trial.links(root)
                routes = trial.routes(root)
                assert routes.keys() == links.keys()
                for node, route in routes.items():
                    assert route.cost == links[node]
                    assert route.time in (0, route.cost == 1)
                    assert (route.after, route.over) == (0, False)


@LAW
@given(lives())
def test_to_explain_changes_nothing(life: tuple[CIGraph, list[Step]]) -> None:
    graph, steps = life
    plain, watched = pipeline_on(graph), pipeline_on(graph)
    Explainer(watched)
    for step in steps:
        assert apply(watched, step) == apply(plain, step)
        assert watched.changes() == plain.changes()


@LAW
@given(lives())
def test_what_is_supposed_is_taken_back(life: tuple[CIGraph, list[Step]]) -> None:
    graph, steps = life
    pipeline = pipeline_on(graph)
    for step in steps:
        apply(pipeline, step)
    second = pipeline.second
    for situation in second.situations:
        if situation.nodes:
            trial = Trial(second.claims.evidence)
            scene = Scene(trial, second.claims.at, second.claims.profiles, second.now)
            first = explain(scene, situation, second.claims.related, {})
            assert explain(scene, situation, second.claims.related, {}) == first
            assert first.as_of_ms == second.now


def test_candidates_are_those_that_were_published() -> None:
    with Scenario(SITE) as scenario:
        explainer = Explainer(scenario.pipeline)
        scenario.play(STORM + "20s -")
        incident = scenario.last()
        found = explainer.get(incident.situation)
        assert found is not None
        candidates = (found.root, *found.runners_up)
        assert [(each.ci, round(each.ratio, 3)) for each in candidates] == [
            (each.ci, each.score) for each in incident.candidates
        ]
        assert found.confidence == incident.root.confidence
        assert incident_id(found.situation) == incident.id
        assert milliseconds("0s") < found.as_of_ms <= milliseconds("20s")
        scenario.checked()


def test_only_what_was_asked_for_is_explained() -> None:
    with Scenario(SITE) as scenario:
        explainer = Explainer(scenario.pipeline, lambda _: False)
        scenario.play(STORM)
        scenario.finish()
        explainer.look()
        scenario.checked()
    assert list(explainer) == []


def test_a_situation_without_evidence_cannot_be_explained() -> None:
    state = SituationState("S-1", "a", known_root=True, status="open", created=0, opened=0, updated=0)
    with Scenario("a -> b") as scenario:
        second = scenario.pipeline.second
        scene = Scene(Trial(second.claims.evidence), {}, PROFILES, 0)
        with pytest.raises(ValueError, match="situation S-1 has no evidence to explain it by"):
            explain(scene, LiveSituation(state, 0), second.claims.related, {})
        scenario.play("0s -").checked()


def test_explanations_survive_json() -> None:
    found = explanation(SITE, STORM)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found
    assert Weights().alone / NAT == found.root.terms[0].nats
