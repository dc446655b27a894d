"""The pages of the documentation as tests read them: sections, tables, blocks of code; and commands run as users do."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from opsbridge.settings import ENV_PREFIX

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROW: Final = re.compile(r"^\|(.*)\|$")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands under a heading, to the next one of its level or above."""
    lines = prose(page(name))
    start = next(at for at, line in enumerate(lines) if line.lstrip("# ") == heading and line.startswith("#"))
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    ends = (at for at, line in enumerate(lines[start + 1 :], start + 1) if re.match(rf"#{{1,{level}}} ", line))
    return "\n".join(page(name).splitlines()[start + 1 : next(ends, len(lines))])


def prose(text: str) -> list[str]:
    """The lines, blank where a block of code is."""
    inside = False
    lines = []
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append("" if inside or fence else line)
        inside ^= fence
    return lines


def tables(text: str) -> Iterator[list[list[str]]]:
    """Every table, its rows as lists of cells, without head."""
    rows: list[list[str]] = []
    for line in [*prose(text), ""]:
        if match := ROW.match(line):
            rows.append([cell.strip() for cell in match.group(1).split("|")])
        elif rows:
            yield rows[2:]
            rows = []


def names(name: str, heading: str, number: int = 0) -> list[str]:
    """The first column of a table under a heading, without its code quotes."""
    return [row[0].strip("`") for row in list(tables(section(name, heading)))[number]]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(command: list[str], where: Path, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command line as somebody in a virtual environment types it, without settings of their own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    return subprocess.run(
        command,
        cwd=where,
        env=clean | {"PATH": path} | (more or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
