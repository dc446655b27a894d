"""What two runs of the same events make of them, old against new: which incidents open, close, merge, split or change.

Ids say nothing here, since another root gives another id: incidents are matched by the events that they share, and
those that share none (a derived alert's event is another one if its rule is) by root and time. Called by
`opsbridge backtest`, which runs the core; nothing here knows rules, files or the pipeline.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec

NEAR_MS: Final = 3_600_000
"""Incidents without a common event are the same only if their roots are, and they began within this time."""

Kind = Literal["opens", "closes", "merges", "splits", "root", "changes"]


class Ended(msgspec.Struct, frozen=True):
    """An incident as a run left it."""

    id: str
    title: str
    root: str
    cause: str
    """The class of the root's own alert; empty if it sent none."""
    severity: str
    status: str
    opened_ms: int
    events: frozenset[str]
    """Ids."""
    cis: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


class Brief(msgspec.Struct, frozen=True):
    """As much of an incident as tells which one is meant."""

    id: str
    root: str
    severity: str
    title: str
    events: int


class Difference(msgspec.Struct, frozen=True):
    """Incidents that belong together and are not the same."""

    kind: Kind
    """opens: only new. closes: only old. merges: several old ones are one. splits: one old is several. root: the same
    events have another root. changes: root and events' home are the same, something else is not."""
    old: tuple[Brief, ...]
    new: tuple[Brief, ...]
    details: tuple[str, ...] = ()


class Counted(msgspec.Struct, frozen=True):
    """How often a rule did something: events that it withheld, alerts that it derived or withheld."""

    what: str
    rule: str
    old: int
    new: int


_ORDER: Final[tuple[Kind, ...]] = ("opens", "closes", "merges", "splits", "root", "changes")

_Overlaps = dict[str, Counter[str]]
"""Incident -> incident of the other run -> how many events they share."""


def differences(old: Iterable[Ended], new: Iterable[Ended]) -> list[Difference]:
    """All differences between the incidents of two runs of the same events, those that matter most first."""
    before = {incident.id: incident for incident in old}
    after = {incident.id: incident for incident in new}
    forth, back = _overlaps(before, after)
    _match_by_root(before, after, forth, back)
    found = [*_pairs_and_groups(before, after, forth, back)]
    return sorted(found, key=lambda each: _ORDER.index(each.kind))


def counts(old: Mapping[tuple[str, str], int], new: Mapping[tuple[str, str], int]) -> list[Counted]:
    """(what, rule) -> how often, of both runs side by side."""
    return [Counted(*key, old.get(key, 0), new.get(key, 0)) for key in sorted(old.keys() | new.keys())]


def _overlaps(before: Mapping[str, Ended], after: Mapping[str, Ended]) -> tuple[_Overlaps, _Overlaps]:
    homes: dict[str, list[str]] = {}  # event -> new incidents; an id that was sent twice may have two
    for incident in after.values():
        for event in incident.events:
            homes.setdefault(event, []).append(incident.id)
    forth: _Overlaps = {name: Counter() for name in before}
    back: _Overlaps = {name: Counter() for name in after}
    for incident in before.values():
        for event in incident.events:
            for home in homes.get(event, ()):
                forth[incident.id][home] += 1
                back[home][incident.id] += 1
    return forth, back


def _match_by_root(before: Mapping[str, Ended], after: Mapping[str, Ended], forth: _Overlaps, back: _Overlaps) -> None:
    """Let incidents that share no event with any be the same if their roots are, the nearest in time first."""
    left: dict[tuple[str, str], list[Ended]] = {}
    for incident in after.values():
        if not back[incident.id]:
            left.setdefault((incident.root, incident.cause), []).append(incident)
    apart = sorted(
        (abs(incident.opened_ms - other.opened_ms), incident.id, other.id)
        for incident in before.values()
        if not forth[incident.id]
        for other in left.get((incident.root, incident.cause), ())
    )
    for time, one, other in apart:
        if time <= NEAR_MS and not forth[one] and not back[other]:
            forth[one][other] = back[other][one] = 1


def _pairs_and_groups(
    before: Mapping[str, Ended], after: Mapping[str, Ended], forth: _Overlaps, back: _Overlaps
) -> Iterator[Difference]:
    sources: dict[str, dict[str, None]] = {name: {} for name in after}
    targets: dict[str, dict[str, None]] = {name: {} for name in before}
    # Where most of an old incident goes, and where most of a new one comes from: single events that move make no merge.
    for name, shared in forth.items():
        if shared:
            heir = _most(shared, before[name], after)
            sources[heir][name] = targets[name][heir] = None
    for name, shared in back.items():
        if shared:
            origin = _most(shared, after[name], before)
            sources[name][origin] = targets[origin][name] = None
    for name, incident in after.items():
        olds = sorted((before[one] for one in sources[name]), key=_age)
        if not olds:
            yield Difference("opens", (), (_brief(incident),))
        elif len(olds) > 1:
            yield Difference("merges", tuple(map(_brief, olds)), (_brief(incident),))
        elif len(targets[olds[0].id]) == 1:
            yield from _compared(olds[0], incident)
    for name, incident in before.items():
        news = sorted((after[one] for one in targets[name]), key=_age)
        if not news:
            yield Difference("closes", (_brief(incident),), ())
        elif len(news) > 1:
            yield Difference("splits", (_brief(incident),), tuple(map(_brief, news)))


def _age(incident: Ended) -> tuple[int, str]:
    return incident.opened_ms, incident.id


def _most(shared: Counter[str], own: Ended, others: Mapping[str, Ended]) -> str:
    """The one that shares the most events; of equals (event ids may come twice) the one that is most like it."""

    def unlike(name: str) -> tuple[int, bool, int, bool, str]:
        other = others[name]
        return -shared[name], other.root != own.root, abs(other.opened_ms - own.opened_ms), name != own.id, name

    return min(shared, key=unlike)


def _compared(old: Ended, new: Ended) -> Iterator[Difference]:
    details = tuple(_details(old, new))
    if old.root != new.root:
        yield Difference("root", (_brief(old),), (_brief(new),), details)
    elif details:
        yield Difference("changes", (_brief(old),), (_brief(new),), details)


def _details(old: Ended, new: Ended) -> Iterator[str]:
    for name in ("severity", "status", "cause"):
        one, other = getattr(old, name) or "none", getattr(new, name) or "none"
        if one != other:
            yield f"{name}: {one} -> {other}"
    if old.opened_ms != new.opened_ms:
        seconds = (new.opened_ms - old.opened_ms) / 1000
        yield f"opens {abs(seconds):g} s {'later' if seconds > 0 else 'earlier'}"
    for what, one, other in (
        ("events", old.events, new.events),
        ("affected CIs", old.cis, new.cis),
        ("affected services", old.services, new.services),
    ):
        moved = [f"+{len(other - one)}"] * bool(other - one) + [f"-{len(one - other)}"] * bool(one - other)
        if moved:
            yield f"{what}: {' '.join(moved)}"


def _brief(incident: Ended) -> Brief:
    return Brief(incident.id, incident.root, incident.severity, incident.title, len(incident.events))
