"""Second level: hears alert transitions and keeps the situations that explain them, each with its best root cause.

A new alert waits until everything of its time has been heard (LATENESS_MS), so that the order of arrival does not
matter; what another one inhibits waits longer (inhibition.py). Then the part of the evidence that it changes is
explained anew (explanation.py), and situations follow (claims.py) and are told of (agenda.py). Nothing depends on
how the input is cut in batches.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

from opsbridge.core.context import Context
from opsbridge.core.decisions import Regroup, Shadowed, SituationUpdate, Suppressed, Transition
from opsbridge.core.graph import CIGraph
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.core.second_level.agenda import Agenda
from opsbridge.core.second_level.claims import Claims
from opsbridge.core.second_level.evidence import Evidence, Node
from opsbridge.core.second_level.explanation import Region
from opsbridge.core.second_level.held_graph import with_held
from opsbridge.core.second_level.holding import HELD, Holding
from opsbridge.core.second_level.inhibition import STATE, Inhibitor
from opsbridge.core.second_level.memory import Memory
from opsbridge.core.second_level.pace import CLOSE_AFTER_LONGEST_MS as CLOSE_AFTER_LONGEST_MS
from opsbridge.core.second_level.pace import GROWN, PIECE, UNQUIET_MS, next_tick, tick
from opsbridge.core.second_level.pace import LATENESS_MS as LATENESS_MS
from opsbridge.core.second_level.pace import LONGEST_SILENCE_MS as LONGEST_SILENCE_MS
from opsbridge.core.second_level.pace import QUIET_MS as QUIET_MS
from opsbridge.core.second_level.pace import REPORT_AFTER_MS as REPORT_AFTER_MS
from opsbridge.core.second_level.pace import TICK_MS as TICK_MS
from opsbridge.core.second_level.regrouping import CORRECTIONS_FORGOTTEN_MS, Regrouping
from opsbridge.core.second_level.situations import AlertState, LiveSituation
from opsbridge.core.state import Change
from opsbridge.core.weights import Weights

Told = SituationUpdate | Suppressed | Shadowed
"""What the second level says: news of situations, and what rules withhold from them or would."""


class SecondLevel:
    """The alerts and situations of one partition: whole correlation domains."""

    __slots__ = (
        "_agenda",
        "_compose",
        "_holding",
        "_inhibitor",
        "_lateness",
        "_loose",
        "_memory",
        "_plain",
        "_regrouping",
        "_saved",
        "_unsaved",
        "_waiting",
        "claims",
        "graph",
    )

    def __init__(
        self,
        graph: CIGraph,
        book: Rulebook = EMPTY,
        weights: Weights | None = None,
        *,
        lateness_ms: int = LATENESS_MS,
        report_after_ms: int = REPORT_AFTER_MS,
        reopen_within_ms: int = 0,
        owns_backbone: bool = False,
        context: Context | None = None,
    ) -> None:
        """`owns_backbone`: decides about the CIs that several domains share; the others leave these out.

        So long (`reopen_within_ms`; 0: never) after a situation was closed, the same root opens it again.
        `context` knows of changes, which make a failure likelier; what it learns counts from then on.

        What is found in a domain with a backbone is for backbone.py to watch and to tell of: it hears at once.
        """
        self._lateness = lateness_ms
        self.graph = graph
        """With what is held on to; `_plain` is without it."""

        def compose(graph: CIGraph) -> None:
            self.graph = graph
            self._holding = Holding(graph)
            self._memory = Memory(graph)
            self._agenda = Agenda(
                self._memory,
                graph,
                self._holding,
                lateness_ms=lateness_ms,
                report_after_ms=report_after_ms,
                reopen_within_ms=reopen_within_ms,
                hands_on=not owns_backbone,
            )
            self.claims = Claims(
                self._memory,
                self._agenda,
                Evidence(graph, weights or Weights(), owns_backbone=owns_backbone, context=context),
                graph,
                self._holding,
                book.profiles,
                self._tighten,
                lateness_ms=lateness_ms,
            )
            self._inhibitor = Inhibitor(graph, book.inhibitions, lateness_ms=lateness_ms)
            self._regrouping = Regrouping(
                self._memory, self._agenda, self.claims, graph, self._explain, owns_backbone=owns_backbone
            )

        self._compose = compose
        self._plain = graph
        compose(graph)
        self._saved: dict[bytes, bytes] | None = None
        """All that is saved, while the graph has what is held on to."""
        self._unsaved: list[Change] = []
        self._waiting: list[tuple[int, str]] = []  # alerts to be explained, by the time they began
        self._loose: dict[Node, None] = {}  # CIs that joined a large explanation as it was

    def __len__(self) -> int:
        return len(self._memory.situations)

    @property
    def now(self) -> int:
        """The event time that has come."""
        return self._memory.clock.now

    @now.setter
    def now(self, now: int) -> None:
        self._memory.clock.now = now

    @property
    def situations(self) -> Iterable[LiveSituation]:
        """The situations that are not over yet."""
        return [each for each in self._memory.situations.values() if each.state.status != "closed"]

    def advance(self, transitions: Iterable[Transition]) -> list[Told]:
        """What is to be told after these transitions, in order of arrival; a repeated one changes nothing."""
        told: list[Told] = []
        alerts, inhibitor = self._memory.alerts, self._inhibitor
        for transition in transitions:
            if transition.now_ms > self._memory.clock.now:
                self._move_to(transition.now_ms, told)
                alerts, inhibitor = self._memory.alerts, self._inhibitor
            if inhibitor.concerns(transition):
                alert = alerts.get(transition.fingerprint)
                known = alert is not None and (alert.firing or transition.position <= alert.position)
                if not inhibitor.hear(transition, told_of=known):
                    continue
            self._hear(transition)
        return told

    def expire(self, now: int) -> list[Told]:
        """The time is `now`, though nothing was heard: settle, report and close what is due."""
        told: list[Told] = []
        self._move_to(now, told)
        return told

    def regroup(self, correction: Regroup) -> list[Told]:
        """Apply what an operator says; what becomes of it is told at the next tick, so nothing is at once.

        It holds for the firings that the alerts have now, and for what follows until their situation is closed.
        Alerts that are not known here, or move to a situation that is not (another correlation domain's, a closed
        one), are left as they are; the same correction again changes nothing.
        """
        self._regrouping.apply(correction)
        return []

    def remembers(self, situation: str) -> bool:
        """Whether the situation is not over yet, or may begin again."""
        return situation in self._memory.situations

    def holder(self, fingerprint: str) -> str | None:
        """The id of the situation that has the alert; empty while it waits for one, None if it is over.

        An alert whose situation is closed counts as forgotten, though it is remembered in case it begins again.
        """
        alert = self._memory.alerts.get(fingerprint)
        return None if alert is None or self._is_over(alert) else alert.situation

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        following = tick(self.now) + TICK_MS
        due = []
        if self._waiting:
            due.append(max(following, next_tick(self._waiting[0][0] + self._lateness)))
        if self._loose:
            due.append(max(following, self._loose_deadline()))
        if (decided := self._inhibitor.due()) is not None:
            due.append(max(following, next_tick(decided)))
        if (heard := next(iter(self._memory.corrections.values()), None)) is not None:
            due.append(max(following, next_tick(heard + CORRECTIONS_FORGOTTEN_MS)))
        if (told := self._agenda.due()) is not None:
            due.append(told)
        return min(due, default=None)

    def _move_to(self, now: int, told: list[Told]) -> None:
        clock = self._memory.clock
        while (due := self.due()) is not None and due <= now:
            clock.now = due
            for decided in self._inhibitor.settle(due):
                if isinstance(decided, Transition):
                    self._hear(decided)
                else:
                    told.append(decided)
            self._settle()
            for situation in self._agenda.met():
                self.claims.time_came(situation)
            told += self._agenda.report(self.claims.reporter, self.claims.renamed)
            self._memory.forget_corrections(due - CORRECTIONS_FORGOTTEN_MS)
            if self._holding.released:
                self._let_go()
                clock = self._memory.clock
        clock.now = max(clock.now, now)
        self._memory.clock_changed()

    # hearing

    def _hear(self, transition: Transition) -> None:
        alert = self._memory.alerts.get(transition.fingerprint)
        if alert is None:
            if transition.change in ("opened", "renewed"):
                self._opened(transition, transition.occurrence)
        elif transition.position <= alert.position:
            return
        elif self._is_over(alert):
            if transition.change in ("opened", "renewed"):
                self._memory.part(alert)
                self._opened(transition, max(transition.occurrence, alert.occurrence + 1))
        else:
            alert.position = transition.position
            self._memory.alert_changed(alert)
            self._changed(alert, transition)

    def _is_over(self, alert: AlertState) -> bool:
        """Whether it only waits to be forgotten, since its situation has been closed."""
        situation = self._memory.situation_of(alert)
        return situation is not None and situation.state.status == "closed"

    def _opened(self, transition: Transition, occurrence: int) -> None:
        alert = AlertState(
            transition.fingerprint,
            transition.ci,
            transition.class_,
            transition.known_ci,
            transition.severity,
            firing=True,
            opened=transition.opened_ms,
            occurrence=occurrence,
            event=transition.event,
            cleared=0,
            position=transition.position,
            rule=transition.rule,
            grounds=transition.grounds,
        )
        self._memory.alerts[alert.fingerprint] = alert
        self._memory.alert_changed(alert)
        self._wait(alert)

    def _wait(self, alert: AlertState) -> None:
        """The alert is to be explained as soon as all of its time has been heard."""
        alert.waiting = True
        heappush(self._waiting, (alert.opened, alert.fingerprint))

    def _changed(self, alert: AlertState, transition: Transition) -> None:
        firing = transition.change != "resolved"
        fires_again = transition.change in ("opened", "renewed")
        if alert.sealed:
            self._follow(alert, transition)
        situation = self._memory.situation_of(alert)
        if fires_again:
            if situation is not None:
                situation.fires_again(alert)
            # the first level counts anew what it has forgotten
            alert.occurrence = max(transition.occurrence, alert.occurrence + 1)
            alert.event = transition.event
        elif not firing:
            alert.cleared = max(alert.cleared, transition.time_ms)
        node, claims = self._memory.node(alert), self.claims
        if situation is None:
            alert.severity, alert.firing = transition.severity, firing
            if claims.is_evidence(alert):
                claims.weigh(node)
            return
        if fires_again and claims.claimed.get(node) is situation and not alert.pinned:
            claims.begin_anew(node, transition.opened_ms)
        situation.change(alert, severity=transition.severity, firing=firing)
        if claims.is_evidence(alert):
            claims.weigh(node)
            if fires_again and claims.claimed.get(node) is situation:
                situation.tell_again(alert)
        elif fires_again and alert.pinned:
            alert.opened = transition.opened_ms
            situation.tell_again(alert)
        elif fires_again:
            alert.renewed = transition.change == "renewed"
            if not alert.waiting:  # what has settled may have another cause now
                alert.opened = transition.opened_ms
                self._wait(alert)
        self._agenda.touch(situation)

    def _follow(self, alert: AlertState, transition: Transition) -> None:
        """An alert that stands for a situation goes where that has its root now, and is as recent as its news."""
        situation = self._memory.situation_of(alert)
        recent = situation is not None and situation.state.recent
        if situation is not None and recent:
            situation.state.newest = max(situation.state.newest, transition.opened_ms)
        if (alert.ci, alert.class_) == (transition.ci, transition.class_):
            return
        node, claims = self._memory.node(alert), self.claims
        counted = claims.is_evidence(alert)
        alert.ci, alert.class_, alert.loose = transition.ci, transition.class_, 0
        if counted:
            claims.at[node].remove(alert)
            holder = claims.claimed.get(node)
            if claims.at[node]:
                claims.weigh(node)
            else:
                claims.withdraw(node)
                if holder is not None:
                    del holder.nodes[node]
            self._wait(alert)
        if situation is None:
            return
        if not counted and not recent and all(other.ci == alert.ci for other in situation.alerts.values()):
            claims.reroot(situation, lambda: situation.reroot(self._memory.node(alert), alert.ci))
        situation.root_alerts = [own for own in situation.alerts.values() if own.ci == situation.state.root]

    # settling

    def _settle(self) -> None:
        """Explain what began long enough ago, and what waited for a large explanation to be worked out."""
        fresh: dict[Node, None] = {}
        claims = self.claims
        while self._waiting and self._waiting[0][0] + self._lateness <= self.now:
            alert = self._memory.alerts.get(heappop(self._waiting)[1])
            if alert is None or not alert.waiting:
                continue
            alert.waiting = alert.spent = False
            self._memory.alert_changed(alert)
            node = self._memory.node(alert)
            claims.begin_anew(node, alert.opened)
            claims.at.setdefault(node, []).append(alert)
            if claims.weigh(node):
                fresh[node] = None
            situation = claims.claimed.get(node) or claims.keeps(alert, node)
            if situation is not None:
                claims.take_in(situation, alert)
        if fresh:
            self._explain(fresh)
        if self._loose and (len(self._loose) >= GROWN * self._memory.clock.whole or self._loose_deadline() <= self.now):
            self._explain_whole()

    def _explain(self, fresh: Iterable[Node]) -> None:
        """Explain these CIs and all that their explanation depends on anew; what is part of a storm joins it."""
        done: set[Node] = set()
        stormy: set[Node] = set()
        claims = self.claims
        for node in fresh:
            if node in done or node not in claims.at:  # what came next, after a lull, has ended its situation
                continue
            if stormy.isdisjoint(claims.evidence.upstream(node)) and not claims.attach(node, PIECE):
                region = Region(claims.evidence, claims.related, PIECE)
                region.gather([node])
                if region.whole:
                    done.update(region.nodes)
                    claims.apply(region.groups())
                    continue
                stormy |= region.candidates
            if node not in claims.claimed:
                claims.attach(node)
            self._loosen(node)

    def _loosen(self, node: Node) -> None:
        clock = self._memory.clock
        if not self._loose:
            clock.loose_since = clock.now
        self._loose[node] = None
        clock.loose_until = clock.now
        for alert in self.claims.at[node]:
            alert.loose = clock.epoch
            self._memory.alert_changed(alert)

    def _tighten(self, node: Node) -> None:
        """What the CI said is evidence no longer."""
        if node in self._loose:
            del self._loose[node]
            for alert in self.claims.at[node]:
                alert.loose = 0
                self._memory.alert_changed(alert)

    def _loose_deadline(self) -> int:
        clock = self._memory.clock
        return tick(min(clock.loose_until + QUIET_MS, clock.loose_since + UNQUIET_MS))

    def _explain_whole(self) -> None:
        """Work a large explanation out whole, however large it is."""
        region = Region(self.claims.evidence, self.claims.related)
        region.gather(self._loose)
        self._loose.clear()
        clock = self._memory.clock
        clock.epoch += 1
        clock.whole = len(region.nodes)
        self.claims.apply(region.groups())

    # state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        What inhibition keeps comes last: if only the first of them are saved, what is heard again is passed on again,
        and alerts recognise it.
        """
        changed = [*self._unsaved, *self._memory.changes(), *self._holding.changes(), *self._inhibitor.changes()]
        self._unsaved = []
        if self._saved is not None:
            for key, value in changed:
                if value is None:
                    self._saved.pop(key, None)
                else:
                    self._saved[key] = value
        return changed

    def _let_go(self) -> None:
        """Situations are over that held on to what has gone from the graph: go on without what nobody holds on to."""
        self._holding.released = False
        if self._saved is None:
            return
        grown = with_held(self._plain, self._holding.held)
        if (len(grown), grown.edges) == (len(self.graph), self.graph.edges):
            return
        self._memory.clock_changed()  # this may be one of many ticks since it was saved
        self._unsaved = self.changes()
        saved = list(self._saved.items())
        self._waiting, self._loose = [], {}
        self._compose(self._plain)
        self.restore(saved)

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        entries = list(entries)
        own: list[tuple[bytes, bytes]] = []
        inhibition: list[tuple[bytes, bytes]] = []
        held: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            (inhibition if key[:1] == STATE else held if key[:1] == HELD else own).append((key, value))
        self._holding.restore(held)
        grown = with_held(self._plain, self._holding.held)
        self._saved = None
        if grown is not self._plain:
            self._saved = dict(entries)
            self._compose(grown)
            self._holding.restore(held)
        self._memory.restore(own)
        claims = self.claims
        for alert in self._memory.alerts.values():
            situation = self._memory.situation_of(alert)
            loose = alert.loose == self._memory.clock.epoch and not alert.waiting
            if alert.waiting or (situation is None and not loose):
                self._wait(alert)
            elif claims.counts(alert, situation, loose=loose) and loose:
                self._loose[self._memory.node(alert)] = None
        for node in claims.at:
            claims.weigh(node)
        for situation in list(self._memory.situations.values()):
            claims.restored(situation)
            self._agenda.restored(situation)
        claims.unite()
        self._inhibitor.restore(inhibition)
