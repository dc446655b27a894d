"""Icinga 2 configuration files: objects of hosts and dependencies as they are written, and what their templates say.

The parts of the language that are programs (apply rules, conditions, functions, assignments) are not evaluated, and a
warning says where: `icinga2 object list` or the API show what became of them. Dependencies with the same
`redundancy_group` (Icinga 2.14) are redundant; without one each is needed, as in all versions but 2.12 and 2.13.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from opsbridge.documents.text import ParseError
from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering
from opsbridge.topology.importers.values import unique

_OBJECT: Final = re.compile(r'^\s*(object|template|apply)\s+\w+\s+(for\s*\(|"|[A-Za-z_])', re.MULTILINE)

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r]+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<end>[\n;,])
    |(?P<string>\{\{\{.*?\}\}\}|"(?:[^"\\\n]|\\.)*")
    |(?P<word>[A-Za-z_@$][\w.$@-]*)
    |(?P<number>\d+(?:\.\d+)?[a-z]*)
    |(?P<mark>\+=|-=|==|!=|<=|>=|&&|\|\||=>|[{}()\[\]=.:+\-*/<>!%&|^~?])""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")
_DEEPEST: Final = 50
_PROGRAM: Final = frozenset({"if", "for", "while", "function"})


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass(slots=True)
class _Object:
    """An object or template: its attributes as texts and lists of texts, others left out."""

    line: int
    form: str
    kind: str
    name: str
    imports: list[str] = field(default_factory=list)
    said: dict[str, str | list[str]] = field(default_factory=dict)


def recognises(content: Content) -> bool:
    """Any object, template or apply rule."""
    return not content.is_json and _OBJECT.search(content.head) is not None


def fill(content: Content, into: Gathering) -> None:
    """Hosts, then dependencies between hosts."""
    objects = list(_Reader(content.text, into).objects())
    templates = {(each.kind, each.name): each for each in objects if each.form == "template"}
    redundant: dict[tuple[str, str], tuple[int, list[str]]] = {}
    known: _Templates = {}
    for each in objects:
        if each.form != "object" or each.kind not in ("Host", "Dependency"):
            continue
        said = _inherited(each, templates, known, 0)
        if each.kind == "Host":
            _host(into, each, said)
            continue
        child, parent = _one(said, "child_host_name"), _one(said, "parent_host_name")
        if not child or not parent:
            into.warn(each.line, each.name, "a dependency without child_host_name and parent_host_name; left out")
        elif child != parent and into.mention(each.line, child) and into.mention(each.line, parent):
            if group := _one(said, "redundancy_group"):
                redundant.setdefault((child, group), (each.line, []))[1].append(parent)
            else:
                into.depends(each.line, child, parent)
    for (child, group), (line, parents) in redundant.items():
        into.needs(line, child, parents, 1, "", group)


def _host(into: Gathering, each: _Object, said: dict[str, str | list[str]]) -> None:
    address = [_one(said, "address"), _one(said, "address6")]
    url = _one(said, "notes_url")
    into.ci(
        each.line,
        {
            "id": each.name,
            "type": _one(said, "vars.type") or "host",
            "name": _one(said, "display_name") if _one(said, "display_name") != each.name else "",
            "owner": _one(said, "vars.owner"),
            "site": _one(said, "vars.site") or _one(said, "zone"),
            "environment": _one(said, "vars.environment"),
            "runbook": url if "$" not in url else "",
            "aliases": [name for name in unique(address) if name != each.name and "$" not in name],
        },
    )


def _one(said: dict[str, str | list[str]], name: str) -> str:
    found = said.get(name, "")
    return found if isinstance(found, str) else ""


_Templates = dict[tuple[str, str], dict[str, str | list[str]]]
"""Kind and name of templates to what they say with all that they import: each is worked out once."""


def _inherited(
    each: _Object, templates: dict[tuple[str, str], _Object], known: _Templates, depth: int
) -> dict[str, str | list[str]]:
    """What it says itself, over what the templates that it imports say, the last first."""
    said: dict[str, str | list[str]] = {}
    for name in each.imports:
        key = each.kind, name
        if key not in known and key in templates and depth < _DEEPEST:
            known[key] = {}  # one that imports itself gets nothing by that
            known[key] = _inherited(templates[key], templates, known, depth + 1)
        said |= known.get(key, {})
    return said | each.said


class _Reader:
    """Reads objects out of a text of the configuration language, and leaves out what is a program."""

    def __init__(self, text: str, into: Gathering) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._into = into

    def objects(self) -> Iterator[_Object]:
        """Every object and template at the top level."""
        while (token := self._take()) is not None:
            if token.kind != "word" or token.text not in ("object", "template", "apply"):
                if token.text in "{([":
                    self._skip(token)
                continue
            kind, name = self._take(), self._take()
            if kind is None or name is None:
                return
            if token.text == "apply" or name.kind not in ("string", "word"):
                message = f"{token.text} {kind.text} is a rule, and rules are not evaluated; left out"
                self._into.warn(token.line, "", message, alike="rules")
                continue
            found = _Object(token.line, token.text, kind.text, _text(name))
            if self._open():
                self._body(found)
                yield found

    def _take(self) -> _Token | None:
        if self._next >= len(self._tokens):
            return None
        self._next += 1
        return self._tokens[self._next - 1]

    def _open(self) -> bool:
        """Go to the brace that opens the body of an object; an `ignore_on_error` or `assign` may stand before it."""
        while (token := self._take()) is not None:
            if token.text == "{" and token.kind == "mark":
                return True
        return False

    def _skip(self, opened: _Token) -> None:
        """Go past the bracket that closes this one."""
        depth = 1
        while depth:
            token = self._take()
            if token is None:
                self._into.warn(opened.line, "", f"the {opened.text} that is opened here is not closed", alike="open")
                return
            if token.kind == "mark":
                depth += (token.text in "{([") - (token.text in "})]")

    def _body(self, found: _Object) -> None:
        """The attributes of an object, up to its closing brace."""
        while (token := self._take()) is not None:
            if token.kind == "mark" and token.text == "}":
                return
            if token.kind != "word":
                if token.kind == "mark" and token.text in "{([":
                    self._skip(token)
                continue
            if token.text in _PROGRAM:
                message = f"{token.text}: is a program, and programs are not evaluated; left out"
                self._into.warn(token.line, found.name, message, alike="programs")
                continue
            if token.text == "import":
                named = self._take()
                if named is not None and named.kind == "string":
                    found.imports.append(_text(named))
                continue
            name = self._name(token)
            after = self._peek()
            if after is not None and after.text == "=":
                self._next += 1
                value = self._value()
                if value is not None:
                    found.said[name] = value
        self._into.warn(found.line, found.name, f"{found.form} {found.kind}: is not closed before the file ends")

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _name(self, token: _Token) -> str:
        """`vars.os`, `vars["os"]` and `vars . os` as one name."""
        name = token.text
        while (after := self._peek()) is not None and after.text == "[" and self._next + 2 < len(self._tokens):
            key, closed = self._tokens[self._next + 1], self._tokens[self._next + 2]
            if key.kind != "string" or closed.text != "]":
                break
            name += f".{_text(key)}"
            self._next += 3
        return name

    def _value(self) -> str | list[str] | None:
        """A text, number or list of texts; None of what would have to be worked out."""
        token = self._take()
        if token is None:
            return None
        if token.text == "[" and token.kind == "mark":
            listed: list[str] = []
            while (token := self._take()) is not None and token.text != "]":
                if token.kind == "string":
                    listed.append(_text(token))
                elif token.kind == "mark" and token.text in "{([":
                    self._skip(token)
            return listed
        if token.kind == "mark" and token.text in "{(":
            self._skip(token)
            return None
        after = self._peek()
        if token.kind in ("string", "number") and (after is None or after.kind == "end" or after.text == "}"):
            return _text(token)
        return None


def _tokens(text: str) -> Iterator[_Token]:
    line, place = 1, 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            if text[place] == '"' or text.startswith(("/*", "{{{"), place):
                raise ParseError(line, 1, "a text or comment that is opened here is not closed")
            place += 1
            continue
        if found.lastgroup != "blank":
            yield _Token(found.lastgroup or "", found.group(), line)
        line += found.group().count("\n")
        place = found.end()


def _text(token: _Token) -> str:
    """What a text stands for."""
    if token.kind != "string":
        return token.text
    if token.text.startswith("{{{"):
        return token.text[3:-3]
    return _ESCAPED.sub(r"\1", token.text[1:-1])
