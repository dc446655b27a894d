"""What an operator may set about the estate as a whole, beside rules: the policies that the stages obey.

Settings make them (settings.policies), a pipeline and a worker take them. What belongs to a priority or to one
auto-response is said in rules.
"""

import msgspec


class ResponsePolicy(msgspec.Struct, frozen=True):
    """The same for all incidents."""

    forget_after_ms: int = 3_600_000
    """How long an ended incident is remembered, so that what comes twice or late is recognised. Longer than the second
    level takes to reopen a situation: else the incident begins anew with version 1."""
    history: int = 50
    """How many entries of its history an incident keeps, the newest."""


class AutomationPolicy(msgspec.Struct, frozen=True):
    """How much automation may do in all, whatever single rules allow."""

    enabled: bool = True
    """False: no auto-response is requested at all; every one is refused, with this as the reason."""
    per_hour: int = 60
    """Requests granted within any hour at most."""
    concurrent: int = 10
    """Requests under way at the same time at most."""


class Policies(msgspec.Struct, frozen=True):
    """All of them."""

    response: ResponsePolicy = ResponsePolicy()
    automation: AutomationPolicy = AutomationPolicy()
    reopen_within_ms: int = 0
    """So long after a situation was closed, the same failure of the same root opens it again; 0: it is a new one.
    A situation is closed when nothing has fired in it for some minutes, and until then it opens again anyway."""
