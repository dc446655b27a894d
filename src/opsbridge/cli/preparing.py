"""An estate, rules and known errors from files, to run events through the core again and again.

Called by `replay`, `explain` and `backtest`; what is wrong with the files is raised, what is odd about them is kept in
`findings` for the command to tell.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opsbridge.cli.replaying import Clock, Replay
from opsbridge.core.decisions import Discrepancy, Suppressed
from opsbridge.core.graph import CIGraph
from opsbridge.core.weights import Weights
from opsbridge.documents import Finding
from opsbridge.errors import OpsBridgeError
from opsbridge.review.recorded import Recorded
from opsbridge.rules.compile import RuleSet, compile_rules, edge_strengths
from opsbridge.rules.known_errors import Documented, load_known_errors
from opsbridge.rules.load import load_rules
from opsbridge.topology import DomainAttribute, Topology, edge_costs, load_topology
from opsbridge.topology.links import Stated
from opsbridge.topology.live import Snapshot, build


class EstateChangedError(OpsBridgeError):
    """Rules need the topology read again, and its files are no longer those that were loaded."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Topology and rules as they were loaded; a call makes a run."""

    topology: tuple[Path, ...]
    paths: tuple[Path, ...]
    """Of the rules."""
    known_paths: tuple[Path, ...]
    """Of the known errors."""
    graph: CIGraph
    rules: RuleSet
    weights: Weights | None
    domains: DomainAttribute | None
    findings: tuple[Finding, ...]
    stated: tuple[Stated, ...] = ()
    """What the topology files say."""
    known_errors: tuple[Documented, ...] = ()
    misfits: tuple[Discrepancy, ...] = ()
    """What a live topology says that does not fit."""

    def __call__(
        self,
        clock: Clock | None = None,
        suppressed: Callable[[Suppressed], None] | None = None,
        records: Callable[[Recorded], None] | None = None,
    ) -> Replay:
        """A run from the beginning."""
        return Replay(self.graph, self.rules.book, clock or _now, self.weights, suppressed, records)

    def with_live(self, live: Snapshot) -> "Prepared":
        """With what a live topology says besides the files."""
        costs = edge_costs(self.rules.edge_strengths)
        built = build(self.stated, live, edge_costs=costs, domain_attribute=self.domains)
        graph = built.topology.graph
        rules = compile_rules(self.rules.rules, graph, self.known_errors)
        return replace(self, graph=graph, rules=rules, misfits=built.misfits)

    def again(self) -> "Prepared":
        """With the rules and known errors as their files are now, on the same estate.

        Raises RuleError, and where rules have changed how strong dependencies are, TopologyError and
        `EstateChangedError`.
        """
        files, known = load_rules(self.paths), load_known_errors(self.known_paths, required=True)
        strengths = edge_strengths(files.rules)
        graph = self.graph
        if self.topology and strengths != self.rules.edge_strengths:
            graph = _topology(self.topology, strengths, self.domains).graph
            if (graph.cis, graph.providers, graph.domains) != (
                self.graph.cis,
                self.graph.providers,
                self.graph.domains,
            ):
                names = ", ".join(map(str, self.topology))
                raise EstateChangedError(
                    f"{names}: the topology has changed too, and these rules change how strong its dependencies are: "
                    "start again to take over both"
                )
        rules = compile_rules(files.rules, graph, known.errors)
        return replace(self, graph=graph, rules=rules, findings=files.findings + known.findings)


def prepare(
    topology: Sequence[Path],
    rules: Sequence[Path],
    weights: Weights | None = None,
    domains: DomainAttribute | None = None,
    known_errors: Sequence[Path] = (),
) -> Prepared:
    """What these files say; raises RuleError and TopologyError. Without topology, every CI is unknown."""
    files, known = load_rules(rules), load_known_errors(known_errors, required=True)
    loaded = _topology(topology, edge_strengths(files.rules), domains) if topology else None
    graph = CIGraph(()) if loaded is None else loaded.graph
    findings = (() if loaded is None else loaded.findings) + files.findings + known.findings
    compiled = compile_rules(files.rules, graph, known.errors)
    stated = () if loaded is None else loaded.stated
    paths = tuple(topology), tuple(rules), tuple(known_errors)
    return Prepared(*paths, graph, compiled, weights, domains, findings, stated, known.errors)


def _topology(paths: Sequence[Path], strengths: dict[str, float], domains: DomainAttribute | None) -> Topology:
    return load_topology(paths, domain_attribute=domains, edge_costs=edge_costs(strengths))


def _now() -> int:
    return int(time.time() * 1000)
