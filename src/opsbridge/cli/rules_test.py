"""`opsbridge rules test`: the tests that rule files carry, run in virtual time; what failed is told as a difference."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import OutputFormat
from opsbridge.cli.output import Format, say, show_table, write_json

if TYPE_CHECKING:
    from opsbridge.testing.load import Suites
    from opsbridge.testing.run import Result


def run(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Rule files, or directories of them.")],
    *,
    containing: Annotated[
        str, typer.Option("--run", metavar="TEXT", help="Only tests whose RULE::NAME contains this.")
    ] = "",
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report, too.")] = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Run the tests of rule files: `opsbridge rules test correlation_rules/`.

    Each runs with the rules of its file and the shipped ones, in virtual time. Exit code 0: all passed; 1: some failed,
    or there are none; 2: the files cannot be used.
    """
    from opsbridge.rules import RuleError
    from opsbridge.testing.junit import written
    from opsbridge.testing.load import load_tests
    from opsbridge.testing.run import run_tests

    began = time.monotonic()
    try:
        suites = load_tests(paths)
    except RuleError as error:
        stop_at_errors(error, output)
    results = [result for suite in suites.suites for result in run_tests(suite, containing)]
    seconds = time.monotonic() - began
    if junit is not None:
        try:
            junit.write_bytes(written(results))
        except OSError as error:
            raise typer.BadParameter(f"{junit}: {error.strerror}", param_hint="--junit") from None
    if output is Format.JSON:
        write_json(_document(suites, results))
    else:
        _show(results)
    say_findings(suites.findings)
    _say_sum(suites, results, containing, seconds)
    if not results or any(not result.passed for result in results):
        raise typer.Exit(1)


def _document(suites: "Suites", results: "list[Result]") -> dict[str, object]:
    return {
        "passed": sum(result.passed for result in results),
        "failed": sum(not result.passed for result in results),
        "untested": suites.untested,
        "findings": suites.findings,
        "tests": [
            {
                "rule": result.test.rule,
                "name": result.test.timetable.name,
                "path": result.test.path,
                "line": result.test.line,
                "passed": result.passed,
                "difference": result.difference,
            }
            for result in results
        ],
    }


def _show(results: "list[Result]") -> None:
    """A row for each rule, and below, what failed."""
    rows: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.test.path, result.test.rule), []).append(result)
    if rows:
        show_table(
            ["file", "rule", "#tests", "#failed"],
            [(*key, len(each), sum(not result.passed for result in each) or "") for key, each in rows.items()],
        )
    for result in results:
        if not result.passed:
            say(f"\n{result.place}: {result.test.name}\n{result.difference}")


def _say_sum(suites: "Suites", results: "list[Result]", containing: str, seconds: float) -> None:
    failed = sum(not result.passed for result in results)
    if not results:
        say(
            f"no test's RULE::NAME contains {containing!r}"
            if containing
            else "there are no tests; rules carry them under `tests:`"
        )
        return
    told = f"{failed} of {len(results)} tests failed" if failed else f"{len(results)} tests passed"
    untested = suites.untested
    without = (
        f"; {len(untested)} of {sum(len(each.rules) for each in suites.suites)} rules have none" if untested else ""
    )
    say(f"{told} in {seconds:.1f} s{without}")
