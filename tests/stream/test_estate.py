"""The estate: taken over as a whole, refused as a whole, and told apart rule by rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from opsbridge.core.rulebook import Heartbeat
from opsbridge.core.topology_records import CIRecord, EdgeRecord, Provider, TopologyRecord
from opsbridge.rules.load import RuleError
from opsbridge.settings import Settings, SettingsError
from opsbridge.stream.estate import (
    NAMED,
    Estate,
    difference,
    load_estate,
    topology_difference,
    with_new_rules,
    with_new_topology,
)
from opsbridge.topology.live import NOTHING, LiveTopology, Snapshot

TOPOLOGY = '{"cis": [{"id": "a"}, {"id": "b", "depends_on": [{"on": "a", "type": "TYPE"}]}]}'
RULE = "- {{id: {id}, kind: filter, match: {{class: {class_}}}, action: drop}}\n"
EDGE = "- {{id: edge, kind: correlate, edges: [rides_on], strength: {strength}}}\n"

Write = Callable[[str], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "topology").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "topology" / "estate.json").write_text(TOPOLOGY.replace("TYPE", "rides_on"))
    return Settings(paths={"topology": tmp_path / "topology", "rules": tmp_path / "rules"})  # type: ignore[arg-type]


@pytest.fixture
def write(settings: Settings) -> Write:
    def write(rules: str) -> None:
        (settings.paths.rules / "rules.yaml").write_text("version: 1\nrules:\n" + rules)

    return write


def rule(name: str, class_: str = "Noise") -> str:
    return RULE.format(id=name, class_=class_)


def test_directories_that_only_a_clone_has_are_named_with_their_settings(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules").rmdir()
    with pytest.raises(SettingsError, match=r"paths\.rules: no such file or directory: .*rules; .*empty directory"):
        load_estate(settings)
    (tmp_path / "rules").mkdir()
    assert load_estate(settings).rules.rules == ()


def test_rules_that_say_the_same_are_the_same_estate(settings: Settings, write: Write) -> None:
    write(rule("one"))
    estate = load_estate(settings)
    write("# a comment\n" + rule("one"))
    assert with_new_rules(estate, settings) is estate


def test_new_rules_keep_the_graph_and_the_weights(settings: Settings, write: Write) -> None:
    write(rule("one"))
    old = load_estate(settings)
    (settings.paths.topology / "more.json").write_text('{"cis": [{"id": "c"}]}')  # read at the next start
    write(rule("one") + rule("two"))
    new = with_new_rules(old, settings)
    assert new is not old
    assert [each.id for each in new.rules.rules] == ["one", "two"]
    assert (new.graph, new.weights, new.topology) == (old.graph, old.weights, old.topology)
    assert new.graph is old.graph
    assert new.intake.book is new.book is not old.book


def test_rules_that_are_wrong_are_refused_with_every_place(settings: Settings, write: Write) -> None:
    write(rule("one"))
    estate = load_estate(settings)
    write(rule("one") + rule("one") + "- {id: three, kind: fliter, match: {class: a}, action: drop}\n")
    with pytest.raises(RuleError) as refused:
        with_new_rules(estate, settings)
    assert [(each.line, each.level) for each in refused.value.findings] == [(4, "error"), (5, "error")]


KNOWN = "version: 1\nknown_errors:\n- {{id: {id}, title: {id}, match: {{root.class: Leak}}, workaround: restart it}}\n"


def test_known_errors_are_taken_over_with_the_rules_and_refused_with_them(
    settings: Settings, write: Write, tmp_path: Path
) -> None:
    write(rule("one"))
    settings = Settings(paths=settings.paths.model_copy(update={"known_errors": tmp_path / "known"}))
    with pytest.raises(SettingsError, match=r"paths\.known_errors: no such file"):
        load_estate(settings)  # somebody said that they are there
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "leaks.yaml").write_text(KNOWN.format(id="leak"))
    old = load_estate(settings)
    assert with_new_rules(old, settings) is old
    (tmp_path / "known" / "leaks.yaml").write_text(KNOWN.format(id="leak") + KNOWN.format(id="x").split("\n", 2)[2])
    new = with_new_rules(old, settings)
    assert new is not old
    assert (new.rules.digest == old.rules.digest, new.context is old.context) == (False, True)
    assert difference(old.rules, new.rules) == "the same rules, in another order, or with other tables or known errors"
    (tmp_path / "known" / "leaks.yaml").write_text("version: 1\nknown_errors: [{id: leak}]\n")
    with pytest.raises(RuleError, match=r"leaks\.yaml:2"):
        with_new_rules(new, settings)


def test_known_errors_may_be_missing_where_nobody_said_that_there_are_any(
    settings: Settings, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write(rule("one"))
    assert load_estate(settings).rules.rules


def test_rules_that_change_how_strong_edges_are_give_the_graph_new_costs(settings: Settings, write: Write) -> None:
    write(EDGE.format(strength=0.9))
    old = load_estate(settings)
    write(EDGE.format(strength=0.1))
    new = with_new_rules(old, settings)
    assert new.graph.cis == old.graph.cis
    assert new.graph.costs != old.graph.costs
    assert new.topology == old.topology


def test_a_topology_that_has_changed_is_not_taken_over_by_the_way(settings: Settings, write: Write) -> None:
    write(EDGE.format(strength=0.9))
    old = load_estate(settings)
    (settings.paths.topology / "more.json").write_text('{"cis": [{"id": "c"}]}')
    write(EDGE.format(strength=0.1))
    new = with_new_rules(old, settings)
    assert (new.graph.cis, new.topology) == (old.graph.cis, old.topology)
    assert new.graph.costs != old.graph.costs


def snapshot(*records: TopologyRecord) -> Snapshot:
    live = LiveTopology()
    assert [live.learn(record) for record in records] == [None] * len(records)
    return live.snapshot()


C = CIRecord(id="c", depends_on=(Provider("a", "rides_on"),), owner="netops")


def test_a_topology_change_and_a_rule_reload_compose_in_either_order(settings: Settings, write: Write) -> None:
    write(EDGE.format(strength=0.9) + rule("one"))
    old = load_estate(settings)
    live = snapshot(C, EdgeRecord(from_="c", on="ghost"))
    there = with_new_topology(old, live, settings)
    assert [ci.id for ci in there.graph.cis] == ["a", "b", "c"]
    assert there.topology != old.topology
    assert there.graph.digest == there.topology
    assert [(each.kind, each.reference) for each in there.misfits] == [("unknown_end", "c -> ghost")]
    write(EDGE.format(strength=0.1) + rule("two"))
    one, other = with_new_rules(there, settings), with_new_topology(with_new_rules(old, settings), live, settings)
    for both in (one, other):
        assert [each.id for each in both.rules.rules] == ["edge", "two"]
        assert [ci.id for ci in both.graph.cis] == ["a", "b", "c"]
        assert both.graph.costs != there.graph.costs
        assert both.graph.costs == one.graph.costs
        assert both.misfits == there.misfits
    assert with_new_topology(there, live, settings) is there
    again = with_new_topology(one, NOTHING, settings)
    assert (again.graph.cis, again.misfits, again.live) == (old.graph.cis, (), NOTHING)


def test_what_changes_nothing_to_decide_by_makes_no_lane_begin_anew(settings: Settings) -> None:
    said = CIRecord(id="b", depends_on=(Provider("a", "rides_on"),))
    (settings.paths.topology / "estate.json").write_text(TOPOLOGY.replace("TYPE", "rides_on"))
    old = load_estate(settings)
    confirmed = with_new_topology(old, snapshot(said), settings)  # what files say already, but now it may go
    assert (confirmed.topology, confirmed.graph.passing) == (old.topology, {1: True})
    assert not confirmed.decides_as(old, tells=False)
    edge = EdgeRecord(from_="b", on="a", type="rides_on")
    twice = with_new_topology(confirmed, snapshot(said, edge), settings)
    assert len(twice.live) == 2
    assert twice.decides_as(confirmed, tells=True)
    misfit = with_new_topology(confirmed, snapshot(said, EdgeRecord(from_="b", on="ghost")), settings)
    assert [each.kind for each in misfit.misfits] == ["unknown_end"]
    assert misfit.decides_as(confirmed, tells=False)
    assert not misfit.decides_as(confirmed, tells=True)
    assert not with_new_topology(misfit, NOTHING, settings).decides_as(misfit, tells=False)


def test_a_ci_that_becomes_an_alias_is_told_as_renamed_and_not_as_gone(settings: Settings) -> None:
    named = TOPOLOGY.replace("{", '{"origin": "cmdb", ', 1).replace("TYPE", "rides_on")
    (settings.paths.topology / "estate.json").write_text(named)
    old = load_estate(settings)
    new = with_new_topology(old, snapshot(CIRecord(id="dup", aliases=("b",)), C), settings)
    assert topology_difference(old, new) == "1 CI came (c); b is now called dup; 2 dependencies, 1 more than before"
    assert topology_difference(new, old) == "1 CI went (c); dup is now called b; 1 dependencies, 1 fewer than before"


def test_rules_ask_for_the_cis_that_there_are_now(settings: Settings, write: Write) -> None:
    write(
        "- {id: beats, kind: heartbeat, match: {class: Heartbeat}, every: 5m, expect: {ci.owner: netops}, "
        "raise: {class: HeartbeatMissing, severity: major}}\n"
    )
    old = load_estate(settings)
    new = with_new_topology(old, snapshot(C), settings)
    expected = [
        each.expected
        for estate in (old, new)
        for each in estate.book.derivations.values()
        if isinstance(each, Heartbeat)
    ]
    assert expected == [(), ("c",)]


def test_a_reload_is_told_rule_by_rule(settings: Settings, write: Write) -> None:
    def estate(rules: str) -> Estate:
        write(rules)
        return load_estate(settings)

    old = estate(rule("stays") + rule("goes") + rule("differs"))
    new = estate(rule("stays") + rule("differs", "Else") + "".join(rule(f"new-{n}") for n in range(NAMED + 2)))
    named = ", ".join(f"new-{n}" for n in range(NAMED))
    told = difference(old.rules, new.rules)
    assert told == f"{NAMED + 2} added ({named} and 2 more); 1 removed (goes); 1 changed (differs)"
    turned = estate(rule("goes") + rule("stays") + rule("differs"))
    assert turned.rules.digest != old.rules.digest
    assert (
        difference(old.rules, turned.rules) == "the same rules, in another order, or with other tables or known errors"
    )
