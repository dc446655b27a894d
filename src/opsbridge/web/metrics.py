"""Every metric of a worker, in one place: what is counted, under which name, with which labels (docs/metrics.md).

Stages call these methods once per batch, never per event; the object is made once and passed on, nothing is global.
Labels are closed lists (reasons, outcomes), rule ids, topics and partitions: never a CI, an alert or an incident.
"""

import platform
from collections.abc import Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from opsbridge import __version__
from opsbridge.core.decisions import Outcome, Reject
from opsbridge.core.feedback import Feedback

PREFIX: Final = "opsbridge"
BATCH_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DELAY_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Metrics:
    """The metrics of one worker; `registry` is what /metrics shows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._count_events()
        self._count_decisions()
        self._measure_work()
        self._describe_configuration()

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, help_text, labels, namespace=PREFIX, buckets=buckets, registry=self.registry)

    def _count_events(self) -> None:
        self._received = self._counter("events_received", "Records read from input topics.", "topic")
        self._rejected = self._counter("events_rejected", "Records that are no events: dead letters.", "reason")
        self._derived = self._counter("events_derived", "Events that rules made of others.", "rule")
        self._withheld = self._counter("events_withheld", "Events that are no report of an alert.", "place", "reason")
        self._routed = self._counter("events_routed", "Events that rules sent elsewhere.", "route")
        self._heard = self._counter("events_heard", "What the first level made of events.", "outcome")
        self._expired = self._counter("events_expired", "Events heard that waited in vain.", "reason")
        for reason in Reject:
            self._rejected.labels(reason)
        for outcome in Outcome:
            self._heard.labels(outcome)

    def _count_decisions(self) -> None:
        self._suppressed = self._counter("alerts_suppressed", "Alerts withheld by rules.", "kind", "state")
        self._shadowed = self._counter("shadow_decisions", "What rules in trial would have done.", "rule", "would")
        self._window_ends = self._gauge(
            "maintenance_ends_timestamp_seconds", "End of a maintenance window that was announced.", "rule"
        )
        self._transitions = self._counter("alert_transitions", "Changes of alerts that correlation heard.", "change")
        self._updates = self._counter("incident_updates", "Incident snapshots written.", "status", "priority")
        self._notified = self._counter("notifications", "Notifications written.", "reason")
        self._responses = self._counter("response_updates", "Auto-response snapshots written.", "action", "status")
        self._denied = self._counter("permits_denied", "Auto-responses that were not let act.", "reason")
        self._problems = self._counter("problem_updates", "Problem snapshots written.", "status")
        self._tickets = self._counter("ticket_updates", "Change and request snapshots written.", "entity", "status")
        self._feedback = self._counter("feedback", "Records of feedback heard.", "kind", "result")
        for kind in ("", *(each.__struct_config__.tag for each in get_args(Feedback))):
            self._feedback.labels(kind, "dead_letter")  # else an alert would miss the first one of its kind
        self._stopped = self._gauge("automation_stopped", "Whether somebody has stopped all automation.")
        self._stopped_in: set[int] = set()
        self._without_incident = self._counter(
            "situations_without_incident", "New situations that rules made no incident.", "rule"
        )
        self._dead_letters = self._counter("dead_letters", "Records written to the dead letters.", "reason")
        self._unknown_ci = self._counter("unknown_ci", "New alerts of CIs that the topology does not have.")
        self._entries = self._gauge("state_entries", "Entries of state held in memory.", "stage")
        self._held: dict[tuple[str, int], int] = {}

    def _measure_work(self) -> None:
        self._batches = self._histogram("batch_duration_seconds", "Work on one batch.", BATCH_SECONDS, "stage")
        self._delay = self._histogram("event_delay_seconds", "Age of a batch's newest event when read.", DELAY_SECONDS)
        self._last_event = self._gauge("last_event_timestamp_seconds", "Newest event time read.", "topic")
        self._lag = self._gauge("consumer_lag_records", "Records not read yet.", "topic", "partition")

    def _describe_configuration(self) -> None:
        self._cis = self._gauge("topology_cis", "CIs in the topology.")
        self._edges = self._gauge("topology_edges", "Dependencies in the topology.")
        self._live_records = self._gauge("topology_live_records", "CIs and dependencies that the context topic states.")
        self._misfits = self._gauge("topology_misfits", "What live topology says that does not fit together.")
        self._topology_time = self._gauge(
            "topology_last_change_timestamp_seconds", "When another topology was last taken over while running."
        )
        self._aged_out = self._counter("topology_edges_aged_out", "Observed dependencies not seen for too long.")
        self._rules = self._gauge("rules", "Rules in use.")
        self._reload_ok = self._gauge("config_last_reload_successful", "Whether topology and rules were last loaded.")
        self._reload_time = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When topology and rules were last loaded."
        )
        self._config = Info("config", "What is in use, by digest.", namespace=PREFIX, registry=self.registry)
        build = Info("build", "What is running.", namespace=PREFIX, registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})

    # Where events go. received + derived = rejected + withheld + heard, once nothing is in transit (docs/metrics.md).

    def received(self, topic: str, records: int) -> None:
        """`records` were read from an input topic."""
        self._received.labels(topic).inc(records)

    def rejected(self, by_reason: Mapping[str, int]) -> None:
        """Records that are no events, by `Reject`."""
        for reason, count in by_reason.items():
            self._rejected.labels(reason).inc(count)

    def withheld(self, by_place_and_reason: Mapping[tuple[str, str], int]) -> None:
        """Events that intake or, of those that rules derived, the first level withheld, by (place, reason)."""
        for (place, reason), count in by_place_and_reason.items():
            self._withheld.labels(place, reason).inc(count)

    def derived(self, by_rule: Mapping[str, int]) -> None:
        """Events that rules made of others, or of their absence, by rule."""
        for rule, count in by_rule.items():
            self._derived.labels(rule).inc(count)

    def routed(self, by_route: Mapping[str, int]) -> None:
        """Events that went elsewhere, by route; they are among those withheld."""
        for route, count in by_route.items():
            self._routed.labels(route).inc(count)

    def heard(self, by_outcome: Mapping[Outcome, int]) -> None:
        """Events that the first level heard, by what it made of them."""
        for outcome, count in by_outcome.items():
            self._heard.labels(outcome).inc(count)

    def expired(self, reason: str, events: int) -> None:
        """Events heard earlier that waited in vain."""
        self._expired.labels(reason).inc(events)

    # What was decided.

    def transitions(self, by_change: Mapping[str, int]) -> None:
        """Changes of alerts that were sent on, by `Transition.change`."""
        for change, count in by_change.items():
            self._transitions.labels(change).inc(count)

    def suppressed(self, by_kind_and_state: Mapping[tuple[str, str], int]) -> None:
        """Alerts that rules began or ceased to withhold, by `Suppressed.kind` and `.state`."""
        for (kind, state), count in by_kind_and_state.items():
            self._suppressed.labels(kind, state).inc(count)

    def shadowed(self, by_rule_and_would: Mapping[tuple[str, str], int]) -> None:
        """What rules in trial would have done, by rule and `Shadowed.would`."""
        for (rule, would), count in by_rule_and_would.items():
            self._shadowed.labels(rule, would).inc(count)

    def window_ends(self, rule: str, ends_ms: int) -> None:
        """A maintenance window was announced to end soon."""
        self._window_ends.labels(rule).set(ends_ms / 1000)

    def unknown_cis(self, alerts: int) -> None:
        """So many new alerts named a CI that the topology does not have."""
        self._unknown_ci.inc(alerts)

    def incident_update(self, status: str, priority: str) -> None:
        """An incident snapshot was written."""
        self._updates.labels(status, priority).inc()

    def notified(self, reason: str) -> None:
        """Somebody was told to look at something."""
        self._notified.labels(reason).inc()

    def response_update(self, action: str, status: str) -> None:
        """A snapshot of an auto-response was written; rules name the actions."""
        self._responses.labels(action, status).inc()

    def denied(self, reason: str) -> None:
        """Coordination did not let an auto-response act."""
        self._denied.labels(reason).inc()

    def automation_stopped(self, partition: int, *, stopped: bool) -> None:
        """What a partition of coordination knows of it; not stopped when the partition is given up."""
        (self._stopped_in.add if stopped else self._stopped_in.discard)(partition)
        self._stopped.set(bool(self._stopped_in))

    def problem_update(self, status: str) -> None:
        """A problem snapshot was written."""
        self._problems.labels(status).inc()

    def ticket_update(self, entity: str, status: str) -> None:
        """A snapshot of one of `changes` or `requests` was written."""
        self._tickets.labels(entity, status).inc()

    def feedback(self, kind: str, result: str) -> None:
        """Feedback was heard, or buried; the kind is empty where it cannot be read."""
        self._feedback.labels(kind, result).inc()

    def without_incident(self, rule: str) -> None:
        """A rule made a new situation no incident."""
        self._without_incident.labels(rule).inc()

    def dead_letters(self, by_reason: Mapping[str, int]) -> None:
        """Records that the broker acknowledged as dead letters, by reason."""
        for reason, count in by_reason.items():
            self._dead_letters.labels(reason).inc(count)

    def state(self, stage: str, partition: int, entries: int) -> None:
        """The stage holds so many entries for a partition; 0 when the partition is given up."""
        self._held[stage, partition] = entries
        self._entries.labels(stage).set(sum(held for (name, _), held in self._held.items() if name == stage))

    # How it goes.

    def batch(self, stage: str, seconds: float) -> None:
        """A stage has worked so long on one batch."""
        self._batches.labels(stage).observe(seconds)

    def newest_event(self, topic: str, event_ms: int, now_ms: int) -> None:
        """The newest event of a batch is from `event_ms`, read at `now_ms` (milliseconds since 1970)."""
        self._delay.observe(max(0, now_ms - event_ms) / 1000)
        self._last_event.labels(topic).set(event_ms / 1000)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """So many records of the partition have not been read."""
        self._lag.labels(topic, str(partition)).set(records)

    def forget_lag(self, topic: str, partition: int) -> None:
        """The partition has been given up: its lag is another worker's to tell. Unknown ones are no error."""
        label_values = (topic, str(partition))
        self._lag.labels(*label_values)
        self._lag.remove(*label_values)

    def loaded(self, *, cis: int, edges: int, rules: int, topology: str, rule_set: str, now: float) -> None:
        """Topology and rules were loaded at `now` (seconds since 1970); `topology` and `rule_set` are their digests."""
        self._cis.set(cis)
        self._edges.set(edges)
        self._rules.set(rules)
        self._config.info({"topology": topology, "rules": rule_set})
        self._reload_ok.set(1)
        self._reload_time.set(now)

    def live_topology(self, records: int, misfits: int) -> None:
        """So many records of the context topic make the topology, and so many statements in it do not fit."""
        self._live_records.set(records)
        self._misfits.set(misfits)

    def aged_out(self, edges: int) -> None:
        """So many dependencies have not been seen for too long."""
        self._aged_out.inc(edges)

    def topology_changed(self, now: float) -> None:
        """Another topology is in use since `now` (seconds since 1970)."""
        self._topology_time.set(now)

    def reload_failed(self) -> None:
        """A reload was refused; the set loaded before stays in use."""
        self._reload_ok.set(0)
