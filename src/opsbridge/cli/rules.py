"""`opsbridge rules check`: whether rule files can be used, and what is in them in the order in which they are asked."""

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
