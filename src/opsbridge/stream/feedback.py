"""Feedback on its way to the response stage: decoded, sent where it can be heard, or buried with a reason.

What is about one situation is heard in the partition of that situation, wherever it was published; what is about all of
them, or about a problem, goes to coordination. Nothing that anybody says stops a lane.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final, Literal

from opsbridge.core.coordination.news import Halted, ProblemClosed
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.feedback import CloseRecord, Feedback, Global, StopAutomation, situation_of
from opsbridge.core.records import Incident
from opsbridge.core.response.selection import Decision, ResponseSelection
from opsbridge.sources.operations import decode_feedback
from opsbridge.stream.batches import Record, Records
from opsbridge.stream.dead_letters import UNKNOWN_TARGET, Unheard
from opsbridge.stream.dispatch import Dispatch
from opsbridge.stream.outbox import home_of

log = logging.getLogger(__name__)

STAGE: Final = "feedback"

FORWARDED: Final = "__opsbridge.forwarded"
"""Header of a record that was sent on to the partition of its situation: it is not sent on again."""

Result = Literal["applied", "refused", "repeated", "dead_letter"]


def listening(
    stage: ResponseSelection, dispatch: Dispatch, partition: int, partitions: int
) -> Callable[[Records], None]:
    """What is done with records of feedback that are read in this one of so many partitions."""

    def elsewhere(situation: str, record: Record) -> bool:
        if not situation or home_of(situation.encode(), partitions) == partition:
            return False
        return all(name != FORWARDED for name, _ in record.headers)

    def hear(record: Record) -> None:
        said = decode_feedback(record.value)
        if isinstance(said, Rejected):
            dispatch.bury(record, said, STAGE)
            dispatch.feedback("", "dead_letter")
            return
        kind = str(said.__struct_config__.tag)
        situation = situation_of(said)
        if elsewhere(situation, record):
            dispatch.forward_feedback(record, situation, [(FORWARDED, b"%d" % partition)])
            return
        try:
            answer = _heard(stage, said)
        except Exception as error:  # what one says must never stop a partition
            log.exception("feedback %s of %s: this is a defect of OpsBridge", kind, said.by)
            answer = Unheard(Reject.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        if isinstance(answer, Unheard):
            dispatch.bury(record, answer, STAGE)
            dispatch.feedback(kind, "dead_letter")
        else:
            dispatch.responses(answer)
            dispatch.feedback(kind, _result(answer))

    def hear_all(records: Records) -> None:
        for record in records:
            hear(record)

    return hear_all


def _heard(stage: ResponseSelection, said: Feedback) -> Iterable[Decision] | Unheard:
    if isinstance(said, Global):
        return [Halted(isinstance(said, StopAutomation), said.id, said.by, stage.now)]
    if isinstance(said, CloseRecord) and said.record.startswith("PRB-"):
        return [ProblemClosed(said.record, said.id, said.by, stage.now)]
    answer = stage.heard(said)
    return Unheard(UNKNOWN_TARGET, answer) if isinstance(answer, str) else answer


def _result(answer: Iterable[Decision]) -> Result:
    """What came of feedback, as its incident's newest entry tells; nothing is told of what had been heard before."""
    told = list(answer)
    if not told:
        return "repeated"
    newest = [decision.history[-1] for decision in told if isinstance(decision, Incident) and decision.history]
    return "refused" if any(entry.refused for entry in newest) else "applied"
