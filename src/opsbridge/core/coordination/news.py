"""What response lanes tell coordination, and what it answers: the records of two internal topics.

News go to the one place of coordination; answers come back by the situation's id. Both are idempotent by their ids:
whoever hears the same twice does nothing the second time.
"""

from typing import Literal

import msgspec

from opsbridge.core.rulebook import BlastRadius


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """An auto-response wants to act: may it, with all others in view? Answered with `Granted` or `Denied`."""

    permit: str
    """The idempotency key of what it will request."""
    situation: str
    response: str
    action: str
    ci: str
    now_ms: int
    limits: BlastRadius
    undo: bool = False
    """It rolls back what was done: not limited, only stopped with all else."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What the permit was for is over, or will not happen: it no longer counts as under way."""

    permit: str
    now_ms: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """A situation has been told for the first time, or begins again; problem rules that match it count it."""

    situation: str
    incident: str
    root: str
    class_: str
    opened_ms: int
    now_ms: int
    again: int = 0
    """Counts its reopenings: each is an occurrence of its own."""
    counted: tuple["Counted", ...] = ()


class Counted(msgspec.Struct, frozen=True):
    """A problem rule that counts the opening."""

    rule: str
    same: tuple[str, ...]
    times: int
    within_ms: int
    title: str = ""
    category: str = ""
    group: str = ""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A situation is closed; with what its end says about the edges around its root."""

    situation: str
    root: str
    opened_ms: int
    now_ms: int
    unheard: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()


class Halted(msgspec.Struct, frozen=True, tag="halted"):
    """Somebody stops or resumes all automation."""

    stopped: bool
    feedback: str
    by: str
    now_ms: int


class ProblemClosed(msgspec.Struct, frozen=True, tag="problem_closed"):
    """Somebody closes a problem."""

    problem: str
    feedback: str
    by: str
    now_ms: int


News = Asked | Done | Opened | Ended | Halted | ProblemClosed


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """Go ahead."""

    situation: str
    response: str
    permit: str
    now_ms: int


DenialReason = Literal["stopped", "disabled", "per_ci", "per_action", "per_hour", "concurrent"]


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    """It must not act."""

    situation: str
    response: str
    permit: str
    reason: DenialReason
    detail: str
    """The limit in words, with its figures."""
    now_ms: int


class BelongsTo(msgspec.Struct, frozen=True, tag="belongs_to"):
    """The situation's incident belongs to a problem."""

    situation: str
    problem: str
    now_ms: int


Answer = Granted | Denied | BelongsTo
