"""What was in the future when a payload was recorded only its dead letter knows: as many as nothing else explains."""

from datetime import UTC, datetime, timedelta

import pytest

from opsbridge.core.decisions import Reject, Rejected, Withheld
from opsbridge.core.intake import Report
from opsbridge.review.settled import settled
from opsbridge.review.told import Refusal
from opsbridge.sources.source import Item

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BAD = Rejected(Reject.INVALID_FIELD, "no ci")
SOFT = Withheld("suppressed", "tool/soft_state")


def at(hours: float, **fields: str) -> Report:
    said = {"id": f"{hours}", "ci": "web", "class_": "Down"} | fields
    return Report(time=NOW + timedelta(hours=hours), state="firing", severity="major", **said)  # type: ignore[arg-type]


NO_CI = at(9, ci="")


@pytest.mark.parametrize(
    ("refusal", "ahead"),
    [
        (None, []),
        (Refusal("invalid_field", 2), []),  # the one that its source refuses, and the one that intake does
        (Refusal("invalid_field", 3), [1]),
        (Refusal("invalid_field", 4), [1, 5]),
        (Refusal("invalid_field", 1), []),  # read as another source since
        (Refusal("time_in_future", 99), [0, 1, 5]),
    ],
)
def test_the_newest_were_ahead_as_many_as_the_dead_letter_has_more(refusal: Refusal | None, ahead: list[int]) -> None:
    items: list[Item] = [at(1), at(5), BAD, SOFT, NO_CI, at(3)]
    found = settled(items, refusal)
    assert [place for place, each in enumerate(found) if each is not items[place]] == ahead
    assert {each.reason for each in map(found.__getitem__, ahead) if isinstance(each, Rejected)} <= {
        Reject.TIME_IN_FUTURE
    }


def test_of_an_event_that_came_alone_the_dead_letter_has_the_reason() -> None:
    (found,) = settled([at(1)], Refusal("internal_error", 1))
    assert isinstance(found, Rejected)
    assert found.reason == Reject.INTERNAL_ERROR
