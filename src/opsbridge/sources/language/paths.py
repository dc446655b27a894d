"""Code that reads paths: what begins one, the steps from there, and its value raw or as text.

What two paths have in common is read once. What is the common case is inline; `support` has the rest.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal

from opsbridge.sources.language import support, times
from opsbridge.sources.language.code import Code
from opsbridge.sources.language.terms import HEADERS, PAYLOAD, Path
from opsbridge.sources.language.walking import paths_in

Mode = Literal["raw", "text", "time"]
"""How a value is wanted: whatever JSON has (missing: None or empty text), as text (None or empty), as a time (None)."""


class Paths:
    """Writes the code of paths; `roots` says where they begin."""

    def __init__(self, code: Code, mapping: object, *, texts: bool) -> None:
        self._code = code
        self._reads = Counter((path.root, path.steps) for path in paths_in(mapping))
        """How often each path stands in the mapping: what stands once needs no name of its own as text."""
        self._places: dict[str, str] = {PAYLOAD: "$", HEADERS: "headers"}
        self._roots: dict[str, str] = {PAYLOAD: "root", HEADERS: "headers"}
        self._mappings = {PAYLOAD, HEADERS}
        self._texts = {HEADERS} | ({PAYLOAD} if texts else set())
        self._place = "$"
        self._computed: dict[str, str] = {}

    def item(self, name: str, local: str, place: str) -> None:
        """An item of `each` is in this local name, and is a mapping."""
        self._roots[name], self._places[name] = local, place
        self._mappings.add(name)
        self._place = place

    def computed(self, name: str, local: str) -> None:
        """A field of the event is in this local name."""
        self._computed[name] = local

    @property
    def here(self) -> str:
        """The place of the item, as source."""
        return self.quoted(self._place)

    def place_of(self, path: Path) -> str:
        """Where in the payload a path leads."""
        root, steps = self._from(path)
        return self._places[root] + "".join(_step(step) for step in steps)

    @staticmethod
    def quoted(place: str) -> str:
        """A place as source: the numbers of items are worked out when it is needed."""
        return "f" + repr(place) if "{" in place else repr(place)

    def present(self, local: str, mode: Mode) -> str:
        """Source of whether a value is there."""
        return {"raw": f'{local} is not None and {local} != ""', "text": local, "time": f"{local} is not None"}[mode]

    def _from(self, path: Path) -> tuple[str, tuple[str | int, ...]]:
        """The root that a path begins at, and its steps from there."""
        if path.root in self._roots:
            return path.root, path.steps
        return PAYLOAD, (path.root, *path.steps)

    def _is_text(self, path: Path) -> bool:
        root, steps = self._from(path)
        return root in self._texts and len(steps) == 1

    def _raw(self, path: Path) -> str:
        root, steps = self._from(path)
        if not steps:
            return self._roots[root]
        return self._read(root, steps)

    def _read(self, root: str, steps: tuple[str | int, ...]) -> str:
        if (known := self._code.known((root, steps))) is not None:
            return known
        step = steps[-1]
        holder = self._holder(root, steps[:-1], list if isinstance(step, int) else dict)
        local = self._code.name("v")
        if isinstance(step, str):
            self._code.line(f"{local} = {holder}[{step!r}] if {step!r} in {holder} else None")  # faster than `get`
        else:
            enough = f"len({holder}) > {step}" if step >= 0 else f"len({holder}) >= {-step}"
            self._code.line(f"{local} = {holder}[{step}] if {enough} else None")
        return self._code.learn((root, steps), local)

    def _holder(self, root: str, steps: tuple[str | int, ...], kind: type) -> str:
        """What the last step of a path is read from: a mapping or list, an empty one if there is none."""
        if not steps and kind is dict and root in self._mappings:
            return self._roots[root]
        key = (root, steps, kind)
        if (known := self._code.known(key)) is not None:
            return known
        held = self._read(root, steps) if steps else self._roots[root]
        local = self._code.name("d" if kind is dict else "l")
        empty = self._code.object("nothing", _NOTHING) if kind is dict else "()"
        self._code.line(f"{local} = {held} if type({held}) is {kind.__name__} else {empty}")
        return self._code.learn(key, local)

    def _text(self, path: Path) -> str:
        raw = self._raw(path)
        if self._is_text(path):
            return raw
        root, steps = self._from(path)
        key = (root, steps, "text")
        if (known := self._code.known(key)) is not None:
            return known
        scalar, no_text = self._code.object("scalar", support.scalar), self._code.object("no_text", support.no_text)
        local = raw if steps and self._reads[path.root, path.steps] == 1 else self._set("t", raw)
        place = self.quoted(self.place_of(path))
        with self._code.block(f"if {local} is not None and type({local}) is not str:"):
            self._code.line(f"{local} = {scalar}({local}) or {no_text}({local}, {place})")
        return self._code.learn(key, local)

    def _told(self, name: str) -> str:
        local = self._computed[name]
        if name != "time":
            return local
        if (known := self._code.known(("told", local))) is not None:
            return known
        return self._code.learn(("told", local), self._call("told", times.told, local))

    def _set(self, stem: str, value: str) -> str:
        local = self._code.name(stem)
        self._code.line(f"{local} = {value}")
        return local

    def _call(self, stem: str, function: Callable[..., object], *arguments: str) -> str:
        return self._set(stem, f"{self._code.object(stem, function)}({', '.join(arguments)})")


_NOTHING: Final[dict[str, object]] = {}


def _step(step: str | int) -> str:
    """A step as a place shows it; braces are doubled, since places are completed as f-strings."""
    return f"[{step}]" if isinstance(step, int) else "." + step.replace("{", "{{").replace("}", "}}")
