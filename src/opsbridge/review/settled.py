"""The items of a recorded payload as intake judged them then: what was in the future only its dead letter knows.

All else that intake refuses it would refuse again. Called for reviews, and where recordings are replayed.
"""

from collections.abc import Sequence
from typing import Final, cast

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.review.told import Refusal
from opsbridge.sources.source import Item

FAR: Final = 1 << 60
"""A clock that no event is ahead of: those that were ahead of the real one are dead letters."""

_check = Intake(CIGraph(())).accept


def settled(items: Sequence[Item], refusal: Refusal | None) -> Sequence[Item]:
    """The items; of those that nothing else is wrong with, as many as the dead letter has more are rejected.

    These are the newest ones: all were held against one and the same clock.
    """
    if refusal is None:
        return items
    fine = [place for place, item in enumerate(items) if isinstance(item, Report) and not _refused(item)]
    bad = sum(isinstance(item, Rejected) or (isinstance(item, Report) and _refused(item)) for item in items)
    found = list(items)
    newest = sorted(fine, key=lambda place: _time(items[place]), reverse=True)
    for place in newest[: max(0, refusal.items - bad)]:
        found[place] = _AHEAD if len(items) > 1 else _as_told(refusal)
    return found


def _refused(report: Report) -> bool:
    return isinstance(_check(report, FAR), Rejected)


def _time(item: Item) -> float:
    return item.time.timestamp() if isinstance(item, Report) else 0.0


_AHEAD: Final = Rejected(Reject.TIME_IN_FUTURE, "it was in the future when it was recorded")


def _as_told(refusal: Refusal) -> Rejected:
    """Of an event that came alone the dead letter has the reason, even if nobody would refuse it today."""
    if refusal.reason == Reject.TIME_IN_FUTURE:
        return _AHEAD
    reason = cast("Reject", refusal.reason)  # another version may have had more of them
    return Rejected(reason, "it was refused when it was recorded")
