"""What caused it, as timetables: nature and direction of classes, redundancy, time, chronic and flapping alarms."""

from collections.abc import Iterator

from timetable import Scenario

from opsbridge.core.graph import CI, CIGraph, Group

RACK = "app-1 app-2 -> host-1 -> rack\napp-3 app-4 -> host-2 -> rack\nhost-3 host-4 -> rack"


def roots(scenario: Scenario) -> list[str]:
    """The CIs that incidents blame that have not been merged into others."""
    return sorted(incident.root.ci for incident in scenario.ledger.incidents.values() if incident.status != "merged")


# what changes its mind


def test_a_member_leaves_for_the_better_explanation_that_comes_later() -> None:
    with Scenario("shop* -> api -> db\nshop* -> cache") as scenario:
        scenario.play("0s db Down major\n300s shop Timeout major\n320s -").expect(
            incidents="""
            db Down open major
              members db:Down shop:Timeout
              affects api db shop
            """
        )
        scenario.play("330s cache DiskFull critical\n350s -").expect(
            incidents="""
            db Down open major
              members db:Down
              affects api db shop
            cache DiskFull open critical
              members cache:DiskFull shop:Timeout
              affects cache shop
            """
        )


def test_a_situation_splits_when_a_second_failure_explains_half_of_it() -> None:
    """The half that leaves is a new incident, with an id of its own; the half that stays keeps the old one."""
    with Scenario(RACK) as scenario:
        scenario.play("".join(f"0s app-{n} Down critical\n" for n in range(1, 5)) + "0s host-1 Down critical\n20s -")
        scenario.expect(
            incidents="""
            rack silent open critical
              members app-1:Down app-2:Down app-3:Down app-4:Down host-1:Down
              affects app-1 app-2 app-3 app-4 host-1 host-2 host-3 host-4 rack
            """
        )
        first = scenario.last()
        scenario.play("30s host-2 DiskFull critical\n31s host-1 DiskFull critical\n50s -").expect(
            incidents="""
            host-1 Down open critical
              members app-1:Down app-2:Down host-1:DiskFull host-1:Down
              affects app-1 app-2 host-1
            host-2 DiskFull open critical
              members app-3:Down app-4:Down host-2:DiskFull
              affects app-3 app-4 host-2
            """,
            news="""
            10s rack silent open v1 5/5
            35s host-1 Down open v2 3/3
            40s host-1 Down open v3 4/4
            40s host-2 DiskFull open v1 3/3
            """,
        )
        assert scenario.ledger.incidents[first.id].root.ci == "host-1"


def test_resolution_of_the_root_does_not_strand_its_symptoms() -> None:
    with Scenario("a b c -> db") as scenario:
        scenario.play("0s db Down critical\n1s a Down major\n1s b Down major\n1s c Down major\n20s -")
        scenario.play("30s db Down resolved\n40s a Down resolved\n41s b Down resolved\n60s -").expect(
            incidents="""
            db Down open critical
              members a:Down b:Down c:Down db:Down
              affects a b c db
            """
        )
        assert scenario.last().status == "open"
        scenario.play("100s c Down resolved\n500s -").expect(
            incidents="""
            db Down closed critical
              members a:Down b:Down c:Down db:Down
              affects a b c db
            """
        )


# time


def test_a_symptom_ten_minutes_late_joins_while_its_root_fires() -> None:
    with Scenario("a b -> db") as scenario:
        scenario.play("0s db Down critical\n1s a Down major\n600s b Down major\n620s -").expect(
            incidents="""
            db Down open critical
              members a:Down b:Down db:Down
              affects a b db
            """
        )


def test_two_minutes_after_everything_has_cleared_a_new_symptom_has_another_cause() -> None:
    with Scenario("a b -> db") as scenario:
        scenario.play("0s db Down critical\n1s a Down major\n60s db Down resolved\n60s a Down resolved")
        scenario.play("190s b Down major\n210s -").expect(
            incidents="""
            db Down resolved critical
              members a:Down db:Down
              affects a b db
            b Down open major
              members b:Down
              affects b
            """
        )


def test_what_a_tool_repeats_opens_no_new_incident() -> None:
    """The same alerts are reported every 30 minutes, for five hours."""
    again = "".join(f"{1800 * n}s db Down critical\n{1800 * n + 1}s a Down major\n" for n in range(11))
    with Scenario("a b -> db") as scenario:
        scenario.play(again + "18100s -")
        assert scenario.last().status == "open"
        scenario.expect(
            incidents="""
            db Down open critical
              members a:Down db:Down
              affects a b db
            """
        )


def test_an_alert_whose_resolution_was_lost_opens_a_new_incident_with_others() -> None:
    with Scenario("a b c -> db") as scenario:
        scenario.play(
            "0s a Down critical\n20s -\n7200s db DiskFull critical\n7201s a Down critical\n7202s b Down major"
        )
        scenario.play("7220s -").expect(
            incidents="""
            a Down closed critical
              members a:Down
              affects a
            db DiskFull open critical
              members a:Down b:Down db:DiskFull
              affects a b c db
            """
        )


def test_a_flap_storm_of_300_cycles_is_one_incident() -> None:
    flaps = "".join(f"{20 * n}s db Down critical\n{20 * n + 7}s db Down resolved\n" for n in range(300))
    with Scenario("a b -> db") as scenario:
        scenario.play(flaps + "6100s -")
        incident = scenario.last()
        assert (incident.root.ci, incident.status, incident.alerts) == ("db", "resolved", 1)
        assert incident.version < 170
        scenario.checked()


def test_a_chronic_alarm_opens_few_incidents() -> None:
    """Every ten minutes, all day: 144 times."""
    alarms = "".join(f"{600 * n}s db Slow warning\n{600 * n + 60}s db Slow resolved\n" for n in range(144))
    with Scenario("a b -> db") as scenario:
        scenario.play(alarms + "87000s -")
        assert len(scenario.ledger.incidents) == 2
        scenario.checked()


# what classes mean


def test_who_is_asked_for_nothing_suffers_from_the_dependent_that_crashed() -> None:
    with Scenario("shop* -> api -> db\napi -> cache") as scenario:
        scenario.play("0s api ProcessCrashed critical\n10s db NoRequests warning\n12s cache NoRequests warning\n30s -")
        scenario.expect(
            incidents="""
            api ProcessCrashed open critical
              members api:ProcessCrashed cache:NoRequests db:NoRequests
              affects api shop
            """
        )


def test_latency_travels_from_a_provider_to_its_dependents() -> None:
    with Scenario("shop* -> api -> db") as scenario:
        scenario.play(
            "0s shop HighLatency major\n2s api HighLatency major\n9s db DiskIOSaturated warning\n30s -"
        ).expect(
            incidents="""
            db DiskIOSaturated open major
              members api:HighLatency db:DiskIOSaturated shop:HighLatency
              affects api db shop
            """
        )


def test_what_says_why_is_the_root_rather_than_what_suffers() -> None:
    """Both providers explain the same symptoms, and the one that only suffers spoke first."""
    with Scenario("a b c -> p\na b c -> q") as scenario:
        scenario.play("0s p ServiceDown critical\n1s q DiskFull major")
        scenario.play("2s a Timeout major\n2s b Timeout major\n2s c Timeout major\n20s -").expect(
            incidents="""
            p ServiceDown open critical
              members p:ServiceDown
              affects a b c p
            q DiskFull open major
              members a:Timeout b:Timeout c:Timeout q:DiskFull
              affects a b c q
            """
        )


def test_errors_of_a_provider_may_be_the_doing_of_failing_dependents() -> None:
    """As before, but what p says is a rate of errors, to which the requests of a, b and c may have given reason."""
    with Scenario("a b c -> p\na b c -> q") as scenario:
        scenario.play("0s p HighErrorRate critical\n1s q DiskFull major")
        scenario.play("2s a Timeout major\n2s b Timeout major\n2s c Timeout major\n20s -").expect(
            incidents="""
            q DiskFull open critical
              members a:Timeout b:Timeout c:Timeout p:HighErrorRate q:DiskFull
              affects a b c q
            """
        )


def test_a_cause_elsewhere_is_not_swallowed_by_a_storm_of_symptoms() -> None:
    """Nothing that storms here can fill a disk there, or end a process: app-3 needs both, they need nothing of it."""
    storm = "".join(f"{n}s host-{n} Unreachable critical\n" for n in range(1, 5))
    storm += "".join(f"5s app-{n} HighLatency major\n" for n in range(1, 5))
    with Scenario(RACK + "\napp-3 -> db\napp-3 -> gateway") as scenario:
        scenario.play("0s rack PowerSupplyFailed critical\n" + storm)
        scenario.play("6s db DiskFull major\n7s gateway ProcessCrashed major\n20s -")
        assert roots(scenario) == ["db", "gateway", "rack"]
        scenario.checked()


# whom to blame


def test_an_unmonitored_provider_is_blamed_by_two_dependents_not_by_one() -> None:
    with Scenario("a b -> box?") as scenario:
        scenario.play("0s a Down critical\n20s -")
        assert roots(scenario) == ["a"]
        scenario.play("21s b Down critical\n40s -").expect(
            incidents="""
            box silent open critical
              members a:Down b:Down
              affects a b box
            """
        )


def test_two_hosts_of_one_rack_that_fail_at_the_same_second_stay_two() -> None:
    """The other two stay up: the rack would have taken all four with it."""
    with Scenario(RACK) as scenario:
        scenario.play("0s host-1 PowerSupplyFailed critical\n0s host-2 KernelPanic critical\n")
        scenario.play(
            "1s app-1 Down major\n1s app-2 Down major\n1s app-3 Down major\n1s app-4 Down major\n20s -"
        ).expect(
            incidents="""
            host-2 KernelPanic open critical
              members app-3:Down app-4:Down host-2:KernelPanic
              affects app-3 app-4 host-2
            host-1 PowerSupplyFailed open critical
              members app-1:Down app-2:Down host-1:PowerSupplyFailed
              affects app-1 app-2 host-1
            """
        )


def test_alerts_of_unknown_cis_never_join_because_of_time() -> None:
    with Scenario("a b -> db") as scenario:
        scenario.play(
            "0s ghost-1 Down critical\n0s ghost-2 Down critical\n0s a Down critical\n0s b Down critical\n20s -"
        )
        assert roots(scenario) == ["db", "ghost-1", "ghost-2"]
        scenario.checked()


# redundancy


def redundant() -> CIGraph:
    """Six fronts need one of db-1 and db-2, both of which need the storage; db-1 has two reports of its own."""
    names = [*(f"front-{n}" for n in range(6)), "db-1", "db-2", "storage", "report-1", "report-2"]
    number = {name: n for n, name in enumerate(names)}
    pair = Group(((number["db-1"], 1), (number["db-2"], 1)), 1)
    return CIGraph(
        [CI(id=name) for name in names],
        [
            *((number[db], number["storage"]) for db in ("db-1", "db-2")),
            *((number[report], number["db-1"]) for report in ("report-1", "report-2")),
        ],
        groups={number[f"front-{n}"]: [pair] for n in range(6)},
    )


def fronts(time: str, class_: str) -> Iterator[str]:
    return (f"{time} front-{n} {class_} critical\n" for n in range(6))


def test_one_of_a_redundant_pair_fails_and_its_dependents_stay_silent() -> None:
    with Scenario(redundant()) as scenario:
        scenario.play("0s db-1 ProcessCrashed critical\n20s -").expect(
            incidents="""
            db-1 ProcessCrashed open critical
              members db-1:ProcessCrashed
              affects db-1 report-1 report-2
            """
        )


def test_silence_of_dependents_that_can_spare_it_does_not_speak_against_a_silent_root() -> None:
    """The two reports that cannot do without db-1 alarm; six silent fronts have db-2."""
    with Scenario(redundant()) as scenario:
        scenario.play("0s report-1 Down critical\n1s report-2 Down critical\n20s -")
        assert roots(scenario) == ["db-1"]
        scenario.checked()
    with Scenario("report-1 report-2 " + " ".join(f"front-{n}" for n in range(6)) + " -> db-1") as scenario:
        scenario.play("0s report-1 Down critical\n1s report-2 Down critical\n20s -")
        assert roots(scenario) == ["report-1", "report-2"], "if they could not do without it"
        scenario.checked()


def test_both_of_a_redundant_pair_fail_each_for_its_reason() -> None:
    with Scenario(redundant()) as scenario:
        scenario.play("0s db-1 ProcessCrashed critical\n3s db-2 DiskFull critical\n")
        scenario.play("".join(fronts("5s", "Timeout")) + "30s -")
        assert roots(scenario) == ["db-1", "db-2"]
        scenario.checked()


def test_both_of_a_redundant_pair_fail_by_their_common_cause() -> None:
    with Scenario(redundant()) as scenario:
        scenario.play(
            "0s db-1 Timeout critical\n1s db-2 Timeout critical\n2s report-1 Down major\n2s report-2 Down major\n"
        )
        scenario.play("".join(fronts("5s", "Timeout")) + "30s -")
        assert roots(scenario) == ["storage"]
        scenario.checked()
