"""What a stage with state knows of its input: what was applied, in this version's words and in those before."""

import pytest

from opsbridge.stream.stages import STEPS, UNTIMED, _offsets
from opsbridge.stream.topics import ENTITIES


@pytest.mark.parametrize(
    ("value", "applied"),
    [
        (b"17", {"situations": 17}),  # saved when a stage heard one topic only
        (b"-1", {"situations": -1}),
        (b'{"situations":17,"feedback":3}', {"situations": 17, "feedback": 3}),
    ],
)
def test_the_applied_offsets_are_those_of_each_entity(value: bytes, applied: dict[str, int]) -> None:
    assert _offsets(value, "situations") == applied


def test_what_one_lane_hears_is_worked_on_together_and_its_state_with_it() -> None:
    for name, entities, _ in STEPS:
        assert len({ENTITIES[entity].together for entity in (*entities, f"{name}-state")}) == 1
        assert ENTITIES[f"{name}-state"].state
    heard = [entity for _, entities, _ in STEPS for entity in entities]
    assert len(heard) == len(set(heard))
    assert set(heard) > UNTIMED
