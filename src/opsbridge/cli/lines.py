"""Lines of a file or of stdin, one at a time and never more than a bounded piece of one; gzip is recognised by itself.

Called by `replay` and `send`. What a line means is not decided here.
"""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Final, NamedTuple, cast

from opsbridge.errors import OpsBridgeError

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"


class UnreadableError(OpsBridgeError):
    """A file of events cannot be read, or not to its end."""


class Line(NamedTuple):
    """A line that is not blank: its number from 1, its bytes without line end, how long it is."""

    number: int
    content: bytes
    size: int
    """The line's length; more than that of `content` if that was cut."""


def read_lines(path: str, *, keep: int) -> Iterator[Line]:
    """The lines of the file at `path`, or of stdin for `-`; of a longer line only the first `keep` bytes are kept.

    Raises `UnreadableError` for a file that is not there, and at the place where a compressed one is broken.
    """
    number = 0
    try:
        with ExitStack() as opened:
            file = _open(path, opened)
            while start := file.readline(keep + 1):
                number += 1
                size = len(start)
                piece = start
                while len(piece) > keep and not piece.endswith(b"\n"):
                    piece = file.readline(keep + 1)
                    size += len(piece)
                content = start.rstrip(b"\r\n")
                if content and not content.isspace():
                    yield Line(number, content[:keep], size - (len(piece) - len(piece.rstrip(b"\r\n"))))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableError(f"{name_of(path)}:{number + 1}: the compressed file is broken: {error}") from error
    except OSError as error:
        raise UnreadableError(f"{name_of(path)}: {error.strerror or error}") from error


def name_of(path: str) -> str:
    """What to call the input in messages."""
    return "<stdin>" if path == STDIN else path


def _open(path: str, opened: ExitStack) -> IO[bytes]:
    raw = sys.stdin.buffer if path == STDIN else opened.enter_context(open(path, "rb"))  # noqa: SIM115 # closed by the stack
    file = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", raw))
    return cast("IO[bytes]", opened.enter_context(gzip.GzipFile(fileobj=file))) if file.peek(2)[:2] == _GZIP else file
