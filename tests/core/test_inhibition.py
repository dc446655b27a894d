"""Inhibition in scenarios: what Alertmanager's documentation promises, and what event time adds to it.

`sources` and `targets` are classes; `equal` names what source and target have in common. 5 s after it began a target is
judged, once all of that time has been heard: it is explained, or withheld, 10 s after it began.
"""

from collections.abc import Mapping

import pytest
from timetable import Scenario, seconds

from opsbridge.core.decisions import Shadowed, Suppressed
from opsbridge.core.event import Event, Mark, Verdict
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import SOURCE, TARGET, Inhibition, Rulebook

ESTATE = "web1 web2 -> db1"

Rule = tuple[frozenset[str], frozenset[str], tuple[str, ...]]


def rule(sources: str, targets: str, equal: str = "") -> Rule:
    """Classes of sources, classes of targets, and which of `ci`, `site` and labels they have in common."""
    return frozenset(sources.split()), frozenset(targets.split()), tuple(equal.split())


def book(rules: Mapping[str, Rule], shadows: str = "", sites: Mapping[str, str] | None = None) -> Rulebook:
    """Rules that a judge asks by hand; a CI that `sites` does not name has no site."""

    def field(event: Event, name: str) -> str:
        return event.ci if name == "ci" else (sites or {}).get(event.ci, "")

    def judge(event: Event, _ci: CI) -> Verdict | None:
        marks = [
            Mark(name, part, "\x1f".join(field(event, each) for each in equal))
            for name, (sources, targets, equal) in rules.items()
            for part, classes in ((SOURCE, sources), (TARGET, targets))
            if event.class_ in classes
        ]
        return Verdict(marks=tuple(marks)) if marks else None

    return Rulebook(
        judge=judge, inhibitions={name: Inhibition(rule=name, shadow=name in shadows.split()) for name in rules}
    )


def suppressed(scenario: Scenario) -> list[str]:
    """What has been withheld, released or resolved: when, what, by which rule and source."""
    return [
        f"{seconds(told.now_ms)} {told.state} {told.fingerprint} by {told.rule} {told.inhibited_by}".replace(
            "\x1f", ":"
        )
        for told in scenario.decisions
        if isinstance(told, Suppressed)
    ]


def same(scenario: Scenario, wanted: str) -> None:
    """The news of inhibition, line by line."""
    assert suppressed(scenario) == [line.strip() for line in wanted.strip().splitlines()]


DOWN = rule("HostDown", "Slow", "ci")


def test_a_target_is_withheld_while_its_source_fires() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            60s -
        """)
        same(scenario, "11s withheld db1:Slow by down db1:HostDown")
        scenario.expect(
            incidents="""
            db1 HostDown open critical
              members db1:HostDown
              affects db1 web1 web2
        """
        )


def test_only_what_has_the_same_values_in_common_is_withheld() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s web1 Slow warning
            60s -
        """)
        same(scenario, "")
        assert scenario.pipeline.second.holder("web1\x1fSlow")
        scenario.checked()


def test_values_that_are_missing_on_both_sides_are_equal_and_one_that_is_missing_differs_from_any() -> None:
    """As in Alertmanager: a label that is not there and an empty one are the same."""
    site = rule("SiteDown", "Slow", "site")
    with Scenario(ESTATE, book({"site": site}, sites={"web2": "berlin"})) as scenario:
        scenario.play("""
            0s db1 SiteDown critical
            1s web1 Slow warning
            1s web2 Slow warning
            60s -
        """)
        same(scenario, "11s withheld web1:Slow by site db1:SiteDown")
        scenario.checked()


def test_without_equal_any_source_of_the_same_domain_inhibits_but_none_of_another() -> None:
    with Scenario(ESTATE, book({"all": rule("HostDown", "Slow")})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s web1 Slow warning
            1s ghost Slow warning
            60s -
        """)
        same(scenario, "11s withheld web1:Slow by all db1:HostDown")
        scenario.checked()


def test_a_source_need_not_be_known_to_the_topology() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s ghost HostDown critical
            1s ghost Slow warning
            60s -
        """)
        same(scenario, "11s withheld ghost:Slow by down ghost:HostDown")
        scenario.checked()


def test_what_matches_both_sides_is_inhibited_neither_by_itself_nor_by_its_like() -> None:
    both = rule("HostDown Slow", "Slow", "ci")
    with Scenario(ESTATE, book({"both": both})) as scenario:
        scenario.play("""
            0s db1 Slow warning
            1s db1 Slow warning key=other
            30s -
        """)
        same(scenario, "")
        scenario.play("""
            31s db1 HostDown critical
            32s db1 Slow warning key=third
            60s -
        """)
        same(scenario, "42s withheld third by both db1:HostDown")
        scenario.checked()


def test_what_was_withheld_comes_when_its_source_has_been_over_for_a_while() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            100s db1 HostDown resolved
            109s -
        """)
        same(scenario, "11s withheld db1:Slow by down db1:HostDown")
        assert scenario.last().status == "resolved"
        scenario.play("130s -")
        same(
            scenario,
            """11s withheld db1:Slow by down db1:HostDown
               110s released db1:Slow by down db1:HostDown""",
        )
        assert scenario.pipeline.second.holder("db1\x1fSlow")
        assert scenario.last().status == "reopened"
        scenario.checked()


def test_the_last_of_several_sources_lets_go() -> None:
    """Also when the first has long been forgotten."""
    with Scenario(ESTATE, book({"down": rule("HostDown Unreachable", "Slow", "ci")})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            50s db1 Unreachable critical
            60s db1 HostDown resolved
            200s db1 Unreachable resolved
            220s -
        """)
        same(
            scenario,
            """11s withheld db1:Slow by down db1:HostDown
               210s released db1:Slow by down db1:HostDown""",
        )
        scenario.checked()


def test_a_source_that_flaps_does_not_let_go() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            50s db1 HostDown resolved
            54s db1 HostDown critical
            90s -
        """)
        same(scenario, "11s withheld db1:Slow by down db1:HostDown")
        scenario.checked()


@pytest.mark.parametrize("over", ["6s", "50s", "104s"])
def test_what_is_over_before_it_is_released_is_never_explained(over: str) -> None:
    """104 s: its source was resolved just before."""
    settled = max(11, int(over.removesuffix("s")) + 5)
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        lines = [("0s", "db1 HostDown critical"), ("1s", "db1 Slow warning")]
        lines += [("100s", "db1 HostDown resolved"), (over, "db1 Slow resolved"), ("150s", "-")]
        lines.sort(key=lambda line: float(line[0].removesuffix("s")))
        scenario.play("\n".join(" ".join(line) for line in lines))
        same(
            scenario,
            f"""11s withheld db1:Slow by down db1:HostDown
                {settled}s resolved db1:Slow by down db1:HostDown""",
        )
        scenario.expect(
            incidents="""
            db1 HostDown resolved critical
              members db1:HostDown
              affects db1 web1 web2
        """
        )


def test_each_firing_is_judged_by_itself() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            20s db1 Slow resolved
            22s db1 Slow warning
            60s db1 HostDown resolved
            75s db1 Slow resolved
            76s db1 Slow warning
            100s -
        """)
        same(
            scenario,
            """11s withheld db1:Slow by down db1:HostDown
               25s resolved db1:Slow by down db1:HostDown
               32s withheld db1:Slow by down db1:HostDown
               70s released db1:Slow by down db1:HostDown""",
        )
        assert scenario.pipeline.second.holder("db1\x1fSlow")
        scenario.checked()


def test_a_source_that_is_noticed_a_little_later_inhibits_too_however_late_it_is_heard_of() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 Slow warning
            9.9s -
            5s db1 HostDown critical
            30s -
        """)
        same(scenario, "10s withheld db1:Slow by down db1:HostDown")
        scenario.checked()


def test_what_has_been_told_of_stays_when_its_source_comes() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 Slow warning
            5.001s db1 HostDown critical
            60s db1 Slow major
            90s -
        """)
        same(scenario, "")
        assert scenario.last().alerts == 2
        scenario.checked()


def test_of_a_chain_all_but_the_first_are_withheld_and_whatever_inhibits_them_counts() -> None:
    """A source that is itself inhibited inhibits; when the first is over, the second comes and the third stays."""
    chain = {"ab": rule("SiteDown", "HostDown"), "bc": rule("HostDown", "Slow")}
    with Scenario(ESTATE, book(chain)) as scenario:
        scenario.play("""
            0s web1 Slow warning
            1s db1 HostDown critical
            2s db1 SiteDown critical
            60s db1 SiteDown resolved
            90s -
        """)
        same(
            scenario,
            """10s withheld web1:Slow by bc db1:HostDown
               11s withheld db1:HostDown by ab db1:SiteDown
               70s released db1:HostDown by ab db1:SiteDown""",
        )
        scenario.checked()


def test_alerts_that_inhibit_each_other_by_two_rules_are_both_withheld_until_one_is_over() -> None:
    """As in Alertmanager, where this is the operator's mistake; it ends, and nothing is lost."""
    circle = {"ab": rule("A", "B"), "ba": rule("B", "A")}
    with Scenario(ESTATE, book(circle)) as scenario:
        scenario.play("""
            0s web1 A warning
            1s db1 B critical
            60s db1 B resolved
            90s -
        """)
        same(
            scenario,
            """10s withheld web1:A by ba db1:B
               11s withheld db1:B by ab web1:A
               65s resolved db1:B by ab web1:A
               70s released web1:A by ba db1:B""",
        )
        scenario.checked()


@pytest.mark.parametrize("before", ["1s", "5s", "11s", "59s", "61s", "70s"])
def test_a_restart_in_the_middle_changes_nothing(before: str) -> None:
    lines = ["0s db1 HostDown critical", "1s db1 Slow warning", "60s db1 HostDown resolved", "100s -"]
    lines = sorted([*lines, f"{before} -"], key=lambda line: float(line.split()[0].removesuffix("s")))
    here = lines.index(f"{before} -")
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("\n".join(lines[: here + 1])).restart().play("\n".join(lines[here + 1 :]))
        same(
            scenario,
            """11s withheld db1:Slow by down db1:HostDown
               70s released db1:Slow by down db1:HostDown""",
        )
        scenario.checked()


def test_a_rule_that_is_no_longer_there_lets_go_and_others_hold_on() -> None:
    rules = {"down": DOWN, "all": rule("SiteDown", "Slow")}
    with Scenario(ESTATE, book(rules)) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            2s db1 SiteDown critical
            3s web1 Slow warning
            60s -
        """)
        assert [line.split()[1:5] for line in suppressed(scenario)] == [
            ["withheld", "db1:Slow", "by", "down"],
            ["withheld", "web1:Slow", "by", "all"],
        ]
        scenario.reload(book({"down": DOWN})).play("90s -")
        assert suppressed(scenario)[2:] == ["61s released web1:Slow by all db1:SiteDown"]
        assert scenario.pipeline.second.holder("web1\x1fSlow")
        scenario.checked()


def test_a_rule_in_trial_only_says_what_it_would_do() -> None:
    with Scenario(ESTATE, book({"down": DOWN}, shadows="down")) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            1s web1 Slow warning
            60s -
        """)
        same(scenario, "")
        shadows = [told for told in scenario.decisions if isinstance(told, Shadowed)]
        assert [(told.rule, told.would, told.fingerprint, seconds(told.time_ms)) for told in shadows] == [
            ("down", "withhold", "db1\x1fSlow", "11s")
        ]
        scenario.expect(
            news="""
            10s db1 HostDown open v1 3/3
        """
        )


def test_severity_and_events_are_told_as_they_were_when_it_was_decided() -> None:
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            8s db1 Slow major
            20s db1 Slow major
            30s db1 Slow resolved
            60s -
        """)
        told = [told for told in scenario.decisions if isinstance(told, Suppressed)]
        assert [(each.state, each.severity, each.events) for each in told] == [("withheld", 1, 1), ("resolved", 3, 4)]
        scenario.checked()


def test_a_tool_that_repeats_itself_tells_nothing_new_of_what_is_withheld() -> None:
    """A report after so long a silence that it might be another firing belongs with the one that is withheld."""
    with Scenario(ESTATE, book({"down": DOWN})) as scenario:
        scenario.play("""
            0s db1 HostDown critical
            1s db1 Slow warning
            1000s db1 Slow warning
            2000s db1 Slow resolved
            2060s -
        """)
        assert [line.split()[1] for line in suppressed(scenario)] == ["withheld", "resolved"]
        scenario.checked()  # the scenario looks for every event at its end
