"""What is left in the end: folds incident snapshots and member lists, live or of a pipeline, into final incidents.

The fold is per incident, because only records of one key are in order on a topic: what joined and has not left since
is in it. Ids are no part of the result: they depend on which alert came first.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from storm import Sent

from opsbridge.core.decisions import Derived, Shadowed, Suppressed
from opsbridge.core.pipeline import Accounts, Pipeline
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.sources.canonical import decode
from opsbridge.sources.source import Item
from opsbridge.stream.estate import Estate


class Final(NamedTuple):
    """One incident as it is in the end."""

    root: str
    silent: bool
    status: str
    alerts: int
    firing: int
    members: frozenset[tuple[str, str]]
    """Fingerprint and the event that opened it."""
    affected_cis: frozenset[str]

    def __repr__(self) -> str:
        counts = f"{self.alerts} alerts, {self.firing} firing, {len(self.members)} members"
        return (
            f"<{self.root}{' (silent)' if self.silent else ''} {self.status}: {counts}, {len(self.affected_cis)} CIs>"
        )


@dataclass(slots=True)
class Fold:
    """Incidents as the two topics tell of them."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    roots: Counter[str] = field(default_factory=Counter)
    """Every root that was ever told, with the number of snapshots."""
    suppressed: dict[str, Suppressed] = field(default_factory=dict)
    """What was told last of each alert that was withheld, by fingerprint."""
    _members: dict[str, dict[str, str]] = field(default_factory=dict)
    _cis: dict[str, set[str]] = field(default_factory=dict)

    def told(self, news: Incident | IncidentMembers | Suppressed) -> None:
        """Take in one record; records of one incident or alert in their order."""
        if isinstance(news, Suppressed):
            self.suppressed[news.fingerprint] = news
            return
        if isinstance(news, Incident):
            self.incidents[news.id] = news
            self.roots[news.root.ci] += 1
            return
        members, cis = self._members.setdefault(news.incident, {}), self._cis.setdefault(news.incident, set())
        for member in news.moved.left:
            members.pop(member.fingerprint, None)
        members.update((member.fingerprint, member.event) for member in news.moved.joined)
        cis.difference_update(news.moved.cis_left)
        cis.update(news.moved.cis_joined)

    def final(self) -> set[Final]:
        """The incidents that were not merged into others."""
        return {
            Final(
                incident.root.ci,
                incident.root.silent,
                incident.status,
                incident.alerts,
                incident.firing,
                frozenset(self._members.get(incident.id, {}).items()),
                frozenset(self._cis.get(incident.id, ())),
            )
            for incident in self.incidents.values()
            if incident.status != "merged"
        }

    def withheld(self) -> set[tuple[str, str, str, str, str]]:
        """Of each alert that was withheld: fingerprint, opening event, rule, kind, and what became of it."""
        return {(one.fingerprint, one.event, one.rule, one.kind, one.state) for one in self.suppressed.values()}

    def count(self) -> int:
        """How many incidents there are that were not merged into others."""
        return sum(incident.status != "merged" for incident in self.incidents.values())


@dataclass(frozen=True, slots=True)
class Expected:
    """What the core makes of records in one process, undisturbed."""

    fold: Fold
    accounts: Accounts
    derived: Counter[tuple[str, bool]]
    """How many events each rule made, firing or not."""
    shadowed: Counter[tuple[str, str, str]]
    """What rules in trial would have done: rule, what, and to which event."""

    @property
    def final(self) -> set[Final]:
        return self.fold.final()


def expected(estate: Estate, records: Iterable[Sent], now: float) -> Expected:
    """The pipeline over these canonical events in their order; `now` in seconds since 1970."""
    return expected_of_items(estate, (decode(value) for _, value in records), now)


def expected_of_items(estate: Estate, items: Iterable[Item], now: float) -> Expected:
    """The same over what sources make of payloads."""
    pipeline, fold = Pipeline(estate.graph, estate.book, estate.weights), Fold()
    decisions = [each for item in items for each in pipeline.advance([item], int(now * 1000))]
    decisions += pipeline.finish()
    for decision in decisions:
        if isinstance(decision, Incident | IncidentMembers | Suppressed):
            fold.told(decision)
    assert pipeline.accounts.balanced()
    return Expected(
        fold,
        pipeline.accounts,
        Counter((each.rule, each.firing) for each in decisions if isinstance(each, Derived)),
        Counter((each.rule, each.would, each.event) for each in decisions if isinstance(each, Shadowed)),
    )


def difference(live: Fold, wanted: set[Final]) -> str:
    """Where live and wanted differ, for a failing test."""
    have = live.final()
    lines = [f"live only: {one!r}" for one in sorted(have - wanted)[:10]]
    lines += [f"expected only: {one!r}" for one in sorted(wanted - have)[:10]]
    for mine in have - wanted:
        for other in wanted - have:
            if mine.root == other.root:
                lines.append(f"{mine.root}: members not live {sorted(other.members - mine.members)[:5]}")
                lines.append(f"{mine.root}: members only live {sorted(mine.members - other.members)[:5]}")
    return "\n".join(lines)
