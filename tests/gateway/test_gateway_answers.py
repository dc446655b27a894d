"""What is sent, in each of its forms, what is written of it, and what the sender is told."""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from gateways import EVENT, event, gateway

from opsbridge.gateway.metrics import GatewayMetrics


async def test_one_event_is_written_as_it_was_sent() -> None:
    body = json.dumps({**EVENT, "own": [1, {"x": "\u00e9"}]}, indent=1).encode()
    async with gateway() as site:
        answer = await site.post(body, content_type="application/json")
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "withheld": 0, "rejected": []})
        (record,) = await site.written()
        assert await site.written("dead-letters") == []
        assert await site.metric("opsbridge_gateway_requests_total", source="canonical", status="202") == 1
        assert await site.metric("opsbridge_gateway_events_total", source="canonical", outcome="accepted") == 1
    assert record.value == body
    assert record.key == b"db-1\x1fdown"
    assert record.headers == {"opsbridge-source": b"canonical", "content-type": b"application/json"}


FORMS: Final = (
    ("application/json", json.dumps([event(1), event(2), event(3)])),
    ("", json.dumps([event(1), event(2), event(3)])),
    ("application/x-www-form-urlencoded", json.dumps([event(1), event(2), event(3)])),
    ("application/x-ndjson", "\n".join(json.dumps(event(n)) for n in (1, 2, 3)) + "\n\n"),
    ("application/jsonl; charset=utf-8", "\r\n".join(json.dumps(event(n)) for n in (1, 2, 3))),
    ("text/plain; charset=UTF-8", json.dumps([event(1), event(2), event(3)])),
)
CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "identity": lambda raw: raw,
    "gzip": gzip.compress,
    "x-gzip": lambda raw: gzip.compress(raw[:50]) + gzip.compress(raw[50:]),  # two members
    "deflate": zlib.compress,
}


async def test_many_events_are_as_many_records_in_whatever_form_they_come() -> None:
    async with gateway() as site:
        for kind, body in FORMS:
            for coding, packed in CODINGS.items():
                answer = await site.post(packed(body.encode()), content_type=kind, content_encoding=coding)
                assert (answer.status_code, answer.json()["accepted"]) == (202, 3), (kind, coding)
        records = await site.written()
    ids = Counter(json.loads(record.value)["id"] for record in records)
    assert ids == {"e1": 24, "e2": 24, "e3": 24}
    assert {record.key for record in records} == {b"ci-1\x1fdown", b"ci-2\x1fdown", b"ci-3\x1fdown"}
    assert {record.headers["content-type"] for record in records} == {b"application/json"}


async def test_lines_of_text_are_a_record_each() -> None:
    async with gateway() as site:
        answer = await site.post(b"db-1: disk is full\r\nnonsense\nweb-2: slow\n", "text", content_type="text/plain")
        assert answer.status_code == 202
        assert answer.json() == {
            "accepted": 2,
            "withheld": 0,
            "rejected": [{"payload": 1, "place": "$", "reason": "invalid_field", "detail": "no pattern of text fits"}],
        }
        assert sorted(record.value for record in await site.written()) == [b"db-1: disk is full", b"web-2: slow"]
        (dead,) = await site.written("dead-letters")
    assert dead.value == b"nonsense"


async def test_cloudevents_keep_their_attributes() -> None:
    batch = [{"specversion": "1.0", "id": str(n), "data": 1, **event(n)} for n in (1, 2)]
    async with gateway() as site:
        kind = "application/json"
        await site.post(
            {**EVENT, "id": "binary"},
            content_type=kind,
            ce_id="a%20b",
            ce_specversion="1.0",
            ce_source="/x",
            ce_type="t",
        )
        answer = await site.post(batch, content_type="application/cloudevents-batch+json")
        assert answer.json()["accepted"] == 2
        await site.post(event(3), content_type="application/cloudevents+json; charset=utf-8")
        records = {json.loads(record.value)["id"]: record.headers for record in await site.written()}
        long = await site.post(EVENT, ce_id="1", ce_specversion="1.0", ce_long="x" * 17_000)
        assert (long.status_code, long.json()["error"]) == (400, "too_large")
    assert records.pop("binary") == {
        "opsbridge-source": b"canonical",
        "content-type": b"application/json",
        "ce_id": b"a b",
        "ce_specversion": b"1.0",
        "ce_source": b"/x",
        "ce_type": b"t",
    }
    assert sorted(records) == ["e1", "e2", "e3"]
    assert {headers["content-type"] for headers in records.values()} == {b"application/cloudevents+json"}


async def test_one_bad_item_of_an_array_is_told_and_the_others_are_taken() -> None:
    payloads: list[Any] = [
        {"alerts": [event(1), {**event(2), "severity": "awful"}, {"skip": 1}]},
        {"alerts": [{"id": "only bad"}]},
        {"other": []},
        {"alerts": [{"skip": 1}]},
    ]
    async with gateway() as site:
        answer = await site.post(payloads, "several")
        assert answer.status_code == 202
        told = answer.json()
        assert (told["accepted"], told["withheld"]) == (1, 2)
        assert [(each["payload"], each["place"], each["reason"]) for each in told["rejected"]] == [
            (0, "$.alerts[1].severity", "invalid_field"),
            (1, "$.alerts[0]", "invalid_field"),
            (2, "$.alerts", "invalid_field"),
        ]
        kept = [json.loads(record.value) for record in await site.written()]
        assert sorted(kept, key=str) == sorted([payloads[0], payloads[3]], key=str)
        dead = {record.value: dict(record.headers) for record in await site.written("dead-letters")}
        for outcome, count in (("accepted", 1), ("withheld", 2), ("rejected", 3)):
            assert await site.metric("opsbridge_gateway_events_total", source="several", outcome=outcome) == count
    assert {bytes(value) for value in dead} == {
        json.dumps(each, separators=(",", ":")).encode() for each in payloads[1:3]
    }
    assert dead[b'{"other":[]}'] | {"__opsbridge.errors.message": b""} == {
        "opsbridge-source": b"several",
        "content-type": b"application/json",
        "__opsbridge.errors.stage": b"gateway",
        "__opsbridge.errors.reason": b"invalid_field",
        "__opsbridge.errors.message": b"",
        "__opsbridge.errors.items": b"1",
    }


async def test_if_nothing_can_be_used_it_is_of_no_use_to_send_it_again() -> None:
    async with gateway() as site:
        answer = await site.post({**EVENT, "severity": "awful"})
        assert answer.status_code == 400
        (told,) = answer.json()["rejected"]
        assert told["place"] == "$.severity"
        assert told["detail"] == "Invalid enum value 'awful'"
        broken = await site.post(b'{"id": ')
        assert broken.status_code == 400
        assert broken.json()["rejected"][0]["reason"] == "invalid_json"
        assert len(await site.written("dead-letters")) == 2
        many = await site.post([1] * 150)
        assert len(many.json()["rejected"]) == 100
        assert many.json()["more_rejected"] == 50


async def test_a_payload_that_no_record_can_hold_is_refused_alone() -> None:
    large = {"alerts": [event(n, summary="x" * 500) for n in range(40)]}
    async with gateway(kafka={"max_message_bytes": 10_000}) as site:
        answer = await site.post([large, {"alerts": [event(1)]}], "several")
        assert answer.status_code == 202
        (told,) = answer.json()["rejected"]
        assert (told["payload"], told["reason"]) == (0, "too_large")
        assert "the limit is 10000 (kafka.max_message_bytes)" in told["detail"]
        alone = await site.post(large, "several")
        assert (alone.status_code, alone.json()["accepted"]) == (413, 0)
        dead = await site.written("dead-letters")
    assert len(dead) == 2
    size = len(msgspec.json.encode(large))
    assert dead[0].headers["__opsbridge.errors.truncated.from"] == str(size).encode()


UNREADABLE: Final[Sequence[tuple[bytes, dict[str, str], int, str | None, str]]] = (
    (b"", {}, 400, "empty", "the body is empty"),
    (b"[]", {}, 400, "empty", "the array is empty"),
    (b"[1, 2", {}, 400, "invalid_json", "the array cannot be read"),
    (b"<x/>", {"content_type": "application/xml"}, 415, "unsupported_type", "Content-Type must be"),
    (b"\x00", {"content_type": "application/x-protobuf"}, 415, "unsupported_type", "set the exporter to JSON"),
    (b"{}", {"content_encoding": "br"}, 415, "unsupported_encoding", "gzip, deflate or identity"),
    (b"{}", {"content_encoding": "gzip"}, 400, "invalid_encoding", "not, or not completely"),
    (gzip.compress(b"{}" * 99)[:-9], {"content_encoding": "gzip"}, 400, "invalid_encoding", "not completely"),
    (gzip.compress(b"{}") + b"rest", {"content_encoding": "gzip"}, 400, "invalid_encoding", "not completely"),
    (b"[" * 65 + b"1" + b"]" * 65, {}, 400, "too_deep", "more than 64 levels"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, {}, 400, "too_deep", "more than 64 levels"),
    (b"[" * 1_000_000, {}, 400, "too_deep", "more than 64 levels"),
    (b"[" + b'"[[", ' * 99 + b"1]", {}, 400, None, ""),  # brackets in text are none
)


async def test_what_cannot_be_read_at_all_is_refused() -> None:
    async with gateway() as site:
        for body, headers, status, error, detail in UNREADABLE:
            answer = await site.post(body, **headers)
            assert (answer.status_code, answer.json().get("error")) == (status, error), (body[:80], answer.text)
            assert detail in answer.json().get("detail", "")
        assert await site.written() == []


async def test_addresses() -> None:
    async with gateway() as site:
        missing = await site.post(EVENT, "cannonical")
        assert (missing.status_code, missing.json()["detail"]) == (
            404,
            "unknown source 'cannonical'; did you mean 'canonical'?",
        )
        assert (await site.http.get("/api/v1/events/canonical")).status_code == 405
        assert (await site.http.get("/nowhere")).status_code == 404
        sources = await site.http.get("/api/v1/sources")
        assert sources.json() == {"sources": ["auto", "canonical", "several", "text"]}
        assert (await site.http.get("/healthz")).text == "ok\n"
        assert (await site.http.get("/readyz")).json() == {"ready": True, "reasons": []}
        site.here.gateway.stopping = True
        ready = await site.http.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["the gateway is stopping"])
        await site.post(EVENT)
        assert await site.metric("opsbridge_gateway_requests_total", source="", status="404") == 1


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    told = re.findall(r"^\| `(opsbridge_gateway_\w+)` \| (\w+) \| ([^|]*) \|", page, re.MULTILINE)
    metrics = GatewayMetrics()
    metrics.answered("canonical", 202, 0.1)
    metrics.events("canonical", 1, 0, 0)
    found = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            set(family.samples[0].labels) - {"le"},
        )
        for family in metrics.registry.collect()
        if family.name.startswith("opsbridge_gateway")
    }
    assert {name: (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in told} == found
