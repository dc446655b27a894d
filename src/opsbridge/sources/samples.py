"""Samples of a source: payloads with the events that they must give, compared completely; the test of a mapping file.

A file `NAME.samples.yaml` stands beside `NAME.yaml`. The tests and `opsbridge sources check` run them.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Mapped
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.intake import Report
from opsbridge.core.times import milliseconds, rfc3339
from opsbridge.documents import Document, Fault, Spot, dotted, from_validation, place, read_documents
from opsbridge.documents.text import Loc
from opsbridge.sources.language.reading import SAMPLES, SourceError
from opsbridge.sources.recognising import Auto
from opsbridge.sources.source import Headers, Item, Source

_ARRIVED_MS: Final = 1_767_225_600_000
"""2026-01-01: when a sample arrives that does not say when."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


class _Expected(BaseModel):
    """A canonical event (docs/events.md)."""

    model_config = _STRICT

    id: str
    time: str
    ci: str = ""
    class_: str = Field(default="", alias="class")
    state: str
    severity: str | None = None
    source: str = ""
    summary: str = ""
    labels: dict[str, str] = {}
    fingerprint: str | None = None
    by_key: bool = False


class _SampleModel(BaseModel):
    model_config = _STRICT

    name: str
    payload: object = None
    text: str | None = None
    headers: dict[str, str] = {}
    arrived: str | None = None
    auto: bool = True
    events: list[_Expected] = []
    withheld: list[str] = []
    rejected: list[str] = []

    @model_validator(mode="after")
    def _something(self) -> "_SampleModel":
        if (self.payload is None) == (self.text is None):
            raise ValueError("must say `payload` or `text`")
        if not (self.events or self.withheld or self.rejected):
            raise ValueError("expects nothing: say `events`, `withheld` or `rejected`")
        return self


class _Samples(BaseModel):
    model_config = _STRICT

    samples: list[_SampleModel]


@dataclass(frozen=True, slots=True)
class Sample:
    """A payload and what must come of it."""

    name: str
    payload: bytes
    headers: Headers
    arrived_ms: int
    auto: bool
    """Whether `auto` must recognise it."""
    events: tuple[Mapped[str, object], ...]
    withheld: tuple[str, ...]
    rejected: tuple[str, ...]
    """Parts of the details."""
    line: int
    """Where it stands in its file; 0 if that is not known."""


def samples_beside(mapping: str | Path) -> Path | None:
    """The samples of a mapping file; None if it has none."""
    path = Path(mapping)
    return next((found for end in SAMPLES if (found := path.with_name(path.stem + end)).exists()), None)


def read_samples(path: Path) -> list[Sample]:
    """The samples in a file; SourceError if it is wrong."""
    documents, findings = read_documents([path])
    faults: list[Fault] = []
    samples: list[Sample] = []
    for document in documents:
        samples += _valid(document, faults)
    findings += place(faults)
    if any(finding.level == "error" for finding in findings):
        raise SourceError(findings)
    return samples


def _valid(document: Document, faults: list[Fault]) -> Iterator[Sample]:
    bare = isinstance(document.value, list)
    try:
        model = _Samples.model_validate({"samples": document.value} if bare else document.value)
    except ValidationError as invalid:
        for loc, key, message in from_validation(invalid, _known_fields, {}):
            loc = loc[1:] if bare else loc
            faults.append(Fault(Spot(document, loc, key), dotted(loc), message))
        return
    root: Loc = () if bare else ("samples",)
    spots = [Fault(Spot(document, (*root, number)), str(number), "") for number in range(len(model.samples))]
    lines = {int(finding.subject): finding.line for finding in place(spots)}
    for number, said in enumerate(model.samples):
        try:
            arrived = _ARRIVED_MS if said.arrived is None else milliseconds(datetime.fromisoformat(said.arrived))
            events = tuple(_expected(each) for each in said.events)
        except (ValueError, TypeError) as error:
            loc = (*root, number)
            faults.append(Fault(Spot(document, loc), dotted(loc), f"times are RFC 3339: {error}"))
            continue
        yield Sample(
            said.name,
            said.text.encode() if said.text is not None else orjson.dumps(said.payload),
            tuple((name, value.encode()) for name, value in said.headers.items()),
            arrived,
            said.auto,
            events,
            tuple(said.withheld),
            tuple(said.rejected),
            lines.get(number, 0),
        )


def _known_fields(loc: Loc) -> list[str]:
    model = _Expected if "events" in loc else _SampleModel if len(loc) > 1 else _Samples
    return [field.alias or name for name, field in model.model_fields.items()]


def _expected(said: _Expected) -> Mapped[str, object]:
    return said.model_dump(by_alias=True) | {"time": rfc3339(milliseconds(datetime.fromisoformat(said.time)))}


def event_of(report: Report) -> dict[str, object]:
    """A report as the canonical event that it is, with all fields."""
    return {
        "id": report.id,
        "time": rfc3339(milliseconds(report.time)),
        "ci": report.ci,
        "class": report.class_,
        "state": report.state,
        "severity": report.severity,
        "source": report.source,
        "summary": report.summary,
        "labels": dict(report.labels),
        "fingerprint": report.fingerprint,
        "by_key": report.by_key,
    }


def differences(sample: Sample, items: Sequence[Item]) -> list[str]:
    """What came that was not expected, and what did not come, a line each; none if all is as it must be."""
    events = [event_of(item) for item in items if isinstance(item, Report)]
    withheld = [item.reason.rpartition("/")[2] for item in items if isinstance(item, Withheld)]
    rejected = [item.detail for item in items if isinstance(item, Rejected)]
    lines: list[str] = []
    for number in range(max(len(events), len(sample.events))):
        if number >= len(events):
            lines.append(f"event {number} did not come: {_json(sample.events[number])}")
        elif number >= len(sample.events):
            lines.append(f"event {number} was not expected: {_json(events[number])}")
        else:
            came, wanted = events[number], sample.events[number]
            lines += [
                f"event {number}: {field} is {_json(came[field])}, not {_json(wanted[field])}"
                for field in came
                if came[field] != wanted[field]
            ]
    if withheld != [reason.rpartition("/")[2] for reason in sample.withheld]:
        lines.append(f"withheld for {_json(withheld)}, not {_json(sample.withheld)}")
    if len(rejected) != len(sample.rejected):
        lines.append(f"{len(rejected)} rejected, not {len(sample.rejected)}: {_json(rejected)}")
    else:
        lines += [
            f"rejected with {_json(came)}, which has no {_json(wanted)} in it"
            for came, wanted in zip(rejected, sample.rejected, strict=True)
            if wanted not in came
        ]
    return lines


def failures(sample: Sample, source: Source, auto: Auto) -> list[str]:
    """What is wrong when the source reads the sample, and if `auto` does not take it for this source's."""
    lines = differences(sample, source.items(sample.payload, sample.headers, sample.arrived_ms))
    recognised = auto.recognise(sample.payload, sample.headers) if sample.auto else None
    if isinstance(recognised, Rejected):
        lines.append(f"auto does not recognise it (`auto: false` if it need not): {recognised.detail}")
    elif recognised is not None and recognised.source != source.name:
        lines.append(f"auto takes it for {recognised.source}, by: {recognised.by}")
    return lines


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
