"""An alias that becomes known while an alert is open: its resolution still reaches the alert, and is counted once."""

from datetime import UTC, datetime
from typing import Final

import pytest
from timetable import FAR

from opsbridge.core.decisions import Outcome, Transition
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import EMPTY
from opsbridge.core.sharing import copies

BEFORE: Final = CIGraph([CI("web"), CI("db")], [(0, 1)])
AFTER: Final = CIGraph([CI("web"), CI("db")], [(0, 1)], aliases={"10.0.0.5": 1})
START: Final = 1_790_000_000


def report(name: str, second: float, state: str, fingerprint: str | None, ci: str = "10.0.0.5") -> Report:
    time = datetime.fromtimestamp(START + second, UTC)
    firing = state == "firing"
    return Report(
        id=name,
        time=time,
        ci=ci,
        class_="Down",
        state="firing" if firing else "resolved",
        severity="major" if firing else None,
        fingerprint=fingerprint,
    )


def told(pipeline: Pipeline, *reports: Report) -> list[tuple[str, str]]:
    decisions = pipeline.advance(reports, FAR)
    return [(each.change, each.ci) for each in decisions if isinstance(each, Transition)]


@pytest.mark.parametrize("fingerprint", [None, "key-1"])
def test_an_alert_that_opened_under_a_bare_alias_is_resolved_when_that_has_become_known(
    fingerprint: str | None,
) -> None:
    pipeline = Pipeline(BEFORE)
    assert told(pipeline, report("a", 0, "firing", fingerprint)) == [("opened", "10.0.0.5")]
    pipeline = pipeline.reloaded(EMPTY, AFTER)
    assert told(pipeline, report("b", 60, "resolved", fingerprint)) == [("resolved", "10.0.0.5")]
    pipeline.finish()
    assert pipeline.accounts.balanced()
    assert pipeline.accounts.read == 2


def test_a_resolution_of_an_alert_that_opened_under_the_right_name_is_told_and_counted_once() -> None:
    pipeline = Pipeline(AFTER)
    assert told(pipeline, report("a", 0, "firing", None), report("b", 5, "resolved", None)) == [
        ("opened", "db"),
        ("resolved", "db"),
    ]
    pipeline.finish()
    assert pipeline.accounts.places == {("alert", Outcome.OPENED): 1, ("alert", Outcome.RESOLVED): 1}


def test_only_resolutions_under_aliases_are_echoed_and_go_to_where_the_alias_was_a_ci() -> None:
    intake = Intake(AFTER)
    for each in (
        report("a", 0, "firing", None),
        report("b", 1, "resolved", None, ci="db"),
        report("c", 2, "resolved", None, ci="nobody"),
    ):
        intake.accept(each, FAR)
    assert intake.echo() is None
    intake.accept(report("d", 3, "resolved", None), FAR)
    echo = intake.echo()
    assert echo is not None
    assert (echo.ci, echo.fingerprint, echo.observed, intake.echo()) == ("10.0.0.5", "10.0.0.5\x1fDown", True, None)
    assert copies(echo, EMPTY) == [("10.0.0.5", echo)]


def test_echoes_that_nobody_takes_do_not_pile_up() -> None:
    intake = Intake(AFTER)
    for number in range(3):
        intake.accept(report(f"d{number}", number, "resolved", None), FAR)
    echo = intake.echo()
    assert echo is not None
    assert (echo.id, intake.echo()) == ("d2", None)


def test_an_echo_ends_nothing_that_is_newer() -> None:
    pipeline = Pipeline(BEFORE)
    told(pipeline, report("a", 100, "firing", None))
    pipeline = pipeline.reloaded(EMPTY, AFTER)
    assert told(pipeline, report("b", 60, "resolved", None)) == []
    pipeline.finish()
    assert pipeline.accounts.balanced()
