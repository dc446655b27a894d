"""What recipes need: the configuration as the pages show it, the real tool as a process, and what came of it in Kafka.

A page is the source: `shown` takes a block of code from it and `filled` puts the test's own ports and paths in place of
those that the page names, each of which must be there.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import urllib.request
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Any, Final

import orjson
import pytest
from installation import Installation

from opsbridge.devbroker import Settings, ThreadedDevBroker
from opsbridge.settings import ENV_PREFIX
from pages import blocks, page

LOCAL: Final = "127.0.0.1"
PATIENCE: Final = 40.0
PACKAGES: Final = {
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "icinga2": "icinga2",
    "rsyslogd": "rsyslog",
    "logger": "bsdutils",
    "snmptrapd": "snmptrapd",
    "snmptrap": "snmp",
    "curl": "curl",
}
"""Command -> its package in Debian 12."""


def tool(name: str) -> str:
    """The path of a tool; the test fails where it is not installed (`TOOLS_TESTS` says whether it runs at all)."""
    found = which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin")))
    if found is None:
        pytest.fail(f"there is no `{name}`: install the package {PACKAGES[name]} (names are Debian's)")
    return found


def shown(name: str, language: str, number: int = 0) -> str:
    """A block of code of `docs/sources/NAME.md` (or of another page, by its path)."""
    return blocks(page(name if "/" in name else f"docs/sources/{name}.md"), language)[number]


def filled(text: str, places: Mapping[str, object]) -> str:
    """The text with other words in some places."""
    for word, instead in places.items():
        assert word in text, f"the page does not say {word} any more"
        text = text.replace(word, str(instead))
    return text


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


class Running:
    """A process, and what it says."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[str] = []
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            async with self._news:
                self.said.append(line.decode(errors="replace").rstrip())
                self._news.notify_all()

    @property
    def log(self) -> str:
        return "\n".join(self.said[-60:])

    async def says(self, pattern: str) -> str:
        """Wait until a line matches; its first group."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                while not (found := next((hit for line in self.said if (hit := re.search(pattern, line))), None)):
                    assert not self._reading.done(), self.log
                    await self._news.wait()
                return found[1] if found.re.groups else found[0]
        except TimeoutError:
            pytest.fail(f"it never said {pattern}:\n{self.log}")

    async def kill(self) -> None:
        """Kill it with its children, all of which are of its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def running(*command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Running]:
    """The command as a process of its own group, killed at the end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, env=clean | dict(env or {}), start_new_session=True
    )
    made = Running(process)
    try:
        yield made
    finally:
        await made.kill()


@asynccontextmanager
async def gateway(live: Installation, port: int = 0) -> AsyncIterator[tuple[Running, str]]:
    """`opsbridge gateway` of an installation, and its address."""
    settings = ["--set", f"topics.prefix={live.settings.topics.prefix}", "--set", f"gateway.port={port}"]
    async with opsbridge("gateway", "-b", live.settings.kafka.bootstrap_servers, *settings) as made:
        yield made, await made.says(r"listens on (http://[0-9.:]+)")


@asynccontextmanager
async def syslog(live: Installation, *flags: str) -> AsyncIterator[Running]:
    """`opsbridge syslog` of an installation."""
    where = ["-b", live.settings.kafka.bootstrap_servers, "--set", f"topics.prefix={live.settings.topics.prefix}"]
    async with opsbridge("syslog", *flags, *where, "--metrics", "none") as made:
        await made.says("syslog is taken")
        yield made


def opsbridge(*arguments: str) -> "contextlib.AbstractAsyncContextManager[Running]":
    return running(sys.executable, "-m", "opsbridge.cli", *arguments, "--set", "log.format=json")


@asynccontextmanager
async def installation(folder: Path, *cis: str) -> AsyncIterator[Installation]:
    """An embedded broker, and a worker with these CIs."""
    estate = folder / "estate"
    estate.mkdir()
    topology = orjson.dumps({"cis": [{"id": ci} for ci in cis]})
    with ThreadedDevBroker(settings=Settings(min_session_timeout=0.1, initial_rebalance_delay=0.0)) as broker:
        async with Installation(broker.bootstrap_servers, "recipe", estate, topology) as live:
            await live.worker()
            yield live


Told = Mapping[str, Any]
"""A record of the topic `alerts`."""


async def alerts(live: Installation, holds: Callable[[list[Told]], bool], tool: Running | None = None) -> list[Told]:
    """The changes of alerts, as soon as it holds for them."""
    found: list[Told] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds(found):
                packs = [json.loads(record.value) for record in await live.read("alerts") if record.value]
                found = sorted((one for pack in packs for one in pack), key=lambda one: one["position"])
    except TimeoutError:
        dead = [record.value for record in await live.read("dead-letters")]
        errors = "\n".join(worker.errors for worker in live.workers)
        pytest.fail(f"alerts: {found}\ndead letters: {dead}\n{tool.log if tool else ''}\n{errors}")
    return found


def get(address: str) -> Any:
    """The JSON that an address answers with."""
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 # of a tool of the test
        return json.loads(answer.read())


def post(address: str, content: object) -> None:
    """Post JSON."""
    request = urllib.request.Request(  # noqa: S310
        address, orjson.dumps(content), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
