"""Inhibition: withholds alerts from the second level while others fire, as rules of kind `inhibit` say.

The semantics are Alertmanager's (https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule), told in event
time so that the order of arrival does not matter. A source inhibits from when it began until INHIBITS_ON_MS after it
was resolved, whether or not it is inhibited itself. A target is judged as it stands GRACE_MS after it began; it is
released at the first moment without a source, unless it was over by then. Each such moment is decided on once all of
its time has been heard. Source and target belong together with the same rule, the same values of `equal` and the same
correlation domain; two alerts that are both source and target of a rule never inhibit each other by it, and none
inhibits itself. What has been told of already stays told of. Asked by second_level.py, for alerts with marks only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, Literal

import msgspec

from opsbridge.core.decisions import Shadowed, Suppressed, Transition
from opsbridge.core.event import Mark
from opsbridge.core.graph import CIGraph
from opsbridge.core.rulebook import SOURCE, TARGET, Inhibition
from opsbridge.core.second_level.evidence import NEVER
from opsbridge.core.second_level.pace import LATENESS_MS, TICK_MS
from opsbridge.core.second_level.parties import Held, Key, Party, Source, Sources, Spell
from opsbridge.core.sharing import domain_of
from opsbridge.core.state import Change

GRACE_MS: Final = 5_000
"""A source that begins so long after its target inhibits it still: causes are often noticed after their effects.
So targets, and only these, are explained that much later."""

REMEMBER_MS: Final = 60_000
"""That something was a source is remembered for so long after it matters: what is heard again after a crash is then
decided as it was."""

KEEP_MS: Final = 300_000
"""What has been resolved for so long is forgotten; until then, news of it that come twice are recognised."""

STATE: Final = b"i"
"""How the keys of its state entries begin."""


class Inhibitor:
    """The alerts of one partition that take part in inhibitions."""

    __slots__ = (
        "_awaited",
        "_blocked",
        "_deadlines",
        "_dirty",
        "_graph",
        "_lateness",
        "_parties",
        "_rules",
        "_sources",
        "_watched",
    )

    def __init__(self, graph: CIGraph, rules: Mapping[str, Inhibition], *, lateness_ms: int = LATENESS_MS) -> None:
        """`lateness_ms`: how long after a moment all that happened by then has been heard."""
        self._graph = graph
        self._rules = rules
        self._lateness = lateness_ms
        self._parties: dict[str, Party] = {}
        self._sources = Sources()
        self._blocked: dict[str, str] = {}  # target -> a source that goes on, which alone is watched
        self._watched: dict[str, dict[str, None]] = {}  # source -> targets that it blocks
        self._deadlines: list[tuple[int, str]] = []
        self._awaited: dict[str, int] = {}  # of each party, its only deadline that counts
        self._dirty: dict[str, None] = {}

    # hearing

    def concerns(self, transition: Transition) -> bool:
        """Whether `hear` has to be asked about it."""
        return bool(transition.marks) or transition.fingerprint in self._parties

    def hear(self, transition: Transition, *, told_of: bool) -> bool:
        """Whether the transition goes on at once. What does not comes from `settle` later, if at all.

        `told_of`: the alert fires, and the second level has been told of it, or of this very transition: it stays.
        """
        party = self._parties.get(transition.fingerprint)
        resolved = transition.change == "resolved"
        if party is None:
            if resolved or not any(mark.rule in self._rules for mark in transition.marks):
                return True
            party = self._parties[transition.fingerprint] = Party(transition.fingerprint, -1)
        if transition.position <= party.position:
            return False
        party.position, party.firing = transition.position, not resolved
        # what comes too late, or was held back, counts from now on: what has been decided stays
        party.at = max(party.at, transition.time_ms, transition.now_ms - LATENESS_MS)
        self._change_spells(party, transition)
        goes_on = party.held and party.held[-1].transition.change != "resolved"
        opens = transition.change in ("opened", "renewed") and not told_of and not goes_on
        if opens and self._targets(transition, shadow=True):
            party.trials.append(Held(party.at, transition))
        waits = bool(party.held) or (opens and bool(self._targets(transition)))
        if waits:
            party.held.append(Held(party.at, transition))
            if len(party.held) == 1:
                party.covered = party.at + GRACE_MS
            party.free = party.covered
            self._block(party.fingerprint, None)  # it may be no target any more
        self._dirty[party.fingerprint] = None
        self._await(party)
        return not waits

    def _change_spells(self, party: Party, transition: Transition) -> None:
        """The alert is a source of what its newest firing report says, and of nothing once it is resolved."""
        wanted: dict[tuple[str, str], bool] = {}
        if transition.change != "resolved":
            targets = {mark.rule for mark in transition.marks if mark.part == TARGET}
            for mark in transition.marks:
                if mark.part == SOURCE and mark.rule in self._rules:
                    wanted[mark.rule, mark.group] = mark.rule in targets
        for spell in party.spells:
            if spell.until == NEVER and wanted.get((spell.rule, spell.group)) == spell.both:
                del wanted[spell.rule, spell.group]
            elif spell.until == NEVER:
                spell.until = party.at
                self._unblock(party.fingerprint)
        for (rule, group), both in wanted.items():
            spell = Spell(rule, group, domain_of(self._graph, transition), both, party.at)
            party.spells.append(spell)
            self._sources.add(Key(spell.rule, spell.group, spell.domain), party.fingerprint, spell)

    def _targets(self, transition: Transition, *, shadow: bool = False) -> list[Mark]:
        """The marks of rules, in force or in trial, that may inhibit the alert."""
        return [
            mark
            for mark in transition.marks
            if mark.part == TARGET and (rule := self._rules.get(mark.rule)) is not None and rule.shadow == shadow
        ]

    # deciding

    def due(self) -> int | None:
        """When `settle` has something to do next, or None; it may be past."""
        return self._deadlines[0][0] if self._deadlines else None

    def settle(self, now: int) -> Iterator[Transition | Suppressed | Shadowed]:
        """What is decided at this tick: transitions to go on, and what is told of those that do not."""
        looked: set[str] = set()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, name = heappop(self._deadlines)
            if self._awaited.get(name) == deadline:
                del self._awaited[name]
                looked.add(name)
        parties = [self._parties[name] for name in sorted(looked)]
        for party in parties:
            yield from self._try(party, now)
            yield from self._decide(party, now)
        for party in parties:
            self._tidy(party, now)

    def _try(self, party: Party, now: int) -> Iterator[Shadowed]:
        """What rules in trial would do about openings."""
        while party.trials and party.trials[0].at + GRACE_MS + self._lateness <= now:
            held = party.trials.pop(0)
            opening = held.transition
            for mark in self._targets(opening, shadow=True):
                if self._covering(party, opening, [mark], held.at + GRACE_MS) is not None:
                    yield Shadowed(
                        mark.rule, "withhold", opening.ci, opening.class_, opening.event, party.fingerprint, now
                    )

    def _decide(self, party: Party, now: int) -> Iterator[Transition | Suppressed]:
        """Let the firings held go, one after the other, as far as is known by now what becomes of them."""
        settled = now - self._lateness
        while party.held:
            if not party.rule:
                if self._targets(party.held[0].transition):
                    if party.covered > settled:
                        return
                    source = self._inhibiting(party, party.covered)
                    if source is not None:
                        party.rule, party.by = source.spell.rule, source.fingerprint
                        yield self._told(party, "withheld", party.covered, now)
                if not party.rule:
                    yield from self._pass_on(party)
                    continue
            source = self._follow(party, settled)
            if source is not None:
                self._block(party.fingerprint, source.fingerprint)
            over = party.over()
            if over < NEVER and (source is not None or over <= party.free):
                if over > settled:
                    return
                yield self._told(party, "resolved", over, now)
                while party.held.pop(0).transition.change != "resolved":
                    pass
                self._next(party)
            elif source is not None or party.free > settled:
                return
            else:
                # where the rule itself is gone, it is released now
                released = max(party.free, settled - TICK_MS)
                yield self._told(party, "released", released, now)
                opening = party.held[0]
                opening.transition = msgspec.structs.replace(opening.transition, opened_ms=released)
                yield from self._pass_on(party)

    def _inhibiting(self, party: Party, time: int) -> Source | None:
        """The source that inhibits the first firing held at that time."""
        step = party.step(time).transition
        return self._covering(party, step, self._targets(step), time)

    def _covering(self, party: Party, target: Transition, marks: Sequence[Mark], time: int) -> Source | None:
        sources = {mark.rule for mark in target.marks if mark.part == SOURCE}
        for mark in marks:
            key = Key(mark.rule, mark.group, domain_of(self._graph, target))
            source = self._sources.covering(key, time, party.fingerprint, both=mark.rule in sources)
            if source is not None:
                return source
        return None

    def _follow(self, party: Party, settled: int) -> Source | None:
        """Follow the sources of a withheld alert, one after the other: the one that goes on, if one does."""
        over = party.over()
        party.free = party.covered
        while party.free < over:
            source = self._inhibiting(party, party.free)
            if source is None:
                return None
            end = min(source.spell.end, party.next_step(party.free))
            if end == NEVER:
                return source
            party.free = end
            if end <= settled:
                party.covered = end
        return None

    def _pass_on(self, party: Party) -> Iterator[Transition]:
        """The first firing held goes on, with all that came after it up to the next opening."""
        resolved = False
        while party.held and not (resolved and party.held[0].transition.change in ("opened", "renewed")):
            transition = party.held.pop(0).transition
            resolved |= transition.change == "resolved"
            yield transition
        self._next(party)

    def _next(self, party: Party) -> None:
        self._block(party.fingerprint, None)
        party.rule = party.by = ""
        if party.held:
            party.covered = party.free = party.held[0].at + GRACE_MS

    def _told(
        self, party: Party, state: Literal["withheld", "released", "resolved"], time: int, now: int
    ) -> Suppressed:
        opening, last = party.held[0].transition, party.step(time).transition
        resolution = party.resolution() if state == "resolved" else None
        return Suppressed(
            state,
            "inhibit",
            party.rule,
            party.fingerprint,
            opening.ci,
            opening.class_,
            last.severity,
            opening.event,
            opening.opened_ms,
            now,
            inhibited_by=party.by,
            events=(last if resolution is None else resolution.transition).count,
            known_ci=opening.known_ci,
        )

    # time

    def _await(self, party: Party) -> None:
        """Look at the party again when something about it can be decided."""
        due = [held.at + GRACE_MS + self._lateness for held in party.trials[:1]]
        due += [self._gone(spell) for spell in party.spells if spell.until < NEVER]
        if party.held:
            if party.rule and (over := party.over()) < NEVER:
                due.append(over + self._lateness)
            if party.fingerprint not in self._blocked or party.covered < party.free:
                due.append(party.free + self._lateness)
        if not (due or party.firing or party.spells):
            due.append(party.at + KEEP_MS)
        deadline = min(due, default=NEVER)
        if deadline < self._awaited.get(party.fingerprint, NEVER):
            self._awaited[party.fingerprint] = deadline
            heappush(self._deadlines, (deadline, party.fingerprint))

    def _gone(self, spell: Spell) -> int:
        """When the spell may be forgotten."""
        return spell.end + self._lateness + REMEMBER_MS

    def _block(self, target: str, source: str | None) -> None:
        """This source, if one does, keeps the target from being looked at for its sources' sake."""
        before = self._blocked.pop(target, None)
        if before is not None:
            del self._watched[before][target]
            if not self._watched[before]:
                del self._watched[before]
        if source is not None:
            self._blocked[target] = source
            self._watched.setdefault(source, {})[target] = None

    def _unblock(self, source: str) -> None:
        """The source does not go on: those that it blocked have to be looked at."""
        for name in self._watched.pop(source, ()):
            del self._blocked[name]
            self._await(self._parties[name])

    def _tidy(self, party: Party, now: int) -> None:
        """Forget what matters no longer."""
        for spell in party.spells:
            if self._gone(spell) <= now:
                self._sources.remove(Key(spell.rule, spell.group, spell.domain), party.fingerprint, spell)
        party.spells = [spell for spell in party.spells if self._gone(spell) > now]
        self._dirty[party.fingerprint] = None
        if party.firing or party.held or party.trials or party.spells or party.at + KEEP_MS > now:
            self._await(party)
        else:
            del self._parties[party.fingerprint]
            self._awaited.pop(party.fingerprint, None)

    # state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        changed: list[Change] = []
        for name in self._dirty:
            party = self._parties.get(name)
            changed.append((STATE + name.encode(), None if party is None else _encode(party)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back; for a new instance. Whom a rule inhibits that there is no longer is released."""
        for _, value in sorted(entries):
            party = _decode(value)
            party.spells = [spell for spell in party.spells if spell.rule in self._rules]
            self._parties[party.fingerprint] = party
            for spell in party.spells:
                self._sources.add(Key(spell.rule, spell.group, spell.domain), party.fingerprint, spell)
            self._await(party)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Party).decode
