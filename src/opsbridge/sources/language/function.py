"""A mapping as one generated Python function: from the payload's root to the items in it.

The function loops over the items, works out the fields of each in the order of `terms.COMPUTED`, and puts a report, a
withheld or a rejected item into its answer. An item that is refused ends in its `Rejected` and the next one goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from opsbridge.core.decisions import Withheld
from opsbridge.core.intake import Report
from opsbridge.documents import shown as shown_value
from opsbridge.sources.language import support
from opsbridge.sources.language.code import Code
from opsbridge.sources.language.terms import (
    COMPUTED,
    HEADERS,
    Arrival,
    Conditions,
    Const,
    Derived,
    First,
    Hash,
    Path,
    Ranges,
    Table,
    When,
)
from opsbridge.sources.language.terms import (
    Mapping as MappingFile,
)
from opsbridge.sources.language.values import Values
from opsbridge.sources.language.walking import paths_in
from opsbridge.sources.source import Item

Run = Callable[[object, Mapping[str, str], int], list[Item]]
"""(root of the payload, headers, arrival in milliseconds) -> its items."""

STATES: Final = frozenset({"firing", "resolved"})
SEVERITIES: Final = frozenset({"info", "warning", "minor", "major", "critical"})

_REPORTED: Final = {"class": "class_"}
"""Fields whose names in a report are others."""
_CUT: Final = {"source": support.LONGEST_NAME, "summary": support.LONGEST_SUMMARY}
"""Texts for people: cut after so many characters, and empty if they are missing."""
_REQUIRED: Final = ("time", "state", "id")


def generate(mapping: MappingFile) -> Run:
    """The function of a mapping."""
    writer = _Function(mapping)
    writer.write()
    return _made(writer.code, "items", mapping.source)


def generate_test(conditions: Conditions) -> Callable[[object, Mapping[str, str]], bool]:
    """What tells whether all of these hold for the root of a payload and its headers."""
    code = Code("def test(root, headers):")
    values = Values(code, conditions, texts=False)
    for of, wanted in conditions:
        with code.block(f"if not ({values.test(of, wanted)}):"):
            code.line("return False")
    code.line("return True")
    return _made(code, "test", "auto")  # type: ignore[return-value]


def _made(code: Code, name: str, file: str) -> Run:
    room = dict(code.objects)
    exec(compile(code.source, f"<{name} of {file}>", "exec"), room)  # noqa: S102 # the source above, file texts quoted
    return room[name]  # type: ignore[return-value]


def outcomes(said: Derived) -> frozenset[str] | None:
    """All texts that an expression can come to, if they can be counted."""
    match said:
        case Const(value):
            return frozenset((value,))
        case Table(_, table, default):
            return _together([frozenset(filter(None, table.values()))], default)
        case Ranges(_, bounds, default):
            return _together([frozenset(value for _, value in bounds)], default)
        case First(options):
            return _together([outcomes(option) for option in options], None)
        case When(_, then, otherwise):
            return _together([outcomes(then)], otherwise)
    return None


def sure(said: Derived | None) -> bool:
    """Whether an expression always has a value."""
    match said:
        case Const() | Hash() | Arrival():
            return True
        case First(options):
            return any(sure(option) for option in options)
        case When(_, then, otherwise):
            return sure(then) and sure(otherwise)
    return False


def _together(known: list[frozenset[str] | None], more: Derived | None) -> frozenset[str] | None:
    if more is not None:
        known = [*known, outcomes(more)]
    return None if None in known else frozenset().union(*(each for each in known if each is not None))


class _Function:
    """Writes the function of one mapping."""

    def __init__(self, mapping: MappingFile) -> None:
        self._mapping = mapping
        self.code = Code("def items(root, headers, arrived):")
        self._values = Values(self.code, mapping, texts=mapping.payload == "text")
        self._local: dict[str, str] = {}
        self._lets = self._levels()

    def write(self) -> None:
        """All of it."""
        code, loops = self.code, list(self._mapping.each.items())
        code.line("out = []")
        code.line("put = out.append")
        with ExitStack() as blocks:
            local, place = "root", "$"
            for level in range(len(loops) + 1):
                blocks.enter_context(self._guarded(place))
                if level or self._mapping.payload == "json":
                    self._object(local, place)
                for name in self._lets[level]:
                    self._values.let(name, self._mapping.lets[name])
                if level < len(loops):
                    name, options = loops[level]
                    local = f"item_{level}"
                    place = self._loop(level, options, blocks)
                    self._values.item(name, local, place)
            self._item("continue" if loops else "return out")
        code.line("return out")

    def _levels(self) -> list[list[str]]:
        """Names of `let` by how many loops they stand in: the innermost that they refer to."""
        names = list(self._mapping.each)
        level = {name: number + 1 for number, name in enumerate(names)}
        lets: list[list[str]] = [[] for _ in range(len(names) + 1)]
        for name, said in self._mapping.lets.items():
            level[name] = max((level.get(path.root, 0) for path in paths_in(said)), default=0)
            lets[level[name]].append(name)
        return lets

    @contextmanager
    def _guarded(self, place: str) -> Iterator[None]:
        """`try:` around what may refuse an item, and what becomes of it then."""
        code = self.code
        with code.block("try:"):
            yield
        with code.block(f"except {code.object('refused', support.Refused)} as refused:"):
            code.line("put(refused.rejected)")
        with code.block("except Exception as error:"):
            code.line(f"put({code.object('failed', support.failed)}(error, {self._values.quoted(place)}))")

    def _object(self, local: str, place: str) -> None:
        refuse, shown = self.code.object("refuse", support.refuse), self.code.object("shown", shown_value)
        with self.code.block(f"if type({local}) is not dict:"):
            self.code.line(f'{refuse}(f"is {{{shown}({local})}}, an object is wanted", {self._values.quoted(place)})')

    def _loop(self, level: int, options: tuple[Path, ...], blocks: ExitStack) -> str:
        """Open the loop over a list of items; returns their place."""
        code, values = self.code, self._values
        first, *others = options
        listed, place = code.name("list"), values.place(first)
        code.line(f"{listed} = {values.value(first, 'raw')}")
        index = f"{place}[{{at_{level}}}]"
        if others:
            where = code.name("where")
            code.line(f"{where} = {values.quoted(place)}")
            self._others(listed, where, others)
            with code.block(f"if type({listed}) is dict:"):
                code.line(f"{listed} = ({listed},)")
            place = f"{{{where}}}"
            index = f"{place}{{{code.object('index', support.index)}({listed}, at_{level})}}"
        kinds = f"type({listed}) is not list" + (f" and type({listed}) is not tuple" if others else "")
        with code.block(f"if {kinds} or not {listed} or len(out) + len({listed}) > {support.MOST_ITEMS}:"):
            code.line(f"put({code.object('no_items', support.no_items)}({listed}, {values.quoted(place)}))")
            code.line("continue" if level else "return out")
        blocks.enter_context(code.block(f"for at_{level}, item_{level} in enumerate({listed}):"))
        return index

    def _others(self, listed: str, where: str, options: list[Path]) -> None:
        option, *rest = options
        with self.code.block(f"if {listed} is None:"):
            self.code.line(f"{listed} = {self._values.value(option, 'raw')}")
            self.code.line(f"{where} = {self._values.quoted(self._values.place(option))}")
            if rest:
                self._others(listed, where, rest)

    def _item(self, leave: str) -> None:
        """What becomes of one item."""
        code, values = self.code, self._values
        for skip in self._mapping.skip:
            withheld = Withheld("suppressed", f"{self._mapping.source}/{skip.reason}")
            with code.block(f"if {values.holds(skip.when)}:"):
                code.line(f"put({code.object('withheld', withheld)})")
                code.line(leave)
        for field in COMPUTED:
            self._field(field)
        self._checked()
        self._local["labels"] = self._labels()
        given = [f"{_REPORTED.get(field, field)}={local}" for field, local in self._local.items()]
        if self._mapping.by_key:
            given.append("by_key=True")
        code.line(f"put({code.object('report', Report)}({', '.join(given)}))")

    def _field(self, field: str) -> None:
        """A field's local name has its value after this."""
        code, values = self.code, self._values
        said = self._mapping.fields.get(field)
        local = self._local[field] = code.name(field)
        value = "None" if said is None else values.value(said, "time" if field == "time" else "text")
        code.line(f"{local} = {value}")
        if field in _CUT and not isinstance(said, Const):
            with code.block(f"if not {local}:"):
                code.line(f"{local} = ''")
            with code.block(f"elif len({local}) > {_CUT[field]}:"):
                code.line(f"{local} = {local}[:{_CUT[field]}]")
        values.computed(field, local)
        known = STATES if field == "state" else SEVERITIES if field == "severity" else None
        if field in ("ci", "class") and not self._mapping.by_key and not sure(said):
            self._needed(field, said, f"if not {local}:")
        if field in _REQUIRED and not sure(said):
            self._needed(field, said, f"if {_absent(field, local)}:")
        if known is not None and said is not None:
            counted = outcomes(said)
            if counted is None or counted - known:
                order = sorted(known)
                unknown = code.object("unknown", support.unknown)
                there = "" if field == "state" else f"{local} and "
                with code.block(f"if {there}{local} not in {code.object('known', known)}:"):
                    code.line(f"{unknown}({local}, {order!r}, {values.quoted(values.place(said))})")

    def _needed(self, field: str, said: Derived | None, head: str) -> None:
        refuse = self.code.object("refuse", support.refuse)
        paths = list(dict.fromkeys(path.text for path in paths_in(said))) if said is not None else []
        listed = ", ".join(paths[:8]) + (", ..." if len(paths) > 8 else "")
        of = f"none of {listed}" if len(paths) > 1 else f"{listed} is missing" if paths else "the mapping says none"
        with self.code.block(head):
            self.code.line(f"{refuse}({f'no {field}: {of}'!r}, {self._values.here})")

    def _checked(self) -> None:
        """What fields must be together."""
        local, fields = self._local, self._mapping.fields
        firing = f'{local["state"]} == "firing"'
        for field in ("ci", "class") if self._mapping.by_key else ():
            said = fields.get(field)
            if not sure(said):
                self._needed(field, said, f"if not {local[field]} and {firing}:")
                self.code.line(f"{local[field]} = {local[field]} or ''")
        said = fields.get("severity")
        if not sure(said):
            self._needed("severity", said, f"if not {local['severity']} and {firing}:")
            self.code.line(f"{local['severity']} = {local['severity']} or None")
        if self._mapping.by_key:
            self._needed("fingerprint", fields.get("fingerprint"), f"if not {local['fingerprint']}:")
        elif "fingerprint" in fields:
            self.code.line(f"{local['fingerprint']} = {local['fingerprint']} or None")
        long = [field for field in ("id", "ci", "class", "fingerprint") if not _short(fields.get(field))]
        if long:
            longest = support.LONGEST_NAME
            tests = [
                f"{local[field]} and len({local[field]}) > {longest}"
                if field == "fingerprint"
                else f"len({local[field]}) > {longest}"
                for field in long
            ]
            too_long = self.code.object("too_long", support.too_long)
            with self.code.block(f"if {' or '.join(tests)}:"):
                named = ", ".join(f"{_REPORTED.get(field, field)}={local[field]}" for field in long)
                self.code.line(f"{too_long}({self._values.here}, {named})")

    def _labels(self) -> str:
        code, values, said = self.code, self._values, self._mapping.labels
        local = code.name("labels")
        labels, bounded = code.object("labels", support.labels), code.object("bounded", support.bounded)
        merged = len(said.from_) > 1 or said.add or said.without
        for number, path in enumerate(said.from_):
            raw, name = values.value(path, "raw"), str((path.root, *path.steps)[-1])
            gathered = f"{labels}({raw}, {name!r})"
            if not merged:
                code.line(f"{local} = {gathered}")
            elif number:
                code.line(f"{local} |= {gathered}")
            else:
                code.line(f"{local} = {raw}.copy() if type({raw}) is dict else {gathered}")
        if not said.from_:
            code.line(f"{local} = {{}}")
        for name, expression in said.add:
            value = values.value(expression, "raw")
            if isinstance(expression, Const):
                code.line(f"{local}[{name!r}] = {value}")
                continue
            with code.block(f"if type({value}) is str:"), code.block(f"if {value}:"):
                code.line(f"{local}[{name!r}] = {value}")
            with code.block(f"elif {value} is not None:"):
                code.line(f"{local}[{name!r}] = {code.object('flat', support.flat)}({value})")
        for name in sorted(said.without):
            code.line(f"{local}.pop({name!r}, None)")
        if merged:
            code.line(f"{local} = {bounded}({local})")
        return local


def _absent(field: str, local: str) -> str:
    return f"{local} is None" if field == "time" else f"not {local}"


def _short(said: Derived | None) -> bool:
    """Whether it cannot be too long."""
    counted = None if said is None else outcomes(said)
    return said is None or isinstance(said, Hash) or counted is not None


def uses_headers(mapping: MappingFile) -> bool:
    """Whether any path of it begins at the headers."""
    return any(path.root == HEADERS for path in paths_in(mapping))
