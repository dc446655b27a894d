"""The catalogue, and what is made and found on a cluster."""

from collections.abc import Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from conftest import create_topic
from kafka_server import Kafka
from opsbridge.settings import Settings, SettingsError
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError
from opsbridge.stream.topics import CATALOGUE, ensure_topics, topic_name, topics_of

MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings_with(kafka: Kafka, unique: Callable[[str], str]) -> MakeSettings:
    prefix = unique("t") + "."

    def make(**topics: object) -> Settings:
        return Settings(
            kafka={"bootstrap_servers": kafka.bootstrap_servers},  # type: ignore[arg-type]
            topics={"prefix": prefix, **topics},  # type: ignore[arg-type]
        )

    return make


def test_names_follow_prefix_version_and_overrides() -> None:
    topics = Settings(topics={"prefix": "acme.", "version": "v7", "names": {"alerts": "other"}}).topics  # type: ignore[arg-type]
    assert topic_name(topics, "situations") == "acme.situations.v7"
    assert topic_name(topics, "alerts") == "other"
    with pytest.raises(KeyError):
        topic_name(topics, "situation")


def test_inputs_take_the_place_of_events() -> None:
    topics = Settings(topics={"inputs": "raw:zabbix,more"}).topics  # type: ignore[arg-type]
    assert [topic.name for topic in topics_of(topics) if topic.entity.name == "events"] == ["raw", "more"]
    assert len(topics_of(topics)) == len(CATALOGUE) + 1


def test_names_that_mean_nothing_or_clash_are_told() -> None:
    topics = Settings(topics={"names": {"alert": "x", "changes": "y", "requests": "y"}}).topics  # type: ignore[arg-type]
    with pytest.raises(SettingsError) as caught:
        topics_of(topics)
    assert caught.value.problems == [
        "topics.names.alert: no such entity (did you mean alerts?)",
        "topics: two entities share the topic y",
    ]


def test_every_state_is_compacted_and_worked_on_with_its_input() -> None:
    by_group = {entity.together: entity for entity in CATALOGUE if not entity.state and entity.together}
    for entity in CATALOGUE:
        if entity.state:
            assert entity.cleanup == "compact"
            assert entity.together in by_group


async def test_missing_topics_are_made_once_as_they_must_be(
    settings_with: MakeSettings, admin: AIOKafkaAdminClient
) -> None:
    settings = settings_with(partitions=3, replication_factor=-1)
    report = await ensure_topics(settings)
    assert len(report.created) == len(CATALOGUE)
    assert report.findings == ()
    report.require()
    found = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics(list(report.created))}
    assert set(found.values()) == {3}
    again = await ensure_topics(settings)
    assert (again.created, again.findings) == ((), ())


async def test_new_topics_take_the_partition_count_of_those_they_are_worked_on_with(
    settings_with: MakeSettings, admin: AIOKafkaAdminClient
) -> None:
    settings = settings_with(partitions=2)
    await create_topic(settings.kafka.bootstrap_servers, topic_name(settings.topics, "detected"), 5)
    report = await ensure_topics(settings)
    assert report.findings == ()
    (state,) = await admin.describe_topics([topic_name(settings.topics, "first-level-state")])
    assert len(state["partitions"]) == 5


async def test_without_permission_to_create_what_is_missing_is_named(settings_with: MakeSettings) -> None:
    settings = settings_with(create=False)
    report = await ensure_topics(settings)
    assert report.created == ()
    assert len(report.findings) == len(CATALOGUE)
    name = topic_name(settings.topics, "response-state")
    with pytest.raises(
        TopicsError, match=f"{name}: does not exist; create it with 4 partitions, cleanup.policy=compact"
    ):
        report.require()


@pytest.mark.parametrize(
    ("entity", "policy", "fatal"),
    [("first-level-state", "delete", True), ("detected", "compact", True), ("situations", "delete", False)],
)
async def test_a_wrong_cleanup_policy_is_found(
    settings_with: MakeSettings, entity: str, policy: str, *, fatal: bool
) -> None:
    settings = settings_with()
    name = topic_name(settings.topics, entity)
    await create_topic(settings.kafka.bootstrap_servers, name, 4, {"cleanup.policy": policy})
    report = await ensure_topics(settings)
    (finding,) = report.findings
    assert (finding.topic, finding.fatal) == (name, fatal)
    assert f"cleanup.policy is {policy}, must be" in finding.problem
    assert ("would be lost" in finding.problem) == fatal


async def test_uneven_partition_counts_are_found(settings_with: MakeSettings) -> None:
    settings = settings_with()
    alerts, state = (topic_name(settings.topics, name) for name in ("alerts", "second-level-state"))
    await create_topic(settings.kafka.bootstrap_servers, alerts, 3)
    await create_topic(settings.kafka.bootstrap_servers, state, 2, {"cleanup.policy": "compact"})
    report = await ensure_topics(settings)
    with pytest.raises(TopicsError, match=f"{alerts}: partition counts must be equal .* {alerts} 3, {state} 2"):
        report.require()


async def test_what_the_cluster_refuses_is_named(settings_with: MakeSettings) -> None:
    settings = settings_with(replication_factor=3)
    with pytest.raises(TopicsError, match=topic_name(settings.topics, "detected")):
        await ensure_topics(settings)


async def test_no_broker_is_told_so(unused_tcp_port: int) -> None:
    settings = Settings(kafka={"bootstrap_servers": f"127.0.0.1:{unused_tcp_port}"})  # type: ignore[arg-type]
    with pytest.raises(BrokerUnreachableError, match=f"no broker at 127.0.0.1:{unused_tcp_port}"):
        await ensure_topics(settings)
