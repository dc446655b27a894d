"""rsyslog forwards to the syslog listener, as docs/sources/syslog.md says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from installation import Installation
from recipe import Running, alerts, filled, free_port, installation, running, shown, syslog, tool

pytestmark = pytest.mark.tools


@asynccontextmanager
async def rsyslog(folder: Path, port: int) -> AsyncIterator[tuple[Running, Path]]:
    """rsyslog with the configuration of the page, and the socket that programs log to."""
    socket = folder / "log"
    config = folder / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{folder}")\n'
        'module(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{socket}" ParseTrusted="off")\n'
        + filled(shown("syslog", "rsyslog"), {"5514": port, 'resumeInterval="5"': 'resumeInterval="1"'})
    )
    command = [tool("rsyslogd"), "-n", "-f", str(config), "-i", str(folder / "rsyslogd.pid")]
    async with running(*command) as made, asyncio.timeout(20):
        while not socket.exists():  # noqa: ASYNC110 # it says nothing when it is there
            await asyncio.sleep(0.02)
        yield made, socket


async def log(socket: Path, priority: str, text: str) -> None:
    """Log as programs do."""
    more = ["--socket", str(socket), "--socket-errors=on"]
    async with running(tool("logger"), "--priority", priority, "--tag", "linkd", *more, text) as made:
        assert await made.process.wait() == 0, made.log


async def test_what_is_logged_while_the_listener_is_away_arrives_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    async with installation(tmp_path) as live, rsyslog(tmp_path, port) as (there, socket):
        async with syslog(live, "--tcp", str(port)) as listener:
            await log(socket, "daemon.crit", "port 3 is down")
            await log(socket, "daemon.info", "nobody wants to know")
            (crit,) = await alerts(live, lambda told: len(told) == 1, there)
            await listener.kill()
        await log(socket, "daemon.err", "first while it is away")  # the sender may not know yet that nobody reads
        await log(socket, "cron.err", "second")
        await log(socket, "mail.err", "third")
        async with syslog(live, "--tcp", str(port)):
            events = await live_events(live, there)
    assert (crit["change"], crit["class"], crit["summary"]) == ("opened", "linkd", "port 3 is down")
    assert {b"second", b"third"} <= {value.rpartition(b"linkd - - - ")[2].strip() for value in events}, events


async def live_events(live: Installation, there: Running) -> list[bytes]:
    """The input topic, once the last message is in it."""
    async with asyncio.timeout(30):
        while True:
            found = [record.value or b"" for record in await live.read("events")]
            if any(b"third" in value for value in found):
                return found
            assert there.process.returncode is None, there.log
