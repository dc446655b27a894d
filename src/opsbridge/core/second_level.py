"""Second level: hears alert transitions and keeps the situations that explain them, each with its best root cause.

Alerts wait for the next tick of event time, then settle: they join the situation whose root explains them best, or the
affected part is grouped anew, which re-roots, merges and splits situations. A situation is reported only after it has
been watched for a while, so that a storm opens one, not hundreds. Nothing depends on how the input is cut in batches.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.alerts import Change
from opsbridge.core.decisions import SituationUpdate, Status, Transition
from opsbridge.core.graph import CIGraph
from opsbridge.core.grouping import Group, Grouping, Holders
from opsbridge.core.reporting import Reporter
from opsbridge.core.roots import ALONE, Evidence, Node
from opsbridge.core.situations import NEVER, AlertState, LiveSituation, SituationState, situation_id

TICK_MS: Final = 1_000
"""Alerts of one second of event time are settled together."""

REPORT_AFTER_MS: Final = 10_000
"""How long a new situation is watched before anyone hears of it (compare Alertmanager's group_wait of 30 s)."""

REPORT_EVERY_MS: Final = 5_000
"""A situation is told of again at most this often, unless its root or its severity changes..."""

REPORT_RARER: Final = 10
"""...and every so many versions this gets as long again, up to a minute: what flaps for hours is news once a minute."""

LONGEST_SILENCE_MS: Final = 60_000

RECENT_MS: Final = 300_000
"""A situation that nothing joined for this long is settled: later alerts have another cause."""

CLOSE_AFTER_MS: Final = 300_000
"""A resolved situation is closed after this long; until then, the same alerts reopen it."""

_ALERT, _SITUATION, _CLOCK = b"a", b"s", b"clock"
_encode = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(AlertState).decode
_decode_situation = msgspec.json.Decoder(SituationState).decode


class SecondLevel:
    """The alerts and situations of one partition: whole correlation domains."""

    __slots__ = (
        "_alerts",
        "_at",
        "_claimed",
        "_covering",
        "_deadlines",
        "_dirty",
        "_evidence",
        "_graph",
        "_pending",
        "_reporter",
        "_rooted",
        "_situations",
        "_touched",
        "now",
    )

    def __init__(self, graph: CIGraph) -> None:
        self.now = 0
        self._graph = graph
        self._evidence = Evidence(graph)
        self._reporter = Reporter(graph, self._evidence)
        self._alerts: dict[str, AlertState] = {}
        self._situations: dict[str, LiveSituation] = {}
        self._at: dict[Node, list[AlertState]] = {}  # recent alerts by CI
        self._claimed: dict[Node, LiveSituation] = {}  # the recent situation that explains a CI's alerts
        self._covering: dict[Node, Holders] = {}  # recent situations whose CIs all depend on a CI
        self._rooted: dict[Node, LiveSituation] = {}  # recent situations by root
        self._pending: dict[Node, None] = {}  # CIs with recent alerts that no situation has claimed yet
        self._touched: dict[str, None] = {}  # situations to report
        self._deadlines: list[tuple[int, str]] = []
        self._dirty: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._situations)

    def advance(self, transitions: Iterable[Transition]) -> list[SituationUpdate]:
        """What is to be reported after these transitions, in order of arrival; a repeated one changes nothing."""
        updates: list[SituationUpdate] = []
        for transition in transitions:
            if transition.now_ms > self.now:
                self._move_to(transition.now_ms, updates)
            alert = self._alerts.get(transition.fingerprint)
            if alert is None:
                if transition.change == "opened":
                    self._opened(transition)
            elif transition.position > alert.position:
                alert.position = transition.position
                self._dirty[_ALERT + alert.fingerprint.encode()] = None
                self._changed(alert, transition)
        return updates

    def expire(self, now: int) -> list[SituationUpdate]:
        """The time is `now`, though nothing was heard: settle, report and close what is due."""
        updates: list[SituationUpdate] = []
        self._move_to(now, updates)
        return updates

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        tick = (self.now // TICK_MS + 1) * TICK_MS if self._pending or self._touched else None
        if not self._deadlines:
            return tick
        deadline = self._deadlines[0][0]
        return deadline if tick is None else min(tick, deadline)

    def _move_to(self, now: int, updates: list[SituationUpdate]) -> None:
        while (due := self.due()) is not None and due <= now:
            self.now = due
            self._settle()
            while self._deadlines and self._deadlines[0][0] <= due:
                self._meet_deadline(heappop(self._deadlines)[1])
            self._report(updates)
        if now > self.now:
            self.now = now
        self._dirty[_CLOCK] = None

    # hearing

    def _opened(self, transition: Transition) -> None:
        alert = AlertState(
            transition.fingerprint,
            transition.ci,
            transition.class_,
            transition.known_ci,
            transition.severity,
            firing=True,
            opened=transition.opened_ms,
            occurrence=transition.occurrence,
            event=transition.event,
            position=transition.position,
            rule=transition.rule,
        )
        self._alerts[alert.fingerprint] = alert
        self._dirty[_ALERT + alert.fingerprint.encode()] = None
        self._observe(alert)

    def _observe(self, alert: AlertState) -> None:
        """A recent alert that belongs nowhere: to the situation of its CI, or it waits for the settling."""
        node = self._notice(alert)
        situation = self._claimed.get(node)
        if situation is None:
            self._pending[node] = None
        else:
            self._join(situation, alert)

    def _notice(self, alert: AlertState) -> Node:
        """Count a recent alert as evidence; its CI."""
        node: Node = self._graph.numbers.get(alert.ci, alert.ci) if alert.known_ci else alert.ci
        self._at.setdefault(node, []).append(alert)
        alerting = self._evidence.alerting
        if node not in alerting:
            self._evidence.add(node, alert.opened)
        elif alert.opened < alerting[node]:
            alerting[node] = alert.opened
        return node

    def _changed(self, alert: AlertState, transition: Transition) -> None:
        firing = transition.change != "resolved"
        fires_again = transition.change == "opened"
        if fires_again:
            alert.occurrence, alert.event = transition.occurrence, transition.event
        situation = self._situations.get(alert.situation)
        if situation is None:
            alert.severity, alert.firing = transition.severity, firing
            return
        situation.change(alert, severity=transition.severity, firing=firing)
        if fires_again:
            situation.tell_again(alert)
        self._touch(situation)

    # settling

    def _settle(self) -> None:
        """Explain the CIs that alerts came from since the last tick."""
        if not self._pending:
            return
        alerting, name = self._evidence.alerting, self._evidence.name
        unexplained: list[Node] = []
        behind: dict[str, list[Node]] = {}
        for node in sorted(self._pending, key=lambda node: (alerting[node], name(node))):
            situation = self._readiest(node)
            if situation is None:
                unexplained.append(node)
            else:
                behind.setdefault(situation.state.id, []).append(node)
        self._pending.clear()
        joined: dict[Node, Node] = {}
        for found, nodes in behind.items():
            situation = self._situations[found]
            if self._extends_to(situation, nodes):
                joined.update(dict.fromkeys(nodes, situation.root))
            else:
                unexplained += nodes
        grouping = Grouping(self._evidence, claimed=self._claimed, rooted=self._rooted, covering=self._covering)
        for group in grouping.run(unexplained, joined):
            self._apply(group)

    def _readiest(self, node: Node) -> LiveSituation | None:
        """Of the recent situations whose roots the CI depends on, the one it makes least dear; then the nearest."""
        evidence, rooted = self._evidence, self._rooted
        found = [root for level in evidence.upstream(node) for root in level if root in rooted]
        if len(found) < 2:
            return rooted[found[0]] if found else None
        return rooted[min(found, key=lambda root: evidence.cost(root) - rooted[root].cost)]

    def _extends_to(self, situation: LiveSituation, nodes: list[Node]) -> bool:
        """Let the situation explain these CIs behind its root, if that costs no more than leaving them alone."""
        cost = self._evidence.cost(situation.root)
        if cost - situation.cost > ALONE * len(nodes):
            return False
        situation.state.cost = cost
        for node in nodes:
            self._claim(situation, node)
        return True

    def _apply(self, group: Group) -> None:
        """Carry out a grouping: the oldest of its situations, or a new one, goes on; the others are merged into it."""
        old = sorted(group.situations, key=lambda one: (not one.state.version, one.state.opened, one.state.id))
        situation = old[0] if old else self._new(group)
        situation.state.cost = group.cost
        for merged in old[1:]:
            if self._rooted.get(merged.root) is merged:
                del self._rooted[merged.root]
        if situation.root != group.root:
            self._reroot(situation, group.root)
        moved = [node for merged in old[1:] for node in merged.nodes]  # in an order that a restart does not change
        for node in (*moved, *group.nodes):
            self._claim(situation, node)
        for merged in old[1:]:
            self._merge(merged, situation)

    def _new(self, group: Group) -> LiveSituation:
        seed = min(
            (alert for node in group.nodes for alert in self._at[node]),
            key=lambda alert: (alert.opened, alert.fingerprint),
        )
        root = self._evidence.name(group.root)
        state = SituationState(
            situation_id(seed, self.now), root, isinstance(group.root, int), "open", self.now, seed.opened, self.now
        )
        situation = LiveSituation(state, group.root)
        self._situations[state.id] = situation
        self._rooted[group.root] = situation
        return situation

    def _reroot(self, situation: LiveSituation, root: Node) -> None:
        if self._rooted.get(situation.root) is situation:
            del self._rooted[situation.root]
        self._rooted[root] = situation
        situation.reroot(root, self._evidence.name(root))
        self._touch(situation)

    def _claim(self, situation: LiveSituation, node: Node) -> None:
        """Let the situation explain the CI: its recent alerts move there."""
        holder = self._claimed.get(node)
        if holder is situation:
            return
        if holder is not None:
            del holder.nodes[node]
            self._touch(holder)
        self._hold(situation, node)
        for alert in sorted(self._at[node], key=lambda alert: (alert.opened, alert.fingerprint)):
            if holder is not None:
                holder.leave(alert)
            self._join(situation, alert)

    def _hold(self, situation: LiveSituation, node: Node) -> None:
        """Note that the situation explains the CI, and what all its CIs depend on from now on."""
        self._claimed[node] = situation
        reach = {provider for level in self._evidence.upstream(node) for provider in level}
        name = situation.state.id
        if situation.nodes:
            for provider in situation.common - reach:
                self._uncover(provider, name)
            situation.common &= reach
        else:
            situation.common = reach
            for provider in reach:
                self._covering.setdefault(provider, {})[name] = situation
        situation.nodes[node] = None

    def _uncover(self, provider: Node, name: str) -> None:
        holders = self._covering[provider]
        del holders[name]
        if not holders:
            del self._covering[provider]

    def _release(self, situation: LiveSituation) -> None:
        """The situation explains no recent alerts any more."""
        for provider in situation.common:
            self._uncover(provider, situation.state.id)
        situation.common.clear()

    def _join(self, situation: LiveSituation, alert: AlertState) -> None:
        situation.join(alert, self.now)
        self._dirty[_ALERT + alert.fingerprint.encode()] = None
        self._touch(situation)

    def _merge(self, situation: LiveSituation, heir: LiveSituation) -> None:
        """End a situation whose CIs another one explains; nobody needs to hear of it if nobody heard of it before."""
        state = situation.state
        state.merged_into, state.recent = heir.state.id, False
        self._release(situation)
        situation.become("merged")
        if state.version:
            self._touch(situation)
        else:
            self._forget(situation)

    # time

    def _touch(self, situation: LiveSituation) -> None:
        """Something about the situation changed: its status follows its alerts, and it is reported at the next tick."""
        state = situation.state
        if state.status in ("open", "resolved"):
            status: Status = "open" if situation.firing else "resolved"
            if status != state.status:
                situation.become(status)
                state.resolved = None if situation.firing else self.now
                self._await_deadline(situation)
        self._mark(state)

    def _mark(self, state: SituationState) -> None:
        state.touched = True
        self._touched[state.id] = None
        self._dirty[_SITUATION + state.id.encode()] = None

    def _deadline(self, state: SituationState) -> int:
        """When time alone changes something about an open or resolved situation next; far off if never."""
        return min(
            self._reportable(state) if state.touched or not state.version else NEVER,
            _tick(state.updated) + RECENT_MS if state.recent else NEVER,
            NEVER if state.resolved is None else _tick(state.resolved) + CLOSE_AFTER_MS,
        )

    def _reportable(self, state: SituationState) -> int:
        """From when on what is new about a situation is told."""
        if not state.version:
            return _tick(state.created) + REPORT_AFTER_MS
        told = _tick(state.told_at)
        if state.root != state.told_root or self._situations[state.id].severity > state.told_severity:
            return told
        return told + min(LONGEST_SILENCE_MS, REPORT_EVERY_MS * (1 + state.version // REPORT_RARER))

    def _meet_deadline(self, name: str) -> None:
        situation = self._situations.get(name)
        if situation is None or situation.state.status not in ("open", "resolved"):
            return
        state = situation.state
        situation.awaited = NEVER
        if state.recent and _tick(state.updated) + RECENT_MS <= self.now:
            self._cease_recent(situation)
        if state.resolved is not None and _tick(state.resolved) + CLOSE_AFTER_MS <= self.now:
            self._cease_recent(situation)
            situation.become("closed")
            self._mark(state)
        elif (state.touched or not state.version) and self._reportable(state) <= self.now:
            self._mark(state)  # what comes after is looked at once it is reported
        else:
            self._await_deadline(situation)
        self._dirty[_SITUATION + state.id.encode()] = None

    def _cease_recent(self, situation: LiveSituation) -> None:
        """Withdraw the situation's alerts from the evidence; they stay its members until it closes."""
        if not situation.state.recent:
            return
        self._reporter.score(situation)
        situation.state.recent = False
        for node in situation.nodes:
            self._evidence.withdraw(node)
            del self._claimed[node], self._at[node]
        self._release(situation)
        situation.nodes.clear()
        if self._rooted.get(situation.root) is situation:
            del self._rooted[situation.root]

    def _await_deadline(self, situation: LiveSituation) -> None:
        deadline = max(self._deadline(situation.state), _tick(self.now) + TICK_MS)
        if deadline < situation.awaited:
            situation.awaited = deadline
            heappush(self._deadlines, (deadline, situation.state.id))

    # reporting

    def _report(self, updates: list[SituationUpdate]) -> None:
        for name in sorted(self._touched):
            situation = self._situations.get(name)
            if situation is None:
                continue
            state = situation.state
            ended = state.status in ("closed", "merged")
            if not ended and self._reportable(state) > self.now:
                self._await_deadline(situation)
                continue
            updates += self._reporter.updates(situation)
            state.told_at = self.now
            self._dirty[_SITUATION + name.encode()] = None
            if ended:
                self._forget(situation)
            else:
                self._await_deadline(situation)
        self._touched.clear()

    def _forget(self, situation: LiveSituation) -> None:
        del self._situations[situation.state.id]
        self._dirty[_SITUATION + situation.state.id.encode()] = None
        for fingerprint in situation.alerts:
            del self._alerts[fingerprint]
            self._dirty[_ALERT + fingerprint.encode()] = None

    # state

    def _root_node(self, state: SituationState) -> Node:
        return self._graph.numbers.get(state.root, state.root) if state.known_root else state.root

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call, the clock among them."""
        changed: list[Change] = []
        for key in self._dirty:
            if key == _CLOCK:
                changed.append((key, b"%d" % self.now))
            elif key[:1] == _ALERT:
                alert = self._alerts.get(key[1:].decode())
                changed.append((key, None if alert is None else _encode(alert)))
            else:
                situation = self._situations.get(key[1:].decode())
                changed.append((key, None if situation is None else _encode(situation.state)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`.

        A saved alert whose situation was not saved with it is taken as one that still belongs nowhere.
        """
        alerts: list[AlertState] = []
        for key, value in entries:
            if key == _CLOCK:
                self.now = int(value)
            elif key[:1] == _ALERT:
                alerts.append(_decode_alert(value))
            else:
                state = _decode_situation(value)
                self._situations[state.id] = LiveSituation(state, self._root_node(state))
        for alert in sorted(alerts, key=lambda alert: (alert.sequence, alert.fingerprint)):
            self._alerts[alert.fingerprint] = alert
            situation = self._situations.get(alert.situation)
            if situation is None:
                alert.situation, alert.sequence, alert.again = "", 0, 0
                self._observe(alert)
                continue
            situation.hold(alert)
            if situation.state.recent:
                node = self._notice(alert)
                if node not in situation.nodes:
                    self._hold(situation, node)
        for situation in self._situations.values():
            if situation.state.recent:
                self._rooted[situation.root] = situation
            situation.joined = dict(sorted(situation.joined.items(), key=_told_in_order))
            self._await_deadline(situation)
            if situation.state.touched:
                self._touched[situation.state.id] = None


def _tick(time: int) -> int:
    """The tick a time belongs to: deadlines count from there, so that nothing is settled or told between two ticks."""
    return time - time % TICK_MS


def _told_in_order(joined: tuple[str, AlertState]) -> int:
    return max(joined[1].sequence, joined[1].again)
