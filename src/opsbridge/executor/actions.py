"""The list of what an executor may do, from files: everything wrong is reported at once with its place.

Errors: ActionError (an operator's configuration). An action is whole when it is loaded: its program exists, its address
is fixed, each value it takes has a pattern. `opsbridge executor` calls this before it reads the first record.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from opsbridge.documents import (
    Document,
    DocumentError,
    Fault,
    Finding,
    Spot,
    dotted,
    from_validation,
    place,
    read_documents,
    shown,
)
from opsbridge.documents.text import Loc
from opsbridge.executor.model import (
    DOCUMENT,
    FORMS,
    KEY,
    PATTERNS,
    CallEntry,
    CommandEntry,
    ParameterEntry,
    WebhookEntry,
    known_fields,
)
from opsbridge.executor.templates import Template, template
from opsbridge.rules.matching.regex import compile_regex

LONGEST_VALUE: Final = 4_000
"""Characters of a parameter's value."""

_NOT_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key"})
"""Headers that are the client's own."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Filled = str | int | float | bool | None | Template | list["Filled"] | dict[str, "Filled"]
"""A JSON value whose texts are templates."""


class ActionError(DocumentError):
    """Action files that cannot be used; `findings` has every reason."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a value must look like."""

    fits: Callable[[str], bool]
    pattern: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, each a text of its own."""

    program: str
    arguments: tuple[Template, ...]
    environment: Mapping[str, str]
    working_directory: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP request to one fixed server."""

    method: str
    url: Template
    headers: Mapping[str, str]
    headers_file: Path | None
    ca_file: Path | None
    body: Filled
    """None: what is asked, as JSON."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that may be done."""

    name: str
    parameters: Mapping[str, Parameter]
    timeout_ms: int
    output_limit: int
    """Characters."""
    does: Command | Webhook

    def values(self, given: Mapping[str, str]) -> dict[str, str] | str:
        """The value of every declared parameter; or why these will not do."""
        if unknown := sorted(given.keys() - self.parameters.keys()):
            return f"action {self.name} has no parameter {', '.join(map(shown, unknown))}"
        values = {}
        for name, parameter in self.parameters.items():
            value = given.get(name, parameter.default)
            if value is None:
                return f"action {self.name} needs the parameter {name}"
            if len(value) > LONGEST_VALUE or "\0" in value or not parameter.fits(value):
                return f"parameter {name} is {shown(value)}, which does not match {parameter.pattern}"
            values[name] = value
        return self._misplaced(values) or values

    def _misplaced(self, values: Mapping[str, str]) -> str:
        """Why a value may not stand where the action puts it, whatever its pattern lets through."""
        match self.does:
            case Command(arguments=arguments):
                for argument in arguments:
                    if argument.leads and argument.filled(values).startswith("-"):
                        name = argument.names[0]
                        return (
                            f"parameter {name} is {shown(values[name])}: an argument may not begin with '-' by a value"
                        )
            case Webhook(url=url):
                for name in url.names:
                    if values[name] in ("", ".", ".."):
                        return f"parameter {name} is {shown(values[name])}, which is no piece of a path"
        return ""


@dataclass(frozen=True, slots=True)
class Actions:
    """What was loaded, by name, and what is odd about it."""

    by_name: Mapping[str, Action]
    findings: tuple[Finding, ...] = ()


def load_actions(paths: Iterable[str | os.PathLike[str]]) -> Actions:
    """The actions in these files and directories (every *.yaml, *.yml, *.json below); ActionError if any is wrong."""
    documents, findings = read_documents(paths)
    faults: list[Fault] = []
    actions: dict[str, Action] = {}
    spots: dict[str, Spot] = {}
    for document in documents:
        for index, entry in enumerate(_validated(document, faults)):
            spot = Spot(document, ("actions", index, "name"))
            actions[entry.name] = _Reader(document, index, entry, faults).action()
            if (first := spots.setdefault(entry.name, spot)) is not spot:
                faults.append(Fault(spot, f"{entry.name}: name", "there is one of this name already:", related=first))
    findings += place(faults)
    if any(finding.level == "error" for finding in findings):
        raise ActionError(findings)
    if not actions:
        named = ", ".join(os.fspath(path) for path in paths)
        findings.append(Finding(named, 0, 0, "", "there are no actions: every request will be refused", "warning"))
    return Actions(MappingProxyType(actions), tuple(findings))


def _validated(document: Document, faults: list[Fault]) -> list[CommandEntry | CallEntry]:
    try:
        return DOCUMENT.validate_python(document.value).actions
    except ValidationError as invalid:
        for loc, key, message in from_validation(invalid, known_fields, PATTERNS):
            way = tuple(step for step in loc if step not in FORMS)
            faults.append(Fault(Spot(document, way, key or loc[-1:] == (KEY,)), dotted(way), message))
        return []


@dataclass(slots=True)
class _Reader:
    """One entry on its way to an action; what is wrong with it goes to `faults`."""

    document: Document
    index: int
    entry: CommandEntry | CallEntry
    faults: list[Fault]

    def action(self) -> Action:
        entry = self.entry
        parameters = {name: self._parameter(name, said) for name, said in entry.parameters.items()}
        does = self._command(entry) if isinstance(entry, CommandEntry) else self._webhook(entry.webhook)
        return Action(entry.name, parameters, entry.timeout, entry.output_limit, does)

    def _wrong(self, loc: Loc, message: str, *, warning: bool = False, key: bool = False) -> None:
        spot = Spot(self.document, ("actions", self.index, *loc), key)
        subject = f"{self.entry.name}: {dotted(loc)}"
        self.faults.append(Fault(spot, subject, message, "warning" if warning else "error"))

    def _parameter(self, name: str, said: ParameterEntry) -> Parameter:
        fits: Callable[[str], bool] = bool
        try:
            fits = compile_regex(said.pattern)
        except ValueError as refused:
            self._wrong(("parameters", name, "pattern"), str(refused))
        else:
            if said.default is not None and not fits(said.default):
                self._wrong(("parameters", name, "default"), f"{shown(said.default)} does not match the pattern")
        return Parameter(fits, said.pattern, said.default)

    def _template(self, text: str, loc: Loc) -> Template:
        try:
            found = template(text)
        except ValueError as refused:
            self._wrong(loc, str(refused))
            return Template(("",))
        for name in found.names:
            if name not in self.entry.parameters:
                self._wrong(loc, f"{{{name}}} is no parameter of this action; declare it under parameters")
        return found

    def _command(self, entry: CommandEntry) -> Command:
        program, *arguments = entry.command
        if problem := _no_program(program):
            self._wrong(("command", 0), problem)
        filled = tuple(self._template(text, ("command", at)) for at, text in enumerate(arguments, 1))
        for at, text in enumerate(arguments, 1):
            if "\0" in text:
                self._wrong(("command", at), "must not have a NUL character")
        for name, value in entry.environment.items():
            if "\0" in value:
                self._wrong(("environment", name), "must not have a NUL character")
        if not Path(entry.working_directory).is_absolute() or not Path(entry.working_directory).is_dir():
            self._wrong(("working_directory",), f"{shown(entry.working_directory)} is no directory by its full path")
        self._unused({name for each in filled for name in each.names})
        return Command(program, filled, dict(entry.environment), entry.working_directory)

    def _webhook(self, said: WebhookEntry) -> Webhook:
        body = self._body(said.body, ("webhook", "body"))
        url = self._url(said.url)
        if said.body is not None:  # else all values are in the body
            self._unused({*url.names, *_names(body)})
            if said.method == "GET":
                self._wrong(("webhook", "body"), "a GET request has no body; leave it out, or say method: POST")
        for name in said.headers:
            if name.lower() in _NOT_OURS:
                self._wrong(("webhook", "headers", name), "is set by the executor itself; leave it out", key=True)
        headers_file = self._file(said.headers_file, "headers_file")
        if headers_file is not None:
            try:
                read_headers(headers_file)
            except (OSError, ValueError) as refused:
                self._wrong(("webhook", "headers_file"), f"{headers_file}: {refused}")
        return Webhook(said.method, url, dict(said.headers), headers_file, self._file(said.ca_file, "ca_file"), body)

    def _file(self, named: str | None, field: str) -> Path | None:
        if named is None:
            return None
        path = Path(self.document.path).parent / named
        if not path.is_file():
            self._wrong(("webhook", field), f"no such file: {path}")
            return None
        return path.resolve()

    def _url(self, text: str) -> Template:
        loc = ("webhook", "url")
        found = self._template(text, loc)
        try:
            parts = urlsplit("".join(piece if at % 2 == 0 else "1" for at, piece in enumerate(found.pieces)))
            fixed = urlsplit(found.pieces[0])
            port_is_number = parts.port is None or parts.port > 0
        except ValueError as refused:
            self._wrong(loc, f"is no address: {refused}")
            return found
        problems = (
            (parts.scheme not in ("http", "https"), "must begin with https:// or http://"),
            (not parts.hostname or not port_is_number, "names no server"),
            (parts.username is not None, "has a user's name in it; credentials belong in headers_file"),
            (bool(parts.fragment), "has a fragment (#...), which is never sent"),
            (
                bool(found.names) and (not fixed.path or "?" in "".join(found.pieces[:-1:2])),
                "parameters may stand in its path only, behind the server's name and before any ?",
            ),
            (not text.isascii() or " " in text, "has characters that must be percent-encoded"),
        )
        for is_wrong, message in problems:
            if is_wrong:
                self._wrong(loc, message)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            self._wrong(loc, "is not encrypted, and nothing proves who answers; say https", warning=True)
        return found

    def _body(self, value: object, loc: Loc) -> Filled:
        match value:
            case str():
                return self._template(value, loc)
            case list():
                return [self._body(each, (*loc, at)) for at, each in enumerate(value)]
            case dict():
                return {str(key): self._body(each, (*loc, str(key))) for key, each in value.items()}
            case None | bool() | int() | float():
                return value
            case _:
                self._wrong(loc, f"must be a JSON value, not {shown(value)}")
                return None

    def _unused(self, used: set[str]) -> None:
        for name in self.entry.parameters.keys() - used:
            self._wrong(("parameters", name), "is taken, but used nowhere", warning=True, key=True)


def _names(body: Filled) -> Iterator[str]:
    match body:
        case Template():
            yield from body.names
        case list():
            for each in body:
                yield from _names(each)
        case dict():
            for each in body.values():
                yield from _names(each)
        case _:
            pass


def _no_program(program: str) -> str:
    """Why this cannot be run; empty if it can."""
    if not program.startswith("/"):
        return (
            f"must be the full path of a program, not {shown(program)}: nothing is searched for, and there is no shell"
        )
    try:
        mode = os.stat(program).st_mode
    except (OSError, ValueError) as error:
        return f"{shown(program)}: {error.strerror if isinstance(error, OSError) else error}"
    if not stat.S_ISREG(mode) or not os.access(program, os.X_OK):
        return f"{shown(program)} is no program that this user may run"
    return ""


def read_headers(path: Path) -> dict[str, str]:
    """The headers of a file, one `Name: value` to a line; ValueError names the line that is none, and not its text."""
    headers = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or not name.isascii() or set(name) & set(' \t"(),/;<=>?@[\\]{}'):
            raise ValueError(f"line {number} is not of the form Name: value")
        if name.lower() in _NOT_OURS:
            raise ValueError(f"line {number}: {name} is set by the executor itself")
        if any(ord(character) < 32 or ord(character) == 127 for character in value.strip()):
            raise ValueError(f"line {number} has control characters")
        headers[name] = value.strip()
    return headers
