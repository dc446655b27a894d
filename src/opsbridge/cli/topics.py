"""`opsbridge topics`: the topics of this installation, and whether the cluster has them as they must be."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from opsbridge.cli.options import BootstrapServers, ConfigFile, OutputFormat, Sets, settings_from
from opsbridge.cli.output import Format, say, show_table, write_json

if TYPE_CHECKING:
    from opsbridge.settings import Settings
    from opsbridge.stream.topics import TopicReport


def topics(
    *,
    create: Annotated[bool, typer.Option("--create", help="Create what is missing, then check.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with the cluster; create nothing.")] = False,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """List the topics; with --check or --create, hold them against the cluster: `opsbridge topics --check`.

    Without either, no broker is asked. Exit code 1: the cluster does not have them as they must be.
    """
    from opsbridge.stream.topics import topics_of

    if create and check:
        raise typer.BadParameter("--create checks as well: give one of them")
    wanted = [*(sets or ()), f"topics.create={'true' if create else 'false'}"] if create or check else sets
    settings = settings_from(config, bootstrap_servers, wanted)
    rows = [
        {
            "topic": topic.name,
            "entity": topic.entity.name,
            "key": topic.entity.key,
            "cleanup": topic.entity.cleanup,
            "partitions": settings.topics.partitions,
        }
        for topic in topics_of(settings.topics)
    ]
    report = asyncio.run(_asked(settings)) if create or check else None
    if output is Format.JSON:
        answer: dict[str, object] = {"topics": rows}
        write_json(answer if report is None else answer | {"created": report.created, "findings": report.findings})
    else:
        show_table(["topic", "entity", "key", "cleanup", "#partitions"], [tuple(row.values()) for row in rows])
    if report is not None:
        _tell(report)


async def _asked(settings: "Settings") -> "TopicReport":
    from opsbridge.stream.topics import ensure_topics

    return await ensure_topics(settings)


def _tell(report: "TopicReport") -> None:
    for name in report.created:
        say(f"created {name}")
    for finding in report.findings:
        say(f"{'error' if finding.fatal else 'warning'}: {finding}")
    if report.findings:
        raise typer.Exit(1)
    say("the cluster has every topic as it must be")
