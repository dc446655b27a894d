"""Grouping: finds the cheapest roots for CIs whose alerts nothing explains yet, and replaces roots made needless.

A lazy greedy weighted set cover (Chvatal 1979): the candidate that saves most per cost goes first. It saves the price
of every unexplained CI that it would explain, and the price of every other root whose CIs it explains all. Only
candidates that the unexplained CIs depend on are looked at, so the cost follows the change, not the storm.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from opsbridge.core.roots import ALONE, WEIGHT, Evidence, Node, Rank
from opsbridge.core.situations import LiveSituation


class Group:
    """A root with the CIs that it is to explain, and the situations that become one because of it."""

    __slots__ = ("cost", "nodes", "root", "situations")

    def __init__(self, root: Node, cost: int) -> None:
        self.root = root
        self.cost = cost
        self.nodes: list[Node] = []
        self.situations: list[LiveSituation] = []


def regroup(
    evidence: Evidence,
    unexplained: Iterable[Node],
    candidates: Iterable[Node],
    claimed: Mapping[Node, LiveSituation],
) -> list[Group]:
    """Groups that together explain every unexplained CI; `candidates` are tried beside those the CIs depend on."""
    return _Grouping(evidence, unexplained, claimed).run(candidates)


class _Grouping:
    def __init__(self, evidence: Evidence, unexplained: Iterable[Node], claimed: Mapping[Node, LiveSituation]) -> None:
        self._evidence = evidence
        self._claimed = claimed
        self._open = dict.fromkeys(unexplained)
        self._groups: dict[int, Group] = {}
        self._group_of: dict[Node, Group] = {}
        self._gone: dict[str, Group] = {}  # situation -> the group that has taken it in
        self._heap: list[tuple[Rank, Node]] = []

    def run(self, candidates: Iterable[Node]) -> list[Group]:
        evidence = self._evidence
        offered = dict.fromkeys(candidates)
        for node in self._open:
            for level in evidence.upstream(node):
                offered.update(dict.fromkeys(level))
        for candidate in offered:
            if evidence.worth_trying(candidate):
                heappush(self._heap, (evidence.rank(candidate, evidence.promise(candidate)), candidate))
        while self._heap:
            rank, root = heappop(self._heap)
            self._consider(root, rank)
        for node in list(self._open):
            self._take(Group(node, ALONE), [node], [])
        return list(self._groups.values())

    def _holder(self, node: Node) -> Group | LiveSituation | None:
        group = self._group_of.get(node)
        if group is not None:
            return group
        situation = self._claimed.get(node)
        return None if situation is None else self._gone.get(situation.state.id, situation)

    def _consider(self, root: Node, rank: Rank) -> None:
        """Take the candidate if it saves more than it costs and nothing else saves more per cost."""
        evidence = self._evidence
        nodes: list[Node] = []
        worth = 0
        held: dict[int, tuple[Group | LiveSituation, list[int]]] = {}
        for hops, node in evidence.explained(root):
            if node in self._open:
                nodes.append(node)
                worth += WEIGHT[hops]
            elif (holder := self._holder(node)) is not None:
                held.setdefault(id(holder), (holder, []))[1].append(WEIGHT[hops])
        worth *= ALONE // 1000
        absorbed: list[Group | LiveSituation] = []
        most = ALONE * len(nodes)
        for holder, weights in held.values():
            if holder.root == root or len(weights) == len(holder.nodes):
                absorbed.append(holder)
                most += holder.cost
                worth += holder.cost * sum(weights) // (1000 * len(weights))
        cost = evidence.cost(root)
        if worth <= cost or not (nodes or any(holder.root != root for holder in absorbed)):
            evidence.refuse(root, most)
            return
        again = evidence.rank(root, worth / cost)
        if again > rank and self._heap and self._heap[0][0] < again:
            heappush(self._heap, (again, root))
            return
        self._take(self._explaining(root, cost, absorbed), nodes, absorbed)

    def _explaining(self, root: Node, cost: int, absorbed: list[Group | LiveSituation]) -> Group:
        """A group of its own; or, if the root's own alert is explained by something else, the group of that."""
        holder = None if root in self._open else self._holder(root)
        if holder is None or holder in absorbed:
            return Group(root, cost)
        if isinstance(holder, Group):
            return holder
        group = Group(holder.root, holder.cost)
        self._absorb(group, holder)
        return group

    def _take(self, group: Group, nodes: list[Node], absorbed: list[Group | LiveSituation]) -> None:
        self._groups[id(group)] = group
        for node in nodes:
            del self._open[node]
            self._group_of[node] = group
        group.nodes += nodes
        for holder in absorbed:
            if holder is not group:
                self._absorb(group, holder)

    def _absorb(self, group: Group, holder: Group | LiveSituation) -> None:
        situations = [holder] if isinstance(holder, LiveSituation) else holder.situations
        for node in holder.nodes:
            self._group_of[node] = group
        for situation in situations:
            self._gone[situation.state.id] = group
        group.nodes += holder.nodes
        group.situations += situations
        if isinstance(holder, Group):
            del self._groups[id(holder)]
