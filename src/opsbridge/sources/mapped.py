"""A source that a mapping file describes: bytes and headers become a root, and the generated function does the rest."""

from collections.abc import Mapping as Mapped
from collections.abc import Sequence
from typing import Final

import orjson

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.sources.language.function import generate, uses_headers
from opsbridge.sources.language.regex import compile_search
from opsbridge.sources.language.support import failed, named_groups
from opsbridge.sources.language.terms import Mapping
from opsbridge.sources.source import MAX_BYTES, Headers, Item

_NO_HEADERS: Final[Mapped[str, str]] = {}


class MappedSource:
    """The source of one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.name: Final = mapping.source
        self._run = generate(mapping)
        self._hears = uses_headers(mapping)
        self._text = mapping.payload == "text"
        self._patterns = [named_groups(*compile_search(pattern)[:2]) for pattern in mapping.patterns]

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:
        """The events of a payload, at least one item. Never raises, whatever the bytes."""
        if payload is None:
            return (Rejected(Reject.INVALID_JSON, "the record has no value"),)
        if len(payload) > MAX_BYTES:
            return (Rejected(Reject.TOO_LARGE, f"{len(payload)} bytes, the limit is {MAX_BYTES}"),)
        if self._text:
            root: object = self.matched(payload)
            if root is None:
                return (Rejected(Reject.INVALID_FIELD, f"no pattern of {self.name} fits - at `$`"),)
        else:
            try:
                root = orjson.loads(payload)
            except orjson.JSONDecodeError as error:
                return (Rejected(Reject.INVALID_JSON, str(error)),)
        return self.of_root(root, headers, arrived_ms)

    def of_root(self, root: object, headers: Headers, arrived_ms: int) -> Sequence[Item]:
        """The same for a payload that has been parsed, or a text whose groups are known."""
        try:
            return self._run(root, named(headers) if self._hears else _NO_HEADERS, arrived_ms)
        except Exception as error:  # noqa: BLE001 # a defect of ours must not stop the reader of a topic
            return (failed(error, "$"),)

    def matched(self, payload: bytes) -> dict[str, str | None] | None:
        """The groups of the first pattern that fits a text payload, and the text."""
        text = payload.decode(errors="replace")
        for groups in self._patterns:
            if found := groups(text):
                found["text"] = text
                return found
        return None


def named(headers: Headers) -> dict[str, str]:
    """Headers by name, in lower case; CloudEvents' attributes are `ce_NAME`, as Kafka has them."""
    found: dict[str, str] = {}
    for name, value in headers:
        if value is not None:
            name = name.lower()
            found["ce_" + name[3:] if name.startswith("ce-") else name] = value.decode(errors="replace")
    return found
