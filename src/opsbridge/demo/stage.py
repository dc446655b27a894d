"""The demo's stage: a real worker and a real executor in processes of their own, and the worker's own figures.

They are `opsbridge run` and `opsbridge executor`, configured by their environment alone and in a directory of the
demo's, so that nothing of the user's own settings comes in. Everything ends with the context manager, whatever
happened. Errors: DemoStageError.
"""

import asyncio
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import ENV_PREFIX

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0
TOLD_LOG_LINES: Final = 20


class DemoStageError(OpsBridgeError):
    """The worker or the executor did not start, or did not stay."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A process of ours, with its log."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def check(self) -> None:
        """Raise `DemoStageError` if it has ended."""
        if self.process.returncode is not None:
            raise self._failed(f"the {self.name} ended with exit code {self.process.returncode}")

    def _failed(self, what: str) -> DemoStageError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TOLD_LOG_LINES:]
        return DemoStageError("\n".join([what + "; its last lines:", *lines]))


@dataclass(frozen=True, slots=True)
class Worker(Part):
    """A running `opsbridge run`."""

    web: str

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of an address of its HTTP server; status 0 while nothing listens there."""
        return await asyncio.to_thread(_get, self.web + path)

    async def until_ready(self) -> None:
        """Return when the worker says that it is ready; raises `DemoStageError` if it ends or takes too long."""
        status, body = 0, "nothing listens yet"
        try:
            async with asyncio.timeout(READY_SECONDS):
                while status != 200:
                    self.check()
                    await asyncio.sleep(0.2)
                    status, body = await self.get("/readyz")
        except TimeoutError:
            raise self._failed(f"the worker is not ready after {READY_SECONDS:.0f} s: {body}") from None


@asynccontextmanager
async def running_worker(
    bootstrap_servers: str, topology: Path, rules: Path, known_errors: Path, directory: Path
) -> AsyncIterator[Worker]:
    """A worker on that broker, estate, rules and known errors (absolute paths), with its log in the directory.

    That is its working directory too.
    """
    port = _free_port()
    settings = {
        "KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "PATHS__TOPOLOGY": str(topology),
        "PATHS__RULES": str(rules),
        "PATHS__KNOWN_ERRORS": str(known_errors),
        "WEB__PORT": str(port),
    }
    log = directory / "worker.log"
    async with _process(["run"], settings, directory, log) as process:
        yield Worker("worker", process, log, f"http://127.0.0.1:{port}")


@asynccontextmanager
async def running_executor(bootstrap_servers: str, actions: Path, directory: Path) -> AsyncIterator[Part]:
    """An executor of these actions on that broker, whose working directory and log are `directory`'s."""
    words = ["executor", "--actions", str(actions), "--name", "demo"]
    log = directory / "executor.log"
    async with _process(words, {"KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers}, directory, log) as process:
        yield Part("executor", process, log)


@asynccontextmanager
async def _process(
    words: list[str], settings: Mapping[str, str], directory: Path, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    environment |= {ENV_PREFIX + name: value for name, value in settings.items()}
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "opsbridge.cli", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd=directory,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the demo, which stops everything in order
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 # our own http://127.0.0.1
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
