"""What time alone does to an incident: escalations, targets that near and are missed, reminders, the end of a snooze.

Pure planning: `next_step` answers what comes next and when, from the incident's state alone, so that a restart plans
the same; `come` is called then. The stage (selection.py) is the caller, and tells the new version.
"""

from typing import Final, Literal, NamedTuple

from opsbridge.core.records import Notification
from opsbridge.core.response.incident import IncidentState, notice
from opsbridge.core.response.lifecycle import TO_DO
from opsbridge.core.rulebook import Priority
from opsbridge.core.times import span

LEVELS: Final = 5
"""So often an incident that nobody acknowledges is escalated; then whoever could be told has been."""

StepReason = Literal["woke", "target_missed", "target_nears", "unacknowledged", "reminder"]


class Step(NamedTuple):
    """What comes next."""

    at: int
    """Milliseconds since 1970; it may be in the past."""
    reason: StepReason
    to: str = ""
    """Who is told; empty: nobody can be."""


def next_step(state: IncidentState, now: int) -> Step | None:
    """What time alone does next to an incident, or None.

    Snoozed, it only wakes. Without a target, or anybody to tell, nothing comes. Of what comes at the same time, what is
    worse comes first.
    """
    if state.version == 0 or state.status not in TO_DO:
        return None
    if state.snoozed is not None:
        return Step(state.snoozed, "woke", state.to)
    priority = state.priority
    if priority is None or priority.acknowledge_ms is priority.resolve_ms is priority.remind_ms is None:
        return None
    if not state.to:
        return None
    steps: list[Step] = []
    if priority.resolve_ms is not None and not state.missed:
        steps.append(Step(state.since + priority.resolve_ms, "target_missed", state.to))
        if not state.warned:
            steps.append(Step(state.since + round(priority.resolve_ms * priority.warn_at), "target_nears", state.to))
    if priority.acknowledge_ms is not None and not state.acknowledged and state.level < LEVELS:
        last = state.escalated if state.level else state.since
        line = priority.escalate_to
        to = line[min(state.level, len(line) - 1)] if line else state.to
        steps.append(Step(last + priority.acknowledge_ms, "unacknowledged", to))
    if priority.remind_ms is not None:
        steps.append(Step(state.reminded + priority.remind_ms, "reminder", state.assignee or state.to))
    return min(steps, key=lambda step: max(step.at, now), default=None)


def come(state: IncidentState, step: Step, now: int) -> list[Notification]:
    """Its time has come: what is noted of it, and who is told."""
    _take(state, step.reason, now)
    text = _in_words(step.reason, state)
    if step.reason == "woke":
        state.log(now, "woke")
    elif step.reason != "reminder":
        state.log(now, "escalated", text)
    return notice(state, step.reason, step.to, now, text, level=state.level if step.reason == "unacknowledged" else 0)


def _take(state: IncidentState, reason: StepReason, now: int) -> None:
    match reason:
        case "woke":
            state.wake(now)
        case "target_missed":
            state.warned = state.missed = True
        case "target_nears":
            state.warned = True
        case "unacknowledged":
            state.level += 1
            state.escalations += 1
            state.escalated = now
        case "reminder":
            state.reminded = now


def _in_words(reason: StepReason, state: IncidentState) -> str:
    priority = state.priority or Priority("P5", "low", "low")
    match reason:
        case "woke":
            return "it is not snoozed any longer"
        case "target_missed":
            return f"was to be resolved within {span(priority.resolve_ms or 0)}"
        case "target_nears":
            within = span(priority.resolve_ms or 0)
            return f"is to be resolved within {within}, and {priority.warn_at:.0%} of that is over"
        case "unacknowledged":
            return f"nobody has acknowledged it within {span(priority.acknowledge_ms or 0)} (level {state.level})"
        case "reminder":
            return "it is not resolved yet"
