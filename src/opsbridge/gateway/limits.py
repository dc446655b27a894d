"""What a request may cost: its bytes, unpacked or not, its nesting, its place in memory and in time.

Each limit raises `Refused` with the status and the words that the sender gets. Nothing here reads a socket.
"""

import re
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Final


class Refused(Exception):  # noqa: N818 # an answer, not an error of ours
    """The request gets this answer and nothing else."""

    def __init__(self, status: int, reason: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


class Memory:
    """The bytes of all bodies that are being worked on, together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Make room for so many bytes; raises `Refused` (503) if there is none."""
        if self.taken and self.taken + size > self._limit:
            raise Refused(503, "busy", "too much is being received at the moment", retry_after=1)
        self.taken += size

    def give_back(self, size: int) -> None:
        """These bytes are not needed any more."""
        self.taken -= size


class Body:
    """The body of one request as it comes in, unpacked meanwhile and never further than the limits go."""

    def __init__(self, encoding: str, *, sent: int, unpacked: int, memory: Memory) -> None:
        """`encoding` is the request's Content-Encoding; raises `Refused` (415) if it is not known."""
        self._unpack = _unpacking(encoding)
        self._sent_limit, self._unpacked_limit = sent, unpacked
        self._memory = memory
        self._content = bytearray()
        self._raw = bytearray()
        self._keep_raw = False
        self.sent = 0

    def announced(self, length: str | None) -> None:
        """What Content-Length says; raises `Refused` (413) if that is too much already."""
        if length is not None and length.isdecimal() and int(length) > self._sent_limit:
            raise self._too_large()

    def keep_as_sent(self) -> None:
        """A signature is over the body as it was sent: keep that too."""
        self._keep_raw = self._unpack is not None

    def add(self, chunk: bytes) -> None:
        """The next bytes; raises `Refused`: 413 too large, 400 not what the encoding says, 503 no room."""
        self.sent += len(chunk)
        if self.sent > self._sent_limit:
            raise self._too_large()
        if self._keep_raw:
            self._raw += self._room_for(chunk)
        if self._unpack is None:
            self._content += self._room_for(chunk)
            return
        try:
            for piece in self._unpack.pieces(chunk):
                if len(self._content) + len(piece) > self._unpacked_limit:
                    raise Refused(
                        413, "too_large", f"more than {self._unpacked_limit} bytes when decompressed: send less at once"
                    )
                self._content += self._room_for(piece)
        except zlib.error:
            raise _not_compressed() from None

    def whole(self) -> bytes:
        """The body, now that all of it is there; raises `Refused` (400) if the compressed one ends too early."""
        if self._unpack is not None and not self._unpack.ended:
            raise _not_compressed()
        return bytes(self._content)

    def as_sent(self) -> bytes:
        """The body as it was sent."""
        return bytes(self._raw if self._keep_raw else self._content)

    def release(self) -> None:
        """Give back its room in memory."""
        self._memory.give_back(len(self._content) + len(self._raw))
        self._content, self._raw = bytearray(), bytearray()

    def _room_for(self, piece: bytes) -> bytes:
        self._memory.take(len(piece))
        return piece

    def _too_large(self) -> Refused:
        return Refused(413, "too_large", f"the body is larger than {self._sent_limit} bytes: send less at once")


class _Inflating:
    """gzip of any number of members, or zlib; bombs are unpacked piece by piece, so that whoever reads can stop."""

    PIECE: Final = 65_536

    def __init__(self, window: int) -> None:
        self._window = window
        self._member = zlib.decompressobj(window)
        self._begun = False

    @property
    def ended(self) -> bool:
        return not self._begun or self._member.eof

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(self._window)
            self._begun = True
            yield self._member.decompress(chunk, self.PIECE)
            while self._member.unconsumed_tail and not self._member.eof:  # at the end zlib keeps a tail that is used
                yield self._member.decompress(self._member.unconsumed_tail, self.PIECE)
            chunk = self._member.unused_data


def _unpacking(encoding: str) -> _Inflating | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Inflating(31)
        case "deflate":
            return _Inflating(15)
    raise Refused(415, "unsupported_encoding", "Content-Encoding must be gzip, deflate or identity")


def _not_compressed() -> Refused:
    return Refused(400, "invalid_encoding", "the body is not, or not completely, what Content-Encoding says")


_TEXTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")


def too_deep(content: bytes, limit: int) -> bool:
    """Whether JSON is nested deeper than `limit`; found without parsing, in linear time for each level.

    What is no JSON gives any answer: the parser will refuse it.
    """
    if content.count(b"[") + content.count(b"{") <= limit:
        return False
    brackets = _TEXTS.sub(b"", content).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(limit):  # each turn takes the innermost level away
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            break
        brackets = outer
    return b"[]" in brackets or brackets.count(b"[") > limit


class Rates:
    """A token bucket for each (source, credential): so many events per second, and so many at once after a rest."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def admit(self, key: tuple[str, str]) -> None:
        """Let a request in; raises `Refused` (429) while more has been sent than the rate allows."""
        left, now = self._now(key)
        if left < 1:
            wait = int((1 - left) / self._rate) + 1
            raise Refused(429, "too_many", f"more than {self._rate:g} events per second", retry_after=wait)
        self._left[key] = left - 1, now

    def spend(self, key: tuple[str, str], events: int) -> None:
        """The request that was let in held so many events; what is owed is paid by waiting."""
        left, now = self._now(key)
        self._left[key] = left - max(0, events - 1), now

    def _now(self, key: tuple[str, str]) -> tuple[float, float]:
        now = self._clock()
        left, since = self._left.get(key, (self._burst, now))
        return min(self._burst, left + (now - since) * self._rate), now
