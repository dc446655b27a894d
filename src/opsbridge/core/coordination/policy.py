"""How much automation may do in all, whatever single rules allow. Settings make one; the coordination stage obeys."""

import msgspec


class AutomationPolicy(msgspec.Struct, frozen=True):
    """Limits over all actions and situations together."""

    enabled: bool = True
    """False: no auto-response is requested at all; every one is refused, with this as the reason."""
    per_hour: int = 60
    """Requests granted within any hour at most."""
    concurrent: int = 10
    """Requests under way at the same time at most."""
