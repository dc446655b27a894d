"""`python -m benchmarks.quality`: faults with known truth through OpsBridge and naive engines; `make quality` keeps it.

`--show KIND N` prints one scenario instead: what happens, what is true, what OpsBridge says of it.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from benchmarks.quality.estates import ESTATES
from benchmarks.quality.kinds import KINDS
from benchmarks.quality.report import report
from benchmarks.quality.runs import run_all, tasks
from benchmarks.quality.show import shown

RESULTS: Final = Path(__file__).parent.parent / "QUALITY.md"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="Quality of the second level.")
    parser.add_argument("--faults", type=int, default=504, metavar="N", help="of each kind, at least (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--estates", nargs="+", choices=ESTATES, default=list(ESTATES), help="(all of them)")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other faults (%(default)s)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes (one per processor)")
    parser.add_argument("--write", action="store_true", help="keep the report as benchmarks/QUALITY.md")
    parser.add_argument("--show", nargs=2, metavar=("KIND", "N"), help="print one scenario and what comes of it")
    return parser


def _command(asked: argparse.Namespace) -> str:
    """The command that gives this report again, without what is as usual."""
    usual = _parser().parse_args([])
    more = [
        f"--{name} {getattr(asked, name)}"
        for name in ("faults", "seed")
        if getattr(asked, name) != getattr(usual, name)
    ]
    more += [
        f"--{name} {' '.join(getattr(asked, name))}"
        for name in ("kinds", "estates")
        if getattr(asked, name) != getattr(usual, name)
    ]
    return " ".join(["python -m benchmarks.quality --write", *more])


def main() -> None:
    """Print the report or one scenario."""
    parser = _parser()
    asked = parser.parse_args()
    if asked.show:
        kind, number = asked.show
        if kind not in KINDS or not number.isdecimal():
            parser.error(f"--show wants a kind ({', '.join(KINDS)}) and a number, not '{kind} {number}'")
        print("\n".join(shown(kind, int(number), asked.seed, tuple(asked.estates))))
        return
    wanted = list(tasks(asked.kinds, asked.faults, asked.seed, asked.estates))
    runs = []
    for run in run_all(wanted, asked.workers):
        runs.append(run)
        if len(runs) % 500 == 0:
            print(f"{len(runs)} of {len(wanted)} scenarios", file=sys.stderr, flush=True)
    text = "\n".join(report(runs, _command(asked))) + "\n"
    print(text, end="")
    if asked.write:
        RESULTS.write_text(text, encoding="utf-8")
    if any(run.broken for run in runs):
        sys.exit("OpsBridge broke down in some scenarios; the report names them")


if __name__ == "__main__":
    main()
