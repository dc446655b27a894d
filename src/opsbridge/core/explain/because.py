"""Why a situation has its root: every term of the decision in words and numbers, fit to be shown or kept.

Worked out by `explain` from the evidence of one moment, for one situation: what believing in the root costs and saves,
the same for the runners-up with what makes the difference, and for each member by which way it belongs. What single
fact would have changed it is whatif.py's. Nothing here decides anything; numbers are nats.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import exp
from typing import Final, Literal

import msgspec

from opsbridge.core.classes import Nature
from opsbridge.core.explain.trial import Candidate, Hop, Route, Scene, Trial, candidate, runners_up
from opsbridge.core.explain.whatif import Tried, Verdict, tried
from opsbridge.core.second_level.evidence import Node
from opsbridge.core.second_level.explanation import Related, confidence
from opsbridge.core.second_level.situations import AlertState, LiveSituation
from opsbridge.core.weights import NAT

NAMED: Final = 3
"""How many CIs a sentence names before it counts the rest."""

WORTH_TELLING: Final = 0.25
"""A second reason is told if it makes up this share of the difference."""


TermName = Literal[
    "alone", "unreported", "hidden", "cause", "symptomatic", "vague", "changed", "misfit", "repeated",
    "edge", "nature", "joined", "time",
]  # fmt: skip
"""The parts of a price, then those of a link's cost; docs/explain.md says what they mean."""


class Term(msgspec.Struct, frozen=True):
    """A part of a price or of a link's cost."""

    name: TermName
    nats: float
    words: str


class Weighed(msgspec.Struct, frozen=True):
    """A candidate with what speaks for and against it; `ratio`, the log-likelihood ratio, is `saved` less `price`."""

    ci: str
    sent: tuple[str, ...]
    """The classes of its own alerts; none if it is silent."""
    explains: int
    """How many of the situation's CIs its failure explains, itself included."""
    saved: float
    """What is saved over leaving each of them as its own explanation."""
    price: float
    terms: tuple[Term, ...]
    """What the price is made of."""
    ratio: float
    difference: str = ""
    """What makes the difference to the root, in a sentence; empty for the root."""


class Membership(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """Why one alert belongs: the way from the root to its CI."""

    fingerprint: str
    ci: str
    class_: str
    event: str
    """The event that opened it; empty if it stands for what a domain has found (`Explanation.parts`)."""
    opened_ms: int
    path: tuple[str, ...]
    """From the root to the CI, both included; only the CI if it is the root's own or stands by itself."""
    cost: float
    """Of the link: the cheaper, the more certainly it belongs."""
    terms: tuple[Term, ...]
    words: str


class Explanation(msgspec.Struct, frozen=True):
    """Why a situation is what it is."""

    situation: str
    as_of_ms: int
    """The event time of the evidence: the last moment at which it was worked out."""
    cis: int
    """How many CIs alert in it."""
    root: Weighed
    confidence: float
    runners_up: tuple[Weighed, ...]
    members: tuple[Membership, ...]
    tried: tuple[Tried, ...]
    """What was worked out anew with one fact changed: a few of the most telling facts, not all there are."""
    notes: tuple[str, ...]
    parts: "tuple[Explanation, ...]" = ()
    """Of a failure that several domains share: what each of them found, which stands as one alert among the members."""


def explain(scene: Scene, situation: LiveSituation, related: Related, earlier: Mapping[str, Membership]) -> Explanation:
    """Why the situation has its root, as far as its CIs are evidence now.

    `earlier` has the memberships of alerts that were explained before, by fingerprint: what is no longer evidence
    keeps its reason. Raises ValueError for a situation without evidence.
    """
    if not situation.nodes:
        raise ValueError(f"situation {situation.state.id} has no evidence to explain it by")
    evidence, nodes = scene.trial, list(situation.nodes)
    root = candidate(evidence, situation.root, nodes)
    others = runners_up(evidence, situation.root, nodes)
    verdict, answers = tried(scene, nodes, root, others, related)
    return Explanation(
        situation=situation.state.id,
        as_of_ms=scene.now,
        cis=len(nodes),
        root=_weighed(scene, root, nodes),
        confidence=round(confidence(root.ratio, [each.ratio for each in others]), 3),
        runners_up=tuple(_weighed(scene, each, nodes, _difference(scene, root, each, len(nodes))) for each in others),
        members=_members(scene, situation, earlier),
        tried=tuple(answers),
        notes=tuple(_notes(scene, situation, verdict)),
    )


def _notes(scene: Scene, situation: LiveSituation, verdict: Verdict) -> Iterator[str]:
    if verdict.root is not None and verdict.root != situation.root:
        name = scene.trial.name(verdict.root)
        yield f"worked out anew at this moment, {name} would be the root: part of the evidence no longer counts by now"
    before = len(situation.alerts) - sum(len(scene.at[node]) for node in situation.nodes)
    if before:
        yield f"{before} of its {len(situation.alerts)} alerts no longer count as evidence: why they belong is older"
    if again := situation.state.reopened:
        yield f"it has come back {'once' if again == 1 else f'{again} times'}"


# candidates


def _weighed(scene: Scene, found: Candidate, nodes: list[Node], difference: str = "") -> Weighed:
    return Weighed(
        ci=scene.trial.name(found.node),
        sent=scene.sent(found.node),
        explains=len(found.links),
        saved=found.saved / NAT,
        price=found.price / NAT,
        terms=tuple(_price_terms(scene, found, lone=nodes == [found.node])),
        ratio=found.ratio,
        difference=difference,
    )


def _price_terms(scene: Scene, found: Candidate, *, lone: bool) -> list[Term]:
    """What the price is made of; what is left when all that is known is taken off is the misfit, or the relief."""
    evidence, node = scene.trial, found.node
    weights = evidence.weights
    own = _own_term(scene, node)
    rest = _rest(scene, found, own)
    terms = [
        Term("alone", weights.alone / NAT, f"a CI fails by itself in one of {_one_in(weights.alone)} windows"),
        own,
    ]
    if relief := evidence.relief(node):
        words = f"it was changed shortly before: one change in {_one_in(weights.alone - relief)} breaks its CI"
        terms.append(Term("changed", -relief / NAT, words))
    if rest and lone:
        terms.append(Term("repeated", rest / NAT, f"fired {evidence.alerting[node].occurrence} times: no surprise"))
    elif node not in evidence.alerting:
        terms.append(Term("misfit", rest / NAT, spread_in_words(evidence, node)))
    return terms


def _rest(scene: Scene, found: Candidate, own: Term) -> int:
    """What the price is besides that a CI fails, that it was changed, and that it said what it said."""
    evidence = scene.trial
    return found.price - evidence.weights.alone - round(own.nats * NAT) + evidence.relief(found.node)


def _own_term(scene: Scene, node: Node) -> Term:
    """What the CI's own alerts, or their absence, cost."""
    evidence, weights = scene.trial, scene.trial.weights
    alerting = evidence.alerting.get(node)
    if alerting is None:
        if isinstance(node, int) and evidence.graph.cis[node].monitored:
            words = f"it is monitored and sent nothing: one failure in {_one_in(weights.unreported)}"
            return Term("unreported", weights.unreported / NAT, words)
        return Term("hidden", weights.hidden / NAT, "nothing watches it: what is unseen is not blamed lightly")
    sent = _listed(scene.sent(node)) or "none of its own: its domain blames it"
    if alerting.nature == Nature.CAUSE:
        return Term("cause", 0.0, f"it sent {sent}: a cause")
    if alerting.nature == Nature.SYMPTOM:
        words = f"it sent only symptoms ({sent}): one failure in {_one_in(weights.symptomatic)}"
        return Term("symptomatic", weights.symptomatic / NAT, words)
    return Term("vague", weights.vague / NAT, f"no rule says whether {sent} is a cause")


def spread_in_words(evidence: Trial, node: Node) -> str:
    """How far the failure of a CI would have come."""
    reached, silent = evidence.spread(node)
    if not silent:
        return f"all that should feel its failure is affected ({_cis(reached)})"
    return f"of {_cis(reached + silent)} that should feel its failure {reached} are affected and {silent} silent"


def _difference(scene: Scene, root: Candidate, other: Candidate, cis: int) -> str:
    """What speaks for the root and against the other, the weightiest first."""
    evidence = scene.trial
    both = root.links.keys() & other.links.keys()
    missed = [node for node in root.links if node not in other.links]
    own, others_own = _own_term(scene, root.node), _own_term(scene, other.node)
    reasons = [
        (
            sum(evidence.alone(node) - root.links[node] for node in missed),
            f"it explains {len(other.links)} of {_cis(cis)}, not {_listed(map(evidence.name, missed))}",
        ),
        (sum(other.links[node] - root.links[node] for node in both), _farther(scene, root, other)),
        (round((others_own.nats - own.nats) * NAT), others_own.words),
        (_rest(scene, other, others_own) - _rest(scene, root, own), spread_in_words(evidence, other.node)),
        (
            evidence.relief(root.node) - evidence.relief(other.node),
            f"{evidence.name(root.node)} was changed shortly before",
        ),
    ]
    telling = sorted([reason for reason in reasons if reason[0] > 0], key=lambda reason: -reason[0])
    if not telling:
        return "it is as good; the one that alerted first is taken, then the one whose id sorts first"
    most = telling[0][0]
    return "; ".join(words for nats, words in telling[:2] if nats >= WORTH_TELLING * most)


def _farther(scene: Scene, root: Candidate, other: Candidate) -> str:
    """Why the same CIs are dearer to explain by the other: the edges, the nature of the alerts, or their times."""
    evidence = scene.trial
    routes = [evidence.routes(each.node) for each in (root, other)]
    both = [node for node in root.links if node in other.links]
    edges, nature, time = (
        sum(part(routes[1][node]) - part(routes[0][node]) for node in both) for part in (_edges, _natures, _times)
    )
    if nature >= max(edges, time):
        causes = {hop.end for node in both for hop in routes[1][node].hops if hop.extra}
        sent = {class_ for node in causes for class_ in scene.sent(node)}
        return f"{_listed(sorted(sent)) or 'what alerts'} would seldom come from it"
    if time > edges:
        own = evidence.alerting.get(other.node)
        first = min(evidence.alerting[node].since for node in root.links)
        if own is not None and own.since > first:
            return f"its own alert came {_seconds(own.since - first)} after the first symptoms"
        return "what it explains does not fit its time"
    return f"what it explains is farther from it than from {evidence.name(root.node)}"


def _edges(route: Route) -> int:
    return sum(hop.edge for hop in route.hops) + route.joined


def _natures(route: Route) -> int:
    return sum(hop.extra for hop in route.hops)


def _times(route: Route) -> int:
    return route.time


# members


def _members(scene: Scene, situation: LiveSituation, earlier: Mapping[str, Membership]) -> tuple[Membership, ...]:
    evidence = scene.trial
    routes = evidence.routes(situation.root)
    found: list[Membership] = []
    recent = {id(alert): node for node in situation.nodes for alert in scene.at[node]}
    for alert in sorted(situation.alerts.values(), key=lambda alert: (alert.opened, alert.fingerprint)):
        node = recent.get(id(alert))
        if node is not None:
            found.append(_membership(scene, situation.root, alert, node, routes.get(node)))
        else:
            known = earlier.get(alert.fingerprint)
            found.append(known or _bare(alert, "it no longer counted as evidence when this was worked out"))
    return tuple(found)


def _bare(alert: AlertState, words: str) -> Membership:
    return Membership(alert.fingerprint, alert.ci, alert.class_, alert.event, alert.opened, (alert.ci,), 0.0, (), words)


def _membership(scene: Scene, root: Node, alert: AlertState, node: Node, route: Route | None) -> Membership:
    evidence = scene.trial
    if node == root:
        return _bare(alert, "it is the root's own")
    if route is None:
        return _bare(alert, "it came to a large explanation that has not been worked out whole since")
    terms: list[Term] = []
    for hop in route.hops:
        terms.append(Term("edge", hop.edge / NAT, _edge_in_words(evidence.name, hop)))
        if hop.extra:
            terms.append(Term("nature", hop.extra / NAT, _nature_in_words(scene, hop)))
    if route.ground:
        terms.append(Term("joined", route.joined / NAT, _ground_in_words(route.ground)))
    if route.time:
        terms.append(Term("time", route.time / NAT, f"it {_after(route)}"))
    ways = [_needs(evidence.name, hop) for hop in route.hops] or [_ground_in_words(route.ground)]
    ends: list[Node] = [hop.end for hop in route.hops] or [node]
    return Membership(
        alert.fingerprint,
        alert.ci,
        alert.class_,
        alert.event,
        alert.opened,
        tuple(map(evidence.name, (root, *ends))),
        route.cost / NAT,
        tuple(terms),
        f"{', '.join(ways)}; {_after(route)}",
    )


def _ground_in_words(ground: str) -> str:
    rule, _, value = ground.partition("\x1f")
    return f"no edge connects them, but the rule {rule} does, by {value}"


def _needs(name: Callable[[Node], str], hop: Hop) -> str:
    if hop.backward:
        return f"{name(hop.end)} serves {name(hop.start)} and feels it"
    return f"{name(hop.end)} depends on {name(hop.start)}"


def _edge_in_words(name: Callable[[Node], str], hop: Hop) -> str:
    return _needs(name, hop) + (f"; {hop.shared} CIs that alert share the edge" if hop.shared > 1 else "")


def _nature_in_words(scene: Scene, hop: Hop) -> str:
    sent = _listed(scene.sent(hop.end))
    there = scene.trial.alerting.get(hop.end)
    if there is None:
        return "to a provider, though nothing says that it suffers"
    if there.nature == Nature.CAUSE and not hop.backward:
        return f"{sent} is a cause by itself, seldom another's effect"
    return f"{sent} on a CI seldom comes from there"


def _after(route: Route) -> str:
    if not route.after:
        return "began at the same time"
    words = f"began {_seconds(abs(route.after))} {'after' if route.after > 0 else 'before'} it"
    return words + (", when it was over" if route.over else "")


# words


def _one_in(nats: int) -> str:
    return f"{round(exp(nats / NAT))}"


def _cis(count: int) -> str:
    return "1 CI" if count == 1 else f"{count} CIs"


def _seconds(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - NAMED
    return ", ".join(every) if rest <= 1 else f"{', '.join(every[:NAMED])} and {rest} more"
