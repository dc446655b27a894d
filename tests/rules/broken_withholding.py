"""Rules that withhold alerts: broken rules with what is said of them, at the places that § marks.

Short forms ($m, $KNOWN) are spelled out in broken_pieces.py; test_broken_rules.py asks the loader about each.
"""

CASES: dict[str, tuple[str, ...]] = {
    "hold without a time": (
        "§{id: a, kind: hold, $m}",
        "for: is required",
    ),
    "hold for a number": (
        "{id: a, kind: hold, for: §90, $m}",
        "for: $DURATION, not the number 90; say the unit: 90s",
    ),
    "hold for nothing": (
        "{id: a, kind: hold, for: §, $m}",
        "for: $DURATION, not nothing",
    ),
    "hold for no time": (
        "{id: a, kind: hold, for: §0s, $m}",
        "for: must be longer than 0s",
    ),
    "hold for a number in text": (
        "{id: a, kind: hold, for: §'90', $m}",
        "for: $DURATION; it is '90'",
    ),
    "hold for an unknown unit": (
        "{id: a, kind: hold, for: §2min, $m}",
        "for: $DURATION; it is '2min'",
    ),
    "hold for units in disorder": (
        "{id: a, kind: hold, for: §30m1h, $m}",
        "for: $DURATION; it is '30m1h'",
    ),
    "hold for a fraction": (
        "{id: a, kind: hold, for: §1.5h, $m}",
        "for: $DURATION; it is '1.5h'",
    ),
    "hold for a negative time": (
        "{id: a, kind: hold, for: §-5m, $m}",
        "for: $DURATION; it is '-5m'",
    ),
    "hold for with a blank": (
        "{id: a, kind: hold, for: §1h 30m, $m}",
        "for: $DURATION; it is '1h 30m'",
    ),
    "hold for ever": (
        "{id: a, kind: hold, for: §5000d, $m}",
        "for: is longer than ten years: '5000d'",
    ),
    "hold for a list": (
        "{id: a, kind: hold, for: §[1m], $m}",
        "for: $DURATION, not a list",
    ),
    "hold misspelt": (
        "{id: a, kind: hold, §fro: 1m, for: 1m, $m}",
        "fro: unknown field; known are description, for, id, kind, match, shadow, tests, title",
    ),
    "flapping that leaves late": (
        "{id: a, kind: flapping, within: 10m, enter: 3, leave: §3, $m}",
        "leave: must be less than enter (3), not the number 3",
    ),
    "flapping from one": (
        "{id: a, kind: flapping, within: 10m, enter: §1, leave: 0, $m}",
        "enter: must be a whole number from 2 to 1000, not the number 1",
    ),
    "flapping with a fraction": (
        "{id: a, kind: flapping, within: 10m, enter: 6, leave: §1.5, $m}",
        "leave: must be a whole number from 0 to 999, not the number 1.5",
    ),
    "flapping in words": (
        "{id: a, kind: flapping, within: 10m, enter: §six, leave: 2, $m}",
        "enter: must be a whole number from 2 to 1000, not 'six'",
    ),
    "flapping too often": (
        "{id: a, kind: flapping, within: 10m, enter: §5000, leave: 2, $m}",
        "enter: must be a whole number from 2 to 1000, not the number 5000",
    ),
    "flapping within nothing": (
        "§{id: a, kind: flapping, enter: 6, leave: 2, $m}",
        "within: is required",
    ),
    "maintenance of nothing": (
        "§{$M, $W}",
        "says neither for which CIs (`cis`) nor for which events (`match`) it is",
    ),
    "maintenance without windows": (
        "§{$M, cis: {ci: x}}",
        "must say either `windows`, or `changes: true`",
    ),
    "maintenance with windows and changes": (
        "§{$M, cis: {ci: x}, $W, changes: true}",
        "must say either `windows`, or `changes: true`",
    ),
    "maintenance without changes": (
        "§{$M, cis: {ci: x}, changes: false}",
        "must say either `windows`, or `changes: true`",
    ),
    "maintenance that changes inherit": (
        "{$M, cis: {ci: x}, changes: true, §inherit: true}",
        "inherit: says nothing with `changes`: a record names all CIs of its change",
    ),
    "maintenance that names a change": (
        "{$M, changes: §CHG-1}",
        "changes: must be true or false, not 'CHG-1'",
    ),
    "maintenance with no window": (
        "{$M, cis: {ci: x}, windows: §[]}",
        "windows: must have 1 to 1000 windows, not 0",
    ),
    "maintenance with windows as a text": (
        "{$M, cis: {ci: x}, windows: §Sat 01:00-02:00}",
        "windows: must be a list, not 'Sat 01:00-02:00'",
    ),
    "maintenance with a window as a text": (
        "{$M, cis: {ci: x}, windows: [§Sat 01:00-02:00]}",
        "windows[0]: must be a mapping, not 'Sat 01:00-02:00'",
    ),
    "maintenance with an empty window": (
        "{$M, cis: {ci: x}, windows: [§{}]}",
        "windows[0]: $WINDOW",
    ),
    "maintenance in both ways": (
        "{$M, cis: {ci: x}, windows: [§{weekly: Sat 01:00-02:00, from: 2026-01-01T00:00:00Z}]}",
        "windows[0]: $WINDOW",
    ),
    "maintenance with a zone for times": (
        "{$M, cis: {ci: x}, windows: [§{from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z, zone: UTC}]}",
        "windows[0]: $WINDOW",
    ),
    "maintenance without an end": (
        "{$M, cis: {ci: x}, windows: [§{from: 2026-01-01T00:00:00Z}]}",
        "windows[0]: to: is required",
    ),
    "maintenance without a beginning": (
        "{$M, cis: {ci: x}, windows: [§{to: 2026-01-01T00:00:00Z}]}",
        "windows[0]: from: is required",
    ),
    "maintenance backwards": (
        "{$M, cis: {ci: x}, windows: [{from: 2026-01-02T00:00:00Z, to: §2026-01-01T00:00:00Z}]}",
        "windows[0].to: must be later than `from`",
    ),
    "maintenance of no length": (
        "{$M, cis: {ci: x}, windows: [{from: 2026-01-02T00:00:00Z, to: §2026-01-02T01:00:00+01:00}]}",
        "windows[0].to: must be later than `from`",
    ),
    "maintenance without a time zone": (
        "{$M, cis: {ci: x}, windows: [{from: §2026-01-01T00:00:00, to: 2026-01-02T00:00:00Z}]}",
        "windows[0].from: has no time zone: put Z (UTC) or an offset such as +01:00 behind '2026-01-01T00:00:00'",
    ),
    "maintenance on a day that is not": (
        "{$M, cis: {ci: x}, windows: [{from: 2026-01-01T00:00:00Z, to: §2026-02-30T00:00:00Z}]}",
        "windows[0].to: is no day and time of the calendar: '2026-02-30T00:00:00Z'",
    ),
    "maintenance on a day only": (
        "{$M, cis: {ci: x}, windows: [{from: §2026-01-01, to: 2026-01-02T00:00:00Z}]}",
        "windows[0].from: $TIME; it is '2026-01-01'",
    ),
    "maintenance at a number": (
        "{$M, cis: {ci: x}, windows: [{from: §1767225600, to: 2026-01-02T00:00:00Z}]}",
        "windows[0].from: $TIME, not the number 1767225600",
    ),
    "weekly as nobody writes it": (
        "{$M, cis: {ci: x}, windows: [{weekly: §Saturday 1-2}]}",
        (
            "windows[0].weekly: must be days and times like 'Mon-Fri 08:00-18:00' or 'Sat,Sun "
            "10:00-12:00,22:00-02:00'; it is 'Saturday 1-2'"
        ),
    ),
    "weekly of no length": (
        "{$M, cis: {ci: x}, windows: [{weekly: §'Sat 01:00-01:00'}]}",
        "windows[0].weekly: '01:00-01:00' ends when it begins; a whole day is 00:00-24:00",
    ),
    "zone that is not": (
        "{$M, cis: {ci: x}, windows: [{weekly: Sat 01:00-02:00, zone: §Europe/Berln}]}",
        "windows[0].zone: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin' or 'Europe/Dublin'?",
    ),
    "zone without a week": (
        "{$M, cis: {ci: x}, windows: [§{zone: Europe/Berlin}]}",
        "windows[0]: $WINDOW",
    ),
    "window misspelt": (
        "{$M, cis: {ci: x}, windows: [{§form: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z}]}",
        "windows[0].form: unknown field; did you mean 'from'?",
    ),
    "maintenance by class under cis": (
        "{$M, cis: {§class: x}, $W}",
        "cis.class: $OF_A_CI",
    ),
    "maintenance by label under cis": (
        "{$M, cis: {ci: x, §labels.x: y}, $W}",
        "cis.labels.x: $OF_A_CI",
    ),
    "maintenance by CI under match": (
        "{$M, match: {§ci.site: fra}, $W}",
        "match.ci.site: is asked for under `cis`",
    ),
    "maintenance of all CIs, by nothing": (
        "{$M, cis: §{}, $W}",
        'cis: is empty; to match every CI, say `ci: {glob: "*"}`',
    ),
    "maintenance by a list": (
        "{$M, cis: §[x], $W}",
        "cis: must be a mapping, not a list",
    ),
    "inherits from nothing": (
        "{$M, $m, §inherit: true, $W}",
        "inherit: says nothing without `cis`: which CIs it is inherited from",
    ),
    "inherit in words": (
        "{$M, cis: {ci: x}, inherit: §always, $W}",
        "inherit: must be true or false, not 'always'",
    ),
    "remind by number": (
        "{$M, cis: {ci: x}, remind: §30, $W}",
        "remind: $DURATION, not the number 30; say the unit: 30s",
    ),
    "inhibit without target": (
        "§{id: a, kind: inhibit, source: {class: x}, equal: []}",
        "target: is required",
    ),
    "inhibit without source": (
        "§{id: a, kind: inhibit, target: {class: x}, equal: []}",
        "source: is required",
    ),
    "inhibit without equal": (
        "§{id: a, kind: inhibit, source: {class: x}, target: {class: y}}",
        "equal: is required",
    ),
    "inhibit with match": (
        "{id: a, kind: inhibit, §$m, source: {class: x}, target: {class: y}, equal: []}",
        "match: unknown field; known are description, equal, id, kind, shadow, source, target, tests, title",
    ),
    "inhibit with equal of what is not": (
        "{id: a, kind: inhibit, source: {class: x}, target: {class: y}, equal: [§ci.sit]}",
        "equal[0]: unknown field; did you mean 'ci.site'?",
    ),
    "inhibit with equal twice": (
        "{id: a, kind: inhibit, source: {class: x}, target: {class: y}, equal: §[ci, ci]}",
        "equal: names ci twice",
    ),
    "inhibit by an empty source": (
        "{id: a, kind: inhibit, source: §{}, target: {class: y}, equal: []}",
        'source: is empty; to match every event, say `source: {glob: "*"}`',
    ),
    "inhibit a misspelt target": (
        "{id: a, kind: inhibit, source: {class: x}, target: {§klass: y}, equal: []}",
        "target.klass: unknown field; did you mean 'class'?",
    ),
    "inhibit by state": (
        "{id: a, kind: inhibit, source: {class: x, §state: firing}, target: {class: y}, equal: []}",
        "source.state: $FIRING_ONLY",
    ),
}
