"""Slow and half-open connections end in time and starve nobody; what is no proper HTTP is refused."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress

import pytest
from gateways import EVENT, TOKEN, Site, gateway

HEAD = f"POST /api/v1/events/canonical HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
ASK = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the gateway closes the connection."""
    async with asyncio.timeout(10):
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
        assert 0.15 < time.monotonic() - began < 5
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
            assert 0.3 < time.monotonic() - began < 5
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


async def test_an_answer_that_is_not_read_is_not_kept_for_ever() -> None:
    async with gateway(limits={"body_timeout": 0.3}) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1)
        with suppress(ConnectionError):
            async with asyncio.timeout(20):
                while not await site.metric("opsbridge_gateway_connections_closed_total", reason="slow"):
                    writer.write(
                        b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % TOKEN.encode() * 50
                    )
                    await asyncio.wait([asyncio.ensure_future(writer.drain())], timeout=0.01)
        assert await site.metric("opsbridge_gateway_connections_closed_total", reason="slow") == 1
        writer.transport.abort()
        del reader


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
