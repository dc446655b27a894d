"""A worker for the live probe: counts events per key, in state that remembers the applied offset of each partition.

Run as a process: `python probe_worker.py SERVERS PREFIX [json]`. An input record is `b"<key> <sequence>"`. A key's
state is `count,offset`: the number of its events and the offset up to which they are counted, so that an event that is
read again is recognised; how many were is printed at the end.
"""

import asyncio
import json
import resource
import sys

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import Settings
from opsbridge.stream.app import create_app, run_worker
from opsbridge.stream.batches import RecordBatch
from opsbridge.stream.lanes import Lane
from opsbridge.stream.tables import APPLIED


def settings_for(servers: str, prefix: str, **kafka: object) -> Settings:
    return Settings(
        kafka={  # type: ignore[arg-type] # checked by pydantic
            "bootstrap_servers": servers,
            "group_id": f"{prefix}-probe",
            "session_timeout": 3.0,
            "heartbeat_interval": 0.5,
            "request_timeout": 20.0,
            **kafka,
        },
    )


class Count:
    """One key's state."""

    __slots__ = ("number", "offset")

    def __init__(self, number: int, offset: int) -> None:
        self.number, self.offset = number, offset

    @classmethod
    def decode(cls, value: bytes) -> "Count":
        number, offset = value.split(b",")
        return cls(int(number), int(offset))

    def encode(self) -> bytes:
        return b"%d,%d" % (self.number, self.offset)


async def work(servers: str, prefix: str, kafka: dict[str, object]) -> None:
    app = create_app(settings_for(servers, prefix, **kafka))
    table = app.add_table("counts", f"{prefix}-counts")
    stats = {"read": 0, "again": 0, "ticks": 0, "recovered": 0, "batches": 0}

    async def count(lane: Lane) -> None:
        p = lane.partition
        saved: list[tuple[bytes, bytes]] = []
        table.restore(p, saved.extend)
        counts = {key: Count.decode(value) for key, value in saved if key != APPLIED}
        stats["recovered"] += len(counts)
        print(f"lane {p} with {len(counts)} keys", flush=True)  # noqa: T201
        outbox = app.outbox()
        await lane.tell_again(outbox, table)
        async for turn in lane:
            if not isinstance(turn, RecordBatch):
                stats["ticks"] += 1
                continue
            stats["batches"] += 1
            changed: dict[bytes, Count] = {}
            for record in turn.records:
                value = record.value or b""
                if value == b"poison":
                    raise ValueError("poisoned")
                stats["read"] += 1
                key = value.partition(b" ")[0]
                known = counts.get(key)
                if known is None:
                    known = counts[key] = Count(0, -1)
                if record.offset <= known.offset:
                    stats["again"] += 1
                    continue
                known.number += 1
                known.offset = record.offset
                changed[key] = known
            for key, state in changed.items():
                encoded = state.encode()
                table.put(p, key, encoded)
            outbox.add(f"{prefix}-out", b"k%d" % p, b"%d" % len(changed))
            await lane.settle(outbox, table)

    app.add_stage("counting", [f"{prefix}-in"], count, tick_seconds=0.2)
    try:
        await run_worker(app)
    finally:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({**stats, "cpu": usage.ru_utime + usage.ru_stime}), flush=True)  # noqa: T201


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(work(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}))
    except OpsBridgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
