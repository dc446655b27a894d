"""Regrouping: puts alerts where an operator says that they belong; that word is above all evidence.

The alerts are pinned: they are evidence no longer, so that nothing pulls them anywhere, and stay with their situation
until it is closed, also where they fire again meanwhile. What is left is explained anew without them. Alerts move
within one correlation domain only, since another one may be known elsewhere; the alerts of several domains that are
split off together are one situation in each.
"""

from collections.abc import Callable, Iterable
from typing import Final

from opsbridge.core.decisions import Candidate, Regroup
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.agenda import Agenda
from opsbridge.core.second_level.claims import Claims
from opsbridge.core.second_level.evidence import Node
from opsbridge.core.second_level.explanation import confidence
from opsbridge.core.second_level.memory import Memory
from opsbridge.core.second_level.reporting import CANDIDATES
from opsbridge.core.second_level.situations import AlertState, LiveSituation, SituationState, situation_id

CORRECTIONS_FORGOTTEN_MS: Final = 3_600_000
"""How long a correction is remembered, so that it is recognised when it comes again."""


class Regrouping:
    """Applies corrections to the alerts and situations of one partition."""

    __slots__ = ("_agenda", "_claims", "_explain", "_graph", "_memory", "_owns_backbone")

    def __init__(
        self,
        memory: Memory,
        agenda: Agenda,
        claims: Claims,
        graph: CIGraph,
        explain: Callable[[list[Node]], None],
        *,
        owns_backbone: bool,
    ) -> None:
        """`explain` works out anew what explains the CIs that are left behind."""
        self._memory = memory
        self._agenda = agenda
        self._claims = claims
        self._graph = graph
        self._explain = explain
        self._owns_backbone = owns_backbone

    def apply(self, correction: Regroup) -> None:
        """Do what it says with the alerts that are known here; a repeated one changes nothing."""
        memory = self._memory
        if correction.id in memory.corrections:
            return
        memory.remember(correction.id)
        left: dict[str, LiveSituation] = {}
        for target, alerts in self._targets(correction):
            for alert in alerts:
                before = memory.situations[alert.situation]
                if before is not target:
                    left[before.state.id] = before
                self._claims.pin(alert, target)
            self._tell_soon(target)
        for situation in left.values():
            if situation.alerts and situation.state.status in ("open", "resolved"):
                self._left_behind(situation)

    def _targets(self, correction: Regroup) -> list[tuple[LiveSituation, list[AlertState]]]:
        """Where which alerts go."""
        meant: dict[str, list[AlertState]] = {}
        for alert in self._meant(correction):
            meant.setdefault(self._domain(alert), []).append(alert)
        if not correction.into:
            return [(self._begin(correction.id, domain, alerts), alerts) for domain, alerts in meant.items()]
        heir = self._memory.heir(correction.into)
        there = set() if heir is None else {self._domain(alert) for alert in heir.alerts.values()}
        return [(heir, alerts) for domain, alerts in meant.items() if heir is not None and domain in there]

    def _meant(self, correction: Regroup) -> list[AlertState]:
        """The alerts that it is about, as far as they are where it says, or were until evidence moved them.

        What has fired since its situation was closed is another matter.
        """
        memory, name = self._memory, correction.situation
        if not correction.alerts:
            heir = memory.heir(name)
            every = [] if heir is None or heir.state.id == name else heir.alerts.values()
            return [alert for alert in every if name in alert.came_from]
        known = [memory.alerts[each] for each in dict.fromkeys(correction.alerts) if each in memory.alerts]
        return [alert for alert in known if self._concerns(name, alert)]

    def _concerns(self, name: str, alert: AlertState) -> bool:
        situation = self._memory.situation_of(alert)
        if situation is None or situation.state.status not in ("open", "resolved"):
            return False
        # what is handed on is known to operators by the names that the backbone gives
        return name in (situation.state.id, *alert.came_from) or self._agenda.hands_on(situation)

    def _domain(self, alert: AlertState) -> str:
        """Alerts of one domain are known in the same place, whatever the partitions (compare sharing.domain_of)."""
        number = self._graph.numbers.get(alert.ci) if alert.known_ci else None
        if alert.grounds and (number is None or not self._graph.connected(number)):
            return alert.grounds[0]
        if number is None:
            return alert.ci
        return (self._owns_backbone and self._graph.home(number)) or self._graph.domains[number]

    def _begin(self, correction: str, domain: str, alerts: list[AlertState]) -> LiveSituation:
        """A situation for these alerts alone."""
        memory = self._memory
        root = self._foremost(alerts)
        state = SituationState(
            situation_id(correction, domain),
            self._claims.evidence.name(root),
            isinstance(root, int),
            "open",
            memory.clock.now,
            min(alert.opened for alert in alerts),
            memory.clock.now,
            recent=False,
            correction=correction,
        )
        situation = LiveSituation(state, root)
        memory.situations[state.id] = situation
        self._claims.restored(situation)
        self._blame(situation, alerts)
        return situation

    def _foremost(self, alerts: Iterable[AlertState]) -> Node:
        """The CI that most of these alerts' CIs depend on; of equals, the one that alerted first.

        No evidence is asked: an operator has said what belongs together, and only its head is wanted.
        """
        first: dict[Node, tuple[int, str]] = {}
        for alert in sorted(alerts, key=lambda alert: (alert.opened, alert.ci)):
            first.setdefault(self._memory.node(alert), (alert.opened, alert.ci))
        below = dict.fromkeys(first, 0)
        for node in first:
            for provider in self._claims.evidence.upstream(node):
                if provider in below:
                    below[provider] += 1
        return min(first, key=lambda node: (-below[node], *first[node]))

    def _blame(self, situation: LiveSituation, alerts: Iterable[AlertState]) -> None:
        """Take the foremost of the alerts' CIs as the root, and the others as candidates that are as good."""
        alerts = list(alerts)
        root = self._foremost(alerts)
        name = self._claims.evidence.name(root)
        situation.reroot(root, name)
        others = sorted({alert.ci for alert in alerts} - {name})[: CANDIDATES - 1]
        situation.state.candidates = [Candidate(ci, 0.0) for ci in (name, *others)]
        situation.state.confidence = round(confidence(0.0, [0.0] * len(others)), 3)

    def _left_behind(self, situation: LiveSituation) -> None:
        """A situation that alerts were taken from: is there a better explanation of the rest?"""
        claims = self._claims
        if situation.nodes:
            self._explain(list(situation.nodes))
        else:
            claims.cease_recent(situation)
            if situation.state.told_class is not None and not situation.root_alerts:
                claims.reroot(situation, lambda: self._blame(situation, situation.alerts.values()))
        if situation.state.status in ("open", "resolved"):
            self._tell_soon(situation)

    def _tell_soon(self, situation: LiveSituation) -> None:
        """An operator waits to see what has become of it."""
        situation.state.prompt = True
        self._agenda.touch(situation)
