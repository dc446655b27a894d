"""Which partitions hear an event: its CI's, and those of groups that are kept elsewhere."""

import msgspec

from opsbridge.core.event import Event, Mark
from opsbridge.core.rulebook import Raise, Rulebook, Threshold
from opsbridge.core.sharing import copies


def counting(key: str, *group_by: str) -> Threshold:
    return Threshold(
        rule=key,
        key=key,
        raises=Raise("Many", 3),
        group_by=group_by,
        measure="event_count",
        timespan=1000,
        holds=lambda count: count >= 2,
        at_least=2,
        resolve_after=1000,
    )


BOOK = Rulebook(
    derivations={
        rule.key: rule
        for rule in (
            counting("by-ci", "ci"),
            counting("by-user", "labels.user"),
            counting("by-both", "labels.user", "ci"),
        )
    }
)
EVENT = Event("e", 1, "web-1", "Login", 3, True, "f")


def test_an_event_without_marks_is_heard_with_its_ci_only() -> None:
    assert copies(EVENT, BOOK) == [("web-1", EVENT)]


def test_groups_go_where_they_are_kept_and_the_rest_stays_with_the_ci() -> None:
    own = (Mark("by-ci", group="web-1"), Mark("by-both", group="eve\x1fweb-1"), Mark("a-hold"))
    away = (Mark("by-user", group="eve"),)
    event = msgspec.structs.replace(EVENT, marks=(own[0], *away, *own[1:]))
    assert copies(event, BOOK) == [
        ("web-1", msgspec.structs.replace(EVENT, marks=own)),
        ("eve", msgspec.structs.replace(EVENT, marks=away, observed=True)),
    ]


def test_a_step_that_names_another_ci_is_heard_with_that_ci() -> None:
    """A sequence's step may have a `group_by` of its own: its group says where it is kept, not the event."""
    mark = Mark("by-both", group="eve\x1fweb-2")
    event = msgspec.structs.replace(EVENT, marks=(mark,))
    assert [text for text, _ in copies(event, BOOK)] == ["web-1", "web-2"]


def test_what_only_rules_hear_is_not_sent_where_no_rule_hears_it() -> None:
    event = msgspec.structs.replace(EVENT, marks=(Mark("by-user", group="eve"),), observed=True)
    assert copies(event, BOOK) == [("eve", event)]


def test_the_value_of_a_single_field_may_have_any_text_in_it() -> None:
    """Where several are joined none has the separator in it; alone, it is the CI as the source names it."""
    rule, both = BOOK.derivations["by-ci"], BOOK.derivations["by-both"]
    assert (rule.home("core\x1flab"), rule.about("core\x1flab")) == ("core\x1flab", "core\x1flab")
    assert (both.home("eve\x1fweb-1"), both.about("eve\x1fweb-1")) == ("web-1", "eve")
