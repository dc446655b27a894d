"""What leaves a lane: topics, keys, partitions and headers."""

from typing import Any, get_args

import msgspec
import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from opsbridge.core.coordination.news import Asked, BelongsTo, Denied, Done, Ended, Granted, Opened
from opsbridge.core.coordination.stage import Told
from opsbridge.core.decisions import (
    Derived,
    Discrepancy,
    Expired,
    Moved,
    Outcome,
    Regroup,
    Reminder,
    Root,
    Shadowed,
    Suppressed,
    Transition,
    Withheld,
)
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Heard, News
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.records import ChangeRequest, Notification, Problem, Response, ServiceRequest, Unanswered
from opsbridge.core.response.selection import Decision
from opsbridge.core.rulebook import BlastRadius
from opsbridge.core.second_level.level import SecondLevel
from opsbridge.core.sharing import domain_of
from opsbridge.settings import KafkaSettings, TopicSettings
from opsbridge.sources.canonical import decode
from opsbridge.stream.dispatch import _PLACES, UNTIL, Dispatch, partition_of
from opsbridge.stream.outbox import EVERY, BatchWriter, Outbox
from opsbridge.stream.packing import (
    decode_answer,
    decode_coordination,
    decode_correction,
    decode_events,
    decode_transitions,
)
from opsbridge.web.metrics import Metrics

GRAPH = CIGraph(
    [CI(id=name) for name in ("a", "b", "till-1", "till-2")], [(1, 0)], domains=["a", "a", "till-1", "till-2"]
)
"""b depends on a; the tills are alone."""

TRANSITION = Transition("opened", "f", "b", "Down", 4, 1, 1, 1, 1, 0, "e")
SUPPRESSED = Suppressed("withheld", "hold", "wait", "f", "b", "Down", 4, "e", 1, 1)
SHADOWED = Shadowed("trial", "drop", "b", "Down", "e", "f", 1)
EVENT = Event("e", 1_767_268_800_000, "b", "Down", 4, True, "f", known_ci=True, labels={"user": "eve"})


@pytest.fixture
def dispatch() -> Dispatch:
    return Dispatch(Outbox(BatchWriter(KafkaSettings())), TopicSettings(prefix="", version="1"), Metrics())


def sent(dispatch: Dispatch) -> list[tuple[str, int | None, bytes | None, Any, dict[str, bytes]]]:
    """Entity, partition, key, value and headers of what was sent."""
    return [
        (topic.removesuffix(".1"), partition, key, value, dict(headers or []))
        for topic, partition, (key, value, headers, _) in dispatch.outbox._pending
    ]


def counted(dispatch: Dispatch) -> dict[str, float]:
    registry = dispatch._metrics.registry
    return {
        ",".join((sample.name.removeprefix("opsbridge_"), *sample.labels.values())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith(("_total", "_seconds")) and sample.value and not sample.name.startswith("process")
    }


@pytest.mark.parametrize(
    ("ci", "known", "grounds", "domain"),
    [
        ("b", True, (), "a"),
        ("b", True, ("r\x1fshop",), "a"),  # what hangs together in the topology is together
        ("till-1", True, (), "till-1"),
        ("till-1", True, ("r\x1fshop",), "r\x1fshop"),
        ("nobody", False, (), "nobody"),
        ("nobody", False, ("r\x1fshop",), "r\x1fshop"),
        ("b", False, (), "b"),  # a name that became a CI since
    ],
)
def test_a_transition_is_heard_with_its_component_or_with_its_ground(
    ci: str, known: bool, grounds: tuple[str, ...], domain: str
) -> None:
    change = msgspec.structs.replace(TRANSITION, ci=ci, known_ci=known, grounds=grounds)
    assert domain_of(GRAPH, change) == domain


def test_alerts_that_a_ground_joins_meet_in_the_partition_of_their_domain() -> None:
    """Split by domain as the stream splits them, second levels find what one finds that hears everything."""
    grounds = [("r\x1fshop",), ("r\x1fbank",), ("r\x1fshop",), ("r\x1fbank",), ("r\x1fshop",)]
    cis = ["till-1", "till-2", "nobody-1", "nobody-2", "nobody-3"]
    changes = [
        msgspec.structs.replace(TRANSITION, fingerprint=ci, ci=ci, known_ci=ci in GRAPH.numbers, grounds=why, event=ci)
        for ci, why in zip(cis, grounds, strict=True)
    ]
    by_domain: dict[str, list[Transition]] = {}
    for change in changes:
        by_domain.setdefault(domain_of(GRAPH, change), []).append(change)
    apart = [members for heard in by_domain.values() for members in members_of(GRAPH, heard)]
    assert (
        sorted(apart)
        == sorted(members_of(GRAPH, changes))
        == [["nobody-1", "nobody-3", "till-1"], ["nobody-2", "till-2"]]
    )


def members_of(graph: CIGraph, changes: list[Transition]) -> list[list[str]]:
    stage = SecondLevel(graph)
    told: dict[str, list[str]] = {}
    for news in [*stage.advance(changes), *stage.expire(120_000)]:
        assert not isinstance(news, Suppressed | Shadowed)
        told.setdefault(news.situation.id, []).extend(member.ci for member in news.moved.joined)
    return [sorted(members) for members in told.values()]


def test_events_are_packed_by_the_partition_of_their_text(dispatch: Dispatch) -> None:
    texts = [f"text-{number}" for number in range(20)]
    events = [(text, msgspec.structs.replace(EVENT, id=text)) for text in texts]
    dispatch.events(events, 4, until=7)
    dispatch.events(events[:1], 4)
    *first, last = sent(dispatch)
    found = [(event.id, partition) for _, partition, _, value, _ in first for event in decode_events(value)]
    assert sorted(found) == sorted((text, partition_of(text, 4)) for text in texts)
    assert all(headers == {UNTIL: b"7"} for *_, headers in first)
    assert len(first) == len({partition for _, partition, *_ in first}) == 4
    assert last[4] == {}, "what comes from another partition does not say how far intake is"


def test_all_that_the_first_level_says_goes_somewhere_and_is_counted(
    dispatch: Dispatch, caplog: pytest.LogCaptureFixture
) -> None:
    reminder = Reminder("patch-night", 600_000, 0)
    news: list[News] = [
        Expired("f", 2),
        SUPPRESSED,
        SHADOWED,
        Derived("storm", "d", "df", "b", "Storm", True, 1),
        Withheld("suppressed", "drop"),
        reminder,
    ]
    dispatch.first_level([Heard([Outcome.OPENED], [TRANSITION], news, []), Heard([], [], [reminder], [])], GRAPH)
    notification, alerts, suppressed, shadow = sent(dispatch)
    assert alerts[:3] == ("alerts", None, b"a")
    assert decode_transitions(alerts[3]) == [TRANSITION]
    assert suppressed[:3] == ("suppressed", None, b"f")
    assert msgspec.json.decode(suppressed[3], type=Suppressed) == SUPPRESSED
    assert shadow[:3] == ("shadow", None, b"trial")
    assert msgspec.json.decode(shadow[3], type=Shadowed) == SHADOWED
    assert counted(dispatch) == {
        "events_expired_total,resolution_without_problem": 2,
        "events_heard_total,opened": 1,
        "events_derived_total,storm": 1,
        "events_withheld_total,suppressed,drop": 1,
        "alert_transitions_total,opened": 1,
        "alerts_suppressed_total,hold,withheld": 1,
        "shadow_decisions_total,trial,drop": 1,
        "maintenance_ends_timestamp_seconds,patch-night": 600,
        "notifications_total,maintenance_ends": 1,
    }
    assert notification[0] == "notifications"
    told = msgspec.json.decode(notification[3], type=Notification)
    assert notification[2] == told.id.encode()
    assert (told.reason, told.to, told.rule) == ("maintenance_ends", "patch-night", "patch-night")
    assert (told.text, told.time) == (
        "maintenance window of rule patch-night ends at 1970-01-01T00:10:00.000Z",
        "1970-01-01T00:00:00.000Z",
    )
    assert caplog.messages == ["maintenance window of rule patch-night ends in 10 minutes"]


NOW = "2026-01-01T12:00:00.000Z"
ROOT = Root("b", "Down", False, 0.9)
OF_SITUATION: dict[str, Any] = {
    "version": 1,
    "situation": "S-1",
    "incident": "INC-1",
    "rule": "r",
    "root": ROOT,
    "title": "t",
    "opened": NOW,
    "updated": NOW,
}


@pytest.mark.parametrize(
    ("told", "entity", "key", "counted_as"),
    [
        (
            Problem(
                id="PRB-1", version=1, status="open", title="t", rule="r", same=(), incidents=(), count=3,
                opened=NOW, updated=NOW,
            ),
            "problems",
            "PRB-1",
            "problem_updates_total,open",
        ),
        (ChangeRequest(id="RFC-1", status="open", **OF_SITUATION), "changes", "RFC-1",
         "ticket_updates_total,changes,open"),
        (
            ServiceRequest(id="REQ-1", status="closed", **OF_SITUATION),
            "requests",
            "REQ-1",
            "ticket_updates_total,requests,closed",
        ),
        (
            Response(id="RSP-1", status="requested", ci="b", action="restart", **OF_SITUATION),
            "responses",
            "RSP-1",
            "response_updates_total,restart,requested",
        ),
        (
            Notification(id="NTF-1", reason="opened", to="ops", text="t", time=NOW),
            "notifications",
            "NTF-1",
            "notifications_total,opened",
        ),
        (Discrepancy("missing_edge", "a -> b", "", 1), "discrepancies", "a -> b", ""),
        (Asked("k", "S-1", "RSP-1", "restart", "b", 1, BlastRadius()), "coordination", "all", ""),
        (Done("k", 1), "coordination", "all", ""),
        (Opened("S-1", "INC-1", "b", "Down", 1, 1), "coordination", "all", ""),
        (Ended("S-1", "b", 1, 1), "coordination", "all", ""),
        (Granted("S-1", "RSP-1", "k", 1), "answers", "S-1", ""),
        (Denied("S-1", "RSP-1", "k", "per_ci", "1 in 1 h", 1), "answers", "S-1", "permits_denied_total,per_ci"),
        (BelongsTo("S-1", "PRB-1", 1), "answers", "S-1", ""),
    ],
)  # fmt: skip
def test_what_response_and_coordination_say_has_a_topic_and_a_key(
    dispatch: Dispatch, told: msgspec.Struct, entity: str, key: str, counted_as: str
) -> None:
    dispatch.responses([told])
    ((topic, partition, sent_key, value, headers),) = sent(dispatch)
    assert (topic, partition, sent_key, headers) == (entity, None, key.encode(), {})
    decoders = {"coordination": decode_coordination, "answers": decode_answer}
    decode = decoders.get(entity, msgspec.json.Decoder(type(told)).decode)
    assert decode(value) == told
    assert counted(dispatch) == ({counted_as: 1} if counted_as else {})


def test_everything_that_response_and_coordination_can_say_has_a_place() -> None:
    sayable = {*get_args(Decision), *get_args(Told)} - {Regroup, Unanswered}
    assert sayable <= _PLACES.keys()


def test_a_correction_goes_to_every_partition_that_may_know_the_alerts(dispatch: Dispatch) -> None:
    correction = Regroup("f1", ("x", "y"), "S-1")
    dispatch.responses([correction])
    assert [(topic, partition, key) for topic, partition, key, *_ in sent(dispatch)] == [
        ("corrections", EVERY, None),
        ("backbone-corrections", EVERY, None),
    ]
    assert all(decode_correction(value) == correction for *_, value, _ in sent(dispatch))


def test_a_situation_that_is_no_incident_is_logged_and_counted_once(
    dispatch: Dispatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = Unanswered("INC-1", "S-1", "printers", "prn-1", "open", None, begins=True, moved=Moved())
    dispatch.responses([first, msgspec.structs.replace(first, begins=False)])
    assert sent(dispatch) == []
    assert counted(dispatch) == {"situations_without_incident_total,printers": 1}
    assert caplog.messages == ["situation S-1 of prn-1 is no incident: rule printers"]


def test_a_routed_record_keeps_value_headers_and_key(dispatch: Dispatch) -> None:
    record: ConsumerRecord[bytes | None, bytes | None]
    record = ConsumerRecord("in", 3, 7, 0, 0, b"k", b"{}", None, 1, 1, (("own", b"1"),))
    dispatch.routed(record, Withheld("routed", "to-security", "security"))
    ((topic, _, key, value, headers),) = sent(dispatch)
    assert (topic, key, value) == ("routed", b"security", b"{}")
    assert headers == {
        "own": b"1",
        "__opsbridge.rule": b"to-security",
        "__opsbridge.key": b"k",
        "__opsbridge.topic": b"in",
        "__opsbridge.partition": b"3",
        "__opsbridge.offset": b"7",
    }


def test_a_routed_record_does_not_outgrow_what_may_be_written(dispatch: Dispatch) -> None:
    record: ConsumerRecord[bytes | None, bytes | None]
    record = ConsumerRecord("in", 3, 7, 0, 0, b"k" * 90_000, b"{}", None, 1, 1, (("own", b"1" * 90_000),))
    dispatch.routed(record, Withheld("routed", "to-security", "security"))
    ((*_, headers),) = sent(dispatch)
    assert headers.keys() == {f"__opsbridge.{name}" for name in ("rule", "topic", "partition", "offset")}


def test_a_routed_event_that_a_rule_made_is_a_canonical_event(dispatch: Dispatch) -> None:
    dispatch.routed_derived(EVENT, Withheld("routed", "to-security", "security"))
    ((topic, _, key, value, headers),) = sent(dispatch)
    assert (topic, key, headers) == ("routed", b"security", {"__opsbridge.rule": b"to-security"})
    report = decode(value)
    assert orjson.loads(value)["time"] == "2026-01-01T12:00:00Z"
    assert orjson.loads(msgspec.json.encode(report)) == orjson.loads(value)
    assert orjson.loads(value).items() >= {"id": "e", "ci": "b", "class": "Down", "severity": "critical"}.items()
    assert counted(dispatch) == {"events_routed_total,security": 1}
