"""What a replay reads besides rules and topology: events, and what people, tools and the CMDB said meanwhile.

Events, feedback and context are files of JSON lines, or all of them one directory of recorded topics (`opsbridge demo
--record`). What cannot be heard is told by its place and never stops a replay.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from opsbridge.cli.lines import Line, UnreadableError, name_of, read_lines
from opsbridge.core.context import ChangeRecord
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.feedback import Feedback
from opsbridge.review.recorded import Recorded, read_entity
from opsbridge.review.told import fold
from opsbridge.sources.canonical import MAX_BYTES
from opsbridge.sources.operations import decode_context, decode_feedback


class Refused(NamedTuple):
    """A line that could be read and not be heard."""

    file: str
    line: Line
    reason: str
    detail: str


class Saying(NamedTuple):
    """Something that somebody said, and where it was read."""

    time: int
    """Milliseconds since 1970, as its sender says."""
    said: Feedback
    file: str
    line: Line

    def refused(self, detail: str) -> Refused:
        """It is about something that nobody knows."""
        return Refused(self.file, self.line, "unknown_target", detail)


Refuse = Callable[[Refused], None]


def is_recording(path: str) -> bool:
    """Whether this names a directory of recorded topics."""
    return Path(path).is_dir()


def read_events(path: str) -> Iterator[tuple[Line, bytes | Rejected]]:
    """The events of a file, of stdin or of a recording, in order; raises `UnreadableError`.

    What was in the future when it was recorded stays a dead letter, however late it is replayed.
    """
    if not is_recording(path):
        for line in read_lines(path, keep=MAX_BYTES + 1):  # what is too large stays so if it is recorded
            yield line, payload(line, MAX_BYTES)
        return
    if not (Path(path) / "events.jsonl").exists():
        raise UnreadableError(f"{path}: Is a directory, and no recording: there is no events.jsonl in it")
    told = fold(read_entity(Path(path), "dead-letters"))
    for number, record in enumerate(read_entity(Path(path), "events"), 1):
        line = _line(number, record, MAX_BYTES + 1)
        if told.refusal(record) == Reject.TIME_IN_FUTURE:
            yield line, Rejected(Reject.TIME_IN_FUTURE, "it was in the future when it was recorded")
        else:
            yield line, payload(line, MAX_BYTES)


def payload(line: Line, limit: int) -> bytes | Rejected:
    """The line's bytes, unless it is longer than what may be read of it."""
    if line.size > limit:
        return Rejected(Reject.TOO_LARGE, f"{line.size} bytes, the limit is {limit}")
    return line.content


def read_feedback(path: str, refuse: Refuse) -> list[Saying]:
    """What was said, in order of time; of one time in the order of the file."""
    sayings: list[Saying] = []
    for line in _lines(path, "feedback", MAX_BYTES):
        found = payload(line, MAX_BYTES)
        said = found if isinstance(found, Rejected) else decode_feedback(found)
        if isinstance(said, Rejected):
            refuse(Refused(_name(path, "feedback"), line, said.reason, said.detail))
        else:
            sayings.append(Saying(round(said.time.timestamp() * 1000), said, _name(path, "feedback"), line))
    return sorted(sayings, key=lambda saying: saying.time)


def read_context(path: str, refuse: Refuse) -> list[tuple[ChangeRecord, Line]]:
    """What is known about CIs, in the order of the file; of a recording only what was not withdrawn."""
    found: list[tuple[ChangeRecord, Line]] = []
    for line in _lines(path, "context", MAX_BYTES):
        content = payload(line, MAX_BYTES)
        record = content if isinstance(content, Rejected) else decode_context(content)
        if isinstance(record, Rejected):
            refuse(Refused(_name(path, "context"), line, record.reason, record.detail))
        else:
            found.append((record, line))
    return found


def _lines(path: str, entity: str, keep: int) -> Iterator[Line]:
    if not is_recording(path):
        yield from read_lines(path, keep=keep)
        return
    records = read_entity(Path(path), entity)
    if entity == "context":
        newest: dict[bytes | None, Recorded] = {record.key: record for record in records}
        records = [record for record in records if record is newest[record.key] and record.value is not None]
    for number, record in enumerate(records, 1):
        yield _line(number, record, keep)


def _line(number: int, record: Recorded, keep: int) -> Line:
    value = record.value or b""
    return Line(number, value[:keep], len(value))


def _name(path: str, entity: str) -> str:
    return str(Path(path) / f"{entity}.jsonl") if is_recording(path) else name_of(path)
