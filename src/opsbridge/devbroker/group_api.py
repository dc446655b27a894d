"""Consumer groups over the wire: finding the coordinator, the membership protocol, committed offsets.

Holds the groups and the one timer that tells them the time is up; who may do what is decided in groups.py. Part of
broker.py's table.
"""

import asyncio
import logging
from collections.abc import Callable

from kio.schema.delete_groups.v1 import DeleteGroupsRequest, DeleteGroupsResponse
from kio.schema.delete_groups.v1.response import DeletableGroupResult
from kio.schema.describe_groups.v4 import DescribeGroupsRequest, DescribeGroupsResponse
from kio.schema.describe_groups.v4.response import DescribedGroup, DescribedGroupMember
from kio.schema.errors import ErrorCode
from kio.schema.find_coordinator.v2 import FindCoordinatorRequest, FindCoordinatorResponse
from kio.schema.heartbeat.v3 import HeartbeatRequest, HeartbeatResponse
from kio.schema.join_group.v5 import JoinGroupRequest, JoinGroupResponse
from kio.schema.join_group.v5.response import JoinGroupResponseMember
from kio.schema.leave_group.v2 import LeaveGroupRequest, LeaveGroupResponse
from kio.schema.list_groups.v2 import ListGroupsRequest, ListGroupsResponse
from kio.schema.list_groups.v2.response import ListedGroup
from kio.schema.offset_commit.v7 import OffsetCommitRequest, OffsetCommitResponse
from kio.schema.offset_commit.v7.request import OffsetCommitRequestPartition
from kio.schema.offset_commit.v7.response import OffsetCommitResponsePartition, OffsetCommitResponseTopic
from kio.schema.offset_fetch.v5 import OffsetFetchRequest, OffsetFetchResponse
from kio.schema.offset_fetch.v5.response import OffsetFetchResponsePartition, OffsetFetchResponseTopic
from kio.schema.sync_group.v3 import SyncGroupRequest, SyncGroupResponse
from kio.schema.types import BrokerId, GroupId, TopicName
from kio.static.primitive import i32, i64

from opsbridge.devbroker.calls import NO_THROTTLE, NODE, Call, Handlers
from opsbridge.devbroker.groups import Applicant, Committed, Group, Joined, MemberIdRequiredError, State
from opsbridge.devbroker.settings import RefusedError, Settings
from opsbridge.devbroker.topic_api import Address
from opsbridge.devbroker.topics import Topics

_GROUP_KEY = 0
_MOST_METADATA = 4096
_UNCOMMITTED = Committed(-1, -1, "")

_log = logging.getLogger(__name__)


class GroupApi:
    """The handlers of group members, and their sessions' clock."""

    def __init__(self, topics: Topics, settings: Settings, address: Callable[[], Address]) -> None:
        self._topics = topics
        self._settings = settings
        self._address = address
        self._groups: dict[str, Group] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.handlers: Handlers = {
            8: self.offset_commit,
            9: self.offset_fetch,
            10: self.find_coordinator,
            11: self.join_group,
            12: self.heartbeat,
            13: self.leave_group,
            14: self.sync_group,
            15: self.describe_groups,
            16: self.list_groups,
            42: self.delete_groups,
        }

    def resume(self) -> None:
        """Take up the groups again after the broker was away: every session starts anew."""
        for group in self._groups.values():
            group.resume(_now())
        self._rearm()

    def pause(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def forget_topic(self, name: str) -> None:
        """Drop what any group committed for a topic that is gone."""
        for group in self._groups.values():
            group.offsets = {key: value for key, value in group.offsets.items() if key[0] != name}

    async def find_coordinator(self, _call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
        """Return the one node; a transaction's coordinator is refused."""
        if request.key_type != _GROUP_KEY:
            return FindCoordinatorResponse(
                throttle_time=NO_THROTTLE,
                error_code=ErrorCode.unsupported_version,
                error_message="the dev broker has no transactions",
                node_id=BrokerId(-1),
                host="",
                port=i32(-1),
            )
        host, port = self._address()
        return FindCoordinatorResponse(
            throttle_time=NO_THROTTLE,
            error_code=ErrorCode.none,
            error_message=None,
            node_id=NODE,
            host=host,
            port=i32(port),
        )

    async def join_group(self, call: Call, request: JoinGroupRequest) -> JoinGroupResponse:
        """Return the next generation once it has begun."""
        try:
            joined = await call.wait(self._asked_to_join(call, request))
        except MemberIdRequiredError as required:
            return _not_joined(required.code, required.member_id)
        except RefusedError as refused:
            return _not_joined(refused.code, request.member_id)
        finally:
            self._rearm()
        return JoinGroupResponse(
            throttle_time=NO_THROTTLE,
            error_code=ErrorCode.none,
            generation_id=i32(joined.generation),
            protocol_name=joined.protocol,
            leader=joined.leader,
            member_id=joined.member_id,
            members=tuple(
                JoinGroupResponseMember(member_id=member_id, group_instance_id=instance_id, metadata=metadata)
                for member_id, instance_id, metadata in joined.members
            ),
        )

    def _asked_to_join(self, call: Call, request: JoinGroupRequest) -> "asyncio.Future[Joined]":
        if not request.group_id:
            raise RefusedError(ErrorCode.invalid_group_id)
        session_timeout = request.session_timeout.total_seconds()
        if not self._settings.min_session_timeout <= session_timeout <= self._settings.max_session_timeout:
            raise RefusedError(ErrorCode.invalid_session_timeout)
        rebalance_timeout = request.rebalance_timeout.total_seconds()
        if request.group_id not in self._groups:
            self._groups[request.group_id] = Group(request.group_id, self._settings.initial_rebalance_delay)
        answer = self._groups[request.group_id].join(
            Applicant(
                member_id=request.member_id,
                instance_id=request.group_instance_id,
                client_id=call.client_id,
                client_host=call.client_host,
                session_timeout=session_timeout,
                # version 0 has one time-out for both
                rebalance_timeout=rebalance_timeout if rebalance_timeout > 0 else session_timeout,
                protocol_type=request.protocol_type,
                protocols=tuple((each.name, each.metadata) for each in request.protocols),
                confirms_id=call.version >= 4,
            ),
            _now(),
        )
        self._rearm()
        return answer

    async def sync_group(self, call: Call, request: SyncGroupRequest) -> SyncGroupResponse:
        """Return the member's assignment once the leader has handed them out."""
        code, assignment = ErrorCode.none, b""
        try:
            answer = self._group(request.group_id).sync(
                request.member_id,
                request.group_instance_id,
                request.generation_id,
                {each.member_id: each.assignment for each in request.assignments},
                _now(),
            )
            self._rearm()
            assignment = await call.wait(answer)
        except RefusedError as refused:
            code = refused.code
        finally:
            self._rearm()
        return SyncGroupResponse(throttle_time=NO_THROTTLE, error_code=code, assignment=assignment)

    async def heartbeat(self, _call: Call, request: HeartbeatRequest) -> HeartbeatResponse:
        """Keep a member alive and tell it of a rebalance."""
        code = self._step(
            lambda: self._group(request.group_id).heartbeat(
                request.member_id, request.group_instance_id, request.generation_id, _now()
            )
        )
        return HeartbeatResponse(throttle_time=NO_THROTTLE, error_code=code)

    async def leave_group(self, _call: Call, request: LeaveGroupRequest) -> LeaveGroupResponse:
        """Let a member go."""
        code = self._step(lambda: self._group(request.group_id).leave(request.member_id, _now()))
        return LeaveGroupResponse(throttle_time=NO_THROTTLE, error_code=code)

    async def offset_commit(self, _call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse:
        """Keep the offsets of a current member, or of a consumer without membership in an empty group."""
        if request.generation_id_or_member_epoch < 0 and request.group_id not in self._groups:
            self._groups[request.group_id] = Group(request.group_id, self._settings.initial_rebalance_delay)
        code = self._step(
            lambda: self._group(request.group_id).may_commit(
                request.member_id, request.group_instance_id, request.generation_id_or_member_epoch, _now()
            )
        )
        return OffsetCommitResponse(
            throttle_time=NO_THROTTLE,
            topics=tuple(
                OffsetCommitResponseTopic(
                    name=topic.name,
                    partitions=tuple(
                        OffsetCommitResponsePartition(
                            partition_index=each.partition_index,
                            error_code=code or self._committed(request.group_id, topic.name, each),
                        )
                        for each in topic.partitions
                    ),
                )
                for topic in request.topics
            ),
        )

    def _committed(self, group_id: str, topic: str, asked: OffsetCommitRequestPartition) -> ErrorCode:
        metadata = asked.committed_metadata or ""
        if len(metadata) > _MOST_METADATA:
            return ErrorCode.offset_metadata_too_large
        try:
            self._topics.log(topic, asked.partition_index)
        except RefusedError as refused:
            return refused.code
        self._groups[group_id].offsets[topic, asked.partition_index] = Committed(
            asked.committed_offset, asked.committed_leader_epoch, metadata
        )
        return ErrorCode.none

    async def offset_fetch(self, _call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse:
        """Return the committed offsets asked for, all of the group's for null; -1 where there is none."""
        group = self._groups.get(request.group_id)
        offsets = {} if group is None else group.offsets
        asked: dict[str, list[int]] = {}
        if request.topics is None:
            for name, partition in sorted(offsets):
                asked.setdefault(name, []).append(partition)
        else:
            asked = {str(topic.name): list(topic.partition_indexes) for topic in request.topics}
        return OffsetFetchResponse(
            throttle_time=NO_THROTTLE,
            topics=tuple(
                OffsetFetchResponseTopic(
                    name=TopicName(name),
                    partitions=tuple(
                        _fetched(partition, offsets.get((name, partition), _UNCOMMITTED)) for partition in partitions
                    ),
                )
                for name, partitions in asked.items()
            ),
        )

    async def describe_groups(self, _call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
        """Return state and members of each group; a group that does not exist is dead."""
        return DescribeGroupsResponse(
            throttle_time=NO_THROTTLE, groups=tuple(_described(self._groups.get(name), name) for name in request.groups)
        )

    async def list_groups(self, _call: Call, _request: ListGroupsRequest) -> ListGroupsResponse:
        """Return every group that has members or offsets."""
        return ListGroupsResponse(
            throttle_time=NO_THROTTLE,
            error_code=ErrorCode.none,
            groups=tuple(
                ListedGroup(group_id=GroupId(group.id), protocol_type=group.protocol_type)
                for group in self._groups.values()
            ),
        )

    async def delete_groups(self, _call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
        """Forget groups that have no members."""
        return DeleteGroupsResponse(
            throttle_time=NO_THROTTLE,
            results=tuple(
                DeletableGroupResult(group_id=name, error_code=self._deleted(name)) for name in request.groups_names
            ),
        )

    def _deleted(self, name: str) -> ErrorCode:
        group = self._groups.get(name)
        if group is None:
            return ErrorCode.group_id_not_found
        if group.state is not State.EMPTY:
            return ErrorCode.non_empty_group
        del self._groups[name]
        return ErrorCode.none

    def _group(self, group_id: str) -> Group:
        try:
            return self._groups[group_id]
        except KeyError:
            raise RefusedError(ErrorCode.unknown_member_id, f"there is no group {group_id!r}") from None

    def _step(self, step: Callable[[], None]) -> ErrorCode:
        try:
            step()
        except RefusedError as refused:
            return refused.code
        finally:
            self._rearm()
        return ErrorCode.none

    def _rearm(self) -> None:
        """Set the one timer to the next thing that can lapse."""
        if self._timer is not None:
            self._timer.cancel()
        due = min((at for group in self._groups.values() if (at := group.due()) is not None), default=None)
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        now = _now()
        for group in self._groups.values():
            for member_id in group.expire(now):
                _log.info("group %s: %s was silent for too long and is no member any more", group.id, member_id)
        self._rearm()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _not_joined(code: ErrorCode, member_id: str) -> JoinGroupResponse:
    return JoinGroupResponse(
        throttle_time=NO_THROTTLE, error_code=code, protocol_name="", leader="", member_id=member_id, members=()
    )


def _fetched(partition: int, committed: Committed) -> OffsetFetchResponsePartition:
    return OffsetFetchResponsePartition(
        partition_index=i32(partition),
        committed_offset=i64(committed.offset),
        committed_leader_epoch=i32(committed.leader_epoch),
        metadata=committed.metadata,
        error_code=ErrorCode.none,
    )


def _described(group: Group | None, name: str) -> DescribedGroup:
    stable = group is not None and group.state is State.STABLE
    return DescribedGroup(
        error_code=ErrorCode.none,
        group_id=GroupId(name),
        group_state=State.DEAD if group is None else group.state,
        protocol_type="" if group is None else group.protocol_type,
        protocol_data=group.protocol if group is not None and stable else "",
        members=tuple(
            DescribedGroupMember(
                member_id=member.id,
                group_instance_id=member.applicant.instance_id,
                client_id=member.applicant.client_id,
                client_host=member.applicant.client_host,
                member_metadata=dict(member.applicant.protocols).get(group.protocol, b"") if stable else b"",
                member_assignment=member.assignment if stable else b"",
            )
            for member in group.members.values()
        )
        if group is not None
        else (),
    )
