"""The Faust application, set up so that nothing is lost, and the function that runs it.

`create_app` settles every option that matters here; stages and state tables are added before `run_worker`, which runs
the application in the caller's event loop until it is asked to stop or something fails. Whatever fails anywhere
(a stage, a flush, recovery, a Faust service) ends the worker with that one reason: a supervisor starts it again.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import faust
from aiokafka.errors import KafkaConnectionError
from faust.types import TP, AgentT, AppT
from mode import CrashingSupervisor
from yarl import URL

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import Settings
from opsbridge.stream.batches import BatchConsumer, BatchTransport
from opsbridge.stream.connection import faust_credentials
from opsbridge.stream.errors import BrokerUnreachableError, WorkerError
from opsbridge.stream.lanes import Stage, StageFunction
from opsbridge.stream.logs import limit_library_logs
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.recovery import StrictTables
from opsbridge.stream.tables import StateTable

log = logging.getLogger(__name__)

# A stage has this long to finish the batch in hand when partitions move, within the group's rebalance time-out...
REBALANCE_TIMEOUT = 60.0
REVOCATION_PATIENCE = 30.0
# ...and this long when the worker is asked to stop, within what supervisors usually grant.
STOP_PATIENCE = 1.5
STOP_TIMEOUT = 10.0
# After a failure nothing is worth waiting for: an unacknowledged batch would be repeated for ever.
FAILED_STOP_TIMEOUT = 2.0
COMMIT_TIMEOUT = 5.0
COMMIT_INTERVAL = 1.0
# Counts batches, not records: two in the queue, the rest stays with the broker.
BUFFERED_BATCHES = 4


class WorkerApp(faust.App):
    """A Faust application with stages, state tables and one way to fail."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        super().__init__(
            kafka.group_id,
            broker=[URL(f"kafka://{server}") for server in kafka.servers],
            broker_client_id=kafka.client_id,
            broker_credentials=faust_credentials(kafka),
            broker_session_timeout=kafka.session_timeout,
            broker_heartbeat_interval=kafka.heartbeat_interval,
            broker_request_timeout=kafka.request_timeout,
            broker_rebalance_timeout=REBALANCE_TIMEOUT,
            broker_max_poll_records=kafka.max_poll_records,
            broker_commit_interval=COMMIT_INTERVAL,
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            processing_guarantee="at_least_once",
            key_serializer="raw",
            value_serializer="raw",
            stream_buffer_maxsize=BUFFERED_BATCHES,
            stream_wait_empty=False,  # `release_partitions` waits, for what is in work only
            store="memory://",
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=settings.topics.partitions,
            web_enabled=False,
            # Two workers on one host must differ: the assignor keeps a map by this name.
            canonical_url=URL(f"worker://{socket.gethostname()}/{os.getpid()}"),
            worker_redirect_stdouts=False,
            agent_supervisor=CrashingSupervisor,
            TableManager=StrictTables,
            autodiscover=False,
        )
        self.settings = settings
        self.writer = BatchWriter(kafka)
        self.transport = BatchTransport(self.conf.broker_consumer, self)
        self.stages: list[Stage] = []
        self._failure: BaseException | None = None
        self._end = asyncio.Event()
        self._releasing = asyncio.Lock()
        self._home: asyncio.AbstractEventLoop | None = None
        self.on_rebalance_complete.connect(self._open_lanes)  # type: ignore[arg-type] # its sender comes first

    # What is built on it.

    def add_table(self, name: str, changelog: str) -> StateTable:
        """A state table saved in topic `changelog`; its partitions follow those of the stage that uses it."""
        table = StateTable(self, name=name, changelog=changelog, writer=self.writer)
        self.tables.add(table)
        return table

    def add_stage(
        self, name: str, topics: Sequence[str], run: StageFunction, *, tick_seconds: float | None = None
    ) -> Stage:
        """Run `run(lane)` for each owned partition of `topics`, once its state is complete."""
        stage = Stage(name, tuple(topics), run, tick_seconds, self.fail)
        channel = self.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self.agent(channel, name=name)(stage.route)  # type: ignore[arg-type] # Faust hands out Stream
        self.stages.append(stage)
        return stage

    def outbox(self) -> Outbox:
        """A new outbox on the worker's producer."""
        return Outbox(self.writer)

    def lags(self) -> dict[TP, int]:
        """How many records of each owned partition of the stages' topics have been fetched by nobody yet."""
        consumer = self._batch_consumer
        topics = {topic for stage in self.stages for topic in stage.topics}
        lags: dict[TP, int] = {}
        for tp in consumer.assignment():
            done, end = consumer._committed_offset.get(tp), consumer.highwater(tp)
            if tp.topic in topics and end is not None:
                lags[tp] = max(0, end - (done or 0))
        return lags

    @property
    def _batch_consumer(self) -> BatchConsumer:
        assert isinstance(self.consumer, BatchConsumer)  # noqa: S101 # set by our transport
        return self.consumer

    def spans(self, topics: Iterable[str], partition: int) -> dict[str, tuple[int, int]]:
        """Of each topic of an owned partition: from where it is read since it is ours, and where it ended then.

        The end is the offset that the next record got; the two are equal if there was nothing to read. Raises
        `WorkerError` if a topic is not ours with the others.
        """
        known = self._batch_consumer.spans
        if missing := [topic for topic in topics if TP(topic, partition) not in known]:
            raise WorkerError(f"{missing[0]}[{partition}] is not there any more: was the topic deleted?")
        return {topic: known[TP(topic, partition)] for topic in topics}

    # The one way to fail, and the one to stop.

    def fail(self, reason: BaseException) -> None:
        """End the worker for `reason`; the first reason counts. May be called from any thread."""
        if self._failure is None:
            self._failure = reason
            self.request_stop()

    @property
    def failure(self) -> BaseException | None:
        """Why the worker must end, if it must."""
        return self._failure

    def request_stop(self) -> None:
        """End the worker in order. May be called from any thread."""
        if self._home is None:
            self._end.set()
        else:
            self._home.call_soon_threadsafe(self._end.set)

    async def run_until_ended(self) -> None:
        """Start, and return when somebody asked to stop or something failed; `failure` tells which."""
        self._home = asyncio.get_running_loop()
        await self.writer.start()
        starting = asyncio.create_task(self._start())
        await self._end.wait()
        if not starting.done():
            starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting

    async def _start(self) -> None:
        try:
            await self.start()
        except KafkaConnectionError as error:
            self.fail(BrokerUnreachableError(f"no broker at {self.settings.kafka.bootstrap_servers}: {error}"))
        except Exception as error:  # noqa: BLE001 # whatever it is, the worker cannot run
            self.fail(error)

    def _crash(self, reason: BaseException) -> None:
        self.fail(reason)
        super()._crash(reason)

    async def _on_agent_error(self, agent: "AgentT[Any]", exc: BaseException) -> None:  # noqa: ARG002 # Faust's hook
        self.fail(exc)

    # Partitions come and go.

    async def _open_lanes(self, _app: AppT, **_: object) -> None:
        assignment = self.consumer.assignment()
        consumer = self._batch_consumer
        for stage in self.stages:
            owned = [tp.partition for tp in assignment if tp.topic in stage.topics]
            stage.open(owned, self.consumer_generation_id, consumer.acknowledge)

    async def release_partitions(self, patience: float = REVOCATION_PATIENCE) -> None:
        """Finish the batches in hand, commit them, and forget the state of every partition."""
        async with self._releasing:  # a worker may be told to stop while partitions are being revoked
            finished = await asyncio.gather(*(stage.close(patience) for stage in self.stages))
            if not all(finished):
                slow = ", ".join(stage.name for stage, done in zip(self.stages, finished, strict=True) if not done)
                self.fail(WorkerError(f"stages that did not finish their batch within {patience} s: {slow}"))
            with suppress(TimeoutError):  # uncommitted batches are read again and recognised
                async with asyncio.timeout(COMMIT_TIMEOUT):
                    await self.consumer.commit()
            assert isinstance(self.tables, StrictTables)  # noqa: S101 # set in __init__
            self.tables.forget()

    def _create_directories(self) -> None:
        """Nothing: no state is kept on disk."""


def create_app(settings: Settings) -> WorkerApp:
    """An application without stages; raises `SettingsError` if the connection settings cannot be used."""
    limit_library_logs()
    return WorkerApp(settings)


async def run_worker(app: WorkerApp, *, handle_signals: bool = True) -> None:
    """Run `app` until SIGTERM, SIGINT or `app.request_stop()`, then stop it in order.

    Raises the reason if the worker had to end: an `OpsBridgeError` with its exit code.
    Nothing is committed then that was not finished.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT) if handle_signals else ()
    for number in signals:
        loop.add_signal_handler(number, app.request_stop)
    try:
        await app.run_until_ended()
    finally:
        await _stop(app)
        for number in signals:
            loop.remove_signal_handler(number)
    if isinstance(app.failure, OpsBridgeError):
        raise app.failure
    if app.failure is not None:
        raise WorkerError(f"the worker failed: {type(app.failure).__name__}: {app.failure}") from app.failure


async def _stop(app: WorkerApp) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT if app.failure is None else FAILED_STOP_TIMEOUT):
            if app.failure is None and app.started:
                await app.release_partitions(STOP_PATIENCE)
            else:
                await asyncio.gather(*(stage.close(0) for stage in app.stages))
            await app.stop()
            await app.writer.stop()
    except Exception as error:  # noqa: BLE001 # the worker ends anyway; the reason for it must not be hidden by this
        log.warning("stopping did not go in order: %r", error)
