"""Spans of time as decisions write them for people: `90s`, `15m`, `1h`, `7d`."""

from typing import Final

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def span(length_ms: int) -> str:
    """Milliseconds in the largest unit that divides them."""
    for unit, size in _UNITS:
        if length_ms and length_ms % size == 0:
            return f"{length_ms // size}{unit}"
    return f"{length_ms}ms"
