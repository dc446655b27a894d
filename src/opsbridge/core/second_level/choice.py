"""The choice of root causes: the cheapest set of failures that explains what alerts (uncapacitated facility location).

Opening a root has a price, explaining a CI by it has a cost, and leaving a CI as its own explanation has one too. Up to
EXACT roots the cheapest of all sets is found by branch and bound; beyond, greedily, with roots dropped and exchanged
until nothing gets cheaper (Jain et al. 2003 bound what greedy choices of this kind can miss). Integers only, and ties
go to the root that is named first, so the answer depends on nothing but the question. explanation.py asks.
"""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

EXACT: Final = 12
"""Up to so many roots every set is considered: 4096 of them, most cut off early."""

EXCHANGED: Final = 64
"""Up to so many roots each one is tried in the place of each other; a storm's roots are far apart in worth anyway."""

ITSELF: Final = -1
"""A client that nothing else explains."""

Root = tuple[int, Mapping[int, int]]
"""What it costs to open a root, and what it then costs to explain each client that it can explain."""


def choose(alone: Sequence[int], roots: Sequence[Root]) -> list[int]:
    """The root that explains each client, by its index, or ITSELF.

    `alone` is what it costs to leave each client as its own explanation. A root that is chosen explains what it
    explains most cheaply; the sum of prices and costs is the least there is (for up to EXACT roots that can pay at
    all), or one that no single addition, removal or exchange improves.
    """
    able = [number for number, root in enumerate(roots) if _saving(root, alone) > 0]
    if not able:
        return [ITSELF] * len(alone)
    found = _exact(alone, roots, able) if len(able) <= EXACT else _improved(alone, roots, able)
    return _assigned(alone, roots, found)


def total(alone: Sequence[int], roots: Sequence[Root], chosen: Sequence[int]) -> int:
    """What it costs to explain every client by the roots that were chosen."""
    return sum(roots[number][0] for number in chosen) + sum(_costs(alone, roots, chosen))


def _saving(root: Root, current: Sequence[int]) -> int:
    """What opening the root saves over the present costs of the clients, less its price."""
    price, links = root
    saved = -price
    for client, cost in links.items():
        now = current[client]
        if cost < now:
            saved += now - cost
    return saved


def _costs(alone: Sequence[int], roots: Sequence[Root], chosen: Sequence[int]) -> list[int]:
    costs = list(alone)
    for number in chosen:
        for client, cost in roots[number][1].items():
            if cost < costs[client]:
                costs[client] = cost
    return costs


def _assigned(alone: Sequence[int], roots: Sequence[Root], chosen: Sequence[int]) -> list[int]:
    costs = list(alone)
    assigned = [ITSELF] * len(alone)
    for number in sorted(chosen):
        for client, cost in roots[number][1].items():
            if cost < costs[client]:
                costs[client], assigned[client] = cost, number
    return assigned


def _exact(alone: Sequence[int], roots: Sequence[Root], able: Sequence[int]) -> list[int]:
    """The cheapest of all sets; of equals, the one with the earlier roots."""
    best_saving, best = 0, list[int]()

    def descend(at: int, costs: Sequence[int], saved: int, chosen: list[int]) -> None:
        nonlocal best_saving, best
        if saved > best_saving:
            best_saving, best = saved, chosen
        rest = [(number, gain) for number in able[at:] if (gain := _saving(roots[number], costs)) > 0]
        hope = saved + sum(gain for _, gain in rest)  # savings only shrink as more is chosen
        for number, gain in rest:
            if hope <= best_saving:
                return
            descend(able.index(number) + 1, _costs(costs, roots, [number]), saved + gain, [*chosen, number])
            hope -= gain

    descend(0, alone, 0, [])
    return best


def _improved(alone: Sequence[int], roots: Sequence[Root], able: Sequence[int]) -> list[int]:
    chosen = _greedy(alone, roots, able)
    least = total(alone, roots, chosen)
    if len(able) <= EXCHANGED:
        while (cheaper := _exchange(alone, roots, able, chosen, least)) is not None:
            least, chosen = cheaper
        return chosen
    return _without_needless(alone, roots, chosen)


def _greedy(alone: Sequence[int], roots: Sequence[Root], able: Sequence[int]) -> list[int]:
    """Open what saves most over the present costs, again and again (lazily: savings only shrink)."""
    costs = list(alone)
    chosen: list[int] = []
    heap = [(-_saving(roots[number], costs), number) for number in able]
    heapify(heap)
    while heap:
        expected, number = heappop(heap)
        saving = _saving(roots[number], costs)
        if saving <= 0:
            continue
        if saving != -expected and heap and (-saving, number) > heap[0]:
            heappush(heap, (-saving, number))
            continue
        chosen.append(number)
        for client, cost in roots[number][1].items():
            if cost < costs[client]:
                costs[client] = cost
    return chosen


def _exchange(
    alone: Sequence[int], roots: Sequence[Root], able: Sequence[int], chosen: list[int], least: int
) -> tuple[int, list[int]] | None:
    """The best single addition, removal or exchange, if one makes the whole cheaper."""
    best: tuple[int, list[int]] | None = None
    inside = set(chosen)
    for out in (None, *chosen):
        kept = [number for number in chosen if number != out]
        base = total(alone, roots, kept)
        costs = _costs(alone, roots, kept)
        if out is not None and base < (best[0] if best else least):
            best = base, kept
        for number in able:
            if number not in inside:
                cost = base - _saving(roots[number], costs)
                if cost < (best[0] if best else least):
                    best = cost, [*kept, number]
    return best


def _without_needless(alone: Sequence[int], roots: Sequence[Root], chosen: list[int]) -> list[int]:
    """Drop the roots whose price later choices have made more than they save, the earliest choice first."""
    cheapest: list[list[tuple[int, int]]] = [[(cost, ITSELF)] for cost in alone]
    for number in chosen:
        for client, cost in roots[number][1].items():
            if cost < alone[client]:
                cheapest[client].append((cost, number))
    for options in cheapest:
        options.sort()
    kept = list(chosen)
    for number in chosen:
        price, links = roots[number]
        loss = 0
        for client in links:
            options = cheapest[client]
            if options[0][1] == number:
                loss += options[1][0] - options[0][0]
        if loss < price:
            kept.remove(number)
            for client in links:
                cheapest[client] = [option for option in cheapest[client] if option[1] != number]
    return kept
