"""Situations as timetables: silent, late and early roots, several failures, depth, cycles, merging, life-cycle."""

from timetable import FAR, Scenario, graph_of, report

from opsbridge.core.pipeline import Pipeline
from opsbridge.core.records import IncidentMembers

ESTATE = """
shop* web* -> vm-1
pay* crm* -> vm-2
vm-1 vm-2 -> hyp -> switch
"""
ALL = "crm hyp pay shop switch vm-1 vm-2 web"


def site(switches: int = 30, hosts: int = 4) -> str:
    """Access switches sw1, sw2, ... behind one core, each with hosts h1-1, h1-2, ..."""
    return "\n".join(
        " ".join(f"h{n}-{k}" for k in range(1, hosts + 1)) + f" -> sw{n} -> core" for n in range(1, switches + 1)
    )


def down(switches: range, time: str, class_: str = "Down", hosts: int = 4) -> str:
    """All hosts of these switches alarm."""
    return "\n".join(f"{time} h{n}-{k} {class_} critical" for n in switches for k in range(1, hosts + 1)) + "\n"


def hosts(*switches: int) -> str:
    return " ".join(sorted(f"h{n}-{k}" for n in switches for k in range(1, 5)))


def members(*switches: int) -> str:
    return " ".join(sorted(f"h{n}-{k}:Down" for n in switches for k in range(1, 5)))


def test_a_silent_root_is_found_and_names_all_affected() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play(
            "0s shop Down critical\n0.1s web Down critical\n0.2s pay Down major\n0.3s crm Down critical\n"
            "0.4s vm-1 Down critical\n0.4s vm-2 Down major\n20s -"
        ).expect(
            news="10s hyp silent open v1 6/6",
            incidents="""
            hyp silent open critical
              members crm:Down pay:Down shop:Down vm-1:Down vm-2:Down web:Down
              affects crm hyp pay shop vm-1 vm-2 web
            """,
            events="hyp: e1 e2 e3 e4 e5 e6",
        )
        incident = scenario.last()
        assert incident.because[0].startswith("hyp sent nothing itself; its failure is the best explanation")
        assert (incident.affected_cis, incident.affected_services) == (7, 4)
        assert incident.services == ("crm", "pay", "shop", "web")
        assert set(scenario.moved(incident.id).services_joined) == {"crm", "pay", "shop", "web"}


def test_candidates_are_scored_best_first() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play("0s hyp Down critical\n0.1s vm-1 Down critical\n0.2s vm-2 Down critical\n20s -")
        incident = scenario.last()
        scores = [candidate.score for candidate in incident.candidates]
        assert [candidate.ci for candidate in incident.candidates][:2] == ["hyp", "switch"]
        assert scores == sorted(scores, reverse=True)
        assert 0.5 < incident.root.confidence < 1
        assert incident.root.class_ == "Down"
        assert incident.because == (
            "hyp sent Down; its failure explains the alerts of 3 CIs",
            f"next best is switch, {scores[0] - scores[1]:.1f} nats behind",
        )
        scenario.checked()


def test_a_late_root_takes_over_the_reported_incident() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play("\n".join(f"0.5s {ci} Down critical" for ci in ("vm-1", "vm-2", "shop", "web", "pay", "crm")))
        scenario.play("20s switch Dead critical\n30s -").expect(
            news="""
            11s hyp silent open v1 6/6
            25s switch Dead open v2 7/7
            """,
            incidents=f"""
            switch Dead open critical
              members crm:Down pay:Down shop:Down switch:Dead vm-1:Down vm-2:Down web:Down
              affects {ALL}
            """,
        )


def test_a_root_that_speaks_first_takes_in_what_follows() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play(
            "0s switch Dead critical\n15s vm-1 Down critical\n100s vm-2 Down critical\n390s shop Down critical\n400s -"
        )
        scenario.expect(
            news="""
            10s switch Dead open v1 1/1
            20s switch Dead open v2 2/2
            105s switch Dead open v3 3/3
            395s switch Dead open v4 4/4
            """
        )


def test_two_failures_at_once_are_two_incidents() -> None:
    with Scenario(site()) as scenario:
        scenario.play(down(range(1, 3), "0s") + "20s -").expect(
            incidents=f"""
            sw1 silent open critical
              members {members(1)}
              affects {hosts(1)} sw1
            sw2 silent open critical
              members {members(2)}
              affects {hosts(2)} sw2
            """
        )


def test_a_failure_inside_a_larger_one_becomes_part_of_it() -> None:
    with Scenario(site(8)) as scenario:
        scenario.play(down(range(1, 2), "0s") + "20s -\n" + down(range(2, 9), "22s") + "40s -").expect(
            news="""
            10s sw1 silent open v1 4/4
            27s core silent open v2 32/32
            """
        )


def test_situations_that_one_cause_explains_merge_under_the_older_id() -> None:
    with Scenario(site()) as scenario:
        scenario.play(down(range(1, 2), "0s") + down(range(2, 3), "1s") + "20s -").expect(
            news="""
            10s sw1 silent open v1 4/4
            11s sw2 silent open v1 4/4
            """
        )
        older, younger = list(scenario.ledger.incidents)
        scenario.play("30s core Dead critical\n" + down(range(3, 31), "30s") + "40s -")
        assert scenario.ledger.incidents[younger].merged_into == older
        assert scenario.ledger.incidents[younger].because == (f"situation S{older[3:]} explains all its alerts",)
        scenario.expect(
            incidents=f"""
            core Dead open critical
              members core:Dead {members(*range(1, 31))}
              affects core {" ".join(sorted(hosts(*range(1, 31)).split() + [f"sw{n}" for n in range(1, 31)]))}
            sw2 silent merged into core critical
              members
              affects {hosts(2)} sw2
            """
        )


def test_events_of_a_merged_incident_are_found_in_its_heir() -> None:
    """Also those of a firing that was over, and told, before the merge."""
    with Scenario(site()) as scenario:
        scenario.play(down(range(1, 2), "0s") + down(range(2, 3), "1s"))
        scenario.play("20s h2-1 Down resolved\n40s h2-1 Down critical\n60s h2-1 Down resolved")
        scenario.play("61s core Dead critical\n" + down(range(3, 31), "61s") + "70s -")
        scenario.expect(events="core: " + " ".join(_by_alert(124)))


def _by_alert(lines: int) -> list[str]:
    """e5, e9 and the rest: the alert of e5 (h2-1) was heard again as e9 to e11."""
    numbers = [*range(1, 6), 9, 6, 7, 8, 10, 11, *range(12, lines + 1)]
    return [f"e{number}" for number in numbers]


def test_what_a_provider_behind_two_failures_cannot_decide_it_does_not_split() -> None:
    with Scenario("shop* -> h1-1 h2-1\n" + site()) as scenario:
        scenario.play(down(range(1, 3), "0s") + "0.5s shop Down critical\n20s -").expect(
            news="""
            10s sw1 silent open v1 5/5
            10s sw2 silent open v1 4/4
            """
        )
        assert all("shop" in affected for affected in scenario.ledger.affected_cis.values())


CHAIN = " -> ".join(f"n{number}" for number in range(14))


def test_a_chain_within_reach_has_one_root() -> None:
    with Scenario(CHAIN) as scenario:
        scenario.play("\n".join(f"0.{n}s n{n} Down critical" for n in range(9)) + "\n20s -").expect(
            news="10s n8 Down open v1 9/9"
        )


def test_what_is_farther_than_max_hops_may_be_another_situation() -> None:
    """n13 is 13 hops from n0; evidence is not weighed so far, but nobody is lost and impact has no limit."""
    for order in (range(14), range(13, -1, -1)):
        with Scenario(CHAIN) as scenario:
            scenario.play("\n".join(f"0.{n:02}s n{n} Down critical" for n in order) + "\n20s -")
            assert len(scenario.news()) <= 3
            affected = {incident.root.ci: incident.affected_cis for incident in scenario.ledger.incidents.values()}
            assert affected["n13"] == 14
            names = [ci for incident in scenario.ledger.events_by_incident().values() for ci in incident]
            assert len(names) == 14
            scenario.checked()


def test_cycles_have_one_root() -> None:
    with Scenario("a -> b -> a") as scenario:
        scenario.play("0s a Down critical\n1s b Down critical\n20s -").expect(
            incidents="""
            a Down open critical
              members a:Down b:Down
              affects a b
            """
        )
    with Scenario("a -> b -> c -> d -> a") as scenario:
        scenario.play(
            "0.1s b Down critical\n0.2s c Down critical\n0.3s d Down critical\n0.4s a Down critical\n20s -"
        ).expect(
            incidents="""
            b Down open critical
              members a:Down b:Down c:Down d:Down
              affects a b c d
            """
        )
    with Scenario("a -> b -> c -> a\nx y z -> a") as scenario:
        scenario.play("0s x Down critical\n0.1s y Down critical\n0.2s z Down critical\n20s -").expect(
            incidents="""
            a silent open critical
              members x:Down y:Down z:Down
              affects a b c x y z
            """
        )


def test_it_resolves_reopens_within_the_closing_time_and_closes() -> None:
    with Scenario("db") as scenario:
        scenario.play(
            "0s db Down critical\n20s db Down resolved\n300s db Down critical\n310s db Down resolved\n1000s -"
        ).expect(
            news="""
            10s db Down open v1 1/1
            21s db Down resolved v2 0/1
            301s db Down reopened v3 1/1
            306s db Down reopened v4 1/1
            311s db Down resolved v5 0/1
            915s db Down closed v6 0/1
            """,
            events="db: e1 e2 e3 e4",
        )


def test_that_nothing_fires_any_more_is_told_at_once_and_that_it_fires_again_in_time() -> None:
    """A repair is judged by the first; what flaps is news only every 5 s, and then rarer."""
    with Scenario("a -> db") as scenario:
        scenario.play(
            "0s db Down critical\n10.5s db Down resolved\n11.5s db Down critical\n"
            "12.5s db Down resolved\n13.5s db Down critical\n17.2s db Down resolved\n40s -"
        ).expect(
            news="""
            10s db Down open v1 1/1
            11s db Down resolved v2 0/1
            16s db Down reopened v3 1/1
            18s db Down resolved v4 0/1
            """
        )


def test_long_after_closing_the_same_alert_is_a_new_incident() -> None:
    with Scenario("db") as scenario:
        scenario.play("0s db Down critical\n20s db Down resolved\n324s -").expect(news=_LIFE)
        scenario.play("325s -").expect(news=_LIFE + "\n325s db Down closed v3 0/1")
        scenario.play("1000s db Down critical\n1015s -").expect(
            news=_LIFE + "\n325s db Down closed v3 0/1\n1010s db Down open v1 1/1",
            events="""
            db: e1 e2
            db: e3
            """,
        )
        assert len(scenario.ledger.incidents) == 2


_LIFE = "10s db Down open v1 1/1\n21s db Down resolved v2 0/1"


def test_after_recent_ms_without_news_another_alert_is_another_situation() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play(
            "0s switch Dead critical\n290s shop Down critical\n1180s web Down major\n2086s pay Down critical\n2100s -"
        )
        scenario.expect(
            news="""
            10s switch Dead open v1 1/1
            295s switch Dead open v2 2/2
            1185s switch Dead open v3 3/3
            2096s pay Down open v1 1/1
            """
        )


def test_nobody_hears_of_a_situation_before_it_was_watched() -> None:
    with Scenario(site(4)) as scenario:
        scenario.play(down(range(1, 5), "0.5s") + "10.9s -").expect(news="")
        scenario.play("11s -").expect(news="11s core silent open v1 16/16")


def test_what_only_the_former_root_affects_is_told_to_leave() -> None:
    with Scenario("h1 h2 -> p q\nd*? -> p") as scenario:
        scenario.play("0s h1 Down critical\n0s h2 Down critical\n20s -").expect(
            incidents="""
            p silent open critical
              members h1:Down h2:Down
              affects d h1 h2 p
            """
        )
        assert scenario.moved(scenario.last().id).services_joined == ("d",)
        scenario.play("30s q Dead critical\n45s -").expect(
            incidents="""
            q Dead open critical
              members h1:Down h2:Down q:Dead
              affects h1 h2 q
            """
        )
        assert scenario.moved(scenario.last().id).services_joined == ()


def test_members_are_named_in_the_order_of_their_news_also_after_a_restart() -> None:
    with Scenario("db") as scenario:
        scenario.play("0s db A critical\n0.1s db B critical\n20s db A resolved\n30s -")
        scenario.play("40.1s db C critical\n45.5s db A critical").restart()
        scenario.play("60s -")
        last = [decision for decision in scenario.decisions if isinstance(decision, IncidentMembers)][-1]
        assert [(member.class_, member.occurrence) for member in last.moved.joined] == [("A", 2), ("C", 1)]
        scenario.checked()


def test_a_restart_after_a_situation_ceased_to_count_does_not_find_it_counting() -> None:
    """A CI that fires again after a lull has another reason: what it said before no longer counts, also when saved."""
    lines = (
        "0s web Broken critical",
        "188275s web Slow minor",
        "188657s web Slow resolved",
        "188717001ms web Broken minor",
        "188728s other Slow resolved",
        "600000s other Gone major",
    )
    pipeline, disturbed = Pipeline(graph_of("web\nother")), Pipeline(graph_of("web\nother"))
    saved: dict[bytes, bytes | None] = {}
    for number, line in enumerate(lines):
        heard = report(number, line)
        assert disturbed.advance([heard], FAR) == pipeline.advance([heard], FAR)
        saved.update(disturbed.changes())  # after every event, as the stream does
        disturbed = Pipeline(graph_of("web\nother"))
        disturbed.restore((key, value) for key, value in saved.items() if value is not None)
    assert disturbed.finish() == pipeline.finish()


def test_what_comes_too_late_joins_a_situation_that_news_after_a_lull_have_ended() -> None:
    """Both are settled in the same second: `web Slow` is over by then, and so is what it joined."""
    with Scenario("web -> db") as scenario:
        scenario.play("""
            0s db Down critical
            1s web Down critical
            10s db Down resolved
            10s web Down resolved
            90.5s db Slow critical
            95.2s other Odd info
            20s web Slow major
            21s web Slow resolved
            96s -
        """).expect(
            incidents="""
            db Down reopened critical
              members db:Down db:Slow web:Down web:Slow
              affects db web
            """,
            news="""
            10s db Down open v1 2/2
            11s db Down resolved v2 0/2
            96s db Down reopened v3 1/4
            """,
        )
