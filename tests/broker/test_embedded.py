"""What is true of the embedded broker alone: where it listens, what it will not do, and that it is its own process."""

import dataclasses
import signal
import subprocess
import sys
import time
import typing

import pytest
from kio.index import load_response_schema
from kio.schema.describe_groups.v0 import DescribeGroupsRequest, DescribeGroupsResponse
from kio.schema.errors import ErrorCode
from kio.schema.find_coordinator.v2 import FindCoordinatorRequest, FindCoordinatorResponse
from kio.schema.init_producer_id.v1 import InitProducerIdRequest, InitProducerIdResponse
from kio.schema.join_group.v0 import JoinGroupRequest as FirstJoinGroupRequest
from kio.schema.join_group.v0 import JoinGroupResponse as FirstJoinGroupResponse
from kio.schema.join_group.v0.request import JoinGroupRequestProtocol
from kio.schema.join_group.v5 import JoinGroupRequest
from kio.schema.list_groups.v2 import ListGroupsRequest, ListGroupsResponse
from kio.schema.metadata.v0 import MetadataRequest as FirstMetadataRequest
from kio.schema.metadata.v0 import MetadataResponse as FirstMetadataResponse
from kio.schema.metadata.v5 import MetadataRequest, MetadataResponse
from kio.schema.metadata.v5.request import MetadataRequestTopic
from kio.schema.types import GroupId, TopicName, TransactionalId
from kio.serial import entity_reader
from kio.static.primitive import i8
from raw_client import RawClient, milliseconds

from opsbridge.devbroker import BeyondLoopbackError, DevBroker, Settings, ThreadedDevBroker
from opsbridge.devbroker.__main__ import main
from opsbridge.devbroker.wire import APIS, Api, Header, encode, lift

E = typing.TypeVar("E")
VALUES: dict[str, object] = {
    **{f"int{bits}": 3 for bits in (8, 16, 32, 64)},
    "bool": True,
    "string": "text",
    "bytes": b"bytes",
    "records": b"records",
    "error_code": ErrorCode.none,
    "timedelta_i32": milliseconds(3),
    "datetime_i64": None,
}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "kafka.example.org", ""])  # noqa: S104 - refused
def test_it_does_not_listen_where_others_could_reach_it(host: str) -> None:
    with pytest.raises(BeyondLoopbackError, match=r"for trying and testing.*use 127\.0\.0\.1, or run Apache Kafka"):
        DevBroker(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_it_listens_on_this_machine(host: str) -> None:
    with ThreadedDevBroker(host) as broker, RawClient(broker.bootstrap_servers) as raw:
        (node,) = raw.ask(MetadataRequest(topics=(), allow_auto_topic_creation=False), MetadataResponse).brokers
        assert f"{node.host}:{node.port}" == broker.bootstrap_servers


def test_the_command_refuses_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "0.0.0.0"]) == 2  # noqa: S104 - refused
    assert "for trying and testing" in capsys.readouterr().err


def test_the_command_names_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadedDevBroker() as broker:
        port = broker.bootstrap_servers.rsplit(":", 1)[1]
        assert main(["--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_the_command_says_where_it_listens_and_ends_on_sigterm() -> None:
    call = [sys.executable, "-m", "opsbridge.devbroker", "--port", "0"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        line = broker.stdout.readline()
        assert line.endswith("(in memory, for trying and testing only)\n")
        with RawClient(line.split()[2]) as raw:
            assert raw.ask(MetadataRequest(topics=(), allow_auto_topic_creation=False), MetadataResponse).brokers
            broker.send_signal(signal.SIGTERM)
            assert broker.wait(10) == 0


def test_it_starts_once() -> None:
    with ThreadedDevBroker() as broker, pytest.raises(RuntimeError, match=r"already listens on 127\.0\.0\.1:\d+"):
        broker.start()


async def test_it_starts_once_in_a_loop_too() -> None:
    async with DevBroker() as broker:
        with pytest.raises(RuntimeError, match=r"already listens on 127\.0\.0\.1:\d+"):
            await broker.start()


@pytest.mark.parametrize(("setting", "asked", "made"), [(True, True, True), (True, False, False), (False, True, False)])
def test_topics_are_made_on_first_use_only_if_both_sides_want_it(*, setting: bool, asked: bool, made: bool) -> None:
    settings = Settings(auto_create_topics=setting, default_partitions=3)
    request = MetadataRequest(topics=(MetadataRequestTopic(name=TopicName("new")),), allow_auto_topic_creation=asked)
    with ThreadedDevBroker(settings=settings) as broker, RawClient(broker.bootstrap_servers) as raw:
        (found,) = raw.ask(request, MetadataResponse).topics
        assert len(found.partitions) == (3 if made else 0)
        named = raw.ask(FirstMetadataRequest(topics=()), FirstMetadataResponse).topics
        assert [each.name for each in named] == (["new"] if made else [])


def test_transactions_are_refused_for_good() -> None:
    with ThreadedDevBroker() as broker, RawClient(broker.bootstrap_servers) as raw:
        found = raw.ask(FindCoordinatorRequest(key="tx", key_type=i8(1)), FindCoordinatorResponse)
        assert (found.error_code, found.error_message) == (
            ErrorCode.unsupported_version,
            "the dev broker has no transactions",
        )
        request = InitProducerIdRequest(transactional_id=TransactionalId("tx"), transaction_timeout=milliseconds(1000))
        assert raw.ask(request, InitProducerIdResponse).error_code is ErrorCode.unsupported_version


def joining(member_id: str = "", session_ms: int = 10_000) -> FirstJoinGroupRequest:
    return FirstJoinGroupRequest(
        group_id=GroupId("g"),
        session_timeout=milliseconds(session_ms),
        member_id=member_id,
        protocol_type="t",
        protocols=(JoinGroupRequestProtocol(name="p", metadata=b""),),
    )


def test_who_hangs_up_while_joining_is_no_member() -> None:
    settings = Settings(min_session_timeout=0.1, initial_rebalance_delay=0.0)
    with ThreadedDevBroker(settings=settings) as broker, RawClient(broker.bootstrap_servers) as raw:
        me = raw.ask(joining(), FirstJoinGroupResponse)
        assert [each.member_id for each in me.members] == [me.member_id]
        with RawClient(broker.bootstrap_servers) as quitter:
            quitter.send(joining(session_ms=200))
            described = DescribeGroupsRequest(groups=(GroupId("g"),))
            until = time.monotonic() + 10
            while len(raw.ask(described, DescribeGroupsResponse).groups[0].members) < 2:
                assert time.monotonic() < until
        again = raw.ask(joining(me.member_id), FirstJoinGroupResponse)
        assert [each.member_id for each in again.members] == [me.member_id]


def test_stopping_drops_waiting_members_at_once() -> None:
    slow = Settings(initial_rebalance_delay=60.0)
    with ThreadedDevBroker(settings=slow) as broker, RawClient(broker.bootstrap_servers) as raw:
        raw.send(joining())
        with RawClient(broker.bootstrap_servers) as other:
            until = time.monotonic() + 10
            while not other.ask(ListGroupsRequest(), ListGroupsResponse).groups:
                assert time.monotonic() < until
        began = time.monotonic()
        broker.stop()
        assert raw.hung_up()
        assert time.monotonic() - began < 5


def test_a_request_of_an_older_version_gets_the_defaults_of_a_newer_one() -> None:
    older = FirstJoinGroupRequest(
        group_id=GroupId("g"), session_timeout=milliseconds(9), member_id="m", protocol_type="t", protocols=()
    )
    newer = lift(older, JoinGroupRequest)
    assert (newer.group_id, newer.session_timeout, newer.group_instance_id) == ("g", milliseconds(9), None)


@pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.name)
def test_an_answer_of_the_newest_version_can_be_written_as_every_older_one(api: Api) -> None:
    newest = filled(load_response_schema(api.key, api.newest))
    for version in range(api.oldest, api.newest + 1):
        schema = load_response_schema(api.key, version)
        frame = encode(Header(api.key, version, 7, ""), newest)
        answer, size = entity_reader(schema)(frame, 8)
        assert size + 8 == len(frame) == int.from_bytes(frame[:4]) + 4
        assert answer == filled(schema)


def filled(schema: type[E]) -> E:
    """An entity with one item in every array and a telling value in every field."""
    assert dataclasses.is_dataclass(schema)
    return schema(**{field.name: value(field) for field in dataclasses.fields(schema)})


def value(field: dataclasses.Field[object]) -> object:
    for kind in (field.type, *typing.get_args(field.type)):
        if typing.get_origin(kind) is tuple:
            item: type = typing.get_args(kind)[0]
            return (filled(item) if dataclasses.is_dataclass(item) else VALUES[field.metadata["kafka_type"]],)
    return VALUES[field.metadata["kafka_type"]]
