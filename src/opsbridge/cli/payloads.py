"""Payloads that commands read: lines of a file or of stdin, records of a recording, each with the events it holds.

`replay`, `review`, `explain` and `backtest` read events through here, so that all of them make the same of a line as a
worker makes of a record. Feedback and context are read by `inputs.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from opsbridge.cli.lines import Line, UnreadableError, read_lines
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.errors import OpsBridgeError
from opsbridge.review.recorded import read_entity
from opsbridge.review.settled import settled
from opsbridge.review.told import fold
from opsbridge.sources import canonical
from opsbridge.sources.catalogue import UnknownSourceError, load_sources
from opsbridge.sources.inputs import Inputs
from opsbridge.sources.source import AUTO, CANONICAL, MAX_BYTES, SOURCE_HEADER, Headers, Item

EVENTS: Final = "events.jsonl"
"""The events of a recording."""


class NoSourceError(OpsBridgeError):
    """There is no source of this name."""

    exit_code = 2


class Payload(NamedTuple):
    """A payload, and what its source made of it."""

    content: bytes
    """Cut if it is longer than what may be read of it."""
    items: Sequence[Item]
    arrived_ms: int = 0
    headers: Headers = ()
    """What it is read by again, if it is recorded."""


class Reading:
    """How a command reads payloads: by which source, and when they count as arrived."""

    def __init__(
        self, source: str = AUTO, mappings: Sequence[Path] = (), clock: Callable[[], int] | None = None
    ) -> None:
        """`mappings` are files of sources that do not come with OpsBridge; raises what is wrong with them.

        `clock`: milliseconds since 1970; without one, all arrives when this is made.
        """
        sources = load_sources(mappings)
        try:
            sources.named(source)
        except UnknownSourceError as error:
            raise NoSourceError(f"{error}; --sources adds mapping files of your own") from None
        now = int(time.time() * 1000)
        self._clock = clock or (lambda: now)
        self.inputs = Inputs(sources, default=source)
        self._read = self.inputs.reader()
        self._headers: Headers = () if source == AUTO else ((SOURCE_HEADER, source.encode()),)
        self.limit = canonical.MAX_BYTES if source == CANONICAL else MAX_BYTES

    def line(self, line: Line) -> Payload:
        """A line of a file."""
        if line.size > self.limit:
            too_large = Rejected(Reject.TOO_LARGE, f"{line.size} bytes, the limit is {self.limit}")
            return Payload(line.content, (too_large,), headers=self._headers)
        arrived = self._clock()
        return Payload(line.content, self._read(line.content, (), arrived), arrived, self._headers)

    def events(self, path: str) -> Iterator[tuple[Line, Payload]]:
        """The payloads of a file, of stdin or of a recording, in order; raises `UnreadableError`.

        What was in the future when it was recorded stays a dead letter, however late it is read again.
        """
        if not is_recording(path):
            for line in read_lines(path, keep=self.limit + 1):  # what is too large stays so if it is recorded
                yield line, self.line(line)
            return
        if not (Path(path) / EVENTS).exists():
            raise UnreadableError(f"{path}: Is a directory, and no recording: there is no {EVENTS} in it")
        told = fold(read_entity(Path(path), "dead-letters"))
        for number, record in enumerate(read_entity(Path(path), "events"), 1):
            items = settled(self._read(record.value, record.headers, record.timestamp), told.refusal(record))
            content = record.value or b""
            line = Line(number, content[: self.limit + 1], len(content))
            yield line, Payload(line.content, items, record.timestamp, record.headers)


def is_recording(path: str) -> bool:
    """Whether this names a directory of recorded topics."""
    return Path(path).is_dir()


def of_canonical(content: bytes) -> Payload:
    """The payload that a canonical event is."""
    return Payload(content, (canonical.decode(content),))
