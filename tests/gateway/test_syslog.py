"""The syslog listener with real sockets: every message that was taken is one record; nothing is lost in silence."""

import asyncio
import os
import re
import signal
import socket
import ssl
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from kafka_server import Kafka
from opsbridge.settings import Settings
from opsbridge.stream.topics import ensure_topics, topic_name
from opsbridge.syslog.peers import Address, Peers, SyslogError, Transport, read_address, read_networks
from opsbridge.syslog.service import Certificates, Duty, listening
from opsbridge.syslog.streams import Limits

LOCAL = "127.0.0.1"
EMBEDDED = pytest.mark.parametrize("kafka", ["embedded"], indirect=True)
"""For tests of what no broker has a part in: they do not run on Apache Kafka as well."""
LINE = b"<34>1 2026-11-21T21:31:43Z %s app - ID1 - %d said"
SMALL = Limits(message=2_000, connections=5, idle=20, queue=1_000_000)


class Listener:
    """One that listens on TCP and UDP (and TLS) of free ports, and what it wrote."""

    def __init__(self, kafka: Kafka, topic: str, where: Sequence[tuple[Transport, Address]], metrics: int) -> None:
        self._kafka = kafka
        self._topic = topic
        self._metrics = metrics
        self.port = {transport: address[1] for transport, address in where}

    async def records(self, count: int) -> list[Any]:
        """The records, of which there must come to be exactly `count`; in the order of their partition."""
        places = [TopicPartition(self._topic, number) for number in range(2)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka.bootstrap_servers, auto_offset_reset="earliest")
        found: list[Any] = []
        async with asyncio.timeout(20), consumer:
            consumer.assign(places)
            while len(found) < max(count, sum((await consumer.end_offsets(places)).values())):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        assert len(found) == count
        return found

    async def metrics(self) -> dict[str, float]:
        reader, writer = await asyncio.open_connection(LOCAL, self._metrics)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode().partition("\r\n\r\n")[2]
        writer.close()
        return {
            sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def until(self, name: str, value: float) -> None:
        """Wait until a metric is what it should be."""
        found: dict[str, float] = {}
        try:
            async with asyncio.timeout(15):
                while found.get(name) != value:
                    found = await self.metrics()
        except TimeoutError:
            pytest.fail(f"{name} is {found.get(name)}, not {value}")

    async def send(self, *pieces: bytes, **tls: Any) -> None:
        """Over one connection, which is closed then."""
        port = self.port["tls" if tls else "tcp"]
        _, writer = await asyncio.open_connection(LOCAL, port, **tls)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def listener(
    kafka: Kafka,
    topic: str,
    *,
    limits: Limits = SMALL,
    allow: Sequence[str] = (),
    certificates: Certificates | None = None,
) -> AsyncIterator[Listener]:
    settings = await installed(kafka, f"{topic}.")
    transports: tuple[Transport, ...] = ("tcp", "udp", "tls") if certificates else ("tcp", "udp")
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        metrics = probe.getsockname()[1]
    listen = tuple((transport, (LOCAL, 0)) for transport in transports)
    duty = Duty(listen, certificates, Peers(read_networks(allow)), limits, (LOCAL, metrics))
    async with listening(settings, duty) as where:
        yield Listener(kafka, topic_name(settings.topics, "events"), where, metrics)


async def installed(kafka: Kafka, prefix: str) -> Settings:
    """Settings whose topics are there."""
    settings = Settings.model_validate(
        {"kafka": {"bootstrap_servers": kafka.bootstrap_servers}, "topics": {"prefix": prefix, "partitions": 2}}
    )
    (await ensure_topics(settings)).require()
    return settings


async def test_a_message_is_a_record_as_it_came_with_its_peer_and_when_it_arrived(
    kafka: Kafka, unique: Callable[[str], str]
) -> None:
    before = time.time_ns() // 1_000_000
    async with listener(kafka, unique("s")) as here:
        counted, line = LINE % (b"sw-1", 1), b"<13>Nov 21 21:31:43 sw-2 app[7]: said"
        await here.send(b"%d %s%s\n" % (len(counted), counted, line), b"<13>no host and no line feed")
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(LINE % (b"sw-1", 2) + b"\n", (LOCAL, here.port["udp"]))
            udp.sendto(b"\n", (LOCAL, here.port["udp"]))
        found = {record.value: record for record in await here.records(4)}
        assert {value: record.key for value, record in found.items()} == {
            counted: b"sw-1",
            line: b"sw-2",
            b"<13>no host and no line feed": LOCAL.encode(),
            LINE % (b"sw-1", 2): b"sw-1",
        }
        for record in found.values():
            assert dict(record.headers) == {"opsbridge-source": b"syslog", "opsbridge-peer": LOCAL.encode()}
            assert before <= record.timestamp <= time.time_ns() // 1_000_000
        await here.until("opsbridge_syslog_messages_total,tcp", 3)
        await here.until("opsbridge_syslog_messages_total,udp", 1)


async def test_many_senders_at_once_lose_nothing_and_keep_the_order_of_each_host(
    kafka: Kafka, unique: Callable[[str], str]
) -> None:
    async with listener(kafka, unique("s")) as here:
        hosts = [b"h%d" % host for host in range(5)]
        lines = {host: [LINE % (host, number) for number in range(2_000)] for host in hosts}
        await asyncio.gather(*(here.send(*(line + b"\n" for line in each)) for each in lines.values()))
        found = await here.records(10_000)
    for host, each in lines.items():
        assert [record.value for record in found if record.key == host] == each


@EMBEDDED
async def test_tls_takes_octet_counting_and_asks_senders_for_a_certificate(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    ours, theirs = authority.issue_cert(LOCAL), authority.issue_cert("sender")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger = ssl.create_default_context()
    authority.configure_trust(stranger)
    known = ssl.create_default_context()
    authority.configure_trust(known)
    theirs.configure_cert(known)
    files = Certificates(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    async with listener(kafka, unique("s"), certificates=files) as here:
        line = LINE % (b"sw-1", 1)
        await here.send(b"%d %s" % (len(line), line), ssl=known)
        with pytest.raises(OSError, match=r"."):  # which of them depends on when the alert is read
            await refused_tls(here, stranger)
        await here.until("opsbridge_syslog_connections_refused_total,handshake", 1)
        assert [record.value for record in await here.records(1)] == [line]
        await here.until("opsbridge_syslog_messages_total,tls", 1)
        await here.until("opsbridge_syslog_connections", 0)


async def refused_tls(here: Listener, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection(LOCAL, here.port["tls"], ssl=context)
    try:
        writer.write(b"5 <34>x")
        await writer.drain()
        if await reader.read() == b"":
            raise ConnectionResetError("closed by the listener")
    finally:
        writer.transport.abort()


@EMBEDDED
async def test_a_message_that_is_too_long_is_cut_and_counted(kafka: Kafka, unique: Callable[[str], str]) -> None:
    long = LINE % (b"sw-1", 1) + b"x" * 60_000
    async with listener(kafka, unique("s")) as here:
        await here.send(long + b"\n", LINE % (b"sw-1", 2) + b"\n")
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(long, (LOCAL, here.port["udp"]))
        found = sorted(record.value for record in await here.records(3))
        assert found == sorted([long[:2_000], LINE % (b"sw-1", 2), long[:2_000]])
        await here.until("opsbridge_syslog_cut_total,tcp", 1)
        await here.until("opsbridge_syslog_cut_total,udp", 1)


@EMBEDDED
async def test_senders_that_are_not_allowed_are_refused_and_counted(kafka: Kafka, unique: Callable[[str], str]) -> None:
    async with listener(kafka, unique("s"), allow=["192.0.2.0/24", "2001:db8::/32"]) as here:
        reader, writer = await asyncio.open_connection(LOCAL, here.port["tcp"])
        assert await reader.read() == b""
        writer.close()
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(b"<34>x", (LOCAL, here.port["udp"]))
        await here.until("opsbridge_syslog_dropped_total,peer", 1)
        await here.until("opsbridge_syslog_connections_refused_total,peer", 1)
        await here.records(0)


@EMBEDDED
async def test_no_more_connections_than_allowed_and_a_place_is_free_again(
    kafka: Kafka, unique: Callable[[str], str]
) -> None:
    async with listener(kafka, unique("s")) as here:
        held = [await asyncio.open_connection(LOCAL, here.port["tcp"]) for _ in range(SMALL.connections)]
        await here.until("opsbridge_syslog_connections", SMALL.connections)
        reader, writer = await asyncio.open_connection(LOCAL, here.port["tcp"])
        assert await reader.read() == b""
        writer.close()
        held[0][1].close()
        await here.until("opsbridge_syslog_connections", SMALL.connections - 1)
        await here.send(b"<34>welcome\n")
        assert [record.value for record in await here.records(1)] == [b"<34>welcome"]
        await here.until("opsbridge_syslog_connections_refused_total,limit", 1)
        for _, each in held:
            each.close()


@EMBEDDED
async def test_a_silent_connection_is_closed_with_what_it_had_sent(kafka: Kafka, unique: Callable[[str], str]) -> None:
    limits = Limits(message=2_000, connections=5, idle=0.2, queue=1_000_000)
    async with listener(kafka, unique("s"), limits=limits) as here:
        reader, writer = await asyncio.open_connection(LOCAL, here.port["tcp"])
        writer.write(b"<34>half")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert [record.value for record in await here.records(1)] == [b"<34>half"]


async def test_while_the_broker_is_dead_tcp_waits_and_udp_drops_are_counted(
    own_kafka: Kafka, unique: Callable[[str], str]
) -> None:
    limits = Limits(message=2_000, connections=5, idle=600, queue=100_000)
    async with listener(own_kafka, unique("s"), limits=limits) as here:
        await here.send(b"<34>before\n")
        await here.until("opsbridge_syslog_messages_total,tcp", 1)
        own_kafka.kill()
        line = b"<34>" + b"x" * 995
        sent = 0
        with socket.create_connection((LOCAL, here.port["tcp"])) as tcp:
            tcp.settimeout(1.0)
            with suppress(TimeoutError):  # nobody reads any more, and the system's buffers are full
                while sent < 50_000:
                    await asyncio.to_thread(tcp.sendall, line + b"\n")
                    sent += 1
            assert sent < 50_000
            with socket.socket(type=socket.SOCK_DGRAM) as udp:
                for _ in range(150):
                    udp.sendto(line, (LOCAL, here.port["udp"]))
                    await asyncio.sleep(0)
                await here.until("opsbridge_syslog_dropped_total,queue_full", 150 - limits.queue // len(line))
            own_kafka.start()
            await here.until("opsbridge_syslog_messages_total,udp", limits.queue // len(line))
            assert (await here.metrics())["opsbridge_syslog_messages_total,tcp"] >= 1
        # the last line was sent in part: so it is there, as its sender's end made it
        await here.until("opsbridge_syslog_connections", 0)
        told = await here.metrics()
        assert told["opsbridge_syslog_messages_total,tcp"] in (1 + sent, 2 + sent)
        count = int(told["opsbridge_syslog_messages_total,tcp"] + told["opsbridge_syslog_messages_total,udp"])
        await here.records(count)


async def test_what_was_taken_is_written_when_it_stops(kafka: Kafka, unique: Callable[[str], str]) -> None:
    topic = unique("s")
    async with listener(kafka, topic) as here:
        _, writer = await asyncio.open_connection(LOCAL, here.port["tcp"])
        writer.write(b"<34>first\n")
        await here.until("opsbridge_syslog_messages_total,tcp", 1)
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            for _ in range(100):
                udp.sendto(b"<34>datagram", (LOCAL, here.port["udp"]))
        writer.write(b"<34>last")
        await writer.drain()
        await here.until("opsbridge_syslog_messages_total,udp", 100)
    writer.close()
    assert sorted({record.value for record in await here.records(102)}) == [
        b"<34>datagram",
        b"<34>first",
        b"<34>last",
    ]


# what the command refuses


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--tcp", "0.0.0.0:5514", "--any-peer"], "--insecure-plain"),
        (["--udp", "0.0.0.0:5514", "--allow", "10.0.0.0/8"], "--insecure-plain"),
        (["--udp", "[::]:5514", "--insecure-plain"], "--allow"),
        (["--tls", "0.0.0.0:6514", "--tls-cert", "c", "--tls-key", "k"], "--tls-clients"),
        (["--tls", "6514"], "--tls needs --tls-cert and --tls-key\n"),
        (["--tls-key", "k"], "--tls-cert and --tls-key have no effect without --tls\n"),
        (["--tls-clients", "ca.pem"], "no effect"),
        (["--tcp", "5514", "--allow", "10.0.0.1/8"], "host bits"),
        (["--tcp", "5514", "--allow", "10.0.0.0/8", "--any-peer"], "exclude"),
        (["--tcp", "here:there"], "HOST:PORT"),
        (["--tls", "6514", "--tls-cert", "c", "--tls-key", "k", "--metrics", "none"], "--tls-cert"),
    ],
)
async def test_what_would_be_open_to_more_than_was_said_is_refused(flags: list[str], complaint: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "opsbridge.cli", "syslog", *flags, "-b", f"{LOCAL}:1", stderr=PIPE, env=clean()
    )
    async with asyncio.timeout(30):
        _, told = await process.communicate()
    assert process.returncode == 2, told.decode()
    assert complaint in told.decode()


@pytest.mark.parametrize(
    ("text", "address"),
    [("5514", (LOCAL, 5514)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:7", ("::1", 7)), ("host:7", ("host", 7))],  # noqa: S104
)
def test_addresses_are_read(text: str, address: Address) -> None:
    assert read_address(text, "--tcp") == address


@pytest.mark.parametrize("text", ["", ":7", "host", "host:99999", "7:"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SyslogError, match="--tcp"):
        read_address(text, "--tcp")


def test_peers_are_matched_by_network() -> None:
    peers = Peers(read_networks(["10.0.0.0/8", "2001:db8::7"]))
    assert [peers.allowed(one) for one in ("10.9.8.7", "11.0.0.1", "2001:db8::7", "2001:db8::8")] == [
        True,
        False,
        True,
        False,
    ]


async def test_the_command_listens_and_ends_in_order(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = f"{unique('s')}."
    settings = await installed(kafka, prefix)
    flags = ["--tcp", "0", "--metrics", "none", "--set", f"topics.prefix={prefix}", "--set", "log.format=json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "opsbridge.cli", "syslog", "-b", kafka.bootstrap_servers, *flags),
        stderr=PIPE,
        env=clean(),
    )
    assert process.stderr
    async with asyncio.timeout(30):
        told = ""
        while not (found := re.search(r'"port": (\d+)', told)):
            told = (await process.stderr.readline()).decode()
            assert told
        here = Listener(kafka, topic_name(settings.topics, "events"), [("tcp", (LOCAL, int(found[1])))], 0)
        await here.send(b"<34>one\n")
        await here.records(1)
        process.send_signal(signal.SIGTERM)
        _, rest = await process.communicate()
    assert process.returncode == 0, rest.decode()


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OPSBRIDGE_")}
