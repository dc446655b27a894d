"""Every arrow of ITIL's event management at once, through a worker on Kafka; the table is itil_flow.py."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
from installation import Installation, Worker

from itil_flow import ARROWS, RULES, TOPOLOGY, Audience, Outcome, class_on, expected
from kafka_server import Kafka
from opsbridge.core.decisions import SituationUpdate
from opsbridge.core.records import ChangeRequest, Incident, Notification, Problem, Response, ServiceRequest
from opsbridge.core.times import rfc3339

RECORDS = {
    "situations": msgspec.json.Decoder(SituationUpdate).decode,
    "incidents": msgspec.json.Decoder(Incident).decode,
    "problems": msgspec.json.Decoder(Problem).decode,
    "changes": msgspec.json.Decoder(ChangeRequest).decode,
    "requests": msgspec.json.Decoder(ServiceRequest).decode,
    "responses": msgspec.json.Decoder(Response).decode,
    "notifications": msgspec.json.Decoder(Notification).decode,
}


def now() -> int:
    return time.time_ns() // 1_000_000


def event(number: int, at: int, ci: str, class_: str, state: str) -> tuple[bytes, bytes]:
    said: dict[str, object] = {"id": f"e{number}-{at}", "time": rfc3339(at), "ci": ci, "class": class_}
    said |= {"state": "resolved"} if state == "resolved" else {"state": "firing", "severity": state}
    return ci.encode(), orjson.dumps(said)


async def heard(live: Installation, worker: Worker) -> Outcome:
    """What has been written by now."""
    outcome = Outcome()
    for entity, decode in RECORDS.items():
        for record in await live.read(entity):
            outcome.told(decode(record.value or b""))
    for record in await live.read("dead-letters"):
        outcome.places.add(f"dead letter {dict(record.headers)['__opsbridge.errors.reason'].decode()}")
    for name, count in (await worker.metrics()).items():
        if count and name.startswith("opsbridge_events_withheld_total,place="):
            place, reason = (part.split("=")[1] for part in name.split(",")[1:])
            outcome.places.add(f"{place} by {reason}")
    return outcome


async def test_every_arrow_leads_to_its_place(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> None:
    for folder, file, text in (("topology", "estate.yaml", TOPOLOGY), ("rules", "rules.yaml", RULES)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text)
    async with Installation(
        kafka.bootstrap_servers, unique("i"), tmp_path / "topology", b'{"cis": []}', rules=tmp_path / "rules"
    ) as live:
        worker = await live.worker()
        await worker.joined()
        start, audience = now(), Audience()
        await live.publish([(b"garbage", arrow.garbage) for arrow in ARROWS if arrow.garbage])
        happening = sorted((each for arrow in ARROWS for each in arrow.events), key=lambda each: each[0])
        for number, (at, ci, class_, state) in enumerate(happening):
            await asyncio.sleep(max(0.0, start / 1000 + at - time.time()))  # the scenario's own pace
            await live.publish([event(number, now(), ci, class_, state)])
        lines: set[str] = set()
        try:
            async with asyncio.timeout(60):
                while lines != expected():
                    outcome = await heard(live, worker)
                    lines = outcome.lines()
                    for said, helps in audience.feedback(outcome, rfc3339(now())):
                        key = str(said.get("situation") or "S" + str(said.get("incident"))[3:])
                        await live.publish([(key.encode(), orjson.dumps(said))], "feedback")
                        if helps:
                            await live.publish([event(99, now(), helps, class_on(helps), "resolved")])
        except TimeoutError:
            pass
        assert sorted(lines) == sorted(expected()), worker.errors
        assert await worker.stop() == 0, worker.errors
