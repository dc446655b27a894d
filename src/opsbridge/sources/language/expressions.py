"""Value expressions, times, conditions and derived roots of a mapping file, read from what it says.

Everything wrong goes to `complain` at its place; what is returned then stands in for it and must not be used. Paths,
texts and patterns are read in `singles`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from opsbridge.documents import Nearest, shown
from opsbridge.documents.text import Loc
from opsbridge.sources.language.singles import ANY_GROUPS, NAMED_GROUPS, ONE_GROUP, TWO_GROUPS, Complain, Singles
from opsbridge.sources.language.terms import (
    COMPUTED,
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

ARRIVAL: Final = "arrival"
"""The word for when a payload arrived, where a time is said."""

TIME_FORMS: Final = ("rfc3339", "epoch", "epoch_ms", "epoch_ns", "rfc3164")

_COMPUTED: Final = re.compile(r"\$\w+")
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_DEEPEST: Final = 20
_NOTHING: Final = Const("")


class Reader(Singles):
    """Reads expressions; knows which fields of the event may be used as `$NAME` so far."""

    def __init__(self, complain: Complain) -> None:
        super().__init__(complain)
        self.computed: Collection[str] = ()
        self._of: Final[Mapping[str, Callable[[dict[str, object], Loc], Expr]]] = {
            "map": self._table,
            "ranges": self._ranges,
            "pattern": self._pattern,
            "mod": self._number,
            "div": self._number,
            "hex": self._number,
            "host": self._changed,
            "lower": self._changed,
            "json": self._changed,
        }

    def expression(self, said: object, loc: Loc) -> Expr:
        """Any value expression but a time."""
        if len(loc) > _DEEPEST:
            self._complain(loc, "is nested too deeply")
            return _NOTHING
        if isinstance(said, str):
            return self._computed(said, loc) if _COMPUTED.fullmatch(said) else self.path(said, loc)
        if isinstance(said, list):
            if not said:
                self._complain(loc, "is an empty list: nothing to choose from")
            return First(tuple(self.expression(each, (*loc, index)) for index, each in enumerate(said)))
        if not isinstance(said, dict):
            self._complain(loc, f"must be a path, a list or a mapping, not {shown(said)}; a constant is {{const: ...}}")
            return _NOTHING
        if "const" in said:
            self._only(said, ("const",), loc)
            return Const(self._text(said["const"], (*loc, "const")))
        if "template" in said:
            self._only(said, ("template",), loc)
            return self._template(said["template"], (*loc, "template"))
        if "hash" in said:
            self._only(said, ("hash",), loc)
            return self._hash(said["hash"], (*loc, "hash"))
        if "when" in said:
            return self._when(said, loc, self.expression)
        if "of" in said:
            return self._operation(said, loc)
        self._complain(loc, "says none of const, template, hash, when, of" + _hint(said, ("of", "when", "const")))
        return _NOTHING

    def time(self, said: object, loc: Loc) -> Expr:
        """A time: an expression with its form, the arrival, or a choice of these."""
        if said == ARRIVAL:
            return Arrival()
        if isinstance(said, list):
            if not said:
                self._complain(loc, "is an empty list: nothing to choose from")
            return First(tuple(self.time(each, (*loc, index)) for index, each in enumerate(said)))
        if isinstance(said, dict) and "when" in said:
            return self._when(said, loc, self.time)
        if isinstance(said, dict) and "epoch" in said:
            self._only(said, ("epoch", "nanoseconds"), loc)
            nanoseconds = self.path(said["nanoseconds"], (*loc, "nanoseconds")) if "nanoseconds" in said else None
            return Moment(self.expression(said["epoch"], (*loc, "epoch")), "epoch", nanoseconds=nanoseconds)
        if isinstance(said, dict) and {"as", "not", "zone"} & said.keys():
            return self._moment(said, loc)
        return Moment(self.expression(said, loc))

    def conditions(self, said: object, loc: Loc) -> Conditions:
        """A mapping from path to what is wanted."""
        if not isinstance(said, dict) or not said:
            self._complain(loc, f"must be a mapping of paths to what is wanted, not {shown(said) if said else 'empty'}")
            return ()
        read = []
        for name, wanted in said.items():
            of = self.expression(name, (*loc, name))
            if isinstance(of, Path | Computed):
                read.append((of, self.wanted(wanted, (*loc, name))))
        return tuple(read)

    def wanted(self, said: object, loc: Loc) -> Wanted:
        """What a value must be."""
        if said == "present":
            return Wanted("present")
        if said == "absent":
            return Wanted("absent")
        if isinstance(said, dict):
            if said.keys() == {"pattern"}:
                return Wanted("pattern", pattern=self._regex(said["pattern"], (*loc, "pattern"), ANY_GROUPS))
            if said.keys() == {"not"}:
                values = self._values(said["not"], (*loc, "not"), blank=True)
                return Wanted("not", values, words=_listed(said["not"]))
            self._complain(loc, "must say `not` or `pattern`, and nothing else")
            return Wanted("present")
        return Wanted("in", self._values(said, loc), words=_listed(said))

    def let(self, said: object, loc: Loc) -> Derived:
        """A derived root."""
        if isinstance(said, list) and said:
            return Choice(tuple(self.let(each, (*loc, index)) for index, each in enumerate(said)))
        if isinstance(said, dict) and ("of" not in said or "split" in said):
            for how, also in _LETS.items():
                if how in said:
                    self._only(said, (how, *also), loc)
                    for name in also:
                        if name not in said and name not in ("by", "of"):
                            self._complain(loc, f"{how} needs `{name}`")
                    return self._derived(how, said, loc)
        return self.expression(said, loc)

    def _derived(self, how: str, said: dict[str, object], loc: Loc) -> Derived:
        of = self.expression(said[how], (*loc, how))
        text = {name: self._text(said[name], (*loc, name)) for name in ("key", "value", "by", "of") if name in said}
        match how:
            case "json":
                return Parsed(of)
            case "pairs":
                return Pairs(of, text.get("key", ""), text.get("value", ""))
            case "split":
                return Split(of, text.get("by", ","), text.get("of", ":"))
            case "match":
                return Groups(of, self._regex(said.get("pattern", "."), (*loc, "pattern"), NAMED_GROUPS))
            case "scan":
                return Scan(of, self._regex(said.get("pattern", "(.)(.)"), (*loc, "pattern"), TWO_GROUPS))
        return Single("key" if how == "key_of" else "value", of)

    def _computed(self, said: str, loc: Loc) -> Expr:
        name = said.removeprefix("$")
        if name not in COMPUTED:
            self._complain(loc, f"there is no {said}; known are {', '.join(f'${each}' for each in COMPUTED)}")
        elif name not in self.computed:
            known = ", ".join(f"${each}" for each in self.computed) or "none"
            self._complain(loc, f"{said} is not known yet here; so far there are {known}")
        return Computed(name)

    def _template(self, said: object, loc: Loc) -> Expr:
        parts: list[str | Path | Computed] = []
        end = 0
        text = self._text(said, loc)
        for found in _PLACEHOLDER.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            if found[0] in ("{{", "}}"):
                parts.append(found[0][0])
            elif found[1] is None:
                self._complain(loc, f"has a {found[0]} by itself; say {found[0] * 2} for the character")
            else:
                inner = self.expression(found[1], loc)
                parts.append(inner if isinstance(inner, Path | Computed) else "")
        parts.append(text[end:])
        return Template(tuple(part for part in parts if part != ""))

    def _hash(self, said: object, loc: Loc) -> Expr:
        if not isinstance(said, list) or not said:
            self._complain(loc, f"must be a list of expressions, not {shown(said)}")
            return _NOTHING
        return Hash(tuple(self.expression(each, (*loc, index)) for index, each in enumerate(said)))

    def _when(self, said: dict[str, object], loc: Loc, read: Callable[[object, Loc], Expr]) -> Expr:
        self._only(said, ("when", "then", "else"), loc)
        if "then" not in said:
            self._complain(loc, "says `when` without `then`")
            return _NOTHING
        conditions = self.conditions(said["when"], (*loc, "when"))
        otherwise = read(said["else"], (*loc, "else")) if "else" in said else None
        return When(conditions, read(said["then"], (*loc, "then")), otherwise)

    def _operation(self, said: dict[str, object], loc: Loc) -> Expr:
        named = [name for name in self._of if name in said]
        if len(named) != 1:
            what = " and ".join(named) if named else "nothing"
            hint = "" if named else _hint(said, self._of)
            self._complain(loc, f"does {what} to `of`; say one of {', '.join(self._of)}{hint}")
            return _NOTHING
        also = ("default",) if named[0] in ("map", "ranges") else ()
        self._only(said, ("of", *named, *also), loc)
        return self._of[named[0]](said, loc)

    def _table(self, said: dict[str, object], loc: Loc) -> Expr:
        table: dict[str, str | None] = {}
        given = said["map"]
        if not isinstance(given, dict) or not given:
            self._complain((*loc, "map"), f"must be a mapping of values to values, not {shown(given)}")
            given = {}
        for key, value in given.items():
            if key.lower() in table:
                self._complain((*loc, "map", key), "is there twice: keys are compared in lower case", key=True)
            table[key.lower()] = None if value is None else self._text(value, (*loc, "map", key))
        return Table(self.expression(said["of"], (*loc, "of")), table, self._default(said, loc))

    def _ranges(self, said: dict[str, object], loc: Loc) -> Expr:
        bounds: list[tuple[float, str]] = []
        given = said["ranges"]
        if not isinstance(given, dict) or not given:
            self._complain((*loc, "ranges"), f"must be a mapping of lowest numbers to values, not {shown(given)}")
            given = {}
        for key, value in given.items():
            try:
                bounds.append((float(key), self._text(value, (*loc, "ranges", key))))
            except ValueError:
                self._complain((*loc, "ranges", key), f"must be a number, not {shown(key)}", key=True)
        return Ranges(self.expression(said["of"], (*loc, "of")), tuple(sorted(bounds)), self._default(said, loc))

    def _default(self, said: dict[str, object], loc: Loc) -> Expr | None:
        if "default" not in said:
            return None
        given = said["default"]
        if isinstance(given, dict | list):
            return self.expression(given, (*loc, "default"))
        return Const(self._text(given, (*loc, "default")))

    def _pattern(self, said: dict[str, object], loc: Loc) -> Expr:
        return Pattern(
            self.expression(said["of"], (*loc, "of")), self._regex(said["pattern"], (*loc, "pattern"), ONE_GROUP)
        )

    def _number(self, said: dict[str, object], loc: Loc) -> Expr:
        (operation,) = (name for name in ("mod", "div", "hex") if name in said)
        by = said[operation]
        if not isinstance(by, int) or isinstance(by, bool) or not 0 < by < 2**31 or (operation == "hex" and by > 64):
            self._complain((*loc, operation), f"must be a whole number above 0, not {shown(by)}")
            by = 1
        return Number(operation, self.expression(said["of"], (*loc, "of")), by)

    def _changed(self, said: dict[str, object], loc: Loc) -> Expr:
        (how,) = (name for name in ("host", "lower", "json") if name in said)
        if said[how] is not True:
            self._complain((*loc, how), f"must be true, not {shown(said[how])}")
        return Changed(how, self.expression(said["of"], (*loc, "of")))

    def _moment(self, said: dict[str, object], loc: Loc) -> Expr:
        rest = {name: value for name, value in said.items() if name not in ("as", "not", "zone")}
        form = said.get("as", "rfc3339")
        if form not in TIME_FORMS:
            self._complain((*loc, "as"), f"must be one of {', '.join(TIME_FORMS)}, not {shown(form)}")
        zone = self._zone(said["zone"], (*loc, "zone")) if "zone" in said else ""
        without = self._values(said["not"], (*loc, "not"), lower=False) if "not" in said else frozenset()
        if "of" not in rest:
            self._complain(loc, "says how a time is written, and not `of` what")
            return _NOTHING
        of = rest if len(rest) > 1 else rest["of"]
        where = loc if len(rest) > 1 else (*loc, "of")
        return Moment(self.expression(of, where), form, without, zone)  # type: ignore[arg-type]


_LETS: Final[dict[str, tuple[str, ...]]] = {
    "pairs": ("key", "value"),
    "split": ("by", "of"),
    "match": ("pattern",),
    "scan": ("pattern",),
    "json": (),
    "key_of": (),
    "value_of": (),
}
"""What a derived root is made of, and what else it says."""


def _listed(said: object) -> str:
    """Values as a person reads them."""
    return " or ".join(str(each) for each in said) if isinstance(said, list) else str(said)


def _hint(said: dict[str, object], known: Iterable[str]) -> str:
    nearest = Nearest(list(known))
    return next((hint for name in said if (hint := nearest.hint(name))), "")
