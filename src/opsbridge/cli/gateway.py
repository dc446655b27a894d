"""`opsbridge gateway`: takes what monitoring tools send over HTTP and writes it to Kafka, until it is told to stop."""

from typing import Annotated

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from


def gateway(
    *,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Listen beyond loopback without TLS: a proxy in front has it.")
    ] = False,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Listen beyond loopback without credentials: anybody can send.")
    ] = False,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Take events over HTTP: `opsbridge gateway -b localhost:9092`, then POST to /api/v1/events/SOURCE.

    It answers 2xx when Kafka has acknowledged. SIGTERM and Ctrl-C stop it in order (exit code 0), SIGHUP reads its
    credentials and certificate again.
    """
    import uvloop

    from opsbridge.cli.logs import set_up_logs
    from opsbridge.gateway.server import serve
    from opsbridge.settings.inputs import inputs

    settings = settings_from(config, bootstrap_servers, sets)
    set_up_logs(settings.log)
    uvloop.run(serve(settings, inputs(settings), insecure_http=insecure_http, no_auth=no_auth))
