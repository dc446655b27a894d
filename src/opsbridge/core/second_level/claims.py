"""Claims: lets situations follow the explanations of what alerts, so that every alert is in the best one.

Situations re-root, merge, split, lose and win members, settle, come back and close here. Which CIs' failures explain
which alerts is explanation.py's; when which alert is explained is second_level.py's, which calls this.
"""

from collections import Counter
from collections.abc import Callable, Collection, Container

from opsbridge.core.classes import Profiles
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.agenda import Agenda
from opsbridge.core.second_level.evidence import Evidence, Node
from opsbridge.core.second_level.explanation import Group
from opsbridge.core.second_level.holding import Holding
from opsbridge.core.second_level.memory import Memory
from opsbridge.core.second_level.pace import CLOSE_AFTER_MS, FLAPS_WITHIN_MS, LULL_MS, next_tick
from opsbridge.core.second_level.reporting import Reporter
from opsbridge.core.second_level.situations import (
    ABSORBED,
    AlertState,
    LiveSituation,
    SituationState,
    situation_id,
    weighed,
)


class Claims:
    """Which situation explains which CI's alerts, in one partition."""

    __slots__ = (
        "_agenda",
        "_doubled",
        "_heirs",
        "_lateness",
        "_memory",
        "_rooted",
        "_settled",
        "_withdrawn",
        "at",
        "claimed",
        "evidence",
        "graph",
        "profiles",
        "reporter",
    )

    def __init__(
        self,
        memory: Memory,
        agenda: Agenda,
        evidence: Evidence,
        graph: CIGraph,
        holding: Holding,
        profiles: Profiles,
        withdrawn: Callable[[Node], None],
        *,
        lateness_ms: int,
    ) -> None:
        """`withdrawn` is told of every CI whose alerts are evidence no longer."""
        self._memory = memory
        self._agenda = agenda
        self.profiles = profiles
        self._withdrawn = withdrawn
        self._lateness = lateness_ms
        self.evidence = evidence
        self.graph = graph
        self.reporter = Reporter(graph, evidence, holding, self.failed)
        self.at: dict[Node, list[AlertState]] = {}
        """Recent alerts by CI."""
        self.claimed: dict[Node, LiveSituation] = {}
        """The recent situation that explains a CI's alerts."""
        self._rooted: dict[Node, LiveSituation] = {}  # recent situations by root
        self._settled: dict[Node, dict[str, LiveSituation]] = {}  # those no longer recent, by root
        self._doubled: list[tuple[Node, LiveSituation]] = []  # CIs that were two when they were saved, by their second
        self._heirs: Container[LiveSituation] = ()
        """Those that go on in the explanation being applied: what they lose before they gain does not end them."""

    def failed(self, node: Node) -> bool:
        """Whether the CI is the root of an open situation."""
        recent = self._rooted.get(node)
        settled = self._settled.get(node, {}).values()
        return any(one.state.status == "open" for one in (*settled, *(() if recent is None else (recent,))))

    def related(self, node: Node) -> list[Collection[Node]]:
        """CIs to be explained together with this one: those of the situation it belongs to or is the root of."""
        claimed, rooted = self.claimed.get(node), self._rooted.get(node)
        return [situation.nodes for situation in (claimed, rooted) if situation is not None]

    # what CIs say

    def weigh(self, node: Node) -> bool:
        """Whether the alerts of a CI say something else than before."""
        now = weighed(self.at[node], self.profiles)
        before = self.evidence.alerting.get(node)
        if before is None:
            self.evidence.add(node, now)
            return True
        self.evidence.change(node, now)
        return not before.equals(now)

    def begin_anew(self, node: Node, time: int) -> None:
        """What a CI says after a lull may have another reason than before, so what it said before counts no longer.

        If all that its situation is about was over, that holds for the whole of it; but as long as anything of it
        fires, its root stays its root.
        """
        situation = self.claimed.get(node)
        if situation is None:
            return
        if not situation.firing and situation.state.cleared + LULL_MS < time:
            self.cease_recent(situation)
        elif node != situation.root and self.evidence.alerting[node].until + LULL_MS < time:
            for alert in self.at[node]:
                alert.spent = True
                self._memory.alert_changed(alert)
            self.withdraw(node)
            del situation.nodes[node]
            if not situation.nodes:
                self.cease_recent(situation)

    def withdraw(self, node: Node) -> None:
        """What a CI said no longer counts; its situation lets go of it."""
        self.evidence.withdraw(node)
        self._withdrawn(node)
        del self.at[node]
        self.claimed.pop(node, None)

    def pin(self, alert: AlertState, situation: LiveSituation) -> None:
        """Put the alert into the situation, where it stays whatever the evidence says; it is no evidence any more."""
        node = self._memory.node(alert)
        if self.is_evidence(alert):
            others = [each for each in self.at[node] if each is not alert]
            holder = self.claimed.get(node)  # none, while it waits for a large explanation to be worked out
            if holder is not None and not holder.state.scored and not holder.state.flapping:
                self.reporter.score(holder)  # it may have nothing to be scored by any more
            if others:
                self.at[node] = others
                self.evidence.withdraw(node)
                self.evidence.add(node, weighed(others, self.profiles))
            else:
                self.withdraw(node)
                if holder is not None:
                    del holder.nodes[node]
        alert.waiting, alert.loose, alert.spent, alert.pinned = False, 0, True, True
        if self._memory.situation_of(alert) is situation:
            self._memory.alert_changed(alert)
        else:
            self.take_in(situation, alert)

    def reroot(self, situation: LiveSituation, blame: Callable[[], None]) -> None:
        """Let a settled situation have another root."""
        self._unshelve(situation)
        blame()
        self._shelve(situation)

    def renamed(self, situation: LiveSituation, before: str) -> None:
        """The situation has another id than before."""
        if self._settled.get(situation.root, {}).pop(before, None) is not None:
            self._shelve(situation)

    # who explains them

    def attach(self, node: Node, larger_than: int = 0) -> bool:
        """Let the nearest situation explain the CI that is larger than that; whether there is one."""
        evidence = self.evidence
        best: tuple[int, LiveSituation] | None = None
        for root, cost in evidence.roots_of(node):
            for situation in (self._rooted.get(root), self.claimed.get(root)):
                if situation is not None and len(situation.nodes) > larger_than and (best is None or cost < best[0]):
                    best = cost, situation
        if best is None or best[0] >= evidence.alone(node):
            return False
        self._claim(best[1], node)
        return True

    def keeps(self, alert: AlertState, node: Node) -> LiveSituation | None:
        """The situation that goes on with an alert which has gone to another CI."""
        situation = self._memory.situation_of(alert) if alert.sealed else None
        if situation is None or not situation.state.recent:
            return None
        self.claimed[node] = situation
        situation.nodes[node] = None
        for other in self.at[node]:
            if other is not alert:  # came a moment before
                self.take_in(situation, other)
        return situation

    def apply(self, groups: list[Group]) -> None:
        """Let situations follow an explanation: each goes on where most of its CIs are, the oldest is the heir."""
        homes: dict[str, Counter[int]] = {}
        for number, group in enumerate(groups):
            for node in group.nodes:
                holder = self.claimed.get(node)
                if holder is not None and not (holder.state.flapping and len(group.nodes) > 1):
                    homes.setdefault(holder.state.id, Counter())[number] += 1
        contenders: list[list[LiveSituation]] = [[] for _ in groups]
        for name, counts in homes.items():
            situation = self._memory.situations[name]
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
                heir.reroot(group.root, self.evidence.name(group.root))
                self._agenda.touch(heir)
            self._rooted[group.root] = heir
        self._heirs = set(heirs)
        for group, heir, held in zip(groups, heirs, contenders, strict=True):
            for node in group.nodes:
                self._claim(heir, node)
            for merged in held[1:]:
                self._merge(merged, heir)
        self._heirs = ()

    def _new(self, group: Group) -> LiveSituation:
        seed = min(
            (alert for node in group.nodes for alert in self.at[node]),
            key=lambda alert: (alert.opened, alert.fingerprint),
        )
        now = self._memory.clock.now
        state = SituationState(
            situation_id(seed.fingerprint, seed.occurrence, seed.opened, now),
            self.evidence.name(group.root),
            isinstance(group.root, int),
            "open",
            now,
            seed.opened,
            now,
            reopened=seed.occurrence - 1,
            recent_since=now,
        )
        situation = LiveSituation(state, group.root)
        self._memory.situations[state.id] = situation
        return situation

    def _revived(self, group: Group, elsewhere: Container[str]) -> LiveSituation | None:
        """The settled situation that goes on in this group, if one does.

        One does that a CI flaps in, or whose alerts their tools repeat; or, soon after it was resolved, one with the
        same root. What waits longer than usual because it is chronic waits for its own CI only. But several CIs that
        fire together again have a reason: that is another situation. Situations that go on `elsewhere` are not asked.
        """
        now = self._memory.clock.now
        alerts = [alert for node in group.nodes for alert in self.at[node]]
        before = {alert.situation for alert in alerts}
        same = self._memory.situations.get(before.pop()) if len(before) == 1 else None
        if same is not None and same.state.id not in elsewhere:
            fresh = same.state.lone or now - same.state.newest <= FLAPS_WITHIN_MS
            if (fresh and len(group.nodes) == 1) or all(alert.renewed for alert in alerts):
                return self._resume(same, group)
        settled = self._settled.get(group.root, {}).values()
        resolved = [one for one in settled if one.state.resolved is not None and not one.state.correction]
        situation = max(resolved, key=lambda one: (one.state.newest, one.state.id), default=None)
        if situation is None or situation.state.resolved is None:
            return None
        ordinary = now <= next_tick(situation.state.resolved + CLOSE_AFTER_MS + self._lateness)
        return self._resume(situation, group) if ordinary or group.nodes == [group.root] else None

    def _resume(self, situation: LiveSituation, group: Group) -> LiveSituation:
        self._unshelve(situation)
        situation.state.recent = True
        situation.state.recent_since = self._memory.clock.now
        situation.state.reopened += 1
        situation.state.flapping = len(group.nodes) == 1
        self._agenda.mark(situation.state)
        return situation

    def _claim(self, situation: LiveSituation, node: Node) -> None:
        """Let the situation explain the CI: its recent alerts move there."""
        holder = self.claimed.get(node)
        if holder is situation:
            return
        if holder is not None:
            del holder.nodes[node]
            self._agenda.touch(holder)
            if not holder.nodes and holder.state.flapping and holder not in self._heirs:
                self.cease_recent(holder)
        self.claimed[node] = situation
        situation.nodes[node] = None
        for alert in sorted(self.at[node], key=lambda alert: (alert.opened, alert.fingerprint)):
            self.take_in(situation, alert)

    def take_in(self, situation: LiveSituation, alert: AlertState) -> None:
        """Let the situation have the alert, wherever it was before."""
        before = self._memory.situation_of(alert)
        if before is situation:
            situation.recount(alert)
        else:
            again = before is not None and alert.held != alert.occurrence
            if before is not None:
                before.leave(alert)
            situation.join(alert, self._memory.clock.now)
            if before is not None:
                self._agenda.touch(before)
                if not before.alerts and before not in self._heirs:
                    if again:
                        self._end(before)
                    else:
                        self._merge(before, situation)
        self._memory.alert_changed(alert)
        self._agenda.touch(situation)

    def is_evidence(self, alert: AlertState) -> bool:
        """Whether what the alert says counts now."""
        return any(each is alert for each in self.at.get(self._memory.node(alert), ()))

    # how situations end

    def _end(self, situation: LiveSituation) -> None:
        """Close a settled situation all of whose alerts have fired again for another cause."""
        state = situation.state
        self.cease_recent(situation)
        self._unshelve(situation)
        state.resolved = max(state.cleared, state.newest)
        for status in ("resolved", "closed"):
            situation.become(status)
        self._agenda.mark(state)

    def _merge(self, situation: LiveSituation, heir: LiveSituation) -> None:
        """End a situation whose CIs another one explains; nobody needs to hear of it if nobody heard of it before."""
        state = situation.state
        if state.status not in ("open", "resolved"):
            return
        for alert in list(situation.alerts.values()):  # what has settled goes where the rest went
            situation.leave(alert)
            heir.join(alert, self._memory.clock.now)
            alert.spent = not self.is_evidence(alert)
            self._memory.alert_changed(alert)
        self._unshelve(situation)
        if self._rooted.get(situation.root) is situation:
            del self._rooted[situation.root]
        state.merged_into, state.recent = heir.state.id, False
        situation.become("merged")
        if state.version or state.named:
            heir.state.named = True
            heir.state.absorbed = [*heir.state.absorbed, *state.absorbed, state.id][-ABSORBED:]
            self._agenda.touch(situation)
        else:
            self._memory.forget(situation)

    def time_came(self, situation: LiveSituation) -> None:
        """Settle the situation, close it, or let it be told of: what its deadline was for."""
        state, agenda, now = situation.state, self._agenda, self._memory.clock.now
        if state.recent and agenda.settles(state) <= now:
            self.cease_recent(situation)
        if agenda.closes(state) <= now:
            self.cease_recent(situation)
            self._unshelve(situation)
            situation.become("closed")
            agenda.mark(state)
        elif (state.touched or not state.version) and agenda.reportable(state) <= now:
            agenda.mark(state)  # what comes after is looked at once it is reported
        else:
            agenda.wait(situation)
        self._memory.situation_changed(state)

    def cease_recent(self, situation: LiveSituation) -> None:
        """Withdraw the situation's alerts from the evidence; they stay its members until it closes."""
        if not situation.state.recent:
            return
        if situation.nodes and not situation.state.flapping:
            self.reporter.score(situation)
        situation.state.recent = False
        situation.state.settled = situation.state.sequence
        self._memory.situation_changed(situation.state)
        for node in situation.nodes:
            self.withdraw(node)
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

    # after a restart

    def counts(self, alert: AlertState, situation: LiveSituation | None, *, loose: bool) -> bool:
        """Whether a saved alert is evidence still; then it is taken up as such."""
        if alert.spent or not (
            loose
            or (
                situation is not None
                and situation.state.recent
                and max(alert.sequence, alert.again) > situation.state.settled
            )
        ):
            return False
        node = self._memory.node(alert)
        self.at.setdefault(node, []).append(alert)
        if situation is not None and situation.state.recent and alert.held == alert.occurrence:
            holder = self.claimed.setdefault(node, situation)
            if holder is situation:
                situation.nodes[node] = None
            else:
                self._doubled.append((node, situation))
        return True

    def restored(self, situation: LiveSituation) -> None:
        """Find the situation again by its root, as it was saved."""
        if situation.state.recent:
            if not situation.state.flapping:
                self._rooted[situation.root] = situation
        elif situation.state.status in ("open", "resolved"):
            self._shelve(situation)

    def unite(self) -> None:
        """Two situations that claim one CI are one: it was known and unknown at once, while something held on to it.

        After all have been restored; the older goes on with what both explain.
        """
        for node, situation in self._doubled:
            holder = self.claimed[node]
            if holder is situation or situation.state.status not in ("open", "resolved"):
                continue
            heir, other = sorted(
                (holder, situation), key=lambda one: (not one.state.version, one.state.opened, one.state.id)
            )
            self._claim(heir, node)
            for each in list(other.nodes):
                self._claim(heir, each)
            for alert in self.at[node]:
                if self._memory.situation_of(alert) is other:
                    self.take_in(heir, alert)
            self._merge(other, heir)
        self._doubled.clear()
