"""Notices: the notifications about one incident or situation, with ids that are found again after a restart."""

from opsbridge.core.case import Case, fill
from opsbridge.core.records import Notification, NotificationReason
from opsbridge.core.response.ids import derived_id, incident_id, of_reopening, rfc3339
from opsbridge.core.response.incident import IncidentState, title_of
from opsbridge.core.rulebook import Notify


def notice(
    state: IncidentState, reason: NotificationReason, to: str, now: int, text: str = "", *, level: int = 0
) -> list[Notification]:
    """Somebody is told of an incident; nobody, if there is nobody to tell. `text`: what is to be said besides."""
    situation = state.situation
    if not to or situation is None:
        return []
    state.notices += 1
    priority = "" if state.priority is None else state.priority.name
    incident = incident_id(situation.id)
    return [
        Notification(
            id=derived_id("NTF", situation.id, reason, state.notices),
            reason=reason,
            to=to,
            text=f"{priority} {title_of(situation)}: {text or reason}".lstrip(),
            incident=incident,
            situation=situation.id,
            priority=priority,
            level=level,
            time=rfc3339(now),
        )
    ]


def wished(rule: Notify, case: Case, now: int, *, incident: bool) -> Notification:
    """Somebody is told of a situation because a rule wishes it; `incident`: people are told of an incident too."""
    situation = case.situation
    return Notification(
        id=derived_id("NTF", situation.id, "rule", *of_reopening(situation.id, rule.rule, situation.reopened)[1:]),
        reason="opened",
        to=fill(rule.to, case),
        text=fill(rule.text, case) or f"{case.priority} {title_of(situation)}",
        incident=incident_id(situation.id) if incident else "",
        situation=situation.id,
        priority=case.priority,
        rule=rule.rule,
        time=rfc3339(now),
    )
