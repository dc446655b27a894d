"""A stock Faust application, run by test_faust.py as a program of its own: counts per key in a table, says each count.

Arguments: the broker's address, the application's name, and Faust's own (`worker ...`).
"""

import sys
from typing import Any

import faust

address, name = sys.argv[1:3]
del sys.argv[1:3]

app = faust.App(
    name,
    broker=f"kafka://{address}",
    store="memory://",
    web_enabled=False,
    topic_partitions=2,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.5,
    broker_request_timeout=20.0,
    # a worker that is killed leaves uncommitted at most what this test sends in one go
    broker_commit_interval=0.1,
)
source = app.topic(f"{name}-in", key_type=str, value_type=str, key_serializer="raw", value_serializer="raw")
counted = app.topic(f"{name}-out", key_type=str, value_type=str, key_serializer="raw", value_serializer="raw")
counts = app.Table(f"{name}-counts", default=int, partitions=2)


@app.agent(source)
async def count(events: Any) -> None:  # Faust's stream type has no public generic form
    async for key, _value in events.items():  # noqa: PERF102 - a stream, not a dict
        counts[key] += 1
        await counted.send(key=key, value=str(counts[key]))


app.main()
