"""Which correlation domain each CI is in, and which CIs several domains share: the backbone.

Without an attribute to go by, what hangs together is a domain, and nothing is shared. Called when documents are merged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from opsbridge.core.graph import CI

DomainAttribute = Literal["site", "owner", "environment"]
"""What a domain may be made of."""

DOMAIN_ATTRIBUTES: Final[tuple[DomainAttribute, ...]] = get_args(DomainAttribute)

_MANY: Final = "\0"
"""Felt in two domains or more; no attribute of a CI can be this."""


@dataclass(frozen=True, slots=True)
class Domains:
    """Of each CI, its domain, and whether it is backbone."""

    names: list[str]
    backbone: list[bool]


def domains(cis: Sequence[CI], edges: Sequence[tuple[int, int]], attribute: DomainAttribute | None) -> Domains:
    """The domains of these CIs, which stand in the order of their ids; `edges` are (dependent, provider).

    Without `attribute`, a domain is a connected component, named after its smallest id. With it, a domain is a value of
    that attribute. A CI without a value is backbone, and so is one whose failure is felt in two domains or more: its
    own, and those of all that depend on it, however far. Backbone CIs are in a domain of their own, `backbone:` and the
    smallest id among the backbone CIs they are connected with, be it through a domain: so every domain has dependencies
    with one backbone at most, and one place decides about what they share.
    """
    if attribute is None:
        return Domains([cis[first].id for first in _components(len(cis), edges)], [False] * len(cis))
    names: list[str] = [getattr(ci, attribute) for ci in cis]
    backbone = [not name or felt is _MANY for name, felt in zip(names, _felt_in(names, edges), strict=True)]
    first: dict[str, int] = {}
    ends = [number if shared else first.setdefault(names[number], number) for number, shared in enumerate(backbone)]
    joined = [(ends[one], ends[other]) for one, other in edges if backbone[one] or backbone[other]]
    named: dict[int, str] = {}
    for number, top in enumerate(_components(len(cis), joined)):
        if backbone[number]:
            names[number] = named.setdefault(top, f"backbone:{cis[number].id}")
    return Domains(names, backbone)


def _felt_in(values: Sequence[str], edges: Iterable[tuple[int, int]]) -> list[str]:
    """The one domain in which a failure of each CI can be felt, or _MANY, or nothing."""
    providers: list[list[int]] = [[] for _ in values]
    for dependent, provider in edges:
        providers[dependent].append(provider)
    felt = list(values)
    changed = [number for number, value in enumerate(values) if value]
    while changed:
        number = changed.pop()
        for provider in providers[number]:
            if felt[provider] is not _MANY and felt[provider] != felt[number]:
                felt[provider] = _MANY if felt[provider] else felt[number]
                changed.append(provider)
    return felt


def _components(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """For each number, the smallest one that it is connected with."""
    parent = list(range(count))

    def top(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for edge in edges:
        one, other = sorted(map(top, edge))
        parent[other] = one
    return [top(number) for number in range(count)]
