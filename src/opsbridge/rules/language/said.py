"""A rule as its file says it, read again, and warnings placed in it: what the lints have in common."""

import json
from collections.abc import Iterable, Iterator

from opsbridge.documents import Fault, Spot, dotted
from opsbridge.documents.text import Loc
from opsbridge.rules.rule import Rule


def warning(spot: Spot, rule: str, loc: Loc, message: str, *, related: Spot | None = None, key: bool = False) -> Fault:
    """A warning about a place below a rule that stands at `spot`."""
    subject = ": ".join(filter(None, (f"rule {rule}", dotted(loc))))
    return Fault(Spot(spot.document, (*spot.loc, *loc), key), subject, message, "warning", related)


def said_of(rule: Rule) -> dict[str, object]:
    """The rule's fields; durations are milliseconds, and what is not said is None or as by default."""
    return mapping(json.loads(rule.text))


def mapping(said: object) -> dict[str, object]:
    """What is said, if it is a mapping; else an empty one."""
    return said if isinstance(said, dict) else {}


def mappings(said: object) -> Iterator[dict[str, object]]:
    """The mappings in a list."""
    yield from (each for each in (said if isinstance(said, Iterable) else ()) if isinstance(each, dict))
