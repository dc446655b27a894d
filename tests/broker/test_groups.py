"""What a group decides by itself, with time as an argument; the rest is the contract suite's, on both brokers."""

import pytest

from opsbridge.devbroker.groups import Applicant, Group
from opsbridge.devbroker.settings import RefusedError


def applicant(client: str, protocol_type: str = "consumer") -> Applicant:
    return Applicant("", None, client, "/127.0.0.1", 10.0, 60.0, protocol_type, (("range", b""),), confirms_id=False)


async def test_members_that_come_together_to_a_new_group_are_one_generation() -> None:
    group = Group("g", collect_for=3.0)
    first = group.join(applicant("a"), 0.0)
    second = group.join(applicant("b"), 0.1)
    group.expire(3.0)
    assert (await first).generation == (await second).generation == 1
    assert len((await first).members) == 2


async def test_a_member_of_another_kind_is_refused_before_the_first_generation_too() -> None:
    group = Group("g", collect_for=3.0)
    group.join(applicant("a"), 0.0)
    with pytest.raises(RefusedError):
        group.join(applicant("b", "connect"), 0.1)
