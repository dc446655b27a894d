"""`opsbridge send`: publishes lines to an input topic, as they are, with the key that belongs to them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from
from opsbridge.cli.output import say

if TYPE_CHECKING:
    from opsbridge.settings import Settings

BATCH: Final = 1000
"""Lines in flight at once."""

TOLD: Final = 20
"""Lines that nobody will understand are told one by one up to here."""

KeyOf: TypeAlias = "Callable[[Mapping[str, object]], object]"
"""From a line's object to what its key is, if that is text."""


class To(StrEnum):
    """What the lines are."""

    EVENTS = "events"
    FEEDBACK = "feedback"
    CONTEXT = "context"


def send(
    events: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON lines, may be gzip; - reads stdin.")],
    to: Annotated[To, typer.Option(help="What the lines are.")] = To.EVENTS,
    topic: Annotated[str | None, typer.Option(help="Where to; else the (first) topic of the settings.")] = (None),
    key_field: Annotated[str, typer.Option(help="Field of events whose text is the record's key.")] = "ci",
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Publish events, feedback or context to Kafka: `opsbridge send events.jsonl -b localhost:9092`.

    A line is sent as it is, valid or not: what cannot be used shows up in the dead letters; of feedback and context it
    is told here too. Records of one key keep their order; lines without it are spread over the partitions. The key of
    feedback is its situation's id.
    """
    from opsbridge.stream.topics import topic_name

    settings = settings_from(config, bootstrap_servers, sets)
    inputs = settings.topics.inputs
    name = topic or (inputs[0].topic if inputs and to is To.EVENTS else topic_name(settings.topics, to))
    key_of: dict[To, KeyOf] = {
        To.EVENTS: lambda line: line.get(key_field),
        To.FEEDBACK: _situation,
        To.CONTEXT: lambda line: f"{line.get('kind')}:{line.get('id')}",
    }
    useless: list[str] = []
    sent, unkeyed = asyncio.run(_send(settings, name, events, key_of[to], _reader(to, useless)))
    for told in useless[:TOLD]:
        say(told)
    without = f", {unkeyed} of them without key" if unkeyed else ""
    dead = f", {len(useless)} of them for the dead letters" if useless else ""
    say(f"{sent} lines sent to {name}{without}{dead}")


def _reader(to: To, useless: list[str]) -> Callable[[str, bytes], None]:
    """What tells of feedback and context that nobody will understand, at its place; events have rules for that."""
    from opsbridge.core.decisions import Rejected
    from opsbridge.sources.operations import decode_context, decode_feedback

    decode = {To.FEEDBACK: decode_feedback, To.CONTEXT: decode_context}.get(to)

    def read(place: str, line: bytes) -> None:
        found = decode(line) if decode is not None else None
        if isinstance(found, Rejected):
            useless.append(f"{place}: {found.reason}: {found.detail}")

    return read


async def _send(
    settings: "Settings", topic: str, path: str, key_of: KeyOf, look: Callable[[str, bytes], None]
) -> tuple[int, int]:
    from opsbridge.stream.outbox import BatchWriter, Outbox

    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        outbox = Outbox(writer)
        sent = unkeyed = 0
        for place, key, value in _records(path, key_of, settings.kafka.max_message_bytes):
            look(place, value)
            outbox.add(topic, key, value)
            sent += 1
            unkeyed += key is None
            if len(outbox) >= BATCH:
                await outbox.flush()
        await outbox.flush()
        return sent, unkeyed
    finally:
        await writer.stop()


def _records(path: str, key_of: KeyOf, limit: int) -> Iterator[tuple[str, bytes | None, bytes]]:
    from opsbridge.cli.lines import UnreadableError, name_of, read_lines

    for line in read_lines(path, keep=limit):
        place = f"{name_of(path)}:{line.number}"
        if line.size > limit:
            raise UnreadableError(f"{place}: {line.size} bytes exceed kafka.max_message_bytes ({limit})")
        yield place, _key(line.content, key_of), line.content


def _situation(line: Mapping[str, object]) -> object:
    """The situation that feedback is about, which an incident's id names as well."""
    incident = line.get("incident")
    return "S" + incident.removeprefix("INC") if isinstance(incident, str) else line.get("situation")


def _key(line: bytes, key_of: KeyOf) -> bytes | None:
    import orjson

    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    key = key_of(value) if isinstance(value, dict) else None
    return key.encode() if isinstance(key, str) and key else None
