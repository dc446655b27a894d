"""How findings about files are told: line by line on stderr, and in the JSON document that a program asked for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

import typer

from opsbridge.cli.output import Format, say, write_json

if TYPE_CHECKING:
    from opsbridge.documents import DocumentError, Finding


def say_findings(findings: "Iterable[Finding]") -> None:
    """Each finding on a line of stderr, its level before its message where it is no error."""
    for finding in findings:
        say(str(finding) if finding.level == "error" else f"{finding.level}: {finding}")


def stop_at_errors(error: "DocumentError", output: Format) -> NoReturn:
    """End with all findings of files that cannot be used; a program that asked for JSON gets them on stdout too."""
    if output is Format.JSON:
        write_json({"findings": error.findings})
    say_findings(error.findings)
    raise typer.Exit(error.exit_code)
