"""Patterns of class names that do not care how a tool spells them: `host_down`, `HostDown` and `Host down` are one.

A class is cut into lower-case words, with `_` before, between and after them; a pattern is cut in the same way and then
is a glob over that text. So `_` stands for a border of words, also at either end: `*_los_*` is `LOS` and `rx-los`, not
`close`. The correlation rules stand on this; `match` compares classes letter by letter.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from opsbridge.rules.matching.globs import compile_glob

_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
_BETWEEN: Final = re.compile(r"[\W_]+")
_WILD: Final = re.compile(r"(\*|\?|\[!?[^\]]+\])")
"""What a glob does not mean literally; with the parentheses, `split` keeps it at the odd places."""

ClassTest = Callable[[str], bool]
"""Asked about a class as a source spells it."""


def words(class_: str) -> str:
    """`_host_down_` for HostDown; words end where case rises and at everything that is no letter or digit."""
    return "_" + _lowered(class_).strip("_") + "_"


def _lowered(text: str) -> str:
    return _BETWEEN.sub("_", _HUMP.sub("_", text)).lower()


def _pattern(said: str) -> str:
    """The glob over `words` that a pattern means."""
    parts = _WILD.split(said)
    parts[::2] = map(_lowered, parts[::2])
    glob = "".join(parts).lower().strip("_")
    return f"{'' if glob.startswith('*') else '_'}{glob}{'' if glob.endswith('*') else '_'}"


def any_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether one of the patterns fits; to be asked about `words(class_)`, so that they are cut out only once."""
    tests = [compile_glob(_pattern(pattern)) for pattern in patterns]

    def covers(said: str) -> bool:
        for test in tests:  # noqa: SIM110 - any() with a generator takes twice the time
            if test(said):
                return True
        return False

    return covers
