"""A gateway from start to end: what it refuses to start with, the server, signals, and the order in which it stops.

It stops by answering what was received: first no new connections, then the requests under way get their answers, and
at last the connection to Kafka is closed. SIGHUP reads credentials and certificates again; if those cannot be used, the
old ones stay. `opsbridge gateway` calls `serve`.
"""

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn

from opsbridge.errors import OpsBridgeError
from opsbridge.gateway import sns
from opsbridge.gateway.app import Gateway
from opsbridge.gateway.connections import House, guarded, unambiguous
from opsbridge.gateway.credentials import Credentials, CredentialsError, open_to_others, read_credentials
from opsbridge.gateway.metrics import GatewayMetrics
from opsbridge.gateway.producing import DEAD_LETTERS, EVENTS, Producing, topic_of
from opsbridge.settings import GatewaySettings, Settings
from opsbridge.sources.inputs import Inputs
from opsbridge.stream.logs import limit_library_logs
from opsbridge.stream.topics import TopicReport, ensure_topics

log = logging.getLogger(__name__)

BACKLOG = 512


class GatewayError(OpsBridgeError):
    """The gateway cannot listen, or must not with these settings."""

    exit_code = 2


def require_safe(gateway: GatewaySettings, credentials: Credentials, *, insecure_http: bool, no_auth: bool) -> None:
    """Raise `GatewayError` if it would listen to others without TLS or without credentials, and nobody said so."""
    if is_loopback(gateway.host):
        return
    problems = []
    if gateway.tls_certfile is None and not insecure_http:
        problems.append(
            "without TLS, tokens and events can be read on the way: set gateway.tls_certfile and gateway.tls_keyfile, "
            "or say --insecure-http"
        )
    if not credentials and not no_auth:
        problems.append("without credentials, anybody can send events: set gateway.credentials_file, or say --no-auth")
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise GatewayError(f"gateway.host {gateway.host} is not loopback:\n{listed}")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve(settings: Settings, inputs: Inputs, *, insecure_http: bool = False, no_auth: bool = False) -> None:
    """Work until SIGTERM or SIGINT. Raises an `OpsBridgeError`: settings, topics or address (2), no broker (3)."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with running(settings, inputs, insecure_http=insecure_http, no_auth=no_auth) as here:
        handlers = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: here.reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            await stop.wait()
        finally:
            here.gateway.stopping = True
    for number in handlers:
        loop.remove_signal_handler(number)
    log.info("the gateway has ended")


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway at work."""

    address: str
    """`http://host:port`."""
    gateway: Gateway
    reload: Callable[[], None]
    """Reads credentials and certificate again."""


@asynccontextmanager
async def running(
    settings: Settings,
    inputs: Inputs,
    *,
    insecure_http: bool = False,
    no_auth: bool = False,
    confirm: sns.Ask = sns.ask,
) -> AsyncIterator[Running]:
    """A gateway meanwhile; at the end it stops in order. Raises what `serve` raises."""
    credentials = _credentials(settings.gateway, inputs)
    require_safe(settings.gateway, credentials, insecure_http=insecure_http, no_auth=no_auth)
    context = _tls(settings.gateway)
    with _listen(settings.gateway) as listening:
        limit_library_logs()
        _require_ours(await ensure_topics(settings), settings)
        producing = Producing(settings, bytes_in_flight=settings.gateway.memory, patience=settings.gateway.patience)
        await producing.start()
        try:
            metrics = GatewayMetrics()
            gateway = Gateway(settings, inputs, producing, credentials, metrics, confirm=confirm)
            server = _Server(settings.gateway, gateway, metrics, context)
            host, port = listening.getsockname()[:2]
            address = f"{'https' if context else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
            watching = asyncio.create_task(gateway.watch())
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            log.info("the gateway listens on %s and writes to %s", address, topic_of(settings, EVENTS))
            try:
                yield Running(address, gateway, _reloading(settings, inputs, gateway, context, metrics))
            finally:
                watching.cancel()
                server.should_exit = True
                await serving
        finally:
            await producing.stop()


def _reloading(
    settings: Settings, inputs: Inputs, gateway: Gateway, context: ssl.SSLContext | None, metrics: GatewayMetrics
) -> Callable[[], None]:
    def reload() -> None:
        try:
            credentials = _credentials(settings.gateway, inputs)
            if gateway.credentials and not credentials:
                raise CredentialsError(["there are none any more; to let everybody in, start again"])
            if context is not None:
                _load_certificate(settings.gateway, context)
        except OpsBridgeError as error:
            metrics.reloaded(successfully=False)
            log.error("credentials stay as they were: %s", error)  # it says its place
        else:
            gateway.credentials = credentials
            metrics.reloaded(successfully=True)
            log.info("credentials were read again: %d", len(credentials))

    return reload


class _Server(uvicorn.Server):
    """uvicorn's server with guarded connections; signals are the gateway's, and TLS handshakes are bounded too."""

    def __init__(
        self, gateway: GatewaySettings, app: Gateway, metrics: GatewayMetrics, context: ssl.SSLContext | None
    ) -> None:
        house = House(gateway.connections, gateway.header_timeout, gateway.body_timeout, metrics)
        super().__init__(
            uvicorn.Config(
                unambiguous(app),  # type: ignore[arg-type] # ASGI, as Starlette writes it
                http=guarded(house),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # of a request that is no HTTP, say, nobody needs to hear
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=gateway.keep_alive,  # type: ignore[arg-type] # it is given to call_later
                timeout_graceful_shutdown=gateway.grace,  # type: ignore[arg-type] # to wait_for
            )
        )
        self._context = context
        self._handshake = gateway.header_timeout

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: they are the gateway's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; as in uvicorn, but a TLS handshake takes no longer than a header."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn
                config=self.config, server_state=self.server_state, app_state={}, _loop=loop
            )
            return made

        handshake = self._handshake if self._context is not None else None
        self.servers = [
            await loop.create_server(
                protocol, sock=each, ssl=self._context, ssl_handshake_timeout=handshake, backlog=BACKLOG
            )
            for each in sockets or ()
        ]
        self.started = True


def _credentials(gateway: GatewaySettings, inputs: Inputs) -> Credentials:
    text = None if gateway.credentials is None else gateway.credentials.get_secret_value()
    credentials = read_credentials(gateway.credentials_file, text, age=gateway.signature_age)
    if unknown := credentials.sources - set(inputs.sources.names):
        raise CredentialsError([f"there is no source {name}" for name in sorted(unknown)])
    if gateway.credentials_file is not None and open_to_others(gateway.credentials_file):
        log.warning("%s can be read by everybody on this machine: chmod o-r", gateway.credentials_file)
    return credentials


def _tls(gateway: GatewaySettings) -> ssl.SSLContext | None:
    if gateway.tls_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(gateway, context)
    return context


def _load_certificate(gateway: GatewaySettings, context: ssl.SSLContext) -> None:
    """Connections from now on get the certificate of the settings."""
    assert gateway.tls_certfile is not None  # noqa: S101 # else there is no context
    try:
        context.load_cert_chain(gateway.tls_certfile, gateway.tls_keyfile)
    except (ssl.SSLError, OSError) as error:
        raise GatewayError(f"gateway.tls_certfile or tls_keyfile cannot be used: {error}") from error


def _listen(gateway: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in gateway.host else socket.AF_INET
    try:
        return socket.create_server((gateway.host, gateway.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise GatewayError(
            f"cannot listen on {gateway.host}:{gateway.port} (gateway.host, gateway.port): {error.strerror or error}"
        ) from error


def _require_ours(report: TopicReport, settings: Settings) -> None:
    """Raise `TopicsError` if a topic that the gateway writes to is not there; others are the workers' business."""
    ours = {topic_of(settings, entity) for entity in (EVENTS, DEAD_LETTERS)}
    TopicReport((), tuple(finding for finding in report.findings if finding.topic in ours)).require()
