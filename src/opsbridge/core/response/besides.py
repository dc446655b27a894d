"""What is done about a situation besides its incident: what rules tell people of it, and what coordination has to know.

Each rule is followed once, until the situation begins again; the incident's state remembers which have been. Tickets
have a memory of their own (tickets.py). The stage (selection.py) is the caller.
"""

from opsbridge.core.case import PLACEHOLDERS, Case, fill
from opsbridge.core.coordination.news import Counted, Ended, Opened
from opsbridge.core.decisions import Situation
from opsbridge.core.ids import derived_id, incident_id
from opsbridge.core.records import Notification
from opsbridge.core.response.incident import IncidentState, title_of
from opsbridge.core.response.judging import Judgement
from opsbridge.core.rulebook import Notify, ProblemWatch
from opsbridge.core.times import rfc3339


def notified(state: IncidentState, judged: Judgement, now: int) -> list[Notification]:
    """The notifications that rules wish for and that have not been told."""
    fresh = [rule for rule in judged.asked(Notify) if rule.rule not in state.notified]
    state.notified += tuple(rule.rule for rule in fresh)
    return [_notification(rule, judged.case, now, incident=state.version > 0) for rule in fresh]


def _notification(rule: Notify, case: Case, now: int, *, incident: bool) -> Notification:
    """`incident`: people are told of an incident too."""
    situation = case.situation
    return Notification(
        id=derived_id("NTF", situation.id, "rule", rule.rule, reopened=situation.reopened),
        reason="opened",
        to=fill(rule.to, case),
        text=fill(rule.text, case) or f"{case.priority} {title_of(situation)}",
        incident=incident_id(situation.id) if incident else "",
        situation=situation.id,
        priority=case.priority,
        rule=rule.rule,
        time=rfc3339(now),
    )


def opened(state: IncidentState, judged: Judgement, now: int) -> list[Opened]:
    """It has begun, or problem rules count it that did not before."""
    counted = tuple(
        _counted(rule, judged.case) for rule in judged.asked(ProblemWatch) if rule.rule not in state.counted
    )
    if state.announced and not counted:
        return []
    state.announced = True
    state.counted += tuple(each.rule for each in counted)
    situation = judged.case.situation
    root = situation.root
    return [
        Opened(
            situation.id,
            incident_id(situation.id),
            root.ci,
            root.class_ or "",
            situation.opened_ms,
            now,
            situation.reopened,
            counted,
        )
    ]


def _counted(rule: ProblemWatch, case: Case) -> Counted:
    return Counted(
        rule.rule,
        tuple(PLACEHOLDERS[name](case) for name in rule.same),
        rule.times,
        rule.within_ms,
        fill(rule.title, case),
        fill(rule.category, case),
        fill(rule.group, case),
    )


def ended(state: IncidentState, situation: Situation, now: int) -> list[Ended]:
    """It is closed, which only who has heard of its beginning has to know."""
    if not state.announced:
        return []
    return [Ended(situation.id, situation.root.ci, situation.opened_ms, now, situation.unheard, situation.heard)]
