"""A worker: loads topology and rules, makes sure of the topics, and runs the stages until it is told to stop.

Everything is whole before the first event is read, the context too; what is wrong with files, settings or topics ends
it here with an error that names the place. `opsbridge run` calls this; the demo and the tests run that command.
"""

import asyncio
import gc
import logging
import signal
from typing import Final

from faust.types import TP

from opsbridge.settings import Settings
from opsbridge.stream.app import WorkerApp, create_app, run_worker
from opsbridge.stream.context import ContextReader
from opsbridge.stream.errors import WorkerError
from opsbridge.stream.estate import load_estate
from opsbridge.stream.reload import Reloading, announce
from opsbridge.stream.stages import Stages
from opsbridge.stream.topics import ensure_topics
from opsbridge.topology.live import LiveTopology
from opsbridge.web.metrics import Metrics
from opsbridge.web.readiness import Readiness
from opsbridge.web.server import create_web, serving

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 2.0


async def serve(settings: Settings, *, metrics: Metrics, readiness: Readiness) -> None:
    """Run a worker until SIGTERM or SIGINT; rules are taken over on SIGHUP and, if `paths.watch`, when they change.

    Raises an `OpsBridgeError` with its exit code: files or settings that cannot be used (2), no broker (3), or state
    that could not be read or saved (1).
    """
    estate = load_estate(settings)
    announce(estate, metrics)
    report = await ensure_topics(settings)
    report.require()
    for finding in report.findings:
        log.warning("topic %s", finding)
    readiness.topics_verified = True
    app = create_app(settings)
    live = LiveTopology(round(settings.topology.observed_ttl * 1000))
    reloading = Reloading(settings, Stages(app, estate, metrics), metrics, live)
    context = ContextReader(settings, estate.context, live, metrics, reloading.topology_changed)

    async def assigned(*_: object, **__: object) -> None:
        readiness.assigned = readiness.recovered = True  # Faust's signal comes after recovery
        owned = sum(tp.topic in stage.topics for stage in app.stages for tp in app.consumer.assignment())
        log.info("state is recovered; at work on %d partitions", owned)

    async def revoked(*_: object, **__: object) -> None:
        readiness.assigned = readiness.recovered = False

    app.on_rebalance_complete.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    async with context:
        await reloading.take_up()
        # What has been loaded lives long: the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        await _run(app, settings, metrics, readiness, reloading, context)


async def _run(
    app: WorkerApp,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    reloading: Reloading,
    context: ContextReader,
) -> None:
    """Run the stages, and beside them what watches, reloads and learns."""
    async with serving(settings.web, create_web(metrics, readiness)):
        besides = [
            asyncio.create_task(_watch(app, metrics, readiness)),
            asyncio.create_task(reloading.run()),
            asyncio.create_task(reloading.follow()),
            asyncio.create_task(_follow(context, app)),
        ]
        if settings.paths.watch:
            besides.append(asyncio.create_task(reloading.watch()))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, reloading.request)
        try:
            await run_worker(app)
            log.info("the worker has ended")
        finally:
            readiness.stopping = True
            loop.remove_signal_handler(signal.SIGHUP)
            for task in besides:
                task.cancel()


async def _follow(context: ContextReader, app: WorkerApp) -> None:
    """Learn what comes; without it the worker would decide otherwise than it should."""
    try:
        await context.follow(app.writer)
    except Exception as error:  # noqa: BLE001 # whatever it is ends the worker, with its place
        app.fail(WorkerError(f"context: {type(error).__name__}: {error}"))


async def _watch(app: WorkerApp, metrics: Metrics, readiness: Readiness) -> None:
    """Every few seconds: does a broker answer, and how far behind are we?"""
    told: set[TP] = set()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if readiness.assigned and await app.writer.broker_answers():
            readiness.broker_seen()
        lags = app.lags() if readiness.assigned else {}
        for tp, lag in lags.items():
            metrics.lag(tp.topic, tp.partition, lag)
        for tp in told - lags.keys():
            metrics.forget_lag(tp.topic, tp.partition)
        told = set(lags)
