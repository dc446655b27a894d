"""The records that an installation's topics hold, read from outside: what `opsbridge review` and `demo --record` take.

As far as the topics reach at the moment of asking. What the records say is judged elsewhere. Where the settings say by
which source a topic is read, its records say so themselves here: a recording needs no settings.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable

from opsbridge.review.recorded import Recorded
from opsbridge.settings import Settings
from opsbridge.sources.source import AUTO, SOURCE_HEADER
from opsbridge.stream.batches import Record
from opsbridge.stream.reading import TopicReader
from opsbridge.stream.topics import topics_of


async def held(settings: Settings, entities: Iterable[str]) -> AsyncIterator[Recorded]:
    """All records of these entities; raises `BrokerUnreachableError`, and `TopicsError` for missing topics."""
    wanted = frozenset(entities)
    entity_of = {topic.name: topic.entity.name for topic in topics_of(settings.topics) if topic.entity.name in wanted}
    shared = {entity for entity, count in Counter(entity_of.values()).items() if count > 1}
    sources = {each.topic: each.source for each in settings.topics.inputs if each.source != AUTO}
    async with TopicReader(settings.kafka, entity_of) as reader:
        async for records in reader.to_the_end():
            for record in records:
                entity = entity_of[record.topic]
                yield Recorded(
                    entity,
                    record.key,
                    record.value,
                    record.timestamp,
                    record.partition,
                    record.offset,
                    _headers(record, sources.get(record.topic)),
                    record.topic if entity in shared else "",
                )


def _headers(record: Record, source: str | None) -> tuple[tuple[str, bytes], ...]:
    headers = tuple((name, content or b"") for name, content in record.headers)
    if source is None or any(name == SOURCE_HEADER for name, _ in headers):
        return headers
    return (*headers, (SOURCE_HEADER, source.encode()))
