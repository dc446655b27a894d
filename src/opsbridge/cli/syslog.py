"""`opsbridge syslog`: takes syslog messages over TCP, TLS and UDP, and writes each to the input topic."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from

Listen = list[str] | None


def syslog(
    *,
    tcp: Annotated[Listen, typer.Option(metavar="[HOST:]PORT", help="Take TCP there; may be repeated.")] = None,
    udp: Annotated[Listen, typer.Option(metavar="[HOST:]PORT", help="Take UDP there; may be repeated.")] = None,
    tls: Annotated[Listen, typer.Option(metavar="[HOST:]PORT", help="Take TLS there; may be repeated.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Our certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, PEM.")] = None,
    tls_clients: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Senders on TLS need a certificate of this authority, PEM.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Take messages from there only; may be repeated.")
    ] = None,
    any_peer: Annotated[bool, typer.Option("--any-peer", help="Beyond loopback, take them from anybody.")] = False,
    insecure_plain: Annotated[
        bool, typer.Option("--insecure-plain", help="Beyond loopback, take TCP and UDP without TLS.")
    ] = False,
    max_message: Annotated[
        int, typer.Option(min=1_024, max=262_144, help="Bytes of a message; longer ones are cut.")
    ] = 65_536,
    max_connections: Annotated[int, typer.Option(min=1, max=65_536, help="Open at the same time.")] = 1_000,
    idle: Annotated[float, typer.Option(min=1, help="Seconds that a connection may be silent for.")] = 3_600,
    udp_queue: Annotated[
        int, typer.Option(min=65_536, help="Bytes of datagrams that may wait for Kafka; more are dropped and counted.")
    ] = 16_777_216,
    metrics: Annotated[
        str, typer.Option(metavar="[HOST:]PORT|none", help="Where /metrics, /healthz and /readyz are.")
    ] = "9466",
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Take syslog and write it to Kafka: `opsbridge syslog --tcp 5514 --udp 5514 -b localhost:9092`.

    Without --tcp, --udp and --tls it takes TCP and UDP on port 5514 of loopback. SIGTERM and Ctrl-C stop it in order
    (exit code 0).
    """
    from opsbridge.cli.logs import set_up_logs
    from opsbridge.syslog.peers import Peers, SyslogError, Transport, read_address, read_networks, refuse_unguarded
    from opsbridge.syslog.service import Certificates, Duty, serve
    from opsbridge.syslog.streams import Limits

    if tcp is None and udp is None and tls is None:
        tcp = udp = ["5514"]
    asked: tuple[tuple[Transport, list[str] | None], ...] = (("tcp", tcp), ("tls", tls), ("udp", udp))
    listen = tuple(
        (transport, read_address(text, f"--{transport}")) for transport, texts in asked for text in texts or ()
    )
    if tls is not None and (tls_cert is None or tls_key is None):
        raise SyslogError("--tls needs --tls-cert and --tls-key")
    if tls is None and (tls_cert is not None or tls_key is not None):
        raise SyslogError("--tls-cert and --tls-key have no effect without --tls")
    if tls_clients is not None and tls is None:
        raise SyslogError("--tls-clients has no effect without --tls")
    if allow and any_peer:
        raise SyslogError("--allow and --any-peer exclude each other")
    networks = read_networks(allow or ())
    refuse_unguarded(
        listen, plain=insecure_plain, limited=any_peer or bool(networks), authenticated=tls_clients is not None
    )
    settings = settings_from(config, bootstrap_servers, sets)
    set_up_logs(settings.log)
    duty = Duty(
        listen=listen,
        certificates=Certificates(tls_cert, tls_key, tls_clients) if tls_cert and tls_key else None,
        peers=Peers(networks),
        limits=Limits(message=max_message, connections=max_connections, idle=idle, queue=udp_queue),
        metrics=None if metrics == "none" else read_address(metrics, "--metrics"),
    )
    asyncio.run(serve(settings, duty))
