"""Second level: hears alert transitions and keeps the situations that explain them, each with its best root cause.

A new alert waits until everything of its time has been heard (LATENESS_MS), so that the order of arrival does not
matter. Then the part of the evidence that it changes is explained anew (explanation.py), and situations follow: they
re-root, merge, split, lose and win members. A situation is reported only after it has been watched for a while, so that
a storm opens one, not hundreds. Nothing depends on how the input is cut in batches.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.alerts import Change
from opsbridge.core.classes import Profiles
from opsbridge.core.decisions import SituationUpdate, Status, Transition
from opsbridge.core.evidence import NEVER, Evidence, Node
from opsbridge.core.explanation import Group, Region
from opsbridge.core.graph import CIGraph
from opsbridge.core.reporting import Reporter
from opsbridge.core.situations import AlertState, ClockState, LiveSituation, SituationState, situation_id, weighed
from opsbridge.core.weights import Weights

TICK_MS: Final = 1_000
"""Alerts of one second of event time are settled together."""

LATENESS_MS: Final = 5_000
"""An alert is explained this long after it began: what comes within this time comes in time, whatever its order."""

REPORT_AFTER_MS: Final = 5_000
"""How long a new situation is watched before anyone hears of it (compare Alertmanager's group_wait of 30 s)."""

REPORT_EVERY_MS: Final = 5_000
"""A situation is told of again at most this often, unless its root or its severity changes..."""

REPORT_RARER: Final = 10
"""...and every so many versions this gets as long again, up to a minute: what flaps for hours is news once a minute."""

LONGEST_SILENCE_MS: Final = 60_000

RECENT_MS: Final = 900_000
"""A situation that nothing joined for this long is settled: later alerts have another cause..."""

RECENT_LONGEST_MS: Final = 3_600_000
"""...and so is one that has been joined again and again for this long: what always alarms is no storm."""

OVER_MS: Final = 120_000
"""A situation without a firing alert for this long is settled too, if it has not come back by then."""

LULL_MS: Final = 60_000
"""A CI that alerts after its situation was over for this long may have another reason this time."""

CLOSE_AFTER_MS: Final = 300_000
"""A resolved situation is closed after this long; until then, the same root reopens it..."""

CLOSE_AFTER_LONGEST_MS: Final = 14_400_000
"""...and a CI that alarms alone stays twice as long each time it comes back, at most this long: a chronic alarm opens
few situations, not one again and again."""

FLAPS_WITHIN_MS: Final = 3_600_000
"""A CI that fires again alone flaps in the situation that it belongs to, unless nothing has joined that for an hour."""

PIECE: Final = 100
"""An explanation of up to so many CIs is worked out whole at every change."""

GROWN: Final = 3
"""A larger one grows as it is, and is worked out whole when it has so many times as many more..."""

QUIET_MS: Final = 5_000
"""...when nothing came for this long..."""

UNQUIET_MS: Final = 30_000
"""...or when it has waited for this long."""

_ALERT, _SITUATION, _CLOCK = b"a", b"s", b"clock"
_encode = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(AlertState).decode
_decode_situation = msgspec.json.Decoder(SituationState).decode
_decode_clock = msgspec.json.Decoder(ClockState).decode


class SecondLevel:
    """The alerts and situations of one partition: whole correlation domains."""

    __slots__ = (
        "_alerts",
        "_at",
        "_claimed",
        "_deadlines",
        "_dirty",
        "_epoch",
        "_evidence",
        "_graph",
        "_hands_on",
        "_lateness",
        "_loose",
        "_loose_since",
        "_loose_until",
        "_profiles",
        "_report_after",
        "_reporter",
        "_rooted",
        "_settled",
        "_situations",
        "_touched",
        "_waiting",
        "_whole",
        "now",
    )

    def __init__(
        self,
        graph: CIGraph,
        profiles: Profiles | None = None,
        weights: Weights | None = None,
        *,
        lateness_ms: int = LATENESS_MS,
        report_after_ms: int = REPORT_AFTER_MS,
        owns_backbone: bool = False,
    ) -> None:
        """`owns_backbone`: decides about the CIs that several domains share; the others leave these out.

        What is found in a domain with a backbone is for backbone.py to watch and to tell of: it hears at once.
        """
        self._hands_on = not owns_backbone
        self._lateness = lateness_ms
        self._report_after = report_after_ms
        self.now = 0
        self._graph = graph
        self._profiles = profiles or Profiles()
        self._evidence = Evidence(graph, weights or Weights(), owns_backbone=owns_backbone)
        self._reporter = Reporter(graph, self._evidence, self._failed)
        self._alerts: dict[str, AlertState] = {}
        self._situations: dict[str, LiveSituation] = {}
        self._at: dict[Node, list[AlertState]] = {}  # recent alerts by CI
        self._claimed: dict[Node, LiveSituation] = {}  # the recent situation that explains a CI's alerts
        self._rooted: dict[Node, LiveSituation] = {}  # recent situations by root
        self._settled: dict[Node, dict[str, LiveSituation]] = {}  # those no longer recent, by root
        self._waiting: list[tuple[int, str]] = []  # alerts to be explained, by the time they began
        self._loose: dict[Node, None] = {}  # CIs that joined a large explanation as it was
        self._loose_since = self._loose_until = 0
        self._epoch = 1  # counts the times that a large explanation was worked out whole
        self._whole = 0  # how many CIs it had then
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
                if transition.change in ("opened", "renewed"):
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

    def holder(self, fingerprint: str) -> str | None:
        """The id of the situation that has the alert; empty while it waits for one, None if it is not remembered."""
        alert = self._alerts.get(fingerprint)
        return None if alert is None else alert.situation

    def _failed(self, node: Node) -> bool:
        """Whether the CI is the root of an open situation."""
        recent = self._rooted.get(node)
        settled = self._settled.get(node, {}).values()
        return any(one.state.status == "open" for one in (*settled, *(() if recent is None else (recent,))))

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        tick = _tick(self.now) + TICK_MS
        due = [tick] if self._touched else []
        if self._waiting:
            due.append(max(tick, _next_tick(self._waiting[0][0] + self._lateness)))
        if self._loose:
            due.append(max(tick, self._loose_deadline()))
        if self._deadlines:
            due.append(self._deadlines[0][0])
        return min(due, default=None)

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
            cleared=0,
            position=transition.position,
            rule=transition.rule,
            grounds=transition.grounds,
        )
        self._alerts[alert.fingerprint] = alert
        self._dirty[_ALERT + alert.fingerprint.encode()] = None
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
        situation = self._situations.get(alert.situation)
        if fires_again:
            if situation is not None:
                situation.fires_again(alert)
            # the first level counts anew what it has forgotten
            alert.occurrence = max(transition.occurrence, alert.occurrence + 1)
            alert.event = transition.event
        elif not firing:
            alert.cleared = max(alert.cleared, transition.time_ms)
        if situation is None:
            alert.severity, alert.firing = transition.severity, firing
            return
        node = self._node(alert)
        if fires_again and self._claimed.get(node) is situation:
            self._begin_anew(node, transition.opened_ms)
        situation.change(alert, severity=transition.severity, firing=firing)
        if self._claimed.get(node) is situation and alert in self._at[node]:
            self._weigh(node)
            if fires_again:
                situation.tell_again(alert)
        elif fires_again:
            alert.renewed = transition.change == "renewed"
            if not alert.waiting:  # what has settled may have another cause now
                alert.opened = transition.opened_ms
                self._wait(alert)
        self._touch(situation)

    def _follow(self, alert: AlertState, transition: Transition) -> None:
        """An alert that stands for a situation goes where that has its root now, and is as recent as its news."""
        situation = self._situations.get(alert.situation)
        recent = situation is not None and situation.state.recent
        if situation is not None and recent:
            situation.state.newest = max(situation.state.newest, transition.opened_ms)
        if (alert.ci, alert.class_) == (transition.ci, transition.class_):
            return
        node = self._node(alert)
        alert.ci, alert.class_, alert.loose = transition.ci, transition.class_, 0
        if situation is None:
            return
        if self._claimed.get(node) is situation and alert in self._at[node]:
            self._at[node].remove(alert)
            if self._at[node]:
                self._weigh(node)
            else:
                self._withdraw(node)
                del situation.nodes[node]
            self._wait(alert)
        elif not recent and all(other.ci == alert.ci for other in situation.alerts.values()):
            self._unshelve(situation)
            situation.reroot(self._node(alert), alert.ci)
            self._shelve(situation)
        situation.root_alerts = [own for own in situation.alerts.values() if own.ci == situation.state.root]

    def _node(self, alert: AlertState) -> Node:
        return self._graph.numbers.get(alert.ci, alert.ci) if alert.known_ci else alert.ci

    def _begin_anew(self, node: Node, time: int) -> None:
        """What a CI says after a lull may have another reason than before, so what it said before counts no longer.

        If all that its situation is about was over, that holds for the whole of it; but as long as anything of it
        fires, its root stays its root.
        """
        situation = self._claimed.get(node)
        if situation is None:
            return
        if not situation.firing and situation.state.cleared + LULL_MS < time:
            self._cease_recent(situation)
        elif node != situation.root and self._evidence.alerting[node].until + LULL_MS < time:
            for alert in self._at[node]:
                alert.spent = True
                self._dirty[_ALERT + alert.fingerprint.encode()] = None
            self._withdraw(node)
            del situation.nodes[node]
            if not situation.nodes:
                self._cease_recent(situation)

    def _withdraw(self, node: Node) -> None:
        """What a CI said no longer counts; its situation lets go of it."""
        self._evidence.withdraw(node)
        self._loose.pop(node, None)
        del self._at[node], self._claimed[node]

    def _weigh(self, node: Node) -> bool:
        """Whether the alerts of a CI say something else than before."""
        now = weighed(self._at[node], self._profiles)
        before = self._evidence.alerting.get(node)
        if before is None:
            self._evidence.add(node, now)
            return True
        self._evidence.change(node, now)
        return not before.equals(now)

    # settling

    def _settle(self) -> None:
        """Explain what began long enough ago, and what waited for a large explanation to be worked out."""
        fresh: dict[Node, None] = {}
        while self._waiting and self._waiting[0][0] + self._lateness <= self.now:
            alert = self._alerts.get(heappop(self._waiting)[1])
            if alert is None or not alert.waiting:
                continue
            alert.waiting = alert.spent = False
            self._dirty[_ALERT + alert.fingerprint.encode()] = None
            node = self._node(alert)
            self._begin_anew(node, alert.opened)
            self._at.setdefault(node, []).append(alert)
            if self._weigh(node):
                fresh[node] = None
            situation = self._claimed.get(node) or self._keeps(alert, node)
            if situation is not None:
                self._take_in(situation, alert)
        if fresh:
            self._explain(fresh)
        if self._loose and (len(self._loose) >= GROWN * self._whole or self._loose_deadline() <= self.now):
            self._explain_whole()

    def _keeps(self, alert: AlertState, node: Node) -> LiveSituation | None:
        """The situation that goes on with an alert which has gone to another CI."""
        situation = self._situations.get(alert.situation) if alert.sealed else None
        if situation is None or not situation.state.recent:
            return None
        self._claimed[node] = situation
        situation.nodes[node] = None
        for other in self._at[node]:
            if other is not alert:  # came a moment before
                self._take_in(situation, other)
        return situation

    def _explain(self, fresh: Iterable[Node]) -> None:
        """Explain these CIs and all that their explanation depends on anew; what is part of a storm joins it."""
        done: set[Node] = set()
        stormy: set[Node] = set()
        for node in fresh:
            if node in done:
                continue
            if stormy.isdisjoint(self._evidence.upstream(node)) and not self._attach(node, PIECE):
                region = Region(self._evidence, self._related, PIECE)
                region.gather([node])
                if region.whole:
                    done.update(region.nodes)
                    self._apply(region.groups())
                    continue
                stormy |= region.candidates
            if node not in self._claimed:
                self._attach(node)
            self._loosen(node)

    def _loosen(self, node: Node) -> None:
        if not self._loose:
            self._loose_since = self.now
        self._loose[node] = None
        self._loose_until = self.now
        for alert in self._at[node]:
            alert.loose = self._epoch
            self._dirty[_ALERT + alert.fingerprint.encode()] = None

    def _loose_deadline(self) -> int:
        return _tick(min(self._loose_until + QUIET_MS, self._loose_since + UNQUIET_MS))

    def _explain_whole(self) -> None:
        """Work a large explanation out whole, however large it is."""
        region = Region(self._evidence, self._related)
        region.gather(self._loose)
        self._loose.clear()
        self._epoch += 1
        self._whole = len(region.nodes)
        self._apply(region.groups())

    def _attach(self, node: Node, larger_than: int = 0) -> bool:
        """Let the nearest situation explain the CI that is larger than that; whether there is one."""
        evidence = self._evidence
        best: tuple[int, LiveSituation] | None = None
        for root, cost in evidence.roots_of(node):
            for situation in (self._rooted.get(root), self._claimed.get(root)):
                if situation is not None and len(situation.nodes) > larger_than and (best is None or cost < best[0]):
                    best = cost, situation
        if best is None or best[0] >= evidence.alone(node):
            return False
        self._claim(best[1], node)
        return True

    def _related(self, node: Node) -> list[Collection[Node]]:
        """CIs to be explained together with this one: those of the situation it belongs to or is the root of."""
        claimed, rooted = self._claimed.get(node), self._rooted.get(node)
        return [situation.nodes for situation in (claimed, rooted) if situation is not None]

    def _apply(self, groups: list[Group]) -> None:
        """Let situations follow an explanation: each goes on where most of its CIs are, the oldest is the heir."""
        homes: dict[str, Counter[int]] = {}
        for number, group in enumerate(groups):
            for node in group.nodes:
                holder = self._claimed.get(node)
                if holder is not None and not (holder.state.flapping and len(group.nodes) > 1):
                    homes.setdefault(holder.state.id, Counter())[number] += 1
        contenders: list[list[LiveSituation]] = [[] for _ in groups]
        for name, counts in homes.items():
            situation = self._situations[name]
            root = situation.root
            home = max(counts, key=lambda number: (counts[number], groups[number].root == root, -number))
            contenders[home].append(situation)
        heirs: list[LiveSituation] = []
        taken = set(homes)
        for group, held in zip(groups, contenders, strict=True):
            held.sort(key=lambda one: (not one.state.version, one.state.opened, one.state.id))
            heir = held[0] if held else self._revived(group, taken) or self._new(group)
            heirs.append(heir)
            taken.add(heir.state.id)
            for one in held:
                if self._rooted.get(one.root) is one:
                    del self._rooted[one.root]
        for group, heir in zip(groups, heirs, strict=True):
            if heir.state.flapping:
                continue
            if heir.root != group.root:
                heir.reroot(group.root, self._evidence.name(group.root))
                self._touch(heir)
            self._rooted[group.root] = heir
        for group, heir, held in zip(groups, heirs, contenders, strict=True):
            for node in group.nodes:
                self._claim(heir, node)
            for merged in held[1:]:
                self._merge(merged, heir)

    def _new(self, group: Group) -> LiveSituation:
        seed = min(
            (alert for node in group.nodes for alert in self._at[node]),
            key=lambda alert: (alert.opened, alert.fingerprint),
        )
        root = self._evidence.name(group.root)
        state = SituationState(
            situation_id(seed, self.now),
            root,
            isinstance(group.root, int),
            "open",
            self.now,
            seed.opened,
            self.now,
            reopened=seed.occurrence - 1,
            recent_since=self.now,
        )
        situation = LiveSituation(state, group.root)
        self._situations[state.id] = situation
        return situation

    def _revived(self, group: Group, elsewhere: Container[str]) -> LiveSituation | None:
        """The settled situation that goes on in this group, if one does.

        One does that a CI flaps in, or whose alerts their tools repeat; or, soon after it was resolved, one with the
        same root. What waits longer than usual because it is chronic waits for its own CI only. But several CIs that
        fire together again have a reason: that is another situation. Situations that go on `elsewhere` are not asked.
        """
        alerts = [alert for node in group.nodes for alert in self._at[node]]
        before = {alert.situation for alert in alerts}
        same = self._situations.get(before.pop()) if len(before) == 1 else None
        if same is not None and same.state.id not in elsewhere:
            fresh = same.state.lone or self.now - same.state.newest <= FLAPS_WITHIN_MS
            if (fresh and len(group.nodes) == 1) or all(alert.renewed for alert in alerts):
                return self._resume(same, group)
        resolved = [one for one in self._settled.get(group.root, {}).values() if one.state.resolved is not None]
        situation = max(resolved, key=lambda one: (one.state.newest, one.state.id), default=None)
        if situation is None or situation.state.resolved is None:
            return None
        ordinary = self.now <= _next_tick(situation.state.resolved + CLOSE_AFTER_MS + self._lateness)
        return self._resume(situation, group) if ordinary or group.nodes == [group.root] else None

    def _resume(self, situation: LiveSituation, group: Group) -> LiveSituation:
        self._unshelve(situation)
        situation.state.recent = True
        situation.state.recent_since = self.now
        situation.state.reopened += 1
        situation.state.flapping = len(group.nodes) == 1
        self._mark(situation.state)
        return situation

    def _claim(self, situation: LiveSituation, node: Node) -> None:
        """Let the situation explain the CI: its recent alerts move there."""
        holder = self._claimed.get(node)
        if holder is situation:
            return
        if holder is not None:
            del holder.nodes[node]
            self._touch(holder)
            if not holder.nodes and holder.state.flapping:
                self._cease_recent(holder)
        self._claimed[node] = situation
        situation.nodes[node] = None
        for alert in sorted(self._at[node], key=lambda alert: (alert.opened, alert.fingerprint)):
            self._take_in(situation, alert)

    def _take_in(self, situation: LiveSituation, alert: AlertState) -> None:
        """Let the situation have the alert, wherever it was before."""
        before = self._situations.get(alert.situation)
        if before is situation:
            situation.recount(alert)
        else:
            again = before is not None and alert.held != alert.occurrence
            if before is not None:
                before.leave(alert)
            situation.join(alert, self.now)
            if before is not None:
                self._touch(before)
                if not before.alerts:
                    if again:
                        self._end(before)
                    else:
                        self._merge(before, situation)
        self._dirty[_ALERT + alert.fingerprint.encode()] = None
        self._touch(situation)

    def _end(self, situation: LiveSituation) -> None:
        """Close a settled situation all of whose alerts have fired again for another cause."""
        state = situation.state
        self._cease_recent(situation)
        self._unshelve(situation)
        state.resolved = max(state.cleared, state.newest)
        for status in ("resolved", "closed"):
            situation.become(status)
        self._mark(state)

    def _merge(self, situation: LiveSituation, heir: LiveSituation) -> None:
        """End a situation whose CIs another one explains; nobody needs to hear of it if nobody heard of it before."""
        state = situation.state
        if state.status not in ("open", "resolved"):
            return
        for alert in list(situation.alerts.values()):  # what has settled goes where the rest went
            situation.leave(alert)
            heir.join(alert, self.now)
            alert.spent = alert not in self._at.get(self._node(alert), ())
            self._dirty[_ALERT + alert.fingerprint.encode()] = None
        self._unshelve(situation)
        state.merged_into, state.recent = heir.state.id, False
        situation.become("merged")
        if state.version or state.named:
            heir.state.named = True
            self._touch(situation)
        else:
            self._forget(situation)

    # time

    def _touch(self, situation: LiveSituation) -> None:
        """Something about the situation changed: its status follows its alerts, and it is reported at the next tick."""
        state = situation.state
        if state.status in ("open", "resolved") and situation.alerts:
            status: Status = "open" if situation.firing else "resolved"
            if status != state.status:
                situation.become(status)
            state.resolved = None if situation.firing else state.cleared
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
            self._settles(state) if state.recent else NEVER,
            self._closes(state),
        )

    def _settles(self, state: SituationState) -> int:
        """From when on the situation's alerts no longer count as evidence."""
        quiet = min(state.newest + RECENT_MS, state.recent_since + RECENT_LONGEST_MS)
        if state.resolved is not None:
            quiet = min(quiet, max(state.newest, state.resolved) + OVER_MS)
        return _next_tick(quiet + self._lateness)

    def _closes(self, state: SituationState) -> int:
        if state.resolved is None:
            return NEVER
        wait = min(CLOSE_AFTER_LONGEST_MS, CLOSE_AFTER_MS << min(state.reopened, 16)) if state.lone else CLOSE_AFTER_MS
        return _next_tick(state.resolved + wait + self._lateness)

    def _reportable(self, state: SituationState) -> int:
        """From when on what is new about a situation is told."""
        root = self._situations[state.id].root
        if self._hands_on and isinstance(root, int) and self._graph.home(root):
            return _tick(state.told_at) + TICK_MS if state.version else _tick(state.created)
        if not state.version:
            return _tick(state.created) + self._report_after
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
        if state.recent and self._settles(state) <= self.now:
            self._cease_recent(situation)
        if self._closes(state) <= self.now:
            self._cease_recent(situation)
            self._unshelve(situation)
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
        if situation.nodes and not situation.state.flapping:
            self._reporter.score(situation)
        situation.state.recent = False
        situation.state.settled = situation.state.sequence
        for node in situation.nodes:
            self._withdraw(node)
        situation.nodes.clear()
        if self._rooted.get(situation.root) is situation:
            del self._rooted[situation.root]
        self._shelve(situation)

    def _shelve(self, situation: LiveSituation) -> None:
        self._settled.setdefault(situation.root, {})[situation.state.id] = situation

    def _unshelve(self, situation: LiveSituation) -> None:
        there = self._settled.get(situation.root, {})
        if there.pop(situation.state.id, None) is not None and not there:
            del self._settled[situation.root]

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
            updates += self._reporter.updates(situation, self.now)
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
                clock = ClockState(self.now, self._epoch, self._whole, self._loose_since, self._loose_until)
                changed.append((key, _encode(clock)))
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
                clock = _decode_clock(value)
                self.now, self._epoch, self._whole = clock.now, clock.epoch, clock.whole
                self._loose_since, self._loose_until = clock.loose_since, clock.loose_until
            elif key[:1] == _ALERT:
                alerts.append(_decode_alert(value))
            else:
                state = _decode_situation(value)
                self._situations[state.id] = LiveSituation(state, self._root_node(state))
        for alert in sorted(alerts, key=lambda alert: (alert.sequence, alert.fingerprint)):
            self._alerts[alert.fingerprint] = alert
            self._restore_alert(alert)
        for node in self._at:
            self._weigh(node)
        for situation in self._situations.values():
            if situation.state.recent:
                if not situation.state.flapping:
                    self._rooted[situation.root] = situation
            elif situation.state.status in ("open", "resolved"):
                self._shelve(situation)
            situation.joined = dict(sorted(situation.joined.items(), key=_told_in_order))
            self._await_deadline(situation)
            if situation.state.touched:
                self._touched[situation.state.id] = None

    def _restore_alert(self, alert: AlertState) -> None:
        situation = self._situations.get(alert.situation)
        if situation is None:
            alert.situation, alert.sequence, alert.again = "", 0, 0
        else:
            situation.hold(alert)
        node = self._node(alert)
        loose = alert.loose == self._epoch and not alert.waiting
        if alert.waiting or (situation is None and not loose):
            self._wait(alert)
        elif not alert.spent and (
            loose
            or (
                situation is not None
                and situation.state.recent
                and max(alert.sequence, alert.again) > situation.state.settled
            )
        ):
            self._at.setdefault(node, []).append(alert)
            if situation is not None:
                self._claimed[node] = situation
                situation.nodes[node] = None
            if loose:
                self._loose[node] = None


def _tick(time: int) -> int:
    """The tick a time belongs to: deadlines count from there, so that nothing is settled or told between two ticks."""
    return time - time % TICK_MS


def _next_tick(time: int) -> int:
    """The first tick at or after a time."""
    return -(-time // TICK_MS) * TICK_MS


def _told_in_order(joined: tuple[str, AlertState]) -> int:
    return max(joined[1].sequence, joined[1].again)
