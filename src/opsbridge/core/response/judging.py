"""What the rules say of a situation: its known errors, its priority, incident or nothing, and what is done besides."""

from typing import Final, NamedTuple, TypeVar

from msgspec.structs import replace

from opsbridge.core.case import Case
from opsbridge.core.decisions import Situation
from opsbridge.core.graph import CI, CIGraph, unknown_ci
from opsbridge.core.records import KnownError
from opsbridge.core.response.priority import DEFAULT
from opsbridge.core.rulebook import (
    AutoResponse,
    Further,
    Handling,
    Notify,
    Priority,
    ProblemWatch,
    Rulebook,
    Ticket,
)

Asked = TypeVar("Asked", AutoResponse, Ticket, Notify, ProblemWatch)


class Judgement(NamedTuple):
    """All that the rules say of a situation, in one version."""

    case: Case
    known_errors: tuple[KnownError, ...]
    priority: Priority
    handling: Handling
    further: tuple[Further, ...]

    def asked(self, kind: type[Asked]) -> list[Asked]:
        """What rules of one kind ask for besides."""
        return [each for each in self.further if isinstance(each, kind)]


class Judge:
    """The rules, with the estate that they ask about."""

    __slots__ = ("_graph", "_known_errors", "_prioritise", "_respond")

    def __init__(self, book: Rulebook, graph: CIGraph | None) -> None:
        self._graph: Final = CIGraph([], []) if graph is None else graph
        self._known_errors = book.known_errors
        self._prioritise = book.prioritise or DEFAULT
        self._respond = book.respond

    def __call__(self, situation: Situation, before: CI | None = None) -> Judgement:
        """What the rules say of a situation. `before`: its root's CI, in case that the topology no longer has it."""
        root = self._ci(situation.root.ci)
        if before is not None and before.id == root.id and root.id not in self._graph.numbers:
            root = before
        case = Case(
            situation=situation,
            root=root,
            changes=tuple(change.id for change in situation.changes),
        )
        known = self._known_errors(case)
        if known:
            case = replace(case, known_errors=tuple(error.id for error in known))
        priority = self._prioritise(case)
        case = replace(case, priority=priority.name)
        selected = self._respond(case)
        return Judgement(case, known, priority, selected.handling, selected.further)

    def may_go(self, ci: CI) -> bool:
        """Whether the CI may go from the topology, so that it has to be remembered."""
        return self._graph.passing.get(self._graph.numbers.get(ci.id, -1), False)

    def _ci(self, name: str) -> CI:
        number = self._graph.numbers.get(name)
        return unknown_ci(name) if number is None else self._graph.cis[number]
