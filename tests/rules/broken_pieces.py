"""Pieces of broken rules and of messages, by the short forms that the tables of broken rules have for them."""

SHORT = {
    "$s": "steps: [{match: {class: x}}, {match: {class: y}}]",
    "$m": "match: {class: x}",
    "$r": "raise: {class: R, severity: minor}",
    "$t": "timespan: 5m",
    "$F": "id: a, kind: filter, action: drop",
    "$H": "id: a, kind: heartbeat",
    "$T": "id: a, kind: threshold",
    "$S": "id: a, kind: sequence",
    "$D": "id: a, kind: trend",
    "$M": "id: a, kind: maintenance",
    "$W": "windows: [{weekly: Sat 01:00-02:00}]",
    "$I": "id: a, kind: respond, response: incident, match: {alerts: 1}",
    "$A": "id: a, kind: respond, response: auto_response, action: restart, match: {alerts: 1}",
    "$P": "id: a, kind: respond, response: problem, within: 1d, match: {alerts: 1}",
    "$Y": "id: a, kind: priority, urgency: {high: major}",
    "$links": "x, " * 21,
    "$many": "{match: {class: x}}, " * 21,
    "$long": "ab" * 501,
}
"""Pieces of rules."""

SAID = {
    "$KNOWN": (
        "known are class, ci, source, severity, ci.type, ci.owner, ci.environment, ci.site, ci.tier, "
        "fingerprint, summary"
    ),
    "$KINDS": (
        "known are filter, classify, enrich, dedup, hold, flapping, heartbeat, threshold, sequence, "
        "trend, maintenance, inhibit, correlate, priority, respond"
    ),
    "$OF_SITUATIONS": (
        "known are severity, priority, status, root.ci, root.class, root.type, root.owner, root.group, root.category, "
        "root.environment, root.site, root.tier, silent, confidence, alerts, firing, services, users, tier, "
        "impact.cis, known_error, changed, reopened"
    ),
    "$RESPONSES": "known are incident, none, change, request, auto_response, notification, problem",
    "$PLACEHOLDERS": (
        "known are situation, incident, priority, root.ci, root.class, root.name, root.type, root.owner, root.group, "
        "root.category, root.runbook, root.environment, root.site, alerts, services, known_error"
    ),
    "$COMMON": (
        "known are root.ci, root.class, root.name, root.type, root.owner, root.group, root.category, root.runbook, "
        "root.environment, root.site, known_error"
    ),
    "$OPERATORS": "known are not, glob, regex, gte, gt, lte, lt",
    "$SEVERITIES": "known are info, warning, minor, major, critical",
    "$SEVERITY": "must be 'info', 'warning', 'minor', 'major' or 'critical'",
    "$DURATION": "must be a duration such as 90s, 5m, 1h30m or 2d",
    "$TIME": "must be a time such as 2026-03-01T22:00:00Z or 2026-03-01T22:00:00+01:00",
    "$SLUG": "must be lower-case words joined by -, such as drop-test-hosts",
    "$ONE_VALUE": "cannot be used here: an alert's resolution must say the same, and need not have one",
    "$OF_BOTH": (
        "cannot be asked for here: what is said of an event must be said of its resolution, which need not have one"
    ),
    "$OF_A_CI": "is no field of a CI; known are ci, ci.type, ci.owner, ci.environment, ci.site, ci.tier",
    "$FIRING_ONLY": (
        "is not for this kind, which asks firing events only; heartbeat, threshold, sequence and trend have it"
    ),
    "$HEARD": ("cannot be asked for where resolutions are heard, which need not have one; `state: firing` hears none"),
    "$REGEX": "is no regular expression",
    "$IN_TRIAL": ("is not for this kind: what it changes, all rules see; `opsbridge backtest` shows what would differ"),
    "$WINDOW": "must say either `from` and `to`, or `weekly` (and its `zone`)",
    "$LABEL": "must say either `from: FIELD`, or `table: NAME` and `by: FIELD`",
    "$FEED": "raises alerts that feed themselves",
    "$TEXT_ONLY": "compares a severity, a whole number or a label; this field is text",
}
"""Pieces of messages."""
