"""Prometheus scrapes us as docs/metrics.md says, and has no complaint about monitoring/alerts.yaml."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from recipe import LOCAL, filled, free_port, gateway, get, installation, running, shown, tool

from pages import ROOT

pytestmark = pytest.mark.tools

ALERTS = ROOT / "monitoring" / "alerts.yaml"
CASES = ROOT / "monitoring" / "alerts_test.yaml"


async def test_worker_and_gateway_are_scraped(tmp_path: Path) -> None:
    async with installation(tmp_path, "sw-7") as live, gateway(live) as (_, address):
        (worker,) = live.workers
        places = {
            "worker:9464": (await worker.address()).removeprefix("http://"),
            "gateway:8470": address.removeprefix("http://"),
            "scrape_interval: 15s": "scrape_interval: 1s",
        }
        config = tmp_path / "prometheus.yml"
        config.write_text(filled(shown("docs/metrics.md", "yaml"), places))
        prometheus = f"{LOCAL}:{free_port()}"
        command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        async with running(*command, f"--web.listen-address={prometheus}") as there:
            await there.says("Server is ready to receive web requests")
            targets: list[Any] = []
            async with asyncio.timeout(30):
                while len(targets) != 2 or any(target["health"] == "unknown" for target in targets):
                    targets = (await asyncio.to_thread(get, f"http://{prometheus}/api/v1/targets"))["data"][
                        "activeTargets"
                    ]
            assert {target["labels"]["job"]: (target["health"], target["lastError"]) for target in targets} == {
                "opsbridge": ("up", ""),
                "opsbridge-gateway": ("up", ""),
            }
            names = (await asyncio.to_thread(get, f"http://{prometheus}/api/v1/label/__name__/values"))["data"]
    assert {"opsbridge_config_info", "opsbridge_gateway_connections"} <= set(names)


async def promtool(*arguments: str) -> None:
    async with running(tool("promtool"), *arguments) as made:
        assert await made.process.wait() == 0, made.log


async def test_promtool_reads_the_alerts_and_the_scrape_configuration() -> None:
    await promtool("check", "rules", str(ALERTS))
    await promtool("check", "config", str(ROOT / "monitoring" / "prometheus.yml"))


async def test_each_alert_fires_in_its_case_and_not_in_the_near_miss() -> None:
    await promtool("test", "rules", str(CASES))
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    tests = yaml.safe_load(CASES.read_text())["tests"]
    asked = [(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]]
    for rule in group["rules"]:
        assert {fires for name, fires in asked if name == rule["alert"]} == {True, False}, rule["alert"]
