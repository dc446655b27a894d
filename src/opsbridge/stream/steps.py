"""Steps: a stage of the core, and what is to be done with its answers, for one partition and one estate.

`stages` makes one when a partition comes and another one when rules are reloaded, gives it the saved state, and lets it
hear records and time pass. Between records and the core there is nothing but decoding.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from opsbridge.core.decisions import Transition, Withheld
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Heard
from opsbridge.core.first_level.level import FirstLevel
from opsbridge.core.pipeline import Stage
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.rulebook import Heartbeat
from opsbridge.core.second_level.backbone import Backbone, News, time_of
from opsbridge.core.second_level.level import SecondLevel
from opsbridge.stream.batches import Records
from opsbridge.stream.dispatch import Dispatch, Told, partition_of
from opsbridge.stream.estate import Estate
from opsbridge.stream.packing import decode_events, decode_news, decode_transitions, decode_update

OFFSET_STEP: Final = 1 << 20
"""Positions of the events in a pack lie between the pack's offset times this and the next one's."""


@dataclass(frozen=True, slots=True)
class Step:
    """One partition's part of a stage."""

    stage: Stage
    """The core's: its state is restored before anything is heard, and saved after it."""
    hear: Callable[[Records], None]
    """Work on records that have not been applied yet."""
    expire: Callable[[int], None]
    """It is so late (event time), though nothing was heard."""
    expects: bool = False
    """It has something to notice even if it never hears anything."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which of the partitions of a stage's input it is."""

    partition: int
    partitions: int

    def owns(self, text: str) -> bool:
        """Whether events that are kept by this text are heard here."""
        return partition_of(text, self.partitions) == self.partition


MakeStep = Callable[[Estate, Dispatch, Share], Step]


def first_level(estate: Estate, dispatch: Dispatch, share: Share) -> Step:
    """Events to transitions of alerts; what rules derive goes the same way, here or in another partition."""

    def accept(event: Event) -> Event | Withheld:
        answer = estate.intake.derived(event)
        if isinstance(answer, Withheld) and answer.place == "routed":
            dispatch.routed_derived(event, answer)
        return answer

    def tell(answers: list[Heard]) -> None:
        dispatch.first_level(answers, estate.graph)
        dispatch.decided(estate.intake.trials())
        dispatch.events([each for answer in answers for each in answer.elsewhere], share.partitions)

    def hear(records: Records) -> None:
        tell([stage.advance(decode_events(each.value or b"[]"), each.offset * OFFSET_STEP) for each in records])

    stage = FirstLevel(estate.book, accept=accept, owns=share.owns)
    rules = estate.book.derivations.values()
    expects = any(share.owns(each) for rule in rules if isinstance(rule, Heartbeat) for each in rule.expected)
    return Step(stage, hear, lambda now: tell([stage.expire(now)]), expects)


def second_level(estate: Estate, dispatch: Dispatch, _share: Share) -> Step:
    """Transitions of alerts to situations."""

    def tell(news: Iterable[Told]) -> None:
        dispatch.situations(news, estate.graph)

    def hear(records: Records) -> None:
        tell(stage.advance(_in_order([each for one in records for each in decode_transitions(one.value or b"[]")])))

    stage = SecondLevel(estate.graph, estate.book, estate.weights)
    return Step(stage, hear, lambda now: tell(stage.expire(now)))


def backbone(estate: Estate, dispatch: Dispatch, _share: Share) -> Step:
    """What domains have found by themselves to what they have in common."""

    def hear(records: Records) -> None:
        dispatch.situations(
            stage.advance(_in_order([each for one in records for each in decode_news(one.value or b"[]")]))
        )

    stage = Backbone(estate.graph, estate.book, estate.weights)
    return Step(stage, hear, lambda now: dispatch.situations(stage.expire(now)))


def response(estate: Estate, dispatch: Dispatch, _share: Share) -> Step:
    """Situations to incidents."""

    def hear(records: Records) -> None:
        updates = [decode_update(record.value) for record in records if record.value is not None]
        dispatch.responses(stage.advance(updates))

    stage = ResponseSelection(estate.book, estate.graph)
    return Step(stage, hear, lambda now: dispatch.responses(stage.expire(now)))


_News = TypeVar("_News", bound=News)


def _in_order(news: list[_News]) -> list[_News]:
    """News by the time of their telling, without turning round those of one alert or situation.

    They come from several partitions, whose clocks differ after a pause, and a clock may go back in a restart; a
    resolution before its firing would be lost.
    """
    told: dict[str, int] = {}

    def turn(each: _News) -> int:
        name = each.fingerprint if isinstance(each, Transition) else each.situation.id
        told[name] = max(told.get(name, 0), time_of(each))
        return told[name]

    return sorted(news, key=turn)
