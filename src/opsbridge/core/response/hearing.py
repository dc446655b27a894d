"""What people say about an incident, applied to it; every word is in its history, also what changes nothing and why.

Who knows of the incident, and that the same id is heard once, is seen to by the stage (selection.py). Its status goes
by the table of lifecycle.py. What people say about which alerts belong together is handed on to the second level.
"""

from hashlib import blake2b

from opsbridge.core.feedback import (
    Acknowledge,
    Assign,
    Close,
    Comment,
    Move,
    NotADuplicate,
    Reopen,
    Resolve,
    Said,
    Snooze,
    Split,
    Start,
    Wake,
)
from opsbridge.core.records import Entry, IncidentStatus
from opsbridge.core.response import lifecycle
from opsbridge.core.response.escalation import wake
from opsbridge.core.response.ids import incident_id, rfc3339, situation_of_incident
from opsbridge.core.response.incident import HEARD, NOTE, IncidentState
from opsbridge.core.response.lifecycle import Refused, Word
from opsbridge.core.second_level.corrections import Regroup

Spoken = (
    Acknowledge | Assign | Start | Resolve | Reopen | Close | Snooze | Wake | Comment | Split | Move | NotADuplicate
)


def is_new(state: IncidentState, said: Said) -> bool:
    """Whether it has not been heard before; from now on it has."""
    digest = blake2b(said.id.encode(), digest_size=8).hexdigest()
    if digest in state.heard:
        return False
    state.heard.append(digest)
    del state.heard[:-HEARD]
    return True


def hear(state: IncidentState, situation: str, said: Spoken, now: int) -> tuple[Entry, Regroup | None]:
    """Apply it; how it reads in the history, and what the second level has to know of it."""
    word = word_of(said)
    refused = _refused(state, situation, said, word, now)
    if isinstance(refused, Refused):
        return entry_of(said, word, _detail(said), refused), None
    match said:
        case Assign():
            state.assignee = said.to or ("" if said.group else state.assignee)
            state.assigned_group = said.group or state.assigned_group
        case Snooze():
            state.snoozed = _milliseconds(said)
        case Wake():
            wake(state, now)
    state.become(refused, now)
    return entry_of(said, word, _detail(said)), _regroup(situation, said)


def entry_of(said: Said, what: str, detail: str = "", refused: str = "") -> Entry:
    """How it reads in the history: by its own time and in its own words, cut."""
    text = "; ".join(part for part in (detail, said.note) if part)
    return Entry(rfc3339(round(said.time.timestamp() * 1000)), said.by, what, text[:NOTE], refused)


def word_of(said: Spoken) -> Word:
    """Its kind."""
    tag: Word = type(said).__struct_config__.tag  # type: ignore[assignment]  # a test has all of them
    return tag


def _refused(state: IncidentState, situation: str, said: Spoken, word: Word, now: int) -> IncidentStatus | Refused:
    """The status that follows, or why nothing does."""
    over = state.situation is not None and state.situation.status in lifecycle.ENDED
    answer = lifecycle.said(state.status, word, situation_over=over, snoozed=state.snoozed is not None)
    if isinstance(answer, Refused):
        return answer
    match said:
        case Assign(to=None, group=None):
            return Refused.NOBODY_NAMED
        case Snooze() if _milliseconds(said) <= now:
            return Refused.IN_THE_PAST
        case Move() if said.to == incident_id(situation):
            return Refused.SAME_INCIDENT
    return answer


def _milliseconds(said: Snooze) -> int:
    return round(said.until.timestamp() * 1000)


def _detail(said: Spoken) -> str:
    match said:
        case Assign():
            return ", ".join(
                text
                for text in (f"to {said.to}" if said.to else "", f"group {said.group}" if said.group else "")
                if text
            )
        case Snooze():
            return f"until {rfc3339(_milliseconds(said))}"
        case Split():
            return f"{len(said.alerts)} alerts: {_some(said.alerts)}"
        case Move():
            return f"{len(said.alerts)} alerts to {said.to}: {_some(said.alerts)}"
    return ""


def _some(alerts: tuple[str, ...]) -> str:
    shown = ", ".join(alert.replace("\x1f", ":") for alert in alerts[:5])
    return f"{shown}, ..." if len(alerts) > 5 else shown


def _regroup(situation: str, said: Spoken) -> Regroup | None:
    match said:
        case Split():
            return Regroup(said.id, said.alerts, situation)
        case Move():
            return Regroup(said.id, said.alerts, situation, situation_of_incident(said.to))
        case NotADuplicate():
            return Regroup(said.id, (), situation)
    return None
