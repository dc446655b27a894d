"""The action file as pydantic models: what it may say, field by field.

What cannot be seen from one field alone (names that are used but not declared, files that must exist) is checked in
`actions`, which alone calls this.
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated, Final, Literal

from annotated_types import MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, TypeAdapter

from opsbridge.documents.text import Loc
from opsbridge.executor import templates
from opsbridge.rules.language.fields import Duration, wrong

LONGEST_OUTPUT: Final = 7_900
"""Characters: the topic `feedback` takes 8 000, and what was cut is told."""

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
_PARAMETER: Final = f"^{templates.NAME}$"
_VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_HEADER: Final = r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$"
_LINE: Final = r"^[^\p{Cc}]*$"

PATTERNS: Final = {
    _NAME: "a name of letters, digits, '.', '_' and '-', such as restart-service",
    _PARAMETER: "a name of lower-case letters, digits and '_' that begins with a letter, such as host",
    _VARIABLE: "the name of an environment variable",
    _HEADER: "the name of an HTTP header",
    _LINE: "text without line breaks and other control characters",
}
"""What the patterns above ask for, in words."""

Line = Annotated[str, StringConstraints(pattern=_LINE)]

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


def _within_limit(said: int) -> int:
    if not 0 <= said <= LONGEST_OUTPUT:
        raise wrong(f"must be 0 to {LONGEST_OUTPUT} characters, not {said}")
    return said


class ParameterEntry(BaseModel):
    """A parameter that a response may set."""

    model_config = _STRICT

    pattern: str
    default: str | None = None


class _ActionEntry(BaseModel):
    """What every action says."""

    model_config = _STRICT

    name: Annotated[str, StringConstraints(pattern=_NAME)]
    description: str = ""
    parameters: dict[Annotated[str, StringConstraints(pattern=_PARAMETER)], ParameterEntry] = {}
    timeout: Duration = 60_000
    output_limit: Annotated[int, AfterValidator(_within_limit)] = 4_000


class CommandEntry(_ActionEntry):
    """An action that runs a program."""

    command: Annotated[list[str], MinLen(1)]
    environment: dict[Annotated[str, StringConstraints(pattern=_VARIABLE)], str] = {}
    working_directory: str = "/"


class WebhookEntry(BaseModel):
    """Whom to call, and how."""

    model_config = _STRICT

    url: Line
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    headers: dict[Annotated[str, StringConstraints(pattern=_HEADER)], Line] = {}
    headers_file: str | None = None
    ca_file: str | None = None
    body: object = None


class CallEntry(_ActionEntry):
    """An action that calls a webhook."""

    webhook: WebhookEntry


_COMMAND, _CALL = "<command>", "<webhook>"
FORMS: Final = frozenset({_COMMAND, _CALL, "[key]"})
"""Steps in the place of a pydantic error that are none in the file."""

KEY: Final = "[key]"
"""What pydantic puts behind the place of a mapping's key that is wrong."""


def _form(value: object) -> str | None:
    """Which of both an action is; of one that says neither, the one whose name it misspells."""
    if not isinstance(value, dict):
        return _COMMAND
    if "command" in value or "webhook" in value:
        return None if "command" in value and "webhook" in value else _CALL if "webhook" in value else _COMMAND
    near = [form for form, name in ((_COMMAND, "command"), (_CALL, "webhook")) if get_close_matches(name, value)]
    return near[0] if len(near) == 1 else None


ActionEntry = Annotated[
    Annotated[CommandEntry, Tag(_COMMAND)] | Annotated[CallEntry, Tag(_CALL)],
    Discriminator(
        _form, custom_error_type="form", custom_error_message="must say either command or webhook: what is to be done"
    ),
]


class ActionDocument(BaseModel):
    """One document of an action file."""

    model_config = _STRICT

    version: Literal[1]
    actions: list[ActionEntry] = Field(default_factory=list)


DOCUMENT: Final = TypeAdapter(ActionDocument)


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place of a document may say."""
    match loc:
        case ("actions", _, _, "parameters", *_):
            model: type[BaseModel] = ParameterEntry
        case ("actions", _, _, "webhook", *_):
            model = WebhookEntry
        case ("actions", _, form, *_):
            model = CallEntry if form == _CALL else CommandEntry
        case _:
            model = ActionDocument
    return list(model.model_fields)
