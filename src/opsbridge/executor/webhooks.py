"""Calling one webhook: a fixed server, a bounded time and a bounded answer, no redirects, no proxy, no cookies.

A status of 2xx is success. What was sent before something went wrong may have had its effect; the receiver tells
repetitions apart by the header `Idempotency-Key`.
"""

import json
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from opsbridge.executor.actions import Action, Filled, Webhook, read_headers
from opsbridge.executor.orders import Ended, Order
from opsbridge.executor.templates import Template

_CHUNK: Final = 4096


async def call_webhook(
    action: Action, webhook: Webhook, values: Mapping[str, str], order: Order, within: float
) -> Ended:
    """Send the request and read the answer, for `within` seconds at most."""
    url = URL(webhook.url.filled(values, lambda value: quote(value, safe="")), encoded=True)
    body = None if webhook.method == "GET" else json.dumps(_asked(webhook.body, values, order)).encode()
    try:
        headers = {
            "User-Agent": "opsbridge-executor",
            "Accept-Encoding": "identity",
            **({} if body is None else {"Content-Type": "application/json"}),
            **webhook.headers,
            **(read_headers(webhook.headers_file) if webhook.headers_file is not None else {}),
            "Idempotency-Key": order.key,
        }
        verify = ssl.create_default_context(cafile=webhook.ca_file) if url.scheme == "https" else True
        session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=within),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        async with (
            session,
            session.request(
                webhook.method, url, data=body, headers=headers, ssl=verify, allow_redirects=False
            ) as answer,
        ):
            text = await _text(answer, action.output_limit)
            if 300 <= answer.status < 400:
                where = answer.headers.get("Location", "nowhere")[:200]
                text = f"redirects to {where}, which is not followed: name the final address\n{text}".strip()
            return Ended("succeeded" if 200 <= answer.status < 300 else "failed", text, answer.status)
    except TimeoutError:
        return Ended("failed", f"no answer, or not all of it, within {within:.1f} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Ended("failed", f"the call failed: {str(error) or type(error).__name__}")


def _asked(body: Filled, values: Mapping[str, str], order: Order) -> object:
    if body is None:
        return {
            "action": order.action,
            "parameters": dict(values),
            "ci": order.ci,
            "attempt": order.attempt,
            "response": order.response,
            "situation": order.situation,
            "idempotency_key": order.key,
        }
    return _filled(body, values)


def _filled(body: Filled, values: Mapping[str, str]) -> object:
    match body:
        case Template():
            return body.filled(values)
        case list():
            return [_filled(each, values) for each in body]
        case dict():
            return {key: _filled(each, values) for key, each in body.items()}
        case _:
            return body


async def _text(answer: aiohttp.ClientResponse, limit: int) -> str:
    """The beginning of the answer; the rest is not read, and the connection is closed on it."""
    content = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > limit * 4:
            answer.close()
            break
    text = content.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= limit else f"{text[:limit]}\n[the rest of the answer is cut]"
