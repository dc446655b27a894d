"""The HTTP server of a worker: /metrics, /healthz and /readyz, and how it lives on the worker's own event loop.

It stops with the worker, takes no signals from it and logs no requests. Errors: WebError (the address cannot be used).
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from opsbridge.errors import OpsBridgeError
from opsbridge.settings import WebSettings
from opsbridge.web.metrics import Metrics
from opsbridge.web.readiness import Readiness

log = logging.getLogger(__name__)

BACKLOG: Final = 128
STOP_SECONDS: Final = 2.0
"""How long open requests may take when the worker stops."""


class WebError(OpsBridgeError):
    """The HTTP address cannot be listened on."""

    exit_code = 2


def create_web(metrics: Metrics, readiness: Readiness) -> Starlette:
    """The application; it only reads what it is given."""

    async def show_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"content-type": content_type})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reasons = readiness.reasons()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return Starlette(
        routes=[Route("/metrics", show_metrics), Route("/healthz", healthz), Route("/readyz", readyz)],
    )


class _Server(uvicorn.Server):
    """A server that leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(web: WebSettings, app: Starlette) -> AsyncIterator[str | None]:
    """Serve `app` meanwhile, and give its address (`http://host:port`); None if the settings turn it off.

    Port 0 takes a free one. Raises `WebError` if the address cannot be used.
    """
    if not web.enabled:
        yield None
        return
    listening = _listen(web)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=int(STOP_SECONDS)
    )
    server = _Server(config)
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    running = asyncio.create_task(server.serve(sockets=[listening]))
    log.info("metrics, health and readiness on %s", address)
    try:
        yield address
    finally:
        server.should_exit = True
        await running
        listening.close()


def _listen(web: WebSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            web.host, web.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refused(web, error) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _refused(web, error) from error
    return listening


def _refused(web: WebSettings, error: OSError) -> WebError:
    return WebError(
        f"cannot listen on {web.host}:{web.port} (web.host, web.port): {error.strerror or error}; "
        "choose another port, or set web.enabled=false"
    )
