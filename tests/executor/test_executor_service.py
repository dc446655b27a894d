"""The executor on a broker: each request once, whatever dies, and an answer to each."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from errands import PATIENCE, Site, in_seconds, response, site

from kafka_server import Kafka
from opsbridge.core.feedback import Acknowledge, Result, Started
from opsbridge.core.records import Response
from opsbridge.executor.orders import Progress
from opsbridge.settings import ENV_PREFIX
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError

EMBEDDED = pytest.mark.parametrize("kafka", ["embedded"], indirect=True)
"""For tests of what no broker has a part in: they do not run on Apache Kafka as well."""


@pytest.fixture
async def here(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> Site:
    return await site(kafka.bootstrap_servers, unique("x") + ".", tmp_path, sys.executable)


def kinds(said: list[Started | Result]) -> list[str]:
    return ["started" if isinstance(each, Started) else each.outcome for each in said]


async def test_a_request_is_started_then_done_then_answered(here: Site) -> None:
    async with here.executor():
        await here.publish(response(text="hello"))
        await here.results()
    started, result = await here.said()
    assert here.notes == ["note hello"]
    assert isinstance(started, Started)
    assert isinstance(result, Result)
    assert (result.outcome, result.code, result.output) == ("succeeded", 0, "")
    for each in (started, result):
        assert each.idempotency_key == "RSP-0000000000000001:action:1"
        assert (each.response, each.situation, each.by) == ("RSP-0000000000000001", "S-0000000000000001", "one")
    assert started.id != result.id
    assert started.time <= result.time <= datetime.now(UTC)


@EMBEDDED
async def test_a_failure_is_answered_with_code_and_output(here: Site) -> None:
    async with here.executor():
        await here.publish(response(action="fail"))
        (result,) = await here.results()
    assert (result.outcome, result.code, result.output) == ("failed", 3, "no\n")


async def test_probes_and_rollbacks_are_done_too_and_nothing_else(here: Site) -> None:
    name = "RSP-0000000000000001"
    async with here.executor():
        await here.publish(response(text="one"), response(2, status="effective", text="two"))
        await here.results(1)
        await here.publish(response(version=2, status="verifying", key=f"{name}:probe:1", text="three"))
        await here.results(2)
        await here.publish(response(version=3, status="rolling_back", key=f"{name}:rollback:1", text="four"))
        await here.publish(response(3, status="verifying", key="", text="five"))
        await here.results(3)
    assert here.notes == ["note one", "note three", "note four"]


async def test_the_same_request_told_again_is_done_once(here: Site) -> None:
    async with here.executor():
        await here.publish(response(action="brief"))
        await here.until_noted()
        await here.publish(response(version=2, action="brief"), response(version=2, action="brief"))
        await here.results()
        await here.publish(response(version=3, action="brief"))
        await here.publish(response(2))
        await here.results(2)
    assert sorted(here.notes) == ["brief", "note "]
    async with here.executor():
        await here.publish(response(version=4, action="brief"), response(3))
        await here.results(3)
    assert sorted(here.notes) == ["brief", "note ", "note "]
    assert sorted(kinds(await here.said())) == ["started"] * 3 + ["succeeded"] * 3


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (response(action="reboot"), "there is no action reboot here"),
        (response(text="$(reboot)"), "parameter text is '$(reboot)', which does not match [a-z0-9 ]*"),
        (response(user="root"), "action note has no parameter 'user'"),
        (response(deadline=in_seconds(-3600)), "too late: its deadline was "),
        (response(deadline=in_seconds(8 * 86_400)), "its deadline is 8.0 days away: more than 7 is not accepted"),
    ],
)
@EMBEDDED
async def test_what_may_not_be_done_is_refused_with_the_reason_and_not_started(
    here: Site, asked: Response, why: str
) -> None:
    async with here.executor():
        await here.publish(asked)
        (result,) = await here.results()
    assert result.outcome == "refused"
    assert result.output.startswith(why)
    assert kinds(await here.said()) == ["refused"]
    assert here.notes == []


@EMBEDDED
async def test_what_others_do_can_be_left_to_them(here: Site) -> None:
    async with here.executor(leave_unknown=True):
        await here.publish(response(action="reboot"), response(2))
        await here.results()
    assert kinds(await here.said()) == ["started", "succeeded"]


@EMBEDDED
async def test_what_runs_too_long_is_ended(here: Site) -> None:
    async with here.executor():
        await here.publish(response(action="sleep"))
        (result,) = await here.results()
    assert (result.outcome, result.code) == ("failed", None)
    assert result.output == "killed: it ran longer than 2.0 s"


@EMBEDDED
async def test_nothing_runs_beyond_its_deadline(here: Site) -> None:
    async with here.executor():
        await here.publish(response(action="sleep-long", deadline=in_seconds(3)))
        (result,) = await here.results()
    assert result.output.startswith("killed: it ran longer than ")


async def test_what_is_taken_back_before_it_begins_is_not_done(here: Site) -> None:
    await here.publish(response(text="one"), response(version=2, status="cancelled", key="", text="one"))
    await here.publish(response(2, text="two"))
    async with here.executor(concurrent=1):
        await here.results()
        await here.publish(response(3, action="brief"), response(4, text="four"))
        await here.until_noted(2)
        await here.publish(response(4, version=2, status="cancelled", key="", text="four"), response(5, text="five"))
        await here.results(3)
    assert here.notes == ["note two", "brief", "note five"]


@EMBEDDED
async def test_no_more_run_at_once_than_may(here: Site) -> None:
    async with here.executor(concurrent=2):
        await here.publish(*(response(number, action="brief") for number in range(1, 5)))
        await here.until_noted(2)
        assert len(here.notes) == 2
        await here.results(4)
    said = await here.said()
    running = most = 0
    for each in sorted(said, key=lambda each: each.time):
        running += 1 if isinstance(each, Started) else -1
        most = max(most, running)
    assert most == 2


@EMBEDDED
async def test_what_is_no_response_does_no_harm(here: Site) -> None:
    async with here.executor():
        await here.publish(b"{", b'{"id": 1}', response(deadline="soon"), response(2))
        await here.results()
    assert kinds(await here.said()) == ["started", "succeeded"]


@EMBEDDED
async def test_other_feedback_does_no_harm(here: Site) -> None:
    said = Acknowledge(id="1", time=datetime.now(UTC), by="ann", incident="INC-0000000000000001")
    await here.say(said)
    service = here.service()
    running = asyncio.create_task(service.run(asyncio.Event()))
    await here.publish(response())
    await here.until_noted()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# what dies


@asynccontextmanager
async def process(here: Site, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`opsbridge executor` as operators run it."""
    settings = here.settings
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    words = ["--actions", str(here.actions), "--name", "one", "--group", f"{settings.topics.prefix}g", *more]
    words += ["-b", settings.kafka.bootstrap_servers, "--set", f"topics.prefix={settings.topics.prefix}"]
    words += ["--set", "kafka.session_timeout=6", "--set", "kafka.heartbeat_interval=0.5"]
    with (here.directory / "executor.log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "opsbridge.cli", "executor", *words),
            stdout=log,
            stderr=log,
            cwd=here.directory,
            env=clean,
        )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_killed_while_it_ran_is_answered_unknown_and_not_run_again(here: Site) -> None:
    await here.publish(response(action="sleep-long"))
    async with process(here) as first:
        (pid,) = await here.until_noted()
        first.send_signal(signal.SIGKILL)
        await first.wait()
    os.kill(int(pid), signal.SIGKILL)
    assert kinds(await here.said()) == ["started"]
    await here.publish(response(version=2, status="running", action="sleep-long"))  # OpsBridge has heard that it began
    async with process(here):
        (result,) = await here.results()
        assert (result.outcome, result.output) == ("unknown", "the executor ended while it ran")
        await here.publish(response(version=3, action="sleep-long"), response(2, text="next"))
        await here.results(2)
    assert here.notes == [pid, "note next"]
    assert sorted(kinds(await here.said())) == ["started", "started", "succeeded", "unknown"]


async def test_killed_after_the_answer_it_does_not_run_again(here: Site) -> None:
    await here.publish(response(text="once"), response(3, action="reboot"))
    service = here.service()

    async def never() -> None:
        """What was done is not committed."""

    service._requests.commit = never  # type: ignore[method-assign] # a death between answer and commit
    running = asyncio.create_task(service.run(asyncio.Event()))
    await here.results(2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with here.executor():
        await here.publish(response(2, text="next"))
        await here.results(3)
    assert here.notes == ["note once", "note next"]
    assert sorted(kinds(await here.said())) == ["refused", "started", "started", "succeeded", "succeeded"]


async def test_told_to_stop_it_lets_what_runs_end(here: Site) -> None:
    async with process(here) as running:
        await here.publish(response(action="brief"))
        await here.until_noted()
        running.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await running.wait() == 0
    assert kinds(await here.said()) == ["started", "succeeded"]


async def test_told_to_stop_it_answers_unknown_for_what_does_not_end(here: Site) -> None:
    async with process(here, "--grace", "0.3") as running:
        await here.publish(response(action="sleep-long"))
        (pid,) = await here.until_noted()
        running.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await running.wait() == 0
    (result,) = await here.results()
    assert (result.outcome, result.output) == ("unknown", "the executor was stopped while it ran")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_what_waited_when_it_stopped_is_done_by_the_next(here: Site) -> None:
    async with here.executor(concurrent=1, grace=0.2) as stop:
        await here.publish(response(action="sleep-long"))
        await here.until_noted()
        await here.publish(response(2, text="later"))
        stop.set()
    assert kinds(await here.said()) == ["started", "unknown"]
    async with here.executor():
        await here.results(2)
    assert here.notes[1:] == ["note later"]


# several


async def test_executors_of_one_group_share_and_do_each_once(here: Site) -> None:
    await here.publish(*(response(number, text=str(number)) for number in range(1, 21)))
    async with here.executor(name="one"), here.executor(name="two"):
        await here.publish(*(response(number, text=str(number)) for number in range(21, 41)))
        results = await here.results(40)
    assert sorted(here.notes) == sorted(f"note {number}" for number in range(1, 41))
    assert len({each.idempotency_key for each in results}) == 40


async def test_who_is_second_to_begin_does_not(here: Site) -> None:
    """Two groups see every request, as one that slept through a rebalance would: the topic decides."""
    one, two = (here.executor(name=name, group=here.settings.topics.prefix + name) for name in ("one", "two"))
    async with one, two:
        await here.publish(*(response(number, text=str(number)) for number in range(1, 21)))
        results = await here.results(20)
    assert sorted(here.notes) == sorted(f"note {number}" for number in range(1, 21))
    assert len({each.idempotency_key for each in results}) == 20
    assert len(results) == 20


@pytest.mark.parametrize("name", ["other", "one"])
async def test_another_that_began_has_its_time_before_it_is_unknown(here: Site, name: str) -> None:
    """Also one of the same name, if it cannot be ourselves before we died."""
    asked = response(action="sleep", deadline=in_seconds(4))
    async with here.executor():
        began = Started(
            id="other",
            time=datetime.now(UTC),
            by=name,
            response=asked.id,
            situation=asked.situation,
            idempotency_key=asked.idempotency_key,
        )
        await here.say(began)
        await here.publish(asked)
        await here.publish(response(2))
        assert (await here.results())[0].response == response(2).id  # meanwhile it works
        results = {each.response: each for each in await here.results(2)}
    unknown = results[asked.id]
    assert (unknown.outcome, unknown.output) == ("unknown", "the executor ended while it ran")
    assert (unknown.time - began.time).total_seconds() > 6  # two seconds it may run, and some slack
    assert here.notes == ["note "]


# what it cannot do without


async def test_without_topics_it_does_not_start(here: Site) -> None:
    here.settings = here.settings.model_copy(
        update={"topics": here.settings.topics.model_copy(update={"prefix": "nowhere."})}
    )
    with pytest.raises(TopicsError, match=r"no such topic: nowhere\.responses\.v1, nowhere\.feedback\.v1"):
        await here.service().run(asyncio.Event())


@EMBEDDED
async def test_without_a_broker_it_does_not_start(here: Site, unused_tcp_port: int) -> None:
    nowhere = here.settings.kafka.model_copy(
        update={"bootstrap_servers": f"127.0.0.1:{unused_tcp_port}", "request_timeout": 7.0}
    )
    here.settings = here.settings.model_copy(update={"kafka": nowhere})
    with pytest.raises(BrokerUnreachableError, match="no broker at 127"):
        await here.service().run(asyncio.Event())


def test_progress_is_committed_up_to_the_first_that_is_not_done() -> None:
    progress = Progress()
    assert progress.to_commit() is None
    for offset in (5, 6, 7):
        progress.begun(offset)
    progress.read(8)
    assert progress.to_commit() == 5
    progress.done(6)
    progress.done(5)
    assert progress.to_commit() == 7
    progress.committed(7)
    assert progress.to_commit() is None
    progress.done(7)
    assert progress.to_commit() == 8
