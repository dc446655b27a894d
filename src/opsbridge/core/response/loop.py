"""The closed loop of one auto-response, step by step: what each thing that happens makes of its state.

Nothing acts without a permit of coordination, and nothing counts as effective without proof. An attempt that fails, or
is not proven in time, is followed by the next one; after the last comes the rollback, then a person. Undoing needs a
permit as well, but only a stop refuses it: a stop means that nothing is touched any more. What was requested before a
stop runs to its end, and probes, which only look, go on. automation.py is the caller.

A situation that is over, merged or reopened stops what has not been requested. What has been is waited for; if it fails
then, nothing more is done, not even the rollback: there is nothing to repair, and what is well is left alone. Of one
that was merged no clear can be seen any more: it ends without proof, or, if it failed, in the rollback and with a
person, for the trouble goes on elsewhere.
"""

from typing import Final, Literal

from msgspec.structs import replace

from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Asked, Denied, Done, Granted
from opsbridge.core.decisions import Situation
from opsbridge.core.feedback import Approve, Reject, Result, Started
from opsbridge.core.ids import derived_id, incident_id
from opsbridge.core.records import Notification, NotificationReason, ResponseStatus, Tried
from opsbridge.core.response.incident import NOTE
from opsbridge.core.response.loop_state import OUTPUT, LoopState, bounded, planned, spoken
from opsbridge.core.rulebook import ActionCall, AutoResponse
from opsbridge.core.times import rfc3339, span

Aside = Asked | Done | Notification
"""What is told beside the response itself."""

Purpose = Literal["action", "probe", "rollback"]

ASK_AGAIN_MS: Final = 60_000
"""So often a permit is asked for again while no answer comes."""

ASKS: Final = 10
"""So often a permit is asked for; then automation is taken to be out of order."""

PROBES: Final = 5
"""A probe is made when the action has been done; when it fails, again after this part of the time for the proof."""

FORGET_AFTER_MS: Final = 3_600_000
"""How long a response is remembered after its end, or that of its situation if that is later."""

_UNASKED: Final = ("awaiting_approval", "awaiting_permit", "waiting")
"""Nothing is under way."""


def begin(rule: AutoResponse, case: Case, now: int) -> tuple[LoopState, list[Aside]]:
    """A rule wants a response to a situation."""
    state = planned(rule, case, now)
    if rule.requires is not None and not rule.requires(case):
        state.status, state.outcome = "refused", f"what it requires does not hold: {state.plan.requires}"
        return state, []
    if not state.plan.approval_group:
        return state, _ask(state, now)
    state.status, state.until = "awaiting_approval", now + state.plan.approval_ms
    text = f"{state.plan.call.action} on {state.root.ci}: approve or reject {state.id} until {rfc3339(state.until)}"
    return state, [_notification(state, "approval", state.plan.approval_group, text, now)]


def follow(state: LoopState, situation: Situation, now: int) -> list[Aside]:
    """The situation has news: it may be the proof, or the end of what has not been requested."""
    if situation.version < state.seen:
        return []
    state.seen = situation.version
    open_again = situation.reopened > state.reopened
    if not open_again:
        state.recurred |= state.final and state.cleared and situation.status == "open"
        state.cleared = situation.status in ("resolved", "closed")
        state.heir = situation.merged_into or ""
    else:
        state.cleared, state.recurred = True, True
    if state.ended is None and (open_again or situation.status in ("closed", "merged")):
        state.ended = now
        if state.final:
            state.until = now + FORGET_AFTER_MS
    if state.final or not (state.cleared or state.heir):
        return []
    if state.status in _UNASKED:
        return _end(state, "cancelled", _and_before(state, _over(state)), now)
    if state.status == "verifying" and state.plan.verify == "cleared":
        return _cleared(state, now)
    return []


def answered(state: LoopState, answer: Granted | Denied, refusal: str, now: int) -> list[Aside]:
    """Coordination has answered. `refusal`: why the next attempt must not be made although it may; empty: it is made.

    An answer that nobody waits for changes nothing, and the permit is given back.
    """
    if answer.permit != state.permit:
        return [Done(answer.permit, now)] if isinstance(answer, Granted) else []
    if state.key or state.status not in ("awaiting_permit", "rolling_back"):
        return []  # it came before
    if isinstance(answer, Denied):
        state.permit = ""
        why = f"denied ({answer.reason}): {answer.detail}"
        if state.status == "rolling_back":
            return _escalate(state, f"{state.outcome}; no rollback: {why}", now)
        return _no_further(state, why, now)
    if state.status == "rolling_back" and state.plan.rollback is not None:
        _request(state, "rollback", 1, state.plan.rollback, now)
        return []
    if refusal:
        return _no_further(state, refusal, now)
    state.become("requested")
    state.attempt += 1
    _request(state, "action", state.attempt, state.plan.call, now)
    return []


def decided(state: LoopState, said: Approve | Reject, now: int) -> tuple[list[Aside], str]:
    """A person lets it happen, or does not; and why that changed nothing, or empty."""
    if state.status != "awaiting_approval":
        return [], f"it does not wait for approval: it is {state.status}"
    if isinstance(said, Reject):
        why = f"rejected by {said.by}" + (f": {said.note[:NOTE]}" if said.note else "")
        return _end(state, "refused", why, now), ""
    state.become("awaiting_permit")
    state.approved_by = said.by
    return _ask(state, now), ""


def started(state: LoopState, said: Started) -> str:
    """An executor has begun with what was requested; why that changed nothing, or empty."""
    tried = _find(state, said.idempotency_key)
    if tried is None:
        return f"nothing was requested with the key {said.idempotency_key}"
    if tried.outcome or tried.by:
        return f"{spoken(tried)}, and has been begun by {tried.by}" if tried.by else spoken(tried)
    _note(state, replace(tried, by=said.by))
    if state.status == "requested":
        state.become("running")
    return ""


def result(state: LoopState, said: Result, now: int) -> tuple[list[Aside], str]:
    """What came of a request; and why that changed nothing, or empty. One that is late is recorded all the same."""
    tried = _find(state, said.idempotency_key)
    if tried is None:
        return [], f"nothing was requested with the key {said.idempotency_key}"
    if tried.outcome not in ("", "timed_out"):
        return [], f"its result has been heard before: {spoken(tried)}"
    late = tried.outcome == "timed_out"
    tried = replace(
        tried,
        outcome=said.outcome,
        ended=rfc3339(now),
        by=said.by,
        code=said.code,
        output=said.output[-OUTPUT:],
        late=late,
    )
    _note(state, tried)
    if late:
        return [], f"too late: nobody waits for {said.idempotency_key} any more; it is only recorded"
    state.key = ""
    return _came(state, tried, now), ""


def elapsed(state: LoopState, now: int) -> list[Aside]:
    """The time that it waited for (`until`) has come. It is not over yet."""
    plan = state.plan
    if state.key:
        tried = replace(state.tried[-1], outcome="timed_out", ended=rfc3339(now))
        _note(state, tried)
        state.key = ""
        return _came(state, tried, now)
    match state.status:
        case "awaiting_approval":
            return _end(state, "refused", f"nobody approved it within {span(plan.approval_ms)}", now)
        case "waiting":
            state.become("awaiting_permit")
            return _ask(state, now)
        case "verifying" if plan.probe is not None and plan.verify == "probe":
            return _probe(state, now)
        case "verifying":
            return _failed(state, f"{spoken(_last_action(state))}, but nothing cleared in time", now)
        case _:
            return _ask_again(state, now)


# permits


def _ask(state: LoopState, now: int) -> list[Aside]:
    undo = state.status == "rolling_back"
    state.permit = _key(state, "rollback", 1) if undo else _key(state, "action", state.attempt + 1)
    state.asks, state.until = 1, now + ASK_AGAIN_MS
    return [_asked(state, now)]


def _asked(state: LoopState, now: int) -> Asked:
    undo = state.status == "rolling_back"
    action = state.plan.call.action if not undo or state.plan.rollback is None else state.plan.rollback.action
    return Asked(state.permit, state.situation, state.id, action, state.root.ci, now, state.plan.limits, undo)


def _ask_again(state: LoopState, now: int) -> list[Aside]:
    if state.asks < ASKS:
        state.asks, state.until = state.asks + 1, now + ASK_AGAIN_MS
        return [_asked(state, now)]
    why = f"coordination has not answered for {span(ASKS * ASK_AGAIN_MS)}"
    if state.status == "rolling_back":
        return _escalate(state, f"{state.outcome}; no rollback: {why}", now)
    return _no_further(state, why, now)


def _give_back(state: LoopState, now: int) -> list[Aside]:
    permit, state.permit = state.permit, ""
    return [Done(permit, now)] if permit else []


# requests


def _request(state: LoopState, purpose: Purpose, number: int, call: ActionCall, now: int) -> None:
    state.key, state.until = _key(state, purpose, number), now + call.deadline_ms
    state.tried = (*state.tried, Tried(state.key, purpose, number, rfc3339(now)))


def _key(state: LoopState, purpose: Purpose, number: int) -> str:
    return f"{state.id}:{purpose}:{number}"


def _find(state: LoopState, key: str) -> Tried | None:
    return next((tried for tried in state.tried if tried.idempotency_key == key), None)


def _note(state: LoopState, tried: Tried) -> None:
    """What is known now of one thing that was tried."""
    key = tried.idempotency_key
    state.tried = bounded(tried if each.idempotency_key == key else each for each in state.tried)


def _came(state: LoopState, tried: Tried, now: int) -> list[Aside]:
    """What was requested has ended."""
    succeeded = tried.outcome == "succeeded"
    match tried.purpose:
        case "rollback":
            return _escalate(state, f"{state.outcome}; {'rolled back' if succeeded else spoken(tried)}", now)
        case "probe" if succeeded:
            return _end(state, "effective", f"probe {tried.attempt} succeeded", now)
        case "probe" if tried.outcome == "refused" or now >= state.proof_by:
            return _failed(
                state, f"{spoken(_last_action(state))}, but {spoken(tried)}", now, again=tried.outcome != "refused"
            )
        case "probe":
            state.until = min(now + state.plan.verify_ms // PROBES, state.proof_by)
            return []
        case "action" if succeeded:
            return _prove(state, now)
        case "action":
            return _failed(state, spoken(tried), now, again=tried.outcome != "refused")


def _prove(state: LoopState, now: int) -> list[Aside]:
    """The action has been done: did it help?"""
    plan = state.plan
    if plan.verify == "result":
        return _end(state, "effective", "it was done, which is taken as proof", now)
    if plan.verify == "cleared" and (state.cleared or state.heir):
        return _cleared(state, now)
    state.become("verifying")
    state.until = state.proof_by = now + plan.verify_ms
    return _probe(state, now) if plan.verify == "probe" else []


def _probe(state: LoopState, now: int) -> list[Aside]:
    if state.plan.probe is not None:
        state.probes += 1
        _request(state, "probe", state.probes, state.plan.probe, now)
    return []


def _cleared(state: LoopState, now: int) -> list[Aside]:
    """Nothing fires any more where the action was done; or nobody can see whether it does."""
    if state.cleared:
        return _end(state, "effective", "the situation cleared", now)
    return _end(state, "cancelled", _and_before(state, _over(state)), now)


# ends


def _failed(state: LoopState, why: str, now: int, *, again: bool = True) -> list[Aside]:
    """An attempt was not effective. `again`: another one may be."""
    why = "; ".join((*_before(state)[:-1], why))
    if state.cleared:
        return _end(state, "cancelled", f"{_over(state)}; {why}", now)
    if not again or state.heir or state.attempt >= state.plan.attempts:
        return [*_give_back(state, now), *_all_failed(state, why, now)]
    state.become("waiting")
    state.until = now + state.plan.retry_ms
    return _give_back(state, now)


def _no_further(state: LoopState, why: str, now: int) -> list[Aside]:
    """The next attempt must not be made. If it is the first, nothing was done; else all that were made have failed."""
    if not state.tried:
        return _end(state, "refused", why, now)
    return [*_give_back(state, now), *_all_failed(state, _and_before(state, why), now)]


def _all_failed(state: LoopState, why: str, now: int) -> list[Aside]:
    """Undo it if that can be done and anything may have been done; then it is for a person."""
    touched = any(tried.purpose == "action" and tried.outcome != "refused" for tried in state.tried)
    if state.plan.rollback is None or not touched:
        return _escalate(state, why, now)
    state.become("rolling_back")
    state.outcome = why
    return _ask(state, now)


def _escalate(state: LoopState, why: str, now: int) -> list[Aside]:
    asides = _end(state, "escalated", why, now)
    text = f"{state.plan.call.action} on {state.root.ci} was not effective: {why}"
    return [*asides, _notification(state, "not_effective", state.plan.to, text, now)]


def _end(state: LoopState, status: ResponseStatus, why: str, now: int) -> list[Aside]:
    state.become(status)
    state.outcome, state.key = why, ""
    state.until = None if state.ended is None else now + FORGET_AFTER_MS
    return _give_back(state, now)


def _over(state: LoopState) -> str:
    return f"the situation was merged into {state.heir}" if state.heir else "the situation is over"


def _and_before(state: LoopState, why: str) -> str:
    """The reason, with what had been tried before."""
    return "; ".join((why, *_before(state)))


def _before(state: LoopState) -> list[str]:
    """Every attempt that was made, in words. None of them was proven."""
    actions = [tried for tried in state.tried if tried.purpose == "action"]
    return [
        f"{spoken(tried)}, but was not proven" if tried.outcome == "succeeded" and not tried.late else spoken(tried)
        for tried in actions
    ]


def _last_action(state: LoopState) -> Tried:
    return next(tried for tried in reversed(state.tried) if tried.purpose == "action")


def _notification(state: LoopState, reason: NotificationReason, to: str, text: str, now: int) -> Notification:
    return Notification(
        id=derived_id("NTF", state.id, reason, 1),
        reason=reason,
        to=to,
        text=text,
        incident=incident_id(state.situation),
        response=state.id,
        situation=state.situation,
        rule=state.plan.rule,
        time=rfc3339(now),
    )
