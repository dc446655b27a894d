"""Three seeded estates of 100 to 400 CIs: a layered data centre, a leaf-spine fabric, a mesh of microservices.

What is redundant stays up on one of two providers, or on two of three. With `shared`, all sites, pods or zones hang on
one backbone that has no twin. The same arguments give the same estate everywhere; nothing here knows an engine.
"""

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from benchmarks.quality.world import FLAWLESS, Draft, Flaws, Need, World


@lru_cache(maxsize=256)
def estate(name: str, variant: int, flaws: Flaws = FLAWLESS, *, shared: bool = False) -> World:
    """The estate of this name; each variant is one drawn anew, and every second one has a detailed topology.

    KeyError for a name that `ESTATES` does not have.
    """
    draft = Draft(random.Random(f"{name}/{variant}/{shared}"), shared)
    ESTATES[name](draft)
    return draft.world(f"{name} {variant}", flaws, detailed=variant % 2 == 0)


def _backbone(draft: Draft) -> list[Need]:
    """What a site needs of the others: the shared backbone router, or nothing."""
    return [Need((draft.add("backbone_router", "backbone"),))] if draft.shared else []


# a data centre in layers


def _data_centre(draft: Draft) -> None:
    backbone = _backbone(draft)
    sites = draft.rng.randint(2, 3) if draft.shared else draft.rng.randint(1, 2)
    vms: list[int] = []
    for place in range(sites):
        vms += _site(draft, f"s{place + 1}", backbone, draft.rng.randint(4, 5))
    _software(draft, vms, databases=4 * sites, apps=16 * sites, business=4 * sites)


def _site(draft: Draft, site: str, backbone: list[Need], racks: int) -> list[int]:
    """Power, network, storage, hypervisors and VMs of one site; the VMs."""
    rng = draft.rng
    building = draft.add("site", site, site=site)
    power = Need((building,))
    cores = [draft.add("core_switch", f"{site}-core-{n}", power, *backbone, site=site) for n in (1, 2)]
    dists = [draft.add("dist_switch", f"{site}-dist-{n}", power, Need((*cores,)), site=site) for n in (1, 2)]
    arrays = [draft.add("storage_array", f"{site}-array-{n}", power, Need((*dists,)), site=site) for n in (1, 2)]
    vms: list[int] = []
    for place in range(racks):
        rack_name = f"{site}-r{place + 1}"
        rack = draft.add("rack", rack_name, power, site=site)
        pdus = [draft.add("pdu", f"{rack_name}-pdu-{feed}", power, site=site) for feed in "ab"]
        feeds = Need((*pdus,))
        switches = [
            draft.add("access_switch", f"{rack_name}-acc-{n}", feeds, Need((*dists,)), site=site)
            for n in range(1, rng.randint(1, 2) + 1)
        ]
        for n in range(rng.randint(3, 4)):
            uplinks = [Need((*switches,))] if rng.random() < 0.5 else [Need((rng.choice(switches),))]
            name = f"{rack_name}-hv-{n + 1}"
            hypervisor = draft.add("hypervisor", name, Need((rack,)), feeds, *uplinks, site=site)
            for m in range(rng.randint(2, 4)):
                disk = Need((rng.choice(arrays),))
                vms.append(draft.add("vm", f"{name}-vm-{m + 1}", Need((hypervisor,)), disk, site=site))
    return vms


def _software(draft: Draft, vms: list[int], databases: int, apps: int, business: int) -> None:
    """Databases, queues, applications and business services on these VMs."""
    rng = draft.rng
    stores = [_on(draft, "database", f"db-{n + 1}", vms, 0.3) for n in range(databases)]
    queues = [_on(draft, "queue", f"queue-{n + 1}", vms, 0.3) for n in range(max(1, databases // 3))]
    front: list[int] = []
    for n in range(apps):
        app = _on(draft, "app", f"app-{n + 1}", vms, 0.5)
        draft.calls(app, draft.some(stores, 1, 2))
        if rng.random() < 0.4:
            draft.calls(app, draft.some(queues, 1, 1))
        if front and rng.random() < 0.4:
            draft.calls(app, draft.some(front, 1, 2))
        front.append(app)
    for n in range(business):
        draft.calls(
            draft.add("business_service", f"business-{n + 1}"), draft.some(front, 2, 4), hard=rng.random() < 0.5
        )


def _on(draft: Draft, type_: str, name: str, below: list[int], redundant: float) -> int:
    """A CI that runs on one of these, or on two or three with one or two to spare."""
    rng = draft.rng
    if rng.random() >= redundant:
        return draft.add(type_, name, Need((rng.choice(below),)))
    wanted, quorum = rng.choice(((2, 1), (2, 1), (3, 1), (3, 2)))
    chosen = rng.sample(below, min(wanted, len(below)))
    return draft.add(type_, name, Need((*chosen,), min(quorum, len(chosen))))


# a leaf-spine fabric


def _fabric(draft: Draft) -> None:
    rng = draft.rng
    backbone = _backbone(draft)
    servers: list[int] = []
    for pod in range(2 if draft.shared else 1):
        site = f"pod{pod + 1}"
        spines = [
            draft.add("spine_switch", f"{site}-spine-{n + 1}", *backbone, site=site) for n in range(rng.randint(2, 4))
        ]
        for n in range(rng.randint(5, 8)):
            uplinks = Need((*spines,), 1 if len(spines) < 4 else 2)
            twins = [draft.add("leaf_switch", f"{site}-leaf-{n + 1}{side}", uplinks, site=site) for side in "ab"]
            for m in range(rng.randint(3, 5)):
                links = Need((*twins,)) if rng.random() < 0.6 else Need((rng.choice(twins),))
                servers.append(draft.add("server", f"{site}-srv-{n + 1}-{m + 1}", links, site=site))
    balancers = [_on(draft, "load_balancer", f"lb-{n + 1}", servers, 0.5) for n in range(3)]
    storage = [_on(draft, "storage_array", f"ceph-{n + 1}", servers, 1.0) for n in range(2)]
    instances: list[int] = []
    for server in servers:
        for m in range(rng.randint(1, 3)):
            needs = [Need((server,)), *([Need((rng.choice(storage),))] if rng.random() < 0.3 else [])]
            instances.append(draft.add("vm", f"{draft.cis[server][0]}-vm-{m + 1}", *needs, site=draft.cis[server][2]))
    before = len(draft.cis)
    _software(draft, instances, databases=6, apps=22, business=6)
    for number in range(before, len(draft.cis)):
        if draft.cis[number][1] == "business_service" and rng.random() < 0.7:
            draft.calls(number, [rng.choice(balancers)], hard=True)


# microservices


def _mesh(draft: Draft) -> None:
    rng = draft.rng
    backbone = _backbone(draft)
    workers: list[int] = []
    for n in range(rng.randint(2, 3)):
        zone = draft.add("zone", f"zone-{n + 1}", *backbone, site=f"zone-{n + 1}")
        workers += [
            draft.add("k8s_node", f"zone-{n + 1}-node-{m + 1}", Need((zone,)), site=f"zone-{n + 1}")
            for m in range(rng.randint(4, 6))
        ]
    stores = [_on(draft, "database", f"db-{n + 1}", workers, 0.4) for n in range(7)]
    caches = [_on(draft, "cache", f"cache-{n + 1}", workers, 0.3) for n in range(4)]
    queues = [_on(draft, "queue", f"queue-{n + 1}", workers, 0.5) for n in range(3)]
    services: list[int] = []
    for n in range(rng.randint(30, 45)):
        pods = [
            draft.add("pod", f"svc-{n + 1}-pod-{m + 1}", Need((rng.choice(workers),))) for m in range(rng.randint(1, 3))
        ]
        services.append(draft.add("service", f"svc-{n + 1}", Need((*pods,))))
    for place, service in enumerate(services):
        later = services[place + 1 :]
        draft.calls(service, draft.some(later[:12], 0, 3))
        for kind, chance in ((stores, 0.5), (caches, 0.3), (queues, 0.25)):
            if rng.random() < chance:
                draft.calls(service, [rng.choice(kind)])
    for _ in range(3):  # whom one calls may call back, over one or two others
        low = rng.randrange(len(services) // 2, len(services))
        draft.calls(services[low], [services[rng.randrange(low // 2, low)]])
    gateways = [draft.add("gateway", f"gateway-{n + 1}", Need((rng.choice(workers),))) for n in range(2)]
    for n in range(8):
        journey = draft.add("business_service", f"journey-{n + 1}", Need((*gateways,)))
        draft.calls(journey, draft.some(services[: len(services) // 2], 2, 4), hard=rng.random() < 0.5)


ESTATES: Final[dict[str, Callable[[Draft], None]]] = {
    "data_centre": _data_centre,
    "fabric": _fabric,
    "mesh": _mesh,
}
"""What can be built, by name."""
