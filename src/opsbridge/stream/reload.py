"""Reloading: rules and known errors that have changed are taken over by a running worker, as a whole or not at all.

Asked for by SIGHUP or by a change of the files. Loading and compiling happen in a thread, so that the stream goes on;
what cannot be used is refused with every finding in the log, and the rules in use stay. Stages do the swap themselves.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from watchfiles import Change, DefaultFilter, awatch

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import Settings
from opsbridge.stream.estate import Estate, difference, with_new_rules
from opsbridge.stream.stages import Stages
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

QUIET_MS: Final = 200
"""Files are read when none of them has changed for so long: a set is written file by file..."""

LONGEST_MS: Final = 2_000
"""...or, if that goes on and on, after so long."""


def announce(estate: Estate, metrics: Metrics) -> None:
    """Let the metrics say what is in use."""
    metrics.loaded(
        cis=len(estate.graph),
        edges=estate.graph.edges,
        rules=len(estate.rules.rules),
        topology=estate.topology,
        rule_set=estate.rules.digest,
        now=time.time(),
    )


class Reloading:
    """Takes over the rules of the files whenever asked, one time after the other."""

    def __init__(self, settings: Settings, stages: Stages, metrics: Metrics) -> None:
        self._settings, self._stages, self._metrics = settings, stages, metrics
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Look at the rules again; asking many times in a row is asking once."""
        self._wanted.set()

    async def run(self) -> None:
        """Do what is requested, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._reload()

    async def watch(self) -> None:
        """Request a reload whenever the files change, until cancelled; if they cannot be watched, say so and end."""
        paths = self._settings.paths
        watched = [(path, path.is_dir()) for path in (paths.rules, paths.known_errors) if path.exists()]
        await asyncio.gather(*(self._watch(path, whole=is_folder) for path, is_folder in watched))

    async def _watch(self, watched: Path, *, whole: bool) -> None:
        folder = watched if whole else watched.parent

        def is_the_file(_change: Change, path: str) -> bool:
            """It is, or it is the link beside it by which Kubernetes exchanges mounted files."""
            return Path(path).name in (watched.name, "..data")

        chosen = DefaultFilter() if whole else is_the_file
        try:
            async for _ in awatch(folder, watch_filter=chosen, step=QUIET_MS, debounce=LONGEST_MS, recursive=whole):
                self.request()
        except Exception as error:  # noqa: BLE001 # whatever the system has against it, the worker can do without
            log.warning("files are not watched, SIGHUP makes them be read again: %s: %s", watched, error)

    async def _reload(self) -> None:
        old = self._stages.estate
        try:
            new = await asyncio.to_thread(with_new_rules, old, self._settings)
        except OpsBridgeError as error:
            for line in str(error).splitlines():
                log.error("rules refused: %s", line)
        except Exception:
            log.exception("rules refused: this is a defect of OpsBridge")
        else:
            self._take_over(old, new)
            return
        log.error("rules with digest %s stay in use", old.rules.digest)
        self._metrics.reload_failed()

    def _take_over(self, old: Estate, new: Estate) -> None:
        if new is old:
            log.info("rules have not changed, digest %s", old.rules.digest)
        else:
            self._stages.estate = new
            what = difference(old.rules, new.rules)
            log.info("rules reloaded: %s; digest %s -> %s", what, old.rules.digest, new.rules.digest)
        announce(new, self._metrics)
