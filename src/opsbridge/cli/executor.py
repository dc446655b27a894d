"""`opsbridge executor`: does what auto-responses ask for, from a list of actions, until it is told to stop."""

import asyncio
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, Sets, settings_from
from opsbridge.cli.output import say


class Unknown(StrEnum):
    """What to do with a request for an action that is not in the files."""

    REFUSE = "refuse"
    LEAVE = "leave"


def executor(
    *,
    actions: Annotated[list[Path], typer.Option(metavar="PATH", help="What it may do; may be given more than once.")],
    name: Annotated[
        str | None, typer.Option(help="Its own, and the same after a restart; else the name of the host.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Executors of one group share the work; else kafka.group_id-executor.")
    ] = None,
    concurrent: Annotated[int, typer.Option(min=1, max=1000, help="Actions at once.")] = 4,
    unknown: Annotated[
        Unknown, typer.Option(help="Actions that are not in the files: refused, or left to another group.")
    ] = Unknown.REFUSE,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that what runs may take after SIGTERM.")] = 20,
    check: Annotated[bool, typer.Option("--check", help="Only read the files and say what is wrong.")] = False,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Do what auto-responses ask for: `opsbridge executor --actions actions.yaml -b localhost:9092`.

    Nothing but the commands and webhooks of the files is done. SIGTERM and Ctrl-C stop it in order (exit code 0).
    """
    from opsbridge.executor import load_actions

    loaded = load_actions(actions)
    for finding in loaded.findings:
        say(str(finding))
    if check:
        say(f"{len(loaded.by_name)} actions: {', '.join(loaded.by_name)}")
        return
    from opsbridge.cli.logs import set_up_logs
    from opsbridge.executor.service import Duty, serve

    settings = settings_from(config, bootstrap_servers, sets)
    set_up_logs(settings.log)
    duty = Duty(
        name=name or socket.gethostname(),
        group=group or f"{settings.kafka.group_id}-executor",
        concurrent=concurrent,
        leave_unknown=unknown is Unknown.LEAVE,
        grace=grace,
    )
    asyncio.run(serve(settings, loaded.by_name, duty))
