"""What the topics of an installation say of its incidents, and the events that they came from.

Read by `opsbridge explain --topic`, from outside: by no consumer group, so that nothing that runs notices, and to the
end that the topics have at the moment of asking. What it means is not decided here.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from heapq import merge
from itertools import accumulate

import msgspec

from opsbridge.cli.payloads import Payload
from opsbridge.core.decisions import Member
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.settings import Settings
from opsbridge.settings.inputs import inputs
from opsbridge.stream.batches import Record
from opsbridge.stream.reading import TopicReader
from opsbridge.stream.topics import topic_name, topics_of

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
    readers: tuple[tuple[str, Callable[[bytes], None]], ...] = (
        ("incidents", lambda value: found.tell(_incident(value))),
        ("incident-members", lambda value: found.move(_moves(value))),
    )
    for entity, take_in in readers:
        async for record in _records(settings, [topic_name(settings.topics, entity)]):
            if record.value is not None:
                take_in(record.value)
    return found


async def recorded(settings: Settings, since_ms: int) -> list[Payload]:
    """The payloads of the input topics since then (the records' time), as far as they go, in order of time.

    Records of one partition stay in order. All of them are in memory.
    """
    sources = inputs(settings)
    topics = [topic.name for topic in topics_of(settings.topics) if topic.entity.name == "events"]
    readers = {topic: sources.reader(topic) for topic in topics}
    partitions: dict[tuple[str, int], list[Record]] = {}
    async for record in _records(settings, topics, since_ms):
        partitions.setdefault((record.topic, record.partition), []).append(record)
    lanes = [
        zip(accumulate((record.timestamp for record in records), max), [place] * len(records), records, strict=True)
        for place, records in sorted(partitions.items())
    ]
    records = [record for _, _, record in merge(*lanes, key=lambda one: one[:2])]
    return [
        Payload(record.value or b"", readers[record.topic](record.value, record.headers, record.timestamp))
        for record in records
    ]


async def _records(settings: Settings, topics: Iterable[str], since_ms: int | None = None) -> AsyncIterator[Record]:
    """The records of these topics from a time on, at least to their end of this moment."""
    async with TopicReader(settings.kafka, topics, since_ms=since_ms) as reader:
        async for records in reader.to_the_end():
            for record in records:
                yield record
