"""`opsbridge topology check` with domains by an attribute, as users call it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app

ESTATE = """\
cis:
  - {id: shop, site: b, needs: [{of: [vm-1, vm-2], type: runs_on}], service_time: [Mon-Fri 08:00-18:00]}
  - {id: vm-1, site: a, depends_on: [sw]}
  - {id: vm-2, site: b, depends_on: [sw]}
  - {id: sw, site: a}
  - {id: other, site: a, depends_on: [last]}
  - {id: last, site: a}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("estate.yaml").write_text(ESTATE)


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["topology", "check", "estate.yaml", *arguments])


def test_domains_are_shown_with_what_they_share() -> None:
    result = check("--domains-by", "site")
    assert result.exit_code == 0
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    assert ["correlation domains", "3"] in lines
    assert ["backbone (shared by domains)", "2"] in lines
    assert ["redundancy groups", "1"] in lines
    assert ["with a service time", "1"] in lines
    assert ["runs_on", "2"] in lines
    assert lines.index(["a", "2"]) < lines.index(["b", "2"]) < lines.index(["backbone:sw", "2"])


def test_without_an_attribute_what_hangs_together_is_a_domain() -> None:
    estate = json.loads(check("-o", "json").stdout)["estate"]
    assert (estate["domains"], estate["backbone"]) == ([["shop", 4], ["last", 2]], 0)
    by_site = json.loads(check("--domains-by", "site", "-o", "json").stdout)
    assert by_site["estate"]["domains"] == [["a", 2], ["b", 2], ["backbone:sw", 2]]
    assert by_site["digest"] != json.loads(check("-o", "json").stdout)["digest"]


def test_an_attribute_that_makes_no_domains_is_refused() -> None:
    result = check("--domains-by", "tier")
    assert result.exit_code == 2
    assert "must be one of site, owner, environment, not 'tier'" in " ".join(result.stderr.replace("│", " ").split())
