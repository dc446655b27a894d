"""snmptrapd hands traps to the gateway, as docs/sources/snmp.md says."""

import socket
from pathlib import Path

import pytest
from recipe import LOCAL, alerts, filled, free_port, gateway, installation, running, shown, tool

pytestmark = pytest.mark.tools

LINK_DOWN, LINK_UP = ".1.3.6.1.6.3.1.1.5.3", ".1.3.6.1.6.3.1.1.5.4"
IF_INDEX, IF_DESCR = ".1.3.6.1.2.1.2.2.1.1", ".1.3.6.1.2.1.2.2.1.2"


async def test_a_link_goes_down_and_comes_up(tmp_path: Path) -> None:
    program, config = tmp_path / "opsbridge-trap", tmp_path / "snmptrapd.conf"
    program.write_text(shown("snmp", "python"))
    program.chmod(0o755)
    trapd = f"{LOCAL}:{free_port(socket.SOCK_DGRAM)}"
    state = {"SNMP_PERSISTENT_DIR": str(tmp_path / "state")}

    async def trap(*arguments: str) -> None:
        async with running(tool("snmptrap"), *arguments, env=state) as made:
            assert await made.process.wait() == 0, made.log

    def of_port(number: int) -> list[str]:
        return [f"{IF_INDEX}.{number}", "i", str(number), f"{IF_DESCR}.{number}", "s", f'eth{number} "up \\ link"']

    async with installation(tmp_path, "sw-7") as live, gateway(live) as (_, address):
        places = {"http://127.0.0.1:8470": address, "/usr/local/bin/opsbridge-trap": program}
        config.write_text(filled(shown("snmp", "text"), places))
        command = [tool("snmptrapd"), "-f", "-Lo", "-On", "-C", "-c", str(config), "-p", str(tmp_path / "pid")]
        async with running(*command, f"udp:{trapd}", env=state) as there:
            await there.says("NET-SNMP version")
            await trap("-v", "2c", "-c", "public", trapd, "", LINK_DOWN, *of_port(3))
            await trap("-v", "1", "-c", "public", trapd, ".1.3.6.1.4.1.9.1.1", "192.0.2.10", "2", "0", "", *of_port(4))
            down = await alerts(live, lambda told: len(told) == 2, there)
            await trap("-v", "2c", "-c", "public", trapd, "", LINK_UP, *of_port(3))
            up = (await alerts(live, lambda told: len(told) == 3, there))[-1]
        events = [record.value or b"" for record in await live.read("events")]
    assert {(one["change"], one["ci"], one["class"]) for one in down} == {
        ("opened", LOCAL, "link"),
        ("opened", "192.0.2.10", "link"),
    }
    (ours,) = (one for one in down if one["ci"] == LOCAL)
    assert ours["summary"] == 'linkDown on eth3 "up \\ link" (ifIndex 3)'
    assert (up["change"], up["fingerprint"]) == ("resolved", ours["fingerprint"])
    assert not any(b"public" in event for event in events), "the community is a secret"
