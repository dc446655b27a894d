"""`opsbridge rules`: whether rule files can be used and what is in them, and what classes mean by them."""

from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import OutputFormat
from opsbridge.cli.output import Format, show_table, write_json

app = typer.Typer(help="Look at rule files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at rule files."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    output: OutputFormat = Format.TABLE,
) -> None:
    """Check rule files and list the rules: `opsbridge rules check correlation_rules/`.

    Exit code 0: fine; 1: usable, with warnings; 2: cannot be used.
    """
    from opsbridge.rules import RuleError, compile_rules, load_rules

    try:
        files = load_rules(paths)
    except RuleError as error:
        stop_at_errors(error, output)
    compiled = compile_rules(files.rules)
    listed = [{"id": rule.id, "kind": rule.kind, "title": rule.title, "path": rule.path} for rule in files.rules]
    if output is Format.JSON:
        write_json({"findings": files.findings, "digest": compiled.digest, "rules": listed})
    else:
        title = f"{len(listed)} rules, digest {compiled.digest}"
        show_table(["rule", "kind", "title", "file"], [tuple(rule.values()) for rule in listed], title=title)
    say_findings(files.findings)
    if any(finding.level == "warning" for finding in files.findings):
        raise typer.Exit(1)


@app.command()
def classes(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Classes, as events name them.")],
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", metavar="PATH", help="Your rules: a file or a directory.")
    ] = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Show what classes mean for cause and effect: `opsbridge rules classes DiskFull HostDown`.

    The rules are yours and then the shipped ones; a class that no rule knows is of unknown nature.
    """
    from msgspec import to_builtins

    from opsbridge.rules import RuleError, compile_rules, load_rules

    try:
        files = load_rules(rules or [])
    except RuleError as error:
        stop_at_errors(error, output)
    profiles = compile_rules(files.rules).profiles
    said = [{"class": name, **to_builtins(profiles(name))} for name in names]
    if output is Format.JSON:
        write_json(said)
    else:
        show_table(["class", "nature", "travels to", "rule"], [tuple(each.values()) for each in said])
    say_findings(files.findings)
