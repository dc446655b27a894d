"""How an incident that people are told of follows its situation, its priority and the time; who is notified of that.

Functions of the incident's state; the stage (selection.py) calls them with every version, and when a step of
escalation.py is due.
"""

from opsbridge.core.decisions import Situation
from opsbridge.core.records import Notification
from opsbridge.core.response.escalation import Step, said_of, take, wake
from opsbridge.core.response.ids import incident_id
from opsbridge.core.response.incident import IncidentState, described
from opsbridge.core.response.judging import Judgement
from opsbridge.core.response.lifecycle import TO_DO, turns
from opsbridge.core.response.notices import notice
from opsbridge.core.response.priority import rises


def follow(state: IncidentState, situation: Situation, judged: Judgement, now: int, keep: int) -> list[Notification]:
    """Take in a version of the situation; the notifications about that. `keep`: so much history."""
    first = state.priority is None
    before, state.situation = (None if first else state.situation), situation
    notices: list[Notification] = []
    if first:
        state.rule = judged.answer.rule if judged.answer.response == "incident" else ""
        state.priority = judged.priority
        described(state, judged.case, judged.answer)
        state.begin(now)
        state.log(now, "opened", keep=keep)
        notices += notice(state, "opened", state.to, now)
    for turn in turns(before, situation, fires=state.fires):
        if state.turn(turn, now):
            detail = "" if situation.merged_into is None else f"into {incident_id(situation.merged_into)}"
            state.log(now, state.status, detail, keep=keep)
            notices += noticed(state, now)
    state.known = judged.known
    if state.status in TO_DO:
        if judged.answer.response == "incident":
            described(state, judged.case, judged.answer)
        notices += _prioritised(state, judged, now, keep)
    return notices


def _prioritised(state: IncidentState, judged: Judgement, now: int, keep: int) -> list[Notification]:
    """Let its priority follow; that is news if it has another name, and people are told if it rises."""
    old, state.priority = state.priority, judged.priority
    if old is None or old.name == judged.priority.name:
        return []
    state.log(now, "priority", f"{old.name} to {judged.priority.name}", keep=keep)
    if not rises(old.name, judged.priority.name):
        return []
    if state.snoozed is not None:
        wake(state, now)
        state.log(now, "woke", "its priority has risen", keep=keep)
    return notice(state, "priority", state.to, now, f"its priority was {old.name}")


def noticed(state: IncidentState, now: int) -> list[Notification]:
    """The notification about the status that it has now, if there is one about that."""
    match state.status:
        case "resolved" | "closed" | "reopened":
            return notice(state, state.status, state.to, now)
    return []


def stepped(state: IncidentState, step: Step, now: int, keep: int) -> list[Notification]:
    """What time alone does to it has come; the notifications about that."""
    take(state, step.reason, now)
    text = said_of(step.reason, state)
    if step.reason == "woke":
        state.log(now, "woke", keep=keep)
    elif step.reason != "reminder":
        state.log(now, "escalated", text, keep=keep)
    return notice(state, step.reason, step.to, now, text, level=state.level if step.reason == "unacknowledged" else 0)
