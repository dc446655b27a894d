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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

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
        self._rates = Rates(settings.gateway.rate, settings.gateway.burst)
        self._seen = time.monotonic()
        metrics.receiving.set_function(lambda: self._memory.taken)
        metrics.in_flight.set_function(lambda: producing.in_flight)

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/api/v1/events/{source}", self._post, methods=["POST"]),
                Route("/api/v1/sources", self._list),
                Route("/metrics", self._show_metrics),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
            ],
        )

    async def watch(self, every: float = 2.0) -> None:
        """Ask every few seconds whether a broker answers."""
        while True:
            if await self._producing.answers():
                self._seen = time.monotonic()
            await asyncio.sleep(every)

    async def _post(self, request: Request) -> Response:
        began = time.perf_counter()
        source = request.path_params["source"]
        try:
            response = await self._taken(request, source)
        except Refused as refused:
            response = self._refusal(refused)
        except Busy as busy:
            response = self._refusal(Refused(503, "busy", str(busy), retry_after=busy.retry_after))
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        known = source if source in self._readers else ""
        self._metrics.answered(known, response.status_code, time.perf_counter() - began)
        return response

    async def _taken(self, request: Request, source: str) -> Response:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        if not self.credentials and ("origin" in headers or "sec-fetch-site" in headers):
            raise Refused(403, "forbidden", "web pages may not send events to a gateway without credentials")
        who = self._who(source, headers)
        if source not in self._readers:
            near = difflib.get_close_matches(source, self._readers, n=3)
            raise Refused(404, "unknown_source", "no such source" + (f": {', '.join(near)}?" if near else ""))
        if isinstance(who, Known):
            self._rates.admit((source, who.name))
        body = Body(
            headers.get("content-encoding", ""),
            sent=self._settings.max_body_bytes,
            unpacked=self._settings.max_unpacked_bytes,
            memory=self._memory,
        )
        try:
            content = await self._read(request, headers, body, signed=isinstance(who, ToSign))
            if isinstance(who, ToSign):
                signer = who.check(body.as_sent())
                if signer is None:
                    raise Refused(401, "unauthorized", "the signature is wrong, or its timestamp too old")
                who = signer
                self._rates.admit((source, who.name))
            if message := sns.about_subscription(headers, content):
                done = await sns.settle(message, self._settings.sns_topics, self._confirm)
                return _json({"subscription": done}, 200)
            parts = payloads(content, source, headers, depth=self._settings.max_depth)
            judged = await self._judged(self._readers[source], parts)
            self._rates.spend((source, who.name), judged.events)
            await self._producing.send(judged.records)
        finally:
            body.release()
        self._metrics.events(source, judged.accepted, judged.withheld, judged.rejected)
        return _json(judged.answer(), judged.status())

    def _who(self, source: str, headers: RequestHeaders) -> Known | ToSign:
        who = self.credentials.judge(source, headers)
        if who == 401:
            raise Refused(401, "unauthorized", "a credential of this source is needed")
        if who == 403:
            raise Refused(403, "forbidden", "this credential may not send to this source")
        return who

    async def _read(self, request: Request, headers: RequestHeaders, body: Body, *, signed: bool) -> bytes:
        body.announced(headers.get("content-length"))
        if signed:
            body.keep_as_sent()
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                async for chunk in request.stream():
                    if chunk:
                        body.add(chunk)
        except TimeoutError:
            detail = f"the body did not arrive within {self._settings.body_timeout:g} s"
            raise Refused(408, "too_slow", detail) from None
        return body.whole()

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

    def _refusal(self, refused: Refused) -> Response:
        response = _json({"error": refused.reason, "detail": refused.detail}, refused.status)
        if refused.retry_after is not None:
            response.headers["retry-after"] = str(refused.retry_after)
        if refused.status == 401:
            response.headers["www-authenticate"] = self.credentials.challenge()
        if refused.status == 408:
            response.headers["connection"] = "close"
        return response

    async def _list(self, request: Request) -> Response:
        return self._refused_stranger(request) or _json({"sources": sorted(self._readers)}, 200)

    async def _show_metrics(self, request: Request) -> Response:
        if refusal := self._refused_stranger(request):
            return refusal
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": content_type})

    def _refused_stranger(self, request: Request) -> Response | None:
        if self.credentials.anybody(request.headers):
            return None
        return self._refusal(Refused(401, "unauthorized", "a credential of any source is needed"))

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _: Request) -> Response:
        silent = max(time.monotonic() - self._seen, self._producing.silent())
        waiting = (
            (self.stopping, "the gateway is stopping"),
            (silent > BROKER_PATIENCE, f"no broker has answered for {silent:.0f} s"),
        )
        reasons = [reason for applies, reason in waiting if applies]
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)


def _json(content: dict[str, object], status: int) -> Response:
    return Response(orjson.dumps(content) + b"\n", status, media_type="application/json")
