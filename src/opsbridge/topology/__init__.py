"""The CI graph: files in, a compact index for the core out; what is wrong with the files, what is odd in the graph."""

from opsbridge.topology.analyse import Analysis, Provider, analyse
from opsbridge.topology.load import Topology, TopologyError, load_topology

__all__ = ["Analysis", "Provider", "Topology", "TopologyError", "analyse", "load_topology"]
