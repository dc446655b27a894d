"""Prices and explanations against their definitions (pricing.py), on small estates by the thousand."""

import random

from hypothesis import given
from pricing import PROFILES, Reference, Statements, alerting, estate

from estates import LAW, randoms
from opsbridge.core.classes import Nature, Profile, Profiles
from opsbridge.core.decisions import Transition
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.evidence import Alerting, Evidence, Node
from opsbridge.core.second_level.level import LATENESS_MS, SecondLevel
from opsbridge.core.weights import Weights

PRICED = 6_000
EXPLAINED = 10_000

GHOSTS = ("ghost", "spirit")
"""CIs that no estate knows."""


def weights_of(chance: random.Random) -> Weights:
    """Those that are shipped, or others."""
    if chance.random() < 0.7:
        return Weights()
    return Weights(
        alone=chance.choice((3000, 6000, 9000)),
        unreported=chance.choice((500, 2303)),
        symptomatic=chance.choice((1000, 1500)),
        hidden=chance.choice((500, 1600)),
        backward=chance.choice((100, 2000)),
        lag_ms=chance.choice((60_000, 600_000)),
        lead_ms=chance.choice((10_000, 120_000)),
    )


def prices_are_right(chance: random.Random) -> None:
    """Alerts come, change and go; what is asked in between equals what is counted afresh."""
    made, weights = estate(chance), weights_of(chance)
    evidence = Evidence(made.graph(), weights)
    nodes: list[Node] = [*range(len(made.cis)), *GHOSTS]
    for _ in range(chance.choice((1, 3, 8))):
        for node in chance.sample(nodes, chance.randint(1, len(nodes))):
            if node not in evidence.alerting:
                evidence.add(node, alerting(chance))
            elif chance.random() < 0.3:
                sealed = evidence.alerting[node].sealed  # a CI is sealed before it alerts
                changed = alerting(chance)
                changed.sealed = sealed
                evidence.change(node, changed)
            else:
                evidence.withdraw(node)
        compare(evidence, Reference(made, evidence.alerting, weights))


def compare(evidence: Evidence, reference: Reference) -> None:
    assert {node: evidence.below(node) for node in reference.candidates()} == {
        node: reference.below(node) for node in reference.candidates()
    }
    for node in reference.candidates():
        assert evidence.price(node) == reference.price(node), node
        assert evidence.links(node) == reference.links(node), node
        if isinstance(node, int):
            assert evidence.spread(node) == reference.spread(node), node
    for node in evidence.alerting:
        assert evidence.alone(node) == reference.alone(node), node


def test_prices_are_those_of_the_definitions() -> None:
    for seed in range(PRICED):
        prices_are_right(random.Random(seed))


@LAW
@given(randoms)
def test_prices_are_those_of_the_definitions_also_where_hypothesis_looks(chance: random.Random) -> None:
    prices_are_right(chance)


CLASSES: dict[str, Profile] = {f"{profile.nature}-{profile.travels}": profile for profile in PROFILES}


def fire(
    number: int, time: int, ci: str, class_: str, occurrence: int = 1, grounds: tuple[str, ...] = ()
) -> Transition:
    name, known = f"{ci}:{class_}", ci not in GHOSTS
    event = f"e{number}"
    return Transition(
        "opened", name, ci, class_, 3, time, time, time, occurrence, number, event, known, grounds=grounds
    )


def explained_as_cheaply_as_can_be(chance: random.Random) -> None:
    """Whenever all that was heard has settled, the situations are the cheapest explanation of everything that fires."""
    made, weights = estate(chance), weights_of(chance)
    graph = made.graph()
    level = SecondLevel(graph, Rulebook(profiles=Profiles(CLASSES.__getitem__)), weights)
    now = 1_000_000
    names = [*(ci.id for ci in made.cis), *GHOSTS]
    heard: set[str] = set()
    gaps = chance.choice(((0, 10, 300), (0, 300, 20_000), (20_000, 90_000)))
    for number in range(chance.randint(1, 10)):
        now += chance.choice(gaps)
        ci = chance.choice(names)
        grounds = ("x",) if chance.random() < (0.7 if ci in GHOSTS else 0.1) else ()
        change = fire(number, now, ci, chance.choice(list(CLASSES)), chance.choice((1, 1, 1, 3)), grounds)
        if change.fingerprint not in heard:
            heard.add(change.fingerprint)
            level.advance([change])
            if chance.random() < 0.3:
                now += LATENESS_MS + 1_000
                level.expire(now)
                cheapest(level, made, weights)
    level.expire(now + LATENESS_MS + 1_000)
    cheapest(level, made, weights)


def cheapest(level: SecondLevel, made: Statements, weights: Weights) -> None:
    reference = Reference(made, level.claims.evidence.alerting, weights)
    held = [(situation.root, situation.nodes) for situation in level.situations]
    assert reference.cost(held) == reference.least(), held


def test_situations_are_the_cheapest_explanation_of_everything() -> None:
    for seed in range(EXPLAINED):
        explained_as_cheaply_as_can_be(random.Random(seed))


@LAW
@given(randoms)
def test_situations_are_the_cheapest_explanation_also_where_hypothesis_looks(chance: random.Random) -> None:
    explained_as_cheaply_as_can_be(chance)


def test_the_order_in_which_alerts_come_and_go_leaves_no_trace() -> None:
    """Larger estates than the reference can count: what is left equals what is put in afresh."""
    for seed in range(300):
        chance = random.Random(seed)
        made = estate(chance, 40)
        graph = made.graph()
        evidence, fresh = Evidence(graph, Weights()), Evidence(graph, Weights())
        for _ in range(120):
            moved = chance.randrange(len(graph))
            if moved in evidence.alerting:
                evidence.withdraw(moved)
            else:
                evidence.add(moved, alerting(chance))
            if chance.random() < 0.2:
                evidence.spread(moved)  # sums are carried on when somebody asks
        for other, said in chance.sample(sorted(evidence.alerting.items(), key=str), len(evidence.alerting)):
            fresh.add(other, said)
        for node in range(len(graph)):
            assert evidence.below(node) == fresh.below(node)
            assert evidence.spread(node) == fresh.spread(node)
            assert evidence.price(node) == fresh.price(node)
            assert evidence.links(node) == fresh.links(node)


def test_what_is_as_good_goes_to_the_root_that_alerted_first_then_by_id() -> None:
    """Two providers of the same three CIs: nothing speaks for one of them, then one of them spoke first."""
    graph = CIGraph(
        [CI(id=f"n{n}") for n in range(3)] + [CI(id="q"), CI(id="p")], [(n, p) for n in range(3) for p in (3, 4)]
    )
    for spoken, root in (([], "p"), ([("q", 0), ("p", 1)], "q"), ([("q", 1), ("p", 0)], "p")):
        level = SecondLevel(graph, Rulebook(profiles=Profiles(lambda _: Profile(Nature.SYMPTOM))))
        alerts = [("n0", 10), ("n1", 10), ("n2", 10), *spoken]
        for number, (ci, at) in enumerate(sorted(alerts, key=lambda alert: alert[1])):
            level.advance([fire(number, 1_000_000 + at, ci, "Odd")])
        level.expire(1_010_000)
        assert max(level.situations, key=lambda one: len(one.nodes)).state.root == root


def test_a_ci_that_alerts_again_and_again_is_no_surprise() -> None:
    evidence = Evidence(CIGraph([CI(id="a")]), Weights())
    prices = []
    for occurrence in (1, 2, 10, 100, 1_000_000):
        said = Alerting(0, occurrence=occurrence)
        said.include(PROFILES[0])
        if occurrence == 1:
            evidence.add(0, said)
        else:
            evidence.change(0, said)
        prices.append(evidence.alone(0))
    assert prices == [6000, 5307, 3697, 1395, 1000]
