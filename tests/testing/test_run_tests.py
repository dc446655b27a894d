"""Tests of rules, run: every list, every kind of rule at the right second, and differences where something is wrong."""

import json
from pathlib import Path

import pytest
from rule_files import differences, results, rule_file

from opsbridge.testing import run
from opsbridge.testing.load import load_tests
from opsbridge.testing.run import run_tests

FILTERS = """
- id: drop-debug
  kind: filter
  match: {class: Debug}
  action: drop
  tests: [{name: a, events: [{at: 0s, ci: a, class: Debug, severity: major}, {at: 1s, ci: a, class: Down,
           severity: minor}, {at: 2s, ci: a, class: Chat, severity: info}, {at: 3s, ci: a, class: Audit,
           severity: major}], expect: [EXPECT]}]
- id: audit
  kind: filter
  match: {class: Audit}
  action: route
  to: security
- id: major-down
  kind: classify
  match: {class: Down}
  severity: major
- id: trial
  kind: filter
  match: {class: Down}
  action: drop
  shadow: true
"""


@pytest.mark.parametrize(
    "expect",
    [
        "{at: 3s, dropped: [{event: e1, by: drop-debug, as: suppressed}, {event: e3}, {as: routed, to: security}]}",
        "{at: 2s, contains: true, dropped: [{event: e3, by: severity, as: informational}]}",
        "{at: 1s, dropped: [{event: e1}]}",
        "{at: 3s, contains: true, dropped: [{by: audit}]}",
        "{at: 0s, alerts: [], withheld: [], shadow: [], incidents: []}",
        "{at: 3s, alerts: [{ci: a, class: Down, severity: major, rule: major-down}]}",
        "{at: 999ms, shadow: []}, {at: 1s, shadow: [{rule: trial, would: drop, ci: a, class: Down, event: e2}]}",
        "{at: 1m, incidents: [{root: a, class: Down, status: open, severity: major, alerts: 1, firing: 1}]}",
    ],
)
def test_what_is_so_passes(tmp_path: Path, expect: str) -> None:
    assert differences(tmp_path, FILTERS.replace("EXPECT", expect)) == ""


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        (
            "{at: 0s, dropped: []}",
            [" at 0s, dropped:", "-  (none)", "+  {event: e1, by: drop-debug, as: suppressed}"],
        ),
        (
            "{at: 1s, alerts: [{ci: a, severity: minor}], dropped: [{event: e1}]}",
            [
                " at 1s, alerts:",
                "-  {ci: a, severity: minor}",
                "+  {ci: a, severity: major, class: Down, rule: major-down}",
                " at 1s, dropped:",
                "   {event: e1}",
            ],
        ),
        (
            "{at: 1m30s, contains: true, incidents: [{root: b}]}",
            [" at 1m30s, incidents (at least):", "-  {root: b}", "+  (none)"],
        ),
        (
            "{at: 2s, shadow: [{rule: trial, times: 2}]}",
            [" at 2s, shadow:", "   {rule: trial}", "-  {rule: trial}"],
        ),
    ],
)
def test_what_is_not_so_fails_as_a_difference(tmp_path: Path, expect: str, difference: list[str]) -> None:
    told = differences(tmp_path, FILTERS.replace("EXPECT", expect))
    assert told.splitlines() == ["--- wanted", "+++ found", *difference]


def test_an_expectation_hears_nothing_that_comes_later(tmp_path: Path) -> None:
    expect = "{at: 0s, dropped: [{event: e1}]}, {at: 999ms, alerts: []}, {at: 2s, dropped: [{event: e1}, {event: e3}]}"
    assert differences(tmp_path, FILTERS.replace("EXPECT", expect)) == ""


def test_only_the_tests_that_are_asked_for_are_run(tmp_path: Path) -> None:
    path = rule_file(tmp_path, FILTERS.replace("EXPECT", "{at: 0s, alerts: []}"))
    (suite,) = load_tests([path]).suites
    assert [len(list(run_tests(suite, text))) for text in ("", "debug::a", "nothing")] == [1, 1, 0]


def test_a_root_explains_what_depends_on_it_on_the_tests_own_estate(tmp_path: Path) -> None:
    assert (
        differences(
            tmp_path,
            """
            - id: slow-is-a-symptom
              kind: correlate
              classes: [VerySlow]
              nature: symptom
              tests:
                - name: the host is blamed
                  topology: {cis: [{id: host}, {id: app, aliases: [app-1]}], depends_on: [[app, host]]}
                  events:
                    - {at: 0s, ci: host, class: HostDown, severity: critical}
                    - {at: 2s, ci: app-1, class: VerySlow, severity: major}
                    - {at: 5m, ci: host, class: HostDown, state: resolved}
                    - {at: 5m, ci: app, class: VerySlow, state: resolved}
                  expect:
                    - {at: 1m, incidents: [{root: host, status: open, alerts: 2, firing: 2}]}
                    - {at: 6m, alerts: [], incidents: [{root: host, status: resolved, firing: 0}]}
            """,
        )
        == ""
    )


def test_an_incident_that_became_part_of_another_is_not_listed(tmp_path: Path) -> None:
    switches = {f"sw{switch}": [f"h{switch}{host}" for host in range(4)] for switch in range(12)}
    hosts = [[host, switch] for switch, below in switches.items() for host in below]
    cis = [{"id": name} for name in ("core", *switches, *(host for host, _ in hosts))]
    down = [
        {"at": at, "ci": host, "class": "Down", "severity": "major"}
        for at, below in zip(("0s", "1s", *["30s"] * 10), switches.values(), strict=True)
        for host in below
    ]
    test = {
        "name": "two switches, then the core",
        "topology": {"cis": cis, "depends_on": [*hosts, *([switch, "core"] for switch in switches)]},
        "events": [*down, {"at": "30s", "ci": "core", "class": "Dead", "severity": "critical"}],
        "expect": [
            {"at": "20s", "incidents": [{"root": "sw0"}, {"root": "sw1"}]},
            {"at": "40s", "incidents": [{"root": "core", "alerts": 49}]},
        ],
    }
    rule = {"id": "any", "kind": "filter", "match": {"class": "X"}, "action": "drop", "tests": [test]}
    assert differences(tmp_path, f"- {json.dumps(rule)}") == ""


def test_labels_and_fingerprints_are_those_that_rules_give(tmp_path: Path) -> None:
    assert (
        differences(
            tmp_path,
            """
            - id: team
              kind: enrich
              match: {ci.type: database}
              set: {labels.team: {from: ci.owner}}
              tests:
                - name: of one team and CI, one alert
                  topology: {cis: [{id: db-1, type: database, owner: dba}]}
                  events:
                    - {at: 0s, ci: db-1, class: Down, severity: major}
                    - {at: 1s, ci: db-1, class: Broken, severity: major}
                  expect: [{at: 1s, alerts: [{class: Down, fingerprint: "ci=db-1, labels.team=dba"}]}]
            - id: once-a-team
              kind: dedup
              match: {labels.team: dba}
              fingerprint: [ci, labels.team]
            """,
        )
        == ""
    )


def test_a_fingerprint_that_rules_give_is_told_readably(tmp_path: Path) -> None:
    rules = """
        - id: by-port
          kind: dedup
          match: {class: LinkDown}
          fingerprint: [ci, labels.port]
          tests:
            - name: by port
              events: [{at: 0s, ci: a, class: LinkDown, severity: major, labels: {port: "1"}}]
              expect: [{at: 0s, alerts: [{ci: a, fingerprint: "ci=a, labels.port=1"}]}]
        """
    assert differences(tmp_path, rules) == ""
    wrong = differences(tmp_path, rules.replace("port=1", "port=2"))
    assert '+  {ci: a, fingerprint: "ci=a, labels.port=1", ' in wrong


HOLD = """
- id: hold
  kind: hold
  match: {class: Blip}
  for: 2m
  tests:
    - name: over before
      events:
        - {at: 0s, ci: a, class: Blip, severity: major}
        - {at: 1m, ci: a, class: Blip, state: resolved}
      expect:
        - {at: 59s, withheld: [{ci: a, class: Blip, severity: major, by: hold, kind: hold}], alerts: []}
        - {at: 1m, withheld: [], alerts: []}
        - {at: 1h, withheld: [], alerts: [], incidents: []}
    - name: released
      events: [{at: 500ms, ci: a, class: Blip, severity: major}]
      expect:
        - {at: 2m499ms, withheld: [{by: hold}], alerts: []}
        - {at: 2m500ms, withheld: [], alerts: [{ci: a}]}
"""


def test_a_hold_is_released_at_the_right_moment(tmp_path: Path) -> None:
    assert differences(tmp_path, HOLD) == ""
    moved = differences(tmp_path, HOLD.replace("2m500ms", "2m501ms").replace("2m499ms", "2m500ms"))
    assert "-  {by: hold}" in moved


MAINTENANCE = """
- id: saturday-night
  kind: maintenance
  cis: {ci: db}
  windows: [{weekly: "Sat-Sun 22:00-04:00", zone: Europe/Berlin}]
  tests:
    - name: the night in which clocks are put forward is an hour shorter
      start: 2026-03-28T22:30:00+01:00
      topology: {cis: [{id: db}, {id: app}, {id: other}], depends_on: [[app, db]]}
      events:
        - {at: 0s, ci: app, class: Timeout, severity: major}
        - {at: 1s, ci: db, class: Down, severity: critical}
        - {at: 2s, ci: other, class: Down, severity: critical}
      expect:
        - {at: 1m, alerts: [{ci: other}], withheld: [{ci: db, by: saturday-night, kind: maintenance}, {ci: app}]}
        - {at: 4h29m59s999ms, alerts: [{ci: other}]}
        - {at: END, alerts: [{ci: other}, {ci: db}, {ci: app}], withheld: []}
"""


def test_a_maintenance_over_the_change_of_clocks_ends_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    assert differences(tmp_path, MAINTENANCE.replace("END", "4h30m")) == ""
    assert differences(tmp_path, MAINTENANCE.replace("END", "4h29m")) != ""


HEARTBEAT = """
- id: backup-runs
  kind: heartbeat
  match: {class: BackupDone}
  every: 1h
  grace: 5m
  raise: {class: BackupMissing, severity: major}
  tests:
    - name: overdue, and back
      events:
        - {at: 0s, every: 1h, times: 2, ci: db, class: BackupDone, severity: info}
        - {at: 4h, ci: db, class: BackupDone, severity: info}
      expect:
        - {at: 2h4m59s, alerts: []}
        - {at: OVERDUE, alerts: [{ci: db, class: BackupMissing, severity: major, rule: backup-runs}]}
        - {at: 3h59m, alerts: [{class: BackupMissing}]}
        - {at: 4h, alerts: []}
"""


def test_a_heartbeat_is_overdue_at_the_right_second(tmp_path: Path) -> None:
    assert differences(tmp_path, HEARTBEAT.replace("OVERDUE", "2h5m")) == ""
    early = differences(tmp_path, HEARTBEAT.replace("2h4m59s", "0s").replace("OVERDUE", "2h4m59s"))
    assert "-  {ci: db, class: BackupMissing, severity: major, rule: backup-runs}" in early


LOGINS = """
- id: logins
  kind: threshold
  type: event_count
  match: {class: LoginFailed}
  group_by: [ci, labels.user]
  timespan: 5m
  condition: {gte: 3}
  raise: {class: LoginStorm, severity: major, summary: "{count} logins of {labels.user}"}
  tests:
    - name: three in five minutes
      events:
        - {at: 0s, every: 20s, times: 3, ci: db, class: LoginFailed, severity: info, labels: {user: eve}}
        - {at: 0s, every: 20s, times: 2, ci: db, class: LoginFailed, severity: info, labels: {user: bob}}
      expect:
        - {at: 39s, alerts: []}
        - {at: 40s, alerts: [{ci: db, class: LoginStorm, severity: major, summary: 3 logins of eve}]}
        - {at: 1h, alerts: []}
    - name: three in six minutes
      events: [{at: 0s, every: 3m, times: 3, ci: db, class: LoginFailed, severity: info, labels: {user: eve}}]
      expect: [{at: 6m, alerts: []}]
"""


def test_a_threshold_is_met_at_the_event_that_meets_it(tmp_path: Path) -> None:
    assert differences(tmp_path, LOGINS) == ""
    assert "+  {ci: db, class: LoginStorm" in differences(tmp_path, LOGINS.replace("gte: 3", "gte: 2"))


INHIBIT = """
- id: link-down
  kind: inhibit
  source: {class: LinkDown}
  target: {class: PeerLost}
  equal: [labels.site]
  tests:
    - name: while the link is down
      topology: {cis: [{id: link}, {id: r1}, {id: r2}], depends_on: [[r1, link], [r2, link]]}
      events:
        - {at: 0s, ci: link, class: LinkDown, severity: critical, labels: {site: x}}
        - {at: 1s, ci: r1, class: PeerLost, severity: major, labels: {site: x}}
        - {at: 1s, ci: r2, class: PeerLost, severity: major, labels: {site: y}}
        - {at: 10m, ci: link, class: LinkDown, state: resolved, labels: {site: x}}
      expect:
        - at: 5m
          withheld: [{ci: r1, class: PeerLost, by: link-down, kind: inhibit}]
          alerts: [{ci: link}, {ci: r2}]
        - {at: 10m4s, withheld: [{ci: r1}], alerts: [{ci: r2}]}
        - {at: 10m6s, withheld: [], alerts: [{ci: r1}, {ci: r2}]}
"""


def test_an_inhibited_alert_is_withheld_while_its_source_fires(tmp_path: Path) -> None:
    assert differences(tmp_path, INHIBIT) == ""


def test_results_name_their_place_and_time(tmp_path: Path) -> None:
    (result, _) = results(tmp_path, HOLD)
    assert result.passed
    assert result.place == f"{tmp_path}/rules.yaml:8"
    assert result.seconds > 0


OTHERS = """
- id: restarted
  kind: sequence
  type: temporal_ordered
  steps: [{match: {class: Stopped}}, {match: {class: Started}}]
  timespan: 1m
  raise: {class: Restarted, severity: minor}
  tests:
    - name: in order
      events:
        - {at: 0s, ci: a, class: Stopped, severity: info}
        - {at: 1m, ci: a, class: Started, severity: info}
        - {at: 0s, ci: b, class: Started, severity: info}
        - {at: 1m, ci: b, class: Stopped, severity: info}
      expect:
        - {at: 59s, alerts: []}
        - {at: 1m, alerts: [{ci: a, class: Restarted}]}
        - {at: 5m, alerts: []}
- id: not-back
  kind: sequence
  type: missing
  steps: [{match: {class: Rebooting}}, {match: {class: Up}}]
  timespan: 10m
  raise: {class: NotBack, severity: critical}
  tests:
    - name: it does not come back
      events: [{at: 0s, ci: a, class: Rebooting, severity: info}, {at: 20m, ci: a, class: Up, severity: info}]
      expect:
        - {at: 9m59s, alerts: []}
        - {at: 10m, alerts: [{ci: a, class: NotBack, severity: critical}]}
        - {at: 20m, alerts: []}
- id: filling
  kind: trend
  match: {class: Used}
  field: labels.percent
  limit: 90
  crosses_within: 2h
  over: 1h
  raise: {class: FillsUp, severity: warning}
  tests:
    - name: ten an hour
      events:
        - {at: 0s, ci: a, class: Used, severity: info, labels: {percent: "70"}}
        - {at: 30m, ci: a, class: Used, severity: info, labels: {percent: "75"}}
        - {at: 1h, ci: a, class: Used, severity: info, labels: {percent: "80"}}
      expect:
        - {at: 59m59s, alerts: []}
        - {at: 1h, alerts: [{ci: a, class: FillsUp, rule: filling}]}
- id: alive
  kind: heartbeat
  match: {class: Alive}
  expect: {ci: "silent"}
  every: 5m
  raise: {class: Silent, severity: major}
  tests:
    - name: never heard
      topology: {cis: [{id: silent}, {id: other}]}
      expect: [{at: 4m59s, alerts: []}, {at: 5m, alerts: [{ci: silent, class: Silent}]}]
- id: calm
  kind: flapping
  match: {class: Port}
  within: 10m
  enter: 3
  leave: 1
  tests:
    - name: up and down
      events:
        - {at: 0s, every: 1m, times: 3, ci: a, class: Port, severity: major}
        - {at: 30s, every: 1m, times: 2, ci: a, class: Port, state: resolved}
      expect:
        - {at: 30s, alerts: [], withheld: []}
        - {at: 2m, alerts: [], withheld: [{by: calm, kind: flapping}]}
        - {at: 20m, alerts: [{ci: a}], withheld: []}
- id: trial-threshold
  kind: threshold
  type: event_count
  match: {class: Tick}
  timespan: 1m
  condition: {gte: 2}
  raise: {class: Ticks, severity: major}
  shadow: true
  tests:
    - name: only told
      events: [{at: 0s, every: 1s, times: 2, ci: a, class: Tick, severity: info}]
      expect:
        - {at: 1s, alerts: [], shadow: [{rule: trial-threshold, would: raise, ci: a, class: Ticks}]}
        - {at: 5m, contains: true, shadow: [{would: resolve}]}
- id: storms
  kind: threshold
  type: event_count
  match: {class: LoginStorm}
  group_by: [labels.site]
  timespan: 10m
  condition: {gte: 2}
  raise: {class: Attack, severity: critical, ci: the-site}
  tests:
    - name: of alerts that rules raised
      events:
        - {at: 0s, every: 1s, times: 3, ci: a, class: LoginFailed, severity: info, labels: {site: x}}
        - {at: 1m, every: 1s, times: 3, ci: b, class: LoginFailed, severity: info, labels: {site: x}}
      expect:
        - {at: 1m1s, alerts: [{ci: a, class: LoginStorm}]}
        - {at: 1m2s, alerts: [{ci: a, class: LoginStorm}, {ci: b}, {ci: the-site, class: Attack}]}
- id: logins
  kind: threshold
  type: event_count
  match: {class: LoginFailed}
  group_by: [ci, labels.site]
  timespan: 5m
  condition: {gte: 3}
  raise: {class: LoginStorm, severity: major}
"""


def test_every_kind_of_rule_is_seen_at_the_time_that_it_speaks_of(tmp_path: Path) -> None:
    assert differences(tmp_path, OTHERS) == ""


@pytest.mark.parametrize("rules", [OTHERS, HOLD, MAINTENANCE.replace("END", "4h30m"), LOGINS, INHIBIT])
def test_time_that_is_skipped_makes_no_difference(tmp_path: Path, rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skipping = [result.difference for result in results(tmp_path, rules)]
    monkeypatch.setattr(run, "_due", lambda pipeline: pipeline.first.now)  # every second is looked at
    assert [result.difference for result in results(tmp_path, rules)] == skipping
