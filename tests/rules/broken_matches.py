"""What every rule has and what a match may ask for: broken rules with what is said of them, at the places that § marks.

Short forms ($m, $KNOWN) are spelled out in broken_pieces.py; test_broken_rules.py asks the loader about each.
"""

CASES: dict[str, tuple[str, ...]] = {
    "title is a number": (
        "{$F, title: §1, $m}",
        "title: must be text, not the number 1; put it in quotes",
    ),
    "description is a list": (
        "{$F, description: §[], $m}",
        "description: must be text, not a list",
    ),
    "id is missing": (
        "§{kind: hold, for: 1m, $m}",
        "rules[0]: id: is required",
    ),
    "id is a number": (
        "{id: §3, kind: hold, for: 1m, $m}",
        "rules[0]: id: must be text, not the number 3; put it in quotes",
    ),
    "id is nothing": (
        "{id: §, kind: hold, for: 1m, $m}",
        "rules[0]: id: must be text, not nothing",
    ),
    "id with an underscore": (
        "{id: §a_b, kind: hold, for: 1m, $m}",
        "rule a_b: id: $SLUG; it is 'a_b'",
    ),
    "shadow in words": (
        "{$F, shadow: §please, $m}",
        "shadow: must be true or false, not 'please'",
    ),
    "tests is a mapping": (
        "{$F, tests: §{name: x}, $m}",
        "tests: must be a list, not a mapping",
    ),
    "a test is a text": (
        "{$F, tests: [§run], $m}",
        "tests[0]: must be a mapping, not 'run'",
    ),
    "tests misspelt": (
        "{$F, §test: [], $m}",
        "test: unknown field; did you mean 'tests'?",
    ),
    "kind of nothing there is": (
        "{id: a, kind: §forecast}",
        "kind: unknown kind 'forecast'; $KINDS",
    ),
    "kind in capitals": (
        "{id: a, kind: §Filter, action: drop, $m}",
        "kind: unknown kind 'Filter'; did you mean 'filter'?",
    ),
    "shadow of an enrichment": (
        "{id: a, kind: enrich, §shadow: true, $m, set: {labels.x: y}}",
        "shadow: $IN_TRIAL",
    ),
    "shadow of an identity": (
        "{id: a, kind: dedup, §shadow: true, $m, fingerprint: [ci]}",
        "shadow: $IN_TRIAL",
    ),
    "shadow of a correlation": (
        "{id: a, kind: correlate, §shadow: false, edges: [x], strength: 1}",
        "shadow: $IN_TRIAL",
    ),
    "regex does not close": (
        "{$F, match: {class: {regex: §'(a'}}}",
        "match.class.regex: $REGEX: missing ): (a",
    ),
    "regex looks around": (
        "{$F, match: {class: {regex: §'a(?=b)'}}}",
        (
            "match.class.regex: $REGEX: invalid perl operator: (?=; look-around such as (?=...) does not exist here; "
            "use `not`, or a second condition"
        ),
    ),
    "regex refers back": (
        "{$F, match: {class: {regex: §'(a)\\1'}}}",
        (
            "match.class.regex: $REGEX: invalid escape sequence: \\1; back-references and escapes of other dialects "
            "do not exist here"
        ),
    ),
    "regex repeats nothing": (
        "{$F, match: {class: {regex: §'*a'}}}",
        "match.class.regex: $REGEX: no argument for repetition operator: *",
    ),
    "regex repeats too much": (
        "{$F, match: {class: {regex: §'(a{1000}){1000}'}}}",
        "match.class.regex: $REGEX: invalid repetition size: {1000}",
    ),
    "regex with a backward range": (
        "{$F, match: {class: {regex: §'[z-a]'}}}",
        "match.class.regex: $REGEX: invalid character class range: z-a",
    ),
    "regex is a number": (
        "{$F, match: {class: {regex: §5}}}",
        'match.class.regex: must be a regular expression such as "web-[0-9]+", or a list of them, not the number 5',
    ),
    "regex in a list is broken": (
        "{$F, match: {class: {regex: [ok, §'[a']}}}",
        "match.class.regex[1]: $REGEX: missing ]: [a",
    ),
    "regex is a mapping": (
        "{$F, match: {class: {regex: §{a: b}}}}",
        'match.class.regex: must be a regular expression such as "web-[0-9]+", or a list of them, not a mapping',
    ),
    "regex is empty list": (
        "{$F, match: {class: {regex: §[]}}}",
        'match.class.regex: must be a regular expression such as "web-[0-9]+", or a list of them, not a list',
    ),
    "regex of a severity": (
        "{$F, match: {severity: {§regex: m.*}}}",
        "match.severity.regex: regex compares text or a label; this field is a severity",
    ),
    "regex of a tier": (
        "{$F, match: {ci.tier: {§regex: '1'}}}",
        "match.ci.tier.regex: regex compares text or a label; this field is a whole number",
    ),
    "regex too long": (
        "{$F, match: {class: {regex: §'$long'}}}",
        "match.class.regex: is longer than 1000 characters; a list of shorter ones is easier to read",
    ),
    "regexp misspelt": (
        "{$F, match: {class: {§regexp: a}}}",
        "match.class.regexp: unknown comparison; did you mean 'regex'?",
    ),
    "number for a summary": (
        "{$F, match: {summary: {§gt: 5}}}",
        "match.summary.gt: gt $TEXT_ONLY",
    ),
    "number for a class": (
        "{$F, match: {class: {§lte: 5}}}",
        "match.class.lte: lte $TEXT_ONLY",
    ),
    "text for a label's number": (
        "{$F, match: {labels.days_left: {lte: §'3'}}}",
        "match.labels.days_left.lte: must be a number, not '3'",
    ),
    "true for a label's number": (
        "{$F, match: {labels.days_left: {gt: §true}}}",
        "match.labels.days_left.gt: must be a number, not true",
    ),
    "endless number": (
        "{$F, match: {labels.days_left: {gt: §1e999}}}",
        "match.labels.days_left.gt: must be a number, not the number inf",
    ),
    "list for a label's number": (
        "{$F, match: {labels.days_left: {lt: §[3]}}}",
        "match.labels.days_left.lt: must be a number, not a list",
    ),
    "severity above nothing known": (
        "{$F, match: {severity: {gt: §urgent}}}",
        "match.severity.gt: unknown severity 'urgent'; $SEVERITIES",
    ),
    "severity above a number": (
        "{$F, match: {severity: {gt: §3}}}",
        "match.severity.gt: must be a severity, not the number 3",
    ),
    "tier below a fraction": (
        "{$F, match: {ci.tier: {lt: §1.5}}}",
        "match.ci.tier.lt: must be a whole number, not the number 1.5",
    ),
    "label equals a number": (
        "{$F, match: {labels.code: §500}}",
        "match.labels.code: must be text, not the number 500; put it in quotes",
    ),
    "label equals a list with nothing": (
        "{$F, match: {labels.code: ['500', §null]}}",
        "match.labels.code[1]: must be text, not nothing",
    ),
    "not a mapping of nothing": (
        "{$F, match: {class: {not: §{}}}}",
        "match.class.not: is an empty mapping; $OPERATORS",
    ),
    "not an empty list": (
        "{$F, match: {class: {not: §[]}}}",
        "match.class.not: is an empty list, which nothing matches",
    ),
    "equality as a comparison": (
        "{$F, match: {class: {§eq: x}}}",
        "match.class.eq: unknown comparison; $OPERATORS",
    ),
    "labels without a name": (
        "{$F, match: {§labels: {x: y}}}",
        "match.labels: unknown field; did you mean 'labels.NAME'?",
    ),
    "a CI's field that is none": (
        "{$F, match: {§ci.name: x}}",
        "match.ci.name: unknown field; $KNOWN, labels.name",
    ),
    "state under a filter": (
        "{$F, match: {class: x, §state: resolved}}",
        "match.state: $FIRING_ONLY",
    ),
    "state under a hold": (
        "{id: a, kind: hold, for: 1m, match: {class: x, §state: firing}}",
        "match.state: $FIRING_ONLY",
    ),
    "state that is none": (
        "{$H, every: 1m, match: {class: x, state: §open}, $r}",
        "match.state: must be firing or resolved, or a list of both, not 'open'",
    ),
    "state in a list that is none": (
        "{$H, every: 1m, match: {class: x, state: [firing, §closed]}, $r}",
        "match.state[1]: must be firing or resolved, or a list of both, not 'closed'",
    ),
    "state in a list of lists": (
        "{$H, every: 1m, match: {class: x, state: §[[firing]]}, $r}",
        "match.state: must be firing or resolved, or a list of both, not a list",
    ),
    "state is an empty list": (
        "{$H, every: 1m, match: {class: x, state: §[]}, $r}",
        "match.state: must be firing or resolved, or a list of both, not a list",
    ),
    "state is a mapping": (
        "{$H, every: 1m, match: {class: x, state: §{not: firing}}, $r}",
        "match.state: must be firing or resolved, or a list of both, not a mapping",
    ),
    "state misspelt": (
        "{$H, every: 1m, match: {class: x, §stat: firing}, $r}",
        "match.stat: unknown field; $KNOWN, labels.NAME",
    ),
    "severity of signs of life": (
        "{$H, every: 1m, match: {class: x, §severity: info}, $r}",
        "match.severity: $HEARD",
    ),
    "severity of resolutions": (
        "{$T, type: event_count, match: {state: resolved, §severity: info}, $t, condition: {gte: 3}, $r}",
        "match.severity: $HEARD",
    ),
    "summary of both": (
        "{$T, type: event_count, match: {state: [firing, resolved], §summary: x}, $t, condition: {gte: 3}, $r}",
        "match.summary: $HEARD",
    ),
    "match of a step is empty": (
        "{$S, type: temporal, $t, steps: [{match: §{}}, {$m}], $r}",
        'steps[0].match: is empty; to match every event, say `source: {glob: "*"}`',
    ),
    "match of a step is misspelt": (
        "{$S, type: temporal, $t, steps: [{match: {§clas: y}}, {$m}], $r}",
        "steps[0].match.clas: unknown field; did you mean 'class'?",
    ),
    "edges as a text": (
        "{id: a, kind: correlate, edges: §calls, strength: 1}",
        "edges: must be a list, not 'calls'; say [calls]",
    ),
    "no edges": (
        "{id: a, kind: correlate, edges: §[], strength: 1}",
        "edges: is an empty list, which nothing matches",
    ),
    "edges as numbers": (
        "{id: a, kind: correlate, edges: [§1], strength: 1}",
        "edges[0]: must be text, not the number 1; put it in quotes",
    ),
    "strength of nothing": (
        "{id: a, kind: correlate, edges: [calls], strength: §0}",
        "strength: must be a number above 0 and at most 1, not the number 0",
    ),
    "strength is true": (
        "{id: a, kind: correlate, edges: [calls], strength: §true}",
        "strength: must be a number above 0 and at most 1, not true",
    ),
    "joined by a severity": (
        "{id: a, kind: correlate, join_by: §severity}",
        "join_by: joins by text; this field is a severity",
    ),
    "joined by a list": (
        "{id: a, kind: correlate, join_by: §[class]}",
        "join_by: must be text, not a list",
    ),
    "joined for no classes": (
        "{id: a, kind: correlate, join_by: labels.x, classes: §[]}",
        "classes: is an empty list, which nothing matches",
    ),
}
