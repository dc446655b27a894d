"""Icinga 2 notifies the gateway, as docs/sources/icinga2.md says."""

import getpass
import grp
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from recipe import Running, alerts, filled, gateway, installation, running, shown, tool

pytestmark = pytest.mark.tools

CHECKS = """
include <itl>
const NodeName = "recipe"
object CheckerComponent "checker" {{}}
object NotificationComponent "notification" {{}}

template Host "quick" {{
  check_command = "quick"
  max_check_attempts = 2
  check_interval = 0.3
  retry_interval = 0.3
}}
object CheckCommand "quick" {{
  command = [ "/bin/sh", "-c", "cat {folder}/said; exit $$(cat {folder}/$what$)" ]
}}
object Host "db-01" {{
  import "quick"
  vars.what = "host"
}}
object Service "disk /" {{
  host_name = "db-01"
  check_command = "quick"
  vars.what = "service"
  max_check_attempts = 2
  check_interval = 0.3
  retry_interval = 0.3
}}
"""
SAID = 'DISK "/" is full: 99% of 1€'


@asynccontextmanager
async def icinga2(folder: Path, address: str) -> AsyncIterator[Running]:
    """Icinga with the configuration of the page, two checks beside it, and everything it writes in a folder."""
    config = folder / "icinga2.conf"
    page = filled(shown("icinga2", "icinga2"), {"http://127.0.0.1:8470": address})
    config.write_text(CHECKS.format(folder=folder) + page)
    folders = {
        f"{name}Dir": folder / "icinga2" / name for name in ("Config", "Data", "Log", "Cache", "Spool", "InitRun")
    }
    for each in folders.values():
        each.mkdir(parents=True)
    user = {"RunAsUser": getpass.getuser(), "RunAsGroup": grp.getgrgid(os.getgid()).gr_name}
    defines = [f"-D{name}={value}" for name, value in (*folders.items(), *user.items())]
    async with running(tool("icinga2"), "daemon", "-c", str(config), *defines, "-x", "notice") as made:
        yield made


async def test_a_service_and_its_host_fail_and_recover(tmp_path: Path) -> None:
    tool("curl")

    def set_state(what: str, state: int) -> None:
        (tmp_path / what).write_text(str(state))

    (tmp_path / "said").write_text(SAID)
    set_state("host", 0)
    set_state("service", 2)
    async with (
        installation(tmp_path, "db-01") as live,
        gateway(live) as (_, address),
        icinga2(tmp_path, address) as there,
    ):
        (fired,) = await alerts(live, lambda told: len(told) == 1, there)
        set_state("service", 0)
        _, resolved = await alerts(live, lambda told: len(told) == 2, there)
        set_state("host", 2)
        *_, host = await alerts(live, lambda told: len(told) == 3, there)
        set_state("host", 0)
        *_, up = await alerts(live, lambda told: len(told) == 4, there)
    assert (fired["change"], fired["ci"], fired["class"], fired["summary"]) == ("opened", "db-01", "disk /", SAID)
    assert (resolved["change"], resolved["fingerprint"]) == ("resolved", fired["fingerprint"])
    assert (host["change"], host["ci"], host["class"]) == ("opened", "db-01", "host")
    assert (up["change"], up["fingerprint"]) == ("resolved", host["fingerprint"])
