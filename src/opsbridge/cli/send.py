"""`opsbridge send`: publishes lines to an input topic, as they are, with the key that belongs to them."""

import asyncio
import time
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

Look: TypeAlias = "Callable[[str, bytes], bytes | None]"
"""Tells what is wrong with a line, which stands at that place; its key."""


class To(StrEnum):
    """What the lines are."""

    EVENTS = "events"
    FEEDBACK = "feedback"
    CONTEXT = "context"


def send(
    events: Annotated[str, typer.Argument(metavar="FILE|-", help="A payload a line, may be gzip; - reads stdin.")],
    to: Annotated[To, typer.Option(help="What the lines are.")] = To.EVENTS,
    topic: Annotated[str | None, typer.Option(help="Where to; else the (first) topic of the settings.")] = (None),
    key_field: Annotated[
        str | None, typer.Option(help="Field of events whose text is the record's key; ci if not given.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the events come as, told in a header of the records.")
    ] = None,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Publish events, feedback or context to Kafka: `opsbridge send events.jsonl -b localhost:9092`.

    A line is sent as it is, valid or not, but of context only with a key: what cannot be used shows up in the dead
    letters; of feedback, context and events with --source it is told here too. Records of one key keep their order;
    lines without it are spread over the partitions. The key of feedback is its situation's id, that of events with
    --source the fingerprint of the first.
    """
    from opsbridge.stream.topics import topic_name

    if source is not None and to is not To.EVENTS:
        raise typer.BadParameter("--source is about events")
    settings = settings_from(config, bootstrap_servers, sets)
    inputs = settings.topics.inputs
    name = topic or (inputs[0].topic if inputs and to is To.EVENTS else topic_name(settings.topics, to))
    key_of: dict[To, KeyOf] = {
        To.EVENTS: lambda line: line.get(key_field or "ci"),
        To.FEEDBACK: _situation,
        To.CONTEXT: _context_key,
    }
    useless: list[str] = []
    key = _reader(to, key_of[to], useless) if source is None else _events_reader(settings, source, useless)
    headers = [] if source is None else [("opsbridge-source", source.encode())]
    sent, unkeyed = asyncio.run(_send(settings, name, events, key, headers, keyless=to is not To.CONTEXT))
    for told in useless[:TOLD]:
        say(told)
    unsent = unkeyed if to is To.CONTEXT else 0
    without = f", {unkeyed} of them without key" if unkeyed > unsent else ""
    dead = f", {len(useless) - unsent} of them for the dead letters" if len(useless) > unsent else ""
    left = f"; {unsent} not sent: the topic takes no record without a key" if unsent else ""
    say(f"{sent} lines sent to {name}{without}{dead}{left}")
    if unsent:
        raise typer.Exit(1)


def _context_key(line: "Mapping[str, object]") -> str | None:
    """The key without which a record of the context cannot be withdrawn (docs/topics.md); None if a part is missing."""
    origin = line.get("origin")
    whose = f"{origin}:" if origin else ""
    names = [line.get(field) for field in (("from", "on") if line.get("kind") == "edge" else ("id",))]
    return f"{line.get('kind')}:{whose}{'>'.join(map(str, names))}" if all(names) else None


def _reader(to: To, key_of: KeyOf, useless: list[str]) -> Look:
    """What tells of feedback and context that nobody will understand, at its place; events have rules for that."""
    from opsbridge.core.decisions import Rejected
    from opsbridge.sources.operations import decode_context, decode_feedback

    decode = {To.FEEDBACK: decode_feedback, To.CONTEXT: decode_context}.get(to)

    def read(place: str, line: bytes) -> bytes | None:
        found = decode(line) if decode is not None else None
        if isinstance(found, Rejected):
            useless.append(f"{place}: {found.reason}: {found.detail}")
        return _key(line, key_of)

    return read


def _events_reader(settings: "Settings", source: str, useless: list[str]) -> Look:
    """The same for events that come as this source: their key is that of the first one's alert."""
    from opsbridge.core.decisions import Rejected
    from opsbridge.core.intake import Report
    from opsbridge.settings.inputs import inputs
    from opsbridge.sources.catalogue import UnknownSourceError

    try:
        items_of = inputs(settings).sources.named(source).items
    except UnknownSourceError as error:
        raise typer.BadParameter(str(error), param_hint="--source") from None

    def read(place: str, line: bytes) -> bytes | None:
        items = items_of(line, (), int(time.time() * 1000))
        refused = [item for item in items if isinstance(item, Rejected)]
        useless.extend(f"{place}: {each.reason}: {each.detail}" for each in refused)
        first = next((item for item in items if isinstance(item, Report)), None)
        return None if first is None else (first.fingerprint or first.ci).encode()

    return read


async def _send(
    settings: "Settings", topic: str, path: str, key_of: Look, headers: list[tuple[str, bytes]], *, keyless: bool
) -> tuple[int, int]:
    from opsbridge.stream.outbox import BatchWriter, Outbox

    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        outbox = Outbox(writer)
        sent = unkeyed = 0
        for place, value in _records(path, settings.kafka.max_message_bytes):
            key = key_of(place, value)
            unkeyed += key is None
            if key is None and not keyless:
                continue  # a compacted topic refuses it, and what is sent together with it
            outbox.add(topic, key, value, headers=headers)
            sent += 1
            if len(outbox) >= BATCH:
                await outbox.flush()
        await outbox.flush()
        return sent, unkeyed
    finally:
        await writer.stop()


def _records(path: str, limit: int) -> Iterator[tuple[str, bytes]]:
    from opsbridge.cli.lines import UnreadableError, name_of, read_lines

    for line in read_lines(path, keep=limit):
        place = f"{name_of(path)}:{line.number}"
        if line.size > limit:
            raise UnreadableError(f"{place}: {line.size} bytes exceed kafka.max_message_bytes ({limit})")
        yield place, line.content


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
