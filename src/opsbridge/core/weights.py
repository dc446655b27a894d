"""What the second level believes before it has seen anything: the weights of its root choice, each with its reason.

Costs are nats (minus the natural logarithm of a probability), as integers in thousandths so that neither order nor
restart can change a sum. explanation.py puts them together; settings and rule files may change them.
"""

from typing import Final

import msgspec

NAT: Final = 1000
"""Costs are integers in thousandths of a nat."""


class Weights(msgspec.Struct, frozen=True):
    """Costs in thousandths of a nat, times in milliseconds."""

    alone: int = 6 * NAT
    """A CI fails by itself in about one of 400 observation windows (e^-6): the price of any root."""
    unreported: int = 2303
    """A failed, monitored CI sends nothing itself in one case of ten: its agent died with it."""
    symptomatic: int = 1500
    """A root whose own alerts are all symptom-like (latency, errors): about one in five says no more than that."""
    vague: int = 500
    """A root whose own alerts have a class of unknown nature: somewhere between a cause (free) and a symptom."""
    hidden: int = 1600
    """A root that nothing watches: never cheaper than a root that spoke, or every alert would blame what is unseen."""
    caused: int = 2996
    """A cause-like alert (disk full, process down) is the effect of another CI's failure in one case of twenty."""
    backward: int = 2000
    """A symptom appears on a provider of what suffers, not only on dependents: retries and load, one case of seven."""
    starved: int = 300
    """The same for classes that travel to providers (no requests, idle consumer): what they are made for."""
    changed: int = 2 * NAT
    """So much cheaper is it that a CI fails by itself within an hour of a change to it: one change of fifty breaks what
    it touches. It decides between near-equals; two alerts more on one side weigh heavier."""
    joined: int = 700
    """Alerts without an edge between them that a rule or the service they name joins: as near as one hop."""
    lag_ms: int = 600_000
    """A symptom that comes this long after its cause costs one nat: checks run up to five minutes apart."""
    lead_ms: int = 120_000
    """A symptom that comes this long before its cause was reported costs one nat: detection varies by that much."""
    cleared_ms: int = 30_000
    """A symptom that begins this long after its cause has cleared costs one nat: what is over breaks nothing."""
