"""A worker: reads the estate and the rules, makes sure of the topics, and runs the stages until it is told to stop.

Everything is whole before the first event is read; what is wrong with files, settings or topics ends it here with an
error that names the place. `opsbridge run` calls this; the demo and the tests run that command.
"""

import asyncio
import gc
import logging
import time
from typing import Final

from faust.types import TP

from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake
from opsbridge.rules.judge import RuleSet, compile_rules
from opsbridge.rules.load import load_rules
from opsbridge.settings import Settings, SettingsError, weights
from opsbridge.stream.app import WorkerApp, create_app, run_worker
from opsbridge.stream.stages import Stages
from opsbridge.stream.topics import ensure_topics
from opsbridge.topology.load import load_topology
from opsbridge.topology.strength import edge_costs
from opsbridge.web.metrics import Metrics
from opsbridge.web.readiness import Readiness
from opsbridge.web.server import create_web, serving

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 2.0

SOURCES: Final = ("auto", "canonical")


async def serve(settings: Settings, *, metrics: Metrics, readiness: Readiness) -> None:
    """Run a worker until SIGTERM or SIGINT.

    Raises an `OpsBridgeError` with its exit code: files or settings that cannot be used (2), no broker (3), or state
    that could not be read or saved (1).
    """
    _require_known_sources(settings)
    graph, rules = load_estate(settings, metrics)
    report = await ensure_topics(settings)
    report.require()
    for finding in report.findings:
        log.warning("topic %s", finding)
    readiness.topics_verified = True
    app = create_app(settings)
    intake = Intake(graph, rules.judge, rules.joins)
    Stages(app, intake, graph, metrics, rules.profiles, weights(settings))

    async def assigned(*_: object, **__: object) -> None:
        readiness.assigned = readiness.recovered = True  # Faust's signal comes after recovery

    async def revoked(*_: object, **__: object) -> None:
        readiness.assigned = readiness.recovered = False

    app.on_rebalance_complete.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    # What has been loaded lives as long as the worker: the garbage collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    async with serving(settings.web, create_web(metrics, readiness)):
        watching = asyncio.create_task(_watch(app, metrics, readiness))
        try:
            await run_worker(app)
        finally:
            readiness.stopping = True
            watching.cancel()


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


def load_estate(settings: Settings, metrics: Metrics) -> tuple[CIGraph, RuleSet]:
    """The CI graph and the compiled rules of these settings; raises their errors with file, line and column."""
    files = load_rules([settings.paths.rules])
    rules = compile_rules(files.rules)
    topology = load_topology(
        [settings.paths.topology],
        domain_attribute=settings.correlation.domain_attribute,
        edge_costs=edge_costs(rules.edge_strengths),
    )
    for finding in (*topology.findings, *files.findings):
        log.warning("%s", finding)
    graph = topology.graph
    metrics.loaded(
        cis=len(graph),
        edges=graph.edges,
        rules=len(files.rules),
        topology=topology.digest,
        rule_set=rules.digest,
        now=time.time(),
    )
    return graph, rules


def _require_known_sources(settings: Settings) -> None:
    unknown = [
        f"topics.inputs: {each.topic}: source {each.source!r} is not known (known: {', '.join(SOURCES)})"
        for each in settings.topics.inputs
        if each.source not in SOURCES
    ]
    if unknown:
        raise SettingsError(unknown)
