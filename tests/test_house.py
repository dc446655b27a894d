"""The rooms of the house and who may know whom: read from the imports of every file, wherever they stand in it.

The core is pure: from the standard library it takes only what computes, and it never asks what time it is.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"

PURE = frozenset(
    {"abc", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "heapq", "itertools"}
    | {"math", "operator", "typing", "msgspec"}
)
"""What the core may import besides itself."""

CLOCKS = frozenset({"now", "today", "utcnow"})
"""What a datetime or date must not be asked for in the core."""

INSIDE: dict[str, set[str]] = {
    "core": set(),
    "documents": {"core", "errors"},
    "rules": {"core", "documents", "errors"},
    "topology": {"core", "documents", "errors"},
    "sources": {"core", "documents", "errors"},
}
"""Room -> the other rooms that it may know; rooms that are not named are at the rim and may know any of these."""

KAFKA = frozenset({"faust", "mode", "aiokafka"})
KAFKA_ROOMS = frozenset({"stream", "devbroker", "cli", "demo", "executor"})
"""Only the stream speaks Faust; demo and executor are outsiders, clients of Kafka like the tools and the bridge."""


def room_of(module: str) -> str:
    """The room of a module: `opsbridge.core.graph` is in `core`."""
    return [*module.split("."), ""][1]


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) of every import; `from opsbridge import x` imports `opsbridge.x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level or module == "opsbridge":
                yield from ((node.lineno, f"opsbridge.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def broken_laws(module: str, source: str) -> list[str]:
    """What a file of that module's name does that its room may not."""
    tree = ast.parse(source)
    room = room_of(module)
    found = [f"{module}:{line}: {why}" for line, name in imported(tree) if (why := _forbidden(room, name))]
    if room == "core":
        found += [f"{module}:{line}: the core asks for {what}" for line, what in _impure(tree)]
    return found


def _forbidden(room: str, name: str) -> str:
    package = name.split(".")[0]
    if package == "opsbridge":
        other = room_of(name)
        allowed = INSIDE.get(room)
        if allowed is not None and other not in allowed | {room}:
            return f"{room} may not know {other}"
        return ""
    if room == "core" and package not in PURE:
        return f"core may not import {package}"
    if package in KAFKA and room not in KAFKA_ROOMS:
        return f"{room} may not import {package}"
    return ""


def _impure(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and ast.unparse(node.value) in _DATES:
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EFFECTS:
            yield node.lineno, node.func.id


_DATES = frozenset({"datetime", "date", "datetime.datetime", "datetime.date"})
_EFFECTS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})


def files() -> list[tuple[str, Path]]:
    return [
        (".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"), path)
        for path in sorted((SRC / "opsbridge").rglob("*.py"))
    ]


@pytest.mark.parametrize(("module", "path"), files(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_file_keeps_to_its_room(module: str, path: Path) -> None:
    assert broken_laws(module, path.read_text()) == []


def undeclared(source: str) -> set[str]:
    """Packages that a source imports, and that nothing in `pyproject.toml` installs with OpsBridge."""
    names = {name.split(".")[0] for _, name in imported(ast.parse(source))} - sys.stdlib_module_names - {"opsbridge"}
    return {name for name in names if not installed() & {_plain(each) for each in _providers().get(name, [name])}}


@cache
def installed() -> frozenset[str]:
    """The distributions that come with `opsbridge[demo]`, and pytest: who uses its plugin has it."""
    project = tomllib.loads((SRC.parent / "pyproject.toml").read_text())["project"]
    wanted = ["pytest", *project["dependencies"], *project["optional-dependencies"]["demo"]]
    found: set[str] = set()
    while wanted:
        requirement, _, marker = wanted.pop().partition(";")
        name = _plain(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
        if name not in found and "extra" not in marker:
            found.add(name)
            with suppress(PackageNotFoundError):  # for another platform
                wanted += requires(name) or []
    return frozenset(found)


def _plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution.lower())


@cache
def _providers() -> Mapping[str, list[str]]:
    return packages_distributions()


@pytest.mark.parametrize(("module", "path"), files(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_file_imports_only_what_is_installed_with_it(module: str, path: Path) -> None:
    assert undeclared(path.read_text()) == set()


def test_what_happens_to_be_installed_here_is_no_dependency() -> None:
    assert undeclared("import hypothesis\nimport os\nfrom ruamel.yaml import YAML\nimport yaml") == {
        "hypothesis",
        "ruamel",
    }


def test_every_room_is_read() -> None:
    rooms = {room_of(module) for module, _ in files()}
    assert rooms >= {"core", "rules", "sources", "topology", "stream"}
    assert rooms >= set(INSIDE)


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("opsbridge.core.graph", "import networkx", "core may not import networkx"),
        ("opsbridge.core.graph", "import time", "core may not import time"),
        ("opsbridge.core.graph", "import os.path", "core may not import os"),
        ("opsbridge.core.graph", "from random import random", "core may not import random"),
        ("opsbridge.core.graph", "def f():\n    import asyncio", "core may not import asyncio"),
        ("opsbridge.core.graph", "import faust", "core may not import faust"),
        ("opsbridge.core.graph", "from opsbridge.rules import Rule", "core may not know rules"),
        ("opsbridge.core.graph", "from opsbridge import stream", "core may not know stream"),
        ("opsbridge.core.graph", "from .. import topology", "core may not know topology"),
        ("opsbridge.core.graph", "from datetime import datetime\ndatetime.now(None)", "the core asks for datetime.now"),
        ("opsbridge.core.graph", "import datetime\ndatetime.date.today()", "the core asks for datetime.date.today"),
        ("opsbridge.core.graph", "clock = datetime.utcnow", "the core asks for datetime.utcnow"),
        ("opsbridge.core.graph", "open('state')", "the core asks for open"),
        ("opsbridge.core", "print('here')", "the core asks for print"),
        ("opsbridge.rules.matching.judge", "import opsbridge.topology.load", "rules may not know topology"),
        ("opsbridge.sources.canonical", "from opsbridge.stream.app import app", "sources may not know stream"),
        ("opsbridge.topology.load", "from opsbridge.settings import Settings", "topology may not know settings"),
        ("opsbridge.rules.matching.judge", "from aiokafka import AIOKafkaProducer", "rules may not import aiokafka"),
        ("opsbridge.web.health", "import faust.web", "web may not import faust"),
    ],
)
def test_a_broken_law_is_seen(module: str, source: str, complaint: str) -> None:
    (found,) = broken_laws(module, source)
    assert found.startswith(f"{module}:")
    assert found.endswith(complaint)


def test_what_is_allowed_is_not_complained_of() -> None:
    assert (
        broken_laws("opsbridge.core.graph", "from collections import abc\nfrom opsbridge.core.event import Event") == []
    )
    assert broken_laws("opsbridge.core.graph", "now = state.now\ndatetime.fromtimestamp(now, UTC)") == []
    assert broken_laws("opsbridge.stream.app", "import faust\nfrom opsbridge.core import pipeline\nimport time") == []
    assert broken_laws("opsbridge.rules.matching.judge", "from opsbridge.core.event import Judge\nimport os") == []
