"""From situation to outcome, live: auto-responses in a closed loop, what people say, problems, changes; and kill -9."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import orjson
import pytest
from answering import Executor, incident_when, notifications, problems, said
from installation import PATIENCE, Installation
from logins import event
from storm import Sent

from kafka_server import Kafka
from opsbridge.core.records import Incident
from opsbridge.stream.outbox import home_of

ERRORS = "__opsbridge.errors."

TOPOLOGY = orjson.dumps(
    {
        "cis": [{"id": name, "group": "ops"} for name in ("net", "web", "shop", "mail", "alone-1", "alone-2")],
        "depends_on": [["web", "net"], ["shop", "net"], ["mail", "net"]],
    }
)

NO_RULES = "version: 1\nrules:\n- {id: x, kind: filter, match: {class: Never}, action: drop}\n"

RESTART = """\
version: 1
rules:
- id: restart-it
  kind: respond
  match: {{root.class: ProcessDown}}
  response: auto_response
  action: restart
  parameters: {{unit: "{{root.ci}}"}}
  verify: {{by: cleared, within: {within}}}
"""


class Install(Protocol):
    """An installation with these rules."""

    def __call__(self, rules: str, name: str = "i") -> Installation: ...


@pytest.fixture
def install(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> Install:
    def install(rules: str, name: str = "i") -> Installation:
        for folder in ("topology", "rules"):
            (tmp_path / name / folder).mkdir(parents=True)
        (tmp_path / name / "rules" / "rules.yaml").write_text(rules)
        return Installation(
            kafka.bootstrap_servers,
            unique(name),
            tmp_path / name / "topology",
            TOPOLOGY,
            rules=tmp_path / name / "rules",
        )

    return install


def begun(ci: str, class_: str = "ProcessDown", ago: float = 30.0) -> tuple[Sent, ...]:
    """A failure so long ago, and a second word of it that lets it be told at once: it was watched for long enough."""
    start = time.time() - ago
    return event(f"{ci}-1", start, ci, class_, "major"), event(f"{ci}-2", start + 15, ci, class_, "critical")


def over(ci: str, class_: str = "ProcessDown", ago: float = 14.0) -> Sent:
    return event(f"{ci}-3", time.time() - ago, ci, class_, None)


def history(incident: Incident) -> list[tuple[str, str, bool]]:
    """Who did what, and whether it counted."""
    return [(entry.by, entry.what, not entry.refused) for entry in incident.history]


async def test_an_auto_response_that_helps_closes_the_loop(install: Install) -> None:
    async with install(RESTART.format(within="5m")) as live:
        worker, executor = await live.worker(), Executor(live)
        await live.publish(begun("web"))
        verifying = await executor.until(lambda told: told.status == "verifying")
        assert (verifying.action, verifying.parameters, verifying.attempt) == ("restart", {"unit": "web"}, 1)
        await live.publish([over("web")])
        effective = await executor.until(lambda told: told.status == "effective")
        incident = await incident_when(live, lambda found: found.status == "resolved")
        assert await worker.stop() == 0, worker.errors
    assert [(tried.purpose, tried.outcome, tried.late) for tried in effective.tried] == [("action", "succeeded", False)]
    assert [(attempt.response, attempt.status) for attempt in incident.attempts] == [(effective.id, "effective")]
    assert [len(keys) for keys in executor.asked.values()] == [1]


async def test_an_auto_response_that_does_not_help_is_left_to_people(install: Install) -> None:
    async with install(RESTART.format(within="1s")) as live:
        worker, executor = await live.worker(), Executor(live)
        await live.publish(begun("web"))
        escalated = await executor.until(lambda told: told.status == "escalated")
        incident = await incident_when(live, lambda found: any(a.status == "escalated" for a in found.attempts))
        await until(lambda: told_of(live, "not_effective"))
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors
    assert incident.status == "open"
    assert escalated.outcome
    assert metrics["opsbridge_response_updates_total,action=restart,status=escalated"] == 1
    assert metrics["opsbridge_feedback_total,kind=result,result=applied"] == 1


async def told_of(live: Installation, reason: str) -> bool:
    return any(notification.reason == reason for notification in await notifications(live))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            pass


async def test_kill_9_between_request_and_result_and_between_resolve_and_close(install: Install) -> None:
    async def run(name: str, *, kill: bool) -> list[object]:
        async with install(RESTART.format(within="5m"), name) as live:
            executor = Executor(live)
            began = time.time() - 900

            async def next_worker() -> None:
                if kill:
                    await live.workers[-1].kill()
                    await live.worker()

            await live.worker()
            await live.publish(
                [
                    event("e1", began, "web", "ProcessDown", "major"),
                    event("e2", began + 15, "web", "ProcessDown", "critical"),
                ]
            )
            await executor.until(lambda told: told.status == "requested", working=False)
            await next_worker()
            await executor.until(lambda told: told.status == "verifying")
            await live.publish([event("e3", began + 20, "web", "ProcessDown", None)])
            await incident_when(live, lambda found: found.status == "resolved")
            await next_worker()
            await live.publish([event("later", began + 400, "shop", "Slow", "major")])
            closed = await incident_when(live, lambda found: found.root.ci == "web" and found.status == "closed")
            await executor.look()
            assert [len(keys) for keys in executor.asked.values()] == [1], executor.asked
            (response,) = executor.responses.values()
            assert await live.workers[-1].stop() == 0, live.workers[-1].errors
            logged = [entry.what for entry in closed.history]
            return [
                (closed.status, closed.priority, closed.alerts, closed.firing, closed.merged_into),
                # Each entry follows from one before it, but the higher priority from the second event alone: that is
                # heard before the executor's answers or after them.
                [what for what in logged if what != "priority"],
                [what for what in logged if what in ("opened", "priority", "resolved", "closed")],
                [(attempt.action, attempt.attempt, attempt.status) for attempt in closed.attempts],
                (response.status, response.attempt, response.outcome),
                [(tried.purpose, tried.attempt, tried.outcome, tried.late) for tried in response.tried],
            ]

    undisturbed, killed = await run("calm", kill=False), await run("killed", kill=True)
    assert killed == undisturbed


async def test_a_result_that_came_while_nobody_knew_of_its_request_is_not_lost(install: Install) -> None:
    """What was told and not saved is decided again before anybody is heard who refers to it."""
    async with install(RESTART.format(within="5m")) as live:
        worker, executor = await live.worker(), Executor(live)
        await live.publish(begun("web"))
        await executor.until(lambda told: told.status == "requested", working=False)
        assert await worker.stop() == 0, worker.errors
        await executor.work()
        await live.forget("response-state", "situations", "answers", "feedback")
        worker = await live.worker()
        verifying = await executor.until(lambda told: told.status == "verifying", working=False)
        await live.all_done()
        assert await worker.stop() == 0, worker.errors
    assert [(tried.outcome, tried.late) for tried in verifying.tried] == [("succeeded", False)]
    assert [len(keys) for keys in executor.asked.values()] == [1]
    assert live.dead == []


async def test_what_people_say_is_applied_audited_or_refused_and_never_stops_a_lane(install: Install) -> None:
    async with install(NO_RULES) as live:
        worker = await live.worker()
        await live.publish(begun("web"))
        incident = (await incident_when(live, lambda found: found.status == "open")).id
        _, acknowledged = said("acknowledge", incident=incident, id="once")
        home = home_of(b"S" + incident.removeprefix("INC").encode(), 4)
        theirs = [("until", b"tomorrow"), ("correction", b"\xff")]  # headers of a publisher that are none of ours
        await live.write("feedback", (home + 1) % 4, b"whatever", acknowledged, theirs)  # keyed otherwise, too
        await incident_when(live, lambda found: found.status == "acknowledged")
        bad: Sequence[tuple[bytes | None, bytes]] = [
            (b"bad", b"{"),
            (b"kind", orjson.dumps({"kind": "applaud", "id": "x"})),
            (b"large", b" " * 300_000),
            said("acknowledge", incident="INC-0123456789abcdef"),
        ]
        await live.publish(bad, "feedback")
        await live.publish(
            [
                said("acknowledge", incident=incident, id="once"),
                said("assign", incident=incident, to="bob", group="web-team"),
                said("close", "bob", incident=incident, note="a false alarm"),
                said("start", incident=incident),
            ],
            "feedback",
        )
        closed = await incident_when(live, lambda found: ("ann", "start", False) in history(found))
        await live.until(lambda: len(live.dead) == len(bad), worker)
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors
    assert (closed.status, closed.assignee, closed.group) == ("closed", "bob", "web-team")
    by_people = [entry for entry in history(closed) if entry[0] != "opsbridge"]
    assert by_people == [
        ("ann", "acknowledge", True),
        ("ann", "assign", True),
        ("bob", "close", True),
        ("ann", "start", False),
    ]
    assert "a false alarm" in next(entry.detail for entry in closed.history if entry.what == "close")
    reasons = {dict(record.headers)[ERRORS + "reason"].decode() for record in live.dead}
    assert reasons == {"invalid_json", "invalid_field", "too_large", "unknown_target"}
    assert {dict(record.headers)[ERRORS + "stage"] for record in live.dead} == {b"feedback"}
    results = {
        key.removeprefix("opsbridge_feedback_total,"): n
        for key, n in metrics.items()
        if key.startswith("opsbridge_feedback_total") and n
    }
    assert results == {
        "kind=acknowledge,result=applied": 1,
        "kind=acknowledge,result=repeated": 1,
        "kind=acknowledge,result=dead_letter": 1,
        "kind=assign,result=applied": 1,
        "kind=close,result=applied": 1,
        "kind=start,result=refused": 1,
        "kind=,result=dead_letter": 3,
    }


async def test_time_goes_on_while_people_talk(install: Install) -> None:
    """Feedback does not say how late it is: a quiet partition's clock is not turned back by it."""
    start = time.time() - 60
    async with install(NO_RULES) as live:
        worker = await live.worker()
        await live.publish(
            [event("1", start, "web", "Down", "critical"), event("2", start + 15, "web", "Down", "major")]
        )
        incident = (await incident_when(live, lambda found: found.status == "open")).id
        until = datetime.fromtimestamp(start + 19, UTC)  # event time is somewhere after the second event, and goes on
        await live.publish([said("snooze", incident=incident, until=until)], "feedback")
        await incident_when(live, lambda found: found.snoozed_until is not None)
        talks = 0
        async with asyncio.timeout(20):
            while not any(what == "woke" for _, what, _ in history(live.fold.incidents[incident])):
                await live.publish([said("comment", incident=incident, note=str(talks))], "feedback")
                await incident_when(live, lambda found: any(e.detail == str(talks) for e in found.history))  # noqa: B023
                talks += 1
        assert await worker.stop() == 0, worker.errors
    assert talks > 3


async def test_a_split_makes_two_incidents_of_one(install: Install) -> None:
    start = time.time() - 30
    async with install(NO_RULES) as live:
        worker = await live.worker()
        await live.publish(
            [
                event("net", start, "net", "LinkDown", "critical"),
                event("web", start + 1, "web", "HostUnreachable", "critical"),
                event("shop", start + 2, "shop", "HostUnreachable", "critical"),
                event("mail", start + 2, "mail", "HostUnreachable", "critical"),
                event("net-2", start + 15, "net", "LinkDown", "major"),
            ]
        )
        one = await incident_when(live, lambda found: found.alerts == 4)
        (members,) = [final.members for final in live.fold.final()]
        (mail,) = [fingerprint for fingerprint, opener in members if opener == "mail"]
        await live.publish([said("split", incident=one.id, alerts=[mail])], "feedback")
        other = await incident_when(live, lambda found: found.root.ci == "mail")
        await live.until(
            lambda: len(live.fold.final()) == 2 and {f.alerts for f in live.fold.final()} == {1, 3}, worker
        )
        assert await worker.stop() == 0, worker.errors
    assert other.id != one.id
    finals = {final.root: {opener for _, opener in final.members} for final in live.fold.final()}
    assert finals == {"net": {"net", "web", "shop"}, "mail": {"mail"}}


RECURRING = """\
version: 1
rules:
- id: leaks
  kind: respond
  match: {root.class: Leak}
  response: problem
  same: [root.class]
  times: 2
  within: 1h
  title: it leaks again
"""


async def test_roots_that_recur_open_a_problem_that_people_close(install: Install) -> None:
    async with install(RECURRING) as live:
        worker = await live.worker()
        await live.publish([*begun("alone-1", "Leak"), *begun("alone-2", "Leak")])

        async def opened() -> bool:
            return bool(await problems(live))

        await until(opened)
        (problem,) = await problems(live)
        incidents = {found.id for found in live.fold.incidents.values()}
        for name in problem.incidents:
            await incident_when(live, lambda found, name=name: found.id == name and bool(found.problem))  # type: ignore[misc]
        await live.publish([said("close_record", record=problem.id)], "feedback")

        async def closed() -> bool:
            return [found.status for found in await problems(live)] == ["closed"]

        await until(closed)
        assert await worker.stop() == 0, worker.errors
    assert (problem.status, problem.count, problem.same, problem.title) == ("open", 2, ("Leak",), "it leaks again")
    assert incidents <= live.fold.incidents.keys()
    assert set(problem.incidents) == live.fold.incidents.keys()
    assert {found.problem for found in live.fold.incidents.values()} == {problem.id}


async def test_a_stop_is_obeyed_everywhere_until_somebody_resumes(install: Install) -> None:
    async with install(RESTART.format(within="5m")) as live:
        worker, executor = await live.worker(), Executor(live)
        await live.publish([said("stop_automation")], "feedback")
        await live.written_above("coordination-state", 0)
        await live.publish(begun("alone-1"))
        refused = await executor.until(lambda told: told.status == "refused")
        assert executor.asked == {}
        assert (await worker.metrics())["opsbridge_automation_stopped"] == 1
        await live.publish([said("resume_automation")], "feedback")
        await live.all_done()
        await live.publish(begun("alone-2"))
        granted = await executor.until(lambda told: told.status == "verifying")
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors
    assert (refused.ci, granted.ci) == ("alone-1", "alone-2")
    assert metrics["opsbridge_permits_denied_total,reason=stopped"] == 1
    assert metrics["opsbridge_automation_stopped"] == 0


async def test_a_change_in_the_context_is_on_the_incident(install: Install) -> None:
    def change(name: str, ci: str) -> tuple[bytes, bytes]:
        begins = datetime.fromtimestamp(time.time() - 600, UTC)
        record = {"kind": "change", "id": name, "cis": [ci], "title": f"{name} of {ci}", "begins": begins}
        return b"change:" + name.encode(), orjson.dumps(record)

    async with install(NO_RULES) as live:
        await live.publish([change("early", "alone-1"), (b"change:bad", b"{}")], "context")
        worker = await live.worker()
        await worker.joined()
        await live.publish([change("late", "alone-2"), (b"change:worse", b"{")], "context")
        await live.until(lambda: len(live.dead) == 1, worker)  # it follows
        await live.publish([*begun("alone-1", "Down"), *begun("alone-2", "Down")])
        early = await incident_when(live, lambda found: found.root.ci == "alone-1")
        late = await incident_when(live, lambda found: found.root.ci == "alone-2")
        assert await worker.stop() == 0, worker.errors
    assert [(each.id, each.ci, each.title) for each in early.changes] == [("early", "alone-1", "early of alone-1")]
    assert [each.id for each in late.changes] == ["late"]
    headers = dict(live.dead[0].headers)
    assert (headers[ERRORS + "stage"], headers[ERRORS + "reason"]) == (b"context", b"invalid_json")
    assert "context" in "\n".join(line for line in worker.log if "change:bad" in line or "not a record" in line)
