"""Every arrow of ITIL's event management through the core, all at once; the table is itil_flow.py."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import orjson
import pytest

from itil_flow import ARROWS, RULES, TOPOLOGY, Arrow, Audience, Outcome, class_on, expected
from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.feedback import Feedback
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.times import rfc3339
from opsbridge.rules import compile_rules
from opsbridge.rules.load import load_rules
from opsbridge.sources.canonical import decode
from opsbridge.topology import load_topology

START = 1_790_000_000_000


class Play:
    """The pipeline, and whoever listens to it."""

    def __init__(self, folder: Path) -> None:
        (folder / "estate.yaml").write_text(TOPOLOGY)
        (folder / "rules.yaml").write_text(RULES)
        graph = load_topology([folder / "estate.yaml"]).graph
        self.pipeline = Pipeline(graph, compile_rules(load_rules([folder / "rules.yaml"]).rules, graph).book)
        self.outcome = Outcome()
        self._audience = Audience()
        self._events = 0

    def told(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self.outcome.told(decision)
            match decision:
                case Rejected():
                    self.outcome.places.add(f"dead letter {decision.reason}")
                case Withheld():
                    self.outcome.places.add(f"{decision.place} by {decision.reason}")

    def event(self, time: int, ci: str, class_: str, state: str) -> None:
        self._events += 1
        said: dict[str, object] = {"id": f"e{self._events}", "time": rfc3339(time), "ci": ci, "class": class_}
        said |= {"state": "resolved"} if state == "resolved" else {"state": "firing", "severity": state}
        self.told(self.pipeline.advance([decode(orjson.dumps(said))], time))

    def until(self, time: int) -> None:
        """Let it come second by second; the audience answers at once."""
        now = max(self.pipeline.first.now, START)
        while now < time:
            now += 1000
            self.told(self.pipeline.expire(now))
            for said, helps in self._audience.feedback(self.outcome, rfc3339(now)):
                answer = self.pipeline.heard(msgspec.convert(said, Feedback))
                assert not isinstance(answer, str), answer
                self.told(answer)
                if helps:
                    self.event(now, helps, class_on(helps), "resolved")


def played(folder: Path, arrows: Iterable[Arrow]) -> set[str]:
    play = Play(folder)
    for arrow in arrows:
        if arrow.garbage:
            play.told(play.pipeline.advance([decode(arrow.garbage)], START))
    for at, ci, class_, state in sorted((event for arrow in arrows for event in arrow.events), key=lambda e: e[0]):
        play.event(START + round(at * 1000), ci, class_, state)
    play.until(START + 60_000)
    assert play.pipeline.accounts.balanced()
    return play.outcome.lines()


@pytest.mark.parametrize("arrow", ARROWS, ids=lambda arrow: arrow.name)
def test_an_arrow_leads_to_its_place_and_nowhere_else(arrow: Arrow, tmp_path: Path) -> None:
    assert played(tmp_path, [arrow]) == set(arrow.ends)


def test_all_arrows_at_once_lead_to_their_places(tmp_path: Path) -> None:
    assert played(tmp_path, ARROWS) == expected()


def test_no_two_arrows_share_a_place() -> None:
    assert sum(len(arrow.ends) for arrow in ARROWS) == len(expected())
