"""Alertmanager sends its alerts to the gateway, as docs/sources/alertmanager.md says."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from recipe import LOCAL, Running, alerts, filled, free_port, gateway, installation, post, running, shown, tool

pytestmark = pytest.mark.tools


@asynccontextmanager
async def alertmanager(folder: Path, places: Mapping[str, object]) -> AsyncIterator[tuple[Running, str]]:
    """Alertmanager with the configuration of the page, and its address."""
    config = folder / "alertmanager.yml"
    config.write_text(filled(shown("alertmanager", "yaml"), places))
    address = f"{LOCAL}:{free_port()}"
    command = [
        tool("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    async with running(*command) as made:
        await made.says("Listening on|Completed loading of configuration file")
        await made.says("Listening on")
        yield made, f"http://{address}"


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def tell(address: str, names: Sequence[str], *, began: float, ended: float | None = None) -> None:
    """Send alerts of these CIs to Alertmanager, as Prometheus does."""
    end = {} if ended is None else {"endsAt": moment(ended)}
    post(
        f"{address}/api/v2/alerts",
        [
            {
                "labels": {"alertname": "LinkDown", "ci": name, "severity": "critical"},
                "annotations": {"summary": f"{name} is down"},
                "startsAt": moment(began),
                **end,
            }
            for name in names
        ],
    )


async def test_alerts_fire_and_resolve(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, "sw-7") as live,
        gateway(live) as (_, address),
        alertmanager(tmp_path, {"http://127.0.0.1:8470": address, "10s": "1s"}) as (there, api),
    ):
        began = time.time()
        tell(api, ["sw-7"], began=began)
        (fired,) = await alerts(live, lambda told: len(told) == 1, there)
        tell(api, ["sw-7"], began=began, ended=time.time())
        _, resolved = await alerts(live, lambda told: len(told) == 2, there)
    assert (fired["change"], fired["ci"], fired["class"]) == ("opened", "sw-7", "LinkDown")
    assert fired["summary"] == "sw-7 is down"
    assert (resolved["change"], resolved["fingerprint"]) == ("resolved", fired["fingerprint"])
