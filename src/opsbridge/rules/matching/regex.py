"""Regular expressions of rule files (`regex`), matched by RE2 in time that is linear in the text, whatever the pattern.

What RE2 leaves out for that (look-around, back-references) is refused when the file is loaded. The whole text must fit,
case counts, and `.` also fits line ends, as `*` of a glob does.
"""

from collections.abc import Callable
from typing import Final

import re2

_LONGEST: Final = 1000
"""Characters; longer ones are generated, and are better said as a list."""

_NOT_HERE: Final = {
    "invalid perl operator": "look-around such as (?=...) does not exist here; use `not`, or a second condition",
    "invalid escape sequence": "back-references and escapes of other dialects do not exist here",
}
"""What else to say about a complaint of RE2's."""


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """True for the whole texts that the expression describes; ValueError, in an operator's words, if it is none."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters; a list of shorter ones is easier to read")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.never_capture = True
    try:
        fullmatch = re2.compile(pattern, options).fullmatch  # type: ignore[no-untyped-call]  # it has no types
    except re2.error as refused:
        (said,) = refused.args
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        hint = next((f"; {hint}" for begin, hint in _NOT_HERE.items() if reason.startswith(begin)), "")
        raise ValueError(f"is no regular expression: {reason}{hint}") from None
    # Bytes, because of a text the library works out where in it groups are, which takes eight times as long.
    return lambda text: fullmatch(text.encode(errors="replace")) is not None
