"""What compiled rules say of events: the meaning of every condition, the order of rules, what is worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec
import pytest

from opsbridge.core.calendar import ServiceTime, Span
from opsbridge.core.event import Event, Mark, Verdict, default_fingerprint
from opsbridge.core.graph import CI, CIGraph, Group, unknown_ci
from opsbridge.core.rulebook import (
    SOURCE,
    TARGET,
    Flapping,
    Heartbeat,
    Hold,
    Inhibition,
    Maintenance,
    Raise,
    Rulebook,
    Threshold,
)
from opsbridge.documents.text import Loc
from opsbridge.rules import Rule, compile_rules
from opsbridge.rules.matching import questions
from opsbridge.rules.matching.conditions import Match, parse_match
from opsbridge.rules.matching.questions import Possible
from opsbridge.rules.rule import Ask, Constant, Enrich, FromField, FromTable, Identify, Keep, Kind, Planned, Says

EVENT = Event("e1", 0, "web-01", "DiskFull", 3, True, "fp", True, "prometheus", "Disk 97 % full", {"env": "prod"})
HOST = CI("web-01", "vm", "", "shop", "production", "ams1", 2)
FULL = {"class": "DiskFull"}


def parsed(match: Mapping[str, object]) -> Match:
    def refuse(loc: Loc, message: str, *, key: bool = False) -> None:
        raise AssertionError((loc, message, key))

    return parse_match(match, refuse) if match else {}


def rule(name: str, kind: Kind, says: Says, *matches: Mapping[str, object], shadow: bool = False) -> Rule:
    asks = tuple(Ask(parsed(match), part) for part, match in enumerate(matches))
    return Rule(name, kind, says, asks, shadow, text=name)


def drop(name: str, match: Mapping[str, object], *, shadow: bool = False) -> Rule:
    return rule(name, "filter", Verdict(name, drop=True), match, shadow=shadow)


def keep(name: str, match: Mapping[str, object], *, shadow: bool = False) -> Rule:
    return rule(name, "filter", Keep(), match, shadow=shadow)


def classify(name: str, severity: int, match: Mapping[str, object], *, shadow: bool = False) -> Rule:
    return rule(name, "classify", Verdict(name, severity=severity), match, shadow=shadow)


def hold(name: str, match: Mapping[str, object]) -> Rule:
    return rule(name, "hold", Hold(rule=name, for_ms=60_000), match)


def threshold(name: str, ask: Ask) -> Rule:
    raises = Raise("Storm", 3)
    says = Threshold(
        rule=name,
        key=f"{name}@7",
        raises=raises,
        measure="event_count",
        timespan=1,
        holds=bool,
        at_least=1,
        resolve_after=1,
    )
    return Rule(name, "threshold", says, (ask,))


def book(*rules: Rule, graph: CIGraph | None = None) -> Rulebook:
    return compile_rules(rules, graph).book


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"class": "DiskFull"}, True),
        ({"class": "diskfull"}, False),
        ({"class": ["LinkDown", "DiskFull"]}, True),
        ({"class": ["LinkDown", {"glob": "Disk*"}]}, True),
        ({"class": {"glob": ["Link*", "*Full"]}}, True),
        ({"class": {"glob": "Disk*", "not": "DiskFull"}}, False),
        ({"class": {"glob": "Disk*", "not": ["DiskLate", {"glob": "*Slow"}]}}, True),
        ({"class": {"not": {"not": "DiskFull"}}}, True),
        ({"class": "DiskFull", "ci": "web-02"}, False),
        ({"class": "DiskFull", "ci": "web-01", "source": "prometheus"}, True),
        ({"severity": "major"}, True),
        ({"severity": ["minor", "critical"]}, False),
        ({"severity": {"gte": "major"}}, True),
        ({"severity": {"gte": "critical"}}, False),
        ({"severity": {"gte": "minor", "lte": "major"}}, True),
        ({"severity": {"lte": "minor"}}, False),
        ({"severity": {"not": {"gte": "major"}}}, False),
        ({"ci.type": "vm", "ci.owner": "shop", "ci.environment": "production", "ci.site": "ams1"}, True),
        ({"ci.tier": 2}, True),
        ({"ci.tier": [0, 1]}, False),
        ({"ci.tier": {"lte": 1}}, False),
        ({"ci.tier": {"gte": 2, "lte": 2}}, True),
        ({"labels.env": "prod"}, True),
        ({"labels.env": {"glob": "*"}}, True),
        ({"labels.zone": {"glob": "*"}}, False),
        ({"labels.zone": {"not": "a"}}, True),
        ({"labels.zone": {"not": {"glob": "*"}}}, True),
        ({"summary": {"glob": "*9? %*"}}, True),
        ({"summary": {"glob": "*full*now*"}}, False),
        ({"fingerprint": "fp", "summary": {"glob": "Disk*"}}, True),
        ({"fingerprint": {"not": "fp"}}, False),
    ],
)
def test_a_condition(match: dict[str, object], holds: bool) -> None:
    ask = book(drop("r", match)).judge
    expected = Verdict("r", drop=True) if holds else None
    assert ask(EVENT, HOST) == expected
    assert ask(EVENT, HOST) == expected  # now from the tables


def test_an_unknown_ci_has_no_attributes() -> None:
    ask = book(drop("any-tier", {"ci.tier": {"gte": -100}}), drop("no-type", {"ci.type": ""})).judge
    assert ask(EVENT, unknown_ci("web-01")) == Verdict("no-type", drop=True)


def test_no_rules_have_nothing_to_say() -> None:
    empty = compile_rules([])
    assert empty.book.judge(EVENT, HOST) is None
    assert (empty.book.prepare, empty.book.listen, empty.source) == (None, None, "")


def test_filters_come_first_and_the_first_match_of_each_kind_decides() -> None:
    ask = book(
        classify("first", 1, {"ci": {"glob": "*-01"}}),
        classify("second", 0, FULL),
        classify("third", 2, FULL),
        keep("keep-prod", {"labels.env": "prod"}),
        drop("drop-disks", {"class": {"glob": "Disk*"}}),
        keep("keep-late", FULL),
    ).judge
    elsewhere = msgspec.structs.replace(EVENT, ci="db")
    assert ask(EVENT, HOST) == Verdict("first", severity=1)
    assert ask(elsewhere, HOST) == Verdict("second", severity=0)
    assert ask(msgspec.structs.replace(EVENT, labels={"env": "test"}), HOST) == Verdict("drop-disks", drop=True)
    assert ask(msgspec.structs.replace(elsewhere, class_="Other"), HOST) is None


def test_a_verdict_is_made_once_for_a_rule() -> None:
    said = Verdict("r", severity=1)
    ask = book(rule("r", "classify", said, FULL), drop("s", {"class": "Other"}, shadow=True)).judge
    assert ask(EVENT, HOST) is said
    assert ask(msgspec.structs.replace(EVENT, id="e2"), HOST) is said


def test_the_digest_is_of_the_text_of_the_rules_in_order() -> None:
    one, other = drop("a", {"ci": "x"}), drop("b", {"ci": "x"})
    assert compile_rules([one, other]).digest == compile_rules([one, other]).digest
    assert compile_rules([one, other]).digest != compile_rules([other, one]).digest


@dataclass(frozen=True)
class Trial:
    """Rules, of which some are in trial, and what is said of EVENT."""

    rules: list[Rule]
    said: Verdict | None


ALSO = {"ci": "web-01"}
TRIALS = {
    "first of its kind": Trial([drop("s", FULL, shadow=True)], Verdict(shadows=("s",))),
    "does not match": Trial([drop("s", {"class": "Other"}, shadow=True)], None),
    "behind one that decides": Trial([drop("d", ALSO), drop("s", FULL, shadow=True)], Verdict("d", drop=True)),
    "before one that decides": Trial(
        [keep("s", FULL, shadow=True), drop("d", ALSO)], Verdict("d", drop=True, shadows=("s",))
    ),
    "before one that routes": Trial(
        [drop("s", FULL, shadow=True), rule("r", "filter", Verdict("r", route="desk"), FULL)],
        Verdict("r", route="desk", shadows=("s",)),
    ),
    "behind another in trial": Trial(
        [drop("s", FULL, shadow=True), drop("t", ALSO, shadow=True)], Verdict(shadows=("s",))
    ),
    "one of each kind": Trial(
        [classify("s", 1, FULL, shadow=True), drop("t", ALSO, shadow=True), classify("c", 2, FULL)],
        Verdict("c", severity=2, shadows=("t", "s")),
    ),
    "a classification of what is dropped": Trial(
        [classify("s", 1, FULL, shadow=True), drop("d", FULL)], Verdict("d", drop=True)
    ),
    "a classification of what is kept": Trial(
        [classify("s", 1, FULL, shadow=True), keep("k", FULL), drop("d", FULL)], Verdict(shadows=("s",))
    ),
}


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_rules_in_trial_are_told_where_they_would_have_decided(trial: Trial) -> None:
    assert book(*trial.rules).judge(EVENT, HOST) == trial.said


def test_the_book_says_what_rules_in_trial_would_do() -> None:
    route = rule("r", "filter", Verdict("r", route="desk"), FULL, shadow=True)
    rules = [route, drop("d", FULL, shadow=True), keep("k", FULL, shadow=True), classify("c", 1, FULL, shadow=True)]
    assert book(*rules, drop("live", FULL)).trials == {"r": "route", "d": "drop", "k": "keep", "c": "classify"}


def test_gates_and_inhibitions_mark_with_their_id() -> None:
    inhibition = Rule(
        "i",
        "inhibit",
        Inhibition(rule="i"),
        (
            Ask(parsed({"class": "HostDown"}), SOURCE, ("ci.site", "labels.env")),
            Ask(parsed({"class": {"glob": "*"}}), TARGET, ("ci.site", "labels.env")),
        ),
    )
    flapping = rule("f", "flapping", Flapping(rule="f", enter=6, leave=2, within=600_000), ALSO)
    said = book(hold("h", FULL), inhibition, flapping, hold("other", {"class": "Other"}))
    verdict = said.judge(EVENT, HOST)
    assert verdict is not None
    assert verdict == Verdict(marks=(Mark("h"), Mark("f"), Mark("i", TARGET, "ams1\x1fprod")))
    assert said.gates.keys() == {"h", "f", "other"}
    assert said.inhibitions == {"i": Inhibition(rule="i")}
    down = said.judge(msgspec.structs.replace(EVENT, class_="HostDown", labels={}), HOST)
    assert down is not None
    assert down.marks == (Mark("f"), Mark("i", SOURCE, "ams1\x1f"), Mark("i", TARGET, "ams1\x1f"))


def test_marks_that_carry_no_values_are_made_once() -> None:
    ask = book(hold("h", FULL), classify("c", 1, FULL)).judge
    assert ask(EVENT, HOST) == Verdict("c", severity=1, marks=(Mark("h"),))
    assert ask(EVENT, HOST) is ask(msgspec.structs.replace(EVENT, id="e2"), HOST)


@pytest.mark.parametrize(
    ("labels", "number", "text"),
    [
        ({"v": "3.5"}, 3.5, "3.5"),
        ({"v": "-1e3"}, -1000.0, "-1e3"),
        ({"v": "many"}, None, "many"),
        ({"v": "nan"}, None, "nan"),
        ({"v": "inf"}, None, "inf"),
        ({"v": "1e999"}, None, "1e999"),
        ({"v": ""}, None, ""),
        ({}, None, None),
    ],
)
def test_a_mark_carries_the_value_that_is_measured(
    labels: dict[str, str], number: float | None, text: str | None
) -> None:
    as_number = threshold("n", Ask(parsed(FULL), 0, ("ci",), "labels.v", as_number=True))
    as_text = threshold("t", Ask(parsed(FULL), 0, ("ci.tier", "severity"), "labels.v"))
    said = book(as_number, as_text)
    verdict = said.judge(msgspec.structs.replace(EVENT, labels=labels), HOST)
    assert verdict == Verdict(marks=(Mark("n@7", 0, "web-01", number), Mark("t@7", 0, "2\x1fmajor", text)))
    assert said.derivations.keys() == {"n@7", "t@7"}


def test_what_a_filter_takes_away_has_no_marks() -> None:
    counted = threshold("n", Ask(parsed(FULL)))
    routed = Verdict("r", route="desk")
    assert book(drop("d", FULL), counted, hold("h", FULL)).judge(EVENT, HOST) == Verdict("d", drop=True)
    assert book(rule("r", "filter", routed, FULL), counted).judge(EVENT, HOST) == routed
    assert book(keep("k", FULL), counted).judge(EVENT, HOST) == Verdict(marks=(Mark("n@7"),))


def test_resolutions_are_heard_by_rules_that_ask_for_them() -> None:
    firing = Ask(parsed(FULL), 0, ("ci",))
    both = Ask(parsed(FULL), 1, resolved=True)
    resolved = Ask(parsed(FULL), 2, firing=False, resolved=True)
    said = book(*(threshold(f"r{number}", ask) for number, ask in enumerate((firing, both, resolved))), drop("d", ALSO))
    assert said.listen is not None
    assert said.listen(EVENT, HOST) == (Mark("r1@7", 1), Mark("r2@7", 2))
    assert said.listen(msgspec.structs.replace(EVENT, class_="Other"), HOST) == ()
    assert book(threshold("r", firing)).listen is None


# Maintenance


NIGHT = Maintenance(rule="w", windows=Span(0, 1000))


def window(
    cis: Mapping[str, object], match: Mapping[str, object] | None = None, *, inherit: bool = True, name: str = "w"
) -> Rule:
    gate = msgspec.structs.replace(NIGHT, rule=name)
    return rule(name, "maintenance", Planned(gate, parsed(cis), inherit), match or {})


CIS = [CI("switch"), CI("host-1"), CI("host-2"), CI("shop"), CI("report"), CI("island")]
SWITCH, HOST_1, HOST_2, SHOP, REPORT, ISLAND = range(6)
ESTATE = CIGraph(
    CIS,
    [(HOST_1, SWITCH), (REPORT, HOST_1)],
    groups={SHOP: [Group(((HOST_1, 1), (HOST_2, 1)))]},
    service_times={REPORT: ServiceTime((), None)},  # type: ignore[arg-type]  # never in service: its zone is not asked
)


def marked(said: Rulebook, number: int, class_: str = "DiskFull", graph: CIGraph = ESTATE) -> set[str]:
    ci = graph.cis[number]
    verdict = said.judge(msgspec.structs.replace(EVENT, ci=ci.id, class_=class_), ci)
    return {mark.rule for mark in verdict.marks} if verdict else set()


def test_a_window_covers_what_cannot_do_without_the_cis_it_names() -> None:
    said = book(window({"ci": "switch"}), graph=ESTATE)
    covered = [ci.id for number, ci in enumerate(CIS) if marked(said, number)]
    assert covered == ["switch", "host-1", "report"]  # the shop has another host; when a service runs does not matter
    assert said.gates == {"w": NIGHT}


def test_a_window_that_takes_a_quorum_covers_who_needs_it() -> None:
    said = book(window({"ci": {"glob": "host-*"}}), graph=ESTATE)
    assert [ci.id for number, ci in enumerate(CIS) if marked(said, number)] == ["host-1", "host-2", "shop", "report"]


@pytest.mark.parametrize(("inherit", "graph"), [(False, ESTATE), (True, None), (False, None)])
def test_a_window_without_inheritance_covers_what_it_names(inherit: bool, graph: CIGraph | None) -> None:
    said = book(window({"ci": "switch"}, inherit=inherit), graph=graph)
    assert [ci.id for number, ci in enumerate(CIS) if marked(said, number)] == ["switch"]


def test_a_window_may_ask_for_the_event_too() -> None:
    said = book(
        window({"ci": "switch"}, {"class": "LinkDown"}),
        window({}, FULL, name="all-disks"),
        window({"ci": {"glob": "switch"}}, FULL, name="its-disks"),
        graph=ESTATE,
    )
    assert marked(said, HOST_1, "LinkDown") == {"w"}
    assert marked(said, HOST_1) == {"all-disks", "its-disks"}
    assert marked(said, ISLAND) == {"all-disks"}


def test_an_unknown_ci_is_in_a_window_by_its_own_fields_only() -> None:
    said = book(window({"ci": {"glob": "s*"}}), graph=ESTATE)
    event = msgspec.structs.replace(EVENT, ci="sensor")
    assert said.judge(event, unknown_ci("sensor")) == Verdict(marks=(Mark("w"),))
    host = CI("host-1", site="elsewhere")  # not the one of this graph
    assert said.judge(msgspec.structs.replace(EVENT, ci="host-1"), host) is None
    assert marked(said, HOST_1) == {"w"}


def test_a_thousand_windows_cost_an_event_no_more_than_one() -> None:
    cis = [CI(f"ci-{number}") for number in range(1000)]
    graph = CIGraph(cis, [(number, number - 1) for number in range(1, 1000) if number % 10])
    said = book(*(window({"ci": ci.id}, name=ci.id) for ci in cis), graph=graph)
    assert marked(said, 17, graph=graph) == {f"ci-{number}" for number in range(10, 18)}
    assert all(len(marked(said, number, graph=graph)) == number % 10 + 1 for number in range(1000))


# Heartbeats


def test_a_heartbeat_expects_the_cis_of_the_graph_that_it_names() -> None:
    says = Heartbeat(rule="b", key="b@1", raises=Raise("Silent", 3), overdue_after=60_000)
    beating = Rule("b", "heartbeat", says, (Ask(parsed(FULL), 0, ("ci",)),), expects=parsed({"ci": {"glob": "host-*"}}))
    others = [msgspec.structs.replace(says, rule="c", key="c@1"), hold("h", FULL)]
    rules = [beating, Rule("c", "heartbeat", cast("Heartbeat", others[0])), cast("Rule", others[1])]
    expected = {each.rule: cast("Heartbeat", each).expected for each in book(*rules, graph=ESTATE).derivations.values()}
    assert expected == {"b": ("host-1", "host-2"), "c": ()}
    assert cast("Heartbeat", book(beating).derivations["b@1"]).expected == ()


# Enrichment and identity


def enrich(name: str, match: Mapping[str, object], **labels: Constant | FromField | FromTable) -> Rule:
    return rule(name, "enrich", Enrich(labels), match)


def dedup(name: str, match: Mapping[str, object], *fields: str) -> Rule:
    return rule(name, "dedup", Identify(fields), match)


def prepared(*rules: Rule, event: Event = EVENT) -> Event:
    prepare = book(*rules).prepare
    assert prepare is not None
    before = dict(event.labels)
    after = prepare(event, HOST)
    assert event.labels == before
    return after


def test_enrichment_sets_labels_of_its_own_event_only() -> None:
    teams = FromTable({"production": "red"}, "ci.environment")
    said = enrich("e", FULL, team=teams, owner=FromField("ci.owner"), env=Constant("live"), tier=FromField("ci.tier"))
    after = prepared(said)
    assert after.labels == {"env": "live", "team": "red", "owner": "shop", "tier": "2"}
    assert after == msgspec.structs.replace(EVENT, labels=after.labels)
    other = msgspec.structs.replace(EVENT, class_="Other")
    assert prepared(said, event=other) is other


def test_of_a_label_the_first_rule_that_has_a_value_wins() -> None:
    nothing = enrich("none", FULL, team=FromField("labels.team"), desk=FromTable({"x": "y"}, "class"))
    later = [enrich("second", FULL, team=Constant("blue")), enrich("third", FULL, team=Constant("red"))]
    assert prepared(nothing, *later).labels == {"env": "prod", "team": "blue"}
    assert prepared(nothing).labels == {"env": "prod"}
    assert prepared(*reversed(later)).labels == {"env": "prod", "team": "red"}


def test_rules_that_enrich_all_see_the_event_as_it_came_in() -> None:
    first = enrich("first", FULL, team=Constant("blue"))
    second = enrich("second", {"labels.team": "blue"}, desk=Constant("night"), copy=FromField("labels.team"))
    assert prepared(first, second).labels == {"env": "prod", "team": "blue"}


def test_an_identity_is_made_of_the_event_as_enriched() -> None:
    said = [enrich("e", FULL, team=Constant("blue")), dedup("d", {"labels.team": "blue"}, "labels.team", "labels.no")]
    assert prepared(*said).fingerprint == "\x1flabels.team,labels.no\x1fblue\x1f"
    assert prepared(said[1]) is EVENT


def test_identities_of_the_same_fields_are_the_same_and_of_others_never() -> None:
    one, same = dedup("one", {"source": "prometheus"}, "ci", "class"), dedup("two", {"source": "zabbix"}, "ci", "class")
    other = dedup("three", {"source": "nagios"}, "class", "ci")
    sources = ("prometheus", "zabbix", "nagios")
    found = [prepared(one, same, other, event=msgspec.structs.replace(EVENT, source=source)) for source in sources]
    keys = [event.fingerprint for event in found]
    assert keys[0] == keys[1] != keys[2]
    assert default_fingerprint(EVENT.ci, EVENT.class_) not in keys
    assert prepared(dedup("first", FULL, "ci"), one).fingerprint == "\x1fci\x1fweb-01"


# Memory


def test_tables_start_anew_rather_than_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "REMEMBERED", 4)
    monkeypatch.setattr(questions, "REMEMBERED_CONCLUSIONS", 4)
    ask = book(
        drop("even", {"class": {"glob": "*[02468]"}}),
        *(hold(f"h{number}", {"ci": f"ci-{number}"}) for number in range(8)),
        hold("label", {"labels.l1": {"not": "x"}}),
    ).judge
    for number in range(40):
        name = f"ci-{number % 10}"
        event = msgspec.structs.replace(EVENT, class_=f"c{number}", ci=name, labels={f"l{number % 7}": "x"})
        verdict = ask(event, CI(name))
        dropped = number % 2 == 0
        assert (verdict is not None and verdict.drop) is dropped
        held = {name.replace("ci-", "h")} if number % 10 < 8 else set()
        marks = set() if dropped else held | ({"label"} if number % 7 != 1 else set())
        assert {mark.rule for mark in (verdict.marks if verdict else ())} == marks
    tables = [value for value in ask.__globals__.values() if isinstance(value, dict) and type(value) is not dict]
    assert len(tables) == 6  # of CIs, labels, answers, and of the three fields
    assert all(len(table) <= 4 for table in tables)
    assert sum(isinstance(table, Possible) for table in tables) == 3
