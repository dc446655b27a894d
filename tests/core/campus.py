"""Estates of sites that share a core, drawn by hand or at random, for the tests of the backbone."""

import random

from opsbridge.core.graph import CI, CIGraph
from opsbridge.topology.domains import domains


def estate(sites: str, *edges: str) -> CIGraph:
    """A graph of CIs `name@site` (no site: backbone) and edges "dependent provider", with sites as domains."""
    cis = sorted((CI(name, site=site) for name, _, site in (word.partition("@") for word in sites.split())), key=_id)
    numbers = {ci.id: number for number, ci in enumerate(cis)}
    pairs = [(numbers[one], numbers[other]) for one, other in map(str.split, edges)]
    split = domains(cis, pairs, "site")
    return CIGraph(cis, pairs, domains=split.names, backbone=split.backbone)


def _id(ci: CI) -> str:
    return ci.id


def campus(sites: int) -> CIGraph:
    """Sites a, b, ... behind `core`: a router, a switch, four hosts; and a store with three databases beside it."""
    names, edges = ["core"], list[str]()
    for letter in "abcdefgh"[:sites]:
        names += [f"{letter}-{what}@{letter}" for what in ("router", "switch", "store")]
        edges += [f"{letter}-router core", f"{letter}-switch {letter}-router"]
        for number in range(4):
            names.append(f"{letter}-host{number}@{letter}")
            edges.append(f"{letter}-host{number} {letter}-switch")
        for number in range(3):
            names.append(f"{letter}-db{number}@{letter}")
            edges.append(f"{letter}-db{number} {letter}-store")
    return estate(" ".join(names), *edges)


def build_sites(chance: random.Random) -> CIGraph:
    """Two to five sites of a few CIs each, behind one to three CIs that they share, with edges across now and then."""
    names = [f"core{number}" for number in range(chance.randint(1, 3))]
    words, edges = list(names), [f"{other} {names[0]}" for other in names[1:] if chance.random() < 0.5]
    inner: list[str] = []
    for site in "abcde"[: chance.randint(2, 5)]:
        first = f"{site}0"
        edges.append(f"{first} {chance.choice(names)}")
        words.append(f"{first}@{site}")
        for number in range(1, chance.randint(2, 6)):
            words.append(f"{site}{number}@{site}")
            edges.append(f"{site}{number} {site}{chance.randrange(number)}")
        inner += [f"{site}{number}" for number in range(2)]
    if chance.random() < 0.4:
        words.append("shop")
        edges += [f"shop {each}" for each in chance.sample(inner, 2) if f"{each}@{each[0]}" in words]
    if chance.random() < 0.3:
        words.append("alone")
    return estate(" ".join(words), *edges)
