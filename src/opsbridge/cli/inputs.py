"""What people, tools and the CMDB said while the events of a replay came.

Feedback and context are files of JSON lines, or both in one directory of recorded topics (`opsbridge demo --record`).
What cannot be heard is told by its place and never stops a replay. Events are read by `payloads.py`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from opsbridge.cli.lines import Line, name_of, read_lines
from opsbridge.cli.payloads import is_recording
from opsbridge.core.context import ChangeRecord
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.feedback import Feedback
from opsbridge.review.recorded import Recorded, read_entity
from opsbridge.sources.operations import MAX_BYTES, decode_context, decode_feedback


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


def read_feedback(path: str, refuse: Refuse) -> list[Saying]:
    """What was said, in order of time; of one time in the order of the file."""
    sayings: list[Saying] = []
    for line in _lines(path, "feedback", MAX_BYTES):
        found = _content(line)
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
        content = _content(line)
        record = content if isinstance(content, Rejected) else decode_context(content)
        if isinstance(record, Rejected):
            refuse(Refused(_name(path, "context"), line, record.reason, record.detail))
        elif isinstance(record, ChangeRecord):  # what is said of the topology is read by history.py
            found.append((record, line))
    return found


def _content(line: Line) -> bytes | Rejected:
    if line.size > MAX_BYTES:
        return Rejected(Reject.TOO_LARGE, f"{line.size} bytes, the limit is {MAX_BYTES}")
    return line.content


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
