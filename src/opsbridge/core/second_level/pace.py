"""Pace: how long the second level waits for what, in milliseconds of event time, and the ticks at which it acts."""

from typing import Final

TICK_MS: Final = 1_000
"""Alerts of one second of event time are settled together."""

LATENESS_MS: Final = 5_000
"""An alert is explained this long after it began: what comes within this time comes in time, whatever its order."""

REPORT_AFTER_MS: Final = 5_000
"""How long a new situation is watched before anyone hears of it (compare Alertmanager's group_wait of 30 s)."""

REPORT_EVERY_MS: Final = 5_000
"""A situation is told of again at most this often, unless its root or severity changes or nothing fires any more..."""

REPORT_RARER: Final = 10
"""...and every so many versions this gets as long again, up to a minute: what flaps for hours is news once a minute."""

LONGEST_SILENCE_MS: Final = 60_000

RECENT_MS: Final = 900_000
"""A situation that nothing joined for this long is settled: later alerts have another cause..."""

RECENT_LONGEST_MS: Final = 3_600_000
"""...and so is one that has been joined again and again for this long: what always alarms is no storm."""

OVER_MS: Final = 120_000
"""A situation without a firing alert for this long is settled too, if it has not come back by then."""

LULL_MS: Final = 60_000
"""A CI that alerts after its situation was over for this long may have another reason this time."""

CLOSE_AFTER_MS: Final = 300_000
"""A resolved situation is closed after this long; until then, the same root reopens it..."""

CLOSE_AFTER_LONGEST_MS: Final = 14_400_000
"""...and a CI that alarms alone stays twice as long each time it comes back, at most this long: a chronic alarm opens
few situations, not one again and again."""

FLAPS_WITHIN_MS: Final = 3_600_000
"""A CI that fires again alone flaps in the situation that it belongs to, unless nothing has joined that for an hour."""

PIECE: Final = 100
"""An explanation of up to so many CIs is worked out whole at every change."""

GROWN: Final = 3
"""A larger one grows as it is, and is worked out whole when it has so many times as many more..."""

QUIET_MS: Final = 5_000
"""...when nothing came for this long..."""

UNQUIET_MS: Final = 30_000
"""...or when it has waited for this long."""


def tick(time: int) -> int:
    """The tick a time belongs to: deadlines count from there, so that nothing is settled or told between two ticks."""
    return time - time % TICK_MS


def next_tick(time: int) -> int:
    """The first tick at or after a time."""
    return -(-time // TICK_MS) * TICK_MS
