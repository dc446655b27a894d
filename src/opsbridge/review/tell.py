"""A review in words: sections of tables, the same for the terminal and for the page.

Nothing is counted here but shares of what is shown. Text that came with events is cleaned of what is not printable.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from opsbridge.review.model import IncidentFigures, Review, Spread

Row = tuple[str | int | float | None, ...]


class Table(NamedTuple):
    """Columns whose name starts with `#` hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    bars: int | None = None
    """Which column a chart may show as bars, labelled by the first one; None: it says more as a table alone."""


class Section(NamedTuple):
    """One subject."""

    name: str
    title: str
    tables: Sequence[Table]


PLACES: Final = {
    "dead_letter": "dead letter: no event",
    "informational": "informational, logged only",
    "suppressed": "suppressed by a rule",
    "routed": "routed elsewhere",
    "expired": "expired",
    "incident": "in an incident",
    "unanswered": "in a situation that is no incident",
    "waiting": "waiting: not told yet",
    "unexplained": "UNEXPLAINED",
}
_SIGNIFICANCE: Final = {
    "informational": "informational",
    "warning": "warning",
    "exception": "exception",
    "return_to_normal": "return to normal",
    "not_judged": "not judged (dead letters, filtered or routed)",
}


def sections(review: Review) -> list[Section]:
    """The whole review; tables without rows are left out, and sections without tables."""
    found = [
        Section("summary", "Summary", [Table("", ("figure", "value"), list(_summary(review)))]),
        Section("events", "Events", list(_events(review))),
        Section("alerts", "Alerts", list(_alerts(review))),
        Section("incidents", "Incidents", list(_incidents(review))),
        Section("responses", "Responses", list(_responses(review))),
        Section("rules", "Rule yield", list(_rules(review))),
        Section("outages", "Outages", list(_outages(review))),
        Section("checks", "Do the figures add up?", [_checks(review)]),
    ]
    kept = [each._replace(tables=[table for table in each.tables if table.rows]) for each in found]
    return [each for each in kept if each.tables]


def _summary(review: Review) -> Iterator[Row]:
    events, incidents, responses = review.events, review.incidents, review.responses
    yield "period", f"{review.begins} to {review.ends}" if review.begins else "no events"
    yield "events", events.read
    yield "events that needed a person", _of(events.needed_person.events, events.needed_person.share)
    yield "events in an incident or change", _of(events.incident_or_change.events, events.incident_or_change.share)
    yield "events of known errors", _of(events.known_errors.events, events.known_errors.share)
    yield "duplicates", _of(events.duplicates.events, events.duplicates.share)
    yield "alerts withheld because they were flapping", review.alerts.flapping
    merged = f", {incidents.merged} more were merged into these" if incidents.merged else ""
    yield "incidents", f"{incidents.incidents}{merged}"
    yield "collapse ratio", "-" if events.collapse_ratio is None else f"{events.collapse_ratio:g} : 1"
    yield "time to incident", spread(incidents.time_to_incident)
    yield "time to acknowledge", spread(incidents.time_to_acknowledge)
    yield "time to resolve", spread(incidents.time_to_resolve)
    yield "targets missed", f"{incidents.missed_acknowledge} to acknowledge, {incidents.missed_resolve} to resolve"
    yield "reopened", f"{incidents.reopened} incidents, {incidents.reopenings} times"
    yield "auto-responses effective", f"{_of(responses.effective, responses.success)}, of {responses.final} final ones"
    if (outages := review.outages) is not None:
        yield "outages without events", f"{outages.without_events} of {outages.outages}"
        yield "incidents without outage", outages.false_alarms
    yield "the figures", "add up" if review.adds_up else "DO NOT ADD UP: see the last table"


def _events(review: Review) -> Iterator[Table]:
    events = review.events
    read = events.read
    places = [
        (PLACES.get(place, place), clean(reason), count, percent(count / read))
        for place, reasons in events.places.items()
        for reason, count in reasons.items()
    ]
    yield Table("Where events ended", ("place", "reason or rule", "#events", "#share"), places)
    yield _share_table(
        "By significance", "significance", {_SIGNIFICANCE[name]: n for name, n in events.significance.items()}, read
    )
    for title, column, rows in (("By class", "class", events.classes), ("By source", "source", events.sources)):
        yield _share_table(title, column, {clean(each.name): each.events for each in rows}, read)
    talkers = [(clean(each.ci), each.events, percent(each.share), each.incidents) for each in events.top_talkers]
    yield Table("Top talkers", ("CI", "#events", "#share", "#incidents"), talkers, 1)
    dead = [(clean(reason), count) for reason, count in review.dead_letters.items()]
    yield Table("Dead letters, of feedback and context too", ("reason", "#records"), dead)


def _alerts(review: Review) -> Iterator[Table]:
    alerts = review.alerts
    yield Table(
        "What the first level made of them",
        ("figure", "#number"),
        [("different alerts told", alerts.alerts), ("firings", alerts.firings)],
    )
    withheld = [(kind, clean(rule), n) for kind, rules in alerts.withheld.items() for rule, n in rules.items()]
    yield Table("Withheld, for a time or to their end", ("kind", "rule", "#firings"), withheld)
    yield Table("Raised by rules", ("rule", "#firings"), [(clean(rule), n) for rule, n in alerts.raised.items()], 1)
    unsteady = [(clean(each.ci), clean(each.class_), each.firings) for each in alerts.most_unsteady]
    yield Table("Most unsteady alerts", ("CI", "class", "#firings"), unsteady)
    yield Table(
        "Discrepancies for configuration management", ("kind", "#references"), list(alerts.discrepancies.items())
    )


def _incidents(review: Review) -> Iterator[Table]:
    incidents = review.incidents
    if not incidents.incidents and not incidents.unanswered_situations:
        return
    total = incidents.incidents
    yield Table("Times", ("from .. to", "#incidents", "#p50", "#p90", "#max"), list(_times(incidents)))
    for title, column, counts in (
        ("By priority", "priority", incidents.by_priority),
        ("By status", "status", incidents.by_status),
        ("By assignment group", "group", incidents.by_group),
    ):
        yield _share_table(title, column, {clean(name): n for name, n in counts.items()}, total, "#incidents")
    figures = [
        ("whose root sent nothing itself", incidents.silent_roots),
        ("with a known error", incidents.with_known_error),
        ("with a recent change", incidents.with_change),
        ("reopened", incidents.reopened),
        ("not acknowledged in time", incidents.missed_acknowledge),
        ("not resolved in time", incidents.missed_resolve),
        ("situations that rules made no incidents", incidents.unanswered_situations),
    ]
    yield Table("Among them", ("which", "#number"), figures)
    largest = [
        (each.id, each.priority, clean(each.title), each.events, length(each.seconds)) for each in incidents.largest
    ]
    yield Table("The largest", ("incident", "priority", "title", "#events", "#resolved after"), largest)


def _times(incidents: IncidentFigures) -> Iterator[Row]:
    for name, found in (
        ("first event .. incident told", incidents.time_to_incident),
        ("told .. acknowledged", incidents.time_to_acknowledge),
        ("first event .. resolved", incidents.time_to_resolve),
    ):
        yield name, found.count, length(found.p50), length(found.p90), length(found.max)


def _responses(review: Review) -> Iterator[Table]:
    responses, records = review.responses, review.records
    actions = [
        (clean(each.action), each.responses, each.final, each.effective, percent(each.success), each.attempts)
        for each in responses.actions
    ]
    yield Table(
        "Auto-responses by action",
        ("action", "#requested for", "#final", "#effective", "#success", "#attempts"),
        actions,
    )
    yield Table("Auto-responses by status", ("status", "#responses"), list(responses.by_status.items()), 1)
    if responses.responses:
        figures = [
            ("rollbacks", responses.rollbacks),
            ("late results", responses.late_results),
            ("effective, and no person was told", responses.without_person),
        ]
        yield Table("Among them", ("which", "#number"), figures)
    yield Table("Notifications by reason", ("reason", "#notifications"), list(records.notifications.items()), 1)
    raised = [("problems", "all", records.problems), ("problems", "open", records.problems_open)] * bool(
        records.problems
    )
    raised += [("requests for change", status, n) for status, n in records.changes.items()]
    raised += [("service requests", status, n) for status, n in records.requests.items()]
    yield Table("Other records", ("what", "status", "#number"), raised)


def _rules(review: Review) -> Iterator[Table]:
    rows = [
        (
            clean(each.rule),
            each.kind,
            ", ".join(f"{what.replace('_', ' ')} {n}" for what, n in each.did.items()) or "decided",
            each.incidents,
        )
        for each in review.rules
        if each.did or each.incidents
    ]
    yield Table("What each rule has done", ("rule", "kind", "did", "#incidents"), rows)
    idle: dict[str, list[str]] = {}
    for each in review.rules:
        if not each.did and not each.incidents:
            idle.setdefault(each.kind, []).append(clean(each.rule))
    yield Table("Rules that did nothing", ("kind", "rules"), [(kind, ", ".join(idle[kind])) for kind in sorted(idle)])


def _outages(review: Review) -> Iterator[Table]:
    outages = review.outages
    if outages is None:
        return
    figures = [
        ("outages in the list", outages.outages),
        ("outages without events", outages.without_events),
        ("incidents that no outage accounts for", outages.false_alarms),
    ]
    yield Table("Held against the list", ("figure", "#number"), figures)
    missed = [(clean(each.ci), each.begins, each.ends) for each in outages.missed]
    yield Table("Outages that no incident tells of", ("CI", "begins", "ends"), missed)
    alarms = [(name,) for name in outages.false_alarm_ids]
    yield Table("Incidents that no outage accounts for", ("incident",), alarms)


def _checks(review: Review) -> Table:
    rows = [
        (each.what, each.left, each.right, "yes" if each.holds else f"NO{': ' * bool(each.hint)}{clean(each.hint)}")
        for each in review.checks
    ]
    return Table("", ("check", "#left", "#right", "holds"), rows)


def _share_table(title: str, column: str, counts: Mapping[str, int], whole: int, unit: str = "#events") -> Table:
    rows = [(name, count, percent(count / whole if whole else None)) for name, count in counts.items() if count]
    return Table(title, (column, unit, "#share"), rows, 1)


def _of(events: int, share: float | None) -> str:
    return f"{events}" if share is None else f"{events} ({percent(share)})"


def percent(share: float | None) -> str:
    """A share for people."""
    return "-" if share is None else f"{share * 100:.1f} %"


def spread(found: Spread) -> str:
    """A spread on one line."""
    if not found.count:
        return "-"
    return f"p50 {length(found.p50)}, p90 {length(found.p90)}, max {length(found.max)} (of {found.count})"


def length(seconds: float | None) -> str:
    """A length of time in at most two units."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.3g}s"
    whole = round(seconds)
    for unit, size, small, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part}{small}"
    return f"{whole}s"


def clean(text: str) -> str:
    """Text from outside, without what terminals and browsers would act on."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
