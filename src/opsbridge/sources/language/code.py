"""Python source as it is being generated: lines in blocks, values that are known in a block, and objects it refers to.

A value that was read once is known to the rest of its block and to the blocks in it; this is how what expressions have
in common (`labels` of `labels.a` and `labels.b`) is read once.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final


def _equal(one: object, other: object) -> bool:
    try:
        return hash(one) == hash(other) and one == other
    except TypeError:  # what can change is only equal to itself
        return False


class Code:
    """A function being written."""

    def __init__(self, head: str) -> None:
        self._lines = [head]
        self._known: list[dict[Hashable, str]] = [{}]
        self._names = 0
        self.objects: Final[dict[str, object]] = {}
        """What the source refers to by global names."""

    def line(self, text: str) -> None:
        """A line of the block that is open."""
        self._lines.append(f"{'    ' * len(self._known)}{text}")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines below this one; what becomes known in them is forgotten after them."""
        self.line(head)
        self._known.append({})
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.line("pass")
        self._known.pop()

    def name(self, stem: str) -> str:
        """A new local name."""
        self._names += 1
        return f"{stem}{self._names}"

    def object(self, stem: str, value: object) -> str:
        """A global name for an object; the same object has the same name."""
        for name, known in self.objects.items():
            if known is value or (type(known) is type(value) and _equal(known, value)):
                return name
        name = f"{stem.upper()}_{len(self.objects)}"
        self.objects[name] = value
        return name

    def known(self, key: Hashable) -> str | None:
        """The local name of a value that is known here."""
        return next((known[key] for known in reversed(self._known) if key in known), None)

    def learn(self, key: Hashable, name: str) -> str:
        """This value is known from here on."""
        self._known[-1][key] = name
        return name

    @property
    def source(self) -> str:
        """All of it."""
        return "\n".join(self._lines) + "\n"
