"""What the topics of an installation say of its incidents, and the events that they came from.

Read by `opsbridge explain --topic`, from outside: by no consumer group, so that nothing that runs notices, and to the
end that the topics have at the moment of asking. What it means is not decided here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from heapq import merge
from itertools import accumulate
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from opsbridge.core.decisions import Member, Reject, Rejected
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.review.recorded import Recorded
from opsbridge.settings import KafkaSettings, Settings
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError
from opsbridge.stream.topics import topic_name, topics_of

Record = ConsumerRecord[bytes | None, bytes | None]

POLL_MS: Final = 500

_NOTHING: Final = Rejected(Reject.INVALID_JSON, "the record has no value")

_incident = msgspec.json.Decoder(Incident).decode
_moves = msgspec.json.Decoder(IncidentMembers).decode


class Published(msgspec.Struct):
    """The incidents of an installation as its topics tell of them."""

    incidents: dict[str, Incident] = {}
    members: dict[str, dict[tuple[str, int], Member]] = {}
    """Incident -> (fingerprint, occurrence) -> member."""

    def tell(self, incident: Incident) -> None:
        """Take in a snapshot; older ones than what is known do not count."""
        known = self.incidents.get(incident.id)
        if known is None or incident.version >= known.version:
            self.incidents[incident.id] = incident

    def move(self, moves: IncidentMembers) -> None:
        """Take in who joined and left."""
        members = self.members.setdefault(moves.incident, {})
        for member in moves.moved.left:
            members.pop((member.fingerprint, member.occurrence), None)
        for member in moves.moved.joined:
            members[member.fingerprint, member.occurrence] = member

    def incident_of(self, event: str) -> str | None:
        """The incident in which this event opened an alert."""
        for name, members in self.members.items():
            if any(member.event == event for member in members.values()):
                return name
        return None

    def heir(self, name: str) -> str:
        """The incident itself, or the one that it was merged into at last."""
        while (heir := self.incidents[name].merged_into) is not None and heir in self.incidents:
            name = heir
        return name


async def published(settings: Settings) -> Published:
    """Every incident that the topics still have; raises `BrokerUnreachableError`, `TopicsError`."""
    found = Published()
    topics = settings.topics
    async with _consumer(settings.kafka) as consumer:
        async for record in _records(settings.kafka, consumer, [topic_name(topics, "incidents")], None):
            if record.value is not None:
                found.tell(_incident(record.value))
        async for record in _records(settings.kafka, consumer, [topic_name(topics, "incident-members")], None):
            if record.value is not None:
                found.move(_moves(record.value))
    return found


async def recorded(settings: Settings, since_ms: int) -> list[bytes | Rejected]:
    """The payloads of the input topics since then (the records' time), as far as they go, in order of time.

    Records of one partition stay in order. All of them are in memory.
    """
    inputs = [topic.name for topic in topics_of(settings.topics) if topic.entity.name == "events"]
    partitions: dict[tuple[str, int], list[Record]] = {}
    async with _consumer(settings.kafka) as consumer:
        async for record in _records(settings.kafka, consumer, inputs, since_ms):
            partitions.setdefault((record.topic, record.partition), []).append(record)
    lanes = [
        zip(accumulate((record.timestamp for record in records), max), [place] * len(records), records, strict=True)
        for place, records in sorted(partitions.items())
    ]
    records = [record for _, _, record in merge(*lanes, key=lambda one: one[:2])]
    return [_NOTHING if record.value is None else record.value for record in records]


async def told(settings: Settings, entities: Iterable[str]) -> list[Recorded]:
    """All records of these entities that the topics still have; all of them are in memory."""
    wanted = frozenset(entities)
    entity_of = {topic.name: topic.entity.name for topic in topics_of(settings.topics) if topic.entity.name in wanted}
    async with _consumer(settings.kafka) as consumer:
        return [
            Recorded(
                entity_of[record.topic],
                record.key,
                record.value,
                record.timestamp,
                record.partition,
                record.offset,
                tuple((name, content or b"") for name, content in record.headers),
                record.topic,
            )
            async for record in _records(settings.kafka, consumer, entity_of, None)
        ]


@asynccontextmanager
async def _consumer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        max_poll_records=kafka.max_poll_records,
    )
    try:
        async with asyncio.timeout(kafka.request_timeout):
            await consumer.start()
        yield consumer
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachableError(f"no broker at {kafka.bootstrap_servers}: {error}") from error
    finally:
        await consumer.stop()


async def _records(
    kafka: KafkaSettings, consumer: AIOKafkaConsumer, topics: Iterable[str], since_ms: int | None
) -> AsyncIterator[Record]:
    """The records of these topics from a time on to their end of this moment."""
    partitions = await _partitions(kafka, topics)
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    starts = await consumer.beginning_offsets(partitions)
    if since_ms is not None:
        for partition, found in (await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))).items():
            starts[partition] = ends[partition] if found is None else found.offset
    for partition, start in starts.items():
        consumer.seek(partition, start)
    unread = {partition for partition in partitions if starts[partition] < ends[partition]}
    clock = asyncio.get_running_loop().time
    heard = clock()
    while unread:
        batches = await consumer.getmany(*unread, timeout_ms=POLL_MS)
        for partition, records in batches.items():
            for record in records:
                if record.offset < ends[partition]:
                    yield record
        done = {partition for partition in unread if await consumer.position(partition) >= ends[partition]}
        unread -= done
        if batches or done:
            heard = clock()
        elif clock() > heard + kafka.request_timeout:
            names = ", ".join(f"{partition.topic}[{partition.partition}]" for partition in sorted(unread))
            raise BrokerUnreachableError(f"nothing comes from {names}, though there is more to read")


async def _partitions(kafka: KafkaSettings, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of these topics. The cluster is asked for all topics: naming one might create it."""
    admin = AIOKafkaAdminClient(**client_options(kafka))  # type: ignore[arg-type] # options by name
    try:
        await admin.start()
        counts = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
    finally:
        await admin.close()
    if missing := [topic for topic in topics if topic not in counts]:
        raise TopicsError(f"no such topic: {', '.join(missing)}; opsbridge topics --check tells what there should be")
    return [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
