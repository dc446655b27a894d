"""The CI graph: files in, a compact index for the core out; what is wrong with the files, what is odd in the graph."""

from opsbridge.topology.analyse import Analysis, Provider, analyse
from opsbridge.topology.domains import DOMAIN_ATTRIBUTES, DomainAttribute
from opsbridge.topology.load import Topology, TopologyError, load_topology
from opsbridge.topology.strength import EDGE_COSTS, cost_of, edge_costs

__all__ = [
    "DOMAIN_ATTRIBUTES",
    "EDGE_COSTS",
    "Analysis",
    "DomainAttribute",
    "Provider",
    "Topology",
    "TopologyError",
    "analyse",
    "cost_of",
    "edge_costs",
    "load_topology",
]
