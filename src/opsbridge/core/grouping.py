"""Grouping: finds the cheapest roots for CIs whose alerts nothing explains yet, and replaces roots made needless.

A lazy greedy weighted set cover (Chvatal 1979): the candidate that saves most per cost goes first. It saves the price
of every unexplained CI that depends on it, and the cost of every other root whose CIs all depend on it. Only candidates
that newly alerting CIs depend on are looked at, and nothing is searched for: the work follows the change.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from opsbridge.core.roots import ALONE, WEIGHT, Evidence, Node, Rank
from opsbridge.core.situations import LiveSituation

Holders = dict[str, LiveSituation]
"""Situations by id."""


class Group:
    """A root with the CIs that it is to explain, and the situations that become one because of it."""

    __slots__ = ("common", "cost", "nodes", "root", "situations")

    def __init__(self, root: Node, cost: int) -> None:
        self.root = root
        self.cost = cost
        self.nodes: list[Node] = []
        self.situations: list[LiveSituation] = []
        self.common: set[Node] = set()
        """What all its CIs depend on."""


class Grouping:
    """One settling: what is to be explained, and what explains something already."""

    def __init__(
        self,
        evidence: Evidence,
        *,
        claimed: Mapping[Node, LiveSituation],
        rooted: Mapping[Node, LiveSituation],
        covering: Mapping[Node, Holders],
    ) -> None:
        """`claimed` says what explains a CI, `rooted` what has it as root, `covering` whose CIs all depend on it."""
        self._evidence = evidence
        self._claimed = claimed
        self._rooted = rooted
        self._covering = covering
        self._open: dict[Node, None] = {}
        self._behind: dict[Node, list[tuple[int, Node]]] = {}
        self._groups: list[Group] = []
        self._group_of: dict[Node, Group] = {}
        self._gone: dict[str, Group] = {}  # situation -> the group that has taken it in
        self._heap: list[tuple[Rank, Node]] = []

    def run(self, unexplained: Iterable[Node], joined: Mapping[Node, Node]) -> list[Group]:
        """Groups that explain every unexplained CI.

        `joined` maps CIs to the root that has just come to explain them, which may have made another one better.
        """
        upstream = self._evidence.upstream
        for node in unexplained:
            self._open[node] = None
            for weight, level in zip(WEIGHT, upstream(node), strict=False):
                for candidate in level:
                    self._behind.setdefault(candidate, []).append((weight, node))
        offered = set(self._behind)
        for node, root in joined.items():
            for level in upstream(node):
                offered.update(candidate for candidate in level if candidate != root)
        for candidate in offered:
            self._offer(candidate)
        while self._heap:
            rank, root = heappop(self._heap)
            self._consider(root, rank)
        for node in list(self._open):
            self._take(Group(node, ALONE), [node], [])
        return self._groups

    def _offer(self, candidate: Node) -> None:
        nodes, held = self._behind.get(candidate, ()), self._held(candidate)
        if len(nodes) + len(held) < 2:
            return  # a single CI needs no other explanation than itself
        cost = self._evidence.cost(candidate)
        if ALONE * len(nodes) + sum(holder.cost for holder in held) <= cost:
            return  # not even if it were right beside all of them
        worth = self._worth(candidate, held)[0]
        if worth > cost:
            heappush(self._heap, (self._evidence.rank(candidate, worth / cost), candidate))

    def _held(self, root: Node) -> list[Group | LiveSituation]:
        """Everything whose CIs all depend on the candidate, and what has it as root already."""
        gone = self._gone
        held: list[Group | LiveSituation] = [
            situation for name, situation in self._covering.get(root, {}).items() if name not in gone
        ]
        own = self._rooted.get(root)
        if own is not None and own.state.id not in gone and root not in own.common:
            held.append(own)
        held += [group for group in self._groups if root in group.common or group.root == root]
        return held

    def _worth(self, root: Node, held: list[Group | LiveSituation]) -> tuple[int, list[Node]]:
        """What the candidate saves, and the unexplained CIs that depend on it."""
        nodes: list[Node] = []
        worth = 0
        for weight, node in self._behind.get(root, ()):
            if node in self._open:
                nodes.append(node)
                worth += weight
        worth *= ALONE // 1000
        worth += sum(holder.cost * self._nearness(root, holder.root) for holder in held) // 1000
        return worth, nodes

    def _nearness(self, root: Node, replaced: Node) -> int:
        """Of two roots that explain the same, the nearer is better: the weight of the replaced root's distance."""
        for weight, level in zip(WEIGHT, self._evidence.upstream(replaced), strict=False):
            if root in level:
                return weight
        return WEIGHT[0]

    def _consider(self, root: Node, rank: Rank) -> None:
        """Take the candidate if it still saves more than it costs and nothing else saves more per cost."""
        evidence = self._evidence
        held = self._held(root)
        worth, nodes = self._worth(root, held)
        cost = evidence.cost(root)
        if worth <= cost or not (nodes or any(holder.root != root for holder in held)):
            return
        again = evidence.rank(root, worth / cost)
        if again > rank and self._heap and self._heap[0][0] < again:
            heappush(self._heap, (again, root))
            return
        self._take(self._explaining(root, cost, held), nodes, held)

    def _explaining(self, root: Node, cost: int, held: list[Group | LiveSituation]) -> Group:
        """A group of its own; or, if the root's own alert is explained by something else, the group of that."""
        holder = None if root in self._open else self._holder(root)
        if holder is None or holder in held:
            return Group(root, cost)
        if isinstance(holder, Group):
            return holder
        group = Group(holder.root, holder.cost)
        self._absorb(group, holder)
        return group

    def _holder(self, node: Node) -> Group | LiveSituation | None:
        group = self._group_of.get(node)
        if group is not None:
            return group
        situation = self._claimed.get(node)
        return None if situation is None else self._gone.get(situation.state.id, situation)

    def _take(self, group: Group, nodes: list[Node], held: list[Group | LiveSituation]) -> None:
        for holder in held:
            if holder is not group:
                self._absorb(group, holder)
        for node in nodes:
            del self._open[node]
            self._group_of[node] = group
            self._narrow(group, {provider for level in self._evidence.upstream(node) for provider in level})
            group.nodes.append(node)
        if group not in self._groups:
            self._groups.append(group)

    def _absorb(self, group: Group, holder: Group | LiveSituation) -> None:
        self._narrow(group, holder.common)
        situations = [holder] if isinstance(holder, LiveSituation) else holder.situations
        for node in holder.nodes:
            self._group_of[node] = group
        for situation in situations:
            self._gone[situation.state.id] = group
        group.nodes += holder.nodes
        group.situations += situations
        if isinstance(holder, Group):
            self._groups.remove(holder)

    @staticmethod
    def _narrow(group: Group, common: set[Node]) -> None:
        group.common = group.common & common if group.nodes else set(common)
