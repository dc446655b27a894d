"""Cuts the body of a request into payloads: one object, an array, lines of JSON or of text, a batch of CloudEvents.

A payload is the bytes that become one Kafka record, with the headers that go with it; what is in it is for sources to
say. Arrays are cut without being parsed. Raises `Refused` for bodies that cannot be cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from opsbridge.gateway.limits import Refused, too_deep
from opsbridge.sources.source import SOURCE_HEADER
from opsbridge.stream.outbox import Headers

JSON: Final = b"application/json"
CLOUDEVENT: Final = b"application/cloudevents+json"
CLOUDEVENTS: Final = "application/cloudevents-batch+json"
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
AS_JSON: Final = frozenset({"", "application/json", "application/x-www-form-urlencoded", "text/json"})
"""With nothing said, or what `curl -d` says, the body is taken for JSON."""

MAX_HEADER_BYTES: Final = 16_384
"""All `ce-` headers of a request together."""

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Payload:
    """One record to be."""

    content: bytes
    headers: Headers


def payloads(body: bytes, source: str, headers: Mapping[str, str], *, depth: int) -> list[Payload]:
    """The payloads of a request to `source`, at least one. Raises `Refused`: 400 or 415."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    own = [(SOURCE_HEADER, source.encode())]
    if events := _binary_cloudevent(headers):
        return [Payload(_nested(body, depth), [*own, ("content-type", kind.encode("latin-1")), *events])]
    if not body.strip():
        raise Refused(400, "empty", "the body is empty")
    if kind in LINES:
        return _all([_nested(line, depth) for line in _lines(body)], own, JSON)
    if kind == CLOUDEVENTS:
        return _all(_array(body, depth), own, CLOUDEVENT)
    as_json = body.lstrip()[:1] in (b"{", b"[")
    if kind == "text/plain" and not as_json:  # Amazon SNS calls its JSON text/plain
        return [Payload(line, [*own, ("content-type", b"text/plain")]) for line in _lines(body)]
    if kind in AS_JSON or kind.endswith("+json") or kind == "text/plain":
        told = CLOUDEVENT if kind == CLOUDEVENT.decode() else JSON
        if body.lstrip()[:1] == b"[":
            return _all(_array(body, depth), own, told)
        return [Payload(_nested(body, depth), [*own, ("content-type", told)])]
    hint = "; set the exporter to JSON" if "protobuf" in kind else ""
    raise Refused(415, "unsupported_type", f"Content-Type must be JSON, NDJSON, CloudEvents or text/plain{hint}")


def _all(parts: Sequence[bytes], own: Headers, kind: bytes) -> list[Payload]:
    headers = [*own, ("content-type", kind)]
    return [Payload(part, headers) for part in parts]


def _lines(body: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in body.split(b"\n") if line.strip()]


def _array(body: bytes, depth: int) -> list[bytes]:
    try:
        parts = _split(_nested(body, depth))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, "invalid_json", f"the array cannot be read: {error}"[:300]) from None
    if not parts:
        raise Refused(400, "empty", "the array is empty")
    return [bytes(part) for part in parts]


def _nested(content: bytes, depth: int) -> bytes:
    if too_deep(content, depth):
        raise Refused(400, "too_deep", f"JSON is nested more than {depth} levels deep")
    return content


def _binary_cloudevent(headers: Mapping[str, str]) -> Headers:
    """The attributes of a CloudEvent whose body is its data, named as in Kafka's binding; empty if it is none.

    CloudEvents 1.0, HTTP binding 3.1.3.2: values are percent-encoded.
    """
    if "ce-specversion" not in headers and "ce-id" not in headers:
        return []
    found = list(_attributes(headers))
    if sum(len(name) + len(value) for name, value in found) > MAX_HEADER_BYTES:
        raise Refused(400, "too_large", f"the ce- headers are longer than {MAX_HEADER_BYTES} bytes")
    return found


def _attributes(headers: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, value in headers.items():
        if name.startswith("ce-"):
            yield f"ce_{name[3:]}", unquote_to_bytes(value)
