"""What a situation is answered with: the kind respond, whose shapes are told apart by `response`.

Incident or nothing, tickets, notifications and problems; what an auto-response says is in `automation`. All texts that
people or executors get may name what is known of the situation.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from opsbridge.core.rulebook import Handling, Notify, ProblemWatch, Ticket
from opsbridge.rules.language.fields import Addressee, Duration, InCommon, Links, Matching, Template, whole
from opsbridge.rules.language.kinds.shape import Built, Draft, RuleModel
from opsbridge.rules.language.scopes import OF_SITUATIONS, Scope
from opsbridge.rules.rule import Respond


class RespondingRule(RuleModel):
    """What the shapes of respond have in common."""

    subject = "response"
    matches: ClassVar[Mapping[str, Scope]] = {"match": OF_SITUATIONS}
    not_here: ClassVar[Mapping[str, str]] = {
        "shadow": "is not for this kind; `opsbridge backtest` shows which incidents would differ"
    }

    kind: Literal["respond"]
    match: Matching
    """Which situations; all conditions must hold."""
    last: bool = False
    """If it matches, no later rule of this kind is asked."""


class IncidentRule(RespondingRule):
    """Say whether a situation is an incident, and whose; the first matching rule with one of both decides."""

    values = ("incident", "none")

    response: Literal["incident", "none"]
    """incident: people are told. none: nobody is told, as long as this decides."""
    category: Template = ""
    """Of the incident; that of the root's CI, if it is not said."""
    group: Addressee | None = None
    """The assignment group; that of the root's CI, else its owner, if it is not said."""
    runbook: Template = ""
    """Where it says what to do."""
    links: Links = Field(default=[])
    """Dashboards, logs and the like."""

    def built(self, draft: Draft) -> Built:
        """An incident or nothing."""
        if self.response == "none":
            for name in ("category", "group", "runbook", "links"):
                if name in self.model_fields_set:
                    draft.complain((name,), "is for incidents, and `response: none` makes none", key=True)
        answer = Handling(self.id, self.response, self.category, self.group or "", self.runbook, tuple(self.links))
        return Built(Respond(draft.match("match"), answer, self.last))


class TicketRule(RespondingRule):
    """Raise a request for change, or a service request, for a situation."""

    values = ("change", "request")

    response: Literal["change", "request"]
    """change: a request for change (RFC). request: a service request."""
    title: Template = ""
    """One line for people, of the rule and of what it raises."""
    category: Template = ""
    """What it is about, in the words of the tool that gets it."""
    group: Addressee | None = None
    """Who is to do it; the group of the root's CI, else its owner, if it is not said."""
    links: Links = Field(default=[])
    """Where there is more to read."""

    def built(self, draft: Draft) -> Built:
        """A ticket."""
        ticket = Ticket(self.id, self.response, self.title, self.category, self.group or "", tuple(self.links))
        return Built(Respond(draft.match("match"), ticket, self.last))


class NotificationRule(RespondingRule):
    """Tell somebody about a situation, without an incident or besides it."""

    values = ("notification",)

    response: Literal["notification"]
    """Somebody is told, once for each situation that matches."""
    to: Addressee
    """A group or a person."""
    text: Template = ""
    """What they are told."""

    def built(self, draft: Draft) -> Built:
        """Who is told what."""
        return Built(Respond(draft.match("match"), Notify(self.id, self.to, self.text), self.last))


class ProblemRule(RespondingRule):
    """Open a problem when situations recur."""

    values = ("problem",)

    response: Literal["problem"]
    """A problem, with the incidents of all situations that match and have the same in common."""
    same: InCommon = Field(default=["root.ci"])
    """What they have in common, such as root.ci or root.class; empty: it is enough that they match."""
    times: Annotated[int, *whole(2, 1000)]
    """From so many on."""
    within: Duration
    """In what time."""
    title: Template = ""
    """One line for people, of the rule and of the problem."""
    category: Template = ""
    """What it is about, in the words of the tool that gets it."""
    group: Addressee | None = None
    """Who is to solve it."""

    def built(self, draft: Draft) -> Built:
        """How often is too often."""
        watch = ProblemWatch(
            self.id, tuple(self.same), self.times, self.within, self.title, self.category, self.group or ""
        )
        return Built(Respond(draft.match("match"), watch, self.last))
