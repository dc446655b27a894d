"""Recovery of state tables that stops the worker on any doubt.

Faust's own recovery logs what goes wrong ("Error in recovery ...") and goes on with state that is empty or half read;
a time-out ends it silently, and the worker then waits for ever. The classes here replace the part that applies
changelog records and make each of these an error that ends the worker. `opsbridge.stream.app` installs them.
"""

import asyncio
from collections import Counter
from typing import cast

import faust
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP
from faust.types.transports import ConsumerT
from mode import Service
from mode.services import WaitArgT

from opsbridge.stream.batches import BatchConsumer
from opsbridge.stream.errors import RecoveryError
from opsbridge.stream.tables import StateTable

# How long the changelog may be silent before we ask whether anything is left to read.
SILENCE_SECONDS = 1.0


class StrictRecovery(Recovery):
    """Faust's recovery, with errors."""

    _current = False  # whether we are between an assignment and the next revocation

    @Service.task
    async def _slurp_changelogs(self) -> None:
        queue = self.tables.changelog_queue
        while not self.should_stop:
            self.signal_recovery_end.clear()
            try:
                event = await asyncio.wait_for(queue.get(), timeout=SILENCE_SECONDS)
            except TimeoutError:
                if self.in_recovery:
                    await self._pass_over_markers()
            else:
                tp = event.message.tp
                # A partition that has left us meanwhile may still be in the queue: nobody needs its records.
                of_now = event.message.generation_id == self.app.consumer_generation_id
                if self._current and of_now and tp in self.active_tps:
                    cast("StateTable", self.tp_to_table[tp]).apply_changelog_batch([event])
                    self.active_offsets[tp] = event.message.offset
            if self.in_recovery and not self.need_recovery():
                self._set_recovery_ended()
                self.signal_recovery_end.set()

    async def _pass_over_markers(self) -> None:
        """Where the consumer stands at the end and the last offsets held no record, recovery has what there is."""
        for tp in [tp for tp, remaining in self.active_remaining().items() if remaining > 0]:
            last = self.active_highwaters[tp]
            position = await self.app.consumer.position(tp)
            if position is not None and position > last and tp in self.active_tps:
                cast("StateTable", self.tp_to_table[tp]).pass_over(tp.partition, last)
                self.active_offsets[tp] = last

    async def _wait(self, coro: WaitArgT, timeout: float | None = None) -> None:  # type: ignore[override] # noqa: ASYNC109
        """As Faust's, but a time-out is an error: Faust takes it for a stop and recovers nothing any more."""
        signal = self.signal_recovery_start
        result = await self.wait_first(coro, signal, timeout=timeout)  # type: ignore[arg-type] # as in Faust
        if result.stopped:
            if self.should_stop:
                raise ServiceStopped
            raise RecoveryError(f"the broker did not answer within {timeout} s while state was being recovered")
        if signal in result.done:  # type: ignore[comparison-overlap] # as in Faust
            raise RebalanceAgain

    async def _seek_offsets(self, consumer: ConsumerT, tps: set[TP], offsets: "Counter[TP]", title: str) -> None:
        """As Faust's, when nothing is being read any more."""
        batches = cast("BatchConsumer", consumer)
        await batches.fetch_ended()
        await super()._seek_offsets(consumer, tps, offsets, title)
        batches.count_fetches_from_zero(tps)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:  # noqa: ARG002 # Faust's signature
        """Let each table check that it has everything; then go on with the stages."""
        self._require_current()
        highwaters: dict[str, dict[int, int | None]] = {}
        for tp in self.active_tps:
            highwaters.setdefault(tp.topic, {})[tp.partition] = self.active_highwaters.get(tp)
        for table in self.tables.values():
            state = cast("StateTable", table)
            state.complete(highwaters.get(state.changelog, {}))
        await self._go_on()

    async def _resume_streams(self, generation_id: int = 0) -> None:  # noqa: ARG002 # Faust's signature
        """What Faust calls without tables."""
        self._require_current()
        await self._go_on()

    async def _go_on(self) -> None:
        """Let records flow to the stages, in an order in which none can be dropped.

        Faust resumes partitions, then seeks, then clears the queues that have been filling since.
        """
        app, consumer = cast("faust.App", self.app), cast("BatchConsumer", self.app.consumer)
        inputs = {tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)}
        await consumer.restore_positions(inputs)
        self._require_current()
        self._set_recovery_ended()
        app.flow_control.resume()
        await app.on_rebalance_complete.send()
        consumer.resume_partitions(inputs)
        consumer.resume_flow()
        self.completed.set()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()

    def _require_current(self) -> None:
        if not self._current:
            raise RebalanceAgain

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """As Faust's; from here on what is read belongs to the assignment."""
        self._current = generation_id == self.app.consumer_generation_id
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def forget(self) -> None:
        """Nothing that was known about the changelogs holds after a revocation."""
        self._current = False
        self.active_offsets.clear()
        self.active_highwaters.clear()


class StrictTables(TableManager):
    """Faust's table manager with `StrictRecovery`."""

    @property
    def recovery(self) -> StrictRecovery:
        """The recovery service, made on first use."""
        if self._recovery is None:
            self._recovery = StrictRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("StrictRecovery", self._recovery)

    def forget(self) -> None:
        """Drop the state of every partition and what recovery knew about it."""
        self.recovery.forget()
        for table in self.values():
            cast("StateTable", table).forget()
