"""Grouping: divides CIs with unexplained alerts among roots, taking from situations what a better root explains.

A lazy greedy choice over the candidates' ratios (roots.py): the best candidate takes every alerting CI it would
explain, except what a still better root holds; what is left competes again. Only candidates that the unexplained CIs
depend on are looked at, so the cost follows the change, not the storm.
"""

from heapq import heappop, heappush

from opsbridge.core.roots import SELF_RATIO, WEIGHT, Evidence, Node, Rank
from opsbridge.core.situations import LiveSituation


class Group:
    """A root and the CIs it is to explain; `situation` if that root, or what explains the root, has one already."""

    __slots__ = ("nodes", "root", "situation")

    def __init__(self, root: Node, situation: LiveSituation | None) -> None:
        self.root = root
        self.situation = situation
        self.nodes: list[Node] = []


def regroup(
    evidence: Evidence,
    unexplained: list[Node],
    claimed: dict[Node, LiveSituation],
    rooted: dict[Node, LiveSituation],
) -> tuple[list[Group], list[LiveSituation]]:
    """The new groups, and the situations they took CIs from: these are dissolved and their CIs are in the groups."""
    return _Regrouping(evidence, unexplained, claimed, rooted).run()


class _Regrouping:
    def __init__(
        self,
        evidence: Evidence,
        unexplained: list[Node],
        claimed: dict[Node, LiveSituation],
        rooted: dict[Node, LiveSituation],
    ) -> None:
        self._evidence = evidence
        self._claimed = claimed
        self._rooted = rooted
        self._open = dict.fromkeys(unexplained)
        self._taken: dict[Node, Group] = {}
        self._groups: list[Group] = []
        self._dissolved: dict[str, LiveSituation] = {}
        self._offered: set[Node] = set()
        self._heap: list[tuple[Rank, str, Node]] = []
        self._standing: dict[str, Rank] = {}

    def run(self) -> tuple[list[Group], list[LiveSituation]]:
        for node in self._open:
            self._offer_candidates_of(node)
        while self._heap and self._open:
            rank, _, root = heappop(self._heap)
            self._consider(root, rank)
        for node in list(self._open):
            self._take(node, [node])
        return self._groups, list(self._dissolved.values())

    def _offer_candidates_of(self, node: Node) -> None:
        for level in self._evidence.upstream(node):
            for candidate in level:
                if candidate not in self._offered:
                    self._offered.add(candidate)
                    self._offer(candidate, self._evidence.ratio(candidate))

    def _offer(self, candidate: Node, ratio: float) -> None:
        if ratio > SELF_RATIO:
            heappush(self._heap, (self._evidence.rank(candidate, ratio), self._evidence.name(candidate), candidate))

    def _consider(self, root: Node, rank: Rank) -> None:
        """Let the candidate take what it may; if that is less than it promised, let it stand behind others again."""
        evidence = self._evidence
        nodes: list[Node] = []
        explains = 0
        for hops, node in evidence.explained(root):
            if self._may_take(node, rank):
                nodes.append(node)
                explains += WEIGHT[hops]
        if not any(node in self._open for node in nodes):
            return
        ratio = explains / evidence.cost(root)
        if ratio < -rank[0]:
            behind = evidence.rank(root, ratio)
            if ratio <= SELF_RATIO or (self._heap and self._heap[0][0] < behind):
                self._offer(root, ratio)
                return
        self._take(root, nodes)

    def _may_take(self, node: Node, rank: Rank) -> bool:
        if node in self._open:
            return True
        if node in self._taken:
            return False
        holder = self._claimed.get(node)
        return holder is not None and holder.state.id not in self._dissolved and self._standing_of(holder) > rank

    def _standing_of(self, holder: LiveSituation) -> Rank:
        standing = self._standing.get(holder.state.id)
        if standing is None:
            evidence = self._evidence
            ratio = max(SELF_RATIO, evidence.ratio(holder.root))
            standing = self._standing[holder.state.id] = evidence.rank(holder.root, ratio)
        return standing

    def _take(self, root: Node, nodes: list[Node]) -> None:
        group = self._group_for(root, nodes)
        for node in nodes:
            holder = self._claimed.get(node)
            if holder is not None and holder is not group.situation:
                self._dissolve(holder)
        for node in nodes:
            self._open.pop(node, None)
            self._taken[node] = group
        group.nodes += nodes

    def _group_for(self, root: Node, nodes: list[Node]) -> Group:
        """A group of its own, or the one that explains the root's own alert and with it all behind the root."""
        if root in self._taken:
            return self._taken[root]
        holder = self._rooted.get(root)
        if holder is None and root not in nodes:
            holder = self._claimed.get(root)
        if holder is not None and holder.state.id not in self._dissolved:
            group = Group(holder.root, holder)
        else:
            group = Group(root, None)
        self._groups.append(group)
        return group

    def _dissolve(self, holder: LiveSituation) -> None:
        if holder.state.id in self._dissolved:
            return
        self._dissolved[holder.state.id] = holder
        for node in holder.nodes:
            if node not in self._taken and node not in self._open:
                self._open[node] = None
                self._offer_candidates_of(node)
