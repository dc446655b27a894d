"""How long the first level waits for events that come late.

Derivations and gates work on what they hear in order of event time, once the watermark is that far past it.
"""

from typing import Final

LATENESS_MS: Final = 5_000
"""So far behind the newest one an event may come and still count in its place."""
