"""The program of docs/sources/nagios.md posts what Nagios puts into its environment."""

import time
from functools import partial
from pathlib import Path

from recipe import Told, alerts, gateway, installation, running, shown

MACROS = {
    "NAGIOS_NOTIFICATIONTYPE": "PROBLEM",
    "NAGIOS_HOSTNAME": "db-01",
    "NAGIOS_SERVICEDESC": "disk /",
    "NAGIOS_SERVICESTATE": "CRITICAL",
    "NAGIOS_SERVICESTATETYPE": "HARD",
    "NAGIOS_SERVICEOUTPUT": 'DISK "/" is full',
    "NAGIOS_SERVICEPROBLEMID": "77",
    "NAGIOS_HOSTNOTESURL": "",
}
"""As its manual names them; Nagios itself is not run here."""
RECOVERY = {"NAGIOS_NOTIFICATIONTYPE": "RECOVERY", "NAGIOS_SERVICESTATE": "OK", "NAGIOS_SERVICEPROBLEMID": "0"}


def has(count: int, told: list[Told]) -> bool:
    return len(told) == count


async def test_a_service_fails_and_recovers(tmp_path: Path) -> None:
    program = tmp_path / "opsbridge-nagios"
    program.write_text(shown("nagios", "python"))
    program.chmod(0o755)
    async with installation(tmp_path, "db-01") as live, gateway(live) as (_, address):
        for count, more in enumerate(({}, RECOVERY), 1):
            now = {"NAGIOS_TIMET": str(int(time.time()))}
            macros = MACROS | more | now
            async with running(str(program), f"{address}/api/v1/events/nagios", env=macros) as made:
                assert await made.process.wait() == 0, made.log
            told = await alerts(live, partial(has, count))
    fired, resolved = told
    assert (fired["change"], fired["ci"], fired["class"]) == ("opened", "db-01", "disk /")
    assert fired["summary"] == 'DISK "/" is full'
    assert (resolved["change"], resolved["fingerprint"]) == ("resolved", fired["fingerprint"])


async def test_what_the_gateway_refuses_is_not_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "opsbridge-nagios"
    program.write_text(shown("nagios", "python"))
    program.chmod(0o755)
    async with installation(tmp_path) as live, gateway(live) as (_, address):
        before = time.monotonic()
        async with running(str(program), f"{address}/api/v1/events/nagios") as made:
            assert await made.process.wait() == 1
            await made.says("opsbridge-nagios: HTTP Error 400")
        assert time.monotonic() - before < 20
