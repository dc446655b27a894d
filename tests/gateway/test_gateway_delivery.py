"""Once the answer was 2xx the record is there, whatever happens to the broker or to the gateway."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from gateways import CREDENTIALS, TOKEN, Site, event, records, settings_for, site

from kafka_server import Kafka
from opsbridge.devbroker import ThreadedDevBroker

POST: Final = "/api/v1/events/canonical"


async def ids(site: Site) -> list[str]:
    return [json.loads(record.value)["id"] for record in await site.written()]


async def test_while_the_broker_is_away_senders_are_told_to_come_again(own_kafka: Kafka) -> None:
    limits = {"credentials": CREDENTIALS, "patience": 2}
    async with site(settings_for(own_kafka.bootstrap_servers, "gw.", limits)) as here:
        assert (await here.post(event(0))).status_code == 202
        own_kafka.kill()
        answers = await asyncio.gather(*(here.post(event(number)) for number in range(1, 20)))
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["error"] for answer in answers} == {"busy"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert (await here.http.get("/healthz")).status_code == 200
        own_kafka.start()
        sent = {"e0"}
        async with asyncio.timeout(60):
            for number in range(20, 40):  # as a sender does that tries again
                while (await here.post(event(number))).status_code != 202:  # noqa: ASYNC110 # it comes back
                    await asyncio.sleep(0.02)
                sent.add(f"e{number}")
        found = await ids(here)
        assert sent <= set(found)
        assert len(found) == len(set(found))
        assert await here.metric("opsbridge_gateway_in_flight_bytes") == 0


async def test_requests_that_come_together_leave_together(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = unique("gw") + "."
    async with site(settings_for(kafka.bootstrap_servers, prefix, {"credentials": CREDENTIALS})) as here:
        answers = await asyncio.gather(*(here.post([event(n * 10 + m) for m in range(10)]) for n in range(30)))
        assert {answer.status_code for answer in answers} == {202}
        assert sorted(await ids(here)) == sorted(f"e{number}" for number in range(300))


class Command:
    """`opsbridge gateway` as a process."""

    def __init__(self, process: Process, log: list[str]) -> None:
        self.process = process
        self.log = log

    async def said(self, words: str) -> str:
        """The next line of the log with these words."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := (await self.process.stderr.readline()).decode():
                self.log.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it did not say {words!r}: {''.join(self.log)}")

    async def ended(self) -> int:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            self.log.append((await self.process.stderr.read()).decode())
            return await self.process.wait()


@asynccontextmanager
async def command(folder: Path, *flags: str, **environment: str) -> AsyncIterator[Command]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPSBRIDGE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "opsbridge.cli", "gateway", "--set", "gateway.port=0", *flags),
        cwd=folder,
        env=clean | environment,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield Command(process, [])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        for stream in (process.stdout, process.stderr):
            stream._transport.close()  # type: ignore[union-attr] # asyncio leaves that to the collector


async def test_a_signal_ends_it_in_order_while_requests_come(tmp_path: Path) -> None:
    """Every request that got 202 is there, and none gets an answer that is neither 202 nor 503."""
    with ThreadedDevBroker() as kafka:
        flags = ("-b", kafka.bootstrap_servers, "--set", "topics.prefix=gw.", "--set", "topics.partitions=2")
        async with command(tmp_path, *flags, OPSBRIDGE_GATEWAY__CREDENTIALS=CREDENTIALS) as running:
            address = (await running.said("the gateway listens on")).split(" on ")[1].split()[0]
            taken: set[str] = set()
            others: set[int] = set()

            async def send(first: int) -> None:
                async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {TOKEN}"}) as http:
                    with contextlib.suppress(httpx.TransportError):
                        for number in range(first, first + 100_000):
                            answer = await http.post(POST, json=event(number))
                            if answer.status_code == 202:
                                taken.add(f"e{number}")
                            else:
                                others.add(answer.status_code)

            sending = [asyncio.create_task(send(client * 1_000_000)) for client in range(8)]
            async with asyncio.timeout(30):
                while len(taken) < 100:  # noqa: ASYNC110 # it is another process that goes on
                    await asyncio.sleep(0.01)
            running.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*sending)
            assert await running.ended() == 0
            assert "Traceback" not in "".join(running.log)
            assert TOKEN not in "".join(running.log)
            settings = settings_for(kafka.bootstrap_servers, "gw.", {})
            found = {json.loads(record.value)["id"] for record in await records(settings, "gw.events.v1")}
        assert taken <= found
        assert others <= {503}


async def test_credentials_and_certificate_are_read_again_on_a_signal(tmp_path: Path) -> None:
    certificate(tmp_path, "one")
    credentials = tmp_path / "credentials"
    credentials.write_text("canonical token the-first-token-of-all\n")
    with ThreadedDevBroker() as kafka:
        settings = {
            "gateway.tls_certfile": "tls.pem",
            "gateway.tls_keyfile": "tls.key",
            "gateway.credentials_file": "credentials",
        }
        flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        async with command(tmp_path, "-b", kafka.bootstrap_servers, *flags) as running:
            address = (await running.said("the gateway listens on https://")).split(" on ")[1].split()[0]

            async def told(token: str, authority: str) -> int:
                context = ssl.create_default_context(cafile=str(tmp_path / f"{authority}.pem"))
                async with httpx.AsyncClient(base_url=address, verify=context) as http:
                    answer = await http.post(POST, json=event(1), headers={"authorization": f"Bearer {token}"})
                    return answer.status_code

            assert await told("the-first-token-of-all", "one") == 202
            credentials.write_text("canonical token the-second-token-of-all\n")
            certificate(tmp_path, "two")
            running.process.send_signal(signal.SIGHUP)
            await running.said("credentials were read again: 1")
            assert await told("the-first-token-of-all", "two") == 401
            assert await told("the-second-token-of-all", "two") == 202
            credentials.write_text("canonical token short\n")
            running.process.send_signal(signal.SIGHUP)
            await running.said("credentials stay as they were")
            assert await told("the-second-token-of-all", "two") == 202


def certificate(folder: Path, name: str) -> None:
    """Makes a certificate that signs itself the one of the gateway; `name` is a copy of it."""
    key, made = folder / "tls.key", folder / "tls.pem"
    call = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    more = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*call.split(), *more], check=True, capture_output=True)
    (folder / f"{name}.pem").write_bytes(made.read_bytes())


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--set", "gateway.host=0.0.0.0"), 2, "gateway.host 0.0.0.0 is not loopback:\n  - without TLS"),
        (("--set", "gateway.host=::", "--insecure-http"), 2, "without credentials, anybody can send events"),
        (("--set", "gateway.tls_certfile=x"), 2, "tls_certfile: no such file: x; tls_certfile and tls_keyfile belong"),
        (("--set", "gateway.credentials=canonical token x"), 2, "line 1: the secret is shorter than 16 characters"),
        (("--set", "gateway.credentials=nosuch token 0123456789abcdef"), 2, "there is no source nosuch"),
        (("--set", "gateway.host=192.0.2.1", "--insecure-http", "--no-auth"), 2, "cannot listen on 192.0.2.1:0"),
        (("-b", "127.0.0.1:1"), 3, "no broker at 127.0.0.1:1"),
    ],
)
async def test_what_it_does_not_start_with(tmp_path: Path, flags: tuple[str, ...], code: int, words: str) -> None:
    async with command(tmp_path, *flags) as running:
        assert await running.ended() == code
        told = "".join(running.log)
        assert words in told
        assert "Traceback" not in told
