"""Records of topics as files: a directory with one `ENTITY.jsonl` per entity, one line per record.

A line is an object with `key` (text, or null), `timestamp` (milliseconds), `partition` and `offset`; its value is in
`value` if it is JSON, else in `text`, or in `base64` if it is no UTF-8; a record without value has `value` null. There
are `headers` (name -> text) and `topic` (the Kafka name, where several topics are one entity) only where they say
something. `opsbridge demo --record` and `replay --records` write such directories, `opsbridge review` reads them.
"""

import base64
import binascii
from collections.abc import Iterator
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec

from opsbridge.errors import OpsBridgeError

ERRORS: Final = "__opsbridge.errors."
"""As in docs/topics.md: how headers of dead letters begin."""


class RecordingError(OpsBridgeError):
    """A directory of recorded topics cannot be read or written; says which file, and which line of it."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic: key, value and headers as bytes, as Kafka has them."""

    entity: str
    """As in the catalogue of topics: `incidents`, not the Kafka name."""
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = ""
    """The Kafka name; empty: there is only one topic of the entity."""


class _Line(msgspec.Struct, omit_defaults=True):
    """A record as a line of a file."""

    key: str | None
    timestamp: int
    partition: int
    offset: int
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] = {}
    topic: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_NULL: Final = b"null"


def to_line(record: Recorded) -> bytes:
    """The record as one line of JSON without line end; what is no UTF-8 in keys and headers is escaped, not kept."""
    line = _Line(
        None if record.key is None else _text(record.key),
        record.timestamp,
        record.partition,
        record.offset,
        headers={name: _text(content) for name, content in record.headers},
        topic=record.topic,
    )
    if record.value is None:
        line.value = msgspec.Raw(_NULL)
    elif (value := _one_line(record.value)) is not None:
        line.value = msgspec.Raw(value)
    else:
        try:
            line.text = record.value.decode()
        except UnicodeDecodeError:
            line.base64 = base64.b64encode(record.value).decode()
    return _encode(line)


def from_line(entity: str, line: bytes) -> Recorded:
    """The record that a line stands for; raises `ValueError` with what is wrong with it."""
    try:
        found = _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    value: bytes | None
    if not isinstance(found.value, msgspec.UnsetType):
        value = None if bytes(found.value) == _NULL else bytes(found.value)
    elif not isinstance(found.text, msgspec.UnsetType):
        value = found.text.encode()
    elif not isinstance(found.base64, msgspec.UnsetType):
        try:
            value = base64.b64decode(found.base64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{error} - at `$.base64`") from None
    else:
        raise ValueError("needs one of `value`, `text` and `base64`")
    return Recorded(
        entity,
        None if found.key is None else found.key.encode(),
        value,
        found.timestamp,
        found.partition,
        found.offset,
        tuple((name, content.encode()) for name, content in found.headers.items()),
        found.topic,
    )


class Recorder:
    """Writes records into a directory, one file per entity; a context manager. Files of before are replaced."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for old in self._directory.glob("*.jsonl"):
                old.unlink()
        except OSError as error:
            raise RecordingError(f"{self._directory}: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def write(self, record: Recorded) -> None:
        """One more record of its entity."""
        try:
            file = self._files.get(record.entity)
            if file is None:
                file = self._files[record.entity] = (self._directory / f"{record.entity}.jsonl").open("wb")
            file.write(to_line(record) + b"\n")
        except OSError as error:
            raise RecordingError(f"{self._directory / record.entity}.jsonl: {error.strerror}") from None


def read_records(directory: Path) -> Iterator[Recorded]:
    """All records of a directory, file by file in the order of their names, each file in its own order.

    Raises `RecordingError` for a directory without any, and for the first line that is no record.
    """
    files = sorted(directory.glob("*.jsonl"))
    if not files:
        raise RecordingError(f"{directory}: no records here; expected files like incidents.jsonl")
    for path in files:
        yield from _read(path)


def read_entity(directory: Path, entity: str) -> list[Recorded]:
    """The records of one entity, in order of time; those of one partition stay in order. No file has none.

    Raises `RecordingError` like `read_records`.
    """
    path = directory / f"{entity}.jsonl"
    lanes: dict[tuple[str, int], list[Recorded]] = {}
    for record in _read(path) if path.exists() else ():
        lanes.setdefault((record.topic, record.partition), []).append(record)
    timed = [
        zip(accumulate((record.timestamp for record in records), max), records, strict=True)
        for _, records in sorted(lanes.items())
    ]
    return [record for _, record in merge(*timed, key=itemgetter(0))]


def _read(path: Path) -> Iterator[Recorded]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.isspace():
                    continue
                try:
                    yield from_line(path.stem, line)
                except ValueError as error:
                    raise RecordingError(f"{path}:{number}: no record: {error}") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None


def _text(content: bytes) -> str:
    return content.decode(errors="backslashreplace")


def _one_line(value: bytes) -> bytes | None:
    """The same JSON on one line; None if it is no JSON, or the text `null`, which is not the same as no value."""
    try:
        if value.strip() == _NULL:
            return None
        msgspec.json.decode(value)
        return value if b"\n" not in value and b"\r" not in value else msgspec.json.format(value, indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
