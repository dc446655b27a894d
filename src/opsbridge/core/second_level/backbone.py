"""Backbone: decides about what several domains share, from what each of them has found, and tells of the outcome.

Every domain explains its alerts by its own CIs. For each situation that it finds, an alert is derived here, at the
situation's root; with the backbone's own alerts these are explained by a second level of their own, which may blame
backbone CIs. What comes of it is told with the members of all the domains, so that a core that fails is one incident,
while a failure that explains itself stays what its domain has found. Called between second level and response.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import groupby
from typing import Final

import msgspec

from opsbridge.core.classes import Nature, Profile, Profiles
from opsbridge.core.context import Context
from opsbridge.core.decisions import (
    ChangeOf,
    Moved,
    Regroup,
    Root,
    Shadowed,
    Situation,
    SituationUpdate,
    Suppressed,
    Transition,
)
from opsbridge.core.graph import CIGraph
from opsbridge.core.ids import digest
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.core.second_level import level
from opsbridge.core.second_level.findings import KINDS, Finding, Findings, FindingState
from opsbridge.core.second_level.level import SecondLevel, Told
from opsbridge.core.second_level.reporting import dependents, slices
from opsbridge.core.sharing import heard_at
from opsbridge.core.state import Change
from opsbridge.core.weights import Weights

LATENESS_MS: Final = 2 * level.LATENESS_MS + 2 * level.TICK_MS
"""What a domain has found has waited there already, and domains are not heard at the same pace."""

FORGET_AFTER_MS: Final = 3_600_000
"""How long a finding is remembered when all has been said of it, so that news of it that come twice are recognised."""

NAMED: Final = 8
"""So many domains are named in the reasons."""

News = Transition | SituationUpdate
"""An alert of a backbone CI changed, or what a domain has found did."""

_DERIVED: Final = "\x1f"
"""How the fingerprints of derived alerts begin; that no event opened them is what tells them from others."""

_SILENT: Final = ""
"""The class of a derived alert whose situation has a silent root; no event has an empty class."""

_ENGINE: Final = b"e"

_encode = msgspec.json.Encoder().encode


def home(graph: CIGraph, news: News) -> str:
    """The backbone domain where the news is heard; empty if it is not: then it goes the usual way."""
    if isinstance(news, SituationUpdate):
        return news.home
    domain, shared = heard_at(graph, news)
    return domain if shared else ""


class Backbone:
    """The backbones of one partition, with what all the domains that depend on them have found."""

    __slots__ = ("_deadlines", "_engine", "_findings", "now")

    def __init__(
        self,
        graph: CIGraph,
        book: Rulebook = EMPTY,
        weights: Weights | None = None,
        *,
        reopen_within_ms: int = 0,
        context: Context | None = None,
    ) -> None:
        """`reopen_within_ms`: as in SecondLevel, of what is told here; what domains find is always new."""
        known = book.profiles
        symptom = Profile(Nature.SYMPTOM)
        self.now = 0
        self._engine = SecondLevel(
            graph,
            msgspec.structs.replace(
                book, profiles=Profiles(lambda class_: symptom if class_ == _SILENT else known(class_))
            ),
            weights,
            lateness_ms=LATENESS_MS,
            reopen_within_ms=reopen_within_ms,
            owns_backbone=True,
            context=context,
        )
        self._findings = Findings()
        self._deadlines: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._engine)

    @property
    def _graph(self) -> CIGraph:
        return self._engine.graph

    def advance(self, news: Iterable[News]) -> list[Told]:
        """What is to be told after these news, in order of arrival; what comes twice changes nothing."""
        told: list[Told] = []
        for each in news:
            now = time_of(each)
            if now > self.now:
                self._move_to(now, told)
            if isinstance(each, Transition):
                self._engine.advance([each])
            else:
                self._hear(each)
        return told

    def regroup(self, correction: Regroup) -> list[Told]:
        """Apply what an operator says (SecondLevel.regroup) to alerts of backbone CIs, and to what domains have found.

        Alerts are split from a finding by its domain; what is split off there does not come here (`home`). A finding
        moves if all its alerts do.
        """
        if correction.into:
            named = set(correction.alerts)
            findings = self._findings.by_id.values()
            whole = sorted(each.id for each in findings if each.members and named.issuperset(each.members))
            alerts = (*correction.alerts, *(_DERIVED + name for name in whole))
            correction = msgspec.structs.replace(correction, alerts=alerts)
        return self._engine.regroup(correction)

    def expire(self, now: int) -> list[Told]:
        """The time is `now`, though nothing was heard."""
        told: list[Told] = []
        self._move_to(now, told)
        return told

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        engine = self._engine.due()
        ends = self._deadlines[0][0] if self._deadlines else None
        return min((due for due in (engine, ends) if due is not None), default=None)

    def _move_to(self, now: int, told: list[Told]) -> None:
        """Tick by tick, because members are told as they are at each."""
        while (due := self._engine.due()) is not None and due <= now:
            self.now = due
            self._tell(self._engine.expire(due), told)
        self._engine.expire(now)
        self._findings.forget_closed(self._engine.remembers)
        self.now = max(self.now, now)
        while self._deadlines and self._deadlines[0][0] <= self.now:
            self._findings.forget(self._findings.by_id[heappop(self._deadlines)[1]])

    # hearing

    def _hear(self, update: SituationUpdate) -> None:
        snapshot = update.situation
        finding = self._findings.by_id.get(snapshot.id)
        if finding is None:
            finding = self._findings.by_id[snapshot.id] = Finding(FindingState(snapshot))
        state = finding.state
        told = digest(_encode(update))
        if snapshot.version < state.version or state.ended is not None or told in state.digests:
            return
        if snapshot.version > state.version:
            state.version, state.digests = snapshot.version, []
        state.digests.append(told)
        self._findings.changed(finding)
        for member in update.moved.left:
            self._findings.leave(finding, member)
        for member in update.moved.joined:
            self._findings.join(finding, member)
        if update.part == update.parts:
            self._findings.heard(finding, snapshot)
            if not finding.over or (state.position and snapshot.status == "merged") or state.firing or finding.fresh():
                self._derive(finding, update.told_ms)
            if finding.over:
                self._end(finding)

    def _derive(self, finding: Finding, now: int) -> None:
        """Let the derived alert say what the finding says, and those whose situations have been merged into it."""
        state = finding.state
        firing = state.snapshot.status == "open"
        if not state.position or (firing and not state.firing):
            state.occurrence += 1
            self._say(finding, "opened", now)
            firing = state.snapshot.status == "open"
        elif firing:
            self._say(finding, "escalated", now)
        if not firing:
            self._say(finding, "resolved", now)
        state.firing = firing
        for name in sorted(self._findings.merged.get(finding.id, ())):
            other = self._findings.by_id[name]
            if other.state.position and other.state.ended is None:
                self._derive(other, now)

    def _say(self, finding: Finding, change: ChangeOf, now: int) -> None:
        state, snapshot = finding.state, finding.state.snapshot
        root = self._heir(finding).state.snapshot.root
        state.position += 1
        self._findings.changed(finding)
        first = change == "opened" and state.occurrence == 1
        opened = snapshot.opened_ms if first else now if change == "opened" else snapshot.updated_ms
        over = snapshot.updated_ms if snapshot.resolved_ms is None else snapshot.resolved_ms
        self._engine.advance(
            [
                Transition(
                    change,
                    _DERIVED + finding.id,
                    root.ci,
                    _SILENT if root.silent or root.class_ is None else root.class_,
                    0 if snapshot.status == "merged" else snapshot.severity,
                    over if change == "resolved" else opened,
                    now,
                    opened,
                    state.occurrence,
                    state.position,
                    event="",
                )
            ]
        )

    def _heir(self, finding: Finding) -> Finding:
        """What the finding has been merged into, as far as it has been heard of."""
        into = finding.state.snapshot.merged_into
        heir = None if into is None else self._findings.by_id.get(into)
        return finding if heir is None or heir.state.ended is not None else self._heir(heir)

    def _end(self, finding: Finding) -> None:
        """Nothing more will be said of a finding that is over, once the engine has forgotten it."""
        if finding.state.ended is None and self._holder(finding) is None:
            finding.state.ended = self.now
            self._findings.changed(finding)
            heappush(self._deadlines, (self.now + FORGET_AFTER_MS, finding.id))

    def _holder(self, finding: Finding) -> str | None:
        return self._engine.holder(_DERIVED + finding.id)

    # telling

    def _tell(self, said: list[Told], told: list[Told]) -> None:
        """Tell what the engine says, with the members of what domains have found instead of derived alerts.

        What rules withhold are alerts of backbone CIs, told as they are.
        """
        told += [each for each in said if not isinstance(each, SituationUpdate)]
        updates = [each for each in said if isinstance(each, SituationUpdate)]
        for _, parts in groupby(updates, lambda update: update.situation.id):
            together = list(parts)
            columns = {
                field: tuple(each for update in together for each in getattr(update.moved, field))
                for field in Moved.__struct_fields__
            }
            told += self._told(together[0].situation, Moved(**columns))

    def _told(self, said: Situation, moved: Moved) -> list[SituationUpdate]:
        findings = self._findings
        inside = self._inside(said, moved)
        left = [member for member in moved.left if member.event]
        joined = [member for member in moved.joined if member.event]
        findings.count(said.id, joined, left)
        left += findings.farewells(said.id)
        for finding in inside:
            joined += findings.tell(finding)
        snapshot = self._snapshot(said, inside)
        if said.status in ("closed", "merged"):
            if said.status == "closed" and self._engine.remembers(said.id):
                findings.closed(said.id, inside)
            findings.over(said.id)
            for finding in inside:
                findings.settle(finding)
                finding.state.firing = False
                if finding.over:
                    self._end(finding)
        moved = msgspec.structs.replace(moved, joined=tuple(joined), left=tuple(left))
        return slices(snapshot, moved, self.now)

    def _inside(self, said: Situation, moved: Moved) -> list[Finding]:
        """The findings that belong to this situation now; those that no longer do have left it."""
        findings = self._findings
        named = [member.fingerprint.removeprefix(_DERIVED) for member in moved.joined if not member.event]
        inside: list[Finding] = []
        for name in sorted({*named, *findings.inside.get(said.id, ())}):
            finding = findings.by_id[name]
            holder = self._holder(finding)
            if holder == said.id or (holder is None and said.status == "closed"):
                findings.move(finding, said.id)
                inside.append(finding)
            elif finding.state.told_in == said.id:
                findings.move(finding, "")
        return inside

    def _snapshot(self, said: Situation, inside: list[Finding]) -> Situation:
        """What the engine says of its situation, in terms of the alerts that there really are."""
        parts = [finding for finding in inside if finding.members]
        alerts, own = self._findings.counted(said.id, inside)
        told = msgspec.structs.replace(
            said,
            root=_spoken(said.root),
            alerts=alerts,
            firing=said.firing
            + sum(finding.state.snapshot.firing * finding.state.firing - finding.state.firing for finding in inside),
            updated_ms=max(said.updated_ms, *(finding.state.snapshot.updated_ms for finding in parts), 0),
        )
        if said.merged_into is not None:
            return told
        if said.status == "closed":
            sent = {held.member.ci for finding in inside for held in finding.members.values()}
            root = self._graph.numbers.get(said.root.ci, said.root.ci)
            unheard, heard = dependents(self._graph, root, sent.union(said.heard), said.opened_ms)
            told = msgspec.structs.replace(told, unheard=unheard, heard=heard)
        found = parts[0].state.snapshot if len(parts) == 1 else said
        if found is not said and found.root.ci == said.root.ci:
            told = msgspec.structs.replace(
                told, root=found.root, candidates=found.candidates, changes=found.changes, because=found.because
            )
            if not own:
                return told
        return msgspec.structs.replace(told, because=(self._reason(told, parts), *told.because[1:]))

    def _reason(self, told: Situation, parts: list[Finding]) -> str:
        root, graph = told.root, self._graph
        spoke = "sent nothing itself" if root.silent else f"sent {root.class_}"
        text = f"{root.ci} {spoke}; its failure is the best explanation of {told.alerts} alerts"
        numbers = (graph.numbers.get(finding.state.snapshot.root.ci) for finding in parts)
        domains = sorted({graph.domains[number] for number in numbers if number is not None})
        if not domains:
            return text
        more = ", ..." if len(domains) > NAMED else ""
        findings = "one situation" if len(parts) == 1 else f"{len(parts)} situations"
        return f"{text}, found as {findings} in {', '.join(domains[:NAMED])}{more}"

    # state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        changed = [(_ENGINE + key, value) for key, value in self._engine.changes()]
        return [*changed, *self._findings.changes()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        engine: list[tuple[bytes, bytes]] = []
        findings: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            if key[:1] == _ENGINE:
                engine.append((key[1:], value))
            elif key[:1] in KINDS:
                findings.append((key, value))
            else:
                raise ValueError(f"key {key!r} is no entry of a backbone")
        self._engine.restore(engine)
        self._findings.restore(findings)
        self.now = self._engine.now
        for finding in self._findings.by_id.values():
            if finding.state.ended is not None:
                heappush(self._deadlines, (finding.state.ended + FORGET_AFTER_MS, finding.id))


def time_of(news: News | Told) -> int:
    """What the time was where this was said."""
    match news:
        case SituationUpdate():
            return news.told_ms
        case Shadowed():
            return news.time_ms
        case Transition() | Suppressed():
            return news.now_ms


def _spoken(root: Root) -> Root:
    """The root as people know it: a derived alert without a class is silence."""
    return msgspec.structs.replace(root, class_=None, silent=True) if root.class_ == _SILENT else root
