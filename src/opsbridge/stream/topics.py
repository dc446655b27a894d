"""The topics OpsBridge uses, as one table, and whether a cluster has them as they must be.

The table decides names, keys, clean-up and which topics must have equal partition counts, because one lane works on all
of them. `ensure_topics` makes what is missing and reports what is wrong; it never changes a topic that exists. Nothing
else creates topics: Faust is told not to.
"""

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, cast

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from opsbridge.settings import Settings, SettingsError, TopicSettings
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError

Cleanup = Literal["delete", "compact", "compact,delete"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Entity:
    """One row of the catalogue."""

    name: str
    key: str
    cleanup: Cleanup
    together: str | None = None
    """Topics with the same word are worked on by one lane: equal partition counts."""
    configs: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False
    """Made and configured by others as a rule: only its existence is checked."""
    state: bool = False
    """The changelog of a state table: losing a record of it is losing state."""
    internal: bool = False
    """Between stages: it is no part of the contract, and may change with any version. So is state."""


# Snapshots: whoever follows sees every version for an hour, and the last one for a month after the last change.
_SNAPSHOTS = {"min.compaction.lag.ms": str(HOUR_MS), "retention.ms": str(30 * DAY_MS)}
# State is read from the beginning on every recovery: compact early, in segments that soon leave the active one. But not
# at once: what a flush that was not saved whole has written over is needed by whoever undoes it (tables.py).
_STATE = {
    "min.cleanable.dirty.ratio": "0.2",
    "min.compaction.lag.ms": str(HOUR_MS // 4),
    "segment.bytes": str(64 << 20),
    "segment.ms": str(DAY_MS),
}

CATALOGUE: tuple[Entity, ...] = (
    Entity("events", "any", "delete", foreign=True),
    Entity("context", "kind and id", "compact", foreign=True),
    Entity("detected", "CI", "delete", together="CI", internal=True),
    Entity("first-level-state", "fingerprint", "compact", together="CI", configs=_STATE, state=True),
    Entity("alerts", "correlation domain", "delete", together="domain"),
    Entity("second-level-state", "situation or alert", "compact", together="domain", configs=_STATE, state=True),
    Entity("corrections", "none, in every partition", "delete", together="domain", internal=True),
    Entity("shared", "backbone domain", "delete", together="backbone", internal=True),
    Entity("backbone-corrections", "none, in every partition", "delete", together="backbone", internal=True),
    Entity("backbone-state", "finding, situation or alert", "compact", together="backbone", configs=_STATE, state=True),
    Entity("situations", "situation id", "compact,delete", together="situation", configs=_SNAPSHOTS),
    Entity("feedback", "situation id", "delete", together="situation"),
    Entity("answers", "situation id", "delete", together="situation", internal=True),
    Entity("response-state", "record id", "compact", together="situation", configs=_STATE, state=True),
    Entity("coordination", "the same for all", "delete", together="coordination", internal=True),
    Entity("coordination-state", "record id", "compact", together="coordination", configs=_STATE, state=True),
    Entity("incidents", "incident id", "compact,delete", configs=_SNAPSHOTS),
    Entity("incident-members", "incident id", "delete"),
    Entity("problems", "problem id", "compact,delete", configs=_SNAPSHOTS),
    Entity("changes", "change id", "compact,delete", configs=_SNAPSHOTS),
    Entity("requests", "request id", "compact,delete", configs=_SNAPSHOTS),
    Entity("responses", "response id", "compact,delete", configs=_SNAPSHOTS),
    Entity("notifications", "notification id", "compact,delete", configs=_SNAPSHOTS),
    Entity("suppressed", "fingerprint", "compact,delete", configs=_SNAPSHOTS),
    Entity("shadow", "rule", "delete"),
    Entity("routed", "route", "delete"),
    Entity("dead-letters", "the original key", "delete"),
    Entity("discrepancies", "CI reference", "compact,delete", configs=_SNAPSHOTS),
)
ENTITIES: Mapping[str, Entity] = {entity.name: entity for entity in CATALOGUE}


def topic_name(topics: TopicSettings, entity: str) -> str:
    """The Kafka name of an entity of the catalogue: `KeyError` if there is no such entity."""
    row = ENTITIES[entity]
    return topics.names.get(row.name, f"{topics.prefix}{row.name}.{topics.version}")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of this installation: an entity with its name."""

    name: str
    entity: Entity


def topics_of(topics: TopicSettings) -> tuple[Topic, ...]:
    """Every topic of this installation; `events` once per configured input. Raises `SettingsError` for bad names."""
    problems = [
        f"topics.names.{entity}: no such entity"
        + (f" (did you mean {', '.join(near)}?)" if (near := difflib.get_close_matches(entity, ENTITIES)) else "")
        for entity in topics.names
        if entity not in ENTITIES
    ]
    found = [Topic(topic_name(topics, entity.name), entity) for entity in CATALOGUE]
    if topics.inputs:
        found[0:1] = [Topic(each.topic, ENTITIES["events"]) for each in topics.inputs]
    names = [topic.name for topic in found]
    problems += [f"topics: two entities share the topic {name}" for name in {n for n in names if names.count(n) > 1}]
    if problems:
        raise SettingsError(problems)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a topic that an operator should know; if `fatal`, a worker must not start."""

    topic: str
    problem: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.problem}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `ensure_topics` did and found."""

    created: tuple[str, ...]
    findings: tuple[Finding, ...]

    def require(self) -> None:
        """Raise `TopicsError` if a finding is fatal."""
        if fatal := [str(finding) for finding in self.findings if finding.fatal]:
            raise TopicsError("topics are not as they must be:\n" + "\n".join(f"  - {line}" for line in fatal))


async def ensure_topics(settings: Settings) -> TopicReport:
    """Create what is missing (unless `topics.create` is off) and check what is there.

    Raises `BrokerUnreachableError`, `TopicsError` if the cluster refuses a topic, `SettingsError` for bad names.
    """
    wanted = topics_of(settings.topics)
    async with _Cluster(settings) as cluster:
        counts = await cluster.partition_counts()
        created: list[str] = []
        missing = [topic for topic in wanted if topic.name not in counts]
        lost = await _lost(
            cluster, missing, [topic for topic in wanted if topic.name in counts], settings.kafka.group_id
        )
        if lost:
            return TopicReport((), tuple(lost))
        if missing and settings.topics.create:
            for topic in missing:
                counts[topic.name] = _count_for(topic, wanted, counts, settings.topics.partitions)
            await cluster.create(missing, counts, settings.topics.replication_factor)
            created = [topic.name for topic in missing]
        present = [topic for topic in wanted if topic.name in counts]
        policies = await cluster.cleanup_policies([topic.name for topic in present if not topic.entity.foreign])
    findings = [
        *_missing(wanted, counts, settings.topics.partitions),
        *_uneven(present, counts),
        *_wrong_cleanup(present, policies),
    ]
    return TopicReport(tuple(created), tuple(findings))


def _count_for(topic: Topic, wanted: Iterable[Topic], counts: Mapping[str, int], default: int) -> int:
    """As many partitions as the topics it belongs to have, if they exist and agree."""
    group = topic.entity.together
    others = {
        counts[other.name] for other in wanted if group and other.entity.together == group and other.name in counts
    }
    return others.pop() if len(others) == 1 else default


async def _lost(cluster: "_Cluster", missing: Sequence[Topic], present: Sequence[Topic], group: str) -> list[Finding]:
    """State that has been there: the group has read the input of a stage whose changelog is gone.

    Making it anew would let the worker go on as if nothing had ever happened.
    """
    inputs = [
        (topic.name, [other.name for other in present if other.entity.together == topic.entity.together])
        for topic in missing
        if topic.entity.state
    ]
    if not any(names for _, names in inputs):
        return []
    read = await cluster.read_by(group)
    return [
        Finding(
            changelog,
            f"does not exist, though group {group} has read {', '.join(done)}: the state of that stage is lost. "
            "Restore the topic; or, to begin anew without it, stop all workers and delete the group's offsets for "
            "that input (kafka-consumer-groups.sh --delete-offsets)",
            fatal=True,
        )
        for changelog, names in inputs
        if (done := [name for name in names if name in read])
    ]


def _missing(wanted: Iterable[Topic], counts: Mapping[str, int], partitions: int) -> Iterable[Finding]:
    for topic in wanted:
        if topic.name not in counts:
            how = f"{_count_for(topic, wanted, counts, partitions)} partitions, cleanup.policy={topic.entity.cleanup}"
            yield Finding(topic.name, f"does not exist; create it with {how}, or set topics.create", fatal=True)


def _uneven(present: Sequence[Topic], counts: Mapping[str, int]) -> Iterable[Finding]:
    groups: dict[str, list[Topic]] = {}
    for topic in present:
        if topic.entity.together:
            groups.setdefault(topic.entity.together, []).append(topic)
    for key, group in groups.items():
        if len({counts[topic.name] for topic in group}) > 1:
            listed = ", ".join(f"{topic.name} {counts[topic.name]}" for topic in group)
            yield Finding(
                group[0].name,
                f"partition counts must be equal for topics that are worked on together by {key}, but are: {listed}",
                fatal=True,
            )


def _wrong_cleanup(present: Iterable[Topic], policies: Mapping[str, str]) -> Iterable[Finding]:
    for topic in present:
        policy = policies.get(topic.name)
        if policy is None or _words(policy) == _words(topic.entity.cleanup):
            continue
        lost = topic.entity.state or _words(policy) - _words(topic.entity.cleanup) >= {"compact"}
        because = "; records would be lost" if lost else ""
        yield Finding(topic.name, f"cleanup.policy is {policy}, must be {topic.entity.cleanup}{because}", fatal=lost)


def _words(policy: str) -> frozenset[str]:
    return frozenset(word.strip() for word in policy.split(","))


class _Answer(Protocol):
    """A decoded response of aiokafka's admin client."""

    def to_object(self) -> Mapping[str, list[Mapping[str, object]]]: ...


class _Cluster:
    """The few questions asked of a cluster, with errors an operator can read."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._admin: AIOKafkaAdminClient | None = None

    async def __aenter__(self) -> Self:
        admin = AIOKafkaAdminClient(**client_options(self._kafka))  # type: ignore[arg-type] # options by name
        try:
            async with asyncio.timeout(self._kafka.request_timeout):
                await admin.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await admin.close()
            raise BrokerUnreachableError(f"no broker at {self._kafka.bootstrap_servers}: {error}") from error
        self._admin = admin
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._admin is not None:
            await self._admin.close()

    @property
    def _client(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise BrokerUnreachableError("not connected")
        return self._admin

    async def partition_counts(self) -> dict[str, int]:
        """How many partitions each topic of the cluster has. Asks for all: naming one might create it."""
        return {found["topic"]: len(found["partitions"]) for found in await self._client.describe_topics()}

    async def read_by(self, group: str) -> set[str]:
        """The topics of which a consumer group has committed that it has read something."""
        offsets = await self._client.list_consumer_group_offsets(group)
        return {tp.topic for tp, committed in offsets.items() if committed.offset > 0}

    async def create(self, topics: Iterable[Topic], counts: Mapping[str, int], replication: int) -> None:
        """Create `topics`, and return when the cluster shows them; raises `TopicsError` naming each refusal."""
        new = [_new_topic(topic, counts[topic.name], replication) for topic in topics]
        try:
            answer: Any = await self._client.create_topics(new)
        except KafkaError as error:
            raise TopicsError(f"the cluster does not let us create topics: {error}") from error
        refused = [
            f"{name}: {message or for_code(code).__name__}"
            for name, code, message, *_ in answer.topic_errors
            if code not in (0, TopicAlreadyExistsError.errno)  # another worker was faster
        ]
        if refused:
            raise TopicsError("topics could not be created:\n" + "\n".join(f"  - {line}" for line in refused))
        names = {topic.name for topic in new}
        async with asyncio.timeout(self._kafka.request_timeout):
            while not names <= (await self.partition_counts()).keys():  # noqa: ASYNC110 # the broker is asked
                await asyncio.sleep(0.1)

    async def cleanup_policies(self, names: Iterable[str]) -> dict[str, str]:
        """The `cleanup.policy` of each topic; without those we may not describe."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": None}) for name in names]
        if not asked:
            return {}
        policies: dict[str, str] = {}
        for answer in await self._client.describe_configs(asked):
            for resource in cast("_Answer", answer).to_object()["resources"]:
                for entry in cast("list[Mapping[str, object]]", resource["config_entries"]):
                    if entry["config_names"] == "cleanup.policy":
                        policies[str(resource["resource_name"])] = str(entry["config_value"])
        return policies


def _new_topic(topic: Topic, partitions: int, replication: int) -> NewTopic:
    configs = {"cleanup.policy": topic.entity.cleanup, **topic.entity.configs}
    new = NewTopic(topic.name, partitions, 1, topic_configs=configs)
    new.replication_factor = replication  # not by argument: aiokafka refuses -1 there, which brokers understand
    return new
