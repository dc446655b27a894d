"""The settings, section by section: names, defaults, bounds, and which of them exclude one another.

Names follow Kafka users' words. Where values come from is `loading`'s business; how a connection is opened from them is
`opsbridge.stream.connection`'s. Nothing but the files named here is opened.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode


class Section(BaseModel):
    """A group of settings: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KafkaSettings(Section):
    """How to reach the brokers and how to behave as their client; times are in seconds, sizes in bytes."""

    bootstrap_servers: str = "localhost:9092"
    client_id: str = "opsbridge"
    group_id: str = Field(default="opsbridge", pattern=r"^[A-Za-z0-9._-]+$")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_password: SecretStr | None = None
    ssl_check_hostname: bool = True
    session_timeout: float = Field(default=30.0, gt=0)
    heartbeat_interval: float = Field(default=3.0, gt=0)
    request_timeout: float = Field(default=40.0, gt=0)
    delivery_timeout: float = Field(
        default=120.0, gt=0, description="after this without acknowledgement the worker stops"
    )
    max_poll_records: int = Field(default=4000, ge=1, description="bounds one batch of one fetch")
    max_message_bytes: int = Field(default=1_000_000, ge=10_000, description="not above the broker's message.max.bytes")
    linger: float = Field(default=0.0, ge=0, le=1)
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "none"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [
            text
            for wrong, text in (
                (not _servers(self.bootstrap_servers), "bootstrap_servers: expected host:port[,host:port...]"),
                (self.uses_sasl and not self.sasl_username, f"{self.security_protocol} needs sasl_username"),
                (
                    self.uses_sasl and self.sasl_password is None and self.sasl_password_file is None,
                    f"{self.security_protocol} needs sasl_password_file or sasl_password",
                ),
                (
                    self.sasl_password is not None and self.sasl_password_file is not None,
                    "sasl_password and sasl_password_file exclude each other",
                ),
                (
                    not self.uses_sasl and self.sasl_username is not None,
                    f"sasl_username has no effect with security_protocol {self.security_protocol}",
                ),
                (
                    (self.ssl_certfile is None) != (self.ssl_keyfile is None),
                    "ssl_certfile and ssl_keyfile belong together: one of them is missing",
                ),
                (
                    not self.uses_ssl and any((self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile)),
                    f"ssl_* files have no effect with security_protocol {self.security_protocol}",
                ),
                (
                    self.session_timeout > self.request_timeout,
                    "session_timeout must not exceed request_timeout, or a join could outlive its request",
                ),
                (
                    self.heartbeat_interval > self.session_timeout / 2,
                    "heartbeat_interval must be at most half of session_timeout, so that one may be lost",
                ),
                *((path and not path.is_file(), f"{key}: no such file: {path}") for key, path in self._files()),
            )
            if wrong
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _files(self) -> Iterator[tuple[str, Path | None]]:
        for key in ("sasl_password_file", "ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            yield key, getattr(self, key)

    @property
    def servers(self) -> list[str]:
        """The bootstrap servers, one `host:port` each."""
        return _servers(self.bootstrap_servers)

    @property
    def uses_sasl(self) -> bool:
        """Whether the connection is authenticated with SASL."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_ssl(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    def password(self) -> str | None:
        """The SASL password, read from its file each time so that a rotated secret is picked up by a restart."""
        if self.sasl_password_file is not None:
            return self.sasl_password_file.read_text(encoding="utf-8").strip()
        return self.sasl_password.get_secret_value() if self.sasl_password is not None else None


def _servers(text: str) -> list[str]:
    """The `host:port` parts of `text`, or nothing if one of them is malformed."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        host, _, port = part.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            return []
    return parts


class InputTopic(Section):
    """A topic that events are read from, and the format they come in (`auto` recognises it per record)."""

    topic: str = Field(min_length=1)
    source: str = "auto"


def _parsed_inputs(value: object) -> object:
    """`raw.events:alertmanager,other` and lists of such words as `InputTopic` mappings; anything else as it is."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return [
            dict(zip(("topic", "source"), item.split(":", 1), strict=False)) if isinstance(item, str) else item
            for item in value
        ]
    return value


def _words(value: object) -> object:
    """`a,b` as a list; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class TopicSettings(Section):
    """What topics are called, how they are made, and which of them events are read from."""

    prefix: str = Field(default="opsbridge.", pattern=r"^[A-Za-z0-9._-]*$")
    version: str = Field(default="v1", pattern=r"^[A-Za-z0-9]+$")
    partitions: int = Field(default=4, ge=1)
    replication_factor: int = Field(default=1, ge=-1, description="-1: the broker's default")
    create: bool = True
    names: dict[str, str] = Field(default_factory=dict, description="entity of the catalogue -> name of its topic")
    inputs: Annotated[tuple[InputTopic, ...], NoDecode, BeforeValidator(_parsed_inputs)] = ()

    @model_validator(mode="after")
    def _replicas(self) -> Self:
        if self.replication_factor == 0:
            raise ValueError("replication_factor must be -1 (the broker's default) or at least 1")
        return self


KNOWN_ERRORS = Path("known_errors")
SOURCES = Path("sources")


class PathSettings(Section):
    """Where topology, rules, known errors and mappings of sources are read from."""

    topology: Path = Path("topology")
    rules: Path = Path("correlation_rules")
    known_errors: Path = Field(default=KNOWN_ERRORS, description="may be missing where it is not set")
    sources: Path = Field(default=SOURCES, description="mapping files of one's own; may be missing where it is not set")
    watch: bool = Field(default=True, description="take over rules and known errors when their files change")


Nats = Annotated[float, Field(ge=0, le=20)]
"""Minus the natural logarithm of a probability: 0 is certain, 2.3 one in ten, 6.9 one in a thousand."""

Seconds = Annotated[float, Field(ge=1, le=86_400)]


class CorrelationSettings(Section):
    """What the second level believes before it has seen anything, and what its domains are made of.

    The reasons for the weights are in `core.weights`.
    """

    alone: float = Field(default=6.0, ge=1, le=20, description="a CI fails by itself")
    unreported: Nats = Field(default=2.303, description="a failed, monitored CI sends nothing itself")
    symptomatic: Nats = Field(default=1.5, description="a root sends nothing but symptoms")
    vague: Nats = Field(default=0.5, description="a root sends nothing but alerts of unknown nature")
    hidden: Nats = Field(default=1.6, description="a root that nothing watches")
    caused: Nats = Field(default=2.996, description="a cause-like alert is another CI's doing")
    backward: Nats = Field(default=2.0, description="a symptom on a provider of what suffers")
    starved: Nats = Field(default=0.3, description="the same for classes that travel to providers")
    changed: Nats = Field(default=2.0, description="so much likelier a CI fails within an hour of a change to it")
    joined: Nats = Field(default=0.7, description="alerts without an edge between them that a ground joins")
    lag: Seconds = Field(default=600.0, description="so long after its cause, a symptom costs a nat")
    lead: Seconds = Field(default=120.0, description="so long before its cause, a symptom costs a nat")
    cleared: Seconds = Field(default=30.0, description="so long after its cause was over, a symptom costs a nat")
    domain_attribute: Literal["site", "owner", "environment"] | None = None


class TopologySettings(Section):
    """What holds for the topology that the `context` topic tells of while events flow."""

    observed_ttl: float = Field(
        default=86_400.0, ge=60, le=31_536_000, description="so long after it was seen last, an observed edge ages out"
    )


class ResponseSettings(Section):
    """What holds for all incidents; what belongs to a priority is said in rules."""

    reopen_within: float = Field(
        default=0.0, ge=0, le=86_400, description="so long after closing, the same root's failure reopens; 0: never"
    )
    forget_after: Seconds = Field(default=3_600.0, description="how long an ended incident is remembered")
    history: int = Field(default=50, ge=1, le=200, description="how many entries of its history an incident keeps")

    @model_validator(mode="after")
    def _remembers_what_may_reopen(self) -> Self:
        if self.reopen_within >= self.forget_after:
            raise ValueError("reopen_within must be below forget_after, or an incident that reopens would be forgotten")
        return self


class AutomationSettings(Section):
    """How much automation is let do in all, whatever single rules allow."""

    enabled: bool = Field(default=True, description="if not, no auto-response is requested")
    per_hour: int = Field(default=60, ge=1, description="requests within any hour")
    concurrent: int = Field(default=10, ge=1, description="requests under way at the same time")


class WebSettings(Section):
    """The HTTP side: loopback unless told otherwise."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=9464, ge=0, le=65535)


class GatewaySettings(Section):
    """What `opsbridge gateway` listens on, whom it lets in, and what it takes at most; times in seconds."""

    host: str = "127.0.0.1"
    port: int = Field(default=8470, ge=0, le=65535)
    tls_certfile: Path | None = None
    tls_keyfile: Path | None = None
    credentials_file: Path | None = None
    credentials: SecretStr | None = Field(default=None, description="the same lines, for the environment")
    signature_age: float = Field(default=300.0, gt=0, description="of a signature with a timestamp")
    sns_topics: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = ()
    max_body_bytes: int = Field(default=5_242_880, ge=1_000, description="as it is sent")
    max_unpacked_bytes: int = Field(default=10_485_760, ge=1_000, description="after decompression")
    max_depth: int = Field(default=64, ge=2, le=500)
    max_events: int = Field(default=10_000, ge=1, description="in one request")
    rate: float = Field(default=10_000.0, gt=0, description="events per second of one credential and source")
    burst: float = Field(default=50_000.0, ge=1, description="events at once, after a time without any")
    connections: int = Field(default=512, ge=1)
    memory: int = Field(default=67_108_864, ge=1_000_000, description="bytes of all bodies that are being worked on")
    header_timeout: float = Field(default=10.0, gt=0)
    body_timeout: float = Field(default=30.0, gt=0)
    keep_alive: float = Field(default=60.0, gt=0)
    patience: float = Field(default=10.0, gt=0, description="how long a request waits for Kafka")
    grace: float = Field(default=15.0, ge=0, description="what requests under way may take after SIGTERM")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [
            f"{key}: no such file: {path}"
            for key in ("tls_certfile", "tls_keyfile", "credentials_file")
            if (path := getattr(self, key)) is not None and not path.is_file()
        ]
        if (self.tls_certfile is None) != (self.tls_keyfile is None):
            problems.append("tls_certfile and tls_keyfile belong together: one of them is missing")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class LogSettings(Section):
    """How much is logged and in which shape."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
