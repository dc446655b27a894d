"""Where settings come from, and what is wrong with them, place by place.

Flags win over environment variables (`OPSBRIDGE_KAFKA__BOOTSTRAP_SERVERS`), those over the TOML file, that over the
defaults. Nothing is ignored: an unknown key is an error that names the key, its place and what it resembles, and all
errors come at once.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from opsbridge.errors import OpsBridgeError
from opsbridge.settings.sections import (
    AutomationSettings,
    CorrelationSettings,
    GatewaySettings,
    KafkaSettings,
    LogSettings,
    PathSettings,
    ResponseSettings,
    TopicSettings,
    TopologySettings,
    WebSettings,
)

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
    topology: TopologySettings = TopologySettings()
    response: ResponseSettings = ResponseSettings()
    automation: AutomationSettings = AutomationSettings()
    gateway: GatewaySettings = GatewaySettings()
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
