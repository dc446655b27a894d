"""A review in words: sections of tables, the same for the terminal and for the page.

Nothing is counted here but shares of what is shown. Text that came with events is cleaned of what is not printable.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from opsbridge.review.model import Check, IncidentFigures, OutageFigures, Part, Review, RuleYield, Spread

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
    told = (
        ("summary", "Summary", _summary(review)),
        ("events", "Events", _events(review)),
        ("alerts", "Alerts", _alerts(review)),
        ("incidents", "Incidents", _incidents(review.incidents)),
        ("responses", "Responses", _responses(review)),
        ("rules", "Rule yield", _rules(review.rules)),
        ("outages", "Outages", _outages(review.outages)),
        ("checks", "Do the figures add up?", _checks(review.checks)),
    )
    found = [Section(name, title, [_cleaned(table) for table in tables if table.rows]) for name, title, tables in told]
    return [each for each in found if each.tables]


def _cleaned(table: Table) -> Table:
    rows = [tuple(clean(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows]
    return table._replace(rows=rows)


def _summary(review: Review) -> Iterator[Table]:
    events, incidents, responses = review.events, review.incidents, review.responses
    merged = f", {incidents.merged} more were merged into these" if incidents.merged else ""
    rows: list[Row] = [
        ("period", f"{review.begins} to {review.ends}" if review.begins else "no events"),
        ("events", events.read),
        ("events that needed a person", _part(events.needed_person)),
        ("events in an incident or change", _part(events.incident_or_change)),
        ("events of known errors", _part(events.known_errors)),
        ("duplicates", _part(events.duplicates)),
        ("alerts withheld because they were flapping", sum(review.alerts.withheld.get("flapping", {}).values())),
        ("incidents", f"{incidents.incidents}{merged}"),
        ("collapse ratio", "-" if events.collapse_ratio is None else f"{events.collapse_ratio:g} : 1"),
        ("time to incident", spread(incidents.time_to_incident)),
        ("time to acknowledge", spread(incidents.time_to_acknowledge)),
        ("time to resolve", spread(incidents.time_to_resolve)),
        ("targets missed", f"{incidents.missed_acknowledge} to acknowledge, {incidents.missed_resolve} to resolve"),
        ("incidents reopened", f"{incidents.reopened}, in all {_times(incidents.reopenings)}"),
        (
            "auto-responses effective",
            f"{_part(Part(responses.effective, responses.success))}, of {responses.final} final ones",
        ),
    ]
    if (outages := review.outages) is not None:
        rows += [
            ("outages without events", f"{outages.without_events} of {outages.outages}"),
            ("incidents without outage", outages.false_alarms),
        ]
    rows.append(("the figures", "add up" if review.adds_up else "DO NOT ADD UP: see the last table"))
    yield Table("", ("figure", "value"), rows)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _events(review: Review) -> Iterator[Table]:
    events = review.events
    read = events.read
    places = [
        (PLACES[place], reason, n, percent(n / read))
        for place, n_of in events.places.items()
        for reason, n in n_of.items()
    ]
    yield Table("Where events ended", ("place", "reason or rule", "#events", "#share"), places)
    significance = {_SIGNIFICANCE[name]: n for name, n in events.significance.items() if n}
    yield _shares("By significance", "significance", significance, "#events", read)
    for title, column, rows in (("By class", "class", events.classes), ("By source", "source", events.sources)):
        yield _shares(title, column, {each.name: each.events for each in rows}, "#events", read)
    talkers = [(each.ci, each.events, percent(each.share), each.incidents) for each in events.top_talkers]
    yield Table("Top talkers", ("CI", "#events", "#share", "#incidents"), talkers, 1)
    dead = list(review.dead_letters.items())
    yield Table("Dead letters, of feedback and context too", ("reason", "#records"), dead)


def _alerts(review: Review) -> Iterator[Table]:
    alerts = review.alerts
    made = [("different alerts told", alerts.alerts), ("firings", alerts.firings)]
    yield Table("What the first level made of them", ("figure", "#number"), made)
    withheld = [(kind, rule, n) for kind, rules in alerts.withheld.items() for rule, n in rules.items()]
    yield Table("Withheld, for a time or to their end", ("kind", "rule", "#firings"), withheld)
    yield Table("Raised by rules", ("rule", "#firings"), list(alerts.raised.items()), 1)
    unsteady = [(each.ci, each.class_, each.firings) for each in alerts.most_unsteady]
    yield Table("Most unsteady alerts", ("CI", "class", "#firings"), unsteady)
    odd = list(alerts.discrepancies.items())
    yield Table("Discrepancies for configuration management", ("kind", "#references"), odd)


def _incidents(incidents: IncidentFigures) -> Iterator[Table]:
    total = incidents.incidents
    if not total and not incidents.unanswered_situations:
        return
    times = [
        (name, each.count, length(each.p50), length(each.p90), length(each.max))
        for name, each in (
            ("first event .. incident told", incidents.time_to_incident),
            ("told .. acknowledged", incidents.time_to_acknowledge),
            ("first event .. resolved", incidents.time_to_resolve),
        )
    ]
    yield Table("Times", ("from .. to", "#incidents", "#p50", "#p90", "#max"), times)
    yield _shares("By priority", "priority", incidents.by_priority, "#incidents", total)
    yield _shares("By status", "status", incidents.by_status, "#incidents", total)
    yield _shares("By assignment group", "group", incidents.by_group, "#incidents", total)
    among = [
        ("whose root sent nothing itself", incidents.silent_roots),
        ("with a known error", incidents.with_known_error),
        ("with a recent change", incidents.with_change),
        ("situations that rules made no incidents", incidents.unanswered_situations),
    ]
    yield Table("Among them", ("which", "#number"), among)
    largest = [(each.id, each.priority, each.title, each.events, length(each.seconds)) for each in incidents.largest]
    yield Table("The largest", ("incident", "priority", "title", "#events", "#resolved after"), largest)


def _responses(review: Review) -> Iterator[Table]:
    responses, records = review.responses, review.records
    actions = [
        (each.action, each.responses, each.final, each.effective, percent(each.success), each.attempts)
        for each in responses.actions
    ]
    columns = ("action", "#requested for", "#final", "#effective", "#success", "#attempts")
    yield Table("Auto-responses by action", columns, actions)
    yield Table("Auto-responses by status", ("status", "#responses"), list(responses.by_status.items()), 1)
    if responses.responses:
        among = [
            ("rollbacks", responses.rollbacks),
            ("late results", responses.late_results),
            ("effective, and no person was told", responses.without_person),
        ]
        yield Table("Among them", ("which", "#number"), among)
    yield Table("Notifications by reason", ("reason", "#notifications"), list(records.notifications.items()), 1)
    others = (
        ("problems", records.problems),
        ("requests for change", records.changes),
        ("service requests", records.requests),
    )
    raised = [(what, status, n) for what, by_status in others for status, n in by_status.items()]
    yield Table("Other records", ("what", "status", "#number"), raised)


def _rules(rules: Sequence[RuleYield]) -> Iterator[Table]:
    rows: list[Row] = []
    idle: dict[str, list[str]] = {}
    for each in rules:
        if each.did or each.incidents:
            did = ", ".join(f"{what.replace('_', ' ')} {n}" for what, n in each.did.items()) or "decided"
            rows.append((each.rule, each.kind, did, each.incidents))
        else:
            idle.setdefault(each.kind, []).append(each.rule)
    yield Table("What each rule has done", ("rule", "kind", "did", "#incidents"), rows)
    yield Table("Rules that did nothing", ("kind", "rules"), [(kind, ", ".join(idle[kind])) for kind in sorted(idle)])


def _outages(outages: OutageFigures | None) -> Iterator[Table]:
    if outages is None:
        return
    missed = [(each.ci, each.begins, each.ends) for each in outages.missed]
    yield Table("Outages that no incident tells of", ("CI", "begins", "ends"), missed)
    alarms = [(name,) for name in outages.false_alarm_ids]
    yield Table("Incidents that no outage accounts for", ("incident",), alarms)


def _checks(checks: Sequence[Check]) -> Iterator[Table]:
    rows = [
        (each.what, each.left, each.right, "yes" if each.holds else f"NO{': ' * bool(each.hint)}{each.hint}")
        for each in checks
    ]
    yield Table("", ("check", "#left", "#right", "holds"), rows)


def _shares(title: str, column: str, counts: Mapping[str, int], unit: str, whole: int) -> Table:
    rows = [(name, count, percent(count / whole)) for name, count in counts.items()]
    return Table(title, (column, unit, "#share"), rows, 1)


def _part(part: Part) -> str:
    return f"{part.events}" if part.share is None else f"{part.events} ({percent(part.share)})"


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
