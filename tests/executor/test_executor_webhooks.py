"""Calling webhooks, on a server of the test's own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from opsbridge.executor.actions import Action, Filled, Webhook
from opsbridge.executor.orders import Ended, Order
from opsbridge.executor.templates import template
from opsbridge.executor.webhooks import call_webhook

ORDER = Order("RSP-1:action:1", "RSP-1", "S-1", "web-01", "hook", {}, 1, 0)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Handler = self.fine
        self.address = ""

    async def fine(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        return await self.answer(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    mine = Server()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", mine.handle)
    async with TestServer(application) as running:
        mine.address = f"http://127.0.0.1:{running.port}"
        yield mine


async def called(
    url: str,
    *,
    method: str = "POST",
    body: Filled = None,
    values: dict[str, str] | None = None,
    within: float = 10,
    limit: int = 4000,
    headers: dict[str, str] | None = None,
    headers_file: Path | None = None,
) -> Ended:
    webhook = Webhook(method, template(url), headers or {}, headers_file, None, body)
    return await call_webhook(Action("hook", {}, 0, limit, webhook), webhook, values or {}, ORDER, within)


async def test_the_server_is_told_what_is_asked(server: Server, tmp_path: Path) -> None:
    secrets = tmp_path / "headers"
    secrets.write_text("# who we are\nAuthorization: Bearer s3cret\n")
    ended = await called(
        server.address + "/hook", values={"host": "web-01"}, headers={"X-Team": "core"}, headers_file=secrets
    )
    assert ended == Ended("succeeded", "ok", 200)
    ((method, path, headers, body),) = server.asked
    assert (method, path) == ("POST", "/hook")
    assert json.loads(body) == {
        "action": "hook",
        "parameters": {"host": "web-01"},
        "ci": "web-01",
        "attempt": 1,
        "response": "RSP-1",
        "situation": "S-1",
        "idempotency_key": "RSP-1:action:1",
    }
    assert headers["Idempotency-Key"] == "RSP-1:action:1"
    assert (headers["X-Team"], headers["Authorization"]) == ("core", "Bearer s3cret")
    assert headers["Content-Type"] == "application/json"


async def test_values_are_percent_encoded_in_the_path_and_quoted_in_the_body(server: Server) -> None:
    value = 'a/../b?c=d&e"f{x}é%2F'
    body: Filled = {"text": template("host {x}"), "deep": [template("{x}"), 1, None]}
    await called(server.address + "/hosts/{x}/restart?force=1", values={"x": value}, body=body, method="PUT")
    ((method, path, _, sent),) = server.asked
    assert (method, path) == ("PUT", "/hosts/a%2F..%2Fb%3Fc%3Dd%26e%22f%7Bx%7D%C3%A9%252F/restart?force=1")
    assert json.loads(sent) == {"text": f"host {value}", "deep": [value, 1, None]}


async def test_a_get_has_no_body(server: Server) -> None:
    assert (await called(server.address + "/health", method="GET")).outcome == "succeeded"
    assert [(method, body) for method, _, _, body in server.asked] == [("GET", b"")]


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "succeeded"), (204, "succeeded"), (404, "failed"), (500, "failed")]
)
async def test_the_status_decides(server: Server, status: int, outcome: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="" if status == 204 else "why")

    server.answer = answer
    ended = await called(server.address)
    assert (ended.outcome, ended.code, ended.output) == (outcome, status, "" if status == 204 else "why")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "http://169.254.169.254/latest"})

    server.answer = answer
    ended = await called(server.address)
    assert (ended.outcome, ended.code) == ("failed", status)
    assert ended.output.startswith("redirects to http://169.254.169.254/latest, which is not followed")
    assert len(server.asked) == 1


async def test_a_server_that_does_not_answer_in_time_has_failed(server: Server) -> None:
    over = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    server.answer = answer
    ended = await called(server.address, within=0.3)
    assert ended == Ended("failed", "no answer, or not all of it, within 0.3 s")
    over.set()


async def test_an_answer_that_drips_is_not_waited_for_longer(server: Server) -> None:
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not over.is_set():
            await response.write(b".")
            await asyncio.wait([asyncio.create_task(over.wait())], timeout=0.05)
        return response

    server.answer = answer
    began = time.monotonic()
    ended = await called(server.address, within=0.5)
    over.set()
    assert ended.outcome == "failed"
    assert time.monotonic() - began < 5


async def test_a_huge_answer_is_cut_and_not_read(server: Server) -> None:
    written = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(b"x" * 10_000)
                written += 10_000
        except ConnectionError:
            pass
        return response

    server.answer = answer
    ended = await called(server.address, limit=100)
    assert ended == Ended("succeeded", "x" * 100 + "\n[the rest of the answer is cut]", 200)
    assert written < 50_000_000


async def test_nobody_there_has_failed(unused_tcp_port: int) -> None:
    ended = await called(f"http://127.0.0.1:{unused_tcp_port}/")
    assert ended.outcome == "failed"
    assert ended.output.startswith("the call failed: Cannot connect to host 127.0.0.1")


async def test_a_server_that_proves_nothing_is_not_talked_to(server: Server) -> None:
    ended = await called(server.address.replace("http", "https"))
    assert ended.outcome == "failed"
    assert server.asked == []


async def test_a_proxy_of_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await called(server.address)).outcome == "succeeded"


async def test_headers_that_became_unreadable_fail_the_call_only(server: Server, tmp_path: Path) -> None:
    ended = await called(server.address, headers_file=tmp_path / "gone")
    assert ended.outcome == "failed"
    assert "No such file" in ended.output
    assert server.asked == []
