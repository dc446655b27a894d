"""What `correlate` rules say: how classes are spelled, who has the first word, and that nothing grows without end."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core import classes
from opsbridge.core.classes import UNKNOWN_CLASS, Profile, Profiles
from opsbridge.rules import RuleSet, compile_rules, load_rules
from opsbridge.rules.defaults import shipped_rules
from opsbridge.rules.matching.classes import any_of, words
from pages import blocks, section


def rule_set(folder: Path, text: str) -> RuleSet:
    (folder / "rules.yaml").write_text("version: 1\nrules:\n" + text)
    return compile_rules(load_rules([folder]).rules)


@pytest.mark.parametrize(
    ("class_", "said"),
    [
        ("HostDown", "_host_down_"),
        ("host-down", "_host_down_"),
        ("HOST DOWN", "_host_down_"),
        ("hostdown", "_hostdown_"),
        ("bgpBackwardTransition", "_bgp_backward_transition_"),
        ("KubeAPIDown", "_kube_api_down_"),
        ("etcdGRPCRequestsSlow", "_etcd_grpc_requests_slow_"),
        ("HTTPCode_Target_5XX_Count", "_http_code_target_5xx_count_"),
        ("latencyP95High", "_latency_p95_high_"),
        ("call_latency_high:currencyservice", "_call_latency_high_currencyservice_"),
        ("/: Disk space is critically low (used > 90%)", "_disk_space_is_critically_low_used_90_"),
        ("Störung", "_störung_"),
        ("%", "__"),
    ],
)
def test_the_words_of_a_class(class_: str, said: str) -> None:
    assert words(class_) == said


@pytest.mark.parametrize(
    ("pattern", "fitting", "failing"),
    [
        ("host_down", ["HostDown", "host-down", "Host: down!"], ["hostdown", "a host_down", "HostDownNow"]),
        ("HostDown", ["host_down"], ["hostdown"]),
        ("*_los_*", ["LOS", "rx-los", "LosAlarm"], ["close", "CloseWait"]),
        ("*los*", ["LOS", "close"], ["lo_s"]),
        ("*disk*full*", ["DiskFull", "DiskAlmostFull", "root-disk-fully-used"], ["full disk"]),
        ("*Down", ["PoolMembersDown", "down", "shutdown"], ["DownTime"]),
        ("DISK *", ["disk /"], ["diskette"]),
        ("disk*", ["disk", "diskette", "DiskFull"], ["a disk"]),
        ("http_5??", ["HTTP 503", "Http-5xx"], ["http_50", "http_5030"]),
        ("sda[0-9A-B]", ["sda1", "SDAB"], ["sda", "sdac"]),
        ("*", ["anything", "%"], []),
        ("_los_", ["los"], ["rx_los"]),
        ("disk[", ["disk"], ["diskette"]),
    ],
)
def test_a_pattern_of_classes(pattern: str, fitting: list[str], failing: list[str]) -> None:
    covers = any_of([pattern])
    assert [name for name in fitting + failing if covers(words(name))] == fitting


@given(st.text("aZ9_-: %ä", max_size=12))
def test_a_class_fits_itself_however_it_is_spelled(name: str) -> None:
    for spelled in (name, name.replace("_", "-"), name.replace(" ", "_"), words(name)):
        assert any_of([name])(words(spelled))


def test_the_first_rule_wins_and_yours_come_before_the_shipped(tmp_path: Path) -> None:
    profiles = rule_set(
        tmp_path,
        """\
  - {id: full-disks, kind: correlate, classes: [disk_full], nature: symptom, travels: both}
  - {id: disks, kind: correlate, classes: ["*disk*"], travels: nowhere}
  - {id: who-knows, kind: correlate, classes: [HostDown], nature: unknown}
""",
    ).book.profiles
    assert profiles("DiskFull") == Profile(classes.Nature.SYMPTOM, classes.Travel.BOTH, "full-disks")
    assert profiles("DiskLate") == Profile(classes.Nature.UNKNOWN, classes.Travel.NOWHERE, "disks")
    assert profiles("host_down") == Profile(classes.Nature.UNKNOWN, classes.Travel.DEPENDENTS, "who-knows")
    assert profiles("HighLatency").rule == "shipped-latency"
    assert profiles("PaperJam") == UNKNOWN_CLASS == Profile()


def test_a_rule_with_the_id_of_a_shipped_one_takes_its_place(tmp_path: Path) -> None:
    assert compile_rules(()).book.profiles("sluggish response time").rule == "shipped-latency"
    own = rule_set(tmp_path, "  - {id: shipped-latency, kind: correlate, classes: ['*sluggish*'], nature: cause}\n")
    assert own.book.profiles("sluggish response time").nature == "cause"
    assert own.book.profiles("HighLatency") == UNKNOWN_CLASS


def test_the_shipped_rules_speak_of_classes_and_one_ground_each_with_its_reasons() -> None:
    shipped = shipped_rules()
    assert all(rule.id.startswith("shipped-") and rule.title for rule in shipped)
    rules = compile_rules(())
    assert (rules.rules, rules.edge_strengths) == ((), {})
    assert [(join.rule, join.field) for join in rules.book.joins] == [("shipped-same-service", "labels.service")]
    lines = Path(shipped[0].path).read_text().splitlines()
    told = [before for before, line in itertools.pairwise(lines) if line.startswith("  - id: ")]
    assert len(told) == len(shipped)
    assert all(line.startswith("  # ") for line in told)


def test_rules_for_correlation_have_nothing_to_say_of_events(tmp_path: Path) -> None:
    rules = rule_set(tmp_path, "  - {id: a, kind: correlate, classes: ['*'], nature: cause}\n")
    assert rules.source == compile_rules(()).source
    assert [(rule.id, rule.kind, rule.asks) for rule in rules.rules] == [("a", "correlate", ())]
    assert rules.digest != compile_rules(()).digest


def test_edges_and_joins(tmp_path: Path) -> None:
    rules = rule_set(
        tmp_path,
        """\
  - {id: calls, kind: correlate, edges: [calls, uses], strength: 0.5}
  - {id: most, kind: correlate, edges: [calls, runs_on], strength: 1}
  - {id: by-service, kind: correlate, join_by: labels.service}
  - {id: by-source, kind: correlate, join_by: source, classes: ["*Latency*"]}
""",
    )
    assert rules.edge_strengths == {"calls": 0.5, "uses": 0.5, "runs_on": 1.0}
    service, source, _shipped = rules.book.joins
    assert [(join.rule, join.field) for join in rules.book.joins[:-1]] == [
        ("by-service", "labels.service"),
        ("by-source", "source"),
    ]
    assert service.covers("anything")
    assert [name for name in ("net-latency", "LATENCY", "late") if source.covers(name)] == ["net-latency", "LATENCY"]


def test_classes_are_worked_out_once_and_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "REMEMBERED", 4)
    asked: list[str] = []

    def decide(class_: str) -> Profile:
        asked.append(class_)
        return Profile(rule=class_)

    profiles = Profiles(decide)
    for name in ["a", "b", "a", "c", "d", "a", "e", "a"]:
        assert profiles(name).rule == name
    assert asked == ["a", "b", "c", "d", "e", "a"]
    assert Profiles()("a") is UNKNOWN_CLASS


def test_the_rules_on_the_page_can_be_used_and_mean_what_it_says(tmp_path: Path) -> None:
    (example,) = blocks(section("docs/rules.md", "Correlation"), "yaml")
    (tmp_path / "rules.yaml").write_text(example)
    rules = compile_rules(load_rules([tmp_path]).rules)
    assert rules.edge_strengths == {"calls": 0.5}
    assert [join.field for join in rules.book.joins] == ["labels.service", "labels.service"]
