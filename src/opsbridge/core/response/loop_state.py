"""What is known of one auto-response: its plan, how far it has come, what has been tried; and how it is told of.

The plan is what the rule said when the response began, with its texts filled in: a reload of rules does not change a
response under way, but for `requires`, which is asked of the rules as they are then. Which state may follow which is
TRANSITIONS; when, is in loop.py.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from opsbridge.core.case import Case, fill
from opsbridge.core.decisions import Root
from opsbridge.core.ids import derived_id, incident_id
from opsbridge.core.records import Attempt, Response, ResponseStatus, Tried
from opsbridge.core.rulebook import ActionCall, AutoResponse, BlastRadius
from opsbridge.core.times import rfc3339

TRANSITIONS: Final[dict[ResponseStatus, tuple[ResponseStatus, ...]]] = {
    "awaiting_approval": ("awaiting_permit", "refused", "cancelled"),
    "awaiting_permit": ("requested", "rolling_back", "escalated", "refused", "cancelled"),
    "requested": ("running", "verifying", "waiting", "rolling_back", "effective", "escalated", "cancelled"),
    "running": ("verifying", "waiting", "rolling_back", "effective", "escalated", "cancelled"),
    "verifying": ("waiting", "rolling_back", "effective", "escalated", "cancelled"),
    "waiting": ("awaiting_permit", "cancelled"),
    "rolling_back": ("escalated",),
    "effective": (),
    "escalated": (),
    "refused": (),
    "cancelled": (),
}
"""From each status to those that may follow. It begins with the first or second, or is refused at once."""

FINAL: Final = tuple(status for status, following in TRANSITIONS.items() if not following)

OUTPUT: Final = 2_000
"""So many characters of what a request printed are kept: the last ones, where errors are..."""

OUTPUTS: Final = 100_000
"""...and so many bytes of all requests together, the newest: no record outgrows what may be written."""


class Plan(msgspec.Struct, array_like=True, frozen=True):
    """What the rule says, filled in. The order of the fields is the format of the changelog."""

    rule: str
    call: ActionCall
    requires: str
    """As an operator reads it; empty: nothing is required."""
    approval_group: str
    approval_ms: int
    attempts: int
    retry_ms: int
    verify: Literal["cleared", "probe", "result"]
    verify_ms: int
    probe: ActionCall | None
    rollback: ActionCall | None
    before_incident: bool
    limits: BlastRadius
    to: str
    """Who is told that it was not effective: the root's group, else its owner, else who had to approve; it may be
    empty, if there is none of these."""


class LoopState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one auto-response. The order of the fields is the format of the changelog."""

    id: str
    situation: str
    reopened: int
    """The situation's reopening that it is for."""
    root: Root
    plan: Plan
    opened: int
    updated: int
    seen: int = 0
    """The newest version of the situation that was heard; what is older is heard again, and says nothing new."""
    place: int = 0
    """Among the responses to its situation that began at the same time."""
    status: ResponseStatus = "awaiting_permit"
    version: int = 0
    attempt: int = 0
    until: int | None = None
    """When time alone changes something; None: never."""
    permit: str = ""
    """The permit that was asked for and is not given back."""
    asks: int = 0
    """How often it was asked for."""
    key: str = ""
    """The idempotency key of what is asked of executors now."""
    probes: int = 0
    """How many probes there were in all."""
    proof_by: int = 0
    """Until when the proof has to come."""
    tried: tuple[Tried, ...] = ()
    cleared: bool = False
    """The situation is not open as far as is known: no alert of it fires."""
    heir: str = ""
    """The situation that it was merged into."""
    recurred: bool = False
    """It began again when the response had ended."""
    ended: int | None = None
    """When the situation was closed or merged, or began again as another occurrence."""
    approved_by: str = ""
    outcome: str = ""
    """Why it ended as it did; while it is rolled back, why that is."""

    def become(self, status: ResponseStatus) -> None:
        """Take the next status; ValueError if it must not follow."""
        if status not in TRANSITIONS[self.status]:
            raise ValueError(f"response {self.id}: {status} must not follow {self.status}")
        self.status = status

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL


def bounded(tried: Iterable[Tried]) -> tuple[Tried, ...]:
    """What was tried, without the output of the oldest where there is too much of it."""
    room, kept = OUTPUTS, list[Tried]()
    for each in reversed(tuple(tried)):
        room -= len(msgspec.json.encode(each.output))
        kept.append(each if room >= 0 or not each.output else replace(each, output=""))
    return tuple(reversed(kept))


def response_id(situation: str, rule: str, reopened: int) -> str:
    """The id of what a rule does about a situation."""
    return derived_id("RSP", situation, rule, reopened=reopened)


def planned(rule: AutoResponse, case: Case, now: int) -> LoopState:
    """A response that the rule begins for the case."""
    situation = case.situation

    def filled(call: ActionCall) -> ActionCall:
        parameters = {name: fill(text, case) for name, text in call.parameters.items()}
        return ActionCall(call.action, parameters, call.deadline_ms)

    plan = Plan(
        rule=rule.rule,
        call=filled(rule.call),
        requires=(rule.requires_text or "its condition") if rule.requires is not None else "",
        approval_group=rule.approval_group,
        approval_ms=rule.approval_ms,
        attempts=rule.attempts,
        retry_ms=rule.retry_ms,
        verify="cleared" if rule.probe is None and rule.verify == "probe" else rule.verify,
        verify_ms=rule.verify_ms,
        probe=None if rule.probe is None else filled(rule.probe),
        rollback=None if rule.rollback is None else filled(rule.rollback),
        before_incident=rule.before_incident,
        limits=rule.limits,
        to=case.group or rule.approval_group,
    )
    name = response_id(situation.id, rule.rule, situation.reopened)
    return LoopState(
        name, situation.id, situation.reopened, situation.root, plan, opened=now, updated=now, seen=situation.version
    )


def asked_now(state: LoopState) -> ActionCall:
    """What executors are asked to do now, or were or will be next: the action unless it is a probe or the rollback."""
    plan = state.plan
    if state.status == "rolling_back" and plan.rollback is not None:
        return plan.rollback
    if state.status == "verifying" and state.key and plan.probe is not None:
        return plan.probe
    return plan.call


def snapshot(state: LoopState) -> Response:
    """The record of the `responses` topic."""
    plan = state.plan
    call = asked_now(state)
    because = [f"rule {plan.rule} asks for {plan.call.action} on {state.root.ci}"]
    if plan.requires:
        because.append(f"requires {plan.requires}")
    if state.approved_by:
        because.append(f"approved by {state.approved_by}")
    return Response(
        id=state.id,
        version=state.version,
        situation=state.situation,
        incident=incident_id(state.situation),
        rule=plan.rule,
        root=state.root,
        title=f"{plan.call.action} on {state.root.ci}",
        opened=rfc3339(state.opened),
        updated=rfc3339(state.updated),
        because=tuple(because),
        status=state.status,
        ci=state.root.ci,
        action=call.action,
        parameters=dict(call.parameters),
        attempt=state.attempt,
        attempts=plan.attempts,
        idempotency_key=state.key,
        deadline=None if (deadline := _deadline(state)) is None else rfc3339(deadline),
        approval_group=plan.approval_group,
        tried=state.tried,
        outcome=state.outcome,
    )


def _deadline(state: LoopState) -> int | None:
    """Until when the result, the approval or the proof has to come."""
    if state.key or state.status == "awaiting_approval":
        return state.until
    return state.proof_by if state.status == "verifying" else None


def carried(state: LoopState) -> Attempt:
    """What the incident carries of it."""
    detail = state.outcome or "; ".join(spoken(tried) for tried in state.tried)
    return Attempt(state.id, state.plan.call.action, state.status, state.attempt, detail)


def spoken(tried: Tried) -> str:
    """One thing that was tried, in words: `attempt 1 failed (code 1)`."""
    what = f"{'attempt' if tried.purpose == 'action' else tried.purpose} {tried.attempt}"
    outcome = f"{_OUTCOMES['timed_out']} (too late: {tried.outcome})" if tried.late else _OUTCOMES[tried.outcome]
    return f"{what} {outcome}" + (f" (code {tried.code})" if tried.code is not None else "")


_OUTCOMES: Final = {
    "": "goes on",
    "succeeded": "succeeded",
    "failed": "failed",
    "refused": "was refused by the executor",
    "unknown": "died with its executor",
    "timed_out": "had no result in time",
}
