"""Rules about situations: broken rules with what is said of them, at the places that § marks.

Short forms ($R, $OF_SITUATIONS) are spelled out in broken_pieces.py; test_broken_rules.py asks the loader about each.
"""

CASES: dict[str, tuple[str, ...]] = {
    "respond without response": (
        "§{id: a, kind: respond, match: {severity: minor}}",
        "response: is required; $RESPONSES",
    ),
    "respond in an unknown way": (
        "{id: a, kind: respond, match: {severity: minor}, response: §escalate}",
        "response: unknown response 'escalate'; $RESPONSES",
    ),
    "respond in a misspelt way": (
        "{id: a, kind: respond, match: {severity: minor}, response: §autoresponse}",
        "response: unknown response 'autoresponse'; did you mean 'auto_response'?",
    ),
    "respond in several ways": (
        "{id: a, kind: respond, match: {severity: minor}, response: §[incident, change]}",
        "response: unknown response a list; $RESPONSES",
    ),
    "respond in trial": (
        "{id: a, kind: respond, match: {severity: minor}, response: none, §shadow: true}",
        "shadow: is not for this kind; `opsbridge backtest` shows which incidents would differ",
    ),
    "respond to everything": (
        "{id: a, kind: respond, match: §{}, response: none}",
        'match: is empty; to match every situation, say `root.ci: {glob: "*"}`',
    ),
    "respond to nothing in particular": ("§{id: a, kind: respond, response: none}", "match: is required"),
    "respond to an event": (
        "{id: a, kind: respond, match: {§class: x}, response: none}",
        "match.class: unknown field; $OF_SITUATIONS",
    ),
    "respond to a misspelt root": (
        "{id: a, kind: respond, match: {§root.onwer: x}, response: none}",
        "match.root.onwer: unknown field; did you mean 'root.owner' or 'root.tier'?",
    ),
    "respond by a label": (
        "{id: a, kind: respond, match: {§labels.x: x}, response: none}",
        "match.labels.x: unknown field; $OF_SITUATIONS",
    ),
    "respond to half an alert": (
        "{id: a, kind: respond, match: {alerts: {gte: §1.5}}, response: none}",
        "match.alerts.gte: must be a whole number, not the number 1.5",
    ),
    "respond by an unknown priority": (
        "{id: a, kind: respond, match: {priority: §P0}, response: none}",
        "match.priority: unknown priority 'P0'; known are P1, P2, P3, P4, P5",
    ),
    "respond by a priority in small letters": (
        "{id: a, kind: respond, match: {priority: [P1, §p2]}, response: none}",
        "match.priority[1]: unknown priority 'p2'; did you mean 'P2'?",
    ),
    "respond by the number of a priority": (
        "{id: a, kind: respond, match: {priority: §1}, response: none}",
        "match.priority: must be a priority, not the number 1",
    ),
    "respond by order of priorities": (
        "{id: a, kind: respond, match: {priority: {§lte: P2}}, response: none}",
        "match.priority.lte: lte compares a severity, a whole number or a label; this field is a priority",
    ),
    "respond by an unknown status": (
        "{id: a, kind: respond, match: {status: §acknowledged}, response: none}",
        "match.status: unknown status 'acknowledged'; known are open, resolved, closed, merged",
    ),
    "respond by silence in words": (
        "{id: a, kind: respond, match: {silent: §'no'}, response: none}",
        "match.silent: must be true or false, not 'no'",
    ),
    "respond by silence in numbers": (
        "{id: a, kind: respond, match: {silent: §1}, response: none}",
        "match.silent: must be true or false, not the number 1",
    ),
    "respond by pattern of silence": (
        "{id: a, kind: respond, match: {silent: {§glob: '*'}}, response: none}",
        "match.silent.glob: glob compares text or a label; this field is true or false",
    ),
    "respond by confidence in per cent": (
        "{id: a, kind: respond, match: {confidence: {gte: §80}}, response: none}",
        "match.confidence.gte: must be a number from 0 to 1, not the number 80",
    ),
    "respond by confidence in words": (
        "{id: a, kind: respond, match: {confidence: §high}, response: none}",
        "match.confidence: must be a number from 0 to 1, not 'high'",
    ),
    "respond by whether there is a known error": (
        "{id: a, kind: respond, match: {known_error: §true}, response: none}",
        "match.known_error: must be text, not true; put it in quotes",
    ),
    "respond by number of known errors": (
        "{id: a, kind: respond, match: {known_error: {§gte: 1}}, response: none}",
        "match.known_error.gte: gte compares a severity, a whole number or a label; this field is names",
    ),
    "respond by broken pattern of known errors": (
        "{id: a, kind: respond, match: {known_error: {regex: §'('}}, response: none}",
        "match.known_error.regex: $REGEX: missing ): (",
    ),
    "last in words": (
        "{id: a, kind: respond, response: none, match: {alerts: 1}, last: §'yes'}",
        "last: must be true or false, not 'yes'",
    ),
    "group of what is no incident": (
        "{id: a, kind: respond, response: none, match: {alerts: 1}, §group: desk, §runbook: x}",
        "group: is for incidents, and `response: none` makes none",
        "runbook: is for incidents, and `response: none` makes none",
    ),
    "empty group": (
        "{$I, group: §''}",
        "group: must be text without blanks around it and without control characters; it is ''",
    ),
    "misspelt placeholder": (
        "{$I, group: §'{root.gruop}'}",
        "group: '{root.gruop}' is not known here; did you mean 'root.group' or 'root.runbook'?",
    ),
    "placeholder with blanks": (
        "{$I, category: §'{ root.category }'}",
        "category: '{ root.category }' is not known here; did you mean 'root.category'?",
    ),
    "placeholder of an event": (
        "{$I, runbook: §'https://x/{labels.team}'}",
        "runbook: '{labels.team}' is not known here; $PLACEHOLDERS",
    ),
    "placeholder in one of several links": (
        "{$I, links: ['https://x', §'https://x/{ci}']}",
        "links[1]: '{ci}' is not known here; $PLACEHOLDERS",
    ),
    "links in one text": ("{$I, links: §'https://x'}", "links: must be a list, not 'https://x'"),
    "endless links": ("{$I, links: §[$links]}", "links: must have 1 to 20 links, not 21"),
    "incident with a title": (
        "{$I, §text: x}",
        (
            "text: unknown field; known are category, description, group, id, kind, last, links, match, response, "
            "runbook, tests, title"
        ),
    ),
    "change with a runbook": (
        "{id: a, kind: respond, response: change, match: {alerts: 1}, §runbook: x}",
        (
            "runbook: unknown field; known are category, description, group, id, kind, last, links, match, response, "
            "tests, title"
        ),
    ),
    "placeholder in a title": (
        "{id: a, kind: respond, response: request, match: {alerts: 1}, title: §'{rootci}'}",
        "title: '{rootci}' is not known here; did you mean 'root.ci'?",
    ),
    "notification to nobody": (
        "§{id: a, kind: respond, response: notification, match: {alerts: 1}}",
        "to: is required",
    ),
    "notification with unknown words": (
        "{id: a, kind: respond, response: notification, match: {alerts: 1}, to: §'{owner}', text: §'{summary}'}",
        "to: '{owner}' is not known here; $PLACEHOLDERS",
        "text: '{summary}' is not known here; $PLACEHOLDERS",
    ),
    "problem without times": (
        "§{id: a, kind: respond, response: problem, match: {alerts: 1}, within: 1d}",
        "times: is required",
    ),
    "problem without time": (
        "§{id: a, kind: respond, response: problem, match: {alerts: 1}, times: 3}",
        "within: is required",
    ),
    "problem at once": (
        "{$P, times: §1}",
        "times: must be a whole number from 2 to 1000, not the number 1",
    ),
    "problem of the same incident": (
        "{$P, times: 3, same: [§incident]}",
        "same[0]: no situations have 'incident' in common; $COMMON",
    ),
    "problem of the same in braces": (
        "{$P, times: 3, same: [root.ci, §'{root.class}']}",
        "same[1]: no situations have '{root.class}' in common; did you mean 'root.class'?",
    ),
    "problem of the same twice": (
        "{$P, times: 3, same: §[root.ci, root.ci]}",
        "same: names root.ci twice",
    ),
    "auto-response without action": (
        "§{id: a, kind: respond, response: auto_response, match: {alerts: 1}}",
        "action: is required",
    ),
    "action as a command": (
        "{id: a, kind: respond, response: auto_response, match: {alerts: 1}, action: §rm -rf /}",
        "action: $SLUG; it is 'rm -rf /'",
    ),
    "parameters with numbers": (
        "{$A, parameters: {port: §80}}",
        "parameters.port: must be text, not the number 80; put it in quotes",
    ),
    "parameters with unknown words": (
        "{$A, parameters: {host: §'{root}'}}",
        "parameters.host: '{root}' is not known here; did you mean 'root.ci'?",
    ),
    "deadline without unit": (
        "{$A, deadline: §60}",
        "deadline: $DURATION, not the number 60; say the unit: 60s",
    ),
    "requires nothing": (
        "{$A, requires: §{}}",
        'requires: is empty; to match every situation, say `root.ci: {glob: "*"}`',
    ),
    "requires what is not known": (
        "{$A, requires: {§prioritty: P1}}",
        "requires.prioritty: unknown field; did you mean 'priority'?",
    ),
    "requires an unknown priority": (
        "{$A, requires: {priority: {not: §P9}}}",
        "requires.priority.not: unknown priority 'P9'; known are P1, P2, P3, P4, P5",
    ),
    "approval by nobody": ("{$A, approval: §{within: 5m}}", "approval.group: is required"),
    "approval in one word": ("{$A, approval: §dba}", "approval: must be a mapping, not 'dba'"),
    "approval with a misspelt time": (
        "{$A, approval: {group: dba, §whithin: 5m}}",
        "approval.whithin: unknown field; did you mean 'within'?",
    ),
    "no attempt": ("{$A, attempts: §0}", "attempts: must be a whole number from 1 to 20, not the number 0"),
    "retry at once": ("{$A, attempts: 2, retry_after: §0s}", "retry_after: must be longer than 0s"),
    "verified by hope": (
        "{$A, verify: {by: §hope}}",
        "verify.by: must be 'cleared', 'probe' or 'result', not 'hope'",
    ),
    "probe without action": (
        "{$A, verify: §{by: probe}}",
        "verify: action: is required with `by: probe`: the action that probes",
    ),
    "probing action without probe": (
        "{$A, verify: {§action: http-check, §parameters: {}, §deadline: 1m}}",
        "verify.action: is only for `by: probe`, not for cleared",
        "verify.parameters: is only for `by: probe`, not for cleared",
        "verify.deadline: is only for `by: probe`, not for cleared",
    ),
    "result within": (
        "{$A, verify: {by: result, §within: 5m}}",
        "verify.within: says nothing with `by: result`, which is the proof",
    ),
    "probe with unknown words": (
        "{$A, verify: {by: probe, action: http-check, parameters: {url: §'https://{root.cii}'}}}",
        "verify.parameters.url: '{root.cii}' is not known here; did you mean 'root.ci' or 'root.site'?",
    ),
    "rollback without action": ("{$A, rollback: §{parameters: {}}}", "rollback.action: is required"),
    "rollback with a misspelt field": (
        "{$A, rollback: {action: x, §parameter: {}}}",
        "rollback.parameter: unknown field; did you mean 'parameters'?",
    ),
    "before incident in words": (
        "{$A, before_incident: §'yes'}",
        "before_incident: must be true or false, not 'yes'",
    ),
    "limit without time": ("{$A, limits: {per_ci: §{times: 2}}}", "limits.per_ci.within: is required"),
    "limit of nothing": (
        "{$A, limits: {per_action: {times: §0, within: 1h}}}",
        "limits.per_action.times: must be a whole number from 1 to 100000, not the number 0",
    ),
    "limit of concurrency in time": (
        "{$A, limits: {concurrent: §{times: 2, within: 1h}}}",
        "limits.concurrent: must be a whole number from 1 to 100000, not a mapping",
    ),
    "unknown limit": (
        "{$A, limits: {§per_cis: {times: 2, within: 1h}}}",
        "limits.per_cis: unknown field; did you mean 'per_ci' or 'per_action'?",
    ),
    "priority of nothing": (
        "§{id: a, kind: priority, match: {alerts: 1}}",
        "sets neither impact, urgency, matrix nor targets",
    ),
    "priority by priority": (
        "{$Y, match: {§priority: P1}}",
        "match.priority: is not known yet where priority is decided",
    ),
    "priority in trial": (
        "{$Y, §shadow: true}",
        "shadow: is not for this kind; `opsbridge backtest` shows which incidents would differ",
    ),
    "priority of an empty match": (
        "{$Y, match: §{}}",
        'match: is empty; to match every situation, say `root.ci: {glob: "*"}`',
    ),
    "impact of a misspelt level": (
        "{id: a, kind: priority, impact: {§hihg: {tier: 1}}}",
        "impact.hihg: unknown field; did you mean 'high'?",
    ),
    "impact of a low level": (
        "{id: a, kind: priority, impact: {§low: {tier: 1}}}",
        "impact.low: unknown field; known are high, medium",
    ),
    "impact without threshold": (
        "{id: a, kind: priority, impact: {high: §{}}}",
        "impact.high: says nothing: name tier, services, users or cis",
    ),
    "impact by a comparison": (
        "{id: a, kind: priority, impact: {high: {users: §{gte: 5}}}}",
        "impact.high.users: must be a whole number from 0 to 1000000000, not a mapping",
    ),
    "impact by an unknown figure": (
        "{id: a, kind: priority, impact: {high: {§alerts: 5}}}",
        "impact.high.alerts: unknown field; known are cis, services, tier, users",
    ),
    "impact out of order": (
        "{id: a, kind: priority, impact: {high: {tier: §2, users: §10, cis: 4}, medium: {tier: 1, users: 20, cis: 4}}}",
        "impact.high.tier: must be at most 1, which is the threshold for a medium impact",
        "impact.high.users: must be at least 20, which is the threshold for a medium impact",
    ),
    "urgency of an unknown severity": (
        "{id: a, kind: priority, urgency: {high: §fatal}}",
        "urgency.high: $SEVERITY, not 'fatal'",
    ),
    "urgency out of order": (
        "{id: a, kind: priority, urgency: {high: §minor, medium: major}}",
        "urgency.high: must be at least as severe as medium (major)",
    ),
    "matrix of an unknown impact": (
        "{id: a, kind: priority, matrix: {§higher: {high: P1}}}",
        "matrix.higher: must be 'high', 'medium' or 'low', not 'higher'",
    ),
    "matrix with an unknown priority": (
        "{id: a, kind: priority, matrix: {high: {high: §P0}}}",
        "matrix.high.high: must be 'P1', 'P2', 'P3', 'P4' or 'P5', not 'P0'",
    ),
    "targets of an unknown priority": (
        "{id: a, kind: priority, targets: {§P6: {resolve: 1h}}}",
        "targets.P6: must be 'P1', 'P2', 'P3', 'P4' or 'P5', not 'P6'",
    ),
    "target of nothing": (
        "{id: a, kind: priority, targets: {P1: §{}}}",
        "targets.P1: says nothing: name acknowledge, resolve or remind",
    ),
    "target in minutes": (
        "{id: a, kind: priority, targets: {P1: {acknowledge: §5}}}",
        "targets.P1.acknowledge: $DURATION, not the number 5; say the unit: 5s",
    ),
    "target that is misspelt": (
        "{id: a, kind: priority, targets: {P1: {§acknowlege: 5m}}}",
        "targets.P1.acknowlege: unknown field; did you mean 'acknowledge'?",
    ),
    "acknowledged after it is resolved": (
        "{id: a, kind: priority, targets: {P1: {acknowledge: §2h, resolve: 1h}}}",
        "targets.P1.acknowledge: must not be longer than resolve",
    ),
    "warned after the target": (
        "{id: a, kind: priority, targets: {P1: {warn_at: §80}}}",
        "targets.P1.warn_at: must be a number above 0 and at most 1, not the number 80",
    ),
    "escalated to one text": (
        "{id: a, kind: priority, targets: {P1: {escalate_to: §duty}}}",
        "targets.P1.escalate_to: must be a list, not 'duty'; say [duty]",
    ),
}
