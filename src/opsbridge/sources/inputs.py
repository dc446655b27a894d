"""What a payload of an input holds: the source that its headers name reads it, else its topic's, else `auto`.

Intake, replays and reviews read through this, so that the same payload with the same headers is the same events
everywhere. Whatever happens is an item, to be accounted for: nothing here raises, and no payload holds nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.sources.catalogue import Sources
from opsbridge.sources.source import AUTO, Headers, Item

Read = Callable[[bytes | None, Headers, int], Sequence[Item]]
"""From payload, headers and the time of arrival (milliseconds since 1970) to at least one item."""

_NOTHING: Final = (Rejected(Reject.INTERNAL_ERROR, "its source found neither an event nor a fault in it"),)


class Inputs:
    """The sources of an installation, and which topics are read by which."""

    __slots__ = ("_default", "_topics", "sources")

    def __init__(self, sources: Sources, topics: Mapping[str, str] | None = None, default: str = AUTO) -> None:
        """`topics`: topic -> name of its source; `default` is that of all others. KeyError: there is no such source."""
        self.sources = sources
        self._default = sources.named(default)
        self._topics = {topic: sources.named(name) for topic, name in (topics or {}).items()}

    def reader(self, topic: str = "") -> Read:
        """Reads the payloads of this topic."""
        sources, source = self.sources, self._topics.get(topic, self._default)

        def read(payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:
            try:
                named = sources.of(headers, source) if headers else source
                if isinstance(named, Rejected):
                    return (named,)
                return named.items(payload, headers, arrived_ms) or _NOTHING
            except Exception as error:  # noqa: BLE001 # one payload must never stop a partition
                return (Rejected(Reject.INTERNAL_ERROR, f"{type(error).__name__}: {error}"),)

        return read
