"""Steps: a stage of the core, and what is to be done with its answers, for one partition and one estate.

`stages` makes one when a partition comes and another one when rules are reloaded, gives it the saved state, and lets it
hear records and time pass. Between records and the core there is nothing but decoding.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from opsbridge.core.coordination.stage import Coordination
from opsbridge.core.decisions import Regroup, Transition, Withheld
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Heard
from opsbridge.core.first_level.level import FirstLevel
from opsbridge.core.pipeline import Stage
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.rulebook import Heartbeat
from opsbridge.core.second_level.backbone import Backbone, News, time_of
from opsbridge.core.second_level.level import SecondLevel
from opsbridge.core.sharing import opens_at
from opsbridge.stream.batches import Record, Records
from opsbridge.stream.dispatch import ALL, Dispatch, Told, partition_of
from opsbridge.stream.errors import StageError
from opsbridge.stream.estate import Estate
from opsbridge.stream.feedback import listening
from opsbridge.stream.outbox import home_of
from opsbridge.stream.packing import (
    decode_answer,
    decode_coordination,
    decode_correction,
    decode_events,
    decode_news,
    decode_transitions,
    decode_update,
)

OFFSET_STEP: Final = 1 << 20
"""Positions of the events in a pack lie between the pack's offset times this and the next one's."""


@dataclass(frozen=True, slots=True)
class Step:
    """One partition's part of a stage."""

    stage: Stage
    """The core's: its state is restored before anything is heard, and saved after it."""
    hear: Mapping[str, Callable[[Records], None]]
    """By entity: work on records of it that have not been applied yet."""
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
        tell([stage.advance(_read(decode_events, each), each.offset * OFFSET_STEP) for each in records])

    graph = estate.graph
    stage = FirstLevel(
        estate.book,
        accept=accept,
        owns=share.owns,
        context=estate.context,
        place=lambda alert: opens_at(graph, alert.ci, alert.grounds, known=alert.known_ci),
    )
    rules = estate.book.derivations.values()
    expects = any(share.owns(each) for rule in rules if isinstance(rule, Heartbeat) for each in rule.expected)
    return Step(stage, {"detected": hear}, lambda now: tell([stage.expire(now)]), expects)


def second_level(estate: Estate, dispatch: Dispatch, _share: Share) -> Step:
    """Transitions of alerts to situations."""

    def tell(news: Iterable[Told]) -> None:
        dispatch.situations(news, estate.graph)

    stage = SecondLevel(
        estate.graph,
        estate.book,
        estate.weights,
        reopen_within_ms=estate.policies.reopen_within_ms,
        context=estate.context,
    )

    def hear(records: Records) -> None:
        tell(stage.advance(_in_order([each for record in records for each in _read(decode_transitions, record)])))

    heard = {"alerts": hear, "corrections": _corrected(stage.regroup, tell)}
    return Step(stage, heard, lambda now: tell(stage.expire(now)))


def backbone(estate: Estate, dispatch: Dispatch, _share: Share) -> Step:
    """What domains have found by themselves to what they have in common."""
    stage = Backbone(
        estate.graph,
        estate.book,
        estate.weights,
        reopen_within_ms=estate.policies.reopen_within_ms,
        context=estate.context,
    )

    def hear(records: Records) -> None:
        news = _in_order([each for record in records for each in _read(decode_news, record)])
        dispatch.situations(stage.advance(news))

    heard = {"shared": hear, "backbone-corrections": _corrected(stage.regroup, dispatch.situations)}
    return Step(stage, heard, lambda now: dispatch.situations(stage.expire(now)))


def response(estate: Estate, dispatch: Dispatch, share: Share) -> Step:
    """Situations to incidents and whatever else is to be done about them; with what is said about these."""

    def hear(records: Records) -> None:
        dispatch.responses(stage.advance(_read(decode_update, record) for record in records if record.value))

    def hear_answers(records: Records) -> None:
        for record in records:
            dispatch.responses(stage.answered(_read(decode_answer, record)))

    stage = ResponseSelection(estate.book, estate.graph, estate.policies.response)
    hear_feedback = listening(stage, dispatch, share.partition, share.partitions)
    heard = {"situations": hear, "answers": hear_answers, "feedback": hear_feedback}
    return Step(stage, heard, lambda now: dispatch.responses(stage.expire(now)))


def coordination(estate: Estate, dispatch: Dispatch, share: Share) -> Step:
    """What can only be decided with all situations in view."""

    def hear(records: Records) -> None:
        dispatch.responses(stage.advance(_read(decode_coordination, record) for record in records))

    misfits = estate.misfits if share.partition == home_of(ALL.encode(), share.partitions) else ()
    stage = Coordination(estate.policies.automation, estate.graph, misfits)
    return Step(stage, {"coordination": hear}, lambda now: dispatch.responses(stage.expire(now)), bool(misfits))


_T = TypeVar("_T")


def _read(decode: Callable[[bytes], _T], record: Record) -> _T:
    """What a record of an internal topic holds. Raises `StageError` with the place if no worker can have written it."""
    try:
        return decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StageError(
            f"offset {record.offset} is no record of ours: {error}. Only workers of this version may write to "
            f"{record.topic}; stop all of them and set their group's offset to {record.offset + 1} to pass it over"
        ) from error


_News = TypeVar("_News", bound=News)


def _corrected(
    regroup: Callable[[Regroup], Iterable[Told]], tell: Callable[[Iterable[Told]], None]
) -> Callable[[Records], None]:
    """Hear what people say about which alerts belong together."""

    def hear(records: Records) -> None:
        for record in records:
            tell(regroup(_read(decode_correction, record)))

    return hear


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
