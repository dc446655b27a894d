"""`opsbridge rules fmt`: rule files in one layout, so that a review shows what changes and not how it was typed."""

import os
import shutil
import sys
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.findings import say_findings
from opsbridge.cli.output import say


def fmt(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing, name the files that would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing, print what would change.")] = False,
) -> None:
    """Put rule files into one layout: `opsbridge rules fmt correlation_rules/`.

    Order of keys, indentation and blank lines; comments, quotes and what the rules say stay as they are. Exit code 1:
    with --check or --diff, something would change; 2: a file cannot be read, or not be formatted (the others are).
    """
    from opsbridge.documents import read_documents
    from opsbridge.rules.language.formatting import FormattingError, formatted

    documents, findings = read_documents(paths)
    say_findings(findings)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(2)
    changed, refused = 0, 0
    files = dict.fromkeys(document.path for document in documents)
    for path in files:
        if path.endswith(".json"):
            say(f"{path}: is JSON, which has no layout of its own here")
            continue
        before = Path(path).read_bytes().decode("utf-8-sig")
        try:
            after = formatted(before)
        except FormattingError as error:
            say(f"{path}: {error}")
            refused += 1
            continue
        if after == before:
            continue
        changed += 1
        if diff:
            sys.stdout.writelines(
                unified_diff(
                    before.splitlines(keepends=True), after.splitlines(keepends=True), path, f"{path} (formatted)"
                )
            )
        if check or diff:
            say(f"{path}: would change")
        else:
            _replace(Path(path).resolve(), after)
            say(f"{path}: formatted")
    would = "would change" if check or diff else "changed"
    say(f"{changed} of {len(files)} files {would}")
    if refused:
        raise typer.Exit(2)
    if changed and (check or diff):
        raise typer.Exit(1)


def _replace(file: Path, text: str) -> None:
    """Write the file as a whole or not at all: whoever watches it never reads half of it."""
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        shutil.copymode(file, fresh)
        os.replace(fresh, file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="PATH") from None
