"""What a rule may ask of a situation, and the function that decides for situations by the rules of kind `respond`.

Situations are rare beside events, so the rules are gone through one by one and no code is generated: what one costs
grows with the number of these rules. `scopes` names the fields, `compile_rules` asks for the function.
"""

from collections.abc import Callable, Iterable
from typing import Final

from opsbridge.core.case import Case
from opsbridge.core.decisions import Situation
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import Answer, Answers, Respond, incident_always
from opsbridge.rules.matching.conditions import Fields, Kind, Match, Value

_FIELDS: Final[dict[str, tuple[Callable[[Situation, CI], Value], Kind]]] = {
    "severity": (lambda situation, _: situation.severity, Kind.SEVERITY),
    "root.ci": (lambda situation, _: situation.root.ci, Kind.TEXT),
    "root.class": (lambda situation, _: situation.root.class_ or "", Kind.TEXT),
    "root.type": (lambda _, root: root.type, Kind.TEXT),
    "root.owner": (lambda _, root: root.owner, Kind.TEXT),
    "root.environment": (lambda _, root: root.environment, Kind.TEXT),
    "root.site": (lambda _, root: root.site, Kind.TEXT),
    "root.tier": (lambda _, root: root.tier, Kind.NUMBER),
    "alerts": (lambda situation, _: situation.alerts, Kind.NUMBER),
    "services": (lambda situation, _: situation.impact.services, Kind.NUMBER),
}

SITUATIONS: Final = Fields({name: kind for name, (_, kind) in _FIELDS.items()})
"""The fields of a situation, in the words of a file."""


def answering(rules: Iterable[tuple[Match, Answer]]) -> Respond:
    """The function that gives the answer of the first rule that matches; an incident if none does."""
    asked = [
        ([(_FIELDS[field][0], condition.holds) for field, condition in match.items()], answer)
        for match, answer in rules
    ]
    if not asked:
        return incident_always

    def respond(case: Case) -> Answers:
        for tests, answer in asked:
            if all(holds(read(case.situation, case.root)) for read, holds in tests):
                return Answers(answer)
        return Answers()

    return respond
