"""Payloads of every shipped source, made wrong: nothing leaves a mapping but items, and what is rejected says where."""

import random
from pathlib import Path

import msgspec
import pytest
from mutations import mutated

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report
from opsbridge.sources import canonical
from opsbridge.sources.catalogue import load_sources, shipped_sources
from opsbridge.sources.samples import read_samples, samples_beside

PAYLOADS = 400
"""Of each source; `python tests/sources/test_fuzz_sources.py 100000` takes more."""


def fuzzed(name: str, payloads: int, seed: int) -> dict[str, int]:
    """What came, counted; raises where something came that must not."""
    sources = load_sources()
    source = sources.mapped[name]
    samples = read_samples(samples_beside(source.mapping.path) or Path())
    random_ = random.Random(seed)
    counted: dict[str, int] = {}
    for number in range(payloads):
        sample = random_.choice(samples)
        payload = mutated(random_, sample.payload)
        items = source.items(payload, sample.headers, sample.arrived_ms)
        assert items, payload
        assert number % 10 or sources.auto.items(payload, sample.headers, sample.arrived_ms), payload
        for item in items:
            kind = item.reason if isinstance(item, Rejected) else type(item).__name__
            counted[kind] = counted.get(kind, 0) + 1
            if isinstance(item, Rejected):
                assert item.reason is not Reject.INTERNAL_ERROR, (item.detail, payload)
                assert 0 < len(item.detail) < 2000, payload
            if isinstance(item, Report):
                assert canonical.decode(msgspec.json.encode(_named(item))) == item, payload
    return counted


def _named(report: Report) -> dict[str, object]:
    """The report without what it does not name."""
    return {key: value for key, value in msgspec.to_builtins(report).items() if value not in (None, "")}


@pytest.mark.parametrize("name", [source.name for source in shipped_sources()])
def test_whatever_is_wrong_with_a_payload_is_told(name: str) -> None:
    counted = fuzzed(name, PAYLOADS, 7)
    assert counted["Report"] > 10
    assert counted[Reject.INVALID_FIELD] > 10


if __name__ == "__main__":
    import sys

    for shipped in shipped_sources():
        print(shipped.name, fuzzed(shipped.name, int(sys.argv[1]), 1), flush=True)  # noqa: T201
