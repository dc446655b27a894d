"""`opsbridge run`: one worker, with its logs, metrics and readiness, until it is told to stop."""

import asyncio

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from


def run(config: ConfigFile = None, bootstrap_servers: BootstrapServers = None, sets: Sets = None) -> None:
    """Run a worker: `opsbridge run -b localhost:9092`; start more of them to share the work.

    SIGTERM and Ctrl-C stop it in order (exit code 0). Exit code 1: it could not go on without risking wrong state and
    wants to be started again; nothing is lost.
    """
    from opsbridge.cli.logs import set_up_logs
    from opsbridge.stream.worker import serve
    from opsbridge.web import Metrics, Readiness

    settings = settings_from(config, bootstrap_servers, sets)
    set_up_logs(settings.log)
    asyncio.run(serve(settings, metrics=Metrics(), readiness=Readiness()))
