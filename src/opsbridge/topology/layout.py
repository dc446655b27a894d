"""Where the boxes and lines of a drawing go: layers, their order, and coordinates. Sugiyama's method, in plain Python.

Layers are the topological generations of the condensation, providers below, so that CIs in a cycle stand side by side.
A layer that is too wide becomes several rows. Lines that pass rows get a place in each, one for all lines to the same
provider, or from the same dependent. The order within a row is that of barycentres, swept until there are no fewer
crossings; the place of each box is then the mean of its neighbours' as far as the order allows, exactly (pool adjacent
violators). Only svg.py calls this. See Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical
system structures (1981).
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, sqrt
from typing import Final

GAP_X: Final = 26.0
GAP_Y: Final = 64.0
_LANE: Final = 10.0
"""So wide is the place that a line has in a row that it passes."""

_SHAPE: Final = 1.7
"""Width of a drawing by its height, about..."""

_NARROW: Final = 1200.0
"""...but no layer is cut into rows that is no wider."""

_SWEEPS: Final = 16
_MANY_SWEEPS: Final = 6
"""How often the order is improved; of large drawings less often."""

_LARGE: Final = 1500
"""Boxes and passing places, from which on a drawing is large."""

Point = tuple[float, float]
Edge = tuple[int, int]
"""(upper, lower), as far as their layers tell them apart."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a box."""

    width: float
    height: float


@dataclass(slots=True)
class Layout:
    """Middles of boxes, and the points that lines go through between them."""

    boxes: dict[int, Point] = field(default_factory=dict)
    lines: dict[Edge, list[Point]] = field(default_factory=dict)
    """Without the two ends."""
    width: float = 0.0
    height: float = 0.0


def layout(sizes: Mapping[int, Size], edges: Iterable[Edge], peers: Iterable[Edge] = ()) -> Layout:
    """The places of these boxes; `edges` are (dependent, provider), `peers` have no direction."""
    edges, peers = sorted(set(edges)), sorted(set(peers))
    tied = {end for edge in (*edges, *peers) for end in edge}
    alone = sorted(set(sizes) - tied)
    heights = max((size.height for size in sizes.values()), default=0.0) + GAP_Y
    widest = max(_NARROW, sqrt(_SHAPE * sum((size.width + GAP_X) * heights for size in sizes.values())))
    found = Layout()
    if tied:
        rows, between = _rows(_generations(sorted(tied), edges, peers), sizes, [*edges, *peers], widest)
        _order(rows, between)
        _place(found, rows, between, sizes)
    _shelve(found, alone, sizes, max(widest, found.width))
    return found


def _generations(boxes: Sequence[int], edges: Sequence[Edge], peers: Sequence[Edge]) -> list[list[int]]:
    """The layers, top first: each CI as low as what it depends on allows, and one nobody stands below as high."""
    import networkx

    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(boxes)
    graph.add_edges_from(edges)
    cyclic = networkx.condensation(graph)
    level: dict[int, int] = {}
    for depth, generation in enumerate(networkx.topological_generations(cyclic.reverse(copy=False))):
        level.update(dict.fromkeys(generation, depth))
    for part in cyclic:  # who has no provider stands below the lowest that depends on it, not at the very bottom
        above = [level[dependent] for dependent in cyclic.predecessors(part)]
        if above and not cyclic.out_degree(part):
            level[part] = max(level[part], min(above) - 1)
    of = {box: level[cyclic.graph["mapping"][box]] for box in boxes}
    for one, other in peers:  # who has only peers stands beside one of them
        for end, beside in ((one, other), (other, one)):
            if not graph.degree(end) and graph.degree(beside):
                of[end] = of[beside]
    layers: dict[int, list[int]] = {}
    for box in boxes:
        layers.setdefault(of[box], []).append(box)
    return [layers[depth] for depth in sorted(layers, reverse=True)]


@dataclass(slots=True)
class _Between:
    """Which places hang together, and the way of every line. Boxes are numbers from 0, passing places below 0."""

    above: dict[int, list[int]] = field(default_factory=dict)
    below: dict[int, list[int]] = field(default_factory=dict)
    ways: dict[Edge, list[int]] = field(default_factory=dict)

    def tie(self, upper: int, lower: int) -> None:
        self.below.setdefault(upper, []).append(lower)
        self.above.setdefault(lower, []).append(upper)


def _rows(
    layers: Sequence[Sequence[int]], sizes: Mapping[int, Size], edges: Sequence[Edge], widest: float
) -> tuple[list[list[int]], _Between]:
    """Rows of boxes and passing places."""
    order = _rough_order(layers, edges)
    rows: list[list[int]] = []
    for layer in order:
        count = max(1, ceil(sum(sizes[box].width + GAP_X for box in layer) / widest))
        rows += [row for start in range(count) if (row := list(layer[start::count]))]
    row_of = {box: number for number, row in enumerate(rows) for box in row}
    between = _Between()
    lanes: dict[tuple[int, int], int] = {}  # (the end whose lines share it, row) -> place
    tied: set[Edge] = set()
    falling = [(one, other) if row_of[one] <= row_of[other] else (other, one) for one, other in edges]
    down, up = Counter(upper for upper, _ in falling), Counter(lower for _, lower in falling)
    for (one, other), (upper, lower) in zip(edges, falling, strict=True):
        ours = upper if down[upper] > up[lower] else lower
        way = []
        for passed in range(row_of[upper] + 1, row_of[lower]):
            lane = lanes.get((ours, passed))
            if lane is None:
                lane = lanes[ours, passed] = -1 - len(lanes)
                rows[passed].append(lane)
            way.append(lane)
        stops = [upper, *way, lower]
        for pair in pairwise(stops):
            if pair not in tied and row_of[upper] != row_of[lower]:
                tied.add(pair)
                between.tie(*pair)
        between.ways[one, other] = way if upper == one else way[::-1]
    return rows, between


def _rough_order(layers: Sequence[Sequence[int]], edges: Sequence[Edge]) -> list[list[int]]:
    """Each layer by the mean place of those it hangs together with in the layers around, before it is cut into rows."""
    near: dict[int, list[int]] = {}
    for one, other in edges:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    order = [list(layer) for layer in layers]
    at = {box: place / len(layer) for layer in order for place, box in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in order if sweep % 2 else reversed(order):
            mean = {box: sum(at[other] for other in near[box]) / len(near[box]) for box in layer}
            layer.sort(key=lambda box: (mean[box], box))
            at.update((box, place / len(layer)) for place, box in enumerate(layer))
    return order


def _order(rows: list[list[int]], between: _Between) -> None:
    """Sort each row so that few lines cross."""
    sweeps = _SWEEPS if sum(map(len, rows)) < _LARGE else _MANY_SWEEPS
    at = {place: index / len(row) for row in rows for index, place in enumerate(row)}
    for row in rows:  # passing places begin where their lines come from
        for place in row:
            if place < 0:
                at[place] = _mean(at, between.above[place])
        row.sort(key=lambda place: at[place])
    best, fewest = [list(row) for row in rows], _crossings(rows, between)
    for sweep in range(sweeps):
        down = sweep % 2 == 0
        beside = between.above if down else between.below
        for row in rows if down else reversed(rows):
            mean = {place: _mean(at, beside[place]) if place in beside else at[place] for place in row}
            row.sort(key=lambda place: mean[place])
            at.update((place, (index + 0.5) / len(row)) for index, place in enumerate(row))
        crossings = _crossings(rows, between)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _mean(at: Mapping[int, float], places: Sequence[int]) -> float:
    return sum(at[place] for place in places) / len(places)


def _crossings(rows: Sequence[Sequence[int]], between: _Between) -> int:
    """How many pairs of lines cross between neighbouring rows."""
    crossings = 0
    for upper, lower in pairwise(rows):
        index = {place: number for number, place in enumerate(lower)}
        ends: list[int] = []
        for place in upper:
            there = sorted(index[other] for other in between.below.get(place, ()))
            crossings += sum(len(ends) - bisect_right(ends, end) for end in there)
            for end in there:
                insort(ends, end)
    return crossings


def _place(found: Layout, rows: list[list[int]], between: _Between, sizes: Mapping[int, Size]) -> None:
    """Give every box its place, and every line its way."""
    wide = {place: sizes[place].width + GAP_X if place >= 0 else _LANE for row in rows for place in row}
    x: dict[int, float] = {}
    for row in rows:
        left = -sum(wide[place] for place in row) / 2
        for place in row:
            x[place] = left + wide[place] / 2
            left += wide[place]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wish = []
            for place in row:
                near = (between.above if down else between.below).get(place) or ()
                if sweep >= _SWEEPS // 2 or not near:
                    near = (*between.above.get(place, ()), *between.below.get(place, ()))
                wish.append(_mean(x, near) if near else x[place])
            x.update(zip(row, _apart(wish, [wide[place] for place in row]), strict=True))
    left = min(x[place] - wide[place] / 2 for row in rows for place in row)
    y, middle = 0.0, {}
    for row in rows:
        tall = max((sizes[place].height for place in row if place >= 0), default=0.0)
        for place in row:
            middle[place] = (x[place] - left, y + tall / 2)
        y += tall + GAP_Y
    found.boxes = {place: middle[place] for row in rows for place in row if place >= 0}
    found.lines = {edge: [middle[place] for place in way] for edge, way in between.ways.items()}
    found.width = max(x[place] + wide[place] / 2 - left for row in rows for place in row)
    found.height = y - GAP_Y


def _apart(wish: Sequence[float], wide: Sequence[float]) -> list[float]:
    """The places nearest to these wishes (least squares) that keep the order and do not overlap."""
    offset, offsets = 0.0, []
    for number, width in enumerate(wide):
        offset += (wide[number - 1] + width) / 2 if number else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # (mean of the wishes less their offsets, how many)
    for wanted, shift in zip(wish, offsets, strict=True):
        mean, count = wanted - shift, 1
        while blocks and blocks[-1][0] >= mean:
            before, many = blocks.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [place + shift for place, shift in zip(flat, offsets, strict=True)]


def _shelve(found: Layout, boxes: Sequence[int], sizes: Mapping[int, Size], widest: float) -> None:
    """Put those that nothing ties to others in rows below the rest."""
    if not boxes:
        return
    x, y, tall = 0.0, found.height + (GAP_Y if found.boxes else 0.0), 0.0
    for box in boxes:
        size = sizes[box]
        if x and x + size.width > widest:
            x, y, tall = 0.0, y + tall + GAP_X, 0.0
        found.boxes[box] = (x + size.width / 2, y + size.height / 2)
        x += size.width + GAP_X
        tall = max(tall, size.height)
        found.width = max(found.width, x)
    found.height = y + tall
