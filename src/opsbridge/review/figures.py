"""The figures of a review, from what was told and what was heard; and whether they add up.

Pure: the same records, rules, topology and list of outages give the same review, whether they come from topics, from a
recording or from a replay. All times are event times, so that nothing measures how fast OpsBridge was.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from opsbridge.core.graph import CIGraph
from opsbridge.core.records import Incident, Response
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.times import rfc3339
from opsbridge.review.counting import TOP, by_number, milliseconds, most, part, share, slot_minutes, spread, top
from opsbridge.review.heard import HeardEvents, newest
from opsbridge.review.model import (
    ActionFigures,
    AlertFigures,
    Brief,
    Check,
    EventFigures,
    IncidentFigures,
    RecordFigures,
    ResponseFigures,
    Review,
    Slot,
    Talker,
    Unsteady,
)
from opsbridge.review.outages import Known, Span, held_against
from opsbridge.review.period import Period
from opsbridge.review.places import Home
from opsbridge.review.recorded import Recorded
from opsbridge.review.told import Members, Told, raised_by
from opsbridge.review.yields import yields
from opsbridge.sources.catalogue import load_sources
from opsbridge.sources.inputs import Inputs

FINAL: Final = frozenset({"effective", "escalated", "refused", "cancelled"})
"""Statuses of responses that are over."""

NONE: Final = "none"

SIGNIFICANCE: Final = ("informational", "warning", "exception", "return_to_normal", "not_judged")


def review(
    records: Iterable[Recorded],
    graph: CIGraph,
    book: Rulebook,
    rules: Mapping[str, str] | None = None,
    outages: Sequence[Known] | None = None,
    inputs: Inputs | None = None,
    *,
    back: int = 0,
    until: int | None = None,
) -> Review:
    """The review of these records. `rules`: id -> kind of all that there are; `inputs`: what reads the events.

    `back`: so many milliseconds before `until`, or else before the newest event, the period begins; 0: everything is
    counted. Events are counted again by `graph` and `book`, which have to be those that decided. They are kept until
    all records are read: what could not be heard is known by then.
    """
    told = Told()
    events: list[Recorded] = []
    for record in records:
        if record.entity == "events":
            events.append(record)
        else:
            told.hear(record)
    read = (inputs or Inputs(load_sources())).reader()
    since = max(0, (newest(events, told, read) if until is None else until) - back) if back else 0
    heard = HeardEvents(graph, book, told, since, read)
    for record in events:
        heard.hear(record)
    period = Period(told, heard, graph, book, since)
    checks = _checks(period)
    return Review(
        begins=rfc3339(heard.begins) if heard.begins else None,
        ends=rfc3339(heard.ends) if heard.begins else None,
        events=_events(period),
        alerts=_alerts(period),
        incidents=_incidents(period),
        responses=_responses(period),
        records=_records(period),
        rules=yields(period, rules or {}),
        outages=None if outages is None else held_against(outages, _spans(period), graph),
        timeline=_timeline(period),
        dead_letters=by_number(Counter(told.dead.values())),
        checks=checks,
        adds_up=all(check.holds for check in checks),
    )


def _checks(period: Period) -> list[Check]:
    """What may be wrong with what was read; figures of one thing add up by themselves, which tests hold."""
    heard, told = period.heard, period.told
    unexplained = sum(events for home, events in period.ended.items() if home.place == "unexplained")
    placed = heard.places.total() + period.ended.total() - unexplained
    lost = "topics that do not reach back equally far (give --since), or other rules or another topology than decided"
    return [
        Check("events read = events in their places", heard.read, placed, lost),
        Check("events refused = dead letters written of them", heard.unwritten, 0, lost),
        Check("records that could not be read = 0", len(told.unread), 0, "; ".join(told.unread[:3])),
    ]


# events


def _events(period: Period) -> EventFigures:
    heard, told = period.heard, period.told
    places: dict[str, Counter[str]] = defaultdict(Counter)
    for (place, reason), events in (*heard.places.items(), *period.ended.items()):
        places[place][_reason(period, Home(place, reason))] += events
    inside = sum(period.inside.values())
    changed = {change.situation for change in told.changes.values()}
    in_changes = sum(
        events for home, events in period.ended.items() if home.place == "unanswered" and home.reason in changed
    )
    known = sum(events for name, events in period.inside.items() if told.incidents[name].known_errors)
    return EventFigures(
        read=heard.read,
        places={place: by_number(reasons) for place, reasons in sorted(places.items())},
        significance={name: heard.significance[name] for name in SIGNIFICANCE},
        classes=top(heard.classes),
        sources=top(heard.sources),
        top_talkers=_talkers(period),
        needed_person=part(inside, heard.read),
        incident_or_change=part(inside + in_changes, heard.read),
        known_errors=part(known, heard.read),
        duplicates=part(_duplicates(period), heard.read),
        collapse_ratio=round(inside / len(period.incidents), 2) if period.incidents else None,
    )


def _reason(period: Period, home: Home) -> str:
    """What to tell of a place whose reasons are ids, which nobody wants to read one by one."""
    if home.place == "incident":
        return "told"
    if home.place == "unanswered" and (answer := period.judged.get(home.reason)) is not None:
        return answer.rule if answer.response == "none" else "automation"
    return home.reason


def _duplicates(period: Period) -> int:
    """Reports of told firings beyond the changes that they told of."""
    places = period.places
    changes = Counter((change.fingerprint, change.event) for change in period.told.transitions.values())
    return sum(
        max(0, events - changes[firing])
        for firing, events in places.events.items()
        if places.homes[firing].place != "suppressed"
    )


def _talkers(period: Period) -> list[Talker]:
    incidents: dict[str, set[str]] = defaultdict(set)
    for change in period.told.transitions.values():
        home = period.places.homes[change.fingerprint, change.event]
        if home.place == "incident":
            incidents[change.ci].add(home.reason)
    heard = period.heard
    return [Talker(ci, n, share(n, heard.read), len(incidents[ci])) for ci, n in most(heard.talkers)[:TOP]]


def _timeline(period: Period) -> list[Slot]:
    minutes = period.heard.minutes
    if not minutes:
        return []
    first, last = min(minutes), max(minutes)
    width = slot_minutes(last - first + 1)
    begin = first // width
    events, opened = Counter[int](), Counter(milliseconds(each.opened) // 60_000 // width for each in period.incidents)
    for minute, count in minutes.items():
        events[minute // width] += count
    return [Slot(rfc3339(at * width * 60_000), events[at], opened[at]) for at in range(begin, last // width + 1)]


# alerts


def _alerts(period: Period) -> AlertFigures:
    firings = period.firings.values()
    withheld: dict[str, Counter[str]] = defaultdict(Counter)
    for each in period.of(period.told.withheld.values()):
        withheld[each.kind][each.rule] += 1
    unsteady = most(Counter((each.ci, each.class_) for each in firings))[:TOP]
    return AlertFigures(
        alerts=len({each.fingerprint for each in firings}),
        firings=len(firings),
        raised=by_number(Counter(rule for each in firings if (rule := raised_by(each)))),
        withheld={kind: by_number(rules) for kind, rules in sorted(withheld.items())},
        most_unsteady=[Unsteady(ci, class_, times) for (ci, class_), times in unsteady if times >= 3],
        discrepancies=by_number(Counter(kind for kind, _ in period.told.discrepancies)),
    )


# incidents


def _incidents(period: Period) -> IncidentFigures:
    told, incidents = period.told, period.incidents
    began = [told.began[each.id] for each in incidents]
    merged = [each for each in period.of(told.incidents.values()) if each.status == "merged"]
    unanswered = [
        each
        for each in period.of(told.situations.values())
        if each.status != "merged" and not told.incident_of(each.id)
    ]
    return IncidentFigures(
        incidents=len(incidents),
        merged=len(merged),
        by_status=by_number(Counter(each.status for each in incidents)),
        by_priority=dict(sorted(Counter(each.priority or NONE for each in incidents).items())),
        by_group=by_number(Counter(each.group or NONE for each in incidents)),
        silent_roots=sum(each.root.silent for each in incidents),
        with_known_error=sum(bool(each.known_errors) for each in incidents),
        with_change=sum(bool(each.changes) for each in incidents),
        reopened=sum(each.reopened > 0 for each in incidents),
        reopenings=sum(each.reopened for each in incidents),
        time_to_incident=spread(_between(each.opened, own.told) for each, own in zip(incidents, began, strict=True)),
        time_to_acknowledge=spread(_between(own.told, own.acknowledged) for own in began),
        time_to_resolve=spread(_between(each.opened, each.resolved) for each in incidents),
        missed_acknowledge=sum(_missed(own.acknowledge_by, own.acknowledged, period.ends) for own in began),
        missed_resolve=sum(
            _missed(own.resolve_by, each.resolved, period.ends) for each, own in zip(incidents, began, strict=True)
        ),
        unanswered_situations=len(unanswered),
        largest=[_brief(told.incidents[name], events) for name, events in most(period.inside)[:TOP]],
    )


def _between(begins: str, ends: str | None) -> float | None:
    """In seconds; None unless both were."""
    return (milliseconds(ends) - milliseconds(begins)) / 1000 if begins and ends else None


def _missed(target: str, reached: str | None, now: int) -> bool:
    """Whether a target has passed before it was reached, or before the end of the period."""
    return bool(target) and (milliseconds(reached) if reached else now) > milliseconds(target)


def _brief(incident: Incident, events: int) -> Brief:
    return Brief(
        id=incident.id,
        title=incident.title,
        root=incident.root.ci,
        priority=incident.priority or NONE,
        status=incident.status,
        severity=incident.severity,
        opened=incident.opened,
        events=events,
        seconds=_between(incident.opened, incident.resolved),
    )


def _spans(period: Period) -> list[Span]:
    everybody = period.told.members()
    spans = []
    for incident in period.incidents:
        members = everybody.get(incident.situation, Members())
        ends = milliseconds(incident.resolved) if incident.resolved else period.ends
        names = frozenset({incident.root.ci, *members.alerts, *members.affected, *incident.services})
        spans.append(Span(incident.id, milliseconds(incident.opened), ends, names, incident.root.ci))
    return spans


# what was done


def _responses(period: Period) -> ResponseFigures:
    told = period.told
    responses = period.of(told.responses.values())
    by_action: dict[str, list[Response]] = defaultdict(list)
    for each in responses:
        by_action[told.actions[each.id]].append(each)
    whole = _action("", responses)
    tried = [one for each in responses for one in each.tried]
    return ResponseFigures(
        responses=whole.responses,
        by_status=by_number(Counter(each.status for each in responses)),
        final=whole.final,
        effective=whole.effective,
        success=whole.success,
        attempts=whole.attempts,
        rollbacks=sum(one.purpose == "rollback" for one in tried),
        late_results=sum(one.late for one in tried),
        without_person=sum(each.status == "effective" and not told.incident_of(each.situation) for each in responses),
        actions=[_action(name, by_action[name]) for name in sorted(by_action)],
    )


def _action(name: str, responses: Sequence[Response]) -> ActionFigures:
    final = sum(each.status in FINAL for each in responses)
    effective = sum(each.status == "effective" for each in responses)
    return ActionFigures(
        action=name,
        responses=len(responses),
        final=final,
        effective=effective,
        success=share(effective, final),
        attempts=sum(sum(one.purpose == "action" for one in each.tried) or each.attempt for each in responses),
    )


def _records(period: Period) -> RecordFigures:
    told = period.told
    return RecordFigures(
        problems=by_number(Counter(each.status for each in period.of(told.problems.values()))),
        changes=by_number(Counter(each.status for each in period.of(told.changes.values()))),
        requests=by_number(Counter(each.status for each in period.of(told.requests.values()))),
        notifications=by_number(Counter(each.reason for each in period.of(told.notifications.values()))),
    )
