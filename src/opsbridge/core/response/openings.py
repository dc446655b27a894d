"""What coordination has to know of situations: that one began, which problem rules count it, and that it is over."""

from opsbridge.core.case import PLACEHOLDERS, Case, fill
from opsbridge.core.coordination.news import Counted, Ended, Opened
from opsbridge.core.decisions import Situation
from opsbridge.core.response.ids import incident_id
from opsbridge.core.response.incident import IncidentState
from opsbridge.core.response.judging import Judgement
from opsbridge.core.rulebook import ProblemWatch


def opened(situation: Situation, state: IncidentState, judged: Judgement, now: int) -> list[Opened]:
    """It has begun, or problem rules count it that did not before: each counts it once until it begins again."""
    counted = tuple(
        _counted(rule, judged.case)
        for rule in judged.further
        if isinstance(rule, ProblemWatch) and rule.rule not in state.counted
    )
    if state.opened and not counted:
        return []
    state.opened = True
    state.counted += tuple(each.rule for each in counted)
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


def ended(situation: Situation, state: IncidentState, now: int) -> list[Ended]:
    """It is closed."""
    if not state.opened:
        return []
    return [Ended(situation.id, situation.root.ci, situation.opened_ms, now, situation.unheard, situation.heard)]


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
