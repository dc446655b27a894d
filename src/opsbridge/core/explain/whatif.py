"""Which single fact would have changed a situation's root: alerts that came and those that did not, tried one by one.

Each is supposed to be otherwise in a copy of the evidence, and the explanation is worked out anew, as the second level
does it. Not every fact is tried: those of the runners-up, of the root and of the members that weigh most, at most TRIED
of them and fewer for a storm. because.py asks.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import Final, Literal, NamedTuple

import msgspec

from opsbridge.core.classes import Nature
from opsbridge.core.explain.trial import Candidate, Scene, Trial
from opsbridge.core.second_level.evidence import Alerting, Node
from opsbridge.core.second_level.explanation import Region, Related
from opsbridge.core.second_level.situations import weighed

TRIED: Final = 20
"""At most so many facts are tried..."""

FEWEST: Final = 4
"""...and at least so many, however large the situation is."""

EFFORT: Final = 20_000
"""About so many CIs may be explained anew in all."""

PROVIDERS: Final = 3
"""So many of the nearest providers are tried besides the runners-up: with few alerts they are no candidates yet."""


Kind = Literal["unsent", "own_alert", "alarmed", "missing"]
"""What about a fact is supposed to be otherwise; docs/explain.md says how."""


class Tried(msgspec.Struct, frozen=True):
    """A single fact that was supposed to be otherwise, and the root there would have been."""

    kind: Kind
    ci: str
    """The CI that the fact is about."""
    fact: str
    """Goes on after `if`."""
    root: str | None
    """None: nothing would be left to explain."""
    changes: bool
    explains: int
    """How many of the situation's CIs that root would explain."""


class Verdict(NamedTuple):
    """The root that explains most of a situation's CIs, and how many."""

    root: Node | None
    explains: int


class Fact(NamedTuple):
    """Something that could have been otherwise: what the CI's alerts would say then (None: nothing)."""

    kind: Kind
    node: Node
    alerting: Alerting | None
    words: str


def tried(
    scene: Scene, nodes: list[Node], root: Candidate, others: list[Candidate], related: Related
) -> tuple[Verdict, list[Tried]]:
    """What the root is, worked out anew from all the evidence, and what it would be with one fact changed."""
    trial = scene.trial
    verdict, size = _verdict(trial, nodes, nodes, related)
    budget = max(FEWEST, min(TRIED, EFFORT // max(1, size)))
    answers: list[Tried] = []
    for fact in islice(_facts(scene, nodes, root, others), budget):
        before = trial.suppose(fact.node, fact.alerting)
        try:
            (supposed, explains), _ = _verdict(trial, nodes, [*nodes, fact.node], related)
        finally:
            trial.suppose(fact.node, before)
        name = None if supposed is None else trial.name(supposed)
        changes = supposed != verdict.root
        answers.append(Tried(fact.kind, trial.name(fact.node), fact.words, name, changes, explains))
    return verdict, answers


def _verdict(trial: Trial, ours: list[Node], changed: list[Node], related: Related) -> tuple[Verdict, int]:
    """Which root most of our CIs have once what changed is explained anew, and how many CIs had to be looked at."""
    region = Region(trial, related)
    region.gather(node for node in changed if node in trial.alerting)
    among = set(ours)
    held = [(len(among.intersection(group.nodes)), group.root) for group in region.groups()]
    explains, root = max(held, key=lambda one: one[0], default=(0, None))
    return Verdict(root if explains else None, explains), len(region.nodes)


def _facts(scene: Scene, nodes: list[Node], root: Candidate, others: list[Candidate]) -> Iterator[Fact]:
    """The facts worth trying: of each kind the most telling first, the kinds in turn."""
    trial = scene.trial
    upstream = trial.upstream(root.node)[1:]
    near = [node for node in upstream if not trial.shared(node)][:PROVIDERS]
    rivals = list(dict.fromkeys([*(other.node for other in others), *near]))
    since = min(trial.alerting[node].since for node in nodes)
    kinds = (
        _unsent(scene, root.node),
        _own_alerts(trial, rivals, since),
        _alarmed(trial, [*rivals, root.node], since),
        _missing(scene, root),
    )
    return (fact for fact in chain.from_iterable(zip_longest(*kinds)) if fact is not None)


def _unsent(scene: Scene, root: Node) -> Iterator[Fact]:
    """The root had not said a word; what a domain found there is no word of its own."""
    if any(alert.event for alert in scene.at.get(root, ())):
        yield Fact("unsent", root, None, f"{scene.trial.name(root)} had sent nothing itself")


def _own_alerts(trial: Trial, rivals: Iterable[Node], since: int) -> Iterator[Fact]:
    """A candidate says of itself that it failed."""
    for node in rivals:
        said = trial.alerting.get(node)
        if said is None:
            caused = Alerting(since, nature=Nature.CAUSE, forward=True)
            yield Fact("own_alert", node, caused, f"{trial.name(node)} had sent a cause-like alert when it began")
        elif said.nature != Nature.CAUSE:
            caused = msgspec.structs.replace(said, nature=Nature.CAUSE)
            yield Fact("own_alert", node, caused, f"an alert of {trial.name(node)} had been cause-like")


def _alarmed(trial: Trial, candidates: Iterable[Node], since: int) -> Iterator[Fact]:
    """A silent dependent of a candidate suffers too."""
    tried: set[Node] = set()
    for candidate in candidates:
        silent = min((node for node in trial.silent(candidate) if node not in tried), key=trial.name, default=None)
        if silent is not None:
            tried.add(silent)
            words = f"{trial.name(silent)}, which depends on {trial.name(candidate)}, had alarmed too"
            yield Fact("alarmed", silent, Alerting(since, forward=True), words)


def _missing(scene: Scene, root: Candidate) -> Iterator[Fact]:
    """One alert of a member had not come: those first that save most."""
    trial = scene.trial
    members = [node for node in root.links if node != root.node]
    members.sort(key=lambda node: (root.links[node] - trial.alone(node), trial.name(node)))
    for node in members:
        alerts = scene.at[node]
        most = min(
            alerts, key=lambda one: (scene.profiles(one.class_).nature != Nature.CAUSE, one.opened, one.fingerprint)
        )
        rest = [alert for alert in alerts if alert is not most]
        left = weighed(rest, scene.profiles) if rest else None
        what = most.class_ if most.event else "what was found"
        yield Fact("missing", node, left, f"{what} on {trial.name(node)} had not come")
