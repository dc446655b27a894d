"""The life-cycle of an incident: every status and every input, in the table and through the stage; and the audit."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import pytest
from incidents import MINUTE, Desk, situation

from opsbridge.core.decisions import Moved, Regroup
from opsbridge.core.feedback import AboutIncident, OfIncident
from opsbridge.core.records import IncidentStatus
from opsbridge.core.response.hearing import word_of
from opsbridge.core.response.lifecycle import (
    ENDED,
    LIFE_CYCLE,
    STATUSES,
    TO_DO,
    TURNS,
    WORDS,
    Refused,
    Turn,
    Word,
    said,
    turned,
    turns,
)
from opsbridge.core.response.loop_state import FINAL, TRANSITIONS

ARCHITECTURE: Final = Path(__file__).parents[2] / "docs" / "architecture.md"

TABLE: Final = """
                 open          acknowledged  assigned     in_progress  reopened      resolved   closed     merged
acknowledge      acknowledged  !already      !already     !already     acknowledged  !resolved  !closed    !merged
assign           assigned      assigned      assigned     assigned     assigned      resolved   !closed    !merged
start            in_progress   in_progress   in_progress  !already     in_progress   !resolved  !closed    !merged
resolve          resolved      resolved      resolved     resolved     resolved      !already   !closed    !merged
reopen           !not_over     !not_over     !not_over    !not_over    !not_over     reopened   reopened   !merged
close            closed        closed        closed       closed       closed        closed     !already   !merged
snooze           open          acknowledged  assigned     in_progress  reopened      !resolved  !closed    !merged
wake             open          acknowledged  assigned     in_progress  reopened      resolved   !closed    !merged
comment          open          acknowledged  assigned     in_progress  reopened      resolved   closed     merged
split            open          acknowledged  assigned     in_progress  reopened      resolved   !closed    !merged
move             open          acknowledged  assigned     in_progress  reopened      resolved   !closed    !merged
not_a_duplicate  !not_merged   !not_merged   !not_merged  !not_merged  !not_merged   !not_merged !not_merged merged
fires            open          acknowledged  assigned     in_progress  reopened      reopened   reopened   merged
clears           resolved      resolved      resolved     resolved     resolved      resolved   closed     merged
closes           closed        closed        closed       closed       closed        closed     closed     merged
merges           merged        merged        merged       merged       merged        merged     merged     merged
begins_again     reopened      reopened      reopened     reopened     reopened      reopened   reopened   reopened
"""
"""Written down a second time, as an operator would read it; `!` is a refusal."""


def cells() -> list[tuple[str, str, str]]:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return [(status, row[0], cell) for row in rows for status, cell in zip(head, row[1:], strict=True)]


def shown(answer: IncidentStatus | Refused) -> str:
    return f"!{answer}" if isinstance(answer, Refused) else answer


@pytest.mark.parametrize(("status", "given", "wanted"), cells())
def test_every_status_has_an_answer_to_everything(status: IncidentStatus, given: Word | Turn, wanted: str) -> None:
    assert shown(LIFE_CYCLE[status][given]) == wanted


def test_the_table_is_complete_and_nothing_that_happens_is_refused() -> None:
    assert {(status, given) for status, given, _ in cells()} == {
        (status, given) for status in STATUSES for given in (*WORDS, *TURNS)
    }
    for status in STATUSES:
        for turn in TURNS:
            assert turned(status, turn) in STATUSES
    assert {word_of(kind) for kind in _every_kind()} == set(WORDS)
    assert TO_DO | ENDED | {"resolved"} == set(STATUSES)


def _every_kind() -> list[AboutIncident]:
    return [Desk.spoken(kind.__struct_config__.tag) for kind in get_args(AboutIncident)]


PATHS: Final[dict[str, list[str]]] = {
    "open": [],
    "acknowledged": ["acknowledge"],
    "assigned": ["assign"],
    "in_progress": ["start"],
    "reopened": ["resolve", "reopen"],
    "resolved": ["resolve"],
    "closed": ["close"],
    "merged": ["-merges"],
}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("status", STATUSES)
def test_the_stage_does_what_the_table_says(status: IncidentStatus, word: Word) -> None:
    desk = Desk()
    desk.news()
    for step in PATHS[status]:
        if step == "-merges":
            desk.news("merged", merged_into="S-00000000000000ff")
        else:
            desk.say(step)
    assert desk.incident.status == status
    before = desk.incident
    desk.say(word)
    answer = said(status, word, situation_over=status == "merged", snoozed=False)
    after, entry = desk.incident, desk.incident.history[-1]
    assert (entry.what, entry.by, entry.refused) == (word, "jo", answer if isinstance(answer, Refused) else "")
    assert after.status == (status if isinstance(answer, Refused) else answer)
    assert after.version == before.version + 1
    regrouped = [each for each in desk.told if isinstance(each, Regroup)]
    assert bool(regrouped) == (word in ("split", "move", "not_a_duplicate") and not entry.refused)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("status", STATUSES)
def test_the_stage_does_what_the_situation_does(status: IncidentStatus, turn: Turn) -> None:
    if status == "merged" and turn != "begins_again":
        return  # nothing more is heard of such a situation; the table says that it stays as it is
    desk = Desk()
    desk.news()
    for step in PATHS[status]:
        if step == "-merges":
            desk.news("merged", merged_into="S-00000000000000ff")
        else:
            desk.say(step)
    match turn:
        case "fires":
            desk.news(joined=1)
        case "clears":
            desk.news("resolved")
        case "closes":
            desk.news("closed")
        case "merges":
            desk.news("merged", merged_into="S-00000000000000ff")
        case "begins_again":
            desk.news(reopened=1)
    assert desk.incident.status == turned(status, turn)


def test_an_operator_resolves_and_what_merely_goes_on_firing_does_not_reopen() -> None:
    desk = Desk()
    desk.news(joined=2)
    desk.say("resolve")
    desk.news()
    assert desk.incident.status == "resolved"
    desk.news(joined=1)
    assert (desk.incident.status, desk.incident.reopened, desk.incident.resolved) == ("reopened", 1, None)


def test_a_storm_that_comes_in_parts_reopens_once_though_only_the_first_part_has_new_alerts() -> None:
    desk = Desk()
    desk.news(joined=1)
    desk.say("close")
    desk.news(joined=1, cis=500)
    assert (desk.incident.status, desk.incident.reopened) == ("reopened", 1)
    assert desk.reasons()[-2:] == ["closed", "reopened"]


def test_a_closed_incident_begins_again_with_its_counters_and_targets_anew() -> None:
    desk = Desk(severity="critical", services=20)
    desk.news()
    first = desk.incident.acknowledge_by
    desk.say("acknowledge")
    desk.news("resolved")
    desk.news("closed")
    assert (desk.incident.acknowledge_by, desk.incident.resolve_by) == (None, None)
    desk.wait(3 * MINUTE)
    desk.news(reopened=1, joined=1)
    again = desk.incident
    assert (again.status, again.reopened, again.version) == ("reopened", 1, 5)
    assert first is not None
    assert again.acknowledge_by is not None
    assert again.acknowledge_by > first
    assert len(desk.stage) == 1
    desk.wait(2 * 3_600_000)
    assert len(desk.stage) == 1, "it is not forgotten though it had ended once"


def test_who_reopens_what_is_over_is_told_why_not() -> None:
    desk = Desk()
    desk.news()
    desk.news("resolved")
    desk.news("closed")
    desk.say("reopen")
    assert desk.incident.status == "closed"
    assert desk.incident.history[-1].refused == Refused.SITUATION_CLOSED


def test_what_happened_between_two_versions_is_told_apart() -> None:
    one = situation()
    resolved = situation(status="resolved")
    assert turns(None, one, fires=False) == []
    assert turns(one, one, fires=False) == []
    assert turns(one, one, fires=True) == ["fires"]
    assert turns(resolved, one, fires=False) == ["fires"]
    assert turns(one, resolved, fires=True) == ["clears"]
    assert turns(situation(status="closed"), situation(reopened=1), fires=True) == ["begins_again", "fires"]


# the audit


def test_everything_that_is_said_is_in_the_history_with_who_when_and_what() -> None:
    desk = Desk()
    desk.news()
    desk.say("assign", to="kim", group="net", time=datetime(2026, 9, 21, 12, tzinfo=UTC))
    desk.say("assign", note="whoever is free")
    desk.say("snooze", until=datetime(2020, 1, 1, tzinfo=UTC))
    desk.say("move", alerts=("a\x1fDown",), to="INC-0000000000000001")
    desk.say("comment", note="x" * 2000)
    history = [(each.by, each.what, each.detail[:40], each.refused) for each in desk.incident.history]
    assert history == [
        ("opsbridge", "opened", "", ""),
        ("jo", "assign", "to kim, group net", ""),
        ("jo", "assign", "whoever is free", "nobody_named"),
        ("jo", "snooze", "until 2020-01-01T00:00:00.000Z", "in_the_past"),
        ("jo", "move", "1 alerts to INC-0000000000000001: a:Down", "same_incident"),
        ("jo", "comment", "x" * 40, ""),
    ]
    assert desk.incident.history[1].time == "2026-09-21T12:00:00.000Z"
    assert max(len(each.detail) for each in desk.incident.history) == 500
    assert (desk.incident.assignee, desk.incident.group, desk.incident.status) == ("kim", "net", "assigned")


def test_a_move_to_what_is_known_to_be_over_is_refused() -> None:
    """Where it is not known, in another partition, the second level leaves the alerts where they are."""
    other = "S-0000000000000002"
    desk = Desk()
    desk.news()
    desk.news(name=other)
    answers = []
    for status in ("open", "resolved", "closed"):
        desk.news(status, name=other)
        desk.restart()
        desk.say("move", alerts=("a\x1fDown",), to="INC-0000000000000002")
        answers.append((desk.incident.history[-1].refused, isinstance(desk.told[-1], Regroup)))
    assert answers == [("", True), ("", True), ("target_closed", False)]
    desk.say("move", alerts=("a\x1fDown",), to="INC-0000000000000003")
    assert isinstance(desk.told[-1], Regroup)


def test_the_history_keeps_the_newest() -> None:
    desk = Desk()
    desk.news()
    for number in range(60):
        desk.say("comment", note=str(number))
    assert [each.detail for each in desk.incident.history] == [str(number) for number in range(10, 60)]


def test_the_same_id_twice_changes_nothing() -> None:
    desk = Desk()
    desk.news()
    desk.say("assign", id="one", to="kim")
    told = len(desk.told)
    desk.say("assign", id="one", to="lee")
    assert len(desk.told) == told
    assert desk.incident.assignee == "kim"


def test_nobody_knows_of_what_nobody_was_told_of() -> None:
    desk = Desk()
    spoken = desk.spoken("acknowledge")
    assert isinstance(spoken, OfIncident)
    assert desk.stage.heard(spoken) == "nobody has been told of an incident INC-0000000000000001"


def test_what_is_split_and_moved_goes_on_to_the_second_level() -> None:
    desk = Desk()
    desk.news()
    desk.say("split", id="s", alerts=("a", "b"))
    desk.say("move", id="m", alerts=("c",), to="INC-00000000000000aa")
    desk.news("merged", merged_into="S-00000000000000ff")
    desk.say("not_a_duplicate", id="n")
    here = "S-0000000000000001"
    assert [each for each in desk.told if isinstance(each, Regroup)] == [
        Regroup("s", ("a", "b"), here),
        Regroup("m", ("c",), here, "S-00000000000000aa"),
        Regroup("n", (), here),
    ]


def test_what_is_said_between_two_parts_of_a_version_is_told_and_the_versions_go_on() -> None:
    desk = Desk()
    desk.news(joined=1)
    first, second = desk.update(cis=300)
    desk.take(desk.stage.advance([first]))
    desk.say("acknowledge")
    assert (desk.incident.version, desk.incident.affected_cis) == (3, 1)
    desk.take(desk.stage.advance([second]))
    assert (desk.incident.version, desk.incident.affected_cis, desk.incident.status) == (4, 301, "acknowledged")
    assert {(each.version, each.part) for each in desk.members()[-2:]} == {(2, 1), (2, 2)}
    assert desk.members()[-1].moved != Moved()


# the drawing


def drawing() -> list[str]:
    """What docs/architecture.md shows: every step to another status."""
    lines = []
    for status in STATUSES:
        by_next: dict[str, list[str]] = {}
        for given in (*WORDS, *TURNS):
            answer = LIFE_CYCLE[status][given]
            if not isinstance(answer, Refused) and answer != status:
                by_next.setdefault(answer, []).append(given)
        lines += [f"    {status} --> {end}: {', '.join(given)}" for end, given in by_next.items()]
    return ["stateDiagram-v2", "    [*] --> open", *lines]


def test_the_drawing_in_the_docs_is_the_table() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert "\n".join(["```mermaid", *drawing(), "```"]) in text, "\n".join(drawing())


def test_the_drawing_of_auto_responses_is_their_table() -> None:
    text = ARCHITECTURE.read_text("utf-8").split("## Auto-responses\n")[1].split("```mermaid\n")[1].split("```")[0]
    steps = [(status, after) for status, following in TRANSITIONS.items() for after in following]
    begins = [("[*]", status) for status in ("awaiting_approval", "awaiting_permit", "refused")]
    drawn = [tuple(line.split(" --> ")) for line in text.split("\n") if "-->" in line]
    assert sorted((one.strip(), other) for one, other in drawn) == sorted(
        [*begins, *steps, *((status, "[*]") for status in FINAL)]
    )
