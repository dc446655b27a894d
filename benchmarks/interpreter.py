"""What a figure was measured on: the interpreter, how it was built, and how fast it runs plain Python."""

import os
import platform
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

LOOPS = 1_000_000


def described() -> Iterator[str]:
    """Lines that belong above every table of figures."""
    flags = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    optimised = [flag for flag in ("--enable-optimizations", "--with-lto") if flag in flags]
    yield f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})"
    yield f"configured with: {flags or 'unknown'}"
    yield f"PGO/LTO asked for there: {', '.join(optimised) or 'no'} (distributions may add them while building)"
    yield f"plain Python: {loop_ns():.0f} ns for one turn of a loop with a dict and an addition"
    yield f"machine: {os.cpu_count()} CPUs, {_processor()}, load {os.getloadavg()[0]:.1f}"


def loop_ns() -> float:
    """Nanoseconds of CPU for one turn of a small loop: the quickest of five."""
    quickest = min(_loop() for _ in range(5))
    return quickest / (LOOPS / 5)


def _loop() -> int:
    counts: dict[int, int] = {}
    begun = time.process_time_ns()
    for number in range(LOOPS // 5):
        counts[number & 255] = counts.get(number & 255, 0) + number
    return time.process_time_ns() - begun


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
