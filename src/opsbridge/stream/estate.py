"""The estate that all stages decide by: topology, rules and known errors, compiled, immutable and swapped as a whole.

What is wrong with files is an error with file, line and column before anything is swapped. A reload takes over rules, a
topology change what the `context` topic says of CIs and dependencies; topology files are read once, at the start. Each
is made of the estate in use, so that they compose. Only the context goes on learning; it is the same in all estates.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from opsbridge.core.context import Context
from opsbridge.core.decisions import Discrepancy
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake
from opsbridge.core.policies import Policies
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.weights import Weights
from opsbridge.rules.compile import RuleSet, compile_rules, edge_strengths
from opsbridge.rules.known_errors import Documented, KnownErrorFiles, load_known_errors
from opsbridge.rules.load import RuleFiles, load_rules
from opsbridge.settings import (
    KNOWN_ERRORS,
    Settings,
    SettingsError,
    policies,
    weights,
)
from opsbridge.settings.inputs import inputs
from opsbridge.sources.inputs import Inputs
from opsbridge.topology.links import Stated
from opsbridge.topology.live import NOTHING, Built, Snapshot, build
from opsbridge.topology.load import Topology, load_topology
from opsbridge.topology.strength import edge_costs

log = logging.getLogger(__name__)

NAMED = 10
"""So many rules are named in the account of a reload, of each sort of change."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What one worker decides by."""

    graph: CIGraph
    rules: RuleSet
    weights: Weights
    topology: str
    """The digest of the topology, all that is live included."""
    inputs: Inputs
    """The sources, as they were loaded at the start, and which topics are read by which."""
    context: Context = field(default_factory=Context)
    policies: Policies = field(default_factory=Policies)
    files: tuple[Stated, ...] = ()
    """What the topology files said at the start."""
    live: Snapshot = NOTHING
    """What the `context` topic says besides."""
    misfits: tuple[Discrepancy, ...] = ()
    """What of that does not fit."""
    known_errors: tuple[Documented, ...] = ()
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intake", Intake(self.graph, self.rules.book))

    def decides_as(self, other: "Estate", *, tells: bool) -> bool:
        """Whether a stage goes on as it is when one takes the place of the other; `tells`: it tells of misfits."""
        same = self.graph is other.graph and self.rules is other.rules
        return same and (not tells or self.misfits == other.misfits)

    @property
    def book(self) -> Rulebook:
        """What the core is told by the rules."""
        return self.rules.book


def load_estate(settings: Settings) -> Estate:
    """Topology, rules, known errors and sources of these settings; raises their errors with file, line and column."""
    _there(settings)
    sources = inputs(settings)
    files, known = load_rules([settings.paths.rules]), _load_known_errors(settings)
    topology = _load_topology(settings, files)
    _warn(topology, files, known)
    return Estate(
        topology.graph,
        compile_rules(files.rules, topology.graph, known.errors),
        weights(settings),
        topology.digest,
        sources,
        Context(topology.graph),
        policies(settings),
        topology.stated,
        known_errors=known.errors,
    )


def with_new_rules(estate: Estate, settings: Settings) -> Estate:
    """The estate with the rules as they are in the files now; itself if they say the same.

    Raises the errors of rules with file, line and column. The topology is the same, whatever its dependencies cost now.
    """
    files, known = load_rules([settings.paths.rules]), _load_known_errors(settings)
    graph, strengths = estate.graph, edge_strengths(files.rules)
    if strengths != estate.rules.edge_strengths:
        graph = _built(estate.files, estate.live, strengths, settings).topology.graph
        graph.digest = estate.topology
    rules = compile_rules(files.rules, graph, known.errors)
    if rules.digest == estate.rules.digest:
        return estate
    _warn(files, known)
    return replace(estate, graph=graph, rules=rules, known_errors=known.errors)


def with_new_topology(estate: Estate, live: Snapshot, settings: Settings) -> Estate:
    """The estate with what the `context` topic says now; itself if that makes the same topology.

    What does not fit is told in `misfits`, and the rest is used. Rules are compiled again, as far as they ask for CIs.
    """
    built = _built(estate.files, live, estate.rules.edge_strengths, settings)
    topology = built.topology
    if (topology.digest, topology.graph.passing) == (estate.topology, estate.graph.passing):
        same = (live, built.misfits) == (estate.live, estate.misfits)
        return estate if same else replace(estate, live=live, misfits=built.misfits)
    rules = compile_rules(estate.rules.rules, topology.graph, estate.known_errors)
    return replace(
        estate, graph=topology.graph, rules=rules, topology=topology.digest, live=live, misfits=built.misfits
    )


def _built(files: Sequence[Stated], live: Snapshot, strengths: Mapping[str, float], settings: Settings) -> Built:
    attribute = settings.correlation.domain_attribute
    return build(files, live, edge_costs=edge_costs(strengths), domain_attribute=attribute)


def difference(old: RuleSet, new: RuleSet) -> str:
    """What a reload changed, rule by rule, in one line."""
    before = {rule.id: rule.text for rule in old.rules}
    after = {rule.id: rule.text for rule in new.rules}
    changes = {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name, text in after.items() if before.get(name, text) != text],
    }
    told = [f"{len(names)} {word} ({_listed(names)})" for word, names in changes.items() if names]
    return "; ".join(told) or "the same rules, in another order, or with other tables or known errors"


def topology_difference(old: Estate, new: Estate) -> str:
    """What another topology changed, in one line."""
    before, after = ({ci.id for ci in estate.graph.cis} for estate in (old, new))
    renamed = _renamed(old.graph, new.graph)
    edges = new.graph.edges - old.graph.edges
    told = [
        f"{len(names)} {'CI' if len(names) == 1 else 'CIs'} {word} ({_listed(sorted(names))})"
        for word, names in (
            ("came", after - before - set(renamed.values())),
            ("went", before - after - renamed.keys()),
        )
        if names
    ]
    if renamed:
        told.append(_listed([f"{was} is now called {now}" for was, now in sorted(renamed.items())]))
    than = f"{abs(edges)} {'fewer' if edges < 0 else 'more'} than before" if edges else "as many as before"
    told.append(f"{new.graph.edges} dependencies, {than}")
    return "; ".join(told)


def _renamed(old: CIGraph, new: CIGraph) -> dict[str, str]:
    """Ids that are aliases now, and ids in whose place one of their aliases is the id now, to what is the id."""
    gone = sorted({ci.id for ci in old.cis}.difference(ci.id for ci in new.cis))
    found = {name: new.cis[new.numbers[name]].id for name in gone if name in new.numbers}
    for now in sorted(ci.id for ci in new.cis):
        was = old.cis[old.numbers[now]].id if now in old.numbers else now
        if was not in new.numbers:
            found.setdefault(was, now)
    return found


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _there(settings: Settings) -> None:
    """Who installed a package has no such directories as a clone: the settings are named that say where they are."""
    missing = [
        f"paths.{name}: no such file or directory: {path}; {hint}"
        for name, path, hint in (
            ("topology", settings.paths.topology, "name your topology"),
            ("rules", settings.paths.rules, "name your rules, or an empty directory to go without"),
        )
        if not path.exists()
    ]
    if missing:
        raise SettingsError(missing)


def _load_known_errors(settings: Settings) -> KnownErrorFiles:
    """The known errors; none if there is nothing at the place where nobody said that there is something."""
    path = settings.paths.known_errors
    if path != KNOWN_ERRORS and not path.exists():
        raise SettingsError([f"paths.known_errors: no such file or directory: {path}"])
    return load_known_errors([path])


def _load_topology(settings: Settings, files: RuleFiles) -> Topology:
    return load_topology(
        [settings.paths.topology],
        domain_attribute=settings.correlation.domain_attribute,
        edge_costs=edge_costs(edge_strengths(files.rules)),
    )


def _warn(*loaded: Topology | RuleFiles | KnownErrorFiles) -> None:
    for files in loaded:
        for finding in files.findings:
            log.warning("%s", finding)
