"""Requests and events per second of the gateway, beside Alertmanager's own `POST /api/v2/alerts`, in the same run.

`python -m benchmarks.gateway`. Both get the same alerts from the same load generator, a process of its own that speaks
HTTP/1.1 over raw sockets, with the same number of connections, in turns, after a warm-up of both. The gateway answers
when Kafka has acknowledged (Apache Kafka, or the embedded broker where there is none); Alertmanager answers when the
alerts are in its memory: it writes them nowhere.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import orjson

REPOSITORY: Final = Path(__file__).resolve().parent.parent
sys.path.append(str(REPOSITORY / "tests"))  # the real broker is the tests'

from kafka_server import ApacheKafka, KafkaUnavailableError  # noqa: E402 - see above

PEER: Final = "prometheus-alertmanager"
TOKEN: Final = "a-token-of-the-benchmark"  # noqa: S105
BODIES: Final = 400
"""Different requests; they are sent again and again."""

ROUNDS: Final = 3
"""In turns; the rates are of all rounds together, and the latencies the medians of theirs."""

Alert = dict[str, object]
"""As JSON."""


class NotMeasuredError(RuntimeError):
    """Something did not start or did not answer; the message says what."""


# The load generator: a process of its own.


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent to whom."""

    port: int
    path: str
    bodies: list[str]
    connections: int
    requests: int

    def request(self, number: int) -> bytes:
        """The request of that number, whole."""
        body = self.bodies[number % len(self.bodies)].encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _send(load: Load, numbers: Iterator[int], latencies: list[float], refused: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    for number in numbers:
        request = load.request(number)
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        latencies.append(time.perf_counter() - began)
        if head[9:10] != b"2":
            refused.append(head[9:12] + b" " + body[:200])
    writer.close()


async def _generate(load: Load) -> dict[str, object]:
    latencies: list[float] = []
    refused: list[bytes] = []
    numbers = iter(range(load.requests))
    began = time.perf_counter()
    await asyncio.gather(*(_send(load, numbers, latencies, refused) for _ in range(load.connections)))
    seconds = time.perf_counter() - began
    latencies.sort()
    return {
        "seconds": seconds,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "refused": len(refused),
        "first": (refused or [b""])[0].decode(errors="replace"),
    }


# What is measured.


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    requests: float
    """Per second."""
    events: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what is sent to it."""

    name: str
    port: int
    path: str
    bodies: list[str]


def measure(targets: Sequence[Target], asked: argparse.Namespace, alerts: int, folder: Path) -> list[Figure]:
    """What the load generator saw of each; raises `NotMeasuredError` if a request was refused."""
    requests = asked.gateway_requests // ROUNDS
    for target in targets:
        _said(target, asked.gateway_connections, requests, folder)  # to warm up
    rounds = [[_said(target, asked.gateway_connections, requests, folder) for target in targets] for _ in range(ROUNDS)]
    figures = []
    for said in zip(*rounds, strict=True):
        rate = ROUNDS * requests / sum(each["seconds"] for each in said)
        p50, p99 = (median(each[name] for each in said) * 1000 for name in ("p50", "p99"))
        figures.append(Figure(rate, rate * alerts, p50, p99))
    return figures


def _said(target: Target, connections: int, requests: int, folder: Path) -> dict[str, float]:
    load = Load(target.port, target.path, target.bodies, connections, requests)
    file = folder / "load.json"
    file.write_bytes(orjson.dumps(load))
    call = [sys.executable, "-m", "benchmarks.gateway", "--generate", str(file)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY)
    if done.returncode != 0:
        raise NotMeasuredError(f"the load generator failed:\n{done.stderr[-2000:]}")
    said: dict[str, float] = orjson.loads(done.stdout)
    if said["refused"]:
        raise NotMeasuredError(f"{said['refused']} requests to {target.name} were refused: {said['first']}")
    return said


def alerts(count: int, seed: int) -> list[Alert]:
    """Alerts as Prometheus has them, all different."""
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {
            "labels": {
                "alertname": f"Alert{number % 7}",
                "instance": f"host-{seed * count + number}:9100",
                "job": "node",
                "severity": "critical",
                "cluster": "west",
            },
            "annotations": {"summary": "the disk is nearly full", "runbook": "https://wiki.example.net/disk"},
            "startsAt": began,
            "generatorURL": "http://prometheus.example.net/graph?g0.expr=up",
        }
        for number in range(count)
    ]


def webhook(listed: Sequence[Alert], seed: int) -> Alert:
    """The same alerts as Alertmanager's web-hook sends them on."""
    told = [
        {**alert, "status": "firing", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": f"{seed:08x}{number:08x}"}
        for number, alert in enumerate(listed)
    ]
    return {
        "version": "4",
        "groupKey": f"{{}}:{{n={seed}}}",
        "status": "firing",
        "receiver": "opsbridge",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.net",
        "alerts": told,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(call: Sequence[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    """A server, once it listens; its log is shown when it does not."""
    log = folder / f"{port}.log"
    with log.open("wb") as out:
        running = subprocess.Popen(call, cwd=folder, stdout=out, stderr=out, env=os.environ | environment)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and running.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise NotMeasuredError(f"{call[0]} does not listen:\n{log.read_text(errors='replace')[-2000:]}")
        yield
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def gateway(servers: str, folder: Path) -> Iterator[int]:
    """A gateway; gives its port."""
    port = _free_port()
    sets = {"gateway.port": port, "gateway.rate": 1e9, "gateway.burst": 1e9, "log.level": "warning"}
    flags = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    command = Path(sys.executable).with_name("opsbridge")
    call = [str(command), "gateway", "-b", servers, *flags]
    with _process(call, port, folder, OPSBRIDGE_GATEWAY__CREDENTIALS=f"* token {TOKEN}"):
        yield port


@contextmanager
def alertmanager(folder: Path) -> Iterator[int]:
    """Alertmanager with a receiver that does nothing; gives its port."""
    port = _free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")
    call = [PEER, f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}"]
    call += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with _process(call, port, folder):
        yield port


@contextmanager
def _broker(folder: Path) -> Iterator[tuple[str, str]]:
    """A broker: its address, and what it is."""
    with ExitStack() as stack:
        try:
            kafka = stack.enter_context(ApacheKafka())
        except KafkaUnavailableError:
            port = _free_port()
            call = [sys.executable, "-m", "opsbridge.devbroker", "--port", str(port), "--log", "warning"]
            stack.enter_context(_process(call, port, folder))
            yield f"127.0.0.1:{port}", "the embedded broker"
        else:
            yield kafka.bootstrap_servers, "Apache Kafka"


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The whole report, line by line as it becomes known."""
    yield "## Gateway: HTTP to Kafka"
    yield ""
    folder = Path(tempfile.mkdtemp(prefix="opsbridge-bench-"))
    try:
        with _broker(folder) as (servers, broker):
            over = f"{asked.gateway_requests} requests over {asked.gateway_connections} connections"
            yield f"- {over}, in {ROUNDS} rounds in turns; the gateway answers when {broker} has acknowledged"
            if missing := shutil.which(PEER) is None:
                yield f"- Not compared: there is no `{PEER}` on the PATH (Debian: apt install {PEER})"
            else:
                yield "- Alertmanager answers when the alerts are in its memory: it writes them nowhere"
            yield ""
            yield "| alerts in a request | | requests/s | events/s | p50 ms | p99 ms |"
            yield "| ---: | --- | ---: | ---: | ---: | ---: |"
            for count in (1, 10, 100):
                yield from _compared(count, servers, folder, asked, alone=missing)
    except NotMeasuredError as reason:
        yield ""
        yield f"Not measured: {reason}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compared(count: int, servers: str, folder: Path, asked: argparse.Namespace, *, alone: bool) -> Iterator[str]:
    listed = [alerts(count, seed) for seed in range(BODIES)]
    with ExitStack() as stack:
        bodies = [json.dumps(webhook(each, seed)) for seed, each in enumerate(listed)]
        port = stack.enter_context(gateway(servers, folder))
        targets = [Target("gateway", port, "/api/v1/events/alertmanager", bodies)]
        if not alone:
            port = stack.enter_context(alertmanager(folder))
            targets.append(Target("Alertmanager", port, "/api/v2/alerts", [json.dumps(each) for each in listed]))
        figures = measure(targets, asked, count, folder)
    for target, figure in zip(targets, figures, strict=True):
        yield _row(count, target.name, figure)
    if not alone:
        ours, theirs = figures
        yield (
            f"| {count} | ratio | {ours.requests / theirs.requests:.2f} | {ours.events / theirs.events:.2f} "
            f"| {ours.p50_ms / theirs.p50_ms:.2f} | {ours.p99_ms / theirs.p99_ms:.2f} |"
        )


def _row(count: int, name: str, figure: Figure) -> str:
    rates = f"{figure.requests:.0f} | {figure.events:.0f}"
    return f"| {count} | {name} | {rates} | {figure.p50_ms:.2f} | {figure.p99_ms:.2f} |"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that both `benchmarks.gateway` and `benchmarks` take."""
    parser.add_argument("--gateway-requests", type=int, default=10_000, help="for each row (%(default)s)")
    parser.add_argument("--gateway-connections", type=int, default=32, help="at once (%(default)s)")


def main() -> None:
    """Print the report, or be the load generator."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--generate", type=Path, help=argparse.SUPPRESS)
    arguments(parser)
    asked = parser.parse_args()
    if asked.generate:
        print(json.dumps(asyncio.run(_generate(Load(**orjson.loads(asked.generate.read_bytes()))))))
        return
    for line in lines(asked):
        print(line, flush=True)


if __name__ == "__main__":
    main()
