"""Lanes of a stage stay together in event time; stretches cut where time goes on."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from opsbridge.stream.convoy import STEP_MS, Convoy, stretches


@given(st.lists(st.integers(0, 20 * STEP_MS)))
def test_stretches_keep_everything_in_order_and_are_cut_where_time_goes_on(times: list[int]) -> None:
    cut = list(stretches(times, lambda time: time))
    assert [time for _, part in cut for time in part] == times
    reached = 0
    for until, part in cut:
        assert part
        begun = max(reached, part[0])
        assert until == max(reached, *part)
        assert until <= begun + STEP_MS
        reached = until
    assert len({until // STEP_MS for until, _ in cut}) >= len(cut) / 2


async def test_a_lane_that_is_ahead_waits_for_one_that_is_behind_and_has_work() -> None:
    convoy, log = Convoy(), []

    async def lane(number: int, times: list[int], turns: int) -> None:
        for time in times:
            await convoy.reach(number, time)
            log.append(time)
            for _ in range(turns):  # where a stage sends what it made of the stretch
                await asyncio.sleep(0)
        convoy.leave(number)

    step = 4 * STEP_MS
    ahead, behind = [step * n for n in range(10)], [step * n + 1 for n in range(10)]
    async with asyncio.timeout(5), asyncio.TaskGroup() as lanes:
        lanes.create_task(lane(1, ahead, 1))
        lanes.create_task(lane(2, behind, 5))
    assert sorted(log) == sorted(ahead + behind)
    assert [time // step for time in log] == sorted(time // step for time in log)


async def test_a_lane_without_work_holds_nobody_back() -> None:
    convoy = Convoy()
    async with asyncio.timeout(5):
        await convoy.reach(1, 0)
        convoy.leave(1)
        await convoy.reach(2, 100 * STEP_MS)
        convoy.leave(3)


async def test_a_lane_that_gives_up_its_work_lets_the_others_go_on() -> None:
    convoy = Convoy()
    await convoy.reach(1, 0)
    waiting = asyncio.create_task(convoy.reach(2, 100 * STEP_MS))
    await asyncio.sleep(0)
    assert not waiting.done()
    convoy.leave(1)
    async with asyncio.timeout(5):
        await waiting
