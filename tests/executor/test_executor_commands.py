"""Running programs: what comes of them, what they are given, and that nothing of them stays behind."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from opsbridge.executor.actions import Action, Command
from opsbridge.executor.commands import Tail, run_command
from opsbridge.executor.orders import Ended, Order
from opsbridge.executor.templates import template

ORDER = Order("RSP-1:action:1", "RSP-1", "S-1", "web-01", "try", {}, 1, 0)


async def ran(
    *words: str, values: Mapping[str, str] | None = None, within: float = 20, limit: int = 4000, **more: str
) -> Ended:
    command = Command(words[0], tuple(template(word) for word in words[1:]), more, "/")
    return await run_command(Action("try", {}, 0, limit, command), command, values or {}, ORDER, within)


def script(text: str) -> tuple[str, str, str]:
    """A program of our own, whose braces are no places."""
    return sys.executable, "-c", text.replace("{", "{{").replace("}", "}}")


async def gone(pid: int) -> None:
    """Return when there is no such process any more."""
    async with asyncio.timeout(10):
        while alive(pid):  # noqa: ASYNC110 # the system is asked
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return b"\nState:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_a_program_that_ends_well_has_succeeded() -> None:
    assert await ran("/bin/echo", "done") == Ended("succeeded", "done\n", 0)


async def test_a_program_that_ends_badly_has_failed_with_what_it_said_and_its_code() -> None:
    text = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert await ran(*script(text)) == Ended("failed", "out\nerr\n", 3)


async def test_a_program_that_dies_of_a_signal_has_failed() -> None:
    assert await ran(*script("import os; os.kill(os.getpid(), 9)")) == Ended("failed", "", -9)


async def test_a_program_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    ended = await ran(str(program))
    assert ended.outcome == "failed"
    assert "could not be started: [Errno 8] Exec format error" in ended.output


@pytest.mark.parametrize(
    "value",
    [
        "; reboot",
        "$(reboot)",
        "`reboot`",
        "a b",
        "a\nb",
        "| cat /etc/passwd",
        "'",
        '"',
        "*",
        "{x}",
        "\\",
        "&& true",
        "é",
    ],
)
async def test_a_value_stays_one_argument_whatever_it_is(value: str) -> None:
    ended = await ran(
        *script("import sys, json; print(json.dumps(sys.argv[1:]))"), "{x}", "--x={x}", values={"x": value}
    )
    assert ended.outcome == "succeeded"
    assert json.loads(ended.output) == [value, f"--x={value}"]


async def test_a_program_finds_nothing_but_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    text = (
        "import os, sys; print(sorted(os.environ)); "
        "print(os.getcwd(), sys.stdin.read() == '', os.getpgid(0) == os.getpid())"
    )
    ended = await ran(*script(text), LEVEL="3")
    names, rest = ended.output.splitlines()
    assert rest == "/ True True"
    assert names == str(
        ["LANG", "LEVEL"]
        + [f"OPSBRIDGE_{name}" for name in ("ATTEMPT", "IDEMPOTENCY_KEY", "RESPONSE", "SITUATION")]
        + ["PATH"]
    )


CHILD = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', {child!r}]); "
    "print(child.pid, flush=True); {then}"
)


async def test_out_of_time_ends_the_program_and_its_children() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    began = time.monotonic()
    ended = await ran(*script(CHILD.format(child=stubborn, then="time.sleep(600)")), within=2)
    assert time.monotonic() - began < 10
    assert (ended.outcome, ended.code) == ("failed", None)
    first, child = ended.output.splitlines()
    assert first == "killed: it ran longer than 2.0 s"
    await gone(int(child))


async def test_children_do_not_outlive_a_program_that_ends() -> None:
    began = time.monotonic()
    ended = await ran(*script(CHILD.format(child="import time; time.sleep(600)", then="sys.exit(0)")))
    assert ended.outcome == "succeeded"
    assert time.monotonic() - began < 10
    await gone(int(ended.output))


async def test_who_leaves_the_group_and_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    ended = await ran(
        *script("import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(8)\nprint('parent')"), within=5
    )
    assert ended == Ended("succeeded", "parent\n", 0)


async def test_cancelling_ends_the_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    running = asyncio.create_task(ran(*script(text)))
    async with asyncio.timeout(10):
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110 # another process writes it
            await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(int(note.read_text()))


async def test_much_output_is_cut_to_its_end() -> None:
    ended = await ran(*script("print('x' * 5_000_000 + 'end')"), limit=10)
    assert ended == Ended("succeeded", "[the end of 5000004 bytes]\nxxxxxxend\n", 0)
    assert (await ran("/bin/echo", "quiet", limit=0)).output == "[the end of 6 bytes]\n"


async def test_output_that_is_no_text_is_replaced() -> None:
    ended = await ran(*script("import sys; sys.stdout.buffer.write(b'a\\xff\\0b')"))
    assert ended.output == "a��b"


def test_the_tail_keeps_little_and_cuts_no_character() -> None:
    tail = Tail(3)
    for character in "äöüß€😀":
        for byte in character.encode():
            tail.add(bytes([byte]))
    assert tail.text() == "[the end of 15 bytes]\nß€😀"
    assert len(tail._kept) <= 12
