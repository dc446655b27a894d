"""Slow and half-open connections end in time and starve nobody; what is no proper HTTP is refused."""

import asyncio
import re
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
import uvloop
from gateways import EVENT, TOKEN, Site, gateway

HEAD = f"POST /api/v1/events/canonical HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
ASK = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the gateway closes the connection."""
    async with asyncio.timeout(60):
        with suppress(ConnectionResetError):
            return await reader.read()
        return b""


async def connections(site: Site) -> float:
    return await site.metric("opsbridge_gateway_connections")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"", b"408"),
        (b"POST /api", b"408"),
        (HEAD + b"Content-Length: 100\r\n", b"408"),
        (HEAD + b"Content-Length: 100\r\n\r\n{", b"408"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"408"),
        (HEAD.replace(TOKEN.encode(), b"wrong") + b"Content-Length: 100\r\n\r\n{", b"401"),
    ],
)
async def test_what_does_not_come_is_not_waited_for(said: bytes, answer: bytes) -> None:
    async with gateway(limits={"header_timeout": 0.2, "body_timeout": 0.2}) as site:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(said)
        assert (await closed(reader)).startswith(b"HTTP/1.1 " + answer)
        assert time.monotonic() - began > 0.15
        writer.close()
        assert (await site.post(EVENT)).status_code == 202


async def test_a_drop_now_and_then_gives_no_more_time() -> None:
    async with gateway(limits={"header_timeout": 0.4, "body_timeout": 0.4}) as site:
        for head in (HEAD, HEAD + b"Content-Length: 1000\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(head)
            answer = asyncio.create_task(closed(reader))
            began = time.monotonic()
            while not answer.done():
                with suppress(ConnectionError):
                    writer.write(b"a")
                    await writer.drain()
                await asyncio.wait([answer], timeout=0.05)
            assert answer.result()[:12] in (b"HTTP/1.1 408", b""), "nothing, if a drop met the closed connection"
            assert time.monotonic() - began > 0.3
            writer.close()


async def test_an_idle_connection_is_kept_for_a_time() -> None:
    async with gateway(limits={"keep_alive": 0.3, "header_timeout": 0.1}) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"ok\n")
        began = time.monotonic()
        assert await closed(reader) == b""
        assert time.monotonic() - began > 0.2, "longer than a header may take"
        writer.close()


async def test_blank_lines_between_requests_keep_no_connection() -> None:
    async with gateway(limits={"keep_alive": 0.2, "header_timeout": 0.2}) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"ok\n")
        writer.write(b"\r\n")
        assert await closed(reader) == b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        writer.close()


async def test_a_header_that_begins_with_the_end_of_another_request_has_its_clock() -> None:
    async with gateway(limits={"keep_alive": 600, "header_timeout": 0.2}) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /api")
        assert re.findall(rb"HTTP/1.1 (\d+)", await closed(reader)) == [b"200", b"408"]
        writer.close()


async def test_a_header_without_end_is_not_kept() -> None:
    async with gateway() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        answer = asyncio.create_task(closed(reader))
        sent = 0
        with suppress(ConnectionError):
            writer.write(HEAD)
            while not answer.done():
                writer.write(b"X: " + b"x" * 1_000 + b"\r\n")
                sent += 1_005
                await writer.drain()
                await asyncio.sleep(0)
        assert (await answer)[:12] in (b"HTTP/1.1 431", b""), "nothing, if a line met the closed connection"
        assert sent < 1_000_000
        writer.close()


async def test_a_client_that_asks_on_and_on_is_not_listened_to() -> None:
    """What httptools has parsed waits in memory until its turn comes."""
    async with gateway() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 2_000)
        assert (await closed(reader)).count(b"HTTP/1.1 404") < 200
        writer.close()


async def test_the_wish_for_another_protocol_is_not_heard() -> None:
    """As Java's client and `curl --http2` have it; llhttp would take the body for that protocol, or for a request."""
    body = b'{"a": "' + b"GET /healthz HTTP/1.1\r\n\r\n" + b'"}'
    head = HEAD + b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with gateway() as site:
        for pieces in ((head + body,), (head + body[:7], body[7:]), (head[:-30], head[-30:], body)):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
            writer.write(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
            answer = await closed(reader)
            assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"400", b"200"]
            assert b'"accepted":0' in answer
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"CONNECT /api/v1/events/canonical HTTP/1.1\r\n\r\n")
        assert (await closed(reader)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_what_comes_after_a_body_is_no_header() -> None:
    async with gateway() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(
            b"POST /api/v1/events/canonical HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"2\r\n{}\r\n0\r\nAuthorization: Bearer %s\r\n\r\n" % TOKEN.encode()
        )
        assert (await closed(reader)).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_nobody_is_sent_to_where_the_header_host_says() -> None:
    async with gateway() as site:
        for path in ("/healthz/", "/api/v1/sources/", "//evil.example.net/healthz/"):
            answer = await site.http.get(site.here.address + path, headers={"host": "evil.example.net"})
            assert answer.status_code == 404
            assert "evil" not in str(answer.headers) + answer.text


async def test_200_half_open_connections_starve_nobody() -> None:
    async with gateway(limits={"connections": 50}) as site, AsyncExitStack() as stack:
        for number in range(200):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
            writer.write(HEAD if number % 2 else b"")
            if number % 20 == 0:
                assert (await site.post(EVENT)).status_code == 202
        assert (await site.post(EVENT)).status_code == 202
        assert await connections(site) <= 50
        assert await site.metric("opsbridge_gateway_connections_closed_total", reason="displaced") >= 150


async def test_whoever_is_being_served_is_not_displaced() -> None:
    async with gateway(limits={"connections": 3}) as site:
        streams = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(3)]
        for _, writer in streams:
            writer.write(HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        for reader, _ in streams:  # it has begun to read the body
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        full = await closed(reader)
        assert full.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in full
        writer.close()
        for reader, writer in streams:
            writer.write(b"0123456789")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
            writer.close()


async def slow(site: Site) -> float:
    return await site.metric("opsbridge_gateway_connections_closed_total", reason="slow")


async def test_an_answer_that_is_not_read_is_not_kept_for_ever() -> None:
    bad = b"{}\n" * 100  # each is told why
    request = HEAD + b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(bad) + bad
    async with gateway(limits={"body_timeout": 0.3}) as site:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(("127.0.0.1", site.port))
            sent = 0
            async with asyncio.timeout(60):
                while not await slow(site):
                    if await site.metric("opsbridge_gateway_requests_total") == sent:  # it has taken them all
                        client.sendall(request * 50)
                        sent += 50
                    await asyncio.sleep(0.01)
        assert await slow(site) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"X: a\r\n\tfolded\r\nContent-Length : 5\r\n",
        b"Y: a\x00b\r\n",
        b"Z: " + b"z" * 70_000 + b"\r\n",
    ],
)
async def test_two_ways_to_understand_a_request_are_one_too_many(head: bytes) -> None:
    """Whoever stands in front of the gateway could understand it in the other one (request smuggling)."""
    async with gateway() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(HEAD + head + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await closed(reader)
        writer.close()
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 501"), answer
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "test",
    [
        partial(test_what_does_not_come_is_not_waited_for, b"", b"408"),
        partial(test_what_does_not_come_is_not_waited_for, HEAD + b"Content-Length: 100\r\n\r\n{", b"408"),
        test_an_idle_connection_is_kept_for_a_time,
        test_200_half_open_connections_starve_nobody,
        test_whoever_is_being_served_is_not_displaced,
        test_an_answer_that_is_not_read_is_not_kept_for_ever,
    ],
)
def test_it_is_the_same_on_the_loop_of_the_command(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """All others run on asyncio's."""
    uvloop.run(test())
