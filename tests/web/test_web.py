"""/metrics, /healthz and /readyz, and how the server lives beside a worker on its event loop."""

# mypy: untyped-calls-exclude="prometheus_client"
import asyncio
import signal
import socket

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from opsbridge.settings import WebSettings
from opsbridge.web import Metrics, Readiness, WebError, create_web, serving


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def client(metrics: Metrics, readiness: Readiness) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_web(metrics, readiness))
    return httpx.AsyncClient(transport=transport, base_url="http://worker")


async def test_metrics_come_in_the_format_that_is_asked_for() -> None:
    metrics = Metrics()
    metrics.received("events", 3)
    async with client(metrics, Readiness()) as http:
        plain = await http.get("/metrics")
        modern = await http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    for families in (plain_metrics(plain.text), open_metrics(modern.text)):
        samples = {sample.name: sample.value for family in families for sample in family.samples}
        assert samples["opsbridge_events_received_total"] == 3
        assert samples["opsbridge_build_info"] == 1


async def test_a_worker_is_alive_before_it_is_ready_and_says_what_it_waits_for() -> None:
    time = Time()
    readiness = Readiness(clock=time, patience=30)

    async with client(Metrics(), readiness) as http:

        async def reasons() -> list[str]:
            answer = await http.get("/readyz")
            told = answer.json()
            assert answer.status_code == (200 if told["ready"] else 503)
            assert told["ready"] == (not told["reasons"])
            assert (await http.get("/healthz")).status_code == 200
            return list(told["reasons"])

        assert await reasons() == [
            "topics are not verified yet",
            "no partitions are assigned yet",
            "state is not recovered yet",
            "no broker has answered yet",
        ]
        readiness.topics_verified = True
        readiness.assigned = readiness.recovered = True
        assert await reasons() == ["no broker has answered yet"]
        readiness.broker_seen()
        assert await reasons() == []
        time.now += 31
        assert await reasons() == ["no broker has answered for 31 s"]
        readiness.broker_seen()
        readiness.recovered = False
        assert await reasons() == ["state is not recovered yet"]
        readiness.recovered = readiness.stopping = True
        assert await reasons() == ["the worker is stopping"]


async def test_the_server_runs_on_this_loop_and_leaves_signals_alone() -> None:
    got: list[int] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, got.append, signal.SIGTERM)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        async with (
            serving(WebSettings(port=0), create_web(Metrics(), Readiness())) as address,
            httpx.AsyncClient(base_url=str(address)) as http,
        ):
            assert str(address).startswith("http://127.0.0.1:")
            assert (await http.get("/healthz")).text == "ok\n"
            assert signal.getsignal(signal.SIGTERM) is handler
            signal.raise_signal(signal.SIGTERM)
            assert (await http.get("/metrics")).status_code == 200
            assert (await http.get("/nothing")).status_code == 404
        assert got == [signal.SIGTERM]
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"{address}/healthz")
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_the_server_can_be_turned_off() -> None:
    async with serving(WebSettings(enabled=False), create_web(Metrics(), Readiness())) as address:
        assert address is None


async def test_an_open_connection_does_not_hold_up_the_stop() -> None:
    async with asyncio.timeout(10):
        async with serving(WebSettings(port=0), create_web(Metrics(), Readiness())) as address:
            host, port = str(address).removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /metr")
            await writer.drain()
        writer.close()


async def test_an_address_that_cannot_be_used_is_told_with_its_setting() -> None:
    web = create_web(Metrics(), Readiness())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WebError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(web\.host, web\.port\): "):
            async with serving(WebSettings(port=port), web):
                pass
    with pytest.raises(WebError, match=r"cannot listen on no\.such\.host\.invalid:0") as refused:
        async with serving(WebSettings(host="no.such.host.invalid", port=0), web):
            pass
    assert refused.value.exit_code == 2
