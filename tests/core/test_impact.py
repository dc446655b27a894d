"""What failures bring down: scenarios of redundancy, and equality with a fixed point that is worked out naively."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.calendar import DAY, WEEK, ServiceTime
from opsbridge.core.graph import CI, CIGraph, Edge, Group
from opsbridge.core.impact import Condition, Impacted, impacted, impacted_by

NOW = int(datetime(2026, 3, 4, 12, 0, tzinfo=UTC).timestamp() * 1000)  # a Wednesday
ON_DUTY = ServiceTime(((2 * DAY, 3 * DAY),), UTC)
OFF_DUTY = ServiceTime(((0, DAY),), UTC)


class Estate:
    """A graph by names: what each CI needs, and when it is in service."""

    def __init__(
        self,
        depends_on: Mapping[str, Sequence[str]],
        *,
        needs: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        peers: Sequence[str] = (),
        times: Mapping[str, ServiceTime] | None = None,
    ) -> None:
        """`needs` has groups as (at least, "member member*weight ..."), `peers` pairs as "one other"."""
        self.names = sorted(depends_on)
        number = self.names.index
        edges = [Edge(number(one), number(other)) for one, many in depends_on.items() for other in many]
        for pair in peers:
            one, other = pair.split()
            edges.append(Edge(number(one), number(other), undirected=True))
        groups = {}
        for name, wanted in (needs or {}).items():
            groups[number(name)] = [Group(tuple(self._members(members)), least) for least, members in wanted]
        self.graph = CIGraph(
            [CI(name) for name in self.names],
            edges=edges,
            groups=groups,
            service_times={number(name): each for name, each in (times or {}).items()},
        )

    def _members(self, members: str) -> Iterable[tuple[int, int]]:
        for member in members.split():
            name, _, weight = member.partition("*")
            yield self.names.index(name), int(weight or 1)

    def numbers(self, names: str) -> list[int]:
        return [self.names.index(name) for name in names.split()]

    def told(self, found: Impacted) -> dict[str, str]:
        """Condition -> names, in order; leaving out what nobody is in."""
        told: dict[str, list[str]] = {}
        for number, condition in found.conditions().items():
            told.setdefault(condition, []).append(self.names[number])
        return {condition: " ".join(names) for condition, names in told.items()}

    def after(self, failed: str, now: int = NOW) -> dict[str, str]:
        return self.told(impacted(self.graph, self.numbers(failed), now))

    def by(self, root: str, others: str) -> dict[str, str]:
        return self.told(impacted_by(self.graph, self.names.index(root), self.numbers(others), NOW))


def test_whatever_needs_it_is_unreachable_the_nearest_first() -> None:
    estate = Estate({"sw": [], "host": ["sw"], "vm": ["host"], "shop": ["vm", "sw"], "other": []})
    assert estate.after("sw") == {"down": "sw", "unreachable": "host shop vm"}
    assert estate.after("host sw") == {"down": "host sw", "unreachable": "vm shop"}
    assert estate.after("") == {}
    assert impacted(estate.graph, [], NOW).lost == ()


# Redundant parents: unreachable only when all of them fail.
TWO_SWITCHES = Estate({"a": [], "b": [], "host": [], "vm": ["host"]}, needs={"host": [(1, "a b")]})


def test_with_one_of_two_redundant_parents_gone_the_child_works_and_only_its_redundancy_is_gone() -> None:
    assert TWO_SWITCHES.after("a") == {"down": "a", "degraded": "host"}
    assert TWO_SWITCHES.after("b") == {"down": "b", "degraded": "host"}


def test_with_all_redundant_parents_gone_the_child_is_unreachable_and_all_behind_it() -> None:
    assert TWO_SWITCHES.after("a b") == {"down": "a b", "unreachable": "host vm"}


def test_a_parent_outside_of_the_group_is_needed_whatever_the_group_says() -> None:
    estate = Estate({"a": [], "b": [], "psu": [], "host": ["psu"]}, needs={"host": [(1, "a b")]})
    assert estate.after("psu") == {"down": "psu", "unreachable": "host"}


def test_two_groups_are_two_needs() -> None:
    estate = Estate({"a": [], "b": [], "c": [], "d": [], "x": []}, needs={"x": [(1, "a b"), (1, "c d")]})
    assert estate.after("a c") == {"down": "a c", "degraded": "x"}
    assert estate.after("c d") == {"down": "c d", "unreachable": "x"}


# A dependency outside its period is ignored: it has neither failed nor is it available.
@pytest.mark.parametrize(
    ("times", "failed", "expected"),
    [
        # the night machine is off: the other is all there is, and it works
        ({"b": OFF_DUTY}, "", {}),
        # ... and when that fails, the one that is off does not stand in for it
        ({"b": OFF_DUTY}, "a", {"down": "a", "unreachable": "host vm"}),
        # the one that is off has failed: nobody is missing it
        ({"b": OFF_DUTY}, "b", {"not_in_service": "b"}),
        # nobody is on duty: there is nothing that could be missed
        ({"a": OFF_DUTY, "b": OFF_DUTY}, "a b", {"not_in_service": "a b"}),
        # on duty is as good as always
        ({"a": ON_DUTY, "b": ON_DUTY}, "a", {"down": "a", "degraded": "host"}),
        # who is off itself is neither degraded nor unreachable, and who needs it does not feel it
        ({"host": OFF_DUTY}, "a", {"down": "a", "not_in_service": "host"}),
        ({"host": OFF_DUTY}, "a b", {"down": "a b", "not_in_service": "host"}),
    ],
)
def test_who_is_out_of_service_is_out_of_the_count(
    times: Mapping[str, ServiceTime], failed: str, expected: Mapping[str, str]
) -> None:
    estate = Estate({"a": [], "b": [], "host": [], "vm": ["host"]}, needs={"host": [(1, "a b")]}, times=times)
    assert estate.after(failed) == expected


def test_a_needed_provider_out_of_service_is_not_missed() -> None:
    estate = Estate({"batch": [], "report": ["batch"], "desk": ["report"]}, times={"batch": OFF_DUTY})
    assert estate.after("batch") == {"not_in_service": "batch"}


def test_a_group_asks_no_more_than_those_in_service_can_give() -> None:
    needs = {"x": [(3, "a b c d")]}
    members: dict[str, Sequence[str]] = {"a": [], "b": [], "c": [], "d": [], "x": []}
    by_day = Estate(members, needs=needs)
    assert by_day.after("a") == {"down": "a", "degraded": "x"}
    by_night = Estate(members, needs=needs, times={"c": OFF_DUTY, "d": OFF_DUTY})
    assert by_night.after("c") == {"not_in_service": "c"}
    assert by_night.after("a") == {"down": "a", "unreachable": "x"}  # two were left, and both were asked for


def test_the_time_decides_where_it_is_told_by_the_clock_on_the_wall() -> None:
    office = ServiceTime(
        tuple((day * DAY + 9 * 60, day * DAY + 17 * 60) for day in range(5)), ZoneInfo("Europe/Berlin")
    )

    def at(*moment: int) -> bool:
        return office.covers(int(datetime(*moment, tzinfo=UTC).timestamp() * 1000))  # type: ignore[misc, arg-type]  # year to second

    assert [at(2026, 1, 5, 7, 59, 59), at(2026, 1, 5, 8, 0), at(2026, 1, 5, 15, 59), at(2026, 1, 5, 16, 0)] == [
        *(False, True, True, False)
    ]
    assert [at(2026, 7, 6, 6, 59, 59), at(2026, 7, 6, 7, 0), at(2026, 7, 6, 14, 59), at(2026, 7, 6, 15, 0)] == [
        *(False, True, True, False)
    ]  # the same hours, in summer
    assert not at(2026, 1, 10, 12, 0)  # a Saturday
    half = ServiceTime(((9 * 60 + 30, 9 * 60 + 45),), UTC)
    minutes = [
        half.covers(int(datetime(2026, 1, 5, 9, minute, tzinfo=UTC).timestamp() * 1000)) for minute in (29, 30, 45)
    ]
    assert minutes == [False, True, False]
    assert ServiceTime(((0, WEEK),), UTC).covers(NOW)


# A parent that is unreachable is no available parent, through any number of levels.
def test_a_parent_that_is_unreachable_counts_as_lost_through_several_levels() -> None:
    estate = Estate(
        {"core": [], "left": ["core"], "right": ["core"], "low": ["left"], "lan": [], "host": ["lan"], "vm": ["host"]},
        needs={"lan": [(1, "low right")]},
    )
    assert estate.after("core") == {"down": "core", "unreachable": "left right low lan host vm"}
    assert estate.after("left") == {"down": "left", "unreachable": "low", "degraded": "lan"}
    assert estate.after("left right") == {"down": "left right", "unreachable": "low lan host vm"}


def test_groups_of_groups_fall_when_enough_of_them_have_fallen() -> None:
    estate = Estate(
        {name: [] for name in ("a1", "a2", "b1", "b2", "a", "b", "top")},
        needs={"a": [(1, "a1 a2")], "b": [(1, "b1 b2")], "top": [(1, "a b")]},
    )
    assert estate.after("a1 b1") == {"down": "a1 b1", "degraded": "a b"}  # to be degraded is no loss to others
    assert estate.after("a1 a2 b1") == {"down": "a1 a2 b1", "unreachable": "a", "degraded": "b top"}
    assert estate.after("a1 a2 b1 b2") == {"down": "a1 a2 b1 b2", "unreachable": "a b top"}


def test_two_of_three() -> None:
    estate = Estate({"a": [], "b": [], "c": [], "x": []}, needs={"x": [(2, "a b c")]})
    assert estate.after("a") == {"down": "a", "degraded": "x"}
    assert estate.after("a c") == {"down": "a c", "unreachable": "x"}


def test_weights() -> None:
    estate = Estate({"big": [], "s1": [], "s2": [], "x": []}, needs={"x": [(2, "big*2 s1 s2")]})
    assert estate.after("big") == {"down": "big", "degraded": "x"}
    assert estate.after("s1 s2") == {"down": "s1 s2", "degraded": "x"}
    assert estate.after("big s1") == {"down": "big s1", "unreachable": "x"}


def test_cis_that_need_each_other_are_up_until_one_loses_something_else() -> None:
    estate = Estate({"a": ["b"], "b": ["a", "sw"], "sw": [], "other": ["a"]})
    assert estate.after("other") == {"down": "other"}
    assert estate.after("sw") == {"down": "sw", "unreachable": "b a other"}
    ring = Estate({"a": [], "b": [], "c": []}, needs={"a": [(1, "b c")], "b": [(1, "a c")], "c": [(1, "a b")]})
    assert ring.after("a") == {"down": "a", "degraded": "b c"}
    assert ring.after("a b") == {"down": "a b", "unreachable": "c"}


def test_peers_may_suffer_and_do_not_need_each_other() -> None:
    estate = Estate({"r1": [], "r2": [], "r3": [], "host": ["r2"]}, peers=["r1 r2", "r2 r3"])
    assert estate.after("r1") == {"down": "r1", "degraded": "r2"}
    assert estate.after("r2") == {"down": "r2", "unreachable": "host", "degraded": "r1 r3"}


def test_a_root_answers_for_what_it_takes_along_whoever_else_has_failed() -> None:
    estate = Estate({"a": [], "b": [], "x": ["a", "b"], "y": ["a"], "z": ["b"]})
    assert estate.by("a", "b") == {"down": "a", "unreachable": "x y"}
    assert estate.by("b", "a b") == {"down": "b", "unreachable": "x z"}


def test_a_quorum_that_is_lost_by_two_roots_is_lost_by_both() -> None:
    estate = Estate({"a": [], "b": [], "c": [], "x": [], "y": ["x"], "of-c": ["c"]}, needs={"x": [(1, "a b")]})
    assert estate.by("a", "") == {"down": "a", "degraded": "x"}
    assert estate.by("a", "b c") == {"down": "a", "unreachable": "x y"}
    assert estate.by("b", "a c") == {"down": "b", "unreachable": "x y"}
    assert estate.by("c", "a b") == {"down": "c", "unreachable": "of-c"}


def test_a_quorum_that_three_roots_have_more_than_lost_is_lost_by_all_of_them() -> None:
    estate = Estate({"a": [], "b": [], "c": [], "x": []}, needs={"x": [(2, "a b c")]})
    for root in "abc":  # without any one of them it would still be lost
        assert estate.by(root, "a b c") == {"down": root, "unreachable": "x"}


def test_a_root_does_not_answer_for_a_quorum_that_another_has_lost_alone() -> None:
    estate = Estate({"core": [], "h1": ["core"], "h2": ["core"], "x": [], "y": ["x"]}, needs={"x": [(1, "h1 h2")]})
    assert estate.by("h1", "core") == {"down": "h1"}
    assert estate.by("core", "h1") == {"down": "core", "unreachable": "h1 h2 x y"}


def test_a_root_has_no_part_in_what_others_lose_together_though_it_shakes_it_too() -> None:
    estate = Estate(
        {name: [] for name in ("a", "b", "c", "d", "r", "s", "x", "z")},
        needs={"x": [(1, "a b"), (1, "r s")], "z": [(1, "x s"), (1, "c d")]},
    )
    assert estate.by("r", "a b c d") == {"down": "r"}
    assert estate.by("a", "b c d r") == {"down": "a", "unreachable": "x"}
    assert estate.by("c", "a b d r") == {"down": "c", "unreachable": "z"}


def test_what_roots_lose_together_may_degrade_what_is_behind_it() -> None:
    estate = Estate(
        {name: [] for name in ("a", "b", "x", "spare", "z", "night")} | {"night": ["x"]},
        needs={"x": [(1, "a b")], "z": [(1, "x spare")]},
        times={"night": OFF_DUTY},
    )
    assert estate.by("a", "b") == {"down": "a", "unreachable": "x", "degraded": "z", "not_in_service": "night"}


def test_conditions_are_five_and_have_a_field_each_but_one() -> None:
    fields = set(Impacted.__struct_fields__)
    assert {str(each) for each in Condition} == fields | {"up"}


# The reference: everything is looked at until nothing changes.


class World:
    """A random estate, and what has failed there."""

    def __init__(self, chance: random.Random) -> None:
        size = chance.randint(1, 14)
        pick: Callable[[], int] = lambda: chance.randrange(size)  # noqa: E731  # short for what follows
        density = chance.choice((0, 0.5, 1))
        self.required = {(pick(), pick()) for _ in range(int(density * size))}
        self.peers = {(pick(), pick()) for _ in range(chance.choice((0, 0, 2)))}
        self.groups: dict[int, list[Group]] = {}
        for _ in range(chance.choice((1, size // 2, size))):
            number = pick()
            members = chance.sample(range(size), min(size, chance.randint(1, 4)))
            weights = tuple(sorted((member, chance.choice((1, 1, 2))) for member in members if member != number))
            if weights:
                total = sum(weight for _, weight in weights)
                self.groups.setdefault(number, []).append(Group(weights, chance.randint(1, total)))
        self.off = {number for number in range(size) if chance.random() < 0.15}
        self.failed = [pick() for _ in range(chance.randint(0, 4))]
        self.graph = CIGraph(
            [CI(f"ci{number}") for number in range(size)],
            self.required,
            edges=[Edge(*pair, undirected=True) for pair in self.peers],
            groups=self.groups,
            service_times=dict.fromkeys(self.off, OFF_DUTY) | {0: OFF_DUTY if 0 in self.off else ON_DUTY},
        )

    def short(self, number: int, lost: set[int]) -> Iterable[Group]:
        for group in self.groups.get(number, ()):
            there = {member: weight for member, weight in group.members if member not in self.off}
            if sum(w for member, w in there.items() if member not in lost) < min(group.at_least, sum(there.values())):
                yield group

    def lost(self, failed: Iterable[int]) -> dict[int, int]:
        """CI -> the round in which it was lost; those that have failed in round 0."""
        rounds = dict.fromkeys(set(failed) - self.off, 0)
        for number_of_round in range(1, len(self.graph) + 1):
            lost = set(rounds)
            for number in set(range(len(self.graph))) - self.off - lost:
                needs = {other for one, other in self.required if one == number != other}
                if needs & lost or any(self.short(number, lost)):
                    rounds[number] = number_of_round
        return rounds

    def touched(self, lost: set[int]) -> set[int]:
        """Who has an edge of any kind to something lost."""
        edges = self.required | self.peers | {(other, one) for one, other in self.peers}
        edges |= {(number, member) for number, groups in self.groups.items() for g in groups for member, _ in g.members}
        return {one for one, other in edges if one != other and other in lost}

    def share(self, root: int) -> set[int]:
        """By the words of impacted_by: what it takes along alone, and its part in what no root takes along alone."""
        alone = set(self.lost([root]))
        by_one = set().union(*(self.lost([each]) for each in self.failed))
        lost = set(self.lost(self.failed))
        share = set(alone)
        while True:
            more = set()
            for number in lost - by_one - share:
                needs = {other for one, other in self.required if one == number}
                in_groups = {member for group in self.short(number, lost) for member, _ in group.members}
                if (needs | in_groups) & share:
                    more.add(number)
            if not more:
                return share
            share |= more


worlds = st.integers(0, 2**40).map(random.Random).map(World)


@settings(max_examples=400, deadline=None)
@given(worlds)
def test_the_impact_is_the_least_fixed_point(world: World) -> None:
    found = impacted(world.graph, world.failed, NOW)
    rounds = world.lost(world.failed)
    assert set(found.down) == set(world.failed) - world.off
    assert set(found.lost) == set(rounds)
    assert [rounds[number] for number in found.lost] == sorted(rounds.values())
    touched = world.touched(set(rounds))
    assert set(found.degraded) == touched - set(rounds) - world.off
    assert set(found.not_in_service) == (touched | set(world.failed)) & world.off
    everything = [*found.lost, *found.degraded, *found.not_in_service]
    assert len(everything) == len(set(everything)) == len(found.conditions())


@settings(max_examples=400, deadline=None)
@given(worlds)
def test_every_loss_has_its_roots_and_no_root_has_more_than_its_share(world: World) -> None:
    lost = set(world.lost(world.failed))
    shares = {}
    for root in world.failed:
        share = impacted_by(world.graph, root, world.failed, NOW)
        shares[root] = set(share.lost)
        assert shares[root] == world.share(root)
        without = set(world.lost(set(world.failed) - {root}))
        assert shares[root] >= lost - without  # at least what would not be lost without it
        assert not set(share.degraded) & lost
        assert set(share.degraded) == world.touched(shares[root]) - lost - world.off
    assert set().union(*shares.values()) == lost


def test_a_hundred_thousand_dependents_are_no_obstacle() -> None:
    size = 100_000
    edges = [(number, number % 300) for number in range(300, size)]
    groups = {number: [Group(((0, 1), (1, 1), (2, 1)), 2)] for number in range(3, 300)}
    graph = CIGraph([CI(f"ci{number}") for number in range(size)], edges, groups=groups)
    assert len(impacted(graph, [0], NOW).degraded) == 297
    assert len(impacted(graph, [0, 1], NOW).lost) == sum(number % 300 != 2 for number in range(size))
