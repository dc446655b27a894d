"""What reaches the log from Faust and aiokafka: no line a thousand times, and no error twice.

A broker that is down for a minute made a worker write 1,990 lines. The filter lets a few of a kind through per window
and says later how many it held back. It is attached to the libraries' loggers, so it works under any log set-up.
"""

import logging
import time
from collections.abc import Callable

NOISY = ("aiokafka", "faust", "mode", "opsbridge.stream")
# Each service on the way up logs a crash with its traceback; `run_worker` raises the reason once.
CRASH_TEMPLATE = "Crashed reason=%r"


class RepeatFilter(logging.Filter):
    """Lets `burst` lines of one kind through per `window` seconds: same logger, level and start of template."""

    def __init__(
        self, burst: int = 3, window: float = 60.0, clock: Callable[[], float] = time.monotonic, prefix: int = 24
    ) -> None:
        super().__init__()
        self._burst, self._window, self._clock, self._prefix = burst, window, clock, prefix
        self._kinds: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is let through; the first one of a new window tells how many were not."""
        template = str(record.msg)
        if CRASH_TEMPLATE in template:
            return False
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, template[: self._prefix])
        now = self._clock()
        began, count = self._kinds.get(kind, (now, 0))
        held_back = 0
        if now - began >= self._window:
            held_back, began, count = max(0, count - self._burst), now, 0
        self._kinds[kind] = began, count + 1
        if held_back:
            record.msg = f"{template} ({held_back} more like this in the last {int(self._window)} s)"
        return count < self._burst


def limit_library_logs(limit: logging.Filter | None = None) -> None:
    """Attach a filter to every logger of Faust, mode and aiokafka that exists by now; once per process."""
    limit = limit or RepeatFilter()
    for name in list(logging.root.manager.loggerDict):
        if name.split(".", 1)[0] in NOISY or name.startswith(NOISY):
            logger = logging.getLogger(name)
            if not any(isinstance(present, RepeatFilter) for present in logger.filters):
                logger.addFilter(limit)
