"""Auto-responses: `kind: respond` with `response: auto_response`, the shape that makes machines act.

What is asked of an executor, when, how often, with whose approval, what proves that it helped, and what happens if it
did not. Which actions there are, the executor's own configuration says; nothing here runs anything.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from opsbridge.core.rulebook import ActionCall, AutoResponse, BlastRadius, Limit
from opsbridge.rules.language.fields import CONFIG, Addressee, Duration, Matching, Name, Slug, Template, entries, whole
from opsbridge.rules.language.kinds.responding import RespondingRule
from opsbridge.rules.language.kinds.shape import Built, Draft
from opsbridge.rules.language.scopes import OF_SITUATIONS, Scope
from opsbridge.rules.matching.situations import holding
from opsbridge.rules.matching.wording import written_match
from opsbridge.rules.rule import Respond

_STANDARD: Final = AutoResponse(rule="", call=ActionCall(""))
"""What is not said."""

Parameters = Annotated[dict[Name, Template], entries(0, "parameters", 50)]


class Approval(BaseModel):
    """A person has to let it happen."""

    model_config = CONFIG

    group: Addressee
    """Who is asked."""
    within: Duration = _STANDARD.approval_ms
    """So long they may take; 10m if it is not said."""


class Call(BaseModel):
    """What an executor is asked to do."""

    model_config = CONFIG

    action: Slug
    """The action, by the name that executors know."""
    parameters: Parameters = {}
    """What it is told besides."""
    deadline: Duration = _STANDARD.call.deadline_ms
    """So long after the request its result has to come; 2m if it is not said."""

    def built(self) -> ActionCall:
        """The call."""
        return ActionCall(self.action, self.parameters, self.deadline)


class Proof(BaseModel):
    """What proves that it helped."""

    model_config = CONFIG

    by: Literal["cleared", "probe", "result"] = "cleared"
    """cleared: no alert of the situation fires any more. probe: another action succeeds. result: it was done."""
    within: Duration | None = None
    """So long after the result the proof has to come; 5m if it is not said."""
    action: Slug | None = None
    """With `by: probe`: the action that probes."""
    parameters: Parameters | None = None
    """With `by: probe`: what it is told besides."""
    deadline: Duration | None = None
    """With `by: probe`: so long after its request the probe's result has to come; 2m if it is not said."""

    def built(self, draft: Draft) -> ActionCall | None:
        """The probe, if it is one that proves."""
        if self.by != "probe":
            for name in ("action", "parameters", "deadline"):
                if name in self.model_fields_set:
                    draft.complain(("verify", name), f"is only for `by: probe`, not for {self.by}", key=True)
            if self.by == "result" and self.within is not None:
                draft.complain(("verify", "within"), "says nothing with `by: result`, which is the proof", key=True)
            return None
        if self.action is None:
            draft.complain(("verify",), "action: is required with `by: probe`: the action that probes")
        deadline = _STANDARD.call.deadline_ms if self.deadline is None else self.deadline
        return ActionCall(self.action or "", self.parameters or {}, deadline)


class Most(BaseModel):
    """At most so many within a time."""

    model_config = CONFIG

    times: Annotated[int, *whole(1, 100_000)]
    """How many."""
    within: Duration
    """In what time."""

    def built(self) -> Limit:
        """The limit."""
        return Limit(self.times, self.within)


class Limits(BaseModel):
    """How much automation may do at most, however many situations ask for it."""

    model_config = CONFIG

    per_ci: Most | None = None
    """This action on one CI."""
    per_action: Most | None = None
    """This action anywhere."""
    concurrent: Annotated[int, *whole(1, 100_000)] | None = None
    """This action, under way at the same time."""

    def built(self) -> BlastRadius:
        """The limits."""
        return BlastRadius(
            None if self.per_ci is None else self.per_ci.built(),
            None if self.per_action is None else self.per_action.built(),
            self.concurrent,
        )


class AutoResponseRule(RespondingRule):
    """Let an executor do something about a situation, and see whether it helped."""

    values = ("auto_response",)
    matches: ClassVar[Mapping[str, Scope]] = {"match": OF_SITUATIONS, "requires": OF_SITUATIONS}

    response: Literal["auto_response"]
    """A request to executors; what came of it is on the situation's incident."""
    action: Slug
    """The action, by the name that executors know."""
    parameters: Parameters = Field(default={})
    """What it is told besides."""
    deadline: Duration = _STANDARD.call.deadline_ms
    """So long after the request its result has to come; 2m if it is not said."""
    requires: Matching | None = None
    """What must hold whenever it is about to be requested, or it is refused."""
    approval: Approval | None = None
    """Who has to let it happen; nobody, if it is not said."""
    attempts: Annotated[int, *whole(1, 20)] = 1
    """How often it may be tried."""
    retry_after: Duration | None = None
    """So long after an attempt that did not help the next one is made; 30s if it is not said."""
    verify: Proof = Field(default=Proof())
    """What proves that it helped; that no alert fires any more, if it is not said."""
    rollback: Call | None = None
    """What undoes it, when no attempt has helped."""
    before_incident: bool = False
    """People are told of the situation only if it did not help."""
    limits: Limits = Field(default=Limits())
    """How much it may do at most."""

    def built(self, draft: Draft) -> Built:
        """What is done, and what is made of how it went."""
        probe = self.verify.built(draft)
        auto_response = AutoResponse(
            rule=self.id,
            call=ActionCall(self.action, self.parameters, self.deadline),
            requires=None if self.requires is None else holding(draft.match("requires")),
            requires_text="" if self.requires is None else written_match(self.requires),
            approval_group="" if self.approval is None else self.approval.group,
            approval_ms=_STANDARD.approval_ms if self.approval is None else self.approval.within,
            attempts=self.attempts,
            retry_ms=_STANDARD.retry_ms if self.retry_after is None else self.retry_after,
            verify=self.verify.by,
            verify_ms=_STANDARD.verify_ms if self.verify.within is None else self.verify.within,
            probe=probe,
            rollback=None if self.rollback is None else self.rollback.built(),
            before_incident=self.before_incident,
            limits=self.limits.built(),
        )
        return Built(Respond(draft.match("match"), auto_response, self.last))
