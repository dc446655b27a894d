"""The whole path on both brokers: one storm, one incident; what the live worker says is what the core alone says."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from installation import Installation
from storm import SWITCH, UNKNOWN, storm

from kafka_server import Kafka

ERRORS = "__opsbridge.errors."


async def test_a_storm_of_10_000_cis_behind_a_silent_switch_is_one_incident(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    now = time.time()
    sent = storm(10_000, end=now)
    async with Installation(kafka.bootstrap_servers, unique("i"), tmp_path, sent.topology) as live:
        wanted = live.expected(sent.records, now)
        worker = await live.worker()
        await live.publish(sent.records)
        await live.comes_to(wanted)
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors
        told = live.fold

    # one incident for the storm, at any time; CIs that the topology does not have stand alone
    assert set(told.roots) == {SWITCH, *UNKNOWN}, told.roots
    (failure,) = [one for one in told.final() if one.root == SWITCH]
    assert failure.silent
    assert failure.status == "open"
    assert failure.affected_cis == sent.affected
    assert len(failure.members) == 10_000

    # conservation: every record sent is in one place, and replay has it in the same
    def total(name: str) -> Counter[str]:
        return Counter(
            {key.partition(",")[2]: int(value) for key, value in metrics.items() if key.startswith(name) and value}
        )

    received, rejected = total("opsbridge_events_received_total"), total("opsbridge_events_rejected_total")
    withheld, heard = total("opsbridge_events_withheld_total"), total("opsbridge_events_heard_total")
    assert received.total() == len(sent.records) == rejected.total() + withheld.total() + heard.total()
    places = wanted.accounts.places
    assert rejected == Counter(
        {f"reason={reason}": n for (place, reason), n in places.items() if place == "dead_letter"}
    )
    assert withheld == Counter(
        {f"place={p},reason={r}": n for (p, r), n in places.items() if p in ("informational", "suppressed")}
    )
    assert heard == Counter({f"outcome={outcome}": n for (place, outcome), n in places.items() if place == "alert"})

    # the dead letters are exactly the poison, as it was sent
    assert Counter((record.key, record.value) for record in live.dead) == Counter(sent.poison)
    for record in live.dead:
        headers = dict(record.headers)
        assert headers[ERRORS + "topic"].decode() == live.topic("events")
        assert headers[ERRORS + "stage"] == b"intake"
        assert headers[ERRORS + "message"]
        assert (int(headers[ERRORS + "partition"]), int(headers[ERRORS + "offset"])) >= (0, 0)
    assert Counter(dict(r.headers)[ERRORS + "reason"].decode() for r in live.dead) == Counter(
        {key.removeprefix("reason="): n for key, n in rejected.items()}
    )
