"""Where a message of a syslog stream ends: RFC 6587, both ways of it, recognised for each message by itself.

`123 <34>1 ...` says its length beforehand (octet counting, what RFC 5425 wants on TLS); anything else ends with a line
feed. Messages that are longer than the limit are cut, and the rest of them is read and thrown away. No I/O: the
listener feeds what it has read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_COUNTED: Final = re.compile(rb"([1-9][0-9]{0,8}) (?=<)")
"""A count; no message begins like it, for `<` begins the priority that a message begins with."""

_UNDECIDED: Final = re.compile(rb"[1-9][0-9]{0,8} ?\Z")
"""May still become a count, when more has been read."""

_TRAILER: Final = b"\r\n\0"
"""What some senders put at the end of a message, inside of a count too."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came, without what marks its end."""

    content: bytes
    cut: bool = False
    """Whether something is missing at its end: it was longer than the limit, or its sender went away."""


class Framing:
    """One connection: feed it, and take the messages that are complete."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of a message; longer ones are cut there."""
        self._limit = limit
        self._rest = b""
        self._left = 0  # bytes of a counted message beyond the limit, still to come
        self._skips_line = False  # the same of a message that ends with a line feed

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes; use up the iterator before the next call. Blank ones are left out."""
        rest = self._rest + data if self._rest else data
        at = 0
        while at < len(rest):
            if self._left:
                skipped = min(self._left, len(rest) - at)
                self._left -= skipped
                at += skipped
            elif self._skips_line:
                end = rest.find(b"\n", at)
                self._skips_line = end < 0
                at = len(rest) if end < 0 else end + 1
            elif counted := _COUNTED.match(rest, at):
                start, size = counted.end(), int(counted[1])
                kept = min(size, self._limit)
                if len(rest) - start < kept:
                    break
                at = start + kept
                self._left = size - kept
                yield from _message(rest[start:at], cut=self._left > 0)
            else:
                end = rest.find(b"\n", at, at + self._limit + 1)
                if end >= 0:
                    yield from _message(rest[at:end])
                    at = end + 1
                elif _UNDECIDED.match(rest, at) or len(rest) - at <= self._limit:
                    break
                else:
                    yield from _message(rest[at : at + self._limit], cut=True)
                    at += self._limit
                    self._skips_line = True
        self._rest = rest[at:]

    def end(self) -> Iterator[Message]:
        """What is left when the sender has gone: a line without its line feed, or the begin of a counted message."""
        rest, self._rest = self._rest, b""
        counted = _COUNTED.match(rest)
        yield from _message(rest[counted.end() :] if counted else rest, cut=counted is not None)


def _message(content: bytes, *, cut: bool = False) -> Iterator[Message]:
    content = content.rstrip(_TRAILER)
    if content and not content.isspace():
        yield Message(content, cut)
