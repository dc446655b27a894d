"""`auto`: which format a payload has, and by what that was seen.

Headers are part of what mappings are recognised by. The canonical event is tried first, on the bytes; only if it is
none, the payload is parsed once and the mappings are asked by falling priority, then name; last, the patterns of texts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Mapped
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import orjson

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report
from opsbridge.sources.canonical import decode
from opsbridge.sources.language.function import generate_test
from opsbridge.sources.language.terms import HEADERS, PAYLOAD, Alternative, said
from opsbridge.sources.mapped import MappedSource, named
from opsbridge.sources.source import AUTO, CANONICAL, MAX_BYTES, Headers, Item

_NEAR: Final = 0.5
"""A source comes near a payload if so much of what it is recognised by is there."""

_CANONICAL_FIELDS: Final = ("id", "time", "ci", "class", "state")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source, and by what a payload is its."""

    source: str
    by: str


class Auto:
    """The source that recognises the others' payloads."""

    name = AUTO

    def __init__(self, sources: Iterable[MappedSource]) -> None:
        self._ordered = sorted(sources, key=lambda source: (-source.mapping.priority, source.name))

    @cached_property
    def _json(self) -> "_Recognition":  # made when it is first asked for: most commands and workers never do
        return _Recognition([each for each in self._ordered if each.mapping.payload == "json"])

    @cached_property
    def _texts(self) -> "list[tuple[MappedSource, _Recognition]]":
        texts = [each for each in self._ordered if each.mapping.payload == "text" and each.mapping.recognise]
        return [(each, _Recognition([each])) for each in texts]

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:
        """The events of a payload of any format that is known. Never raises, whatever the bytes."""
        canonical = decode(payload)
        if (not headers and type(canonical) is Report) or payload is None:
            return (canonical,)
        found, root = self._asked(payload, headers, canonical)
        if isinstance(found, Rejected) or found is None:
            return (found or canonical,)
        return found[0].of_root(root, headers, arrived_ms)

    def recognise(self, payload: bytes, headers: Headers) -> Recognised | Rejected:
        """The source of a payload and by what that was seen, or why there is none."""
        canonical = decode(payload)
        found, _ = self._asked(payload, headers, canonical)
        if isinstance(found, Rejected):
            return found
        if found is None:
            return Recognised(CANONICAL, f"{', '.join(_CANONICAL_FIELDS)} and what an event needs besides")
        return Recognised(found[0].name, found[1].words)

    def _asked(
        self, payload: bytes, headers: Headers, canonical: Report | Rejected
    ) -> tuple[tuple[MappedSource, Alternative] | Rejected | None, object]:
        """(what the payload is, its root); None: the canonical event."""
        by_name = named(headers) if headers else {}
        if len(payload) > MAX_BYTES:
            return Rejected(Reject.TOO_LARGE, f"{len(payload)} bytes, the limit is {MAX_BYTES}"), None
        if isinstance(canonical, Report) and not any(name.startswith("ce_") for name in by_name):
            return None, None
        try:
            root = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return self._asked_texts(payload, by_name, canonical)
        found = self._json.ask(root, by_name) if isinstance(root, dict) else None
        if found is not None:
            return found, root
        if isinstance(canonical, Report):
            return None, None
        return self._unknown(root, by_name, canonical), root

    def _asked_texts(
        self, payload: bytes, headers: Mapped[str, str], canonical: Report | Rejected
    ) -> tuple[tuple[MappedSource, Alternative] | Rejected | None, object]:
        for source, recognition in self._texts:
            groups = source.matched(payload)
            if groups is not None and (found := recognition.ask(groups, headers)) is not None:
                return found, groups
        return canonical if isinstance(canonical, Rejected) else None, None

    def _unknown(self, root: object, headers: Mapped[str, str], canonical: Rejected) -> Rejected:
        """What to say of a payload that is nobody's: what is wrong with it as what it most looks like."""
        if not isinstance(root, dict):
            return canonical
        share, words = self._json.nearest(root, headers)
        own = sum(field in root for field in _CANONICAL_FIELDS) / len(_CANONICAL_FIELDS)
        if own and (own >= share or share < _NEAR):
            return canonical
        if share < _NEAR:
            words = "none comes near"
        return Rejected(
            Reject.INVALID_FIELD,
            f"recognised by no source ({', '.join(self._json.names)}); {words};"
            f" as a canonical event: {canonical.detail}",
        )


class _Recognition:
    """Mappings that are asked in order; of most, one field of the payload tells that they need not be asked."""

    def __init__(self, sources: Sequence[MappedSource]) -> None:
        self.names: Final = sorted(source.name for source in sources)
        self._alternatives = [(source, each) for source in sources for each in source.mapping.recognise]
        self._tests = [generate_test(each.conditions) for _, each in self._alternatives]
        self._always: list[int] = []
        self._by_field: dict[str, list[int]] = {}
        named = Counter(field for _, each in self._alternatives for field in set(_fields(each)))
        for number, (_, alternative) in enumerate(self._alternatives):
            fields = sorted(_fields(alternative), key=lambda field: named[field])
            (self._by_field.setdefault(fields[0], []) if fields else self._always).append(number)

    def ask(self, root: Mapped[str, object], headers: Mapped[str, str]) -> tuple[MappedSource, Alternative] | None:
        """The first whose conditions hold."""
        asked = self._always.copy()
        for field in self._by_field.keys() & root.keys():
            asked += self._by_field[field]
        for number in sorted(asked):
            if self._tests[number](root, headers):
                return self._alternatives[number]
        return None

    def nearest(self, root: object, headers: Mapped[str, str]) -> tuple[float, str]:
        """(share of the conditions that hold, in words) of the alternative that lacks the least."""
        best, words = 0.0, ""
        for source, alternative in self._alternatives:
            asked = [each for each in alternative.conditions if each[1].how in ("present", "in", "pattern")]
            missing = [each for each in alternative.conditions if not generate_test((each,))(root, headers)]
            share = 1 - len([each for each in missing if each in asked]) / max(1, len(asked))
            if share > best:
                wants = ", ".join(f"{path.text} {said(wanted).removeprefix('is ')}" for path, wanted in missing)
                best, words = share, f"nearest is {source.name}, which wants {wants}"
        return best, words


def _fields(alternative: Alternative) -> list[str]:
    """The fields of the payload without which it does not hold."""
    found = []
    for path, wanted in alternative.conditions:
        if wanted.how != "absent" and path.root != HEADERS:
            found += [str(path.steps[0])] if path.root == PAYLOAD and path.steps else [path.root]
    return [field for field in found if field != PAYLOAD]
