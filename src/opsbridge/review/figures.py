"""The figures of a review, from what was told and what was heard; and whether they add up.

Pure: the same records, rules, topology and list of outages give the same review, whether they come from topics, from a
recording or from a replay. All times are event times, so that nothing measures how fast OpsBridge was.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from opsbridge.core.graph import CIGraph
from opsbridge.core.records import Incident, Response
from opsbridge.core.response.ids import rfc3339
from opsbridge.core.response.judging import Judge
from opsbridge.core.rulebook import Rulebook
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
from opsbridge.review.places import Places
from opsbridge.review.recorded import Recorded
from opsbridge.review.told import Members, Told
from opsbridge.review.yields import yields

FINAL: Final = frozenset({"effective", "escalated", "refused", "cancelled"})
NONE: Final = "none"


def review(
    records: Iterable[Recorded],
    graph: CIGraph,
    book: Rulebook,
    rules: Mapping[str, str] | None = None,
    outages: Sequence[Known] | None = None,
    *,
    back: int = 0,
    until: int | None = None,
) -> Review:
    """The review of these records. `rules`: id -> kind of all that there are.

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
    since = max(0, (newest(events, told) if until is None else until) - back) if back else 0
    heard = HeardEvents(graph, book, told.dead, since)
    for record in events:
        heard.hear(record)
    return _Review(told, heard, graph, book, since).figures(rules or {}, outages)


class _Review:
    """What several figures need."""

    def __init__(self, told: Told, heard: HeardEvents, graph: CIGraph, book: Rulebook, since: int) -> None:
        self.told = told
        self.heard = heard
        self.graph = graph
        self.since = since
        judge = Judge(book, graph)
        self.judged = {name: judge(each).answer for name, each in told.situations.items() if each.status != "merged"}
        """Situation -> what the rules say of its newest version: incident or nothing."""
        self.places = Places(told, heard.ends)
        for fingerprint, reports in heard.reports.items():
            self.places.hear(fingerprint, reports)
        self.events_of: Counter[str] = Counter()
        """Incident -> events."""
        self.of_firings: Counter[tuple[str, str]] = Counter()
        """(place, reason) -> events that went on."""
        for firing, events in self.places.events.items():
            home = self.places.homes[firing]
            self.of_firings[home] += events
            if home.place == "incident":
                self.events_of[home.reason] += events
        for home, events in self.places.nowhere.items():
            self.of_firings[home] += events
        self.incidents = {
            name: incident
            for name, incident in told.incidents.items()
            if incident.status != "merged" and (self.events_of[name] or milliseconds(incident.opened) >= since)
        }
        self.end = max(
            chain([heard.ends], (milliseconds(incident.updated) for incident in self.incidents.values())), default=0
        )

    def figures(self, rules: Mapping[str, str], outages: Sequence[Known] | None) -> Review:
        events, incidents, responses = self._events(), self._incidents(), self._responses()
        records = self._records()
        checks = self._checks(events, incidents, responses)
        return Review(
            begins=rfc3339(self.heard.begins) if self.heard.begins else None,
            ends=rfc3339(self.heard.ends) if self.heard.begins else None,
            events=events,
            alerts=self._alerts(),
            incidents=incidents,
            responses=responses,
            records=records,
            rules=yields(self.told, self.heard, self.places, self.judged, rules, self.since),
            outages=None if outages is None else held_against(outages, list(self._spans()), self.graph, rfc3339),
            timeline=self._timeline(),
            dead_letters=by_number(Counter(letter.reason for letter in self.told.dead.values())),
            checks=checks,
            adds_up=all(check.holds for check in checks),
        )

    # events

    def _events(self) -> EventFigures:
        heard, read = self.heard, self.heard.read
        places: dict[str, Counter[str]] = defaultdict(Counter)
        for (place, reason), count in (heard.places + self.of_firings).items():
            places[place][self._reason(place, reason)] += count
        inside = sum(self.events_of.values())
        changed = {change.situation for change in self.told.changes.values()}
        in_changes = sum(
            count for (place, reason), count in self.of_firings.items() if place == "unanswered" and reason in changed
        )
        known = sum(count for name, count in self.events_of.items() if self.told.incidents[name].known_errors)
        incidents = len(self.incidents)
        return EventFigures(
            read=read,
            places={place: by_number(reasons) for place, reasons in sorted(places.items())},
            significance={name: heard.significance[name] for name in _SIGNIFICANCE},
            classes=top(heard.classes),
            sources=top(heard.sources),
            top_talkers=self._talkers(),
            needed_person=part(inside, read),
            incident_or_change=part(inside + in_changes, read),
            known_errors=part(known, read),
            duplicates=part(self._duplicates(), read),
            in_incidents=inside,
            collapse_ratio=round(inside / incidents, 2) if incidents else None,
        )

    def _reason(self, place: str, reason: str) -> str:
        """What to tell of a place whose reasons are ids, which nobody wants to read one by one."""
        if place == "incident":
            return "told"
        if place == "unanswered" and (answer := self.judged.get(reason)) is not None:
            return answer.rule if answer.response == "none" else "automation"
        return reason

    def _duplicates(self) -> int:
        """Reports of told firings beyond the changes that they told of."""
        changes = Counter((change.fingerprint, change.event) for change in self.told.transitions.values())
        return sum(
            max(0, events - changes[firing.fingerprint, firing.event])
            for firing, events in self.places.events.items()
            if self.places.homes[firing].place != "suppressed"
        )

    def _talkers(self) -> list[Talker]:
        incidents: dict[str, set[str]] = defaultdict(set)
        cis = {(change.fingerprint, change.event): change.ci for change in self.told.transitions.values()}
        for firing, home in self.places.homes.items():
            if home.place == "incident" and (ci := cis.get((firing.fingerprint, firing.event))) is not None:
                incidents[ci].add(home.reason)
        return [
            Talker(ci, events, share(events, self.heard.read), len(incidents[ci]))
            for ci, events in most(self.heard.talkers)[:TOP]
        ]

    def _timeline(self) -> list[Slot]:
        minutes = self.heard.minutes
        if not minutes:
            return []
        first, last = min(minutes), max(minutes)
        width = slot_minutes(last - first + 1)
        start = first // width * width
        slots = [[0, 0] for _ in range((last - start) // width + 1)]
        for minute, events in minutes.items():
            slots[(minute - start) // width][0] += events
        for incident in self.incidents.values():
            at = (milliseconds(incident.opened) // 60_000 - start) // width
            if 0 <= at < len(slots):
                slots[at][1] += 1
        return [
            Slot(rfc3339((start + at * width) * 60_000), events, incidents)
            for at, (events, incidents) in enumerate(slots)
        ]

    # alerts

    def _alerts(self) -> AlertFigures:
        told = self.told
        openings = [each for each in told.transitions.values() if each.change in ("opened", "renewed")]
        openings = [
            each
            for each in {(one.fingerprint, one.event): one for one in openings}.values()
            if self._in(each.opened_ms)
        ]
        withheld: dict[str, Counter[str]] = defaultdict(Counter)
        for each in told.withheld.values():
            if self._in(each.opened_ms):
                withheld[each.kind][each.rule] += 1
        alerts = Counter((each.ci, each.class_) for each in openings)
        raised = Counter(each.fingerprint.split("\x1f")[1] for each in openings if _derived(each.fingerprint))
        return AlertFigures(
            alerts=len({each.fingerprint for each in openings}),
            firings=len(openings),
            raised=by_number(raised),
            withheld={kind: by_number(rules) for kind, rules in sorted(withheld.items())},
            flapping=sum(withheld["flapping"].values()),
            most_unsteady=[Unsteady(*alert, firings=times) for alert, times in most(alerts)[:TOP] if times >= 3],
            discrepancies=by_number(Counter(kind for kind, _ in told.discrepancies)),
        )

    # incidents

    def _incidents(self) -> IncidentFigures:
        incidents, told = list(self.incidents.values()), self.told
        began = {each.id: told.began[each.id] for each in incidents}
        to_incident = [
            milliseconds(began[each.id].told) - milliseconds(each.opened) for each in incidents if began[each.id].told
        ]
        acknowledged = [
            milliseconds(each.acknowledged) - milliseconds(each.told)
            for each in began.values()
            if each.acknowledged and each.told
        ]
        resolved = [time for each in incidents if (time := _seconds(each)) is not None]
        unanswered = [
            name
            for name, each in told.situations.items()
            if "INC" + name[1:] not in told.incidents and each.status != "merged" and self._in(each.opened_ms)
        ]
        return IncidentFigures(
            incidents=len(incidents),
            merged=sum(
                each.status == "merged" and self._in(milliseconds(each.opened)) for each in told.incidents.values()
            ),
            by_status=by_number(Counter(each.status for each in incidents)),
            by_priority=dict(sorted(Counter(each.priority or NONE for each in incidents).items())),
            by_group=by_number(Counter(each.group or NONE for each in incidents)),
            silent_roots=sum(each.root.silent for each in incidents),
            with_known_error=sum(bool(each.known_errors) for each in incidents),
            with_change=sum(bool(each.changes) for each in incidents),
            reopened=sum(each.reopened > 0 for each in incidents),
            reopenings=sum(each.reopened for each in incidents),
            time_to_incident=spread([time / 1000 for time in to_incident]),
            time_to_acknowledge=spread([time / 1000 for time in acknowledged]),
            time_to_resolve=spread(resolved),
            missed_acknowledge=sum(
                bool(each.acknowledge_by)
                and (milliseconds(each.acknowledged) if each.acknowledged else self.end)
                > milliseconds(each.acknowledge_by)
                for each in began.values()
            ),
            missed_resolve=sum(
                bool(target := began[each.id].resolve_by)
                and (milliseconds(each.resolved) if each.resolved else self.end) > milliseconds(target)
                for each in incidents
            ),
            unanswered_situations=len(unanswered),
            largest=[
                _brief(self.incidents[name], events) for name, events in most(self.events_of) if name in self.incidents
            ][:TOP],
        )

    def _spans(self) -> Iterable[Span]:
        everybody = self.told.all_members()
        for incident in self.incidents.values():
            members = everybody.get(incident.situation, Members())
            ends = milliseconds(incident.resolved) if incident.resolved else self.end
            names = frozenset({incident.root.ci, *members.alerts, *members.affected, *incident.services})
            yield Span(incident.id, milliseconds(incident.opened), ends, names, incident.root.ci)

    # what was done

    def _responses(self) -> ResponseFigures:
        responses = [each for each in self.told.responses.values() if self._in(milliseconds(each.opened))]
        by_action: dict[str, list[Response]] = defaultdict(list)
        for each in responses:
            by_action[self.told.actions[each.id]].append(each)
        final = [each for each in responses if each.status in FINAL]
        effective = [each for each in final if each.status == "effective"]
        tried = [one for each in responses for one in each.tried]
        return ResponseFigures(
            responses=len(responses),
            by_status=by_number(Counter(each.status for each in responses)),
            final=len(final),
            effective=len(effective),
            success=share(len(effective), len(final)),
            attempts=sum(_attempts(each) for each in responses),
            rollbacks=sum(one.purpose == "rollback" for one in tried),
            late_results=sum(one.late for one in tried),
            without_person=sum(
                "INC" + self.told.last(each.situation)[1:] not in self.told.incidents for each in effective
            ),
            actions=[_action(name, by_action[name]) for name in sorted(by_action)],
        )

    def _records(self) -> RecordFigures:
        told = self.told
        problems = [each for each in told.problems.values() if self._in(milliseconds(each.opened))]
        changes = [each for each in told.changes.values() if self._in(milliseconds(each.opened))]
        requests = [each for each in told.requests.values() if self._in(milliseconds(each.opened))]
        return RecordFigures(
            problems=len(problems),
            problems_open=sum(each.status == "open" for each in problems),
            changes=by_number(Counter(each.status for each in changes)),
            requests=by_number(Counter(each.status for each in requests)),
            notifications=by_number(
                Counter(each.reason for each in told.notifications.values() if self._in(milliseconds(each.time)))
            ),
        )

    # whether it adds up

    def _checks(self, events: EventFigures, incidents: IncidentFigures, responses: ResponseFigures) -> list[Check]:
        heard, unexplained = self.heard, sum(events.places.get("unexplained", {}).values())
        other = sum(count for place in events.places.values() for count in place.values()) - unexplained
        classes = sum(each.events for each in events.classes)
        lost = (
            "topics that do not reach back equally far (give --since), or other rules or another topology than decided"
        )
        return [
            Check("events read = events in their places", heard.read, other, lost),
            Check("events read = events by significance", heard.read, sum(events.significance.values())),
            Check(
                "events read = events by class + dead letters",
                heard.read,
                classes + sum(events.places.get("dead_letter", {}).values()),
            ),
            Check("events by class = events by source", classes, sum(each.events for each in events.sources)),
            Check("events refused = dead letters written of them", heard.unwritten, 0, lost),
            Check(
                "events in incidents = events of each incident",
                sum(events.places.get("incident", {}).values()),
                sum(self.events_of[name] for name in self.incidents),
            ),
            Check("incidents = incidents by priority", incidents.incidents, sum(incidents.by_priority.values())),
            Check("incidents = incidents by status", incidents.incidents, sum(incidents.by_status.values())),
            Check("auto-responses = auto-responses by status", responses.responses, sum(responses.by_status.values())),
            Check(
                "auto-responses = auto-responses by action",
                responses.responses,
                sum(each.responses for each in responses.actions),
            ),
            Check("records that could not be read = 0", len(self.told.unread), 0, "; ".join(self.told.unread[:3])),
        ]

    def _in(self, time: int) -> bool:
        return time >= self.since


_SIGNIFICANCE: Final = ("informational", "warning", "exception", "return_to_normal", "not_judged")


def _attempts(response: Response) -> int:
    return sum(one.purpose == "action" for one in response.tried) or response.attempt


def _action(name: str, responses: Sequence[Response]) -> ActionFigures:
    final = sum(each.status in FINAL for each in responses)
    effective = sum(each.status == "effective" for each in responses)
    return ActionFigures(
        action=name,
        responses=len(responses),
        final=final,
        effective=effective,
        success=share(effective, final),
        attempts=sum(map(_attempts, responses)),
    )


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
        seconds=_seconds(incident),
    )


def _seconds(incident: Incident) -> float | None:
    return (
        None if incident.resolved is None else (milliseconds(incident.resolved) - milliseconds(incident.opened)) / 1000
    )


def _derived(fingerprint: str) -> bool:
    return fingerprint.startswith("rule\x1f") and fingerprint.count("\x1f") >= 2
