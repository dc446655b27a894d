"""Intake of a fetch: each item of each payload is counted in one place, and one that is bad takes no other with it."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.context import Context
from opsbridge.core.decisions import Reject, Rejected, Withheld
from opsbridge.core.event import Event, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.weights import Weights
from opsbridge.rules.compile import RuleSet
from opsbridge.settings import KafkaSettings, TopicSettings
from opsbridge.sources.catalogue import Sources
from opsbridge.sources.inputs import Inputs
from opsbridge.sources.source import SOURCE_HEADER, Headers, Item, Source
from opsbridge.stream.batches import RecordBatch
from opsbridge.stream.dispatch import Dispatch
from opsbridge.stream.estate import Estate
from opsbridge.stream.intake import take_in
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.web.metrics import Metrics

NOW = datetime.now(UTC).replace(microsecond=0)
ERRORS = "__opsbridge.errors."
SOFT = Withheld("suppressed", "many/soft_state")


class Many:
    """A tool that sends many events in one payload: `{"alerts": [...]}`, each a state and a CI, or what is none."""

    name = "many"

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:
        said = {name: value for name, value in headers if name != SOURCE_HEADER}
        return [
            self._item(number, alert, arrived_ms, said)
            for number, alert in enumerate(orjson.loads(payload or b"")["alerts"])
        ]

    def _item(self, number: int, alert: Any, arrived_ms: int, said: dict[str, bytes | None]) -> Item:
        if alert == "soft":
            return SOFT
        if not isinstance(alert, dict):
            return Rejected(Reject.INVALID_FIELD, f"no alert - at `$.alerts[{number}]`")
        time = alert.pop("time", None)
        return Report(
            id=f"{arrived_ms}-{number}",
            time=datetime.fromisoformat(time) if time else datetime.fromtimestamp(arrived_ms / 1000, UTC),
            state="firing",
            severity="major",
            source=(said.get("ce_source") or b"many").decode(),
            **dict[str, Any](class_="Down") | alert,
        )


class Broken:
    """A source that breaks its word."""

    name = "broken"

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:  # noqa: ARG002
        if payload == b"nothing":
            return ()
        raise KeyError("alerts")


class Own(Sources):
    """The shipped code, with two sources of the tests."""

    def __init__(self, *own: Source) -> None:
        super().__init__()
        self._by_name |= {source.name: source for source in own}


def judge(event: Event, _ci: CI) -> Verdict | None:
    verdicts = {"secret": Verdict("to-security", route="security"), "noise": Verdict("no-noise", drop=True)}
    if event.ci == "defect":
        raise ZeroDivisionError("in a rule")
    return verdicts.get(event.ci)


INPUTS = Inputs(Own(Many(), Broken()), {"raw": "many", "events": "auto", "odd": "broken"})
ESTATE = Estate(
    CIGraph([CI("web")]),
    RuleSet((), Rulebook(judge=judge), {}, "", ""),
    Weights(),
    "",
    INPUTS,
    Context(),
)


class Desk:
    """Takes batches in, and tells what became of them."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.dispatch = Dispatch(
            Outbox(BatchWriter(KafkaSettings())), TopicSettings(prefix="", version="1"), self.metrics
        )

    def take(
        self, *payloads: bytes | None, topic: str = "raw", headers: Headers = (), at: datetime = NOW
    ) -> list[Event]:
        arrived = int(at.timestamp() * 1000)
        records: list[Any] = [  # the clients' types know neither None nor sequences
            ConsumerRecord(topic, 0, offset, arrived, 0, b"key", value, None, 0, 0, tuple(headers))  # type: ignore[arg-type]
            for offset, value in enumerate(payloads)
        ]
        return take_in(RecordBatch(topic, 0, records), ESTATE, self.dispatch, self.metrics)

    def sent(self, entity: str) -> list[tuple[bytes | None, dict[str, str]]]:
        """Value and headers of what was sent there."""
        return [
            (value, {name.removeprefix(ERRORS): content.decode() for name, content in headers or []})
            for topic, _, (_, value, headers, _) in self.dispatch.outbox._pending
            if topic == f"{entity}.1"
        ]

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"opsbridge_{name}_total" and sample.value
        }


@pytest.fixture
def desk() -> Desk:
    return Desk()


def payload(*alerts: object) -> bytes:
    return orjson.dumps({"alerts": alerts})


def test_the_good_ones_of_a_payload_go_on_and_each_of_the_others_is_counted(desk: Desk) -> None:
    events = desk.take(
        payload({"ci": "web"}, 7, {"ci": "db"}, "soft", {"ci": "noise"}, {"ci": "web", "class_": ""}, [])
    )
    assert [event.ci for event in events] == ["web", "db"]
    assert desk.counted("events_received") == {("raw",): 7}
    assert desk.counted("events_rejected") == {("invalid_field",): 3}
    assert desk.counted("events_withheld") == {("suppressed", "many/soft_state"): 1, ("suppressed", "no-noise"): 1}


def test_a_payload_is_one_dead_letter_that_tells_of_all_that_is_bad_in_it(desk: Desk) -> None:
    sent = payload(7, {"ci": "web"}, {"ci": "old", "time": "1999-01-01T00:00:00Z"})
    desk.take(sent)
    ((value, headers),) = desk.sent("dead-letters")
    assert value == sent
    assert (headers["reason"], headers["items"], headers["stage"]) == ("invalid_field", "2", "intake")
    assert headers["message"].startswith("no alert - at `$.alerts[0]`; event 3 (")
    desk.dispatch.settled()
    assert desk.counted("dead_letters") == {("invalid_field",): 1}


def test_of_many_that_are_bad_the_first_twenty_are_told(desk: Desk) -> None:
    desk.take(payload(*range(25)))
    ((_, headers),) = desk.sent("dead-letters")
    assert headers["items"] == "25"
    assert headers["message"].count("no alert") == 20
    assert headers["message"].endswith("; and 5 more")


def test_what_nobody_can_read_at_all_is_one_item_and_one_dead_letter(desk: Desk) -> None:
    assert desk.take(b"nothing", b"else", topic="odd") == []
    assert desk.counted("events_received") == {("odd",): 2}
    assert desk.counted("events_rejected") == {("internal_error",): 2}
    assert [headers["message"] for _, headers in desk.sent("dead-letters")] == [
        "its source found neither an event nor a fault in it",
        "KeyError: 'alerts'",
    ]


def test_a_defect_in_judging_one_event_takes_no_other_with_it(desk: Desk) -> None:
    assert [event.ci for event in desk.take(payload({"ci": "defect"}, {"ci": "web"}))] == ["web"]
    ((_, headers),) = desk.sent("dead-letters")
    assert (headers["reason"], headers["items"]) == ("internal_error", "1")


def test_one_of_several_that_is_routed_goes_on_alone_as_a_canonical_event(desk: Desk) -> None:
    desk.take(payload({"ci": "secret"}, {"ci": "web"}), headers=[("content-type", b"application/json")])
    ((value, headers),) = desk.sent("routed")
    assert value is not None
    routed = msgspec.json.decode(value, type=Report)
    assert (routed.ci, routed.class_, routed.state) == ("secret", "Down", "firing")
    assert "content-type" not in headers
    alone = payload({"ci": "secret"})
    desk.take(alone)
    assert desk.sent("routed")[1][0] == alone


def test_a_header_that_names_the_source_goes_before_the_topic(desk: Desk) -> None:
    named = (SOURCE_HEADER, b"many")
    (event,) = desk.take(payload({"ci": "web"}), topic="events", headers=[named, ("ce_source", b"/shop")])
    assert (event.ci, event.source) == ("web", "/shop")
    assert desk.take(payload({"ci": "web"}), topic="events", headers=[(SOURCE_HEADER, b"mnay")]) == []
    ((_, headers),) = desk.sent("dead-letters")
    assert headers["reason"] == "invalid_field"
    assert "many" in headers["message"]


def test_the_same_record_read_again_gives_the_same_events(desk: Desk) -> None:
    sent = payload({"ci": "web"}, {"ci": "db"})
    assert desk.take(sent) == desk.take(sent)
    assert [event.time for event in desk.take(sent)] == [int(NOW.timestamp() * 1000)] * 2


ALERTS = st.sampled_from([{"ci": "web"}, {"ci": "db"}, {"ci": "noise"}, {"ci": "secret"}, {"ci": "defect"}, "soft", 7])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(ALERTS, max_size=8), max_size=8), st.integers(0, 2**32))
def test_every_item_is_in_one_place(payloads: list[list[object]], seed: int) -> None:
    desk = Desk()
    lines = [payload(*alerts) for alerts in payloads] + [b"{", None]
    random.Random(seed).shuffle(lines)
    events = desk.take(*lines)
    received = sum(desk.counted("events_received").values())
    assert received == sum(max(1, len(alerts)) for alerts in payloads) + 2
    placed = (desk.counted("events_rejected"), desk.counted("events_withheld"))
    assert received == len(events) + sum(sum(each.values()) for each in placed)
    told = sum(int(headers["items"]) for _, headers in desk.sent("dead-letters"))
    assert told == sum(desk.counted("events_rejected").values())
