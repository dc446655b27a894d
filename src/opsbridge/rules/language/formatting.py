"""Rule files in one layout: the keys of every rule in one order, the rest as `documents.layout` puts it down.

Formatting only moves text. That is checked each time: the file must say the same afterwards, with the same characters
in it, or it is refused. Called by `opsbridge rules fmt`.
"""

from collections import Counter
from typing import Final

import msgspec

from opsbridge.documents import yaml_text
from opsbridge.documents.layout import laid_out
from opsbridge.documents.text import Loc, ParseError
from opsbridge.errors import OpsBridgeError

ORDER: Final = (
    *("id", "kind", "response", "action", "to", "title", "description", "shadow", "last"),
    *("type", "severity", "significance", "for", "times", "within", "enter", "leave"),
    *("source", "target", "equal", "cis", "match", "steps"),
    *("field", "limit", "direction", "crosses_within", "over", "samples"),
    *("every", "grace", "expect", "group_by", "timespan", "condition", "resolve_after", "raise"),
    *("set", "fingerprint", "inherit", "windows", "changes", "remind"),
    *("impact", "urgency", "matrix", "targets"),
    *("category", "group", "runbook", "links", "text", "same"),
    *("parameters", "deadline", "requires", "approval", "attempts", "retry_after"),
    *("verify", "rollback", "before_incident", "limits"),
)
"""The keys of a rule: who it is, whom it asks, what it does. What is not named here (the subjects of `correlate`) comes
after them as it is written, and `tests` last."""

_RANKS: Final = {key: rank for rank, key in enumerate(ORDER)} | {"tests": len(ORDER) + 1}


class FormattingError(OpsBridgeError):
    """A text that cannot be formatted without changing it."""

    exit_code = 2


def formatted(text: str) -> str:
    """A rule file's text in the one layout; ParseError if it is no YAML, FormattingError if it must be left alone."""
    before = yaml_text.parse(text)
    after = laid_out(text, _rank)
    if not _only_moved(text, after) or _content(before) != _said(after):
        raise FormattingError("cannot be formatted without changing what it says, and is left as it is")
    return after


def _rank(way: Loc, key: str) -> int:
    return _RANKS.get(key, len(ORDER)) if len(way) == 2 and way[0] == "rules" else 0


def _only_moved(before: str, after: str) -> bool:
    """Whether both have the same characters, blanks aside: no comment and no quote is lost."""
    return Counter("".join(before.split())) == Counter("".join(after.split()))


def _said(text: str) -> bytes | None:
    """What a text says; None if it is broken, such as when an anchor has moved below its use."""
    try:
        return _content(yaml_text.parse(text))
    except ParseError:
        return None


def _content(documents: list[object]) -> bytes:
    """What the text says: the order of keys does not matter, that of lists does; 1 is not 1.0 and not true."""
    return msgspec.json.encode(documents, order="sorted")
