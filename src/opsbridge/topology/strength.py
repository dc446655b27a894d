"""How strong the kinds of dependencies are: the chance that a failure of the provider is felt by the dependent.

The core gets costs (thousandths of a nat, minus the logarithm of that chance) and knows no kinds. What a direction
that nobody knows and a redundancy group add is the graph's (core/graph.py). `merge` asks this for every edge.
"""

from collections.abc import Mapping
from math import log
from typing import Final

from opsbridge.core.graph import DEFAULT_COST, NAT


def cost_of(chance: float) -> int:
    """What an edge costs over which a failure comes with that chance, above 0 and below 1."""
    return max(1, round(-log(chance) * NAT))


_PHYSICAL: Final = cost_of(0.8)
_NETWORK: Final = cost_of(0.7)

EDGE_COSTS: Final[Mapping[str, int]] = {
    # what contains or carries something takes it along; not always, because a guest may be moved before anyone looks
    "runs_on": _PHYSICAL,
    "hosted_on": _PHYSICAL,
    "powered_by": _PHYSICAL,
    "member_of": _PHYSICAL,
    # most of what a network device connects is gone with it; some have a second way that nobody wrote down
    "connects_via": _NETWORK,
    # a caller may not call now, retry, or answer from a cache: no more than what is true of any dependency
    "calls": DEFAULT_COST,
}
"""Type of a dependency -> cost. Every other type, and none, is DEFAULT_COST: a rule of thumb, one case out of two."""


def edge_costs(strengths: Mapping[str, float]) -> Mapping[str, int]:
    """The table with what rules say of some types: the chance that a failure passes such an edge."""
    return {**EDGE_COSTS, **{type_: cost_of(chance) for type_, chance in strengths.items()}}
