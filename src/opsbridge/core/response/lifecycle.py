"""The life-cycle of an incident, as a table: what each thing that people say, or the situation does, makes of it.

A cell has the next status, or the reason why nothing changes; LIFE_CYCLE has one for every status and every input, and
the diagram of docs/architecture.md is drawn from it. Snoozing is no status: it is a time beside it (escalation.py).
Without a word from anybody, an incident follows its situation.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, get_args

from opsbridge.core.decisions import Situation
from opsbridge.core.records import IncidentStatus

Word = Literal[
    "acknowledge",
    "assign",
    "start",
    "resolve",
    "reopen",
    "close",
    "snooze",
    "wake",
    "comment",
    "split",
    "move",
    "not_a_duplicate",
]
"""What people say: the kinds of feedback about incidents."""

Turn = Literal["fires", "clears", "closes", "merges", "begins_again"]
"""What a situation does. fires: something fires in it that did not before, or not in it; what goes on firing is no
turn. begins_again: it had ended, and the second level has taken it up again."""

Input = Word | Turn

STATUSES: Final[tuple[IncidentStatus, ...]] = get_args(IncidentStatus)
WORDS: Final[tuple[Word, ...]] = get_args(Word)
TURNS: Final[tuple[Turn, ...]] = get_args(Turn)


class Refused(StrEnum):
    """Why what somebody says changes nothing."""

    ALREADY = "already"
    """It is so already, or further."""
    NOT_OVER = "not_over"
    """It is neither resolved nor closed."""
    RESOLVED = "resolved"
    """It is over; reopen it first."""
    CLOSED = "closed"
    """It is closed; reopen it first."""
    SITUATION_CLOSED = "situation_closed"
    """No alert of it is watched any more: if it happens again, it is reopened or there will be another incident."""
    MERGED = "merged"
    """Its heir is the incident now."""
    NOT_MERGED = "not_merged"
    """It is nobody's duplicate."""
    NOT_SNOOZED = "not_snoozed"
    """It is awake."""
    NOBODY_NAMED = "nobody_named"
    """It says neither to whom nor to which group."""
    IN_THE_PAST = "in_the_past"
    """That time is over."""
    SAME_INCIDENT = "same_incident"
    """They belong to it already."""
    TARGET_CLOSED = "target_closed"
    """Nothing joins that incident any more: its situation is closed."""


Row = Mapping[Input, IncidentStatus | Refused]


def _active(status: IncidentStatus, *already: Word) -> Row:
    """The row of a status in which there is something to do; some of it may have been done already."""
    return {
        "acknowledge": "acknowledged",
        "assign": "assigned",
        "start": "in_progress",
        "resolve": "resolved",
        "reopen": Refused.NOT_OVER,
        "close": "closed",
        "snooze": status,
        "wake": status,
        "comment": status,
        "split": status,
        "move": status,
        "not_a_duplicate": Refused.NOT_MERGED,
        "fires": status,
        "clears": "resolved",
        "closes": "closed",
        "merges": "merged",
        "begins_again": "reopened",
        **dict.fromkeys(already, Refused.ALREADY),
    }


LIFE_CYCLE: Final[Mapping[IncidentStatus, Row]] = {
    "open": _active("open"),
    "acknowledged": _active("acknowledged", "acknowledge"),
    "assigned": _active("assigned", "acknowledge"),
    "in_progress": _active("in_progress", "acknowledge", "start"),
    "reopened": _active("reopened"),
    "resolved": {
        "acknowledge": Refused.RESOLVED,
        "assign": "resolved",
        "start": Refused.RESOLVED,
        "resolve": Refused.ALREADY,
        "reopen": "reopened",
        "close": "closed",
        "snooze": Refused.RESOLVED,
        "wake": "resolved",
        "comment": "resolved",
        "split": "resolved",
        "move": "resolved",
        "not_a_duplicate": Refused.NOT_MERGED,
        "fires": "reopened",
        "clears": "resolved",
        "closes": "closed",
        "merges": "merged",
        "begins_again": "reopened",
    },
    "closed": {
        "acknowledge": Refused.CLOSED,
        "assign": Refused.CLOSED,
        "start": Refused.CLOSED,
        "resolve": Refused.CLOSED,
        "reopen": "reopened",
        "close": Refused.ALREADY,
        "snooze": Refused.CLOSED,
        "wake": Refused.CLOSED,
        "comment": "closed",
        "split": Refused.CLOSED,
        "move": Refused.CLOSED,
        "not_a_duplicate": Refused.NOT_MERGED,
        "fires": "reopened",
        "clears": "closed",
        "closes": "closed",
        "merges": "merged",
        "begins_again": "reopened",
    },
    "merged": {
        **dict.fromkeys(WORDS, Refused.MERGED),
        "comment": "merged",
        "not_a_duplicate": "merged",
        "fires": "merged",
        "clears": "merged",
        "closes": "merged",
        "merges": "merged",
        "begins_again": "reopened",
    },
}
"""An incident whose situation is over is never open: a `reopen` of a closed one is refused then (`said`)."""

TO_DO: Final[frozenset[IncidentStatus]] = frozenset({"open", "acknowledged", "assigned", "in_progress", "reopened"})
"""Somebody has something to do about it; targets, reminders and snoozing are for these."""

UNSEEN: Final[frozenset[IncidentStatus]] = frozenset({"open", "reopened"})
"""Nobody has said that it has been seen."""

ENDED: Final[frozenset[IncidentStatus]] = frozenset({"closed", "merged"})
"""Nothing more happens to it by itself."""


def said(status: IncidentStatus, word: Word, *, situation_over: bool, snoozed: bool) -> IncidentStatus | Refused:
    """What becomes of an incident by what somebody says, or why nothing does."""
    answer = LIFE_CYCLE[status][word]
    if isinstance(answer, Refused):
        return answer
    if word == "reopen" and situation_over:
        return Refused.SITUATION_CLOSED
    if word == "wake" and not snoozed:
        return Refused.NOT_SNOOZED
    return answer


def turned(status: IncidentStatus, turn: Turn) -> IncidentStatus:
    """What becomes of an incident by what its situation does, which nothing can refuse."""
    answer = LIFE_CYCLE[status][turn]
    assert not isinstance(answer, Refused)  # noqa: S101 - what happens is not refused; a test has every cell
    return answer


def turns(before: Situation | None, situation: Situation, *, fires: bool) -> list[Turn]:
    """What a situation has done since its last version; `fires`: something joined it, or fired anew."""
    done: list[Turn] = []
    if before is not None and situation.reopened > before.reopened:
        done.append("begins_again")
    match situation.status:
        case "open" if fires or (before is not None and before.status == "resolved"):
            done.append("fires")
        case "resolved":
            done.append("clears")
        case "closed":
            done.append("closes")
        case "merged":
            done.append("merges")
    return done
