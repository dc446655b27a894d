"""Where settings come from, which wins, and what an operator is told about mistakes."""

import os
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import fields

from opsbridge.core.policies import AutomationPolicy, Policies, ResponsePolicy
from opsbridge.core.weights import Weights
from opsbridge.settings import (
    AutomationSettings,
    CorrelationSettings,
    KafkaSettings,
    ResponseSettings,
    Settings,
    SettingsError,
    load_settings,
    policies,
    weights,
)
from opsbridge.stream.connection import client_options, faust_credentials
from opsbridge.topology.domains import DOMAIN_ATTRIBUTES

FILE = """
[kafka]
bootstrap_servers = "file:1"
group_id = "file"
client_id = "file"
[topics]
inputs = ["raw:alertmanager", { topic = "other" }]
[topics.names]
alerts = "my-alerts"
"""


@pytest.fixture(autouse=True)
def clean_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OPSBRIDGE_")]:
        monkeypatch.delenv(name)
    return tmp_path


def problems(**flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**flags)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_flags_win_over_environment_over_file_over_defaults(monkeypatch: pytest.MonkeyPatch, clean_place: Path) -> None:
    (clean_place / "opsbridge.toml").write_text(FILE)
    monkeypatch.setenv("OPSBRIDGE_KAFKA__BOOTSTRAP_SERVERS", "env:1")
    monkeypatch.setenv("OPSBRIDGE_KAFKA__CLIENT_ID", "env")
    settings = load_settings(kafka={"client_id": "flag"})
    kafka = settings.kafka
    assert (kafka.client_id, kafka.bootstrap_servers, kafka.group_id) == ("flag", "env:1", "file")
    assert kafka.max_poll_records == 4000
    assert settings.topics.names == {"alerts": "my-alerts"}
    assert [(each.topic, each.source) for each in settings.topics.inputs] == [
        ("raw", "alertmanager"),
        ("other", "auto"),
    ]


def test_the_file_is_named_by_argument_or_variable_and_must_exist_then(
    monkeypatch: pytest.MonkeyPatch, clean_place: Path
) -> None:
    named = clean_place / "named.toml"
    named.write_text("[web]\nport = 1\n")
    assert load_settings(named).web.port == 1
    monkeypatch.setenv("OPSBRIDGE_CONFIG", str(named))
    assert load_settings().web.port == 1
    monkeypatch.setenv("OPSBRIDGE_CONFIG", "gone.toml")
    assert problems() == ["gone.toml: no such file"]


def test_lists_in_variables_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSBRIDGE_TOPICS__INPUTS", "a:zabbix, b")
    assert [(each.topic, each.source) for each in load_settings().topics.inputs] == [("a", "zabbix"), ("b", "auto")]


def test_every_mistake_is_told_at_once_with_its_place_and_what_it_resembles(
    monkeypatch: pytest.MonkeyPatch, clean_place: Path
) -> None:
    (clean_place / "opsbridge.toml").write_text("[kafka]\ngroupid = 'x'\n[topic]\n[web]\nport = 99999\n")
    monkeypatch.setenv("OPSBRIDGE_KAFKA__BOOTSTRAP_SERVER", "x:1")
    monkeypatch.setenv("OPSBRIDGE_LOG__LEVEL", "loud")
    monkeypatch.setenv("OPSBRIDGE_KAFKA", "{}")
    found = problems(kafka={"session_timeout": 50, "grop_id": "x"})
    expected = [
        "environment: unknown variable OPSBRIDGE_KAFKA",
        "environment: unknown variable OPSBRIDGE_KAFKA__BOOTSTRAP_SERVER (did you mean OPSBRIDGE_KAFKA__BOOT",
        "opsbridge.toml: unknown key kafka.groupid (did you mean kafka.group_id",
        "opsbridge.toml: unknown key topic (did you mean topics",
        "flag: unknown key kafka.grop_id (did you mean kafka.group_id",
        "flag: kafka: session_timeout must not exceed request_timeout",
        "opsbridge.toml: web.port: Input should be less than or equal to 65535",
        "OPSBRIDGE_LOG__LEVEL: log.level: Input should be 'debug'",
    ]
    for line in expected:
        assert any(each.startswith(line) for each in found), (line, found)
    assert len(found) == len(expected), found


def test_a_file_that_is_no_toml_is_told_so(clean_place: Path) -> None:
    (clean_place / "opsbridge.toml").write_text("[kafka\n")
    (problem,) = problems()
    assert problem.startswith("opsbridge.toml: not valid TOML")


@pytest.mark.parametrize(
    ("kafka", "message"),
    [
        ({"bootstrap_servers": "nowhere"}, "bootstrap_servers: expected host:port"),
        ({"security_protocol": "SASL_SSL"}, "SASL_SSL needs sasl_username"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "u"}, "needs sasl_password_file or sasl_password"),
        ({"sasl_username": "u"}, "sasl_username has no effect with security_protocol PLAINTEXT"),
        ({"security_protocol": "SSL", "ssl_certfile": "cert"}, "ssl_certfile and ssl_keyfile belong together"),
        ({"security_protocol": "SSL", "ssl_cafile": "gone.pem"}, "ssl_cafile: no such file: gone.pem"),
        ({"ssl_cafile": "ca.pem"}, "ssl_* files have no effect"),
        ({"heartbeat_interval": 20}, "heartbeat_interval must be at most half"),
        ({"group_id": "a b"}, "kafka.group_id"),
    ],
)
def test_settings_that_exclude_one_another(kafka: dict[str, object], message: str) -> None:
    assert message in "\n".join(problems(kafka=kafka))


def test_replication_of_zero_is_an_error() -> None:
    assert "replication_factor must be -1" in problems(topics={"replication_factor": 0})[0]


def test_the_weights_of_correlation_are_settings_and_their_defaults_the_cores() -> None:
    assert weights(Settings()) == Weights()
    changed = {"alone": 7.25, "unreported": 0, "lag": 90.5}
    assert weights(load_settings(correlation=changed)) == Weights(alone=7250, unreported=0, lag_ms=90_500)


def test_every_weight_can_be_set() -> None:
    told = {name: field.default + 1 for name, field in CorrelationSettings.model_fields.items() if field.default}
    set_to = weights(load_settings(correlation=told))
    same = [field.name for field in fields(Weights) if getattr(set_to, field.name) == getattr(Weights(), field.name)]
    assert same == []


def test_the_policies_are_settings_and_their_defaults_the_cores() -> None:
    assert policies(Settings()) == Policies()
    changed = load_settings(
        response={"forget_after": 60, "history": 5, "reopen_within": 30},
        automation={"enabled": False, "per_hour": 3, "concurrent": 1},
    )
    assert policies(changed) == Policies(
        ResponsePolicy(forget_after_ms=60_000, history=5),
        AutomationPolicy(enabled=False, per_hour=3, concurrent=1),
        reopen_within_ms=30_000,
    )
    assert "reopen_within must be below forget_after" in problems(response={"reopen_within": 3600})[0]
    assert "greater than or equal to 1" in problems(automation={"per_hour": 0})[0]


def test_every_policy_can_be_set() -> None:
    for section, policy in ((ResponseSettings, ResponsePolicy), (AutomationSettings, AutomationPolicy)):
        told = {field.name.removesuffix("_ms") for field in fields(policy)}
        assert told == section.model_fields.keys() - {"reopen_within"}


@pytest.mark.parametrize(
    ("correlation", "message"),
    [
        ({"alone": 0.5}, "correlation.alone: Input should be greater than or equal to 1"),
        ({"vague": -0.1}, "correlation.vague: Input should be greater than or equal to 0"),
        ({"caused": 21}, "correlation.caused: Input should be less than or equal to 20"),
        ({"hidden": "nan"}, "correlation.hidden: Input should be"),
        ({"lead": 0}, "correlation.lead: Input should be greater than or equal to 1"),
        (
            {"domain_attribute": "tier"},
            "correlation.domain_attribute: Input should be 'site', 'owner' or 'environment'",
        ),
    ],
)
def test_weights_have_bounds(correlation: dict[str, object], message: str) -> None:
    (problem,) = problems(correlation=correlation)
    assert message in problem


def test_domains_are_made_of_what_the_topology_can_make_them_of() -> None:
    known = get_args(CorrelationSettings.model_fields["domain_attribute"].annotation)
    assert (get_args(known[0]), known[1]) == (DOMAIN_ATTRIBUTES, type(None))


def test_passwords_are_never_shown(clean_place: Path) -> None:
    secret = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "u", "sasl_password": "hunter2"}
    settings = load_settings(kafka=secret)
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "hunter2" not in "\n".join(problems(kafka=secret | {"session_timeout": 99, "linger": 7}))


def test_connection_options_follow_the_settings(clean_place: Path) -> None:
    (clean_place / "secret").write_text("hunter2\n")
    kafka = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="u",
        sasl_password_file=Path("secret"),
        ssl_check_hostname=False,
    )
    options = client_options(kafka)
    assert options["sasl_plain_password"] == "hunter2"  # noqa: S105
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    credentials = faust_credentials(kafka)
    assert credentials is not None
    assert credentials.protocol.value == "SASL_SSL"
    assert client_options(KafkaSettings())["ssl_context"] is None
    assert faust_credentials(KafkaSettings()) is None
    tls = faust_credentials(KafkaSettings(security_protocol="SSL"))
    assert tls is not None
    assert tls.protocol.value == "SSL"


def test_a_certificate_that_cannot_be_used_is_told_so(clean_place: Path) -> None:
    (clean_place / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="ssl_cafile"):
        client_options(KafkaSettings(security_protocol="SSL", ssl_cafile=Path("ca.pem")))
