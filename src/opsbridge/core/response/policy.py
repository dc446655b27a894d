"""What an operator may set about the response stage as a whole. What belongs to a priority is in `Priority`."""

import msgspec


class ResponsePolicy(msgspec.Struct, frozen=True):
    """The same for all incidents."""

    forget_after_ms: int = 3_600_000
    """How long an ended incident is remembered, so that what comes twice or late is recognised. Longer than the second
    level takes to reopen a situation: else the incident begins anew with version 1."""
    history: int = 50
    """How many entries of its history an incident keeps, the newest."""
