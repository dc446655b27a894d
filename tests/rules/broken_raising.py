"""Rules that make alerts of several events: broken rules with what is said of them, at the places that § marks.

Short forms ($m, $KNOWN) are spelled out in broken_pieces.py; test_broken_rules.py asks the loader about each.
"""

CASES: dict[str, tuple[str, ...]] = {
    "heartbeat without every": (
        "§{$H, $m, $r}",
        "every: is required",
    ),
    "heartbeat without raise": (
        "§{$H, $m, every: 1m}",
        "raise: is required",
    ),
    "heartbeat with grace by number": (
        "{$H, $m, every: 1m, grace: §30, $r}",
        "grace: $DURATION, not the number 30; say the unit: 30s",
    ),
    "heartbeat every no time": (
        "{$H, $m, every: §0m, $r}",
        "every: must be longer than 0m",
    ),
    "heartbeat expects classes": (
        "{$H, $m, every: 1m, expect: {§class: x}, $r}",
        "expect.class: $OF_A_CI",
    ),
    "heartbeat expects nothing": (
        "{$H, $m, every: 1m, expect: §{}, $r}",
        'expect: is empty; to match every CI, say `ci: {glob: "*"}`',
    ),
    "heartbeat expects labels": (
        "{$H, $m, every: 1m, §expect: {ci.type: host}, group_by: [ci, labels.x], $r}",
        "expect: needs `group_by: [ci]`: CIs are what can be expected",
    ),
    "heartbeat with timespan": (
        "{$H, $m, every: 1m, §timespan: 5m, $r}",
        (
            "timespan: unknown field; known are description, every, expect, grace, group_by, id, kind, match, raise, "
            "shadow, tests, title"
        ),
    ),
    "group by nothing": (
        "{$H, $m, every: 1m, group_by: §[], $r}",
        "group_by: is an empty list; name at least one field",
    ),
    "group by a text": (
        "{$H, $m, every: 1m, group_by: §ci, $r}",
        "group_by: must be a list, not 'ci'; say [ci]",
    ),
    "group by what is not": (
        "{$H, $m, every: 1m, group_by: [ci, §host], $r}",
        "group_by[1]: unknown field; $KNOWN, labels.NAME",
    ),
    "group by twice": (
        "{$H, $m, every: 1m, group_by: §[ci, ci], $r}",
        "group_by: names ci twice",
    ),
    "group by severity of resolutions": (
        "{$H, $m, every: 1m, group_by: [ci, §severity], $r}",
        "group_by[1]: a resolution need not have a severity; `state: firing` under match hears none",
    ),
    "group by state": (
        "{$H, $m, every: 1m, group_by: [ci, §state], $r}",
        "group_by[1]: unknown field; $KNOWN, labels.NAME",
    ),
    "group-by as Sigma spells it": (
        "{$T, type: event_count, $m, $t, §group-by: [ci], condition: {gte: 3}, $r}",
        "group-by: unknown field; did you mean 'group_by'?",
    ),
    "raise is a text": (
        "{$H, $m, every: 1m, raise: §Silent}",
        "raise: must be a mapping, not 'Silent'",
    ),
    "raise without class and severity": (
        "{$H, $m, every: 1m, raise: §§{}}",
        "raise.class: is required",
        "raise.severity: is required",
    ),
    "raise with an unknown severity": (
        "{$H, $m, every: 1m, raise: {class: R, severity: §high}}",
        "raise.severity: $SEVERITY, not 'high'",
    ),
    "raise an empty class": (
        "{$H, $m, every: 1m, raise: {class: §'', severity: major}}",
        "raise.class: must be text without blanks around it and without control characters; it is ''",
    ),
    "raise a class with a blank": (
        "{$H, $m, every: 1m, raise: {class: §'R ', severity: major}}",
        "raise.class: must be text without blanks around it and without control characters; it is 'R '",
    ),
    "raise what nobody raises": (
        "{$H, $m, every: 1m, raise: {class: R, severity: major, §labels: {a: b}}}",
        "raise.labels: unknown field; known are ci, class, severity, summary",
    ),
    "raise about no CI": (
        "{$H, $m, every: 1m, group_by: [labels.user], raise: §{class: R, severity: major}}",
        "raise: ci: is required, because `ci` is not in group_by: an id, or {FIELD} of group_by",
    ),
    "raise about a CI that is not in the group": (
        "{$H, $m, every: 1m, group_by: [labels.user], raise: {class: R, severity: major, ci: §'{labels.host}'}}",
        "raise.ci: must be the id of a CI, or {labels.user}; it is '{labels.host}'",
    ),
    "raise about a part of a CI": (
        ("{$H, $m, every: 1m, group_by: [labels.user], raise: {class: R, severity: major, ci: §'srv-{labels.user}'}}"),
        "raise.ci: must be the id of a CI, or {labels.user}; it is 'srv-{labels.user}'",
    ),
    "raise with an unknown name": (
        "{$H, $m, every: 1m, raise: {class: R, severity: major, summary: §'{host} is silent'}}",
        "raise.summary: '{host}' is not known here; known are ci",
    ),
    "raise with a misspelt name": (
        (
            "{$T, type: event_count, $m, $t, condition: {gte: 3}, raise: {class: R, severity: major, summary: "
            "§'{cuont} of {ci}'}}"
        ),
        "raise.summary: '{cuont}' is not known here; did you mean 'count'?",
    ),
    "raise with a figure of another kind": (
        "{$S, type: temporal, $t, $s, raise: {class: R, severity: major, summary: §'{count} steps'}}",
        "raise.summary: '{count}' is not known here; known are ci",
    ),
    "raise with an open brace": (
        "{$H, $m, every: 1m, raise: {class: R, severity: major, summary: §'{ci is silent'}}",
        "raise.summary: has a { or } that belongs to no {name}; names stand in braces",
    ),
    "raise with nothing in braces": (
        "{$H, $m, every: 1m, raise: {class: R, severity: major, summary: §'{} is silent'}}",
        "raise.summary: '{}' is not known here; known are ci",
    ),
    "threshold without condition": (
        "§{$T, type: event_count, $m, $t, $r}",
        "condition: is required",
    ),
    "threshold without type": (
        "§{$T, $m, $t, condition: {gte: 3}, $r}",
        "type: is required",
    ),
    "threshold of another type": (
        "{$T, type: §count, $m, $t, condition: {gte: 3}, $r}",
        "type: must be 'event_count', 'value_count', 'value_sum', 'value_avg' or 'value_percentile', not 'count'",
    ),
    "threshold with a number as condition": (
        "{$T, type: event_count, $m, $t, condition: §3, $r}",
        "condition: must be a mapping, not the number 3",
    ),
    "threshold without a bound": (
        "{$T, type: event_count, $m, $t, condition: §{}, $r}",
        "condition: has no bound: say `gte: 3`, or `gt: 2`",
    ),
    "threshold for too few": (
        "{$T, type: event_count, $m, $t, condition: {§lte: 3}, $r}",
        ("condition.lte: is not for counts, which take gte or gt; too few events are what `kind: heartbeat` tells of"),
    ),
    "threshold for fewer": (
        "{$T, type: value_count, $m, $t, condition: {§lt: 3, field: labels.x}, $r}",
        "condition.lt: is not for counts, which take gte or gt; too few events are what `kind: heartbeat` tells of",
    ),
    "threshold of two lower bounds": (
        "{$T, type: event_count, $m, $t, condition: {gte: 3, §gt: 2}, $r}",
        "condition.gt: says the same as `gte`: one of them is enough",
    ),
    "threshold of a fraction of events": (
        "{$T, type: event_count, $m, $t, condition: {gte: §2.5}, $r}",
        "condition.gte: must be a whole number, because it is a count; it is 2.5",
    ),
    "threshold that always holds": (
        "{$T, type: event_count, $m, $t, condition: {gte: §0}, $r}",
        "condition.gte: holds without any event: gte 0",
    ),
    "threshold of fewer than none": (
        "{$T, type: event_count, $m, $t, condition: {gt: §-1}, $r}",
        "condition.gt: holds without any event: gt -1",
    ),
    "threshold of too many": (
        "{$T, type: event_count, $m, $t, condition: {gte: §10001}, $r}",
        "condition.gte: is more than a group remembers, which is 10000 events",
    ),
    "threshold in words": (
        "{$T, type: event_count, $m, $t, condition: {gte: §three}, $r}",
        "condition.gte: must be a number, not 'three'",
    ),
    "threshold of events with a field": (
        "{$T, type: event_count, $m, $t, condition: {gte: 3, §field: labels.x}, $r}",
        "condition.field: is not for event_count, which counts events; value_count counts their values",
    ),
    "threshold of values without a field": (
        "{$T, type: value_count, $m, $t, condition: §{gte: 3}, $r}",
        "condition: field: is required for value_count: what is measured, such as labels.user",
    ),
    "threshold of values of the group": (
        "{$T, type: value_count, $m, $t, condition: {gte: 3, field: §ci}, $r}",
        "condition.field: is one of group_by, so every group has one value of it only: ci",
    ),
    "threshold of values of what is not": (
        "{$T, type: value_count, $m, $t, condition: {gte: 3, field: §user}, $r}",
        "condition.field: unknown field; $KNOWN, labels.NAME",
    ),
    "threshold of severities of resolutions": (
        ("{$T, type: value_count, match: {state: resolved, class: x}, $t, condition: {gte: 3, field: §severity}, $r}"),
        "condition.field: a resolution need not have a severity; `state: firing` under match hears none",
    ),
    "sum of a class": (
        "{$T, type: value_sum, $m, $t, condition: {gte: 3, field: §class}, $r}",
        "condition.field: must be a label with numbers, such as labels.duration; it is 'class'",
    ),
    "average of nothing": (
        "{$T, type: value_avg, $m, $t, condition: §{gte: 3}, $r}",
        "condition: field: is required for value_avg: what is measured, such as labels.user",
    ),
    "average of a tier": (
        "{$T, type: value_avg, $m, $t, condition: {gte: 3, field: §ci.tier}, $r}",
        "condition.field: must be a label with numbers, such as labels.duration; it is 'ci.tier'",
    ),
    "average with a percentile": (
        "{$T, type: value_avg, $m, $t, condition: {gte: 3, field: labels.x, §percentile: 95}, $r}",
        "condition.percentile: is for value_percentile only, not for value_avg",
    ),
    "percentile without one": (
        "{$T, type: value_percentile, $m, $t, condition: §{gte: 3, field: labels.x}, $r}",
        "condition: percentile: is required for value_percentile, such as 95",
    ),
    "percentile above all": (
        "{$T, type: value_percentile, $m, $t, condition: {gte: 3, field: labels.x, percentile: §101}, $r}",
        "condition.percentile: must be above 0 and at most 100, not 101",
    ),
    "percentile of none": (
        "{$T, type: value_percentile, $m, $t, condition: {gte: 3, field: labels.x, percentile: §0}, $r}",
        "condition.percentile: must be above 0 and at most 100, not 0",
    ),
    "bounds that leave nothing": (
        "{$T, type: value_avg, $m, $t, condition: {gte: 9, lte: §3, field: labels.x}, $r}",
        "condition.lte: leaves no value: gte 9, lte 3",
    ),
    "bounds that touch": (
        "{$T, type: value_avg, $m, $t, condition: {gt: 3, lte: §3, field: labels.x}, $r}",
        "condition.lte: leaves no value: gt 3, lte 3",
    ),
    "two upper bounds": (
        "{$T, type: value_avg, $m, $t, condition: {lte: 3, §lt: 3, field: labels.x}, $r}",
        "condition.lt: says the same as `lte`: one of them is enough",
    ),
    "average without a bound": (
        "{$T, type: value_avg, $m, $t, condition: §{field: labels.x}, $r}",
        "condition: has no bound: say gte, gt, lte or lt",
    ),
    "threshold of unknown comparison": (
        "{$T, type: event_count, $m, $t, condition: {§eq: 3}, $r}",
        "condition.eq: unknown field; known are field, gt, gte, lt, lte, percentile",
    ),
    "threshold resolved at once": (
        "{$T, type: event_count, $m, $t, condition: {gte: 3}, resolve_after: §0s, $r}",
        "resolve_after: must be longer than 0s",
    ),
    "sequence of one step": (
        "{$S, type: temporal, $t, steps: §[{$m}], $r}",
        "steps: must have 2 to 20 steps, not 1",
    ),
    "sequence of too many steps": (
        "{$S, type: temporal, $t, steps: §[$many], $r}",
        "steps: must have 2 to 20 steps, not 21",
    ),
    "sequence without steps": (
        "§{$S, type: temporal, $t, $r}",
        "steps: is required",
    ),
    "sequence with a step as a text": (
        "{$S, type: temporal, $t, steps: [{$m}, §b], $r}",
        "steps[1]: must be a mapping, not 'b'",
    ),
    "sequence with a step without match": (
        "{$S, type: temporal, $t, steps: [{$m}, §{group_by: [ci]}], $r}",
        "steps[1].match: is required",
    ),
    "sequence of another type": (
        "{$S, type: §ordered, $t, $s, $r}",
        "type: must be 'temporal', 'temporal_ordered' or 'missing', not 'ordered'",
    ),
    "sequence without a time": (
        "§{$S, type: temporal, $s, $r}",
        "timespan: is required",
    ),
    "sequence with other groups": (
        "{$S, type: temporal, $t, steps: [{$m}, {$m, group_by: §[ci, labels.x]}], $r}",
        "steps[1].group_by: must have as many fields as the rule's group_by (1: ci), not 2",
    ),
    "sequence with a group of nothing": (
        "{$S, type: temporal, $t, steps: [{$m}, {$m, group_by: §[]}], $r}",
        "steps[1].group_by: is an empty list; name at least one field",
    ),
    "sequence with an unsteady group": (
        "{$S, type: temporal, $t, steps: [{$m}, {match: {class: y, state: resolved}, group_by: [§severity]}], $r}",
        "steps[1].group_by[0]: a resolution need not have a severity; `state: firing` under match hears none",
    ),
    "sequence with an unsteady group of all": (
        ("{$S, type: temporal, $t, steps: [{$m}, {match: {class: y, state: resolved}}], group_by: [ci, §summary], $r}"),
        "group_by[1]: a resolution need not have a summary; `state: firing` under match hears none",
    ),
    "sequence with match": (
        "{$S, type: temporal, $t, §$m, $s, $r}",
        (
            "match: unknown field; known are description, group_by, id, kind, raise, resolve_after, shadow, steps, "
            "tests, timespan, title, type"
        ),
    ),
    "sequence with a misspelt step": (
        "{$S, type: temporal, $t, steps: [{$m}, {$m, §groupby: [ci]}], $r}",
        "steps[1].groupby: unknown field; did you mean 'group_by'?",
    ),
    "trend of no label": (
        "{$D, $m, field: §class, limit: 95, crosses_within: 4h, over: 1h, $r}",
        "field: must be a label with numbers, such as labels.used; it is 'class'",
    ),
    "trend of a misspelt field": (
        "{$D, $m, field: §label.used, limit: 95, crosses_within: 4h, over: 1h, $r}",
        "field: unknown field; did you mean 'labels.used'?",
    ),
    "trend without a limit": (
        "§{$D, $m, field: labels.used, crosses_within: 4h, over: 1h, $r}",
        "limit: is required",
    ),
    "trend with a limit in percent": (
        "{$D, $m, field: labels.used, limit: §95%, crosses_within: 4h, over: 1h, $r}",
        "limit: must be a number, not '95%'",
    ),
    "trend up": (
        "{$D, $m, field: labels.used, limit: 95, direction: §up, crosses_within: 4h, over: 1h, $r}",
        "direction: must be 'rising' or 'falling', not 'up'",
    ),
    "trend of two samples": (
        "{$D, $m, field: labels.used, limit: 95, samples: §2, crosses_within: 4h, over: 1h, $r}",
        "samples: must be a whole number from 3 to 10000, not the number 2",
    ),
    "trend within a number": (
        "{$D, $m, field: labels.used, limit: 95, crosses_within: §4, over: 1h, $r}",
        "crosses_within: $DURATION, not the number 4; say the unit: 4s",
    ),
    "trend without all": (
        "§§§§§§{$D}",
        "crosses_within: is required",
        "field: is required",
        "limit: is required",
        "match: is required",
        "over: is required",
        "raise: is required",
    ),
    "trend about no CI": (
        (
            "{$D, $m, field: labels.used, limit: 95, crosses_within: 4h, over: 1h, group_by: [labels.disk], raise: "
            "§{class: R, severity: minor}}"
        ),
        "raise: ci: is required, because `ci` is not in group_by: an id, or {FIELD} of group_by",
    ),
    "hears itself": (
        "{$T, type: event_count, match: {class: x}, $t, condition: {gte: 3}, raise: {class: §x, severity: minor}}",
        "raise.class: $FEED: x, which it hears itself; say `class: {not: x}` in its match",
    ),
    "hears itself by a pattern": (
        (
            "{$T, type: event_count, match: {class: {glob: 'Login*'}}, $t, condition: {gte: 3}, raise: {class: "
            "§LoginStorm, severity: minor}}"
        ),
        "raise.class: $FEED: LoginStorm, which it hears itself; say `class: {not: LoginStorm}` in its match",
    ),
    "hears itself by the source": (
        "{$H, match: {source: opsbridge}, every: 1m, raise: {class: §Silent, severity: minor}}",
        "raise.class: $FEED: Silent, which it hears itself; say `class: {not: Silent}` in its match",
    ),
    "hears itself by its severity": (
        (
            "{$T, type: event_count, match: {severity: {gte: major}}, $t, condition: {gte: 3}, raise: {class: §Storm, "
            "severity: critical}}"
        ),
        "raise.class: $FEED: Storm, which it hears itself; say `class: {not: Storm}` in its match",
    ),
    "hears itself by a label of its group": (
        (
            "{$T, type: event_count, match: {labels.user: {not: root}}, group_by: [ci, labels.user], $t, condition: "
            "{gte: 3}, raise: {class: §Storm, severity: critical}}"
        ),
        "raise.class: $FEED: Storm, which it hears itself; say `class: {not: Storm}` in its match",
    ),
    "hears itself in its last step": (
        (
            "{$S, type: temporal, steps: [{match: {class: x}}, {match: {class: {not: y}}}], $t, raise: {class: §Both, "
            "severity: minor}}"
        ),
        "raise.class: $FEED: Both, which it hears itself; say `class: {not: Both}` in its match",
    ),
    "trend of what it raises": (
        (
            "{$D, match: {class: {regex: 'Disk.*'}}, field: labels.used, limit: 95, crosses_within: 4h, over: 1h, "
            "group_by: [ci, labels.used], raise: {class: §DiskWillFill, severity: minor}}"
        ),
        "raise.class: $FEED: DiskWillFill, which it hears itself; say `class: {not: DiskWillFill}` in its match",
    ),
}
