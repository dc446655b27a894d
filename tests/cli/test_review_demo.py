"""The shipped demo, live on the embedded broker: its topics and a replay of its events give the same review."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

import opsbridge.demo
from opsbridge.cli.main import app
from opsbridge.review.model import Review, Spread

ROOT = Path(__file__).parent.parent.parent
RULES = [Path(opsbridge.demo.__file__).parent / "rules.yaml", ROOT / "correlation_rules"]
ESTATE = ["--topology", str(ROOT / "topology"), "--known-errors", str(ROOT / "known_errors")]

TICK_SECONDS = 1.0
"""Live, time passes in steps; what is told at one of them is told so much later than in a replay at most."""


def review(recording: Path, *flags: str) -> Review:
    rules = [word for path in RULES for word in ("--rules", str(path))]
    result = CliRunner().invoke(app, ["review", str(recording), *flags, *ESTATE, *rules, "--json"])
    assert result.exit_code == 0, result.stderr
    return msgspec.json.decode(result.stdout, type=Review)


def without_times(found: Review) -> Review:
    """The only figures that depend on when somebody was told."""
    incidents = replace(found.incidents, time_to_incident=Spread(0), time_to_acknowledge=Spread(0))
    return replace(found, incidents=incidents)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "topics"
    run = ["demo", "--plain", "--seconds", "20", "--record", str(directory), "--rules", str(RULES[1])]
    result = CliRunner().invoke(app, [*run, *ESTATE])
    assert result.exit_code == 0, result.stdout + result.stderr
    return directory


def test_the_demo_and_its_replay_give_the_same_figures_and_they_add_up(recording: Path) -> None:
    written, replayed = review(recording), review(recording, "--replay")
    assert written.adds_up
    assert written.events.read > 1000
    assert (written.responses.effective, written.responses.by_status["escalated"]) == (1, 1)
    assert without_times(written) == without_times(replayed)
    for live, exact in zip(_times(written), _times(replayed), strict=True):
        assert live == pytest.approx(exact, abs=TICK_SECONDS)


def _times(found: Review) -> list[float]:
    spread = found.incidents.time_to_incident
    assert spread.count == found.incidents.incidents
    return [each for each in (spread.p50, spread.p90, spread.max) if each is not None]
