"""Rules about single events: broken rules with what is said of them, at the places that § marks.

Short forms ($m, $KNOWN) are spelled out in broken_pieces.py; test_broken_rules.py asks the loader about each.
"""

CASES: dict[str, tuple[str, ...]] = {
    "route without a name": (
        "§{id: a, kind: filter, action: route, $m}",
        "to: is required with `action: route`: the name of the route",
    ),
    "route to no slug": (
        "{id: a, kind: filter, action: route, to: §Big Data, $m}",
        "to: $SLUG; it is 'Big Data'",
    ),
    "drop to somewhere": (
        "{$F, §to: audit, $m}",
        "to: is only for `action: route`, not for drop",
    ),
    "keep to somewhere": (
        "{id: a, kind: filter, action: keep, §to: audit, $m}",
        "to: is only for `action: route`, not for keep",
    ),
    "action in a list": (
        "{id: a, kind: filter, action: §[drop], $m}",
        "action: must be 'drop', 'keep' or 'route', not a list",
    ),
    "classify by number": (
        "{id: a, kind: classify, severity: §4, $m}",
        "severity: $SEVERITY, not the number 4",
    ),
    "classify without match": (
        "§{id: a, kind: classify, severity: info}",
        "match: is required",
    ),
    "enrich without set": (
        "§{id: a, kind: enrich, $m}",
        "set: is required",
    ),
    "enrich sets nothing": (
        "{id: a, kind: enrich, $m, set: §{}}",
        "set: must have 1 to 1000 labels, not 0",
    ),
    "enrich sets a list": (
        "{id: a, kind: enrich, $m, set: §[labels.x]}",
        "set: must be a mapping, not a list",
    ),
    "enrich sets what is no label": (
        "{id: a, kind: enrich, $m, set: {§severity: major}}",
        "set.severity: only labels can be set; say labels.severity",
    ),
    "enrich sets a label without a name": (
        "{id: a, kind: enrich, $m, set: {§labels.: major}}",
        "set.labels.: only labels can be set; say labels.NAME",
    ),
    "enrich sets a number": (
        "{id: a, kind: enrich, $m, set: {labels.x: §5}}",
        "set.labels.x: must be text, not the number 5; put it in quotes",
    ),
    "enrich sets nothing in a label": (
        "{id: a, kind: enrich, $m, set: {labels.x: §null}}",
        "set.labels.x: must be text, not nothing",
    ),
    "enrich from no field": (
        "{id: a, kind: enrich, $m, set: {labels.x: {from: §ci.ownr}}}",
        "set.labels.x.from: unknown field; did you mean 'ci.owner'?",
    ),
    "enrich from a severity": (
        "{id: a, kind: enrich, $m, set: {labels.x: {from: §severity}}}",
        "set.labels.x.from: severity $ONE_VALUE",
    ),
    "enrich says from and table": (
        "{id: a, kind: enrich, $m, set: {labels.x: §{from: ci, table: owners, by: ci}}}",
        "set.labels.x: $LABEL",
    ),
    "enrich by nothing": (
        "{id: a, kind: enrich, $m, set: {labels.x: §{table: owners}}}",
        "set.labels.x: $LABEL",
    ),
    "enrich looks up in nothing": (
        "{id: a, kind: enrich, $m, set: {labels.x: §{by: ci}}}",
        "set.labels.x: $LABEL",
    ),
    "enrich says nothing about a label": (
        "{id: a, kind: enrich, $m, set: {labels.x: §{}}}",
        "set.labels.x: $LABEL",
    ),
    "enrich misspells a source": (
        "{id: a, kind: enrich, $m, set: {labels.x: {§frm: ci}}}",
        "set.labels.x.frm: unknown field; did you mean 'from'?",
    ),
    "enrich misspells a table": (
        "{id: a, kind: enrich, $m, set: {labels.x: {table: §owner, by: ci}}}",
        "set.labels.x.table: there is no table 'owner' in this file; did you mean 'owners'?",
    ),
    "enrich looks up by summary": (
        "{id: a, kind: enrich, $m, set: {labels.x: {table: owners, by: §summary}}}",
        "set.labels.x.by: summary $ONE_VALUE",
    ),
    "enrich asks for a severity": (
        "{id: a, kind: enrich, match: {§severity: info}, set: {labels.x: y}}",
        "match.severity: $OF_BOTH",
    ),
    "enrich asks for a state": (
        "{id: a, kind: enrich, match: {class: x, §state: firing}, set: {labels.x: y}}",
        "match.state: $OF_BOTH",
    ),
    "dedup without a fingerprint": (
        "§{id: a, kind: dedup, $m}",
        "fingerprint: is required",
    ),
    "dedup by nothing": (
        "{id: a, kind: dedup, $m, fingerprint: §[]}",
        "fingerprint: is an empty list; name at least one field",
    ),
    "dedup across CIs": (
        "{id: a, kind: dedup, $m, fingerprint: §[class, labels.circuit]}",
        "fingerprint: must have `ci` among its fields: an alert is about one CI",
    ),
    "dedup by one field that is no list": (
        "{id: a, kind: dedup, $m, fingerprint: §ci}",
        "fingerprint: must be a list, not 'ci'; say [ci]",
    ),
    "dedup by a field twice": (
        "{id: a, kind: dedup, $m, fingerprint: §[ci, class, ci]}",
        "fingerprint: names ci twice",
    ),
    "dedup by what there is not": (
        "{id: a, kind: dedup, $m, fingerprint: [ci, §label.if]}",
        "fingerprint[1]: unknown field; did you mean 'labels.if'?",
    ),
    "dedup by the severity": (
        "{id: a, kind: dedup, $m, fingerprint: [ci, §severity]}",
        "fingerprint[1]: severity $ONE_VALUE",
    ),
    "dedup by the state": (
        "{id: a, kind: dedup, $m, fingerprint: [ci, §state]}",
        "fingerprint[1]: unknown field; $KNOWN, labels.NAME",
    ),
    "dedup asks for a summary": (
        "{id: a, kind: dedup, match: {class: x, §summary: y}, fingerprint: [ci]}",
        "match.summary: $OF_BOTH",
    ),
}
