"""People and executors of the live tests: they read what OpsBridge asks for and publish feedback, as bridges would."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import msgspec
import orjson
from installation import PATIENCE, Installation

from opsbridge.core.decisions import Rejected
from opsbridge.core.feedback import situation_of
from opsbridge.core.records import Incident, Notification, Problem, Response
from opsbridge.sources.operations import decode_feedback

_number = count()


def said(kind: str, by: str = "ann", **fields: object) -> tuple[bytes | None, bytes]:
    """A record of feedback with the key that belongs to it."""
    name = str(fields.pop("id", f"{kind}-{next(_number)}"))
    value = orjson.dumps({"kind": kind, "id": name, "time": datetime.now(UTC), "by": by, **fields})
    feedback = decode_feedback(value)
    assert not isinstance(feedback, Rejected), feedback
    return situation_of(feedback).encode() or None, value


class Executor:
    """Does what `responses` asks for, once for each idempotency key, and says what came of it."""

    def __init__(self, live: Installation, outcome: str = "succeeded") -> None:
        self._live = live
        self._outcome = outcome
        self.responses: dict[str, Response] = {}
        """The newest snapshots."""
        self.asked: dict[tuple[str, str, int], set[str]] = {}
        """By response, action and attempt: the idempotency keys under which it was asked for."""
        self._done: set[str] = set()

    async def look(self) -> None:
        """Read all that is asked for."""
        self.responses.clear()
        for record in await self._live.read("responses"):
            told = msgspec.json.decode(record.value or b"", type=Response)
            known = self.responses.get(told.id)
            if known is None or told.version >= known.version:
                self.responses[told.id] = told
            if told.idempotency_key:
                keys = self.asked.setdefault((told.id, told.action, told.attempt), set())
                keys.add(told.idempotency_key)

    async def work(self) -> None:
        """Do what is asked for and not done yet."""
        await self.look()
        for told in self.responses.values():
            if (key := told.idempotency_key) and key not in self._done:
                self._done.add(key)
                about = {"response": told.id, "situation": told.situation, "idempotency_key": key}
                await self._live.publish(
                    [
                        said("started", "executor", **about),
                        said("result", "executor", outcome=self._outcome, output="done", **about),
                    ],
                    "feedback",
                )

    async def until(self, condition: Callable[[Response], bool], *, working: bool = True) -> Response:
        """Go on until the condition holds for a response; `working`: and do what is asked for meanwhile."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await (self.work() if working else self.look())
                if found := next(filter(condition, self.responses.values()), None):
                    return found
                await self._live.follow()


async def incident_when(live: Installation, condition: Callable[[Incident], bool]) -> Incident:
    """The newest version of the first incident for which the condition holds."""

    def found() -> Incident | None:
        return next(filter(condition, live.fold.incidents.values()), None)

    try:
        await live.until(lambda: found() is not None, live.workers[-1])
    except TimeoutError:
        raise AssertionError([*live.fold.incidents.values()]) from None
    incident = found()
    assert incident is not None
    return incident


async def notifications(live: Installation) -> list[Notification]:
    """Everything anybody was told, once."""
    told = [msgspec.json.decode(record.value or b"", type=Notification) for record in await live.read("notifications")]
    return list({each.id: each for each in told}.values())


async def problems(live: Installation) -> list[Problem]:
    """The newest snapshots of problems."""
    told = [msgspec.json.decode(record.value or b"", type=Problem) for record in await live.read("problems")]
    return list({each.id: each for each in sorted(told, key=lambda each: each.version)}.values())
