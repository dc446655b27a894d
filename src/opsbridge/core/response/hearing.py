"""How an incident that people are told of follows its situation, and what they say about it.

Every word is in its history, also what changes nothing and why. Its status goes by the table of lifecycle.py. What
people say about which alerts belong together is handed on to the second level. Functions of the incident's state; the
stage (selection.py), which knows whose it is, calls them, and tells the new version.
"""

from opsbridge.core.decisions import Regroup, Situation
from opsbridge.core.feedback import AboutIncident, Assign, Move, NotADuplicate, Said, Snooze, Split, Wake
from opsbridge.core.ids import digest, incident_id, situation_of_incident
from opsbridge.core.records import HistoryEntry, IncidentStatus, Notification
from opsbridge.core.response import lifecycle
from opsbridge.core.response.incident import HEARD, KNOWN_ERRORS, NOTE, IncidentState, notice, notice_of_status
from opsbridge.core.response.judging import Judgement
from opsbridge.core.response.lifecycle import TO_DO, Refused, Word, turns
from opsbridge.core.response.priority import rises
from opsbridge.core.rulebook import Priority
from opsbridge.core.times import milliseconds, rfc3339


def follow(state: IncidentState, situation: Situation, judged: Judgement, now: int) -> list[Notification]:
    """Take in a version of the situation, and how urgent it makes the incident; the notifications about that."""
    first = state.priority is None
    before, state.situation = (None if first else state.situation), situation
    notices: list[Notification] = []
    if first:
        state.rule = judged.handling.rule if judged.handling.response == "incident" else ""
        state.priority = judged.priority
        state.describe(judged.case, judged.handling)
        state.begin(now)
        state.log(now, "opened")
        notices += notice(state, "opened", state.to, now)
    if before is not None and before.topology not in ("", situation.topology):
        state.log(now, "topology", f"decided anew by {situation.topology}, before by {before.topology}")
    for turn in turns(before, situation, fires=state.fires):
        if state.turn(turn, now):
            heir = situation.merged_into
            state.log(now, state.status, "" if heir is None else f"into {incident_id(heir)}")
            notices += notice_of_status(state, now)
    state.known_errors = judged.known_errors[:KNOWN_ERRORS]
    if state.status in TO_DO:
        if judged.handling.response == "incident":
            state.describe(judged.case, judged.handling)
        notices += _prioritised(state, judged.priority, now)
    return notices


def _prioritised(state: IncidentState, priority: Priority, now: int) -> list[Notification]:
    """Let its priority follow; that is news if it has another name, and people are told if it rises."""
    old, state.priority = state.priority, priority
    if old is None or old.name == priority.name:
        return []
    state.log(now, "priority", f"{old.name} to {priority.name}")
    if not rises(old.name, priority.name):
        return []
    if state.snoozed is not None:
        state.wake(now)
        state.log(now, "woke", "its priority has risen")
    return notice(state, "priority", state.to, now, f"its priority was {old.name}")


def is_new(state: IncidentState, said: Said) -> bool:
    """Whether it has not been heard before; from now on it has."""
    name = digest(said.id.encode())
    if name in state.heard:
        return False
    state.heard.append(name)
    del state.heard[:-HEARD]
    return True


def hear(
    state: IncidentState, situation: str, said: AboutIncident, now: int, target: IncidentState | None = None
) -> tuple[HistoryEntry, Regroup | None]:
    """Apply it; how it reads in the history, and what the second level has to know of it.

    `target`: the incident to which alerts are to move, as far as it is known here; others may be known elsewhere.
    """
    word = word_of(said)
    answer = _answer(state, situation, said, word, now)
    if isinstance(said, Move) and target is not None and not isinstance(answer, Refused):
        over = target.situation is not None and target.situation.status == "closed"
        answer = Refused.TARGET_CLOSED if over else answer
    if isinstance(answer, Refused):
        return entry_of(said, word, _detail(said), answer), None
    match said:
        case Assign():
            state.assignee = said.to or ("" if said.group else state.assignee)
            state.assigned_group = said.group or state.assigned_group
        case Snooze():
            state.snoozed = milliseconds(said.until)
        case Wake():
            state.wake(now)
    state.become(answer, now)
    return entry_of(said, word, _detail(said)), _regroup(situation, said)


def entry_of(said: Said, what: str, detail: str = "", refused: str = "") -> HistoryEntry:
    """How it reads in the history: by its own time and in its own words, cut."""
    text = "; ".join(part for part in (detail, said.note) if part)
    return HistoryEntry(rfc3339(milliseconds(said.time)), said.by, what, text[:NOTE], refused)


def word_of(said: AboutIncident) -> Word:
    """Its kind."""
    tag: Word = type(said).__struct_config__.tag  # type: ignore[assignment]  # a test has all of them
    return tag


def _answer(
    state: IncidentState, situation: str, said: AboutIncident, word: Word, now: int
) -> IncidentStatus | Refused:
    """The status that follows, or why nothing does."""
    over = state.situation is not None and state.situation.status in lifecycle.ENDED
    answer = lifecycle.said(state.status, word, situation_over=over, snoozed=state.snoozed is not None)
    if isinstance(answer, Refused):
        return answer
    match said:
        case Assign(to=None, group=None):
            return Refused.NOBODY_NAMED
        case Snooze() if milliseconds(said.until) <= now:
            return Refused.IN_THE_PAST
        case Move() if said.to == incident_id(situation):
            return Refused.SAME_INCIDENT
    return answer


def _detail(said: AboutIncident) -> str:
    match said:
        case Assign():
            return ", ".join(
                text
                for text in (f"to {said.to}" if said.to else "", f"group {said.group}" if said.group else "")
                if text
            )
        case Snooze():
            return f"until {rfc3339(milliseconds(said.until))}"
        case Split():
            return f"{len(said.alerts)} alerts: {_some(said.alerts)}"
        case Move():
            return f"{len(said.alerts)} alerts to {said.to}: {_some(said.alerts)}"
    return ""


def _some(alerts: tuple[str, ...]) -> str:
    shown = ", ".join(alert.replace("\x1f", ":") for alert in alerts[:5])
    return f"{shown}, ..." if len(alerts) > 5 else shown


def _regroup(situation: str, said: AboutIncident) -> Regroup | None:
    match said:
        case Split():
            return Regroup(said.id, said.alerts, situation)
        case Move():
            return Regroup(said.id, said.alerts, situation, situation_of_incident(said.to))
        case NotADuplicate():
            return Regroup(said.id, (), situation)
    return None
