"""Sites as domains behind a core that they share: what is one incident, and what stays a site's own."""

from collections.abc import Iterable

import pytest
from campus import campus
from timetable import Scenario

from opsbridge.core.classes import Nature, Profile, Profiles, Travel
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.rulebook import Rulebook


def down(sites: str, since: float = 0, class_: str = "Unreachable", state: str = "critical") -> list[tuple[float, str]]:
    """The hosts of these sites, one after the other, a site every 300 ms."""
    return [
        (since + 0.3 * order + 0.05 * number, f"{letter}-host{number} {class_} {state}")
        for order, letter in enumerate(sites)
        for number in range(4)
    ]


def timetable(moments: Iterable[tuple[float, str]], until: float) -> str:
    return "\n".join(f"{time:.2f}s {line}" for time, line in sorted(moments)) + f"\n{until}s -"


def members(scenario: Scenario, root: str) -> set[str]:
    """The CIs of the members of the one incident with that root that was not merged."""
    (incident,) = [one for one in scenario.ledger.incidents.values() if one.root.ci == root and one.status != "merged"]
    return {str(member).partition("\x1f")[0] for member in scenario.moved(incident.id).joined}


def hosts(sites: str) -> set[str]:
    return {f"{letter}-host{number}" for letter in sites for number in range(4)}


def test_a_silent_core_of_six_sites_is_one_incident_with_them_all() -> None:
    with Scenario(campus(6)) as scenario:
        scenario.play(timetable(down("abcdef"), 60))
        scenario.expect(news="17s core silent open v1 24/24")
        assert members(scenario, "core") == hosts("abcdef")
        incident = scenario.last()
        assert incident.affected_cis == 1 + 6 * 6
        assert incident.because[0] == (
            "core sent nothing itself; its failure is the best explanation of 24 alerts,"
            " found as 6 situations in a, b, c, d, e, f"
        )


def test_what_only_one_site_feels_is_its_own_and_told_in_its_words() -> None:
    with Scenario(campus(4)) as scenario:
        scenario.play(timetable(down("b"), 60))
        scenario.expect(news="17s b-switch silent open v1 4/4")
        incident = scenario.last()
        assert incident.root.silent
        assert incident.root.class_ is None
        assert incident.candidates[0].ci == "b-switch"
        assert incident.because[0].startswith("b-switch sent nothing itself")
        assert "found as" not in incident.because[0]


def test_a_core_that_speaks_late_takes_over_what_its_sites_were_told() -> None:
    with Scenario(campus(5)) as scenario:
        scenario.play(timetable([*down("abcde"), (30, "core PowerLost critical")], 90))
        scenario.expect(
            news="""
            17s core silent open v1 20/20
            42s core PowerLost open v2 21/21
            """
        )
        assert members(scenario, "core") == {"core", *hosts("abcde")}


def test_a_failure_beside_it_stays_its_own() -> None:
    failing = [(2 + 0.1 * number, f"c-db{number} Down major") for number in range(3)]
    with Scenario(campus(5)) as scenario:
        scenario.play(timetable([*down("abcde"), *failing], 60))
        assert members(scenario, "core") == hosts("abcde")
        assert members(scenario, "c-store") == {"c-db0", "c-db1", "c-db2"}
        assert len(scenario.ledger.incidents) == 2
        scenario.checked()


def test_a_host_that_breaks_in_a_site_at_the_same_time_stays_its_own() -> None:
    profiles = Profiles(
        lambda class_: Profile(Nature.CAUSE, Travel.NOWHERE) if class_ == "DiskFull" else Profile(Nature.SYMPTOM)
    )
    graph = campus(6)
    scenario = Scenario(graph, Rulebook(profiles=profiles))
    with scenario:
        scenario.play(timetable([*down("abcde"), (1, "f-host2 DiskFull critical")], 60))
        assert members(scenario, "core") == hosts("abcde")
        assert members(scenario, "f-host2") == {"f-host2"}
        scenario.checked()


def test_it_resolves_when_all_sites_have_and_closes() -> None:
    over = [
        *down("abc", 60, state="resolved"),
        *down("d", 90, state="resolved"),
    ]
    with Scenario(campus(4)) as scenario:
        scenario.play(timetable([*down("abcd"), *over], 60 + 30))
        assert scenario.last().status == "open"
        scenario.play("100s -")
        assert (scenario.last().status, scenario.last().firing, scenario.last().alerts) == ("resolved", 0, 16)
        scenario.play("500s -")
        assert scenario.last().status == "closed"
        assert members(scenario, "core") == hosts("abcd")
        scenario.play("5000s -")
        assert not len(scenario.pipeline.second)
        assert scenario.pipeline.backbone is not None
        assert (len(scenario.pipeline.backbone), len(scenario.pipeline.response)) == (0, 0)
        scenario.checked()


def test_sites_that_were_told_alone_merge_under_the_oldest() -> None:
    moments = [*down("a"), *down("b", 40), *down("cdef", 80)]
    with Scenario(campus(6)) as scenario:
        scenario.play(timetable(moments, 200))
        told = list(scenario.ledger.incidents.values())
        assert {incident.status for incident in told} == {"open", "merged"}
        (heir,) = [incident for incident in told if incident.status == "open"]
        assert heir.root.ci == "core"
        assert heir.id == min(told, key=lambda incident: incident.opened).id
        assert {incident.merged_into for incident in told} == {None, heir.id}
        assert members(scenario, "core") == hosts("abcdef")
        scenario.checked()


def test_sites_whose_routers_turn_out_to_have_broken_each_for_itself_are_taken_apart_again() -> None:
    profiles = Profiles(
        lambda class_: Profile(Nature.CAUSE, Travel.NOWHERE) if class_ == "Broken" else Profile(Nature.SYMPTOM)
    )
    graph = campus(4)
    scenario = Scenario(graph, Rulebook(profiles=profiles))
    with scenario:
        scenario.play(timetable(down("abcd"), 30))
        scenario.expect(news="17s core silent open v1 16/16")
        broken = [(40 + number, f"{letter}-switch Broken critical") for number, letter in enumerate("abcd")]
        scenario.play(timetable(broken, 120))
        told = scenario.ledger.incidents.values()
        assert {incident.root.ci for incident in told} == {f"{letter}-switch" for letter in "abcd"}
        for letter in "abcd":
            assert members(scenario, f"{letter}-switch") == {f"{letter}-switch", *hosts(letter)}
        assert scenario.news()[0].split()[1] == "core"
        scenario.checked()


def test_a_domain_knows_its_backbone_and_has_one_only() -> None:
    graph = campus(2)
    assert (graph.shared_by("a"), graph.shared_by("b"), graph.shared_by("backbone:core")) == ("backbone:core",) * 2 + (
        "",
    )
    assert graph.home(graph.numbers["core"]) == graph.home(graph.numbers["a-db1"]) == "backbone:core"
    cis = [CI("a"), CI("core1"), CI("core2")]
    with pytest.raises(ValueError, match="domain 'x' has dependencies with two backbones: one, two"):
        CIGraph(cis, [(0, 1), (0, 2)], domains=["x", "one", "two"], backbone=[False, True, True])
