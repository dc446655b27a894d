"""What gets into a log: our own lines, and of libraries what matters."""

import subprocess
import sys

import pytest

SAID = """
import logging, structlog
from opsbridge.cli.logs import set_up_logs
from opsbridge.settings import LogSettings
set_up_logs(LogSettings(level="{level}", format="json"))
for name in ("aiokafka.consumer", "opsbridge.stream.app"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "%s %d", name, level)
logging.getLogger("opsbridge.stream.app").info("[^%sWorker]: Starting...", "--")
structlog.get_logger("opsbridge.syslog.service").info("structured", port=1)
"""

OURS = ["opsbridge.stream.app 20", "opsbridge.stream.app 30", "structured"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", ["aiokafka.consumer 30", *OURS]),
        ("warning", ["aiokafka.consumer 30", "opsbridge.stream.app 30"]),
        ("debug", [f"aiokafka.consumer {n}" for n in (10, 20, 30)] + ["opsbridge.stream.app 10", *OURS, "[^--Worker]"]),
    ],
)
def test_libraries_are_heard_from_a_warning_on(level: str, expected: list[str]) -> None:
    command = [sys.executable, "-c", SAID.format(level=level)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    assert [each for each in expected if each not in told] == []
    assert len(told.splitlines()) == len(expected), told
