"""Rules put together for the core: functions for what is asked of events, data for what keeps a memory.

`compile_rules` takes what the loader read and makes the one immutable object that intake and all stages are given. The
graph tells what a maintenance window takes along and which CIs a heartbeat expects; both are worked out here, so that
they cost nothing when events come. The shipped rules for correlation stand behind these rules.
"""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from opsbridge.core.event import Mark, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.impact import impacted
from opsbridge.core.rulebook import Derivation, Gate, Heartbeat, Inhibition, Rulebook, no_verdict
from opsbridge.rules.correlation import Correlate, Correlation, put_together
from opsbridge.rules.defaults import with_defaults
from opsbridge.rules.judge import DECIDING, Question, hearing, judgement, would
from opsbridge.rules.known_errors import Documented
from opsbridge.rules.matching.questions import Compiled, compiled, matching_cis
from opsbridge.rules.matching.situations import answering, knowing, prioritising
from opsbridge.rules.prepare import prepare_of
from opsbridge.rules.rule import Planned, Prioritised, Respond, Rule

_Says = TypeVar("_Says")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A compiled set; immutable, swapped as a whole."""

    rules: tuple[Rule, ...]
    book: Rulebook
    """What the core is told."""
    edge_strengths: dict[str, float]
    """How likely a failure passes an edge, by edge type; types that no rule names are missing."""
    digest: str
    """The same for the same rules and known errors in the same order; comments and layout do not count."""
    source: str
    """All generated code; nothing that a rule file says is in it."""


def compile_rules(
    rules: Iterable[Rule], graph: CIGraph | None = None, known_errors: Iterable[Documented] = ()
) -> RuleSet:
    """The rule set of these rules and known errors, completed by the shipped rules for correlation.

    Without a graph, a maintenance window is for the CIs that match only, and a heartbeat expects nobody.
    """
    rules, known_errors = tuple(rules), tuple(known_errors)
    correlation = _correlation(rules)
    prepare, prepare_source = prepare_of(rules)
    judge = _judge(rules, graph)
    listen = _listen(rules)
    derivations = _derivations(rules, graph)
    gates = [rule.says.gate if isinstance(rule.says, Planned) else rule.says for rule in rules]
    inhibitions = [rule.says for rule in rules if isinstance(rule.says, Inhibition)]
    book = Rulebook(
        judge=no_verdict if judge is None else judge.ask,
        prepare=prepare,
        listen=None if listen is None else listen.ask,
        profiles=correlation.profiles,
        joins=correlation.joins,
        derivations={each.key: each for each in derivations},
        gates={gate.rule: gate for gate in gates if isinstance(gate, Gate)},
        inhibitions={each.rule: each for each in inhibitions},
        respond=answering((says.match, says.answer, says.last) for says in _said(rules, Respond)),
        prioritise=prioritising((says.match, says.scale) for says in _said(rules, Prioritised)),
        known_errors=knowing((each.match, each.error, each.until) for each in known_errors),
        trials={rule.id: would(rule) for rule in rules if rule.shadow and rule.kind in DECIDING},
    )
    source = prepare_source + "".join(asked.source for asked in (judge, listen) if asked is not None)
    text = "\n".join([rule.text for rule in rules] + [each.text for each in known_errors])
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return RuleSet(rules, book, correlation.edge_strengths, digest, source)


def _said(rules: Iterable[Rule], what: type[_Says]) -> Iterator[_Says]:
    return (rule.says for rule in rules if isinstance(rule.says, what))


def edge_strengths(rules: Iterable[Rule]) -> dict[str, float]:
    """How likely a failure passes an edge, by edge type: what building the graph needs before rules are compiled."""
    return _correlation(rules).edge_strengths


def _correlation(rules: Iterable[Rule]) -> Correlation:
    return put_together(rule.says for rule in with_defaults(rules) if isinstance(rule.says, Correlate))


def _judge(rules: Sequence[Rule], graph: CIGraph | None) -> Compiled[Verdict | None] | None:
    questions = [question for question in _asking(rules) if question.ask.firing]
    if not questions:
        return None
    matches = [question.rule.whole_match(question.ask) for question in questions]
    return compiled(matches, judgement(questions), "None", _taken_along(questions, graph))


def _listen(rules: Sequence[Rule]) -> Compiled[tuple[Mark, ...]] | None:
    questions = [question for question in _asking(rules) if question.ask.resolved]
    return compiled([question.ask.match for question in questions], hearing(questions), "()") if questions else None


def _asking(rules: Sequence[Rule]) -> list[Question]:
    """The questions whose answers are verdicts and marks; what enriches and identifies is asked before."""
    return [Question(rule, ask) for rule in rules if rule.kind not in ("enrich", "dedup") for ask in rule.asks]


def _taken_along(questions: Sequence[Question], graph: CIGraph | None) -> Mapping[CI, int]:
    """By CI, the bits of the maintenance windows that it is in because what it cannot do without is in them."""
    inheriting = [
        (1 << number, says.cis)
        for number, question in enumerate(questions)
        if isinstance(says := question.rule.says, Planned) and says.inherit and says.cis
    ]
    if graph is None or not inheriting:
        return {}
    windows: dict[tuple[int, ...], int] = {}  # windows of the same CIs take the same along
    matching = matching_cis([match for _, match in inheriting], graph.cis)
    for (bit, _), places in zip(inheriting, map(tuple, matching), strict=True):
        windows[places] = windows.get(places, 0) | bit
    always = copy.copy(graph)
    always.service_times = {}  # whom it takes along must not hang on the time at which rules are compiled
    taken: dict[int, int] = {}
    for places, bits in windows.items():
        for number in impacted(always, places, 0).lost:
            taken[number] = taken.get(number, 0) | bits
    same: dict[int, int] = {}  # one object for equal bits
    return {graph.cis[number]: same.setdefault(bits, bits) for number, bits in taken.items()}


def _derivations(rules: Sequence[Rule], graph: CIGraph | None) -> list[Derivation]:
    """Every derivation, heartbeats with the CIs that they expect."""
    expected: dict[str, tuple[str, ...]] = {}
    if graph is not None:
        expecting = {rule.id: rule.expects for rule in rules if rule.expects is not None}
        found = matching_cis(list(expecting.values()), graph.cis)
        for rule_id, places in zip(expecting, found, strict=True):
            expected[rule_id] = tuple(graph.cis[place].id for place in places)
    return [
        msgspec.structs.replace(says, expected=expected.get(rule.id, ())) if isinstance(says, Heartbeat) else says
        for rule in rules
        if isinstance(says := rule.says, Derivation)
    ]
