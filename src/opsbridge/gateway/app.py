"""The addresses of the gateway: who may send, what is taken over, and what the sender is told (docs/gateway.md).

2xx is answered when Kafka has acknowledged everything that belongs to the request, the dead letters too, and never
before. What is told to a sender repeats no credential, and none is logged.
"""

import asyncio
import difflib
import logging
import time
from typing import Final

import orjson
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from opsbridge.gateway import sns
from opsbridge.gateway.credentials import Credentials, Known, RequestHeaders, ToSign
from opsbridge.gateway.judging import Judged
from opsbridge.gateway.limits import Body, Memory, Rates, Refused
from opsbridge.gateway.metrics import GatewayMetrics
from opsbridge.gateway.payloads import Payload, payloads
from opsbridge.gateway.producing import Busy, Producing
from opsbridge.settings import Settings
from opsbridge.sources.inputs import Inputs, Read

log = logging.getLogger(__name__)

AT_A_STRETCH: Final = 0.01
"""Seconds after which other requests get their turn."""

BROKER_PATIENCE: Final = 30.0
"""After so many seconds without an answer from a broker the gateway is not ready."""

EVENTS_PATH: Final = "/api/v1/events/"

_RawHeaders = list[tuple[bytes, bytes]]
_Answer = tuple[int, bytes, _RawHeaders]
"""Status, content and headers."""

_JSON: Final = (b"content-type", b"application/json")


class _DisconnectedError(Exception):
    """The client went away before its body was complete."""


class Gateway:
    """What all requests share; `credentials` may be replaced at any time."""

    def __init__(
        self,
        settings: Settings,
        inputs: Inputs,
        producing: Producing,
        credentials: Credentials,
        metrics: GatewayMetrics,
        *,
        confirm: sns.Ask = sns.ask,
    ) -> None:
        self.credentials = credentials
        self.stopping = False
        self._settings = settings.gateway
        self._record_limit = settings.kafka.max_message_bytes
        self._readers = {name: Inputs(inputs.sources, default=name).reader() for name in inputs.sources.names}
        self._producing = producing
        self._metrics = metrics
        self._confirm = confirm
        self._memory = Memory(settings.gateway.memory)
        self._unproven = Memory(settings.gateway.memory // 4)  # whoever only pretends to sign does not take it all
        self._rates = Rates(settings.gateway.rate, settings.gateway.burst)
        self._seen = time.monotonic()
        metrics.receiving.set_function(lambda: self._memory.taken + self._unproven.taken)
        metrics.in_flight.set_function(lambda: producing.in_flight)

        self._others = Starlette(
            routes=[
                Route("/api/v1/sources", self._list),
                Route("/metrics", self._show_metrics),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
            ],
        )
        self._others.router.redirect_slashes = False  # to wherever the header Host says

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: Starlette's, but for events, where its layers would be a third of the work."""
        path: str = scope["path"]
        if not path.startswith(EVENTS_PATH) or "/" in (source := path.removeprefix(EVENTS_PATH)):
            await self._others(scope, receive, send)
            return
        if scope["method"] == "POST":
            status, content, headers = await self._post(source, scope["headers"], receive)
        else:
            status, content, headers = self._refusal(Refused(405, "not_allowed", "events are sent with POST"))
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
        await send({"type": "http.response.body", "body": content})

    async def watch(self, every: float = 2.0) -> None:
        """Ask every few seconds whether a broker answers."""
        while True:
            if await self._producing.answers():
                self._seen = time.monotonic()
            await asyncio.sleep(every)

    async def _post(self, source: str, raw: _RawHeaders, receive: Receive) -> _Answer:
        began = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
        try:
            status, told = await self._taken(source, headers, receive)
            answer: _Answer = (status, _json(told), [])
        except Refused as refused:
            answer = self._refusal(refused)
        except Busy as busy:
            answer = self._refusal(Refused(503, "busy", str(busy), retry_after=busy.retry_after))
        except _DisconnectedError:
            answer = (400, b"", [])  # nobody reads it
        self._metrics.answered(source if source in self._readers else "", answer[0], time.perf_counter() - began)
        return answer

    async def _taken(self, source: str, headers: RequestHeaders, receive: Receive) -> tuple[int, dict[str, object]]:
        if not self.credentials and ("origin" in headers or "sec-fetch-site" in headers):
            raise Refused(403, "forbidden", "web pages may not send events to a gateway without credentials")
        who = self._who(source, headers)
        if source not in self._readers:
            near = difflib.get_close_matches(source, self._readers, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise Refused(404, "unknown_source", f"unknown source {source!r}{meant}")
        if isinstance(who, Known):
            self._rates.admit((source, who.name))
        body = Body(
            headers.get("content-encoding", ""),
            sent=self._settings.max_body_bytes,
            unpacked=self._settings.max_unpacked_bytes,
            memory=self._unproven if isinstance(who, ToSign) else self._memory,
        )
        try:
            content = await self._read(receive, headers, body, signed=isinstance(who, ToSign))
            if isinstance(who, ToSign):
                signer = who.check(body.as_sent())
                if signer is None:
                    raise Refused(401, "unauthorized", "the signature is wrong, or its timestamp too old")
                who = signer
                self._rates.admit((source, who.name))
            if message := sns.about_subscription(headers, content):
                done = await sns.settle(message, self._settings.sns_topics, self._confirm)
                return 200, {"subscription": done}
            parts = payloads(content, source, headers, depth=self._settings.max_depth)
            judged = await self._judged(self._readers[source], parts)
            self._rates.spend((source, who.name), judged.events)
            await self._producing.send(judged.records)
        finally:
            body.release()
        self._metrics.events(source, judged.accepted, judged.withheld, judged.rejected)
        return judged.status(), judged.answer()

    def _who(self, source: str, headers: RequestHeaders) -> Known | ToSign:
        who = self.credentials.judge(source, headers)
        if who == 401:
            raise Refused(401, "unauthorized", "a credential of this source is needed")
        if who == 403:
            raise Refused(403, "forbidden", "this credential may not send to this source")
        return who

    async def _read(self, receive: Receive, headers: RequestHeaders, body: Body, *, signed: bool) -> bytes:
        body.announced(headers.get("content-length"))
        if signed:
            body.keep_as_sent()
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _DisconnectedError
                    if chunk := message["body"]:
                        body.add(chunk)
                    if not message["more_body"]:
                        return body.whole()
        except TimeoutError:
            detail = f"the body did not arrive within {self._settings.body_timeout:g} s"
            raise Refused(408, "too_slow", detail) from None

    async def _judged(self, read: Read, parts: list[Payload]) -> Judged:
        judged = Judged(self._producing.fits, self._record_limit)
        arrived_ms = time.time_ns() // 1_000_000
        turn = time.perf_counter()
        for number, part in enumerate(parts):
            judged.add(number, part, read(part.content, part.headers, arrived_ms))
            if judged.events > self._settings.max_events:
                raise Refused(
                    413, "too_many_events", f"more than {self._settings.max_events} events: send less at once"
                )
            if time.perf_counter() - turn > AT_A_STRETCH:
                await asyncio.sleep(0)
                turn = time.perf_counter()
        return judged

    def _refusal(self, refused: Refused) -> _Answer:
        headers: _RawHeaders = []
        if refused.retry_after is not None:
            headers.append((b"retry-after", b"%d" % refused.retry_after))
        if refused.status == 401:
            headers.append((b"www-authenticate", self.credentials.challenge().encode()))
        if refused.status == 405:
            headers.append((b"allow", b"POST"))
        if refused.status == 408:
            headers.append((b"connection", b"close"))
        return refused.status, _json({"error": refused.reason, "detail": refused.detail}), headers

    async def _list(self, request: Request) -> Response:
        return self._refused_stranger(request) or _response(200, {"sources": sorted(self._readers)})

    async def _show_metrics(self, request: Request) -> Response:
        if refusal := self._refused_stranger(request):
            return refusal
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": content_type})

    def _refused_stranger(self, request: Request) -> Response | None:
        if self.credentials.anybody(request.headers):
            return None
        refused = Refused(401, "unauthorized", "a credential of any source is needed")
        status, content, headers = self._refusal(refused)
        response = Response(content, status, media_type="application/json")
        response.raw_headers += headers
        return response

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _: Request) -> Response:
        silent = max(time.monotonic() - self._seen, self._producing.silent())
        waiting = (
            (self.stopping, "the gateway is stopping"),
            (silent > BROKER_PATIENCE, f"no broker has answered for {silent:.0f} s"),
        )
        reasons = [reason for applies, reason in waiting if applies]
        return _response(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})


def _json(content: dict[str, object]) -> bytes:
    return orjson.dumps(content) + b"\n"


def _response(status: int, content: dict[str, object]) -> Response:
    return Response(_json(content), status, media_type="application/json")
