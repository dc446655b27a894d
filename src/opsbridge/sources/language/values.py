"""Code that reads values: each expression becomes lines that leave its value in a local name.

A value is wanted raw (whatever JSON has; missing: None or empty text), as text (missing: None or empty), or as a time
(missing: None). What is the common case is inline; `support` has the rest.
"""

from collections.abc import Callable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from opsbridge.sources.language import support, times
from opsbridge.sources.language.paths import Mode, Paths
from opsbridge.sources.language.regex import compile_scan, compile_search
from opsbridge.sources.language.terms import (
    Arrival,
    Changed,
    Choice,
    Computed,
    Conditions,
    Const,
    Derived,
    Expr,
    First,
    Groups,
    Hash,
    Moment,
    Number,
    Pairs,
    Parsed,
    Path,
    Pattern,
    Ranges,
    Scan,
    Single,
    Split,
    Table,
    Template,
    Wanted,
    When,
)

_PER_SECOND: Final = {"epoch": 1, "epoch_ms": 1000, "epoch_ns": 1_000_000_000}


class Values(Paths):
    """Writes the code of expressions and conditions."""

    def let(self, name: str, said: Derived) -> None:
        """A derived root."""
        local = self.derived(said)
        self._places[name] = self.place(said)
        self._roots[name] = local
        if isinstance(said, Pairs | Split | Groups | Scan):
            self._mappings.add(name)
        if isinstance(said, Split | Groups | Scan):
            self._texts.add(name)

    def place(self, said: Derived) -> str:
        """Where in the payload an expression begins to read; where the item is, if it does not."""
        match said:
            case Path():
                return self.place_of(said)
            case First() | Choice():
                return self.place(said.options[0])
            case When():
                return self.place(said.then)
            case Const() | Computed() | Arrival() | Template() | Hash():
                return self._place
        return self.place(said.of)

    def value(self, said: Derived, mode: Mode) -> str:
        """The local name that has the value after the lines written here."""
        match said:
            case Path():
                return self._raw(said) if mode == "raw" else self._text(said)
            case Const(value):
                return repr(value)
            case Computed(name):
                return self._told(name)
            case First(options) | Choice(options):
                return self._first(options, mode)
            case When():
                return self._when(said, mode)
            case Template(parts):
                return self._template(parts)
            case Hash(parts):
                return self._hash(parts)
            case Table():
                return self._table(said)
            case Ranges():
                return self._ranges(said)
            case Pattern():
                return self._pattern(said)
            case Number():
                return self._number(said)
            case Changed():
                return self._changed(said)
            case Moment():
                return self._moment(said)
            case Arrival():
                return self._call("arrival", times.arrival, "arrived")
        return self.derived(said)

    def derived(self, said: Derived) -> str:
        """The same for a derived root."""
        code = self._code
        match said:
            case Parsed(of):
                return self._call("parsed", support.parsed, self.value(of, "raw"))
            case Pairs(of, key, value):
                return self._call("pairs", support.pairs, self.value(of, "raw"), repr(key), repr(value))
            case Split(of, by, inner):
                return self._call("split", support.split, self.value(of, "raw"), repr(by), repr(inner))
            case Groups(of, pattern):
                search, names, _ = compile_search(pattern)
                groups = code.object("groups", support.named_groups(search, names))
                return self._set("groups", f"{groups}({self.value(of, 'text')})")
            case Scan(of, pattern):
                scan = code.object("scan", support.scanned(compile_scan(pattern)))
                return self._set("scanned", f"{scan}({self.value(of, 'text')})")
            case Single(part, of):
                single = code.object("single", support.single)
                return self._set(part, f"{single}({self.value(of, 'raw')})[{0 if part == 'key' else 1}]")
        return self.value(said, "raw")

    def holds(self, conditions: Conditions) -> str:
        """The local name that says whether all of these hold."""
        if (known := self._code.known(conditions)) is not None:
            return known
        tests = [self.test(of, wanted) for of, wanted in conditions]
        return self._code.learn(conditions, self._set("held", " and ".join(f"({test})" for test in tests)))

    def test(self, of: Path | Computed, wanted: Wanted) -> str:
        """Source of whether a value is what is wanted."""
        local = self.value(of, "raw")
        match wanted.how:
            case "present":
                return self.present(local, "raw")
            case "absent":
                return f'({local} is None or {local} == "")'
        text = self._scalar(of, local)
        values = self._code.object("values", wanted.values)
        match wanted.how:
            case "in":
                return f"{local} is not None and {text}.lower() in {values}"
            case "not":
                return f"{self.present(local, 'raw')} and {text}.lower() not in {values}"
        search = self._code.object("search", compile_search(wanted.pattern)[0])
        return f'{local} is not None and {search}({text}.encode(errors="replace")) is not None'

    def _scalar(self, of: Path | Computed, local: str) -> str:
        """Source of a raw value as text, empty for what is no single value; of what is asked for often, its name."""
        if isinstance(of, Computed) or self._is_text(of):
            return local
        text = f"({local} if type({local}) is str else {self._code.object('scalar', support.scalar)}({local}))"
        if self._reads[of.root, of.steps] == 1:
            return text
        key = ("scalar", of.root, of.steps)
        return self._code.known(key) or self._code.learn(key, self._set("s", text))

    def _first(self, options: Sequence[Derived], mode: Mode) -> str:
        local = self._set("first", self.value(options[0], mode))
        self._rest(local, options[1:], mode)
        return local

    def _rest(self, local: str, options: Sequence[Derived], mode: Mode) -> None:
        if not options:
            return
        with self._code.block(f"if not ({self.present(local, mode)}):"):
            self._code.line(f"{local} = {self.value(options[0], mode)}")
            self._rest(local, options[1:], mode)

    def _when(self, said: When, mode: Mode) -> str:
        held = self.holds(said.conditions)
        local = self._code.name("chosen")
        with self._code.block(f"if {held}:"):
            self._code.line(f"{local} = {self.value(said.then, mode)}")
        with self._code.block("else:"):
            otherwise = "None" if said.otherwise is None else self.value(said.otherwise, mode)
            self._code.line(f"{local} = {otherwise}")
        return local

    def _template(self, parts: Sequence[str | Path | Computed]) -> str:
        locals_ = [part if isinstance(part, str) else (self.value(part, "text"),) for part in parts]
        needed = " and ".join(dict.fromkeys(each[0] for each in locals_ if isinstance(each, tuple)))
        text = "".join(_literal(each) if isinstance(each, str) else f"{{{each[0]}}}" for each in locals_)
        return self._set("text", f'f"{text}"' + (f" if {needed} else None" if needed else ""))

    def _hash(self, parts: Sequence[Expr]) -> str:
        sha256 = self._code.object("digest", support.digest)
        joined = "\\x1f".join(
            _literal(part.value) if isinstance(part, Const) else f"{{{self.value(part, 'text')} or ''}}"
            for part in parts
        )
        return self._set("hashed", f'{sha256}(f"{joined}")')

    def _table(self, said: Table) -> str:
        code = self._code
        of = self.value(said.of, "text")
        table = code.object("table", _Table(said.table))
        local = self._set("m", "None")
        with code.block(f"if {of}:"):
            code.line(f"{local} = {table}.get({of}, {table})")
            with code.block(f"if {local} is {table}:"):
                code.line(f"{local} = {table}.get({of}.lower(), {table})")
                with code.block(f"if {local} is {table}:"):
                    if said.default is not None:
                        code.line(f"{local} = {self.value(said.default, 'text')}")
                    else:
                        unknown = code.object("unknown", support.unknown)
                        code.line(f"{unknown}({of}, {table}, {self.quoted(self.place(said.of))})")
        return local

    def _counted(self, of: Expr) -> str:
        """The local name of a number; None if it is missing."""
        if isinstance(of, Path) and (known := self._code.known(("number", of))) is not None:
            return known
        raw = self.value(of, "raw")
        number = self._code.object("number", support.number)
        local = self._set("n", raw)
        with self._code.block(f"if type({local}) is not int:"):
            place = self.quoted(self.place(of))
            self._code.line(f'{local} = None if {local} is None or {local} == "" else {number}({local}, {place})')
        return self._code.learn(("number", of), local)

    def _ranges(self, said: Ranges) -> str:
        code = self._code
        of = self._counted(said.of)
        local = self._set("m", "None")
        with code.block(f"if {of} is not None:"):
            for index, (bound, value) in enumerate(reversed(said.bounds)):
                least = int(bound) if bound == int(bound) else bound
                with code.block(f"{'elif' if index else 'if'} {of} >= {least!r}:"):
                    code.line(f"{local} = {value!r}")
            with code.block("else:"):
                if said.default is not None:
                    code.line(f"{local} = {self.value(said.default, 'text')}")
                else:
                    below = code.object("below", support.below)
                    place = self.quoted(self.place(said.of))
                    code.line(f"{below}({of}, {said.bounds[0][0]!r}, {place})")
        return local

    def _pattern(self, said: Pattern) -> str:
        search = self._code.object("search", _one(compile_search(said.pattern)[0]))
        of = self.value(said.of, "text")
        return self._set("found", f"{search}({of}) if {of} else None")

    def _number(self, said: Number) -> str:
        of = self._counted(said.of)
        match said.operation:
            case "mod":
                result = f"str(int({of}) % {said.by})"
            case "div":
                result = f"str(int({of}) // {said.by})"
            case _:
                result = f"{self._code.object('hexadecimal', support.hexadecimal)}({of}, {said.by})"
        return self._set("n", f"None if {of} is None else {result}")

    def _changed(self, said: Changed) -> str:
        if said.how == "json":
            of = self.value(said.of, "raw")
            as_json = self._code.object("as_json", support.as_json)
            return self._set("json", f"None if {of} is None else {of} if type({of}) is str else {as_json}({of})")
        of = self.value(said.of, "text")
        if said.how == "lower":
            return self._set("lower", f"{of} and {of}.lower()")
        host = self._code.object("host", support.host)
        return self._set("host", f'{host}({of}) if {of} and ":" in {of} else {of}')

    def _moment(self, said: Moment) -> str:
        code = self._code
        place = self.quoted(self.place(said.of))
        of = self.value(said.of, "text" if said.form in ("rfc3339", "rfc3164") else "raw")
        local = self._set("moment", "None")
        there = self.present(of, "text" if said.form in ("rfc3339", "rfc3164") else "raw")
        if said.without:
            text = of if said.form in ("rfc3339", "rfc3164") else f"{code.object('scalar', support.scalar)}({of})"
            there += f" and {text} not in {code.object('values', said.without)}"
        with code.block(f"if {there}:"):
            if said.form == "rfc3339":
                self._rfc3339(local, of, place, said.zone)
            elif said.form == "rfc3164":
                rfc3164, zone = (
                    code.object("rfc3164", times.rfc3164),
                    code.object("zone", ZoneInfo(said.zone or "UTC")),
                )
                code.line(f"{local} = {rfc3164}({of}, {place}, arrived, {zone})")
            else:
                since = code.object("since_epoch", times.since_epoch)
                more = "" if said.nanoseconds is None else f", {self.value(said.nanoseconds, 'raw')}"
                code.line(f"{local} = {since}({of}, {place}, {_PER_SECOND[said.form]}{more})")
        return local

    def _rfc3339(self, local: str, of: str, place: str, zone: str) -> None:
        code = self._code
        iso = code.object("fromisoformat", times.fromisoformat)
        with code.block("try:"):
            code.line(f"{local} = {iso}({of})")
        with code.block("except ValueError:"):
            code.line(f"{code.object('no_moment', times.no_moment)}({of}, {place})")
        with code.block(f"if {local}.tzinfo is None:"):
            if zone:
                code.line(f"{local} = {local}.replace(tzinfo={code.object('zone', ZoneInfo(zone))})")
            else:
                code.line(f"{code.object('no_zone', times.no_zone)}({of}, {place})")


class _Table(dict[str, str | None]):
    """A table; compared by identity, since it stands for its own missing values in generated code."""

    __hash__ = None


def _literal(text: str) -> str:
    """Text within an f-string of double quotes."""
    escaped = text.encode("unicode_escape").decode()
    return escaped.replace('"', '\\"').replace("{", "{{").replace("}", "}}")


def _one(search: Callable[[bytes], tuple[str | None, ...] | None]) -> Callable[[str], str | None]:
    def find(text: str) -> str | None:
        found = search(text.encode(errors="replace"))
        return found[0] if found else None

    return find
