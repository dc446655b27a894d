"""`opsbridge rules`: whether rule files can be used, what is in them, their tests, layout and schema."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from opsbridge.cli import rules_explain, rules_fmt, rules_test
from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import OutputFormat
from opsbridge.cli.output import Format, say, show_table, write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsbridge.documents import Finding

app = typer.Typer(help="Work with rule files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work with rule files."""


app.command("test")(rules_test.run)
app.command("explain")(rules_explain.explain)
app.command("fmt")(rules_fmt.fmt)


class CheckFormat(StrEnum):
    """In which shape findings are printed: for people, for programs, or for what shows them at their lines."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    known_errors: Annotated[
        list[Path] | None,
        typer.Option("--known-errors", metavar="PATH", help="Known errors to check with them: a file or a directory."),
    ] = None,
    output: Annotated[CheckFormat, typer.Option("--output", "-o", help="What to print.")] = CheckFormat.TEXT,
) -> None:
    """Check rule files and list the rules: `opsbridge rules check correlation_rules/ --known-errors known_errors/`.

    Exit code 0: fine; 1: usable, with warnings; 2: cannot be used.
    """
    from time import time

    from opsbridge.rules import RuleError, compile_rules, lint, load_known_errors, load_rules
    from opsbridge.testing.load import load_tests

    try:
        files = load_rules(paths)
        load_tests(paths)  # what is wrong in the rules' tests is worth an annotation too
        known = load_known_errors(known_errors or [], required=True)
    except RuleError as error:
        _report(error.findings, output)
        raise typer.Exit(error.exit_code) from None
    now = int(time() * 1000)
    findings = sorted([*files.findings, *lint(files, now, None if known_errors is None else known), *known.findings])
    digest = compile_rules(files.rules, known_errors=known.errors).digest
    tests = {each.rule: len(each.said) for each in files.tests}
    listed = [
        {
            "id": rule.id,
            "kind": rule.kind,
            "shadow": rule.shadow,
            "title": rule.title,
            "tests": tests.get(rule.id, 0),
            "path": rule.path,
        }
        for rule in files.rules
    ]
    if output is CheckFormat.TEXT:
        show_table(
            ["rule", "kind", "title", "#tests", "file"],
            [
                (
                    rule.id,
                    f"{rule.kind} (in trial)" if rule.shadow else rule.kind,
                    rule.title,
                    tests.get(rule.id, 0),
                    rule.path,
                )
                for rule in files.rules
            ],
            title=f"{len(listed)} rules, {len(known.errors)} known errors, digest {digest}",
        )
    _report(findings, output, digest=digest, rules=listed)
    if any(finding.level == "warning" for finding in findings):
        raise typer.Exit(1)


def _report(findings: "Sequence[Finding]", output: CheckFormat, **more: object) -> None:
    from opsbridge.cli.annotating import sarif, workflow_commands

    match output:
        case CheckFormat.JSON:
            write_json({"findings": findings, **more})
        case CheckFormat.GITHUB:
            for command in workflow_commands(findings):
                write_line(command.encode())
        case CheckFormat.SARIF:
            write_json(sarif(findings))
        case CheckFormat.TEXT:
            pass
    say_findings(findings)


@app.command()
def schema(
    *,
    known_errors: Annotated[
        bool, typer.Option("--known-errors", help="That of files of known errors instead.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes, else stdout.")
    ] = None,
) -> None:
    """Print the JSON Schema of rule files, for editors: `opsbridge rules schema -o schemas/rules-v1.json`."""
    from json import dumps

    from opsbridge.rules import known_errors_schema

    text = dumps(known_errors_schema(), indent=2) if known_errors else whole_schema()
    if output is None:
        write_line(text.encode())
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
    say(f"{output}: written")


def whole_schema() -> str:
    """The schema of rule files with that of their tests in it: what is checked in as schemas/rules-v1.json."""
    from json import dumps, loads

    from opsbridge.rules import schema as schema_of
    from opsbridge.testing.timetable import tests_schema

    # The definitions of the tests move to where draft-07 has its own, and so do the references to them.
    tests = loads(dumps(tests_schema()).replace('"#/$defs/', '"#/definitions/'))
    below = tests.pop("$defs", {})
    whole = schema_of(tests)
    definitions = cast("dict[str, object]", whole["definitions"]) | below
    return dumps(whole | {"definitions": dict(sorted(definitions.items()))}, indent=2)


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
    profiles = compile_rules(files.rules).book.profiles
    said = [{"class": name, **to_builtins(profiles(name))} for name in names]
    if output is Format.JSON:
        write_json(said)
    else:
        show_table(["class", "nature", "travels to", "rule"], [tuple(each.values()) for each in said])
    say_findings(files.findings)
