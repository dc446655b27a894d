"""What rules may ask of a situation, and what is answered: responses, priorities, known errors.

Situations are rare beside events, so rules are gone through one by one and no code is generated: what one costs grows
with the number of these rules. But a storm asks again with each of its updates, so every field is read once for all
rules. `scopes` names the fields, `compile_rules` asks for the functions.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opsbridge.core.case import Case
from opsbridge.core.records import KnownError
from opsbridge.core.response.priority import DEFAULT, Scale
from opsbridge.core.rulebook import (
    Further,
    Handling,
    KnownErrors,
    Prioritise,
    Priority,
    Respond,
    Selection,
    incident_always,
    none_known,
)
from opsbridge.rules.matching.conditions import Condition, Fields, Kind, Match, Value

_FIELDS: Final[dict[str, tuple[Callable[[Case], Value], Kind]]] = {
    "severity": (lambda case: case.situation.severity, Kind.SEVERITY),
    "priority": (lambda case: case.priority, Kind.PRIORITY),
    "status": (lambda case: case.situation.status, Kind.STATUS),
    "root.ci": (lambda case: case.situation.root.ci, Kind.TEXT),
    "root.class": (lambda case: case.situation.root.class_ or "", Kind.TEXT),
    "root.type": (lambda case: case.root.type, Kind.TEXT),
    "root.owner": (lambda case: case.root.owner, Kind.TEXT),
    "root.group": (lambda case: case.root.group or case.root.owner, Kind.TEXT),
    "root.category": (lambda case: case.root.category, Kind.TEXT),
    "root.environment": (lambda case: case.root.environment, Kind.TEXT),
    "root.site": (lambda case: case.root.site, Kind.TEXT),
    "root.tier": (lambda case: case.root.tier, Kind.NUMBER),
    "silent": (lambda case: case.situation.root.silent, Kind.TRUTH),
    "confidence": (lambda case: case.situation.root.confidence, Kind.SHARE),
    "alerts": (lambda case: case.situation.alerts, Kind.NUMBER),
    "firing": (lambda case: case.situation.firing, Kind.NUMBER),
    "services": (lambda case: case.situation.impact.services, Kind.NUMBER),
    "users": (lambda case: case.situation.impact.users, Kind.NUMBER),
    "tier": (lambda case: case.situation.impact.tier, Kind.NUMBER),
    "impact.cis": (lambda case: case.situation.impact.cis, Kind.NUMBER),
    "known_error": (lambda case: case.known_errors, Kind.NAMES),
    "changed": (lambda case: len(case.changes), Kind.NUMBER),
    "reopened": (lambda case: case.situation.reopened, Kind.NUMBER),
}

SITUATIONS: Final = Fields({name: kind for name, (_, kind) in _FIELDS.items()})
"""The fields of a situation, in the words of a file."""

Values = list[Value]
"""What fields of one case hold, in the order in which they are asked for."""


def value_of(field: str, case: Case) -> Value:
    """What a field of a situation holds."""
    return _FIELDS[field][0](case)


class Questions:
    """Several matches about situations, asked together."""

    __slots__ = ("_reads", "_tests")

    def __init__(self, matches: Iterable[Match]) -> None:
        asked = list(matches)
        places = {field: place for place, field in enumerate(dict.fromkeys(field for each in asked for field in each))}
        self._reads = [_FIELDS[field][0] for field in places]
        self._tests = [[(places[field], held.holds) for field, held in match.items()] for match in asked]

    def matching(self, case: Case) -> Iterable[int]:
        """The numbers of the matches that hold, rising; each is asked when it is its turn."""
        values = [read(case) for read in self._reads]
        for number, tests in enumerate(self._tests):
            for place, holds in tests:
                if not holds(values[place]):
                    break
            else:
                yield number


def answering(rules: Iterable[tuple[Match, Handling | Further, bool]]) -> Respond:
    """What the rules answer that match: the first one that says whether it is an incident, and all others in order.

    A rule comes with what it says, and whether it is the last to be asked if it matches.
    """
    asked = list(rules)
    if not asked:
        return incident_always
    questions = Questions(match for match, _, _ in asked)
    says = [(says, last) for _, says, last in asked]

    def respond(case: Case) -> Selection:
        incident: Handling | None = None
        further: list[Further] = []
        for number in questions.matching(case):
            said, last = says[number]
            if not isinstance(said, Handling):
                further.append(said)
            elif incident is None:
                incident = said
            if last:
                break
        return Selection(incident or Handling(), tuple(further))

    return respond


def prioritising(rules: Iterable[tuple[Match, Scale]]) -> Prioritise | None:
    """The scale of the first rule that matches, else the default one; None if there are no rules."""
    asked = list(rules)
    if not asked:
        return None
    questions = Questions(match for match, _ in asked)
    scales = [scale for _, scale in asked]

    def prioritise(case: Case) -> Priority:
        first = next(iter(questions.matching(case)), None)
        return (DEFAULT if first is None else scales[first])(case)

    return prioritise


def holding(match: Match) -> Callable[[Case], bool]:
    """Whether all conditions hold."""
    tests: Sequence[tuple[Callable[[Case], Value], Condition]] = [
        (_FIELDS[field][0], condition) for field, condition in match.items()
    ]
    return lambda case: all(condition.holds(read(case)) for read, condition in tests)


def knowing(documented: Iterable[tuple[Match, KnownError, int | None]]) -> KnownErrors:
    """The known errors that match, in order; one with a time counts for what began before it."""
    known = list(documented)
    if not known:
        return none_known
    questions = Questions(match for match, _, _ in known)
    entries = [(error, until) for _, error, until in known]

    def errors(case: Case) -> tuple[KnownError, ...]:
        opened = case.situation.opened_ms
        return tuple(
            [
                error
                for error, until in map(entries.__getitem__, questions.matching(case))
                if until is None or opened < until
            ]
        )

    return errors
