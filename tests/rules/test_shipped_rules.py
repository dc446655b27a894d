"""The shipped rules: what a newcomer would try, and near misses; they carry most of their tests themselves."""

from pathlib import Path

import msgspec
import pytest

from opsbridge.core.event import SIGNIFICANCES, Event
from opsbridge.core.graph import CI
from opsbridge.rules import compile_rules, load_rules

SHIPPED = Path(__file__).parents[2] / "correlation_rules"


EVENT = Event("e1", 0, "web-01", "DiskFull", 3, True, "fp")
ACCESS_PORT = {"class_": "link_down", "labels": {"port_role": "access"}}


@pytest.mark.parametrize(
    ("event", "ci", "expected"),
    [
        ({"class_": "Heartbeat"}, {}, ("drop-heartbeats", "dropped")),
        ({"class_": "MonitoringSilent", "labels": {"state_type": "SOFT"}}, {}, None),
        ({"class_": "DiskFull", "labels": {"state_type": "SOFT"}}, {}, ("drop-soft-states", "dropped")),
        ({"class_": "DiskFull"}, {"environment": "test"}, ("drop-test-environments", "dropped")),
        ({"class_": "DiskFull", "ci": "test-web-1"}, {}, ("drop-test-hosts", "dropped")),
        ({"class_": "DiskFull", "ci": "test-coordination-1"}, {}, None),
        ({"class_": "CertificateExpiry"}, {}, ("certificate-expires-soon", "informational")),
        ({"class_": "CertificateExpiry", "labels": {"days_left": "1"}}, {}, ("certificate-expired", "exception")),
        ({"class_": "JobFailed"}, {}, ("batch-job", "informational")),
        ({"class_": "JobFailed"}, {"tier": 1}, ("batch-job-tier-one", "exception")),
        ({"class_": "BackupFailed", "severity": 4}, {}, ("backup-failed", "warning")),
        ({"class_": "SyntheticCheckoutSlow"}, {}, ("synthetic-slow", "informational")),
        (ACCESS_PORT, {"type": "access_switch"}, ("access-port-down", "informational")),
        ({"class_": "link_down"}, {"type": "access_switch"}, None),
        ({"class_": "HighCPU", "severity": 2}, {}, ("host-load", "informational")),
        ({"class_": "HighCPU", "severity": 3}, {}, None),
        ({"class_": "host_down", "severity": 4}, {"type": "hypervisor"}, None),
    ],
)  # fmt: skip
def test_the_shipped_rules(event: dict[str, object], ci: dict[str, object], expected: tuple[str, str] | None) -> None:
    loaded = load_rules([SHIPPED])
    assert loaded.findings == ()
    verdict = compile_rules(loaded.rules).book.judge(
        msgspec.structs.replace(EVENT, **event), msgspec.structs.replace(CI("web-01"), **ci)
    )
    said = None
    if verdict is not None and verdict.rule:
        outcome = "dropped" if verdict.drop else SIGNIFICANCES[verdict.significance or 0]
        said = (verdict.rule, outcome)
    assert said == expected


def test_the_shipped_rules_for_correlation() -> None:
    rules = compile_rules(load_rules([SHIPPED]).rules)
    said = [rules.book.profiles(name) for name in ("PrinterJam", "OrdersMissing", "HostDown")]
    assert [(profile.rule, profile.travels) for profile in said] == [
        ("till-devices", "nowhere"),
        ("orders-missing", "providers"),
        ("shipped-down", "dependents"),
    ]
    assert rules.edge_strengths == {"calls": 0.3}
    assert [(join.rule, join.covers("KubePodNotReady"), join.covers("HostDown")) for join in rules.book.joins[:-1]] == [
        ("containers-of-a-service", True, False)
    ]


def test_every_shipped_rule_that_is_asked_of_something_is_tested() -> None:
    loaded = load_rules([SHIPPED])
    tested = {tests.rule for tests in loaded.tests}
    untested = [rule.id for rule in loaded.rules if rule.kind != "correlate" and rule.id not in tested]
    assert untested == ["label-team"]  # nothing looks at what it adds
