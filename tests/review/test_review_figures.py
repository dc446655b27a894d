"""The review's figures: what they are, the same from topics and from a replay, and seen when they do not add up."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opsbridge.cli.payloads import of_canonical
from opsbridge.core.event import Verdict
from opsbridge.core.records import KnownError
from opsbridge.review.figures import review
from opsbridge.review.model import Review, Spread
from opsbridge.review.recorded import Recorded, Recorder, from_line, read_records, to_line
from opsbridge.review.told import fold
from review.period import Period, at


@pytest.fixture(scope="module")
def period(tmp_path_factory: pytest.TempPathFactory) -> Period:
    return Period(tmp_path_factory.mktemp("period"))


@pytest.fixture(scope="module")
def records(period: Period) -> list[Recorded]:
    return period.records()


@pytest.fixture(scope="module")
def found(period: Period, records: list[Recorded]) -> Review:
    return period.review(records)


def without(records: Iterable[Recorded], entity: str) -> list[Recorded]:
    return [record for record in records if record.entity != entity]


def broken(found: Review) -> list[str]:
    assert found.adds_up == all(check.holds for check in found.checks)
    return [check.what for check in found.checks if not check.holds]


def as_kafka_has_them(records: Iterable[Recorded], seed: int) -> Iterator[Recorded]:
    """Spread over partitions by key, told partition by partition, some of them twice as after a kill."""
    random = Random(seed)
    lanes: dict[tuple[str, int], list[Recorded]] = {}
    for record in records:
        partition = crc32(b"%d" % seed + (record.key or b"")) % 3
        lane = lanes.setdefault((record.entity, partition), [])
        lane += [record] * (2 if record.entity not in ("events", "dead-letters") and random.random() < 0.3 else 1)
    for place in random.sample(sorted(lanes), len(lanes)):
        yield from lanes[place]


# what the figures are


def test_every_event_is_in_one_place(found: Review) -> None:
    assert found.events.read == 56
    assert found.events.places == {
        "dead_letter": {"invalid_field": 1, "invalid_json": 1, "time_in_future": 1},
        "expired": {"resolution_without_problem": 1},
        "incident": {"told": 30},
        "informational": {"samples": 4, "severity": 1},
        "routed": {"to-security": 1},
        "suppressed": {"it-flaps": 8, "no-beats": 4, "wait-a-minute": 2},
        "unanswered": {"nobody-cares": 2},
    }
    assert broken(found) == []


def test_events_by_category_significance_and_person(found: Review) -> None:
    events = found.events
    assert events.significance == {
        "informational": 5,
        "warning": 1,
        "exception": 29,
        "return_to_normal": 13,
        "not_judged": 8,
    }
    assert [(each.name, each.events) for each in events.classes][:2] == [("Down", 19), ("PortDown", 12)]
    assert (events.classes[-1].name, events.classes[-1].events) == ("(others)", 3)
    assert [(each.name, each.events) for each in events.sources] == [("probe", 52), ("other", 1)]
    assert (events.top_talkers[0].ci, events.top_talkers[0].events, events.top_talkers[0].incidents) == ("h2", 13, 1)
    assert (events.needed_person.events, events.needed_person.share) == (30, round(30 / 56, 4))
    assert events.incident_or_change.events == 30
    assert events.collapse_ratio == 4.29
    assert events.duplicates.events == 13  # 12 repetitions of the storm's, by two names of h1; one more of flap's


def test_alerts_withheld_raised_and_unsteady(found: Review) -> None:
    assert found.alerts.withheld == {"flapping": {"it-flaps": 4}, "hold": {"wait-a-minute": 1}}
    assert found.alerts.raised == {"many-logins": 1}
    assert found.alerts.discrepancies == {"unknown_ci": 1}


def test_incidents_by_priority_and_their_times(found: Review) -> None:
    incidents = found.incidents
    assert incidents.incidents == 7
    assert incidents.by_priority == {"P1": 1, "P3": 4, "P5": 2}
    assert incidents.silent_roots == 1
    assert incidents.with_change == 1
    assert (incidents.reopened, incidents.unanswered_situations) == (1, 1)
    assert incidents.time_to_incident == Spread(7, 10.0, 11.0, 11.0)
    assert incidents.time_to_acknowledge == Spread(1, 42.0, 42.0, 42.0)
    assert (incidents.largest[0].root, incidents.largest[0].events) == ("sw", 20)


def test_what_was_done(found: Review) -> None:
    responses, records = found.responses, found.records
    assert responses.by_status["effective"] == 1
    assert responses.by_status["escalated"] >= 1
    assert responses.success == round(1 / responses.final, 4)
    assert [(each.action, each.effective) for each in responses.actions] == [("restart", 1)]
    assert records.changes == {"open": 1}
    assert records.requests == {"open": 1}
    assert records.problems == {"open": 1}
    assert records.notifications["opened"] >= 5
    assert found.dead_letters["unknown_target"] == 1
    assert sum(found.dead_letters.values()) == 7  # three events, three lines of feedback, one of context


def test_rules_and_what_they_led_to(found: Review) -> None:
    did = {each.rule: (each.did, each.incidents) for each in found.rules}
    assert did["no-beats"] == ({"dropped": 4}, 0)
    assert did["disks-are-minor"] == ({"classified": 1}, 1)
    assert did["many-logins"] == ({"raised": 1}, 1)
    assert did["nobody-cares"] == ({"no_incident": 1}, 0)
    assert did["web-again"][0] == {"problems": 1}
    assert did["never-used"] == ({}, 0)


def test_the_ledger_of_the_replay_says_the_same(period: Period, found: Review) -> None:
    run = period.made()
    for line in period.events.read_bytes().splitlines():
        run.read(of_canonical(line))
    run.finish()
    summary = run.summary()
    assert summary.balanced
    derived = summary.read - found.events.read  # an alert that a rule raised, and its end
    assert derived == 2
    assert found.events.needed_person.events == summary.events_in_incidents - derived
    for place in ("dead_letter", "informational", "routed", "expired"):
        assert found.events.places[place] == summary.places[place], place
    assert found.events.places["suppressed"]["no-beats"] == summary.places["suppressed"]["no-beats"]
    assert found.events.places["unanswered"] == summary.unanswered


@pytest.mark.parametrize("back", [0, 200_000])
def test_every_breakdown_adds_up_to_its_whole(period: Period, records: list[Recorded], back: int) -> None:
    found = period.review(records, back=back)
    events, incidents, responses = found.events, found.incidents, found.responses
    dead = sum(events.places.get("dead_letter", {}).values())
    assert sum(sum(reasons.values()) for reasons in events.places.values()) == events.read
    assert sum(events.significance.values()) == events.read
    for whole in (events.classes, events.sources, found.timeline):
        assert sum(each.events for each in whole) == events.read - dead
    for counts in (incidents.by_priority, incidents.by_status, incidents.by_group):
        assert sum(counts.values()) == incidents.incidents
    assert sum(each.events for each in incidents.largest) == events.needed_person.events
    assert sum(responses.by_status.values()) == responses.responses
    assert sum(each.responses for each in responses.actions) == responses.responses


# the same from everywhere


def test_recorded_topics_give_the_same(period: Period, records: list[Recorded], found: Review, tmp_path: Path) -> None:
    with Recorder(tmp_path / "topics") as recorder:
        for record in records:
            recorder.write(record)
    assert period.review(read_records(tmp_path / "topics")) == found


@pytest.mark.parametrize("seed", range(8))
def test_partitions_and_repetitions_change_nothing(
    period: Period, records: list[Recorded], found: Review, seed: int
) -> None:
    assert period.review(as_kafka_has_them(records, seed)) == found


def test_compacted_snapshots_give_the_same(period: Period, records: list[Recorded], found: Review) -> None:
    """What compaction leaves of topics that are compacted: the newest of every key."""
    compacted = {"situations", "incidents", "responses", "problems", "changes", "requests", "notifications"}
    newest = {(record.entity, record.key): record for record in records if record.entity in compacted}
    kept = [each for each in records if each.entity not in compacted or newest[each.entity, each.key] is each]
    left = period.review(kept)
    assert left.adds_up
    assert left.incidents.by_priority == found.incidents.by_priority
    assert left.incidents.time_to_acknowledge == found.incidents.time_to_acknowledge
    assert left.events.needed_person == found.events.needed_person


# a part of the period


def test_since_counts_from_a_time_on(period: Period, records: list[Recorded]) -> None:
    late = period.review(records, back=200_000)  # 12:11:40 minus 200 s
    assert late.begins == at(640)
    assert late.events.read == 2
    assert (late.incidents.incidents, late.incidents.largest[0].root) == (1, "web")
    assert broken(late) == []


def test_an_incident_that_began_before_counts_if_events_of_the_period_are_in_it(
    period: Period, records: list[Recorded]
) -> None:
    part = period.review(records, back=500_000)  # from 12:03:20 on
    assert [(each.root, each.events) for each in part.incidents.largest] == [("sw", 3), ("web", 1), ("web", 1)]
    assert (part.incidents.incidents, part.responses.responses, part.alerts.firings) == (3, 1, 1)
    assert broken(part) == []


def test_nothing_at_all_adds_up(period: Period) -> None:
    empty = period.review([])
    assert (empty.begins, empty.events.read, empty.events.collapse_ratio, empty.adds_up) == (None, 0, None, True)


# what does not add up


@pytest.mark.parametrize(
    ("entity", "complaint"),
    [
        ("alerts", "events read = events in their places"),
        ("incident-members", ""),
        ("dead-letters", "events refused = dead letters written of them"),
    ],
)
def test_what_is_missing_is_seen(period: Period, records: list[Recorded], entity: str, complaint: str) -> None:
    found = period.review(without(records, entity))
    assert (complaint in broken(found)) if complaint else found.adds_up


def test_members_that_nobody_tells_of_are_seen(period: Period, records: list[Recorded]) -> None:
    """Without members and with situations compacted away, nobody knows where events have gone."""
    found = period.review(without(without(records, "incident-members"), "situations"))
    assert broken(found) == ["events read = events in their places"]
    assert found.events.places["unexplained"]["no alert"] > 0


def test_other_rules_than_decided_are_seen(period: Period, records: list[Recorded]) -> None:
    found = review(
        records, period.made.graph, replace(period.made.rules.book, judge=lambda _event, _ci: Verdict(severity=4))
    )
    assert "events read = events in their places" in broken(found)


def test_a_record_that_cannot_be_read_is_named(period: Period, records: list[Recorded]) -> None:
    found = period.review([*records, Recorded("incidents", b"INC-1", b'{"id": 7}', offset=99)])
    assert broken(found) == ["records that could not be read = 0"]
    assert "incidents[0]@99: " in next(check.hint for check in found.checks if not check.holds)


# folding


def incident(records: Iterable[Recorded], **changed: object) -> Recorded:
    content = json.loads(next(each.value or b"" for each in records if each.entity == "incidents"))
    return Recorded("incidents", content["id"].encode(), json.dumps(content | changed).encode())


def test_the_higher_version_counts_and_of_equal_ones_the_later(records: list[Recorded]) -> None:
    told = [
        incident(records, version=2, title="two"),
        incident(records, version=1, title="one"),
        incident(records, version=2, title="two again"),
    ]
    (newest,) = fold(told).incidents.values()
    assert newest.title == "two again"


def test_events_of_known_errors_are_counted(period: Period, records: list[Recorded], found: Review) -> None:
    storm = found.incidents.largest[0]
    newest = fold(records).incidents[storm.id]
    known = replace(newest, version=newest.version + 1, known_errors=(KnownError("KE-1", "firmware"),))
    more = Recorded("incidents", storm.id.encode(), msgspec.json.encode(known))
    assert period.review([*records, more]).events.known_errors.events == storm.events


# lines of recordings


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=40)
    | st.none()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)).map(
        lambda value: json.dumps(value, indent=1).encode()
    ),
    st.text(max_size=5) | st.none(),
)
def test_a_record_comes_back_from_its_line(value: bytes | None, key: str | None) -> None:
    record = Recorded("events", None if key is None else key.encode(), value, 1, 2, 3, (("why", b"so"),), "t")
    line = to_line(record)
    assert b"\n" not in line
    back = from_line("events", line)
    assert replace(back, value=None) == replace(record, value=None)
    assert _same_value(back.value, value)


def _same_value(left: bytes | None, right: bytes | None) -> bool:
    """JSON may lose white space."""
    if left == right or left is None or right is None:
        return left == right
    return "".join(left.decode().split()) == "".join(right.decode().split())
