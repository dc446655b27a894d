"""How the stages' state leaves them and comes back: as pairs of a key and a value, which a changelog keeps."""

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

import msgspec

Change = tuple[bytes, bytes | None]
"""A state entry to save: its key and its value, None to delete it."""

_encode: Final = msgspec.json.Encoder().encode

T = TypeVar("T")


class Kept(dict[str, T], Generic[T]):
    """Everything of one kind, by name; each is an entry of its own in the saved state, its key the kind's and its name.

    What is put in, taken out or altered is saved once `changed` has been told of it.
    """

    __slots__ = ("_decode", "_dirty", "_key")

    def __init__(self, key: bytes, kind: type[T]) -> None:
        """`key` begins the keys of this kind, and of no other that is restored from the same entries."""
        self._key = key
        self._decode = msgspec.json.Decoder(kind).decode
        self._dirty: dict[str, None] = {}

    def changed(self, name: str) -> None:
        """It is not as it was, or there no longer."""
        self._dirty[name] = None

    def drop(self, name: str) -> T:
        """Take it out; what it was."""
        self.changed(name)
        return self.pop(name)

    def changes(self) -> list[Change]:
        """The entries that changed since the last call, in the order in which they first did."""
        changed: list[Change] = [
            (self._key + name.encode(), _encode(self[name]) if name in self else None) for name in self._dirty
        ]
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; entries of other kinds are passed over."""
        for key, value in entries:
            if key.startswith(self._key):
                self[key.removeprefix(self._key).decode()] = self._decode(value)

    def sort(self, by: Callable[[str, T], tuple[int, str]]) -> None:
        """Put everything into the order of what `by` makes of name and thing."""
        items = sorted(self.items(), key=lambda item: by(*item))
        self.clear()
        self.update(items)
