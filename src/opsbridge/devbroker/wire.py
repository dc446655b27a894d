"""Frames, headers and versions: bytes to a request of the newest version we speak, and an answer back to bytes.

Only versions without tagged fields are advertised, so one header layout is enough and clients negotiate down. Handlers
see and build the newest of them: an older request is lifted (missing fields take their defaults), an answer is written
with the older version's codec, which asks only for the fields it knows. Called by connection.py.
"""

import dataclasses
import io
import struct
import typing
from collections.abc import Callable
from dataclasses import dataclass

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.serial.errors import SerialError
from kio.static.protocol import Payload

_E = typing.TypeVar("_E")
_HEADER = struct.Struct(">hhih")
_PREFIX = struct.Struct(">ii")
API_VERSIONS = 18


class MalformedFrameError(Exception):
    """The bytes are no request of the Kafka protocol; the connection they came on is closed."""


class UnsupportedRequestError(MalformedFrameError):
    """A well-formed header that asks for an API or a version outside `APIS`."""

    def __init__(self, header: "Header") -> None:
        super().__init__(f"API {header.api_key} version {header.version} is not spoken by the dev broker")
        self.header = header


@dataclass(frozen=True, slots=True)
class Api:
    """One API and the versions of it that are spoken, both ends included."""

    key: int
    name: str
    oldest: int
    newest: int


APIS = {
    api.key: api
    for api in (
        Api(0, "produce", 3, 8),
        Api(1, "fetch", 4, 11),
        Api(2, "list_offsets", 1, 5),
        Api(3, "metadata", 0, 8),
        Api(8, "offset_commit", 2, 7),
        Api(9, "offset_fetch", 1, 5),
        Api(10, "find_coordinator", 0, 2),
        Api(11, "join_group", 0, 5),
        Api(12, "heartbeat", 0, 3),
        Api(13, "leave_group", 0, 2),
        Api(14, "sync_group", 0, 3),
        Api(15, "describe_groups", 0, 4),
        Api(16, "list_groups", 0, 2),
        Api(API_VERSIONS, "api_versions", 0, 2),
        Api(19, "create_topics", 2, 4),
        Api(20, "delete_topics", 1, 3),
        Api(22, "init_producer_id", 0, 1),
        Api(32, "describe_configs", 1, 2),
        Api(37, "create_partitions", 0, 1),
        Api(42, "delete_groups", 0, 1),
    )
}


@dataclass(frozen=True, slots=True)
class Header:
    """Request header version 1; `client_id` is empty when the client sent none."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str


def decode(frame: bytes) -> tuple[Header, Payload]:
    """Return the header and the request, lifted to the newest version spoken of its API.

    Raises `UnsupportedRequestError` for an API or version outside `APIS`, `MalformedFrameError` for the unreadable.
    """
    try:
        api_key, version, correlation_id, length = _HEADER.unpack_from(frame)
    except struct.error:
        raise MalformedFrameError(f"a frame of {len(frame)} bytes has no request header") from None
    start = _HEADER.size + max(length, 0)
    header = Header(api_key, version, correlation_id, frame[_HEADER.size : start].decode(errors="replace"))
    api = APIS.get(api_key)
    if api is None or not api.oldest <= version <= api.newest:
        raise UnsupportedRequestError(header)
    read = entity_reader(load_request_schema(api_key, version))
    try:
        request, _ = read(frame, start)
    except (SerialError, ValueError, TypeError, OverflowError) as reason:
        raise MalformedFrameError(f"{api.name} version {version}: {reason!r}") from reason
    return header, lift(request, load_request_schema(api_key, api.newest))


def encode(header: Header, answer: Payload, version: int | None = None) -> bytes:
    """Return the whole frame of an answer; `version` is the request's own unless given."""
    schema = load_response_schema(header.api_key, header.version if version is None else version)
    buffer = io.BytesIO()
    buffer.write(bytes(_PREFIX.size))
    # The writer of an older version only asks for the fields it knows, so the newest version's answer serves it.
    entity_writer(typing.cast("type[Payload]", schema))(buffer, answer)
    size = buffer.tell()
    buffer.seek(0)
    buffer.write(_PREFIX.pack(size - 4, header.correlation_id))
    return buffer.getvalue()


def lift(entity: object, newest: type[_E]) -> _E:
    """Return `entity` as the type `newest` of a later version; fields it lacks take their defaults."""
    if isinstance(entity, newest):
        return entity
    route = (type(entity), newest)
    if route not in _PLANS:
        _PLANS[route] = _plan(*route)
    return newest(**{name: value(entity) for name, value in _PLANS[route]})


_Plan = tuple[tuple[str, Callable[[object], object]], ...]
_PLANS: dict[tuple[type, type], _Plan] = {}


def _plan(older: type, newest: type) -> _Plan:
    """Return how each field of `newest` is had from an `older` entity."""
    known = {field.name for field in dataclasses.fields(older)}
    return tuple(
        (field.name, _taken(field) if field.name in known else _defaulted(field))
        for field in dataclasses.fields(newest)
    )


def _taken(field: "dataclasses.Field[object]") -> Callable[[object], object]:
    name, item = field.name, _item_type(field.type)
    if not dataclasses.is_dataclass(item):
        return lambda entity: getattr(entity, name)

    def items(entity: object) -> object:
        found = getattr(entity, name)
        return None if found is None else tuple(lift(each, item) for each in found)

    return items


def _defaulted(field: "dataclasses.Field[object]") -> Callable[[object], object]:
    if field.default is not dataclasses.MISSING:
        default = field.default
    else:
        default = () if _item_type(field.type) is not None else _EMPTY.get(field.metadata["kafka_type"])
    return lambda _entity: default


# what a field without a default of its own takes when an older version lacks it
_EMPTY: dict[str, object] = {"bool": False, "int8": 0}


def _item_type(annotation: object) -> type | None:
    """Return X of `tuple[X, ...]` or `tuple[X, ...] | None`, None for anything that is no array."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if typing.get_origin(candidate) is tuple:
            return typing.cast("type", typing.get_args(candidate)[0])
    return None
