"""Live topology: records by key, in any order; what ages out; how they come together with files; what does not fit."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.decisions import Rejected
from opsbridge.core.topology_records import CIRecord, EdgeRecord, Group, GroupMember, Provider, TopologyRecord
from opsbridge.documents import Document
from opsbridge.topology.links import Stated
from opsbridge.topology.live import NOTHING, Built, LiveTopology, Snapshot, build
from opsbridge.topology.model import CIEntry, TopologyDocument
from opsbridge.topology.strength import EDGE_COSTS

HOUR = 3_600_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def live(*records: TopologyRecord) -> LiveTopology:
    found = LiveTopology()
    for record in records:
        assert found.learn(record) is None
    return found


def files(text: dict[str, object], path: str = "estate.yaml") -> Stated:
    valid = TopologyDocument.model_validate(text)
    return Stated(Document(path, 0, text), valid.cis, valid.depends_on, valid.origin, valid.precedence)


def built(snapshot: Snapshot, *stated: Stated) -> Built:
    return build(stated, snapshot, edge_costs=EDGE_COSTS)


def edges(found: Built) -> set[str]:
    graph = found.topology.graph
    return {f"{graph.cis[one].id}>{graph.cis[other].id}" for one, many in enumerate(graph.providers) for other in many}


ESTATE: dict[str, object] = {"cis": [{"id": "a", "owner": "netops", "site": "fra1"}, {"id": "b", "depends_on": ["a"]}]}


def test_a_record_has_the_fields_of_a_file_s_entry() -> None:
    assert set(CIRecord.__struct_fields__) == {*CIEntry.model_fields, "origin", "precedence"}
    assert set(EdgeRecord.__struct_encode_fields__) >= {"from", "on", "type", "undirected"}


def test_all_that_a_file_can_say_of_a_ci_a_record_can_say_too() -> None:
    record = CIRecord(
        id="shop",
        type="service",
        links=("https://x",),
        users=3,
        tier=1,
        monitored=False,
        service_time=("Mon-Fri 08:00-18:00",),
        time_zone="Europe/Berlin",
        aliases=("10.0.0.1",),
        depends_on=("a", Provider("b", "calls")),
        needs=(Group(("a", GroupMember("b", 2)), name="power", at_least=2),),
    )
    said = {
        "id": "shop", "type": "service", "links": ["https://x"], "users": 3, "tier": 1, "monitored": False,
        "service_time": ["Mon-Fri 08:00-18:00"], "time_zone": "Europe/Berlin", "aliases": ["10.0.0.1"],
        "depends_on": ["a", {"on": "b", "type": "calls"}],
        "needs": [{"name": "power", "of": ["a", {"ci": "b", "weight": 2}], "at_least": 2}],
    }  # fmt: skip
    by_record = built(live(record).snapshot(), files(ESTATE))
    by_file = built(NOTHING, files(ESTATE), files({"cis": [said]}, "more.yaml"))
    assert by_record.topology.digest == by_file.topology.digest
    assert by_record.misfits == by_file.misfits == ()


def test_a_record_takes_the_place_of_what_files_of_its_origin_say_and_gives_it_back() -> None:
    known = live(CIRecord(id="b", site="muc1"))
    found = built(known.snapshot(), files(ESTATE))
    graph = found.topology.graph
    assert (graph.cis[1].site, edges(found), found.misfits) == ("muc1", set(), ())
    known.withdraw("ci:b")
    assert built(known.snapshot(), files(ESTATE)).topology.digest == built(NOTHING, files(ESTATE)).topology.digest


def test_other_origins_come_together_field_by_field() -> None:
    known = live(
        CIRecord(id="a", owner="dc", type="switch", origin="netbox", precedence=1),
        CIRecord(id="a", type="router", name="core", origin="k8s", precedence=5),
        EdgeRecord(from_="b", on="c", origin="k8s"),
        CIRecord(id="c", origin="k8s"),
    )
    found = built(known.snapshot(), files(ESTATE))
    a = found.topology.graph.cis[0]
    assert (a.owner, a.type, a.name, a.site) == ("netops", "router", "core", "fra1")
    assert edges(found) == {"b>a", "b>c"}
    numbers = found.topology.graph.numbers
    assert found.topology.edge_origins[numbers["b"], numbers["c"]] == ("k8s",)
    assert found.topology.graph.passing == {numbers["a"]: True, numbers["b"]: False, numbers["c"]: True}


def observed(minutes: float, **more: datetime) -> EdgeRecord:
    return EdgeRecord(from_="b", on="a", observed=True, seen=NOON + timedelta(minutes=minutes), **more)  # type: ignore[arg-type]


def test_an_observed_edge_ages_out_unless_it_is_seen_again() -> None:
    known = live(observed(0))
    assert known.due() == NOON_MS + 24 * HOUR
    version = known.version
    assert known.learn(observed(60)) is None
    assert known.version == version, "that it was seen again changes no graph"
    assert known.expire(NOON_MS + 24 * HOUR) == 0
    assert (len(known), known.due()) == (1, NOON_MS + 25 * HOUR)
    assert known.expire(NOON_MS + 25 * HOUR - 1) == 0
    assert (known.expire(NOON_MS + 25 * HOUR), len(known), known.due(), known.aged) == (1, 0, None, 1)
    assert known.version > version
    assert known.learn(observed(26 * 60)) is None
    assert len(known) == 1


def test_an_edge_that_says_when_it_ends_does_and_a_stated_one_stays() -> None:
    known = live(
        observed(0, expires=NOON + timedelta(hours=1)),
        EdgeRecord(from_="c", on="a", seen=NOON),
        EdgeRecord(from_="d", on="a", expires=NOON),
    )
    assert known.expire(NOON_MS) == 1
    assert known.expire(NOON_MS + HOUR) == 1
    assert known.expire(NOON_MS + 10_000 * HOUR) == 0
    assert list(known.snapshot().edges) == ["edge:c>a"]


def test_what_is_seen_again_and_again_does_not_pile_up() -> None:
    known = LiveTopology(observed_ttl_ms=1_000)
    for second in range(1_000):
        assert known.learn(observed(second / 60)) is None
        known.expire(NOON_MS + second * 1_000 + 500)
        if second % 3 == 0:
            known.withdraw("edge:b>a")
    assert len(known._agenda) <= 3


def test_what_does_not_fit_is_told_and_the_rest_is_used() -> None:
    known = live(
        CIRecord(id="x", aliases=("10.0.0.1",), origin="nb"),
        CIRecord(id="y", aliases=("10.0.0.1",), origin="nb"),
        EdgeRecord(from_="x", on="nowhere"),
        EdgeRecord(from_="x", on="a"),
        CIRecord(
            id="z",
            depends_on=("lost",),
            needs=(Group(("a",), at_least=3),),
            time_zone="Mars/Base",
            service_time=("Mon 08:00-09:00",),
        ),
    )
    found = built(known.snapshot(), files(ESTATE))
    told = {(each.kind, each.reference) for each in found.misfits}
    assert told == {
        ("alias_conflict", "10.0.0.1"),
        ("unknown_end", "x -> nowhere"),
        ("unknown_end", "z -> lost"),
        ("unusable", "a"),
        ("unusable", "z"),
    }
    assert edges(found) == {"b>a", "x>a"}
    (alias,) = [each for each in found.misfits if each.kind == "alias_conflict"]
    assert "already an alias of 'x'" in alias.evidence[0]
    assert alias.evidence[1] == "said by nb, context, of y"


@pytest.mark.parametrize("record", [EdgeRecord(from_=" a", on="b"), CIRecord(id="a\n")])
def test_names_are_those_of_files(record: TopologyRecord) -> None:
    known = LiveTopology()
    answer = known.learn(record)
    assert isinstance(answer, Rejected)
    assert "a name: not empty, no blanks around it" in answer.detail
    assert len(known) == 0


NAMES = "abcdefgh"


def some_records(chance: random.Random) -> list[tuple[str, TopologyRecord | None]]:
    """Records and withdrawals by key, in order."""
    found: list[tuple[str, TopologyRecord | None]] = []
    for _ in range(chance.randrange(1, 30)):
        one, other = chance.sample(NAMES, 2)
        origin = chance.choice(("", "", "nb", "k8s"))
        record: TopologyRecord
        if chance.random() < 0.5:
            record = CIRecord(
                id=one,
                origin=origin,
                precedence=chance.randrange(3),
                owner=chance.choice(("", "x", "y")),
                aliases=(chance.choice(("n1", "n2")),) if chance.random() < 0.3 else (),
                depends_on=(other,) if chance.random() < 0.3 else (),
            )
        else:
            record = EdgeRecord(from_=one, on=other, origin=origin, undirected=chance.random() < 0.2)
        found.append((record.key, None if chance.random() < 0.2 else record))
    return found


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**40))
def test_the_order_of_records_of_different_keys_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    told = some_records(chance)
    newest = dict(told)
    shuffled = list(newest.items())
    chance.shuffle(shuffled)
    found = []
    for order in (told, shuffled, [(key, record) for key, record in newest.items() if record is not None]):
        known = LiveTopology()
        for key, record in order:
            if record is None:
                known.withdraw(key)
            else:
                assert known.learn(record) is None
        found.append(built(known.snapshot(), files(ESTATE)))
    assert len({each.topology.digest for each in found}) == 1
    assert found[0].misfits == found[1].misfits == found[2].misfits
