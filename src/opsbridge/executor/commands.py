"""Running one program: no shell, nothing of our own environment, a bounded time and a bounded output.

The program leads a process group of its own. When it ends, is out of time or is cancelled, the whole group ends with
it; only a process that has left the group on purpose outlives it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Final

from opsbridge.executor.actions import Action, Command
from opsbridge.executor.orders import Ended, Order

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that a program finds, beside what its action says and the OPSBRIDGE_ variables of the order."""

POLITE_SECONDS: Final = 1.0
"""Between SIGTERM and SIGKILL."""

_DRAIN_SECONDS: Final = 0.5
"""How long to wait for output that a process outside the group may still hold open."""


class Tail:
    """The end of what was said, within a limit of characters."""

    __slots__ = ("_kept", "_limit", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._size = 0

    def add(self, more: bytes) -> None:
        """Something more was said."""
        self._size += len(more)
        self._kept += more
        del self._kept[: -self._limit * 4 or len(self._kept)]  # a character has at most four bytes

    def text(self) -> str:
        """The end as text; what is no UTF-8 is replaced, and that something is missing is told first."""
        known = self._kept.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        kept = known[-self._limit :] if self._limit else ""
        if self._size == len(self._kept) and kept == known:
            return kept
        return f"[the end of {self._size} bytes]\n{kept}"


async def run_command(
    action: Action, command: Command, values: Mapping[str, str], order: Order, within: float
) -> Ended:
    """Run the program to its end, or for `within` seconds; cancelling this ends the program too."""
    arguments = [argument.filled(values) for argument in command.arguments]
    told = Tail(action.output_limit)
    reading, writing = os.pipe()
    # a pipe of our own: waiting for asyncio's would also wait for whoever inherited it
    output = await _listen(reading, told)
    try:
        process = await asyncio.create_subprocess_exec(
            command.program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            cwd=command.working_directory,
            env={**ENVIRONMENT, **_described(order), **command.environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        output.close()
        return Ended("failed", f"{command.program} could not be started: {error}")
    finally:
        os.close(writing)
    try:
        async with asyncio.timeout(within):
            await process.wait()
        timed_out = False
    except TimeoutError:
        timed_out = True
        await _end_politely(process)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await output.closed
        except TimeoutError:
            output.close()
    if timed_out:
        return Ended("failed", f"killed: it ran longer than {within:.1f} s\n{told.text()}".strip())
    code = process.returncode
    return Ended("succeeded" if code == 0 else "failed", told.text(), code)


def _described(order: Order) -> dict[str, str]:
    return {
        "OPSBRIDGE_IDEMPOTENCY_KEY": order.key,
        "OPSBRIDGE_RESPONSE": order.response,
        "OPSBRIDGE_SITUATION": order.situation,
        "OPSBRIDGE_ATTEMPT": str(order.attempt),
    }


class _Output(asyncio.Protocol):
    """Takes in what comes out of a pipe; `closed` is done when nothing more can come."""

    def __init__(self, told: Tail) -> None:
        self._told = told
        self._transport: asyncio.BaseTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._told.add(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the signature is asyncio's
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """Listen no longer."""
        if self._transport is not None:
            self._transport.close()


async def _listen(reading: int, told: Tail) -> _Output:
    loop = asyncio.get_running_loop()
    _, output = await loop.connect_read_pipe(lambda: _Output(told), os.fdopen(reading, "rb", 0))
    return output


async def _end_politely(process: asyncio.subprocess.Process) -> None:
    """SIGTERM to the whole group, and a moment to tidy up."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(POLITE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass


def _signal_group(leader: int, number: signal.Signals) -> None:
    # ended altogether; or, on macOS, a group of which only a zombie is left
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
