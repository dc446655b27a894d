"""What the demo's topics hold at its end, as files for `opsbridge review`: all but changelogs and internal hops."""

# mypy: untyped-calls-exclude="aiokafka"
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from opsbridge.executor.history import partition_counts
from opsbridge.review.recorded import Recorded, Recorder
from opsbridge.settings import Settings
from opsbridge.stream.topics import topics_of

_INTERNAL: Final = frozenset({"detected", "shared", "answers", "coordination"})

POLL_MS: Final = 200


async def record_topics(settings: Settings, directory: Path) -> int:
    """Write every record of every topic that is not internal; how many there are."""
    entities = {
        topic.name: topic.entity.name
        for topic in topics_of(settings.topics)
        if not topic.entity.state and topic.entity.name not in _INTERNAL
    }
    counts = await partition_counts(settings.kafka, list(entities))
    places = [TopicPartition(name, number) for name in entities for number in range(counts[name])]
    count = 0
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        with Recorder(directory) as recorder:
            for place in places:
                while await consumer.position(place) < ends[place]:
                    for each in (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, ()):
                        recorder.write(
                            Recorded(
                                entities[place.topic],
                                each.key,
                                each.value,
                                each.timestamp,
                                each.partition,
                                each.offset,
                                tuple(each.headers),
                            )
                        )
                        count += 1
    return count
