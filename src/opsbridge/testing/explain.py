"""What every rule makes of one event: condition by condition, who decides, what is added, and who remembers it.

Whether a condition holds is asked of the condition itself; what follows is asked of the compiled rules and of intake,
as production does. Nothing is remembered here: what a rule with a memory knows of earlier events, no event tells.
`opsbridge rules explain` is the only caller.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.event import SEVERITIES, Event, Mark, Verdict
from opsbridge.core.first_level.detector import counts
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.rulebook import SOURCE, TARGET, Derivation, Gate, Inhibition, Maintenance, Rulebook
from opsbridge.errors import OpsBridgeError
from opsbridge.rules.compile import RuleSet
from opsbridge.rules.matching.conditions import Condition, Match
from opsbridge.rules.matching.reading import SEPARATOR, reader, value_of
from opsbridge.rules.prepare import prepare_of
from opsbridge.rules.rule import Ask, Enrich, Kind, Planned, Rule
from opsbridge.testing.words import Raw, condition, effect, negates, opening, raw_of, said_of, similar

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NoEventError(OpsBridgeError):
    """What was given is no event."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One condition, held against what the event has."""

    field: str
    condition: str
    """What it asks for: `is one of 'a', 'b'`."""
    had: str | None
    """What the event, or its CI, has there; None: nothing."""
    holds: bool
    negates: bool = False
    """It only says what must not be: most events meet it, and none is near for that."""
    similar: str = ""
    """Of a class that it does not hold for: the one that it asks for and that is spelled nearly like that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of a rule, and the event's answer."""

    place: str
    """Where the question stands in the rule: `match`, `cis`, `source`, `target`, `steps[0]`."""
    hears: str
    """The states it asks about: `firing`, `resolved` or `firing, resolved`."""
    heard: bool
    """Whether the event's state is one of these."""
    tested: tuple[Tested, ...]
    """If its CI is inherited, without what is asked of CIs."""
    matches: bool
    inherited: str = ""
    """Of a maintenance that is for this CI because it is lost without others: those."""
    group: dict[str, str] | None = None
    """The fields by which the rule remembers the event, if it does."""
    value: float | str | None = None
    """What it measures of the event."""
    effect: str = ""
    """What follows for an event that matches."""
    uncounted: str = ""
    """Why nothing follows although it matches: it has no value to count, or its group names no CI."""

    @property
    def missing(self) -> int:
        """How many conditions do not hold; another state is like one more."""
        return sum(not each.holds for each in self.tested) + (not self.heard)

    @property
    def akin(self) -> bool:
        """Whether it is about events like this: of this class, or nearly, and with something that holds."""
        told = any((each.holds and not each.negates) or each.similar for each in self.tested)
        return told and all(each.holds or each.similar for each in self.tested if each.field == "class")


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What one rule makes of the event."""

    rule: str
    kind: str
    title: str
    path: str
    line: int
    shadow: bool
    matches: bool
    decides: bool
    """Whether it is this rule that decides, or that gives the event labels or its fingerprint."""
    note: str
    """What is to be said of it besides: who decided before it, whether a maintenance's window is open."""
    answers: tuple[Answer, ...]

    @property
    def nearest(self) -> Answer | None:
        """Of a rule that does not match, the answer that comes nearest."""
        return None if self.matches else min(self.answers, key=lambda one: (not one.akin, one.missing), default=None)

    @property
    def missing(self) -> int:
        """How many conditions do not hold of the nearest answer; 0 if the rule matches."""
        return 0 if self.nearest is None else self.nearest.missing

    def near(self, most: int) -> bool:
        """Whether the rule matches, or is about events like this and would match but for so many conditions at most."""
        return self.matches or (self.nearest is not None and self.nearest.akin and self.nearest.missing <= most)


@dataclass(frozen=True, slots=True)
class ClassMeaning:
    """What a class means for correlation, and the rule that says so."""

    nature: str
    travels: str
    rule: str


GOES_ON: Final = "goes on"
"""The outcome of an event that is correlated."""

NOT_OF_EVENTS: Final[tuple[Kind, ...]] = ("correlate", "priority", "respond")
"""Kinds of rules that are asked of no event."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    """What all rules make of one event."""

    event: str
    ci: str
    known_ci: bool
    class_: str
    state: str
    severity: str
    """As it came in."""
    outcome: str
    """GOES_ON, or `suppressed`, `informational` or `routed`."""
    route: str
    """Where it was routed to."""
    decided_by: str
    """The rule that decided about it, or `severity`; empty if none did."""
    severity_after: str
    labels_before: dict[str, str]
    labels_after: dict[str, str]
    fingerprint_before: str
    fingerprint_after: str
    meaning: ClassMeaning
    grounds: tuple[str, ...]
    """By what it may be joined with alerts that no edge connects it with."""
    rules: tuple[RuleAnswer, ...]
    """Every rule that is asked of events, in order."""
    not_asked: dict[str, tuple[str, ...]]
    """By kind, the rules for correlation and for situations, which are asked of no event."""


def explain(report: Report, rule_set: RuleSet, graph: CIGraph) -> Explanation:
    """What the rules make of a report; NoEventError if intake refuses it."""
    time = (report.time - _EPOCH) // timedelta(milliseconds=1)
    came, ci = _bound(report, time, graph)
    book = rule_set.book
    prepared = came if book.prepare is None else book.prepare(came, ci)
    answer = Intake(graph, book).accept(report, time)
    decided = answer.reason if isinstance(answer, Withheld) else answer.rule if isinstance(answer, Event) else ""
    profile = book.profiles(came.class_)
    outcome = answer.place if isinstance(answer, Withheld) else GOES_ON
    asking = _Asking(rule_set, graph, came, prepared, ci, _marks(book, prepared, ci), outcome == "informational")
    return Explanation(
        event=came.id,
        ci=came.ci,
        known_ci=came.known_ci,
        class_=came.class_,
        state=report.state,
        severity=SEVERITIES[came.severity],
        outcome=outcome,
        route=answer.route if isinstance(answer, Withheld) else "",
        decided_by=decided,
        severity_after=SEVERITIES[answer.severity if isinstance(answer, Event) else came.severity],
        labels_before=came.labels,
        labels_after=prepared.labels,
        fingerprint_before=came.fingerprint,
        fingerprint_after=prepared.fingerprint,
        meaning=ClassMeaning(profile.nature.value, profile.travels.value, profile.rule),
        grounds=answer.grounds if isinstance(answer, Event) else (),
        rules=tuple(asking.answers()),
        not_asked={kind: tuple(rule.id for rule in rule_set.rules if rule.kind == kind) for kind in NOT_OF_EVENTS},
    )


def _bound(report: Report, time: int, graph: CIGraph) -> tuple[Event, CI]:
    """The event as intake shows it to rules, and its CI."""
    seen: list[tuple[Event, CI]] = []

    def see(event: Event, ci: CI) -> Event:
        seen.append((event, ci))
        return event

    answer = Intake(graph, Rulebook(prepare=see)).accept(report, time)
    if isinstance(answer, Rejected):
        raise NoEventError(f"this is no event: {answer.detail}")
    return seen[0]


def _marks(book: Rulebook, event: Event, ci: CI) -> tuple[Mark, ...]:
    """The marks that rules put on the event as enrichment left it."""
    if not event.firing:
        return () if book.listen is None else book.listen(event, ci)
    verdict = book.judge(event, ci)
    return () if verdict is None else verdict.marks


def _holds(match: Match, event: Event, ci: CI) -> bool:
    return all(test.holds(value_of(field, event, ci)) for field, test in match.items())


@dataclass(frozen=True, slots=True)
class _Asking:
    """One event, and all that is known of it before the rules are gone through."""

    rule_set: RuleSet
    graph: CIGraph
    came: Event
    prepared: Event
    ci: CI
    marks: tuple[Mark, ...]
    logged: bool
    """It is informational: no alert."""

    def answers(self) -> Iterator[RuleAnswer]:
        """Of every rule that is asked of events, in order."""
        asked = [(rule, self._rule(rule)) for rule in self.rule_set.rules if rule.kind not in NOT_OF_EVENTS]
        first = {
            kind: next(
                (rule for rule, answer in asked if rule.kind == kind and answer.matches and not rule.shadow), None
            )
            for kind in ("filter", "classify", "dedup")
        }
        taking = first["filter"] if first["filter"] is not None and isinstance(first["filter"].says, Verdict) else None
        for rule, answer in asked:
            yield self._placed(rule, answer, first, taking) if answer.matches else answer

    def _placed(
        self, rule: Rule, answer: RuleAnswer, first: Mapping[str, Rule | None], taking: Rule | None
    ) -> RuleAnswer:
        """The answer of a rule that matches, with what comes of it among the others."""
        if rule.kind == "enrich":
            return replace(answer, decides=True, note=self._labelled(rule))
        before = first.get(rule.kind)
        if rule.kind not in ("filter", "dedup") and taking is not None:
            before = taking
        if before is not None and before is not rule:
            trial = "in trial, and " if rule.shadow else ""
            verb = "takes the event away" if before is taking else "comes"
            return replace(answer, note=f"{trial}{before.id} {verb} before")
        if self.logged and isinstance(rule.says, Gate | Planned | Inhibition):
            return replace(answer, note="the event is informational: there is no alert to withhold")
        counted = any(each.matches and not each.uncounted for each in answer.answers)
        window, is_open = self._window(rule)
        if rule.shadow:
            return replace(answer, note="; ".join(filter(None, [window, "in trial: it only reports what it would do"])))
        return replace(answer, decides=counted and is_open, note=window)

    def _rule(self, rule: Rule) -> RuleAnswer:
        raw = raw_of(rule)
        answers = tuple(self._answer(rule, ask, raw) for ask in rule.asks)
        matches = any(answer.matches for answer in answers)
        return RuleAnswer(
            rule=rule.id,
            kind=rule.kind,
            title=rule.title,
            path=rule.path,
            line=rule.line,
            shadow=rule.shadow,
            matches=matches,
            decides=False,
            note="",
            answers=answers,
        )

    def _answer(self, rule: Rule, ask: Ask, raw: Raw) -> Answer:
        event = self.came if isinstance(rule.says, Enrich) else self.prepared
        place, parts = _place(rule, ask)
        said = {field: asked for part in parts for field, asked in said_of(raw, part, ask.part).items()}
        heard = ask.firing if event.firing else ask.resolved
        mark = next((mark for mark in self.marks if mark.rule == rule.mark and mark.part == ask.part), None)
        # who is in a maintenance by inheritance, its mark tells
        inherits = mark is not None and isinstance(rule.says, Planned) and not _holds(rule.says.cis, event, self.ci)
        asked = ask.match if inherits else rule.whole_match(ask)
        tested = tuple(self._tested(field, test, said.get(field), event) for field, test in asked.items())
        return Answer(
            place=place,
            hears=", ".join(state for state, is_so in (("firing", ask.firing), ("resolved", ask.resolved)) if is_so),
            heard=heard,
            tested=tested,
            matches=heard and all(each.holds for each in tested),
            inherited=self._inherited(rule.says.cis) if inherits and isinstance(rule.says, Planned) else "",
            group=None if mark is None else dict(zip(ask.group_by, mark.group.split(SEPARATOR), strict=False)),
            value=None if mark is None else mark.value,
            effect=effect(raw, ask.part),
            uncounted="" if mark is None else self._uncounted(rule, ask, mark),
        )

    def _tested(self, field: str, test: Condition, said: object, event: Event) -> Tested:
        holds = test.holds(value_of(field, event, self.ci))
        like = similar(event.class_, test.only or ()) if field == "class" and not holds else ""
        return Tested(field, condition(said), reader(field)(event, self.ci), holds, negates(said), like)

    def _uncounted(self, rule: Rule, ask: Ask, mark: Mark) -> str:
        """Why a derivation does not count the event that this mark was put on; empty if it does."""
        if not isinstance(rule.says, Derivation):
            return ""
        if not counts("numbers" if ask.as_number else "texts" if ask.measures else "events", mark):
            had = reader(ask.measures)(self.prepared, self.ci)
            return f"there is no {ask.measures}" if had is None else f"{ask.measures} is no number: '{had}'"
        if not rule.says.about(mark.group):
            return f"its group names no CI: {ask.group_by[rule.says.raises.ci_at]} is empty"
        return ""

    def _labelled(self, rule: Rule) -> str:
        """What a rule that enriches would set alone, and what of it another rule has set before."""
        prepare, _ = prepare_of([rule])
        if prepare is None or not isinstance(rule.says, Enrich):
            return ""
        alone, together = prepare(self.came, self.ci).labels, self.prepared.labels
        told = []
        for label in rule.says.labels:
            value = alone.get(label)
            if value is None:
                told.append(f"nothing for labels.{label}")
            else:
                first = "" if together.get(label) == value else f" (another rule before says {together.get(label)})"
                told.append(f"labels.{label}: {value}{first}")
        return "; ".join(told)

    def _window(self, rule: Rule) -> tuple[str, bool]:
        """Of a maintenance, whether a window is open, in words too; nothing closes other rules."""
        if not isinstance(rule.says, Planned) or not isinstance(rule.says.gate, Maintenance):
            return "", True
        return opening(rule.says.gate.windows, self.prepared.time)

    def _inherited(self, cis: Match) -> str:
        """The CIs below this one that the maintenance is for, some of them."""
        graph = self.graph
        seen = {graph.numbers[self.ci.id]}
        ahead = list(seen)
        while ahead:
            number = ahead.pop()
            members = [member for group in graph.groups[number] for member, _ in group.members]
            found = {*graph.providers[number], *members} - seen
            seen |= found
            ahead += found
        below = (graph.cis[number] for number in sorted(seen))
        meant = [ci.id for ci in below if _holds(cis, msgspec.structs.replace(self.prepared, ci=ci.id), ci)]
        more = f" and {len(meant) - _NAMED} more" if len(meant) > _NAMED else ""
        return ", ".join(meant[:_NAMED]) + more


_NAMED: Final = 5
_PLACES: Final = {SOURCE: "source", TARGET: "target"}


def _place(rule: Rule, ask: Ask) -> tuple[str, tuple[str, ...]]:
    """Where a question stands in its rule, in words, and the fields of the rule that it is made of."""
    match rule.kind:
        case "sequence":
            return f"steps[{ask.part}]", ("steps",)
        case "inhibit":
            return _PLACES[ask.part], (_PLACES[ask.part],)
        case "maintenance":
            return "", ("cis", "match")
    return "match", ("match",)
