"""One alert's life as timetables: duplicates, pairing, lateness, flapping, severity, binding, filters."""

from timetable import Scenario

from opsbridge.core.event import Event, Verdict
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import Rulebook


def test_duplicates_are_counted_with_first_and_last() -> None:
    with Scenario("db") as scenario:
        scenario.play(
            "0s db DiskFull critical\n5s db DiskFull critical\n2s db DiskFull critical\n9s db DiskFull resolved"
        )
        scenario.expect(
            alerts="""
            0s opened db:DiskFull critical #1 x1 since 0s
            9s resolved db:DiskFull critical #1 x4 since 0s
            """,
            places="""
            alert duplicate: 2
            alert opened: 1
            alert resolved: 1
            """,
        )


def test_problem_and_clear_pair_by_key_not_by_class() -> None:
    with Scenario("db") as scenario:
        scenario.play("0s db High critical key=k\n1s db Other critical\n5s db Low resolved key=k").expect(
            alerts="""
            0s opened k critical #1 x1 since 0s
            1s opened db:Other critical #1 x1 since 1s
            5s resolved k critical #1 x2 since 0s
            """
        )


def test_a_clear_that_arrives_before_its_firing_waits_for_it() -> None:
    with Scenario("db") as scenario:
        scenario.play("5s db Down resolved\n0s db Down critical\n20s -").expect(
            alerts="""
            0s opened db:Down critical #1 x2 since 0s
            5s resolved db:Down critical #1 x2 since 0s
            """,
            news="11s db Down resolved v1 0/1",
            events="db: e1 e2",
        )


def test_a_clear_without_a_firing_expires_with_a_reason() -> None:
    with Scenario("db") as scenario:
        scenario.play("5s db Down resolved\n6s db Down resolved\n65s -").expect(places="alert waiting: 2")
        scenario.play("66s -").expect(places="expired resolution_without_problem: 2", alerts="", news="")
        scenario.play("67s db Down critical\n68s db Down critical\n80s -").expect(events="db: e3 e4")


def test_a_firing_older_than_the_clear_changes_nothing() -> None:
    with Scenario("db") as scenario:
        scenario.play("5s db Down critical\n6s db Down resolved\n4s db Down critical").expect(
            alerts="""
            5s opened db:Down critical #1 x1 since 5s
            6s resolved db:Down critical #1 x2 since 5s
            """,
            places="""
            alert late: 1
            alert opened: 1
            alert resolved: 1
            """,
        )


def test_a_late_clear_between_two_firings_does_not_end_the_second() -> None:
    with Scenario("db") as scenario:
        scenario.play(
            "0s db Down critical\n5s db Down resolved\n10s db Down critical\n7s db Down resolved\n30s -"
        ).expect(
            alerts="""
            0s opened db:Down critical #1 x1 since 0s
            5s resolved db:Down critical #1 x2 since 0s
            10s opened db:Down critical #2 x1 since 10s
            """,
            incidents="""
            db Down reopened critical
              members db:Down
              affects db
            """,
        )
    with Scenario("db") as scenario:
        scenario.play("0s db Down critical\n10s db Down critical\n7s db Down resolved\n30s -").expect(
            alerts="0s opened db:Down critical #1 x1 since 0s",
            places="""
            alert duplicate: 1
            alert late: 1
            alert opened: 1
            """,
        )


def test_a_firing_and_a_clear_of_one_moment_are_over() -> None:
    for timetable in ("0s db Down critical\n0s db Down resolved", "0s db Down resolved\n0s db Down critical"):
        with Scenario("db") as scenario:
            scenario.play(timetable + "\n20s -").expect(news="10s db Down resolved v1 0/1")


def test_a_firing_of_the_moment_of_its_clear_does_not_open_it_again() -> None:
    with Scenario("db") as scenario:
        scenario.play("5s db Down critical\n6s db Down resolved\n6s db Down critical").expect(
            alerts="""
            5s opened db:Down critical #1 x1 since 5s
            6s resolved db:Down critical #1 x2 since 5s
            """
        )


def test_a_flapping_alert_is_one_incident_however_fast() -> None:
    flaps = "\n".join(f"{n}s db Down {'resolved' if n % 2 else 'critical'}" for n in range(9))
    with Scenario("db") as scenario:
        scenario.play(flaps + "\n20s -").expect(
            news="10s db Down open v1 1/1",
            events="db: e1 e2 e3 e4 e5 e6 e7 e8 e9",
            places="""
            alert opened: 5
            alert resolved: 4
            """,
        )
    flaps = "\n".join(f"{n * 20}s db Down {'resolved' if n % 2 else 'critical'}" for n in range(4))
    with Scenario("db") as scenario:
        scenario.play(flaps + "\n80s -").expect(
            news="""
            10s db Down open v1 1/1
            21s db Down resolved v2 0/1
            41s db Down reopened v3 1/1
            61s db Down resolved v4 0/1
            """,
            events="db: e1 e2 e3 e4",
        )


def test_severity_goes_up_and_down_with_the_newest_report() -> None:
    with Scenario("db") as scenario:
        scenario.play(
            "0s db Full minor\n15s db Full critical\n14s db Full warning\n20s -\n30s db Full major\n40s -"
        ).expect(
            alerts="""
            0s opened db:Full minor #1 x1 since 0s
            15s escalated db:Full critical #1 x2 since 0s
            30s escalated db:Full major #1 x4 since 0s
            """,
            news="""
            10s db Full open v1 1/1
            16s db Full open v2 1/1
            31s db Full open v3 1/1
            """,
            incidents="""
            db Full open major
              members db:Full
              affects db
            """,
        )


def test_an_unknown_ci_is_correlated_alone_and_reported() -> None:
    with Scenario("vm -> hyp") as scenario:
        scenario.play("0s ghost Down critical\n0.1s ghost Slow major\n1s vm Down critical\n20s -").expect(
            incidents="""
            ghost Down open critical
              members ghost:Down ghost:Slow
              affects ghost
            vm Down open critical
              members vm:Down
              affects vm
            """,
            discrepancies="""
            unknown_ci ghost
            unknown_ci ghost
            """,
        )


def test_an_alias_is_the_same_ci() -> None:
    with Scenario("vm -> hyp\nVM.example.net = vm") as scenario:
        scenario.play("0s VM.example.net Down critical\n1s vm Down critical\n2s VM.example.net Down resolved").expect(
            alerts="""
            0s opened vm:Down critical #1 x1 since 0s
            2s resolved vm:Down critical #1 x3 since 0s
            """,
            discrepancies="",
        )


def test_info_is_informational() -> None:
    with Scenario("db") as scenario:
        scenario.play("0s db Backup info\n30s -").expect(places="informational severity: 1", alerts="", news="")


def drop_tests(event: Event, ci: CI) -> Verdict | None:
    return Verdict("no-tests", drop=True) if ci.id.startswith("test-") else None


def test_a_filter_drops_firings_but_never_a_resolution() -> None:
    with Scenario("test-db\ndb", Rulebook(judge=drop_tests)) as scenario:
        scenario.play("0s test-db Down critical\n1s db Down critical\n2s test-db Down resolved").expect(
            alerts="1s opened db:Down critical #1 x1 since 1s",
            places="""
            alert opened: 1
            alert waiting: 1
            suppressed no-tests: 1
            """,
        )


def classify(event: Event, ci: CI) -> Verdict | None:
    rules = {
        "Raise": Verdict("raise-it", severity=4),
        "Hush": Verdict("hush-it", significance=0),
        "Lift": Verdict("lift-it", significance=1),
    }
    return rules.get(event.class_)


def test_rules_change_severity_and_significance_and_are_named() -> None:
    with Scenario("db", Rulebook(judge=classify)) as scenario:
        scenario.play("0s db Raise minor\n0s db Hush critical\n0s db Lift info\n20s -").expect(
            alerts="""
            0s opened db:Raise critical #1 x1 since 0s
            0s opened db:Lift info #1 x1 since 0s
            """,
            places="""
            alert opened: 2
            informational hush-it: 1
            """,
        )
        said = {f"rule {rule} raised or classified alerts of it" for rule in ("raise-it", "lift-it")}
        assert said <= set(scenario.last().because)
