"""What one request may cost: a clear answer, bounded memory, and the others served meanwhile."""

import asyncio
import gzip
import json
import resource
import zlib
from contextlib import AsyncExitStack

import pytest
from gateways import CREDENTIALS, EVENT, TOKEN, event, gateway
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.gateway.limits import Body, Memory, Rates, Refused, too_deep

HEAD = f"POST /api/v1/events/canonical HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


def bombs() -> list[bytes]:
    """gzip of 100 MB in one piece, and of 4 GB in members of 10 MB."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    ten = b" " * 10_000_000
    return [b"".join(pack.compress(ten) for _ in range(10)) + pack.flush(), gzip.compress(ten) * 400]


def grown() -> int:
    """The most memory that this process ever had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_a_bomb_is_not_unpacked_further_than_the_limit() -> None:
    packed = bombs()
    assert max(map(len, packed)) < 5_000_000
    async with gateway() as site:
        await site.post(EVENT)
        before = grown()
        answers = await asyncio.gather(*(site.post(each, content_encoding="gzip") for each in packed * 2))
        assert [answer.status_code for answer in answers] == [413] * 4
        assert answers[0].json() == {
            "error": "too_large",
            "detail": "more than 10485760 bytes when decompressed: send less at once",
        }
        assert grown() - before < 100_000
        assert await site.metric("opsbridge_gateway_receiving_bytes") == 0
        assert (await site.post(EVENT)).status_code == 202


async def test_a_body_of_100_mb_is_answered_at_once_and_the_others_are_served() -> None:
    async def sent(head: bytes, chunk: bytes) -> bytes:
        """100 MB are offered; what is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(HEAD + head + b"\r\n\r\n")
        for _ in range(1_600):
            writer.write(chunk)
            await writer.drain()
        answer = await reader.readuntil(b"}\n")
        writer.close()
        return answer

    async with gateway() as site:
        before = grown()
        blanks = b" " * 65_536
        sending = asyncio.gather(
            sent(b"Content-Length: %d" % (1_600 * len(blanks)), blanks),
            sent(b"Transfer-Encoding: chunked", b"10000\r\n" + blanks + b"\r\n"),
        )
        served = 0
        while not sending.done():
            assert (await site.post(EVENT)).status_code == 202
            served += 1
        assert served > 0
        for answer in sending.result():
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert answer.endswith(b'"detail":"the body is larger than 5242880 bytes: send less at once"}\n')
        assert grown() - before < 50_000


async def test_whoever_waits_to_be_asked_need_not_send_what_is_refused() -> None:
    async with gateway() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(HEAD + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_too_many_events_are_refused_before_any_is_written() -> None:
    async with gateway(limits={"max_events": 10}) as site:
        answer = await site.post([event(number) for number in range(11)])
        assert (answer.status_code, answer.json()["error"]) == (413, "too_many_events")
        assert (await site.post([event(number) for number in range(10)])).status_code == 202
        assert len(await site.written()) == 10


async def test_more_events_than_the_rate_allows_are_told_when_to_come_again() -> None:
    other = "another-token-of-the-tests"
    limits = {"rate": 0.5, "burst": 3, "credentials": f"{CREDENTIALS};* token {other}"}
    async with gateway(limits=limits) as site:
        assert (await site.post([event(number) for number in range(5)])).status_code == 202
        answer = await site.post(EVENT)
        assert (answer.status_code, answer.json()["error"]) == (429, "too_many")
        assert 5 <= int(answer.headers["retry-after"]) <= 8
        assert (await site.post({"alerts": [EVENT]}, "several")).status_code == 202
        assert (await site.post(EVENT, authorization=f"Bearer {other}")).status_code == 202


def test_rates_are_paid_back_by_time() -> None:
    now = 0.0
    rates = Rates(2.0, 4.0, clock=lambda: now)
    key = ("s", "n")
    for _ in range(4):
        rates.admit(key)
    with pytest.raises(Refused) as refused:
        rates.admit(key)
    assert refused.value.retry_after == 1
    now = 0.5
    rates.admit(key)
    rates.spend(key, 9)  # eight more than the one that was let in
    with pytest.raises(Refused) as refused:
        rates.admit(key)
    assert refused.value.retry_after == 5
    now = 5.0
    rates.admit(key)
    now = 1_000.0
    rates.spend(key, 5)
    with pytest.raises(Refused):
        rates.admit(key)


async def test_memory_is_shared_and_given_back() -> None:
    limits = {"memory": 1_000_000}
    async with gateway(limits=limits) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(HEAD + b"Content-Length: 950000\r\n\r\n" + b" " * 900_000)
        async with asyncio.timeout(10):
            while await site.metric("opsbridge_gateway_receiving_bytes") < 900_000:
                pass
        answer = await site.post([event(number, summary="x" * 1_000) for number in range(150)])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["detail"] == "too much is being received at the moment"
        assert (await site.post(EVENT)).status_code == 202
        writer.close()
        async with asyncio.timeout(10):
            while await site.metric("opsbridge_gateway_receiving_bytes"):
                pass
        assert (await site.post([event(number, summary="x" * 1_000) for number in range(150)])).status_code == 202


async def test_whoever_only_pretends_to_sign_leaves_room_for_others() -> None:
    limits = {"memory": 2_000_000, "credentials": f"{CREDENTIALS};* hmac {TOKEN}"}
    async with gateway(limits=limits) as site, AsyncExitStack() as stack:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
            head = b"POST /api/v1/events/canonical HTTP/1.1\r\nX-Hub-Signature-256: sha256=00\r\n"
            writer.write(head + b"Content-Length: 900000\r\n\r\n" + b" " * 450_000)
        async with asyncio.timeout(10):
            while await site.metric("opsbridge_gateway_receiving_bytes") < 450_000:
                pass
        assert await site.metric("opsbridge_gateway_receiving_bytes") <= 500_000
        answer = await site.post([event(number, summary="x" * 1_000) for number in range(500)])
        assert answer.status_code == 202


Json = st.recursive(
    st.none() | st.text('[]{}"\\a', max_size=6), lambda inner: st.lists(inner) | st.dictionaries(st.text('"]\\'), inner)
)


def depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inside), default=0) if isinstance(value, dict | list) else 0


@given(Json, st.integers(1, 6))
def test_depth_is_what_it_is_by_definition(value: object, limit: int) -> None:
    assert too_deep(json.dumps(value).encode(), limit) == (depth(value) > limit)


@given(st.binary(max_size=200))
def test_depth_of_what_is_no_json_is_found_out_too(content: bytes) -> None:
    too_deep(content, 3)


def test_depth_takes_linear_time_whatever_the_text() -> None:
    for content in (b'"' + b'\\"' * 2_000_000, b'"' * 4_000_000, b"[" * 4_000_000, b"[]" * 2_000_000):
        too_deep(b"[" * 70 + content, 64)  # in seconds, were it quadratic: in hours


@given(st.binary(max_size=300), st.integers(1, 50), st.sampled_from(["gzip", "deflate", "identity"]))
def test_bodies_are_the_same_however_they_are_cut(content: bytes, size: int, encoding: str) -> None:
    packed = {"gzip": gzip.compress(content), "deflate": zlib.compress(content), "identity": content}[encoding]
    memory = Memory(10_000)
    body = Body(encoding, sent=1_000, unpacked=1_000, memory=memory)
    body.keep_as_sent()
    for start in range(0, len(packed), size):
        body.add(packed[start : start + size])
    assert body.whole() == content
    assert body.as_sent() == packed
    body.release()
    assert memory.taken == 0
