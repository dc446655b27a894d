"""Reloading: rules that have changed, and a topology that has, are taken over by a running worker as a whole.

Rules and known errors are asked for by SIGHUP or by a change of the files; what cannot be used is refused with every
finding in the log, and the rules in use stay. A topology is asked for by the `context` topic, and by dependencies that
age out. Each is made in a thread, so that the stream goes on, one after the other. Stages do the swap themselves.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from watchfiles import Change, DefaultFilter, awatch

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import Settings
from opsbridge.stream.estate import Estate, difference, topology_difference, with_new_rules, with_new_topology
from opsbridge.stream.stages import Stages
from opsbridge.topology.live import LiveTopology
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

QUIET_MS: Final = 200
"""Files are read when none of them has changed for so long: a set is written file by file..."""

LONGEST_MS: Final = 2_000
"""...or, if that goes on and on, after so long."""


GATHER_SECONDS: Final = 2.0
"""A topology is built when the topic has said nothing about it for so long: an inventory comes record by record..."""

GATHER_LONGEST: Final = 10.0
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
    """Takes over the rules of the files, and the live topology, whenever asked, one time after the other."""

    def __init__(self, settings: Settings, stages: Stages, metrics: Metrics, live: LiveTopology) -> None:
        self._settings, self._stages, self._metrics, self._live = settings, stages, metrics, live
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._built = live.version

    def request(self) -> None:
        """Look at the rules again; asking many times in a row is asking once."""
        self._wanted.set()

    async def run(self) -> None:
        """Do what is requested, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            async with self._one_at_a_time:
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

    # topology

    def topology_changed(self) -> None:
        """The `context` topic has said something of CIs or dependencies."""
        self._news.set()

    async def take_up(self) -> None:
        """Before lanes open: the topology as the topic, read to its end, says that it is."""
        self._news.clear()
        if len(self._live):
            await self._rebuild()

    async def follow(self) -> None:
        """Take over what has been said and what has aged out, until cancelled."""
        while True:
            if await self._something_new():
                await self._gathered()
            async with self._one_at_a_time:
                await self._rebuild()

    async def _something_new(self) -> bool:
        """Wait until something was said, or some dependency ages out; whether it was said."""
        due = self._live.due()
        wait = None if due is None else max(0.0, due / 1000 - time.time())
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _gathered(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + GATHER_LONGEST
        while True:
            self._news.clear()
            try:
                async with asyncio.timeout_at(min(end, loop.time() + GATHER_SECONDS)):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _rebuild(self) -> None:
        """Build the topology of what counts now, and let the stages have it if it is another one."""
        live, old = self._live, self._stages.estate
        self._metrics.aged_out(live.expire(time.time_ns() // 1_000_000))
        if live.version == self._built:
            return
        self._built = live.version
        try:
            new = await asyncio.to_thread(with_new_topology, old, live.snapshot(), self._settings)
        except Exception:  # what others write must not end a worker
            log.exception("live topology refused: this is a defect of OpsBridge")
            log.error("topology with digest %s stays in use", old.topology)
            self._metrics.reload_failed()
            return
        if new is not old:
            self._stages.estate = new
            new.context.bind(new.graph)
        self._metrics.live_topology(len(live), len(new.misfits))
        if new.topology != old.topology:
            what = topology_difference(old, new)
            began = "topology changed" if len(old.live) else "live topology, against the files alone"
            log.info("%s: %s; digest %s -> %s", began, what, old.topology, new.topology)
            self._metrics.topology_changed(time.time())
            announce(new, self._metrics)
        for misfit in set(new.misfits).difference(old.misfits):
            log.warning("live topology: %s %s: %s", misfit.kind, misfit.reference, "; ".join(misfit.evidence))

    # rules

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
