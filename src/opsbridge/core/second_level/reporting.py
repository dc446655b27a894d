"""Reporting: turns a situation into the snapshot that others read, with its impact, candidates and reasons in words.

Called by the second level when a situation is due to be told of. Members and affected CIs leave in slices, so that an
incident is never capped and no record outgrows the broker's limit.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final

from opsbridge.core.decisions import Candidate, Impact, Moved, RecentChange, Root, Situation, SituationUpdate
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.impact import impacted, impacted_by
from opsbridge.core.second_level.evidence import Evidence, Node
from opsbridge.core.second_level.explanation import confidence, scores
from opsbridge.core.second_level.holding import Holding
from opsbridge.core.second_level.situations import LiveSituation

SLICE: Final = 200
"""Members and CIs per record: about 50 kB, and within a record's usual limit of 1 MB with the longest legal names."""

CANDIDATES: Final = 5
"""How many candidates a snapshot names, the root among them."""

NAMED_SERVICES: Final = 200
"""How many services a snapshot names."""

NAMED_SITES: Final = 20
NAMED_CHANGES: Final = 5
NAMED_DEPENDENTS: Final = 50
"""How many sites, changes and dependents of the root (`heard`, `unheard`) it names."""


class Reporter:
    """Tells of situations, and remembers in them what has been told."""

    __slots__ = ("_evidence", "_failed", "_graph", "holding")

    def __init__(self, graph: CIGraph, evidence: Evidence, holding: Holding, failed: Callable[[Node], bool]) -> None:
        """`failed` tells whether a CI is the root of an open situation, `holding` whom it was told to affect."""
        self._failed = failed
        self.holding = holding
        self._graph = graph
        self._evidence = evidence

    def updates(self, situation: LiveSituation, now: int) -> list[SituationUpdate]:
        """The next version of the situation, told `now`, in as many records as its news needs."""
        state = situation.state
        if situation.nodes and not state.flapping and len(situation.nodes) * 4 >= state.scored * 5:
            self.score(situation)
        newest = [alert.member() for alert in situation.joined.values() if alert.held == alert.occurrence]
        joined = (*state.past, *newest)
        others = self._others(situation, now) if self._graph.grouped else []
        moved = Moved(joined, tuple(state.left), *self._affected_moved(situation, others, now))
        state.version += 1
        state.touched = False
        state.told, state.left, state.past = state.sequence, [], []
        state.told_root, state.told_others = state.root, others
        if situation.alerts:  # what has lost all of them ends as what it was
            state.told_severity, state.told_class = situation.severity, situation.class_of_root()
        situation.joined = {}
        return slices(self._snapshot(situation, self._impact(situation, others, now), now), moved, now)

    def score(self, situation: LiveSituation) -> None:
        """Work out how well each candidate explains the situation's CIs, and the confidence in its root."""
        state = situation.state
        name = self._evidence.name
        ranked = scores(self._evidence, list(situation.nodes))
        root_score = next((score.ratio for score in ranked if score.node == situation.root), 0.0)
        rivals = [score for score in ranked if score.node != situation.root][: CANDIDATES - 1]
        state.confidence = round(confidence(root_score, [score.ratio for score in rivals]), 3)
        state.candidates = [
            Candidate(state.root, round(root_score, 3)),
            *(Candidate(name(score.node), round(score.ratio, 3)) for score in rivals),
        ]
        state.scored = len(situation.nodes)

    def _affected_moved(self, situation: LiveSituation, others: Sequence[str], now: int) -> tuple[tuple[str, ...], ...]:
        """CIs joined, CIs left, services joined, services left: those affected now against those told of."""
        state = situation.state
        basis = state.root, tuple(others)
        known = self.holding.affected(state.id)
        may_change = self._graph.service_times or known is not None
        if (state.told_root, tuple(state.told_others)) == basis and not may_change:
            return (), (), (), ()
        numbers = self._graph.numbers
        if known is not None:
            before = [numbers.get(name, name) for name in known]
        else:
            told = numbers.get(state.told_root, state.told_root)
            before = self._affected(told, state.told_others, state.told_at) if state.told_root else []
        after = self._affected(situation.root, others, now)
        if known is not None:
            self.holding.told(state.id, map(self._evidence.name, after))
        were, are = set(before), set(after)
        joined, left = [node for node in after if node not in were], [node for node in before if node not in are]
        name, service = self._evidence.name, self._is_service
        return (
            tuple(map(name, joined)),
            tuple(map(name, left)),
            tuple(name(node) for node in joined if service(node)),
            tuple(name(node) for node in left if service(node)),
        )

    def _affected(self, root: Node, others: Sequence[str], now: int) -> list[Node]:
        """The root, and all that is lost with it: what needs it, and whose quorum it breaks with the other failures."""
        if not isinstance(root, int):
            return [root]
        known = [number for other in others if (number := self._graph.numbers.get(other)) is not None]
        lost = impacted_by(self._graph, root, known, now) if known else impacted(self._graph, [root], now)
        return [root, *(number for number in lost.lost if number != root)]

    def _others(self, situation: LiveSituation, now: int) -> list[str]:
        """The roots of other open situations whose failure takes a quorum together with this one's."""
        root, graph = situation.root, self._graph
        if not isinstance(root, int):
            return []
        found: set[str] = set()
        for number in impacted(graph, [root], now).degraded:
            for group in graph.groups[number]:
                for member, _ in group.members:
                    found.update(graph.cis[other].id for other, _ in graph.reach(member) if self._failed(other))
        return sorted(found - {situation.state.root})

    def _is_service(self, node: Node) -> bool:
        return isinstance(node, int) and self._graph.cis[node].service

    def _impact(self, situation: LiveSituation, others: Sequence[str], now: int) -> Impact:
        basis = situation.root, tuple(others)
        known = situation.impact
        if known is None or known[0] != basis or self._graph.service_times:
            affected = self._affected(situation.root, others, now)
            cis = [self._graph.cis[node] for node in affected if isinstance(node, int)]
            known = situation.impact = basis, _impact(len(affected), cis)
        return known[1]

    def _changes(self, situation: LiveSituation, now: int) -> tuple[RecentChange, ...]:
        """The changes on its candidates that were recent when these began to alert, or the situation did."""
        context = self._evidence.context
        touched = [] if context is None else [each.ci for each in situation.state.candidates if each.ci in context.cis]
        if context is None or not touched:
            return ()
        first = dict.fromkeys(touched, situation.state.opened)
        own = [alert for alert in situation.alerts.values() if alert.ci in first]
        for alert in sorted(own, key=lambda alert: -alert.opened):
            first[alert.ci] = alert.opened
        found = [change for ci in touched for change in context.recent(ci, now, first[ci])]
        found.sort(key=lambda change: (-change.began_ms, change.id, change.ci))
        return tuple(found[:NAMED_CHANGES])

    def _snapshot(self, situation: LiveSituation, impact: Impact, now: int) -> Situation:
        state = situation.state
        changes = self._changes(situation, now) if state.merged_into is None else ()
        unheard: tuple[str, ...] = ()
        heard: tuple[str, ...] = ()
        if state.status == "closed":
            sent = {alert.ci for alert in situation.alerts.values()}
            unheard, heard = dependents(self._graph, situation.root, sent, state.opened)
        root = Root(state.root, state.told_class, state.told_class is None, state.confidence)
        return Situation(
            id=state.id,
            version=state.version,
            status=state.status,
            severity=state.told_severity,
            root=root,
            candidates=tuple(state.candidates),
            firing=situation.firing,
            alerts=len(situation.alerts) + len(state.stayed),
            impact=impact,
            opened_ms=state.opened,
            updated_ms=self._told_at(situation),
            resolved_ms=state.resolved,
            merged_into=state.merged_into,
            because=tuple(_because(situation, root, changes)),
            changes=changes,
            unheard=unheard,
            heard=heard,
            reopened=state.recurred,
            correction=state.correction,
            topology=state.topology,
        )

    def _told_at(self, situation: LiveSituation) -> int:
        state = situation.state
        return max(state.updated, state.resolved or 0)


def _impact(affected: int, cis: Sequence[CI]) -> Impact:
    """The figures of what is affected; `cis` are those that the topology has.

    People who use several of the services count several times: nobody knows who they are.
    """
    services = sorted((ci for ci in cis if ci.service), key=_most_important)
    return Impact(
        affected,
        len(services),
        tuple(ci.id for ci in services[:NAMED_SERVICES]),
        min((ci.tier for ci in services or cis if ci.tier is not None), default=None),
        sum(ci.users for ci in services),
        tuple(sorted({ci.site for ci in cis if ci.site})[:NAMED_SITES]),
    )


def _most_important(ci: CI) -> tuple[int, str]:
    return (99 if ci.tier is None else ci.tier), ci.id


def dependents(
    graph: CIGraph, root: Node, sent: Collection[str], opened: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of those that should have felt the root's failure, who sent nothing while it lasted, and who was heard.

    Monitored, direct dependents that cannot do without it. Who sent nothing itself is heard by what depends on it. Of
    those out of service when it began, the silence says nothing.
    """
    if not isinstance(root, int):
        return (), ()
    touched = {root}
    behind = [number for name in sent if (number := graph.numbers.get(name)) is not None and number != root]
    while behind:
        touched.update(behind)
        behind = list({provider for number in behind for provider in graph.providers[number]} - touched)
    every = [(number, graph.cis[number].id) for number in graph.expects(root)]
    unheard = (name for number, name in every if number not in touched and graph.in_service(number, opened))
    heard = (name for number, name in every if number in touched)
    return tuple(islice(unheard, NAMED_DEPENDENTS)), tuple(islice(heard, NAMED_DEPENDENTS))


def _because(situation: LiveSituation, root: Root, changes: Sequence[RecentChange]) -> list[str]:
    state = situation.state
    if state.merged_into is not None:
        return [f"situation {state.merged_into} explains all its alerts"]
    if state.correction:
        return [f"an operator put these alerts together ({state.correction})"]
    cis = len(situation.nodes) or state.scored
    reasons = [
        f"{root.ci} sent nothing itself; its failure is the best explanation of the alerts of {cis} CIs"
        if root.silent
        else f"{root.ci} sent {root.class_}; its failure explains the alerts of {cis} CIs"
    ]
    if len(state.candidates) > 1:
        first, second = state.candidates[:2]
        reasons.append(f"next best is {second.ci}, {first.score - second.score:.1f} nats behind")
    own = [change.id for change in changes if change.ci == root.ci]
    reasons += [f"change {name} to {root.ci} was under way or recent then" for name in own]
    reasons += [f"rule {rule} raised or classified alerts of it" for rule in state.rules]
    return reasons


def slices(situation: Situation, moved: Moved, now: int) -> list[SituationUpdate]:
    """One version of a situation and what moved with it, told `now`, in records of at most SLICE of each."""
    columns = [getattr(moved, field) for field in moved.__struct_fields__]
    parts = -(-max(1, *map(len, columns)) // SLICE)
    return [
        SituationUpdate(
            situation, part + 1, parts, Moved(*(column[part * SLICE : (part + 1) * SLICE] for column in columns)), now
        )
        for part in range(parts)
    ]
