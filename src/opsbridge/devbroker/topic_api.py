"""Where things are and what they are called: Metadata, topics made, grown and deleted, and their settings shown.

Answers for the one node there is; the checks live in topics.py. Part of broker.py's table.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

from kio.schema.create_partitions.v1 import CreatePartitionsRequest, CreatePartitionsResponse
from kio.schema.create_partitions.v1.response import CreatePartitionsTopicResult
from kio.schema.create_topics.v4 import CreateTopicsRequest, CreateTopicsResponse
from kio.schema.create_topics.v4.request import CreatableTopic
from kio.schema.create_topics.v4.response import CreatableTopicResult
from kio.schema.delete_topics.v3 import DeleteTopicsRequest, DeleteTopicsResponse
from kio.schema.delete_topics.v3.response import DeletableTopicResult
from kio.schema.describe_configs.v2 import DescribeConfigsRequest, DescribeConfigsResponse
from kio.schema.describe_configs.v2.request import DescribeConfigsResource
from kio.schema.describe_configs.v2.response import DescribeConfigsResourceResult, DescribeConfigsResult
from kio.schema.errors import ErrorCode
from kio.schema.metadata.v8 import MetadataRequest, MetadataResponse
from kio.schema.metadata.v8.response import MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic
from kio.schema.types import TopicName
from kio.static.primitive import i8, i32

from opsbridge.devbroker.calls import CLUSTER_ID, NO_THROTTLE, NODE, Call, Handlers
from opsbridge.devbroker.settings import RefusedError, Settings
from opsbridge.devbroker.topics import Topics

_TOPIC, _BROKER = 2, 4
_FROM_TOPIC, _FROM_FILE, _FROM_DEFAULT = i8(1), i8(4), i8(5)


class Address(NamedTuple):
    """Where the broker listens, as clients are told."""

    host: str
    port: int


class TopicApi:
    """The handlers that touch topics; `forget` is told the name of a deleted topic."""

    def __init__(
        self, topics: Topics, settings: Settings, address: Callable[[], Address], forget: Callable[[str], None]
    ) -> None:
        self._topics = topics
        self._settings = settings
        self._address = address
        self._forget = forget
        self.handlers: Handlers = {
            3: self.metadata,
            19: self.create_topics,
            20: self.delete_topics,
            32: self.describe_configs,
            37: self.create_partitions,
        }

    async def metadata(self, call: Call, request: MetadataRequest) -> MetadataResponse:
        """Return the node and the topics asked for, all of them for null (version 0: for none named)."""
        if request.topics is None or (call.version == 0 and not request.topics):
            names = [topic.name for topic in self._topics]
        else:
            names = [str(topic.name) for topic in request.topics]
        host, port = self._address()
        return MetadataResponse(
            throttle_time=NO_THROTTLE,
            brokers=(MetadataResponseBroker(node_id=NODE, host=host, port=i32(port)),),
            cluster_id=CLUSTER_ID,
            controller_id=NODE,
            topics=tuple(self._described(name, create=request.allow_auto_topic_creation) for name in names),
        )

    def _described(self, name: str, *, create: bool) -> MetadataResponseTopic:
        try:
            if create and self._settings.auto_create_topics and name not in self._topics:
                self._topics.create(name)
            count = len(self._topics.topic(name).partitions)
        except RefusedError as refused:
            return MetadataResponseTopic(error_code=refused.code, name=TopicName(name), partitions=())
        return MetadataResponseTopic(
            error_code=ErrorCode.none,
            name=TopicName(name),
            partitions=tuple(
                MetadataResponsePartition(
                    error_code=ErrorCode.none,
                    partition_index=i32(index),
                    leader_id=NODE,
                    leader_epoch=i32(0),
                    replica_nodes=(NODE,),
                    isr_nodes=(NODE,),
                )
                for index in range(count)
            ),
        )

    async def create_topics(self, _call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse:
        """Create each topic, or only check it."""
        results = []
        for wanted in request.topics:
            refused = _attempt(partial(self._create, wanted, validate_only=request.validate_only))
            results.append(
                CreatableTopicResult(name=wanted.name, error_code=refused.code, error_message=refused.reason or None)
            )
        return CreateTopicsResponse(throttle_time=NO_THROTTLE, topics=tuple(results))

    def _create(self, wanted: CreatableTopic, *, validate_only: bool) -> None:
        if wanted.assignments:
            if {NODE} != {node for each in wanted.assignments for node in each.broker_ids}:
                raise RefusedError(ErrorCode.invalid_replica_assignment, f"the only node is {NODE}")
            if sorted(each.partition_index for each in wanted.assignments) != list(range(len(wanted.assignments))):
                raise RefusedError(ErrorCode.invalid_replica_assignment, "partitions must be numbered from 0 on")
        elif wanted.replication_factor not in (-1, 1):
            raise RefusedError(
                ErrorCode.invalid_replication_factor,
                f"replication factor {wanted.replication_factor}: there is one broker, 1 (or -1) is possible",
            )
        self._topics.create(
            wanted.name,
            len(wanted.assignments) or wanted.num_partitions,
            {each.name: each.value for each in wanted.configs if each.value is not None},
            validate_only=validate_only,
        )

    async def create_partitions(self, _call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse:
        """Grow each topic to its new number of partitions, or only check that."""
        results = []
        for wanted in request.topics:
            refused = _attempt(
                partial(self._topics.grow, wanted.name, wanted.count, validate_only=request.validate_only)
            )
            results.append(
                CreatePartitionsTopicResult(
                    name=wanted.name, error_code=refused.code, error_message=refused.reason or None
                )
            )
        return CreatePartitionsResponse(throttle_time=NO_THROTTLE, results=tuple(results))

    async def delete_topics(self, _call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
        """Delete each topic, and what groups committed for it."""
        results = []
        for name in request.topic_names:
            refused = _attempt(partial(self._topics.delete, name))
            if refused.code is ErrorCode.none:
                self._forget(name)
            results.append(DeletableTopicResult(name=name, error_code=refused.code))
        return DeleteTopicsResponse(throttle_time=NO_THROTTLE, responses=tuple(results))

    async def describe_configs(self, _call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
        """Return the settings of topics, and the few of the broker that mean something here."""
        return DescribeConfigsResponse(
            throttle_time=NO_THROTTLE, results=tuple(self._configs(resource) for resource in request.resources)
        )

    def _configs(self, resource: DescribeConfigsResource) -> DescribeConfigsResult:
        entries: tuple[DescribeConfigsResourceResult, ...] = ()
        refused = RefusedError(ErrorCode.none)
        try:
            entries = self._entries(resource)
        except RefusedError as reason:
            refused = reason
        return DescribeConfigsResult(
            error_code=refused.code,
            error_message=refused.reason or None,
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
            configs=entries,
        )

    def _entries(self, resource: DescribeConfigsResource) -> tuple[DescribeConfigsResourceResult, ...]:
        keys = resource.configuration_keys
        if resource.resource_type == _TOPIC:
            topic = self._topics.topic(resource.resource_name)
            return _shown(
                [
                    (key, value, _FROM_TOPIC if given else _FROM_DEFAULT)
                    for key, value, given in self._topics.settings_of(topic)
                ],
                keys,
                read_only=False,
            )
        if resource.resource_type == _BROKER:
            return _shown(
                [
                    ("auto.create.topics.enable", str(self._settings.auto_create_topics).lower(), _FROM_FILE),
                    ("message.max.bytes", str(self._settings.message_max_bytes), _FROM_FILE),
                    ("num.partitions", str(self._settings.default_partitions), _FROM_FILE),
                ],
                keys,
                read_only=True,
            )
        raise RefusedError(
            ErrorCode.invalid_request, f"resource type {resource.resource_type}: 2 (topic) and 4 (broker) exist"
        )


def _shown(
    settings: Sequence[tuple[str, str, i8]], keys: Collection[str] | None, *, read_only: bool
) -> tuple[DescribeConfigsResourceResult, ...]:
    return tuple(
        DescribeConfigsResourceResult(
            name=name, value=value, read_only=read_only, config_source=source, is_sensitive=False, synonyms=()
        )
        for name, value, source in settings
        if not keys or name in keys
    )


def _attempt(step: Callable[[], None]) -> RefusedError:
    """Return how the step went: its refusal, or one with the code `none`."""
    try:
        step()
    except RefusedError as refused:
        return refused
    return RefusedError(ErrorCode.none)
