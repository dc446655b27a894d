"""What a request holds: payloads that go to Kafka as they are, and what nobody can use, which goes to the dead letters.

A payload with at least one event that can be read is written whole: intake accounts for each of its events. Called by
the gateway for every request; nothing here knows HTTP or waits for Kafka.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from opsbridge.core.decisions import Reject, Rejected, Withheld
from opsbridge.core.intake import Report
from opsbridge.gateway.payloads import Payload
from opsbridge.gateway.producing import DEAD_LETTERS, EVENTS, Outgoing
from opsbridge.sources.source import Item
from opsbridge.stream.dead_letters import KEPT_BYTES, PREFIX
from opsbridge.stream.outbox import Headers

STAGE: Final = "gateway"
TOLD: Final = 100
"""Events of a request that are told one by one why they were rejected."""

_PLACE: Final = re.compile(r"(.*?)(?: - at|,? at) `([^`]+)`\s*", re.DOTALL)


class Judged:
    """What has become of the payloads of one request so far."""

    def __init__(self, fits: Callable[[Outgoing], bool], limit: int) -> None:
        """`limit` is Kafka's for a record, in bytes."""
        self._fits = fits
        self._limit = limit
        self.records: list[Outgoing] = []
        self.accepted = self.withheld = self.rejected = 0
        self.told: list[dict[str, object]] = []
        self._only_too_large = True

    @property
    def events(self) -> int:
        """All that were found."""
        return self.accepted + self.withheld + self.rejected

    def add(self, number: int, payload: Payload, items: Sequence[Item]) -> None:
        """The payload at this place in the request, and what its source makes of it."""
        bad = [item for item in items if isinstance(item, Rejected)]
        first = next((item for item in items if isinstance(item, Report)), None)
        record = Outgoing(EVENTS, None if first is None else key_of(first), payload.content, payload.headers)
        if len(bad) < len(items) and not self._fits(record):
            why = (
                f"{record.size} bytes, the limit is {self._limit} (kafka.max_message_bytes): send fewer events at once"
            )
            bad, items = [Rejected(Reject.TOO_LARGE, why)], ()
        if len(bad) < len(items):
            self.records.append(record)
            withheld = sum(isinstance(item, Withheld) for item in items)
            self.withheld += withheld
            self.accepted += len(items) - len(bad) - withheld
        else:
            self.records.append(self._dead_letter(payload, bad))
        self.rejected += len(bad)
        self._only_too_large &= all(item.reason is Reject.TOO_LARGE for item in bad)
        for item in bad[: TOLD - len(self.told)]:
            found = _PLACE.fullmatch(item.detail)
            detail, place = (found[1], found[2]) if found else (item.detail, "$")
            self.told.append({"payload": number, "place": place, "reason": item.reason, "detail": detail[:1000]})

    def status(self) -> int:
        """202 if anything was taken, or nothing was wrong; else 413 or 400: it is of no use to send it again."""
        if self.accepted or self.withheld or not self.rejected:
            return 202
        return 413 if self._only_too_large else 400

    def answer(self) -> dict[str, object]:
        """What the sender is told."""
        told: dict[str, object] = {"accepted": self.accepted, "withheld": self.withheld, "rejected": self.told}
        if more := self.rejected - len(self.told):
            told["more_rejected"] = more
        return told

    def _dead_letter(self, payload: Payload, bad: Sequence[Rejected]) -> Outgoing:
        reasons = {
            "stage": STAGE,
            "reason": bad[0].reason,
            "message": bad[0].detail[:1000],
            "items": str(len(bad)),
        }
        content, keep = payload.content, min(KEPT_BYTES, self._limit - 8_000)
        if len(content) > keep:
            reasons["truncated.from"] = str(len(content))
            content = content[:keep]
        headers: Headers = [*payload.headers] if _length(payload.headers) < self._limit // 10 else []
        headers += [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in reasons.items()]
        return Outgoing(DEAD_LETTERS, None, content, headers)


def key_of(report: Report) -> bytes:
    """The key of a record whose first event this is: what identifies its alert."""
    return (report.fingerprint or f"{report.ci}\x1f{report.class_}").encode("utf-8", "replace")


def _length(headers: Headers) -> int:
    return sum(len(name) + len(content) for name, content in headers)
