"""Reporting: turns a situation into the snapshot that others read, with its impact, candidates and reasons in words.

Called by the second level when a situation is due to be told of. Members and affected CIs leave in slices, so that an
incident is never capped and no record outgrows the broker's limit.
"""

from typing import Final

from opsbridge.core.decisions import Candidate, Impact, Moved, Root, Situation, SituationUpdate
from opsbridge.core.graph import CIGraph
from opsbridge.core.roots import Evidence, Node, confidence
from opsbridge.core.situations import LiveSituation

SLICE: Final = 200
"""Members and CIs per record: about 50 kB, and within a record's usual limit of 1 MB with the longest legal names."""

CANDIDATES: Final = 5
"""How many candidates a snapshot names, the root among them."""

NAMED_SERVICES: Final = 200
"""How many services a snapshot names."""


class Reporter:
    """Tells of situations, and remembers in them what has been told."""

    __slots__ = ("_evidence", "_graph")

    def __init__(self, graph: CIGraph, evidence: Evidence) -> None:
        self._graph = graph
        self._evidence = evidence

    def updates(self, situation: LiveSituation) -> list[SituationUpdate]:
        """The next version of the situation, in as many records as its news needs."""
        state = situation.state
        if situation.nodes and len(situation.nodes) * 4 >= state.scored * 5:
            self.score(situation)
        joined = tuple(alert.member() for alert in situation.joined.values())
        moved = Moved(joined, tuple(state.left), *self._affected_moved(situation))
        state.version += 1
        state.touched = False
        state.told, state.left = state.sequence, []
        state.told_root, state.told_severity = state.root, situation.severity
        situation.joined = {}
        return _slices(self._snapshot(situation), moved)

    def score(self, situation: LiveSituation) -> None:
        """Work out how well each candidate explains the situation's CIs, and the confidence in its root."""
        state = situation.state
        scores = self._evidence.scores(list(situation.nodes))
        root_score = scores.pop(situation.root, 0.0)
        name = self._evidence.name
        rivals = sorted(scores.items(), key=lambda scored: (-scored[1], name(scored[0])))[: CANDIDATES - 1]
        state.confidence = round(confidence(root_score, [score for _, score in rivals]), 3)
        state.candidates = [
            Candidate(state.root, round(root_score, 3)),
            *(Candidate(name(node), round(score, 3)) for node, score in rivals),
        ]
        state.scored = len(situation.nodes)

    def _affected_moved(self, situation: LiveSituation) -> tuple[tuple[str, ...], ...]:
        """CIs joined, CIs left, services joined, services left: those of the root now against the root told."""
        state = situation.state
        if state.told_root == state.root:
            return (), (), (), ()
        then = self._affected(self._graph.numbers.get(state.told_root, state.told_root)) if state.told_root else []
        now = self._affected(situation.root)
        were, are = set(then), set(now)
        joined, left = [node for node in now if node not in were], [node for node in then if node not in are]
        name, service = self._evidence.name, self._is_service
        return (
            tuple(map(name, joined)),
            tuple(map(name, left)),
            tuple(name(node) for node in joined if service(node)),
            tuple(name(node) for node in left if service(node)),
        )

    def _affected(self, root: Node) -> list[Node]:
        return [root, *self._graph.impacted(root)] if isinstance(root, int) else [root]

    def _is_service(self, node: Node) -> bool:
        return isinstance(node, int) and self._graph.cis[node].service

    def _impact(self, situation: LiveSituation) -> Impact:
        known = situation.impact
        if known is None or known[0] != situation.root:
            affected = self._affected(situation.root)
            services = [self._graph.cis[node] for node in affected if isinstance(node, int) and self._is_service(node)]
            services.sort(key=lambda ci: (99 if ci.tier is None else ci.tier, ci.id))
            named = tuple(ci.id for ci in services[:NAMED_SERVICES])
            known = situation.impact = situation.root, Impact(len(affected), len(services), named)
        return known[1]

    def _snapshot(self, situation: LiveSituation) -> Situation:
        state = situation.state
        own = min(situation.root_alerts, key=lambda alert: (alert.opened, alert.fingerprint), default=None)
        root = Root(state.root, own.class_ if own else None, own is None, state.confidence)
        return Situation(
            id=state.id,
            version=state.version,
            status=state.status,
            severity=situation.severity,
            root=root,
            candidates=tuple(state.candidates),
            firing=situation.firing,
            alerts=len(situation.alerts),
            impact=self._impact(situation),
            opened_ms=state.opened,
            updated_ms=self._told_at(situation),
            resolved_ms=state.resolved,
            merged_into=state.merged_into,
            because=tuple(_because(situation, root)),
        )

    def _told_at(self, situation: LiveSituation) -> int:
        state = situation.state
        return max(state.updated, state.resolved or 0)


def _because(situation: LiveSituation, root: Root) -> list[str]:
    state = situation.state
    if state.merged_into is not None:
        return [f"situation {state.merged_into} explains all its alerts"]
    cis = len(situation.nodes) or state.scored
    reasons = [
        f"{root.ci} sent nothing itself; its failure is the best explanation of the alerts of {cis} CIs"
        if root.silent
        else f"{root.ci} sent {root.class_}; its failure explains the alerts of {cis} CIs"
    ]
    if len(state.candidates) > 1:
        first, second = state.candidates[:2]
        reasons.append(f"next best is {second.ci}, {first.score - second.score:.1f} nats behind")
    reasons += [f"rule {rule} classified alerts of it" for rule in state.rules]
    return reasons


def _slices(situation: Situation, moved: Moved) -> list[SituationUpdate]:
    columns = [getattr(moved, field) for field in moved.__struct_fields__]
    parts = -(-max(1, *map(len, columns)) // SLICE)
    return [
        SituationUpdate(
            situation, part + 1, parts, Moved(*(column[part * SLICE : (part + 1) * SLICE] for column in columns))
        )
        for part in range(parts)
    ]
