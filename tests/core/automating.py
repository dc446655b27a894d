"""Auto-responses in virtual time: what happens reads as a timetable, what is told as a table that fails as a diff.

A timetable has lines `TIME WHAT`: a status of the situation (`open`, `resolved`, `closed`, `merged`, `reopened`),
`approve` or `reject`, `started` or an outcome of what was requested, with the key's end unless it is the newest
(`failed action:1`), `stop` and `resume` of all automation, `holds no` and `holds yes` for what the rule requires, or
`-`. Coordination is the real one; `coordination out` lets its answers be lost until `coordination back`, and
`coordination slow` lets them wait until `answer`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, cast, get_args

from timetable import START, milliseconds, seconds

from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Answer, Asked, Denied, Done, Granted, Halted, News
from opsbridge.core.coordination.stage import Coordination
from opsbridge.core.decisions import Impact, Root, Situation, Status
from opsbridge.core.feedback import Approve, Reject, Result, Started
from opsbridge.core.graph import CI
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.records import Notification, Response
from opsbridge.core.response.automation import Automation, Told
from opsbridge.core.response.loop_state import FINAL
from opsbridge.core.rulebook import ActionCall, AutoResponse, Selection
from opsbridge.core.state import Change

RESTART: Final = ActionCall("restart", {"host": "{root.ci}"}, deadline_ms=60_000)
"""What the rules of these tests do; its result has to come within a minute."""

PROBE: Final = ActionCall("ping", {"host": "{root.ci}"}, deadline_ms=10_000)
UNDO: Final = ActionCall("start", {"host": "{root.ci}"}, deadline_ms=60_000)

Outcome = Literal["succeeded", "failed", "refused", "unknown"]
OUTCOMES: Final = get_args(Outcome)
STATUSES: Final = get_args(Status)


def rule(name: str = "fix", **options: object) -> AutoResponse:
    """A rule that restarts the root; the proof has to come within 5 minutes, and 30 s later it is tried again."""
    return AutoResponse(rule=name, **({"call": RESTART} | options))  # type: ignore[arg-type]


def situation_id(number: int) -> str:
    return f"S-{number:016x}"


def save(saved: dict[bytes, bytes], changes: Iterable[Change]) -> None:
    for key, value in changes:
        if value is None:
            saved.pop(key, None)
        else:
            saved[key] = value


Heard = Case | Approve | Reject | Started | Result | Granted | Denied
"""What automation can hear."""


class Desk:
    """The auto-responses of one lane, and coordination; with what has been told so far."""

    def __init__(self, *rules: AutoResponse, policy: AutomationPolicy | None = None, restarts: bool = False) -> None:
        """`restarts`: both begin anew from what they have saved, before everything that happens."""
        self.rules = rules
        self.policy = policy or AutomationPolicy()
        self.holds = True
        self.answering: Literal["back", "slow", "out"] = "back"
        self._waiting: list[Granted | Denied] = []
        self._restarts = restarts
        self._saved: dict[bytes, bytes] = {}
        self._saved_of_all: dict[bytes, bytes] = {}
        self.situations: dict[str, Situation] = {}
        self.automation = Automation(self.respond)
        self.coordination = Coordination(self.policy)
        self.now = START
        self.told: list[tuple[int, Told]] = []
        self.reasons: list[str] = []
        self.answers: list[Answer] = []
        self.order: list[Granted | Denied | Done] = []
        """What coordination heard of permits, and answered."""
        self.heard: list[tuple[int, Heard, bool]] = []
        """Everything that automation heard: when, what, and whether what rules require held."""
        self._feedback = 0

    def respond(self, _case: Case) -> Selection:
        """The rules, as the stage asks them."""
        return Selection(further=self.rules)

    def requires(self, _case: Case) -> bool:
        """What rules may require: true until `holds no`."""
        return self.holds

    # what happens

    def play(self, timetable: str) -> "Desk":
        for line in timetable.strip().splitlines():
            time, what, *more = line.split()
            self.happens(milliseconds(time), what, *more)
        return self

    def follows(self, line: str) -> str:
        """Let a line happen; what people and executors are told until then and because of it, joined by `; `."""
        before = len(self.story())
        self.play(line)
        return "; ".join(told.removeprefix(f"{seconds(self.now)} ") for told in self.story()[before:])

    def happens(self, now: int, what: str, *more: str, number: int = 1) -> None:
        self.time(now)
        if self._restarts:
            self.restart()
        name = situation_id(number)
        if what in STATUSES or what == "reopened":
            self.situation(number, what, by_heir=more[0] if more else situation_id(99))
        elif what in ("approve", "reject"):
            said = {"approve": Approve, "reject": Reject}[what]
            for response in self.responses(name):
                self._hear(said(response=response.id, situation=name, **self._who("ann")))  # type: ignore[arg-type]
        elif what == "started" or what in OUTCOMES:
            self.reported(name, what, *more)
        elif what in ("stop", "resume"):
            self._coordinate([Halted(what == "stop", f"f{now}", "ann", now)])
        elif what == "holds":
            self.holds = more[0] == "yes"
        elif what == "coordination":
            self.answering = cast("Literal['back', 'slow', 'out']", more[0])
        elif what == "answer":
            waiting, self._waiting = self._waiting, []
            self._answered(waiting)
        else:
            assert what == "-", what

    def situation(self, number: int, status: str, by_heir: str = "") -> None:
        """News of a situation."""
        name = situation_id(number)
        old = self.situations.get(name)
        reopened = 0 if old is None else old.reopened + (status == "reopened")
        status = "open" if status == "reopened" else status
        merged = by_heir if status == "merged" else None
        version = 1 if old is None else old.version + 1
        self.situations[name] = Situation(
            name, version, cast("Status", status), 3, Root(f"ci{number}", "Down", silent=False, confidence=1.0), (),
            int(status == "open"), 1, Impact(1, 0, ()), START, self.now, None, merged, (), reopened=reopened,
        )  # fmt: skip
        self._hear(self._case(name))

    def reported(self, situation: str, what: str, end: str = "") -> None:
        """What an executor says of the newest request, or of the one whose key ends like that."""
        response = self.responses(situation)[-1]
        key = f"{response.id}:{end}" if end else response.tried[-1].idempotency_key
        self.reports(response.id, situation, what, key)

    def reports(self, response: str, situation: str, what: str, key: str) -> None:
        who = self._who("exec")
        if what == "started":
            self._hear(Started(response=response, situation=situation, idempotency_key=key, **who))  # type: ignore[arg-type]
        else:
            outcome = cast("Outcome", what)
            self._hear(Result(response=response, situation=situation, idempotency_key=key, outcome=outcome, **who))  # type: ignore[arg-type]

    def time(self, now: int) -> None:
        """Let time pass, as the stage does: whatever is due, at its own time."""
        while (due := self.automation.due()) is not None and due <= now:
            self.now = max(self.now, due)
            told, _ = self.automation.expire(due)
            self._take(told)
        self.now = max(self.now, now)
        told, _ = self.automation.expire(self.now)
        assert not told
        self.coordination.expire(self.now)

    def restart(self) -> None:
        """Both begin anew from what they have saved."""
        save(self._saved, self.automation.changes())
        save(self._saved_of_all, self.coordination.changes())
        self.automation = Automation(self.respond)
        self.automation.restore(reversed(self._saved.items()))
        self.coordination = Coordination(self.policy)
        self.coordination.restore(reversed(self._saved_of_all.items()))
        self.automation.now = self.now
        self.coordination.expire(self.now)

    def _who(self, by: str) -> Mapping[str, object]:
        self._feedback += 1
        return {"id": f"f{self._feedback}", "time": datetime.fromtimestamp(self.now / 1000, UTC), "by": by}

    def _case(self, situation: str) -> Case:
        found = self.situations[situation]
        return Case(situation=found, root=CI(found.root.ci, owner="ops"))

    def _hear(self, heard: Heard) -> None:
        self.heard.append((self.now, heard, self.holds))
        self._take(self.hear(heard))

    def hear(self, heard: Heard) -> list[Told]:
        """What automation tells."""
        if isinstance(heard, Case):
            return self.automation.wanted(heard, self.rules)
        if isinstance(heard, Granted | Denied):
            return self.automation.answered(heard, self._case(heard.situation))
        told, reason = self.automation.heard(heard)
        self.reasons.append(reason)
        return told

    def _take(self, told: Iterable[Told]) -> None:
        told = list(told)
        self.told += [(self.now, each) for each in told]
        self._coordinate([each for each in told if isinstance(each, Asked | Done)])

    def _coordinate(self, news: list[News]) -> None:
        if self._restarts:
            self.restart()
        self.order += [each for each in news if isinstance(each, Done)]
        answers = [each for each in self.coordination.advance(news) if isinstance(each, Granted | Denied)]
        self.order += answers
        self.answers += answers
        if self.answering == "back":
            self._answered(answers)
        elif self.answering == "slow":
            self._waiting += answers

    def _answered(self, answers: Iterable[Granted | Denied]) -> None:
        for answer in answers:
            self._hear(answer)

    # what is told

    def responses(self, situation: str = situation_id(1)) -> list[Response]:
        """Every response as it was told last."""
        last = {each.id: each for _, each in self.told if isinstance(each, Response) and each.situation == situation}
        return list(last.values())

    def table(self) -> list[str]:
        """Everything that was told, in order: `TIME status key`, `TIME asks key`, `TIME tells somebody why`."""
        return [f"{seconds(at)} {_line(each)}" for at, each in self.told]

    def story(self) -> list[str]:
        """What people and executors are told."""
        return [f"{seconds(at)} {_line(each)}" for at, each in self.told if not isinstance(each, Asked | Done)]


def _line(told: Told) -> str:
    match told:
        case Response():
            outcome = re.sub(r"(denied \(\w+\)): [^;]*", r"\1", told.outcome).replace("S-" + "0" * 14, "S-")
            parts = [
                told.status,
                _end(told.idempotency_key),
                f"({outcome})" if told.status in FINAL and outcome else "",
            ]
            return " ".join(part for part in parts if part)
        case Notification():
            return f"tells {told.to} {told.reason}"
        case Asked():
            return f"asks {_end(told.permit)}"
        case Done():
            return f"gives back {_end(told.permit)}"


def _end(key: str) -> str:
    return key.partition(":")[2]
