"""What an operator may set, where it may be set, and which settings exclude one another.

Flags win over environment variables (`OPSBRIDGE_KAFKA__BOOTSTRAP_SERVERS`), those over the TOML file, that over the
defaults. Nothing is ignored: an unknown key is an error that names the key, its place and what it resembles, and all
errors come at once. Names follow Kafka users' words. How a connection is opened from these settings is
`opsbridge.stream.connection`'s business; this module opens nothing but the files named in it.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from opsbridge.core.policies import AutomationPolicy, Policies, ResponsePolicy
from opsbridge.core.weights import Weights
from opsbridge.errors import OpsBridgeError

ENV_PREFIX = "OPSBRIDGE_"
CONFIG_VARIABLE = "OPSBRIDGE_CONFIG"
DEFAULT_FILE = "opsbridge.toml"

# Settings as nested mappings, before they are checked: whatever a TOML file or a caller may hold.
Tree: TypeAlias = Mapping[str, object]

_file_layer: ContextVar[Tree] = ContextVar("_file_layer", default={})  # noqa: B039 # a Mapping: nobody writes to it


class SettingsError(OpsBridgeError):
    """Settings that cannot be used; `problems` holds one line for each."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("invalid settings:\n" + "\n".join(f"  - {problem}" for problem in problems))


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


class PathSettings(Section):
    """Where topology, rules and known errors are read from."""

    topology: Path = Path("topology")
    rules: Path = Path("correlation_rules")
    known_errors: Path = Field(default=KNOWN_ERRORS, description="may be missing where it is not set")
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


class LogSettings(Section):
    """How much is logged and in which shape."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(BaseSettings):
    """All settings of one process; read them with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    paths: PathSettings = PathSettings()
    correlation: CorrelationSettings = CorrelationSettings()
    response: ResponseSettings = ResponseSettings()
    automation: AutomationSettings = AutomationSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file; no `.env` and no secrets directory."""
        return init_settings, _KnownVariables(settings_cls), _FileLayer(settings_cls)


def weights(settings: Settings) -> Weights:
    """The second level's weights by these settings: nats in thousandths, seconds in milliseconds."""
    told = settings.correlation.model_dump(exclude={"domain_attribute"})
    timed = {"lag", "lead", "cleared"}
    return Weights(**{f"{key}_ms" if key in timed else key: round(value * 1000) for key, value in told.items()})


def policies(settings: Settings) -> Policies:
    """What the stages have to obey by these settings."""
    response, automation = settings.response, settings.automation
    return Policies(
        ResponsePolicy(forget_after_ms=round(response.forget_after * 1000), history=response.history),
        AutomationPolicy(enabled=automation.enabled, per_hour=automation.per_hour, concurrent=automation.concurrent),
        reopen_within_ms=round(response.reopen_within * 1000),
    )


class _KnownVariables(EnvSettingsSource):
    """The environment without what is no setting: `load_settings` reports that, and goes on to find more."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        # A variable names a key; one that names a whole section would have to hold JSON.
        self.env_vars = {name: value for name, value in self.env_vars.items() if "__" in name}

    def __call__(self) -> dict[str, object]:
        return _pruned(Settings, super().__call__())


class _FileLayer(PydanticBaseSettingsSource):
    """The TOML file that `load_settings` has already read, as the layer below the environment."""

    def get_field_value(self, field: object, field_name: str) -> tuple[object, str, bool]:  # noqa: ARG002
        return _file_layer.get().get(field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        return dict(_file_layer.get())


def load_settings(path: Path | str | None = None, **flags: object) -> Settings:
    """The settings of this process from flags, environment and file.

    `path` names the TOML file (else `OPSBRIDGE_CONFIG`, else `./opsbridge.toml` if it exists); `flags` are nested like
    the file, for example `kafka={"group_id": "x"}`. Raises `SettingsError` with every problem found.
    """
    file, tree, problems = _read_file(path)
    variables = {
        name: name.removeprefix(ENV_PREFIX).lower().split("__")
        for name in os.environ
        if name.upper().startswith(ENV_PREFIX) and name.upper() != CONFIG_VARIABLE
    }
    problems += _unknown_variables(variables)
    problems += [f"{file}: unknown key {_dotted(loc)}{_near(loc)}" for loc in _unknown_keys(Settings, tree)]
    problems += [f"flag: unknown key {_dotted(loc)}{_near(loc)}" for loc in _unknown_keys(Settings, flags)]
    token = _file_layer.set(_pruned(Settings, tree))
    try:
        settings = Settings(**_pruned(Settings, flags))  # type: ignore[arg-type] # checked by pydantic: flags are an operator's words
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = _place(detail["loc"], flags, variables, file, tree)
            message = detail["msg"].removeprefix("Value error, ")
            problems.append(f"{place}: {_dotted(detail['loc'])}: {message}")
        raise SettingsError(problems) from None
    except ValueError as error:  # pydantic-settings: a variable that should hold JSON and does not
        raise SettingsError([*problems, f"environment: {error}"]) from None
    finally:
        _file_layer.reset(token)
    if problems:
        raise SettingsError(problems)
    return settings


def _read_file(path: Path | str | None) -> tuple[Path | None, Tree, list[str]]:
    named = path or os.environ.get(CONFIG_VARIABLE)
    file = Path(named or DEFAULT_FILE)
    if not file.is_file():
        return (None, {}, [f"{file}: no such file"]) if named else (None, {}, [])
    try:
        return file, tomllib.loads(file.read_text(encoding="utf-8")), []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return file, {}, [f"{file}: not valid TOML: {error}"]


def _model_of(annotation: object) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _unknown_keys(model: type[BaseModel], tree: Tree, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path in `tree` that is not a setting of `model`."""
    for key, value in tree.items():
        field = model.model_fields.get(key)
        if field is None:
            yield (*above, key)
        elif (inner := _model_of(field.annotation)) is not None and isinstance(value, Mapping):
            yield from _unknown_keys(inner, value, (*above, key))


def _pruned(model: type[BaseModel], tree: Tree) -> dict[str, object]:
    """`tree` without the keys that are no settings of `model`."""
    known: dict[str, object] = {}
    for key, value in tree.items():
        if (field := model.model_fields.get(key)) is not None:
            inner = _model_of(field.annotation)
            known[key] = _pruned(inner, value) if inner is not None and isinstance(value, Mapping) else value
    return known


def _unknown_variables(variables: Mapping[str, list[str]]) -> Iterator[str]:
    """One line for each variable with our prefix that sets nothing."""
    for name, (section, *rest) in sorted(variables.items()):
        field = Settings.model_fields.get(section)
        inner = _model_of(field.annotation) if field else None
        if inner is None or not rest or rest[0] not in inner.model_fields:
            near = difflib.get_close_matches(name, [*_all_variables(), CONFIG_VARIABLE], n=3, cutoff=0.75)
            yield f"environment: unknown variable {name}" + (f" (did you mean {', '.join(near)}?)" if near else "")


def _all_variables() -> Iterator[str]:
    for section, field in Settings.model_fields.items():
        if (inner := _model_of(field.annotation)) is not None:
            for key in inner.model_fields:
                yield f"{ENV_PREFIX}{section}__{key}".upper()


def _near(loc: tuple[str, ...]) -> str:
    """` (did you mean ...?)` for an unknown path: keys of its own section first, then of every section."""
    known = {section: _model_of(field.annotation) for section, field in Settings.model_fields.items()}
    keys = [f"{section}.{key}" for section, model in known.items() if model for key in model.model_fields]
    near = difflib.get_close_matches(_dotted(loc), [*known, *keys], n=3, cutoff=0.7)
    near = near or [key for key in keys if key.rpartition(".")[2] == loc[-1]]
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _dotted(loc: tuple[str | int, ...]) -> str:
    return ".".join(map(str, loc))


def _place(
    loc: tuple[str | int, ...],
    flags: Tree,
    variables: Mapping[str, list[str]],
    file: Path | None,
    tree: Tree,
) -> str:
    """Where the value at `loc` came from: flag, variable or file, in the order in which they win."""
    words = [str(part) for part in loc]
    if _holds(flags, words):
        return "flag"
    for name, path in variables.items():
        if path[: len(words)] == words or words[: len(path)] == path:
            return name
    return str(file) if file is not None and _holds(tree, words) else "default"


def _holds(tree: object, words: list[str]) -> bool:
    for word in words:
        if not isinstance(tree, Mapping) or word not in tree:
            return not isinstance(tree, Mapping)
        tree = tree[word]
    return True
