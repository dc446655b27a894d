"""Context: all of the topic is known at the start, what comes later is learned, what is of no use is told."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest

from kafka_server import Kafka
from opsbridge.core.context import Context
from opsbridge.settings import Settings
from opsbridge.stream.context import ContextReader, teach
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.topics import ensure_topics, topic_name
from opsbridge.topology.live import LiveTopology
from opsbridge.web.metrics import Metrics

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = int(BEGAN.timestamp() * 1000) + 60_000


def change(name: str, ci: str = "a", **fields: object) -> bytes:
    return orjson.dumps({"kind": "change", "id": name, "cis": [ci], "title": "patch", "begins": BEGAN, **fields})


def known(context: Context, ci: str = "a") -> list[str]:
    return [found.id for found in context.recent(ci, NOW)]


def test_a_record_is_learned_changed_and_withdrawn() -> None:
    context, live = Context(), LiveTopology()
    assert teach(context, live, b"change:c1", change("c1")) is None
    assert known(context) == ["c1"]
    assert teach(context, live, b"change:c1", change("c1", "b")) is None
    assert (known(context), known(context, "b")) == ([], ["c1"])
    assert teach(context, live, b"change:c1", None) is None
    assert known(context, "b") == []
    assert len(live) == 0


def test_cis_and_dependencies_are_learned_by_their_keys_and_withdrawn() -> None:
    context, live = Context(), LiveTopology()
    assert teach(context, live, b"ci:a", b'{"kind": "ci", "id": "a", "site": "fra1"}') is None
    assert teach(context, live, b"edge:otel:a>b", b'{"kind": "edge", "from": "a", "on": "b", "origin": "otel"}') is None
    assert len(live) == 2
    assert teach(context, live, b"edge:otel:a>b", None) is None
    assert [len(live), *live.snapshot().cis] == [1, "ci:a"]
    assert teach(context, live, b"ci:nobody", None) is None


@pytest.mark.parametrize(
    ("key", "value", "reason", "words"),
    [
        (b"change:c1", b"{", "invalid_json", "truncated"),
        (b"change:c1", change("c1", kind="outage"), "invalid_field", "kind"),
        (b"change:c1", change("c1", more=1), "invalid_field", "more"),
        (b"change:c1", change("c1", cis=[]), "invalid_field", "$.cis"),
        (b"change:c2", change("c1"), "invalid_field", "must be 'change:c1'"),
        (None, change("c1"), "invalid_field", "must be 'change:c1'"),
        (
            b"host-1",
            None,
            "invalid_field",
            "expected change: and the id of a change, ci: and that of a CI, or edge:FROM>ON",
        ),
        (b"ci:b", b'{"kind": "ci", "id": "a"}', "invalid_field", "must be 'ci:a'"),
        (b"ci:a", b'{"kind": "ci", "id": "a", "origin": "nb"}', "invalid_field", "must be 'ci:nb:a'"),
        (b"ci:a", b'{"kind": "ci", "id": "a", "sit": ""}', "invalid_field", "sit"),
        (b"ci: a", b'{"kind": "ci", "id": " a"}', "invalid_field", "no blanks around it"),
        (b"ci:a", b'{"kind": "ci", "id": "a", "service_time": ["always"]}', "invalid_field", "$.service_time[0]"),
        (b"ci:A:a", b'{"kind": "ci", "id": "a", "origin": "A"}', "invalid_field", "$.origin"),
        (b"edge:a>b", b'{"kind": "edge", "from": "a", "on": "b", "observed": true}', "invalid_field", "needs `seen`"),
        (b"edge:a>a", b'{"kind": "edge", "from": "a", "on": "a"}', "invalid_field", "cannot depend on itself"),
        (b"edge:b>a", b'{"kind": "edge", "from": "a", "on": "b"}', "invalid_field", "must be 'edge:a>b'"),
        (b"change:c1", change("c1", title="x" * 300_000), "too_large", "262144"),
    ],
)
def test_what_is_of_no_use_is_told(key: bytes | None, value: bytes | None, reason: str, words: str) -> None:
    context, live = Context(), LiveTopology()
    rejected = teach(context, live, key, value)
    assert rejected is not None
    assert (rejected.reason, words in rejected.detail) == (reason, True), rejected.detail
    assert (known(context), len(live), live.version) == ([], 0, 0)


async def test_the_whole_topic_is_known_at_once_and_the_rest_when_it_comes(
    kafka: Kafka, unique: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        kafka={"bootstrap_servers": kafka.bootstrap_servers},  # type: ignore[arg-type] # checked by pydantic
        topics={"prefix": unique("c") + ".", "partitions": 3},  # type: ignore[arg-type]
    )
    (await ensure_topics(settings)).require()
    topic, dead = topic_name(settings.topics, "context"), topic_name(settings.topics, "dead-letters")
    writer, context, metrics = BatchWriter(settings.kafka), Context(), Metrics()
    await writer.start()
    outbox = Outbox(writer)
    for number in range(50):
        outbox.add(topic, b"change:c%d" % number, change(f"c{number}"))
    outbox.add(topic, b"change:bad", b"{}")
    await outbox.flush()
    live, changed = LiveTopology(), asyncio.Event()
    outbox.add(topic, b"ci:a", b'{"kind": "ci", "id": "a"}')
    await outbox.flush()
    async with ContextReader(settings, context, live, metrics, changed.set) as reader:
        assert list(live.snapshot().cis) == ["ci:a"]
        assert changed.is_set()
        changed.clear()
        assert len(known(context)) == 50
        assert f"{topic}[" in caplog.text
        following = asyncio.create_task(reader.follow(writer))
        outbox.add(topic, b"change:bad", b"{")
        outbox.add(topic, b"change:late", change("late", "b"))
        outbox.add(topic, b"change:c7", None)
        outbox.add(topic, b"ci:a", None)
        await outbox.flush()

        def buried() -> float:
            name, labels = "opsbridge_dead_letters_total", {"reason": "invalid_json"}
            return metrics.registry.get_sample_value(name, labels) or 0

        async with asyncio.timeout(20):
            while not (known(context, "b") and len(known(context)) == 49 and buried() and changed.is_set()):
                assert not following.done(), following.exception()
                await asyncio.sleep(0.01)
        following.cancel()
    assert len(live) == 0
    assert sum([await writer.write(dead, p, [(b"k", b"v", None, None)]) for p in range(3)]) == 1, "one was buried"
    await writer.stop()


async def test_without_topic_or_broker_a_worker_does_not_begin(
    kafka: Kafka, unique: Callable[[str], str], unused_tcp_port: int
) -> None:
    for servers, error in (
        (kafka.bootstrap_servers, TopicsError),
        (f"127.0.0.1:{unused_tcp_port}", BrokerUnreachableError),
    ):
        settings = Settings(
            kafka={"bootstrap_servers": servers},  # type: ignore[arg-type] # checked by pydantic
            topics={"prefix": unique("none") + "."},  # type: ignore[arg-type]
        )
        with pytest.raises(error):
            async with ContextReader(settings, Context(), LiveTopology(), Metrics()):
                pass
