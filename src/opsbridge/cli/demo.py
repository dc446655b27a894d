"""`opsbridge demo`: half a minute of a storm, live, on an embedded broker; ends with 0 only if the outcome is right."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.output import console, say
from opsbridge.errors import OpsBridgeError


class DemoUnavailableError(OpsBridgeError):
    """The demo cannot run here."""


def demo(
    *,
    seconds: Annotated[float, typer.Option(min=20, max=600, help="How long the storm lasts.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed, another storm.")] = 7,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write what the topics hold at the end, for `opsbridge review`.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live picture.")] = False,
    topology: Annotated[Path, typer.Option(metavar="PATH", help="The estate.")] = Path("topology"),
    rules: Annotated[Path, typer.Option(metavar="PATH", help="The rules.")] = Path("correlation_rules"),
    known_errors: Annotated[Path, typer.Option(metavar="PATH", help="The known errors.")] = Path("known_errors"),
) -> None:
    """Show a storm and what becomes of it: `opsbridge demo`; needs no broker of yours.

    Two failures at once on the shipped estate (run it in a clone), one of them silent, between noise and broken
    records; and two services that a machine restarts, which helps one of them.
    Exit code 0: the outcome is exactly right; 1: it is not, and what was expected is told.
    """
    try:
        from opsbridge.demo.show import Play, perform
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "kio":
            raise
        raise DemoUnavailableError("the embedded broker needs an extra: pip install 'opsbridge[demo]'") from None
    from opsbridge.demo.screen import Screen

    for path, flag in ((topology, "--topology"), (rules, "--rules"), (known_errors, "--known-errors")):
        if not path.exists():
            raise DemoUnavailableError(f"{path}: no such file or directory; run this in a clone, or give {flag}")
    with Screen(console(sys.stdout), plain=plain) as screen:
        play = Play(topology.resolve(), rules.resolve(), known_errors.resolve(), seconds, seed, record)
        wrong = asyncio.run(perform(play, screen))
    for complaint in wrong:
        say(f"not as expected: {complaint}")
    if wrong:
        raise typer.Exit(1)
    say("the outcome is right")
