"""The console script: which commands there are, and how every failure reaches the operator.

Errors made on purpose (`OpsBridgeError`) become their message on stderr and their exit code, never a traceback. The
exit codes are part of the interface (docs/cli.md): scripts and supervisors act on them.
"""

from typing import Final

import typer
from typer.core import TyperGroup

from opsbridge.cli import (
    backtest,
    contract,
    demo,
    executor,
    explain,
    gateway,
    output,
    replay,
    review,
    rules,
    run,
    send,
    sources,
    syslog,
    topics,
    topology,
    topology_health,
    topology_views,
    version,
)
from opsbridge.errors import OpsBridgeError

EXIT_CODES: Final = {
    0: "ok",
    1: "findings, or a check that failed; `run`: the worker ended to be started again",
    2: "wrong usage, an invalid file or an invalid setting",
    3: "no broker answers",
    130: "interrupted (Ctrl-C)",
}
"""What each exit code means; shown by --help, documented in docs/cli.md."""


class Commands(TyperGroup):
    """The commands, with OpsBridge's errors told as what they are: messages for people."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # the base names its private class
        """Run the command; an `OpsBridgeError` ends with its message and exit code."""
        try:
            return super().invoke(ctx)
        except OpsBridgeError as error:
            for line in str(error).splitlines():
                output.say(line)
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="opsbridge",
    cls=Commands,
    help="Monitoring events in on Kafka, one incident that names its root cause out.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run")(run.run)
app.command("executor")(executor.executor)
app.command("gateway")(gateway.gateway)
app.command("demo")(demo.demo)
app.command("replay")(replay.replay)
app.command("review")(review.review)
app.command("explain")(explain.explain)
app.command("backtest")(backtest.backtest)
app.command("send")(send.send)
app.command("syslog")(syslog.syslog)
app.command("topics")(topics.topics)
app.command("contract")(contract.contract)
topology.app.command("show")(topology_views.show)
topology.app.command("path")(topology_views.path)
topology.app.command("impact")(topology_views.impact)
topology.app.command("health")(topology_health.health)
app.add_typer(topology.app, name="topology")
app.add_typer(rules.app, name="rules")
app.add_typer(sources.app, name="sources")
app.command("version")(version.version)


def main() -> None:
    """Run the command that the process was started with, and end the process with its exit code."""
    app()


if __name__ == "__main__":
    main()
