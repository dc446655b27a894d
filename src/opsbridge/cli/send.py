"""`opsbridge send`: publishes lines to an input topic, as they are, keyed by CI."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from
from opsbridge.cli.output import say

if TYPE_CHECKING:
    from opsbridge.settings import Settings

BATCH: Final = 1000
"""Lines in flight at once."""


def send(
    events: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON lines, may be gzip; - reads stdin.")],
    topic: Annotated[str | None, typer.Option(help="Where to; else the (first) input topic of the settings.")] = None,
    key_field: Annotated[str, typer.Option(help="Field whose text is the record's key.")] = "ci",
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Publish events to Kafka: `opsbridge send events.jsonl -b localhost:9092`.

    A line is sent as it is, valid or not: what is no event shows up in the dead letters. Records of one key keep their
    order; lines without the key field are spread over the partitions.
    """
    from opsbridge.stream.topics import topic_name

    settings = settings_from(config, bootstrap_servers, sets)
    inputs = settings.topics.inputs
    name = topic or (inputs[0].topic if inputs else topic_name(settings.topics, "events"))
    sent, unkeyed = asyncio.run(_send(settings, name, events, key_field))
    without = f", {unkeyed} of them without key" if unkeyed else ""
    say(f"{sent} lines sent to {name}{without}")


async def _send(settings: "Settings", topic: str, path: str, key_field: str) -> tuple[int, int]:
    from opsbridge.stream.outbox import BatchWriter, Outbox

    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        outbox = Outbox(writer)
        sent = unkeyed = 0
        for key, value in _records(path, key_field, settings.kafka.max_message_bytes):
            outbox.add(topic, key, value)
            sent += 1
            unkeyed += key is None
            if len(outbox) >= BATCH:
                await outbox.flush()
        await outbox.flush()
        return sent, unkeyed
    finally:
        await writer.stop()


def _records(path: str, key_field: str, limit: int) -> Iterator[tuple[bytes | None, bytes]]:
    from opsbridge.cli.lines import UnreadableError, name_of, read_lines

    for line in read_lines(path, keep=limit):
        if line.size > limit:
            place = f"{name_of(path)}:{line.number}"
            raise UnreadableError(f"{place}: {line.size} bytes exceed kafka.max_message_bytes ({limit})")
        yield _key(line.content, key_field), line.content


def _key(line: bytes, field: str) -> bytes | None:
    import orjson

    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    key = value.get(field) if isinstance(value, dict) else None
    return key.encode() if isinstance(key, str) and key else None
