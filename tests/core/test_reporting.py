"""What a snapshot says of a situation's reach, and at its end of who felt the root's failure and who did not."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from campus import campus
from test_backbone import down
from test_changes import CAUSES, _transition
from test_gates import at

from opsbridge.core.calendar import ServiceTime
from opsbridge.core.decisions import Impact, Situation, SituationUpdate, Transition
from opsbridge.core.graph import CI, CIGraph, Group
from opsbridge.core.second_level.backbone import Backbone
from opsbridge.core.second_level.level import SecondLevel


def last(graph: CIGraph, transitions: Iterable[Transition], until: str = "60m") -> Situation:
    """The situation as it was told last; there is one."""
    second = SecondLevel(graph, CAUSES)
    said = [*second.advance(transitions), *second.expire(at(until))]
    told = [each.situation for each in said if isinstance(each, SituationUpdate)]
    assert len({each.id for each in told}) == 1
    return told[-1]


def story(*cis: str) -> list[Transition]:
    """These alert a second after each other, and are resolved a minute later."""
    began = [_transition(ci, f"{60 + number}s") for number, ci in enumerate(cis)]
    over = [
        _transition(ci, f"{120 + number}s", "resolved", position=2, opened=f"{60 + number}s")
        for number, ci in enumerate(cis)
    ]
    return began + over


SHOP = CIGraph(
    [
        CI(id="sw", site="ams1", tier=3),
        CI(id="web", site="ams1", tier=1),
        CI(id="till", site="fra1", tier=2, service=True, users=30),
        CI(id="shop", tier=1, service=True, users=4_000),
        CI(id="wiki", site="ams1", service=True),
        CI(id="elsewhere", site="lhr1", tier=0, service=True, users=9),
    ],
    [(1, 0), (2, 1), (3, 1), (4, 0)],
)


def test_the_reach_of_a_failure() -> None:
    assert last(SHOP, story("sw", "web")).impact == Impact(
        5, 3, ("shop", "till", "wiki"), tier=1, users=4_030, sites=("ams1", "fra1")
    )


def test_without_services_the_tier_is_that_of_the_cis() -> None:
    graph = CIGraph([CI(id="sw", tier=3), CI(id="h1", tier=2), CI(id="h2")], [(1, 0), (2, 0)])
    assert last(graph, story("sw", "h1")).impact == Impact(3, 0, (), tier=2)


def test_of_services_without_a_tier_nothing_is_known() -> None:
    graph = CIGraph([CI(id="sw", tier=3), CI(id="wiki", service=True)], [(1, 0)])
    assert last(graph, story("sw", "wiki")).impact == Impact(2, 1, ("wiki",))
    assert last(graph, [*story("ghost")][:1], "120s").impact == Impact(1, 0, ())


def test_sites_are_named_up_to_a_limit() -> None:
    graph = CIGraph([CI(id="wan"), *(CI(id=f"b{number:02}", site=f"s{number:02}") for number in range(25))],
                    [(number, 0) for number in range(1, 26)])  # fmt: skip
    assert last(graph, story("wan", "b03")).impact.sites == tuple(f"s{number:02}" for number in range(20))


RACK = CIGraph(
    [
        CI(id="sw"),
        CI(id="h1"),
        CI(id="h2"),
        CI(id="dark", monitored=False),
        CI(id="spare"),
        CI(id="other"),
        CI(id="far"),
        CI(id="night"),
    ],
    [(1, 0), (2, 0), (3, 0), (6, 1), (7, 0)],
    groups={4: [Group(((0, 1), (5, 1)), at_least=1)]},
    service_times={7: ServiceTime(((0, 60),), ZoneInfo("UTC"))},
)
"""Behind a switch: two hosts, one that nothing watches, one that can do without it, one that sleeps."""


def test_who_felt_it_is_told_when_it_closes() -> None:
    second = SecondLevel(RACK, CAUSES)
    said = [*second.advance(story("sw", "h1", "far")), *second.expire(at("60m"))]
    told = [each.situation for each in said if isinstance(each, SituationUpdate)]
    assert {(each.status, each.heard, each.unheard) for each in told[:-1]} == {("open", (), ()), ("resolved", (), ())}
    assert (told[-1].status, told[-1].heard, told[-1].unheard) == ("closed", ("h1",), ("h2",))


def test_in_its_service_time_silence_says_something() -> None:
    awake = CIGraph(RACK.cis, [(1, 0), (2, 0), (7, 0)], service_times={7: ServiceTime(((0, 10_080),), ZoneInfo("UTC"))})
    assert last(awake, story("sw", "h1")).unheard == ("h2", "night")


def test_who_is_silent_is_heard_by_what_depends_on_it() -> None:
    situation = last(RACK, story("sw", "far"))
    assert (situation.heard, situation.unheard) == (("h1",), ("h2",))


def test_of_an_unknown_root_nobody_depends() -> None:
    situation = last(RACK, story("ghost"))
    assert (situation.status, situation.heard, situation.unheard) == ("closed", (), ())


def test_few_are_named() -> None:
    graph = CIGraph([CI(id="wan"), *(CI(id=f"b{number:03}") for number in range(200))],
                    [(number, 0) for number in range(1, 201)])  # fmt: skip
    situation = last(graph, story("wan", *(f"b{number:03}" for number in range(0, 200, 2))))
    assert (len(situation.heard), len(situation.unheard)) == (50, 50)


def test_what_sites_found_counts_as_heard_at_their_backbone() -> None:
    situation = end_of_storm(campus(4), "abc")
    assert (situation.root.ci, situation.status) == ("core", "closed")
    assert situation.heard == ("a-router", "b-router", "c-router")
    assert situation.unheard == ("d-router",)


def test_members_of_what_sites_found_count_as_heard_at_their_backbone() -> None:
    """One host of each site has a second line to the core, so it is a direct dependent, too."""
    plain = campus(6)
    lines = [(number, plain.numbers["core"]) for number, ci in enumerate(plain.cis) if "-host0" in ci.id]
    edges = [(dependent, provider) for dependent, many in enumerate(plain.providers) for provider in many]
    graph = CIGraph(plain.cis, [*edges, *lines], domains=plain.domains, backbone=plain.backbone)
    situation = end_of_storm(graph, "abcdef")
    assert situation.root.ci == "core"
    assert {f"{site}-host0" for site in "abcdef"} <= set(situation.heard)


def end_of_storm(graph: CIGraph, sites: str) -> Situation:
    """What is told last of the backbone when the hosts of these sites have alerted, and are well again."""
    domain, backbone = SecondLevel(graph, CAUSES), Backbone(graph, CAUSES)
    alerts: list[Transition] = []
    for seconds, line in down(sites):
        ci = line.split()[0]
        began = f"{60 + seconds}s"
        alerts += [_transition(ci, began), _transition(ci, "180s", "resolved", position=2, opened=began)]
    alerts.sort(key=lambda transition: transition.now_ms)
    found = [*domain.advance(alerts), *domain.expire(at("60m"))]
    said = backbone.advance(each for each in found if isinstance(each, SituationUpdate))
    told = [each.situation for each in (*said, *backbone.expire(at("90m"))) if isinstance(each, SituationUpdate)]
    return told[-1]


def test_backbone_cis_are_heard_themselves() -> None:
    graph = CIGraph(
        [CI(id="power"), CI(id="core-1"), CI(id="core-2"), CI(id="core-3"), *(CI(id=f"{site}-sw") for site in "abc")],
        [(1, 0), (2, 0), (3, 0), *((number, number - 3) for number in range(4, 7)), (4, 2), (5, 3), (6, 1)],
        domains=["backbone:core-1"] * 4 + [*"abc"],
        backbone=[True] * 4 + [False] * 3,
    )
    backbone = Backbone(graph, CAUSES)
    said = [*backbone.advance(story("power", "core-1", "core-3")), *backbone.expire(at("90m"))]
    told = [each.situation for each in said if isinstance(each, SituationUpdate)]
    assert (told[-1].status, told[-1].root.ci) == ("closed", "power")
    assert (told[-1].heard, told[-1].unheard) == (("core-1", "core-3"), ("core-2",))
