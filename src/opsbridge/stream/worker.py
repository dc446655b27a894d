"""A worker: reads the estate and the rules, makes sure of the topics, and runs the stages until it is told to stop.

Everything is whole before the first event is read; what is wrong with files, settings or topics ends it here with an
error that names the place. `opsbridge run` calls this; the demo and the tests run that command.
"""

import gc
import logging
from contextlib import AsyncExitStack
from typing import Final

from opsbridge.core.event import Judge
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake
from opsbridge.rules.judge import compile_rules
from opsbridge.rules.load import load_rules
from opsbridge.settings import Settings, SettingsError
from opsbridge.stream.app import create_app, run_worker
from opsbridge.stream.stages import Stages
from opsbridge.stream.topics import ensure_topics
from opsbridge.topology.load import load_topology
from opsbridge.web.metrics import Metrics
from opsbridge.web.server import Readiness, serve_web

log = logging.getLogger(__name__)

SOURCES: Final = ("auto", "canonical")


async def serve(settings: Settings, *, metrics: Metrics, readiness: Readiness) -> None:
    """Run a worker until SIGTERM or SIGINT.

    Raises an `OpsBridgeError` with its exit code: files or settings that cannot be used (2), no broker (3), or state
    that could not be read or saved (1).
    """
    _require_known_sources(settings)
    graph, judge = load_estate(settings, metrics)
    report = await ensure_topics(settings)
    report.require()
    for finding in report.findings:
        log.warning("topic %s", finding)
    readiness.passed("topics")
    app = create_app(settings)
    Stages(app, Intake(graph, judge), graph, metrics)
    app.on_rebalance_complete.connect(lambda *_, **__: readiness.passed("assignment"), weak=False)
    app.on_partitions_revoked.connect(lambda *_, **__: readiness.waiting_for("assignment"), weak=False)
    # What has been loaded lives as long as the worker: the garbage collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    async with AsyncExitStack() as stack:
        if settings.web.enabled:
            await stack.enter_async_context(serve_web(settings.web, metrics, readiness))
        await run_worker(app)


def load_estate(settings: Settings, metrics: Metrics) -> tuple[CIGraph, Judge]:
    """The CI graph and the compiled rules of these settings; raises their errors with file, line and column."""
    topology = load_topology([settings.paths.topology])
    files = load_rules([settings.paths.rules])
    for finding in (*topology.findings, *files.findings):
        log.warning("%s", finding)
    rules = compile_rules(files.rules)
    metrics.loaded(cis=len(topology.graph), edges=topology.graph.edges, rules=len(files.rules))
    return topology.graph, rules.judge


def _require_known_sources(settings: Settings) -> None:
    unknown = [
        f"topics.inputs: {each.topic}: source {each.source!r} is not known (known: {', '.join(SOURCES)})"
        for each in settings.topics.inputs
        if each.source not in SOURCES
    ]
    if unknown:
        raise SettingsError(unknown)
