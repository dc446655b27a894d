"""How an explanation is told to a person: the root and why, who else it could be, the members by path, what if.

Called by `opsbridge explain`; everything goes to stdout, in lines short enough for a terminal and without colour.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from opsbridge.cli.output import show_table

if TYPE_CHECKING:
    from opsbridge.cli.investigation import Answer, Fate
    from opsbridge.core.decisions import Member
    from opsbridge.core.explain.because import Explanation, Membership, Weighed
    from opsbridge.core.records import Incident

NAMED: Final = 6
"""So many alerts of one path are named, the rest counted; -o json has all."""

SHOWN: Final = 12
"""So many paths are told one by one."""

_OUTCOMES: Final = {
    "opened": "opened",
    "duplicate": "is a duplicate of",
    "renewed": "renewed",
    "escalated": "changed the severity of",
    "resolved": "resolved",
    "late": "came too late for",
    "waiting": "resolves",
    "repeated": "repeats",
}


def tell(answer: "Answer") -> None:
    """Print all of it."""
    for fate in answer.fates:
        _line(_fate(fate))
    for note in answer.notes:
        _line(note)
    if answer.incident is None:
        return
    if answer.fates or answer.notes:
        _line()
    _head(answer.incident)
    if answer.explanation is not None:
        _explanation(answer.explanation)
    else:
        _published(answer.incident, answer.members)


def _line(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def _fate(fate: "Fate") -> str:
    where = {
        "dead_letter": f"is no event and went to the dead letters: {fate.reason}: {fate.detail}",
        "informational": f"is informational, it is only logged: {fate.reason}",
        "suppressed": f"was withheld by the rule {fate.reason}",
    }.get(fate.place)
    if where is None:
        where = f"{_OUTCOMES[fate.reason]} {fate.detail}"
        where += f"; it is in {', '.join(fate.incidents)}" if fate.incidents else ""
    return f"event {fate.event} {where}"


def _head(incident: "Incident") -> None:
    _line(f"{incident.id} ({incident.severity}, {incident.status}): {incident.title}")
    over = f", resolved {incident.resolved}" if incident.resolved else ""
    _line(f"opened {incident.opened}{over}; {incident.alerts} alerts, {incident.firing} of them firing")
    for line in _handling(incident):
        _line(line)
    _line()


def _handling(incident: "Incident") -> Iterator[str]:
    """What it means for people, what is known of it, and what was done about it so far."""
    if incident.priority:
        parts = [f"{incident.priority}: impact {incident.impact}, urgency {incident.urgency}"]
        parts += [f"{users} users" for users in [incident.users] if users]
        parts += [f"group {incident.group}"] if incident.group else []
        parts += [f"assigned to {incident.assignee}"] if incident.assignee else []
        parts += [f"{incident.escalations} escalations"] if incident.escalations else []
        parts += [f"reopened {incident.reopened} times"] if incident.reopened else []
        yield ", ".join(parts)
    if incident.problem:
        yield f"problem {incident.problem}"
    for known in incident.known_errors:
        yield f"known error {known.id}: {known.title}" + (f"; {known.workaround}" if known.workaround else "")
    for change in incident.changes:
        yield f"change {change.id} to {change.ci}, from {change.began}: {change.title}"
    for tried in incident.attempts:
        yield f"tried {tried.action} ({tried.response}): {tried.status}" + (f", {tried.detail}" if tried.detail else "")
    for entry in incident.history:
        if entry.by != "opsbridge":
            refused = f", which changed nothing: {entry.refused}" if entry.refused else ""
            yield " ".join(filter(None, (entry.time, entry.by, entry.what, entry.detail))) + refused


def _explanation(told: "Explanation") -> None:
    root = told.root
    said = f"sent {', '.join(root.sent)}" if root.sent else "sent nothing itself"
    _line(f"Root cause: {root.ci}, which {said}; confidence {told.confidence:.3f}")
    what = (
        "the alerts of its own"
        if root.explains == told.cis == 1
        else f"the alerts of {root.explains} of {told.cis} CIs"
    )
    _line(f"  {root.saved:8.3f} nats are saved: its failure explains {what}")
    for term in root.terms:
        _line(f"  {-term.nats or 0:8.3f} {term.words}")
    _line(f"  {root.ratio:8.3f} speak for it in all")
    for note in told.notes:
        _line(f"  {note}")
    _line()
    if told.runners_up:
        columns = ["CI", "#nats for it", "#saves", "#costs", "#explains", "what makes the difference"]
        _line("Runners-up:")
        show_table(columns, map(_runner_up, told.runners_up))
    else:
        _line("No other CI could be the root: what it depends on would explain it worse than it does itself.")
    _line()
    _members(told.members)
    for part in told.parts:
        _line(f"  {part.root.ci}: {len(part.members)} alerts of {part.cis} CIs, found as {part.situation}")
    _line()
    _what_if(told)


def _runner_up(other: "Weighed") -> tuple[str, ...]:
    numbers = (f"{other.ratio:.3f}", f"{other.saved:.3f}", f"{other.price:.3f}", str(other.explains))
    return (other.ci, *numbers, other.difference)


def _members(members: tuple["Membership", ...]) -> None:
    """The alerts by path, as one row each."""
    groups: dict[tuple[str, ...], list[Membership]] = {}
    for member in members:
        groups.setdefault((*member.path[:-1], "") if len(member.path) > 1 else member.path, []).append(member)
    first = min((member.opened_ms for member in members), default=0)
    rows = [_row(path, found, first) for path, found in sorted(groups.items(), key=lambda item: len(item[0]))]
    _line(f"Members, by the path from the root ({len(members)} alerts):")
    show_table(["path", "#alerts", "#cost", "#began after", "alerts"], rows[:SHOWN])
    if len(rows) > SHOWN:
        _line(f"and {len(rows) - SHOWN} more paths: -o json has all")


def _row(path: tuple[str, ...], members: "list[Membership]", first: int) -> tuple[str, ...]:
    way = " > ".join((*path[:-1], "each")) if not path[-1] else path[0]
    began = [(member.opened_ms - first) / 1000 for member in members]
    costs = [member.cost for member in members]
    named = [f"{member.ci} {member.class_ if member.event else '(see below)'}" for member in members]
    alerts = _listed(named)
    if path[-1] and len(path) == 1:
        alerts += f": {members[0].words}"
    return way, str(len(members)), _range(costs, ".3f"), f"{_range(began, 'g')} s", alerts


def _range(numbers: list[float], shape: str) -> str:
    low, high = format(min(numbers), shape), format(max(numbers), shape)
    return low if low == high else f"{low}-{high}"


def _listed(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names) if rest <= 1 else f"{', '.join(names[:NAMED])} and {rest} more"


def _what_if(told: "Explanation") -> None:
    changing = [each for each in told.tried if each.changes]
    if not changing:
        _line(f"Nothing single would have changed the root: {len(told.tried)} facts were supposed to be otherwise.")
        return
    _line(f"What would have changed the root ({len(told.tried)} facts were supposed to be otherwise):")
    for each in changing:
        then = "there would be nothing to explain"
        if each.root is not None:
            left = told.cis - (each.kind in ("unsent", "missing"))
            falls = each.explains < left
            then = f"{each.explains} of {left} CIs would have the root" if falls else "the root would be"
            then += f" {each.root}"
        _line(f"  if {each.fact}: {then}")


def _published(incident: "Incident", members: "Iterable[Member]") -> None:
    """What the topics say, without an explanation of our own."""
    said = "sent nothing itself" if incident.root.silent else f"sent {incident.root.class_}"
    _line(f"Root cause: {incident.root.ci}, which {said}; confidence {incident.root.confidence:.3f}")
    for reason in incident.because:
        _line(f"  {reason}")
    _line()
    others = [(each.ci, f"{each.score:.3f}") for each in incident.candidates]
    show_table(["candidate", "#nats for it"], others)
    _line()
    rows = list(_by_ci(members))
    _line(f"Members: the alerts of {len(rows)} CIs")
    show_table(["CI", "alerts"], rows)


def _by_ci(members: "Iterable[Member]") -> Iterator[tuple[str, str]]:
    classes: dict[str, list[str]] = {}
    for member in members:
        classes.setdefault(member.ci, []).append(member.class_)
    for ci, sent in sorted(classes.items()):
        yield ci, _listed(sent)
