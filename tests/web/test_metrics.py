"""The catalogue of metrics: what is counted under which name, documented, and adding up."""

import re
from collections import Counter
from pathlib import Path

from prometheus_client import CollectorRegistry

from opsbridge.core.decisions import Outcome, Reject
from opsbridge.web.metrics import PREFIX, Metrics

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
_SUFFIX = {"counter": "_total", "info": "_info"}


def used() -> Metrics:
    """Metrics of which everything has been said once."""
    metrics = Metrics()
    metrics.received("events", 7)
    metrics.rejected(Counter({Reject.INVALID_JSON: 1}))
    metrics.derived({"too-many-logins": 3})
    metrics.withheld({("suppressed", "drop-heartbeats"): 2, ("routed", "to-security"): 1})
    metrics.routed({"security": 1})
    metrics.heard(Counter({Outcome.OPENED: 1, Outcome.DUPLICATE: 4, Outcome.WAITING: 1}))
    metrics.suppressed({("hold", "withheld"): 2, ("hold", "released"): 1})
    metrics.shadowed({("new-filter", "drop"): 4})
    metrics.window_ends("patch-night", 9_000)
    metrics.expired("resolution_without_problem", 1)
    metrics.transitions({"opened": 1})
    metrics.unknown_cis(1)
    metrics.incident_update("open", "P1")
    metrics.notified("opened")
    metrics.response_update("restart", "effective")
    metrics.denied("per_ci")
    metrics.automation_stopped(0, stopped=True)
    metrics.problem_update("open")
    metrics.ticket_update("changes", "open")
    metrics.feedback("acknowledge", "applied")
    metrics.without_incident("printers-are-none")
    metrics.dead_letters({"invalid_json": 1})
    metrics.state("first_level", 0, 3)
    metrics.batch("intake", 0.01)
    metrics.newest_event("events", 1_000, 3_000)
    metrics.lag("events", 0, 5)
    metrics.loaded(cis=3, edges=2, rules=1, topology="aa", rule_set="bb", now=1.0)
    return metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """name{label=value,...} -> value, of everything but histograms' buckets and what tells when a series began."""
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def catalogue() -> dict[str, tuple[str, str]]:
    """name -> (type, labels) of every OpsBridge metric, as the code has them."""
    found = {}
    for family in used().registry.collect():
        if family.name.startswith(PREFIX):
            first = next(sample for sample in family.samples if not sample.name.endswith("_created"))
            labels = [] if family.type == "info" else [label for label in first.labels if label != "le"]
            found[family.name + _SUFFIX.get(family.type, "")] = (family.type, ", ".join(labels))
    return found


def test_the_documentation_has_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(opsbridge_\w+)` \| (\w+) \| ([^|]*) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: (kind, labels.replace("`", "").strip()) for name, kind, labels in rows}
    told = {name: (kind, "" if kind == "info" else labels) for name, (kind, labels) in documented.items()}
    assert told == catalogue()


def test_names_are_in_base_units_and_labels_are_closed_lists() -> None:
    allowed = {"topic", "partition", "reason", "place", "outcome", "change", "status", "stage", ""}
    allowed |= {"rule", "route", "kind", "state", "would", "priority", "action", "entity", "result"}
    for name, (_, labels) in catalogue().items():
        assert re.fullmatch(r"opsbridge_[a-z_]+", name)
        assert not re.search(r"_(ms|millis|milliseconds|minutes|percent)\b", name)
        assert set(labels.split(", ")) <= allowed


def test_what_was_received_ends_somewhere() -> None:
    counted = samples(used())

    def total(name: str) -> float:
        return sum(value for sample, value in counted.items() if sample.startswith(f"opsbridge_events_{name}_total"))

    assert total("received") + total("derived") == total("rejected") + total("withheld") + total("heard")
    assert total("expired") <= counted["opsbridge_events_heard_total{outcome=waiting}"]


def test_closed_lists_are_there_from_the_beginning() -> None:
    counted = samples(Metrics())
    for outcome in Outcome:
        assert counted[f"opsbridge_events_heard_total{{outcome={outcome}}}"] == 0
    for reason in Reject:
        assert counted[f"opsbridge_events_rejected_total{{reason={reason}}}"] == 0


def test_state_is_the_sum_of_the_partitions_that_are_held() -> None:
    metrics = Metrics()
    metrics.state("first_level", 0, 3)
    metrics.state("first_level", 1, 4)
    metrics.state("response", 0, 9)
    metrics.state("first_level", 0, 0)
    assert samples(metrics)["opsbridge_state_entries{stage=first_level}"] == 4


def test_lag_of_a_partition_that_was_given_up_is_no_longer_told() -> None:
    metrics = Metrics()
    metrics.lag("events", 0, 5)
    metrics.forget_lag("events", 0)
    metrics.forget_lag("events", 1)
    assert not [name for name in samples(metrics) if "lag" in name]


def test_delay_and_newest_event_are_in_seconds() -> None:
    metrics = Metrics()
    metrics.newest_event("events", 1_500, 3_000)
    metrics.newest_event("events", 9_000, 3_000)  # a source whose clock is ahead
    counted = samples(metrics)
    assert counted["opsbridge_event_delay_seconds_sum"] == 1.5
    assert counted["opsbridge_last_event_timestamp_seconds{topic=events}"] == 9


def test_automation_is_stopped_as_long_as_a_partition_knows_of_it() -> None:
    metrics = Metrics()
    seen = []
    for partition, stopped in ((0, False), (1, True), (0, False), (1, False)):
        metrics.automation_stopped(partition, stopped=stopped)
        seen.append(samples(metrics)["opsbridge_automation_stopped"])
    assert seen == [0, 1, 1, 0]


def test_the_first_feedback_of_a_kind_that_cannot_be_used_is_an_increase() -> None:
    counted = samples(Metrics())
    for kind in ("", "result", "stop_automation"):
        assert counted[f"opsbridge_feedback_total{{kind={kind}}}{{result=dead_letter}}"] == 0


def test_a_refused_reload_is_seen() -> None:
    metrics = used()
    assert samples(metrics)["opsbridge_config_last_reload_successful"] == 1
    metrics.reload_failed()
    counted = samples(metrics)
    assert counted["opsbridge_config_last_reload_successful"] == 0
    assert counted["opsbridge_config_last_reload_success_timestamp_seconds"] == 1
    assert counted["opsbridge_rules"] == 1


def test_a_reload_leaves_nothing_of_the_old_digests_behind() -> None:
    metrics = used()
    metrics.reload_failed()
    metrics.loaded(cis=3, edges=2, rules=2, topology="aa", rule_set="cc", now=2.0)
    counted = samples(metrics)
    configs = [name for name in counted if name.startswith("opsbridge_config_info")]
    assert configs == ["opsbridge_config_info{rules=cc}{topology=aa}"]
    assert counted["opsbridge_config_last_reload_successful"] == 1
    assert counted["opsbridge_config_last_reload_success_timestamp_seconds"] == 2
    assert counted["opsbridge_rules"] == 2


def test_two_workers_in_one_process_do_not_share_metrics() -> None:
    registry = CollectorRegistry()
    one, other = Metrics(registry), Metrics()
    one.received("events", 1)
    assert one.registry is registry
    assert "opsbridge_events_received_total{topic=events}" not in samples(other)
