"""What is told of the events of a payload that nobody can use: where in it each is, and all of them in one message.

A payload is one dead letter, however many of its events are bad. Intake, the gateway and replays say it in these words.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from opsbridge.core.decisions import Rejected
from opsbridge.core.intake import Report
from opsbridge.sources.source import Item

SAID: Final = 20
"""Of a payload with more bad events than this, only so many are told of one by one."""

_ALONE, _EACH = 1000, 250
"""How much is told of one, in characters: if it is the only one, and if it is not."""


def placed(item: Item, items: Sequence[Item], refused: Rejected) -> Rejected:
    """Why this one of a payload's items is refused, and which it is if there are several.

    Sources say themselves where in the payload a fault is; of an event that only intake refuses, number and id do.
    """
    if len(items) == 1 or not isinstance(item, Report):
        return refused
    number = next(number for number, each in enumerate(items, 1) if each is item)
    return replace(refused, detail=f"event {number} ({item.id[:100]}): {refused.detail}")


def one_of(items: Sequence[Item], item: Item) -> Report | None:
    """The item, if it is a report whose payload holds others too: what goes elsewhere goes without them."""
    return item if len(items) > 1 and isinstance(item, Report) else None


def message(details: Sequence[str]) -> str:
    """All of these, at least one, as a dead letter tells of them."""
    if len(details) == 1:
        return details[0][:_ALONE]
    more = [f"and {len(details) - SAID} more"] if len(details) > SAID else []
    return "; ".join([detail[:_EACH] for detail in details[:SAID]] + more)
