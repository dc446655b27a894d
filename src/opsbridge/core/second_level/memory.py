"""Memory of the second level: its alerts and situations at hand, its clock, and which of them are to be saved.

It decides nothing: what becomes of them tell claims.py (who belongs where) and agenda.py (what is told when).
"""

from collections.abc import Iterable

import msgspec

from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.evidence import Node
from opsbridge.core.second_level.situations import AlertState, ClockState, LiveSituation, SituationState
from opsbridge.core.state import Change

_ALERT, _SITUATION, _CORRECTION, _CLOCK = b"a", b"s", b"o", b"clock"

_encode = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(AlertState).decode
_decode_situation = msgspec.json.Decoder(SituationState).decode
_decode_time = msgspec.json.Decoder(int).decode
_decode_clock = msgspec.json.Decoder(ClockState).decode


class Memory:
    """The alerts and situations of one partition."""

    __slots__ = ("_dirty", "_graph", "alerts", "clock", "corrections", "situations")

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self.clock = ClockState(now=0, epoch=1, whole=0, loose_since=0, loose_until=0)
        self.alerts: dict[str, AlertState] = {}
        self.corrections: dict[str, int] = {}
        """When which operators' corrections were heard, in that order."""
        self.situations: dict[str, LiveSituation] = {}
        self._dirty: dict[bytes, None] = {}

    def heir(self, name: str) -> LiveSituation | None:
        """The situation of that name, or the one that it has been merged into, unless that is over."""
        live = (each for each in self.situations.values() if each.state.status in ("open", "resolved"))
        return next((each for each in live if name == each.state.id or name in each.state.absorbed), None)

    def remember(self, correction: str) -> None:
        """This correction has been heard."""
        self.corrections[correction] = self.clock.now
        self._dirty[_CORRECTION + correction.encode()] = None

    def forget_corrections(self, until: int) -> None:
        """Forget what was heard until that time."""
        for name in [name for name, heard in self.corrections.items() if heard <= until]:
            del self.corrections[name]
            self._dirty[_CORRECTION + name.encode()] = None

    def node(self, alert: AlertState) -> Node:
        """The CI that the alert is about."""
        return self._graph.numbers.get(alert.ci, alert.ci) if alert.known_ci else alert.ci

    def situation_of(self, alert: AlertState) -> LiveSituation | None:
        """The situation that has the alert, if one does."""
        return self.situations.get(alert.situation)

    def alert_changed(self, alert: AlertState) -> None:
        """The alert is to be saved."""
        self._dirty[_ALERT + alert.fingerprint.encode()] = None

    def situation_changed(self, state: SituationState) -> None:
        """The situation is to be saved."""
        self._dirty[_SITUATION + state.id.encode()] = None

    def clock_changed(self) -> None:
        """The clock is to be saved."""
        self._dirty[_CLOCK] = None

    def part(self, alert: AlertState) -> None:
        """The alert fires again after its situation was closed: it is another matter now."""
        situation = self.situations[alert.situation]
        situation.let_go(alert)
        self.situation_changed(situation.state)
        del self.alerts[alert.fingerprint]

    def forget(self, situation: LiveSituation) -> None:
        """Let go of a situation and all the alerts that it still has."""
        del self.situations[situation.state.id]
        self.situation_changed(situation.state)
        for fingerprint, alert in situation.alerts.items():
            del self.alerts[fingerprint]
            self.alert_changed(alert)

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call, the clock among them."""
        changed: list[Change] = []
        for key in self._dirty:
            if key == _CLOCK:
                changed.append((key, _encode(self.clock)))
            elif key[:1] == _ALERT:
                alert = self.alerts.get(key[1:].decode())
                changed.append((key, None if alert is None else _encode(alert)))
            elif key[:1] == _CORRECTION:
                heard = self.corrections.get(key[1:].decode())
                changed.append((key, None if heard is None else _encode(heard)))
            else:
                situation = self.situations.get(key[1:].decode())
                changed.append((key, None if situation is None else _encode(situation.state)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; for a new instance.

        Alerts come in the order in which they joined their situations. One whose situation was not saved with it is
        taken as one that still belongs nowhere.
        """
        alerts: list[AlertState] = []
        for key, value in entries:
            if key == _CLOCK:
                self.clock = _decode_clock(value)
            elif key[:1] == _ALERT:
                alerts.append(_decode_alert(value))
            elif key[:1] == _CORRECTION:
                self.corrections[key[1:].decode()] = _decode_time(value)
            else:
                state = _decode_situation(value)
                root = self._graph.numbers.get(state.root, state.root) if state.known_root else state.root
                self.situations[state.id] = LiveSituation(state, root)
        self.corrections = dict(sorted(self.corrections.items(), key=lambda heard: (heard[1], heard[0])))
        for alert in sorted(alerts, key=lambda alert: (alert.sequence, alert.fingerprint)):
            self.alerts[alert.fingerprint] = alert
            situation = self.situation_of(alert)
            if situation is None:
                alert.situation, alert.sequence, alert.again = "", 0, 0
            else:
                situation.hold(alert)
        for situation in self.situations.values():
            situation.joined = dict(sorted(situation.joined.items(), key=_told_in_order))


def _told_in_order(joined: tuple[str, AlertState]) -> int:
    return max(joined[1].sequence, joined[1].again)
