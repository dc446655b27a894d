"""Holding: a situation keeps the topology that it was decided on, while CIs and dependencies go from the graph.

Of every situation that somebody has been told of, what of the topology it uses and may go (CIGraph.passing) is kept
here: the CIs that its root's failure reaches and those on the way to its alerts, with the dependencies and groups among
them. It is saved with the situation, and what the graph no longer has of it is added to the graph of the lane
(held_graph.py) until the situation is over. What comes counts at once. Where nothing may go, nothing is kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.evidence import Node
from opsbridge.core.second_level.held_graph import HeldCI, alike, held_cis
from opsbridge.core.second_level.situations import LiveSituation
from opsbridge.core.state import Change

HELD: Final = b"h"
"""How the keys of this state begin."""

PIECE: Final = 500
"""So many CIs are saved together: some 100 kB, and within a record's usual limit with the longest legal names."""


class Use(msgspec.Struct, array_like=True, frozen=True):
    """What a situation uses, and whom it was told to affect; saved in pieces."""

    root: str
    reach: tuple[HeldCI, ...] = ()
    """Of what the root's failure reaches."""
    ways: tuple[HeldCI, ...] = ()
    """Of the ways to alerts that are not among these."""
    affected: tuple[str, ...] = ()

    @property
    def held(self) -> tuple[HeldCI, ...]:
        """All of the topology that it uses."""
        return self.reach + self.ways

    def pieces(self) -> Iterator["Use"]:
        """The same in records that are not too large."""
        columns = self.reach, self.ways, self.affected
        for first in range(0, max(1, *map(len, columns)), PIECE):
            reach, ways, affected = (column[first : first + PIECE] for column in columns)
            yield Use(self.root, reach, ways, affected)  # type: ignore[arg-type] # slices of what they are slices of


class Holding:
    """What the situations of one partition use of the topology."""

    __slots__ = ("_dirty", "_graph", "_looked", "_pieces", "_used", "released")

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._used: dict[str, Use] = {}
        self._pieces: dict[str, int] = {}
        """How many records are saved of each."""
        self._looked: dict[str, tuple[Node, int]] = {}
        """The root and the number of alerts for which it was last worked out with this graph."""
        self._dirty: dict[bytes, bytes | None] = {}
        self.released = False
        """Whether anything has been let go of."""

    def __len__(self) -> int:
        return len(self._used)

    @property
    def held(self) -> Iterator[HeldCI]:
        """All that any situation uses."""
        return (each for use in self._used.values() for each in use.held)

    def tell(self, situation: LiveSituation) -> None:
        """The situation is about to be told of: it keeps what it uses, and says by which topology it was decided.

        That is the one of its first telling, until its root or what the root's failure reaches is something else.
        """
        state = situation.state
        before = self._used.get(state.id)
        if not state.topology or state.root != state.told_root:
            state.topology = self._graph.digest
        if not self._concerned(before) or self._looked.get(state.id) == (situation.root, len(situation.alerts)):
            return
        self._looked[state.id] = situation.root, len(situation.alerts)
        now = self._use(situation, () if before is None else before.affected)
        if before is None and not now.held:
            return
        if before is None or not alike(before.reach, now.reach):
            state.topology = self._graph.digest
        if now != before:
            self.released = self.released or before is not None
            self._save(state.id, now)

    def outdated(self, situation: LiveSituation) -> bool:
        """Whether the graph says something else of what the root's failure reaches than when it was told."""
        before = self._used.get(situation.state.id)
        if not self._concerned(before) or not situation.state.version:
            return False
        return not alike(self._use(situation, ()).reach, () if before is None else before.reach)

    def affected(self, situation: str) -> tuple[str, ...] | None:
        """Whom it was told to affect; None if nothing of it may go."""
        use = self._used.get(situation)
        return None if use is None else use.affected

    def told(self, situation: str, affected: Iterable[str]) -> None:
        """It has been told to affect these."""
        use = self._used.get(situation)
        if use is not None and (names := tuple(affected)) != use.affected:
            self._save(situation, msgspec.structs.replace(use, affected=names))

    def release(self, situation: str) -> None:
        """The situation is over."""
        self._looked.pop(situation, None)
        if self._used.pop(situation, None) is not None:
            self._write(situation, [])
            self.released = True

    def _concerned(self, before: Use | None) -> bool:
        return before is not None or bool(self._graph.passing)

    def _use(self, situation: LiveSituation, affected: Sequence[str]) -> Use:
        graph, root = self._graph, situation.root
        reach: dict[int, None] = {}
        ways: dict[int, None] = {}
        if isinstance(root, int):
            reach = {number: None for level in graph.downstream(root) for number in level}
            for alert in situation.alerts.values():
                number = graph.numbers.get(alert.ci) if alert.known_ci else None
                if number is not None and number not in reach and number not in ways:
                    ways.update(dict.fromkeys(graph.path(root, number) or graph.path(number, root)))
        return Use(
            situation.state.root,
            held_cis(graph, sorted(reach), reach.keys()),
            held_cis(graph, sorted(ways), reach.keys() | ways.keys()),
            tuple(affected),
        )

    def _save(self, situation: str, use: Use) -> None:
        self._used[situation] = use
        self._write(situation, list(use.pieces()))

    def _write(self, situation: str, pieces: Sequence[Use]) -> None:
        for number in range(max(len(pieces), self._pieces.get(situation, 0))):
            key = HELD + f"{situation}\x1f{number}".encode()
            self._dirty[key] = msgspec.json.encode(pieces[number]) if number < len(pieces) else None
        if pieces:
            self._pieces[situation] = len(pieces)
        else:
            self._pieces.pop(situation, None)

    # state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        changed = list(self._dirty.items())
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; for a new instance."""
        found: dict[str, dict[int, Use]] = {}
        for key, value in entries:
            situation, _, number = key.removeprefix(HELD).decode().partition("\x1f")
            found.setdefault(situation, {})[int(number)] = _decode(value)
        for situation, pieces in found.items():
            inside = [pieces[number] for number in sorted(pieces)]
            self._pieces[situation] = len(inside)
            self._used[situation] = Use(
                inside[0].root,
                tuple(each for use in inside for each in use.reach),
                tuple(each for use in inside for each in use.ways),
                tuple(each for use in inside for each in use.affected),
            )


_decode = msgspec.json.Decoder(Use).decode
