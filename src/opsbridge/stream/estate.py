"""The estate that all stages decide by: topology, rules and known errors, compiled, immutable and swapped as a whole.

What is wrong with files is an error with file, line and column before anything is swapped. A reload takes over rules;
the topology stays as it was at the start, and is read again only if rules change how strong its dependencies are. Only
the context goes on learning; it is the same in all estates of a worker.
"""

import logging
from dataclasses import dataclass, field, replace

from opsbridge.core.context import Context
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake
from opsbridge.core.policies import Policies
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.weights import Weights
from opsbridge.errors import OpsBridgeError
from opsbridge.rules.compile import RuleSet, compile_rules, edge_strengths
from opsbridge.rules.known_errors import KnownErrorFiles, load_known_errors
from opsbridge.rules.load import RuleFiles, load_rules
from opsbridge.settings import (
    KNOWN_ERRORS,
    Settings,
    SettingsError,
    policies,
    weights,
)
from opsbridge.topology.load import Topology, load_topology
from opsbridge.topology.strength import edge_costs

log = logging.getLogger(__name__)

NAMED = 10
"""So many rules are named in the account of a reload, of each sort of change."""


class TopologyChangedError(OpsBridgeError):
    """Rules need the topology read again, and its files are no longer those that were loaded."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What one worker decides by."""

    graph: CIGraph
    rules: RuleSet
    weights: Weights
    topology: str
    """The digest of the topology as it was loaded at the start."""
    context: Context = field(default_factory=Context)
    policies: Policies = field(default_factory=Policies)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intake", Intake(self.graph, self.rules.book))

    @property
    def book(self) -> Rulebook:
        """What the core is told by the rules."""
        return self.rules.book


def load_estate(settings: Settings) -> Estate:
    """Topology, rules and known errors of these settings; raises their errors with file, line and column."""
    files, known = load_rules([settings.paths.rules]), _load_known_errors(settings)
    topology = _load_topology(settings, files)
    _warn(topology, files, known)
    return Estate(
        topology.graph,
        compile_rules(files.rules, topology.graph, known.errors),
        weights(settings),
        topology.digest,
        Context(topology.graph),
        policies(settings),
    )


def with_new_rules(estate: Estate, settings: Settings) -> Estate:
    """The estate with the rules as they are in the files now; itself if they say the same.

    Raises the errors of rules with file, line and column; and `TopologyChangedError`.
    """
    files, known = load_rules([settings.paths.rules]), _load_known_errors(settings)
    graph = estate.graph
    if edge_strengths(files.rules) != estate.rules.edge_strengths:
        graph = _load_topology(settings, files).graph
        if not _same(graph, estate.graph):
            raise TopologyChangedError(
                f"{settings.paths.topology}: the files have changed since the start, and these rules change how strong "
                "dependencies are, for which they are read again: start the worker again to take over both"
            )
    rules = compile_rules(files.rules, graph, known.errors)
    if rules.digest == estate.rules.digest:
        return estate
    _warn(files, known)
    return replace(estate, graph=graph, rules=rules)


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


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


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


def _same(one: CIGraph, other: CIGraph) -> bool:
    """The same CIs, dependencies and domains, whatever the dependencies cost."""
    return (one.cis, one.providers, one.domains) == (other.cis, other.providers, other.domains)


def _warn(*loaded: Topology | RuleFiles | KnownErrorFiles) -> None:
    for files in loaded:
        for finding in files.findings:
            log.warning("%s", finding)
