"""What `opsbridge sources try` tells of a payload: its source, events, what was withheld, rejected, and left unused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsbridge.cli.lines import read_lines

if TYPE_CHECKING:
    from opsbridge.core.decisions import Rejected
    from opsbridge.sources.catalogue import Sources
    from opsbridge.sources.source import Headers, Source

_KEPT: Final = 2_000_000
"""Bytes of a line, and of a file that is one payload more than a source takes."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one payload."""

    line: int
    """In the file; 0 if the file is one payload."""
    source: str
    """Empty if none is its source."""
    by: str
    """By what `auto` recognised it; empty if the source was named."""
    events: list[dict[str, object]]
    withheld: list[str]
    rejected: list["Rejected"]
    unused: list[str]
    """Fields of the payload that the mapping does not read."""


def payloads_of(file: str, *, by_line: bool) -> Iterator[tuple[int, bytes]]:
    """(line, payload) of a file: one JSON value, the items of a JSON list, or else every line."""
    import orjson

    lines = list(read_lines(file, keep=_KEPT))
    if not by_line:
        try:
            whole = orjson.loads(b"\n".join(line.content for line in lines))
        except orjson.JSONDecodeError:
            pass
        else:
            yield from ((0, orjson.dumps(each)) for each in (whole if isinstance(whole, list) else [whole]))
            return
    for line in lines:
        yield line.number, line.content


def tried(
    sources: "Sources", source: "Source", line: int, payload: bytes, headers: "Headers", arrived_ms: int
) -> Tried:
    """What comes of a payload that arrives then."""
    from opsbridge.core.decisions import Rejected, Withheld
    from opsbridge.core.intake import Report
    from opsbridge.sources.samples import event_of
    from opsbridge.sources.source import AUTO

    name, by = source.name, ""
    if name == AUTO:
        recognised = sources.auto.recognise(payload, headers)
        name, by = ("", "") if isinstance(recognised, Rejected) else (recognised.source, recognised.by)
    items = source.items(payload, headers, arrived_ms)
    return Tried(
        line=line,
        source=name,
        by=by,
        events=[event_of(item) for item in items if isinstance(item, Report)],
        withheld=[item.reason for item in items if isinstance(item, Withheld)],
        rejected=[item for item in items if isinstance(item, Rejected)],
        unused=_unused(sources, name, payload),
    )


def _unused(sources: "Sources", name: str, payload: bytes) -> list[str]:
    import orjson

    from opsbridge.sources.usage import unused

    mapped = sources.mapped.get(name)
    if mapped is None:
        return []
    root: object
    if mapped.mapping.payload == "text":
        root = {group: held for group, held in (mapped.matched(payload) or {}).items() if group != "text"}
    else:
        try:
            root = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return []
    return unused(mapped.mapping, root)


__all__: Sequence[str] = ["Tried", "payloads_of", "tried"]
