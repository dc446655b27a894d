"""`opsbridge backtest`: what differs between two runs of the same events, told and answered with an exit code."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from conftest import create_topic
from kafka_server import Kafka
from opsbridge.cli.comparing import Backtest, backtested
from opsbridge.cli.main import app
from opsbridge.cli.payloads import of_canonical
from opsbridge.cli.preparing import prepare
from opsbridge.testing.differences import Counted, Ended, differences

REPOSITORY = Path(__file__).parents[2]


def ended(
    name: str, events: str, root: str = "r", *, severity: str = "major", opened: int = 0, cause: str = "Down"
) -> Ended:
    return Ended(
        id=name,
        title=name,
        root=root,
        cause=cause,
        severity=severity,
        status="open",
        opened_ms=opened,
        events=frozenset(events.split()),
    )


def told(old: Iterable[Ended], new: Iterable[Ended]) -> list[str]:
    """`kind old > new: details` of each difference."""
    lines = []
    for each in differences(old, new):
        sides = [" ".join(brief.id for brief in side) for side in (each.old, each.new)]
        lines.append(" ".join(f"{each.kind} {sides[0]} > {sides[1]}: {', '.join(each.details)}".split()))
    return lines


A = ended("A", "1 2 3")
B = ended("B", "4 5 6", "s")
SCENARIOS: dict[str, tuple[list[Ended], list[Ended], list[str]]] = {
    "nothing, if only ids differ": ([A, B], [ended("X", "1 2 3"), ended("Y", "4 5 6", "s")], []),
    "one opens": ([A], [A, B], ["opens > B:"]),
    "one does not open": ([A, B], [A], ["closes B > :"]),
    "two are one": ([A, B], [ended("X", "1 2 3 4 5 6")], ["merges A B > X:"]),
    "one is two": ([ended("X", "1 2 3 4 5 6")], [A, B], ["splits X > A B:"]),
    "another root": ([A], [ended("X", "1 2 3", "s")], ["root A > X:"]),
    "another severity": ([A], [ended("A", "1 2 3", severity="minor")], ["changes A > A: severity: major -> minor"]),
    "the root sent nothing": ([A], [ended("A", "1 2 3", cause="")], ["changes A > A: cause: Down -> none"]),
    "an event is missing": ([A], [ended("A", "1 2")], ["changes A > A: events: -1"]),
    "an event moves": (
        [A, B],
        [ended("A", "1 2 3 4"), ended("B", "5 6", "s")],
        ["changes A > A: events: +1", "changes B > B: events: -1"],
    ),
    "some go over to another": (
        [ended("A", "1 2"), ended("B", "3 4 5 6 7 8 9", "s")],
        [ended("X", "1 2 3 4 5", "s"), ended("Y", "6 7 8 9", "s")],
        ["merges A B > X:", "splits B > X Y:"],
    ),
    "other events, but root and time are the same": (
        [ended("A", "1", opened=0)],
        [ended("X", "2", opened=90_000)],
        ["changes A > X: opens 90 s later, events: +1 -1"],
    ),
    "the same root at another time is another incident": (
        [ended("A", "1", opened=0)],
        [ended("X", "2", opened=3_600_001)],
        ["opens > X:", "closes A > :"],
    ),
    "of several with the same root, the nearest in time": (
        [ended("A", "1", opened=0), ended("B", "2", opened=1_000_000)],
        [ended("X", "3", opened=900_000), ended("Y", "4", opened=2_000)],
        ["changes B > X: opens 100 s earlier, events: +1 -1", "changes A > Y: opens 2 s later, events: +1 -1"],
    ),
}


@pytest.mark.parametrize(("old", "new", "wanted"), SCENARIOS.values(), ids=SCENARIOS)
def test_a_difference_is_told_as_what_it_is(old: list[Ended], new: list[Ended], wanted: list[str]) -> None:
    assert told(old, new) == wanted


@st.composite
def _runs(draw: st.DrawFn) -> list[Ended]:
    homes = draw(st.lists(st.integers(0, 3), max_size=10))
    roots = draw(st.lists(st.sampled_from("rs"), min_size=4, max_size=4))
    incidents = {home: " ".join(str(event) for event, one in enumerate(homes) if one == home) for home in homes}
    return [ended(f"{home}", events, roots[home], opened=home) for home, events in incidents.items()]


@settings(max_examples=100, deadline=None)
@given(_runs(), _runs())
def test_every_incident_that_is_not_the_same_is_told_and_the_same_none(old: list[Ended], new: list[Ended]) -> None:
    assert told(old, old) == []
    found = differences(old, new)
    named_old = {brief.id for each in found for brief in each.old}
    named_new = {brief.id for each in found for brief in each.new}

    def key(incident: Ended) -> tuple[object, ...]:
        return incident.root, incident.events, incident.opened_ms

    assert {each.id for each in old if key(each) not in set(map(key, new))} <= named_old
    assert {each.id for each in new if key(each) not in set(map(key, old))} <= named_new


# the command

TOPOLOGY = """\
cis:
  - {id: sw, type: switch}
  - {id: h1, depends_on: [sw]}
  - {id: h2, depends_on: [sw]}
  - {id: h3, depends_on: [sw]}
  - {id: far}
"""
OTHER_TOPOLOGY = "cis: [{id: sw}, {id: h1}, {id: h2}, {id: h3}, {id: far}]\n"
RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
"""


def event(number: int, ci: str, class_: str = "Down", *, second: int = 0) -> bytes:
    time = f"2026-01-01T00:00:{second:02}Z"
    content = {"id": f"e{number}", "time": time, "ci": ci, "class": class_, "severity": "critical", "state": "firing"}
    return json.dumps(content).encode()


EVENTS = [
    *(event(number, f"h{number}", second=1) for number in (1, 2, 3)),
    event(4, "far", "DiskFull", second=2),
    event(5, "far", "Heartbeat", second=3),
    b"no event",
]


@pytest.fixture(autouse=True)
def _a_place_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("topology").mkdir()
    Path("topology/estate.yaml").write_text(TOPOLOGY)
    Path("correlation_rules").mkdir()
    Path("correlation_rules/rules.yaml").write_text(RULES)
    Path("events.jsonl").write_bytes(b"\n".join(EVENTS))


def backtest(*flags: str, events: bool = True) -> Result:
    return CliRunner().invoke(app, ["backtest", *(["--events", "events.jsonl"] if events else []), *flags])


def rules(text: str) -> list[str]:
    Path("new.yaml").write_text(RULES + text)
    return ["--rules", "new.yaml"]


def document(result: Result) -> Backtest:
    return msgspec.json.decode(result.stdout, type=Backtest)


def test_the_same_rules_make_no_difference() -> None:
    result = backtest("--rules", "correlation_rules")
    assert (result.exit_code, result.stdout) == (0, "no difference\n"), result.stderr
    assert "6 events; incidents: 2 by the old, 2 by the new" in result.stderr
    answer = document(backtest("--rules", "correlation_rules", "-o", "json"))
    assert answer.equal
    assert answer.differences == []
    assert Counted("events suppressed", "no-beats", 1, 1) in answer.counts
    assert Counted("events dead letter", "invalid_json", 1, 1) in answer.counts


def test_an_incident_that_would_not_open_ends_with_one() -> None:
    result = backtest(
        *rules("  - {id: no-disks, kind: filter, action: drop, match: {class: DiskFull}}\n"), "-o", "json"
    )
    assert result.exit_code == 1, result.stderr
    answer = document(result)
    (difference,) = answer.differences
    assert difference.kind == "closes"
    assert difference.old[0].root == "far"
    assert Counted("events suppressed", "no-disks", 0, 1) in answer.counts


def test_against_says_what_is_old() -> None:
    flags = rules("  - {id: no-disks, kind: filter, action: drop, match: {class: DiskFull}}\n")
    result = backtest("--rules", "correlation_rules", "--against-rules", flags[1])
    assert result.exit_code == 1, result.stderr
    assert "would open" in result.stdout
    assert backtest(*flags, "--against-rules", flags[1]).exit_code == 0


def test_another_topology_splits_what_it_does_not_connect() -> None:
    Path("apart.yaml").write_text(OTHER_TOPOLOGY)
    result = backtest("--topology", "apart.yaml")
    assert result.exit_code == 1, result.stderr
    assert "would be several" in result.stdout
    answer = document(backtest("--topology", "topology", "--against-topology", "apart.yaml", "-o", "json"))
    assert [each.kind for each in answer.differences] == ["merges"]


def test_known_errors_are_compared_by_what_rules_make_of_them() -> None:
    known = "version: 1\nknown_errors:\n  - {id: KE-1, title: t, match: {root.ci: far}, workaround: w}\n"
    Path("known.yaml").write_text(known)
    flags = rules("  - {id: known-is-none, kind: respond, response: none, match: {known_error: KE-1}}\n")
    both = [*flags, "--against-rules", flags[1]]
    assert backtest(*both).exit_code == 0
    (difference,) = document(backtest(*both, "--known-errors", "known.yaml", "-o", "json")).differences
    assert (difference.kind, difference.old[0].root) == ("closes", "far")
    assert backtest(*both, "--against-known-errors", "known.yaml").exit_code == 0, "the new ones are the old ones"
    Path("known_errors").mkdir()
    Path("known_errors/known.yaml").write_text(known)
    assert backtest(*both).exit_code == 0, "the old ones are those of the settings"
    assert "would not open" not in backtest(*both, "--known-errors", "known.yaml").stdout


def test_another_severity_is_a_small_change() -> None:
    text = "  - {id: disks, kind: classify, severity: minor, match: {class: DiskFull}}\n"
    result = backtest(*rules(text))
    assert result.exit_code == 1, result.stderr
    assert "would change a little" in result.stdout
    assert "severity: critical -> minor" in result.stdout


def test_a_rule_in_trial_is_counted_and_makes_no_difference() -> None:
    text = "  - {id: no-disks, kind: filter, shadow: true, action: drop, match: {class: DiskFull}}\n"
    result = backtest(*rules(text), "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert document(result).trials == [Counted("in trial, would drop", "no-disks", 0, 1)]
    assert "in trial, would drop" in backtest(*rules(text)).stdout


def test_what_rules_with_a_memory_do_is_compared() -> None:
    text = """\
  - {id: hold, kind: hold, for: 10m, match: {class: DiskFull}}
  - id: many-down
    kind: threshold
    type: event_count
    match: {class: Down}
    group_by: [class]
    timespan: 1m
    condition: {gte: 3}
    raise: {class: ManyDown, severity: major, ci: far}
"""
    answer = document(backtest(*rules(text), "-o", "json"))
    assert Counted("alerts withheld: hold", "hold", 0, 1) in answer.counts
    assert Counted("alerts raised", "many-down", 0, 1) in answer.counts
    assert not answer.equal


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rules", "correlation_rules"], "give --events FILE or --topic"),
        (["--events", "events.jsonl", "--topic", "--rules", "x"], "give --events FILE or --topic"),
        (["--events", "events.jsonl"], "give --rules, --topology or --known-errors: what would be new"),
        (["--events", "events.jsonl", "--rules", "x", "--since", "1d"], "--since is about --topic"),
        (["--events", "events.jsonl", "--rules", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--events", "events.jsonl", "--topology", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--events", "nowhere.jsonl", "--rules", "correlation_rules"], "nowhere.jsonl: No such file"),
        (["--topic", "--since", "soon", "--rules", "correlation_rules"], "must be a duration such as 90s"),
    ],
)
def test_what_cannot_be_used_ends_with_two(flags: list[str], words: str) -> None:
    result = backtest(*flags, events=False)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""


_EVENTS = st.lists(
    st.builds(
        event,
        st.integers(0, 30),
        st.sampled_from(["h1", "h2", "h3", "sw", "far", "unknown"]),
        st.sampled_from(["Down", "DiskFull", "Heartbeat", "HighLatency"]),
        second=st.integers(0, 59),
    ),
    max_size=30,
)


def test_a_rule_set_against_itself_finds_nothing() -> None:
    once, again = (prepare([Path("topology")], [REPOSITORY / "correlation_rules"]) for _ in range(2))

    @settings(max_examples=25, deadline=None)
    @given(_EVENTS)
    def finds_nothing(events: list[bytes]) -> None:
        answer = backtested(once, again, map(of_canonical, events), 1 << 50)
        assert answer.equal, answer
        assert answer.read == len(events)

    finds_nothing()


async def test_the_live_input_topic_is_read_once_for_both(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = f"{unique('t')}."
    topic = f"{prefix}events.v1"
    await create_topic(kafka.bootstrap_servers, topic, 3)
    live = ["-b", kafka.bootstrap_servers]

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments])

    sent = await asyncio.to_thread(run, "send", "events.jsonl", "--topic", topic, *live)
    assert sent.exit_code == 0, sent.stderr
    flags = rules("  - {id: no-disks, kind: filter, action: drop, match: {class: DiskFull}}\n")
    command = ["backtest", "--topic", "--since", "1h", *flags, "-o", "json", *live]
    result = await asyncio.to_thread(run, *command, "--set", f"topics.prefix={prefix}")
    assert result.exit_code == 1, result.stderr
    answer = document(result)
    assert answer.read == 6
    assert [each.kind for each in answer.differences] == ["closes"]
