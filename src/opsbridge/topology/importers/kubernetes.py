"""Kubernetes objects as `kubectl get ... -o json` (or yaml) prints them: what runs where, and what can be spared.

Ids are `namespace/kind/name`, of what has no namespace `kind/name`. A pod runs on its node and needs its volume
claims; a workload needs one of its pods, a stateful set of three or more their majority; a service needs the
workloads that its selector finds; an ingress its services. Replica sets and jobs of cron jobs are names of what owns
them.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering, Place
from opsbridge.topology.importers.values import at, first, items, mapping, text, texts, unique

WORKLOADS: Final = frozenset(
    {"deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "job", "cronjob"}
)
"""Kinds that own pods."""

KINDS: Final = WORKLOADS | {"pod", "service", "ingress", "node", "persistentvolumeclaim", "persistentvolume"}
"""Kinds that are CIs; others are left out."""

TYPES: Final = {"service": "kubernetes_service"}
"""Types that are not the kind: a `service` here would be one that incidents list as affected."""

_FOLDED: Final = {"replicaset": "Deployment", "job": "CronJob"}
"""Kinds that are further names of their owner, if it is of this kind."""

NAMED: Final = ("pod", "node", *sorted(WORKLOADS), "service", "ingress", "persistentvolumeclaim", "persistentvolume")
"""Events say bare names: of several things with the same name, the first of these kinds has it as an alias."""

OWNER_LABELS: Final = ("team", "owner", "app.kubernetes.io/managed-by-team")
_QUORUM_FROM: Final = 3


class _Thing:
    """One object: what it is and what it is called."""

    __slots__ = ("id", "kind", "metadata", "name", "namespace", "place", "spec", "status")

    def __init__(self, place: Place, said: Mapping[str, object]) -> None:
        self.place = place
        self.metadata = mapping(said.get("metadata"))
        self.kind = text(said.get("kind")).lower()
        self.name = text(self.metadata.get("name"))
        self.namespace = text(self.metadata.get("namespace"))
        self.spec, self.status = mapping(said.get("spec")), mapping(said.get("status"))
        self.id = self.called(self.kind, self.name)

    def called(self, kind: str, name: str) -> str:
        """The id of what has that name in the same namespace."""
        return "/".join(filter(None, (self.namespace, kind.lower(), name)))

    @property
    def labels(self) -> Mapping[str, object]:
        """Its labels."""
        return mapping(self.metadata.get("labels"))

    @property
    def owner(self) -> tuple[str, str] | None:
        """Kind and name of what controls it."""
        references = [mapping(each) for each in items(self.metadata.get("ownerReferences"))]
        references.sort(key=lambda each: each.get("controller") is not True)
        found = next(((text(each.get("kind")), text(each.get("name"))) for each in references), None)
        return found if found and all(found) else None


def recognises(content: Content) -> bool:
    """A list of objects, or one of the kinds that are CIs."""
    for document in content.documents:
        kind = text(at(document, "kind"))
        is_list = kind.endswith("List") and isinstance(at(document, "items"), list)
        if text(at(document, "apiVersion")) and (is_list or (kind.lower() in KINDS and at(document, "metadata"))):
            return True
    return False


def fill(content: Content, into: Gathering) -> None:
    """All objects of all documents, then what they need of each other."""
    things: list[_Thing] = []
    for place, said, kind in _objects(content):
        thing = _Thing(place, {"kind": kind, **mapping(said)})
        if not thing.kind or not thing.name:
            into.warn(place, "", "an object without kind or metadata.name; left out", alike="no name")
        elif thing.kind in KINDS and not _is_over(thing):
            things.append(thing)
    folded = {
        thing.id: thing.called(owner[0], owner[1])
        for thing in things
        if (owner := thing.owner) and _FOLDED.get(thing.kind) == owner[0]
    }
    also: dict[str, list[str]] = {}
    for name, owner_id in folded.items():
        also.setdefault(owner_id, []).append(name)
    things = [thing for thing in things if thing.id not in folded]
    bare = _bare_names(things)
    for thing in things:
        _ci(into, thing, also.get(thing.id, []), bare)
    for owner_id in also.keys() - {thing.id for thing in things}:
        into.mention(0, owner_id, *also[owner_id], kind=owner_id.split("/")[-2])
    _pods(into, things, folded)
    selectable: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for thing in things:
        if labels := _pod_labels(thing):
            selectable.setdefault(thing.namespace, []).append((thing.id, labels))
    for thing in things:
        if thing.kind == "service":
            _service(into, thing, selectable.get(thing.namespace, []))
        elif thing.kind == "ingress":
            for name in unique(list(_backends(thing.spec))):
                _needs_one(into, thing, "service", name, "calls")
        elif thing.kind == "persistentvolumeclaim" and (volume := text(thing.spec.get("volumeName"))):
            provider = f"persistentvolume/{volume}"
            if into.mention(thing.place, provider, kind="persistentvolume"):
                into.depends(thing.place, thing.id, provider, "hosted_on")


def _objects(content: Content) -> Iterator[tuple[Place, object, str]]:
    """Every object with its place, and the kind that its list gives it if it says none."""
    for number, document in enumerate(content.documents):
        kind = text(at(document, "kind"))
        if kind.endswith("List"):
            for index, each in enumerate(items(at(document, "items"))):
                yield (number, "items", index), each, kind.removesuffix("List")
        elif document is not None:
            yield (number,), document, ""


def _is_over(thing: _Thing) -> bool:
    """A pod that has done its work, or a replica set of the past."""
    if thing.kind == "pod":
        return text(thing.status.get("phase")) in ("Succeeded", "Failed") and bool(
            thing.owner and thing.owner[0] == "Job"
        )
    return False


def _bare_names(things: list[_Thing]) -> set[str]:
    """The ids of what can be called by its name alone."""
    best: dict[str, tuple[int, str]] = {}
    for thing in things:
        rank = NAMED.index(thing.kind)
        there = best.get(thing.name)
        if there is None or rank < there[0]:
            best[thing.name] = rank, thing.id
        elif rank == there[0]:
            best[thing.name] = rank, ""  # in two namespaces: the name alone says nothing
    return {ci for _, ci in best.values()}


def _ci(into: Gathering, thing: _Thing, also: list[str], bare: set[str]) -> None:
    names = [*(name.rpartition("/")[2] for name in also), *also]
    if thing.id in bare:
        names.append(thing.name)
    into.ci(
        thing.place,
        {
            "id": thing.id,
            "type": TYPES.get(thing.kind, thing.kind),
            "name": thing.name,
            "owner": first(*(thing.labels.get(label) for label in OWNER_LABELS)),
            "environment": first(thing.labels.get("environment"), thing.labels.get("env")),
            "site": first(
                thing.labels.get("topology.kubernetes.io/zone"),
                thing.labels.get("failure-domain.beta.kubernetes.io/zone"),
            ),
            "aliases": [name for name in unique([*_names(thing), *sorted(names)]) if name != thing.id],
        },
    )


def _names(thing: _Thing) -> Iterator[str]:
    """What else events call it."""
    if thing.kind == "pod":
        if thing.spec.get("hostNetwork") is not True:
            yield text(thing.status.get("podIP"))
            yield from (text(mapping(each).get("ip")) for each in items(thing.status.get("podIPs")))
    elif thing.kind == "node":
        yield from (text(mapping(each).get("address")) for each in items(thing.status.get("addresses")))
    elif thing.kind == "service":
        base = f"{thing.name}.{thing.namespace or 'default'}"
        yield from (base, f"{base}.svc", f"{base}.svc.cluster.local")
        if (address := text(thing.spec.get("clusterIP"))) != "None":
            yield address
        yield from texts(thing.spec.get("externalIPs"))
    if thing.kind in ("service", "ingress"):
        for each in map(mapping, items(at(thing.status, "loadBalancer", "ingress"))):
            yield from (text(each.get("ip")), text(each.get("hostname")))
    if thing.kind == "ingress":
        yield from (text(mapping(rule).get("host")) for rule in items(thing.spec.get("rules")))


def _pods(into: Gathering, things: list[_Thing], folded: Mapping[str, str]) -> None:
    """Pods on their nodes, with their claims, and as replicas of what owns them."""
    replicas: dict[str, list[str]] = {}
    for pod in things:
        if pod.kind != "pod":
            continue
        node = text(pod.spec.get("nodeName"))
        if node and into.mention(pod.place, f"node/{node}", node, kind="node"):
            into.depends(pod.place, pod.id, f"node/{node}", "runs_on")
        for volume in items(pod.spec.get("volumes")):
            if claim := text(at(volume, "persistentVolumeClaim", "claimName")):
                _needs_one(into, pod, "persistentvolumeclaim", claim, "hosted_on")
        if (owner := pod.owner) and owner[0].lower() in WORKLOADS:
            owner_id = pod.called(*owner)
            replicas.setdefault(folded.get(owner_id, owner_id), []).append(pod.id)
    for owner_id, pods in replicas.items():
        kind = owner_id.split("/")[-2]
        quorum = len(pods) // 2 + 1 if kind == "statefulset" and len(pods) >= _QUORUM_FROM else 1
        if into.mention(0, owner_id, kind=kind):
            into.needs(0, owner_id, pods, quorum, "runs_on", "pods")


def _service(into: Gathering, service: _Thing, selectable: list[tuple[str, dict[str, str]]]) -> None:
    """One of the workloads whose pods it selects is enough; pods that nothing owns count for themselves."""
    wanted = {name: value for name, value in mapping(service.spec.get("selector")).items() if isinstance(value, str)}
    if not wanted:
        return
    found = [ci for ci, labels in selectable if wanted.items() <= labels.items()]
    if found:
        into.needs(service.place, service.id, found, 1, "runs_on", "endpoints")
    else:
        into.warn(service.place, service.id, "its selector finds nothing here", alike="no endpoints", level="info")


def _pod_labels(thing: _Thing) -> dict[str, str]:
    """The labels of the pods that it stands for."""
    said: object = None
    if thing.kind in WORKLOADS:
        template = at(thing.spec, "jobTemplate", "spec", "template") or thing.spec.get("template")
        said = at(template, "metadata", "labels")
    elif thing.kind == "pod" and not thing.owner:
        said = thing.labels
    return {name: value for name, value in mapping(said).items() if isinstance(value, str)}


def _backends(spec: Mapping[str, object]) -> Iterator[str]:
    """The services that an ingress names, in the forms of all API versions."""
    backends = [spec.get("defaultBackend"), spec.get("backend")]
    for rule in items(spec.get("rules")):
        backends += [mapping(path).get("backend") for path in items(at(rule, "http", "paths"))]
    for backend in backends:
        yield first(at(backend, "service", "name"), at(backend, "serviceName"))


def _needs_one(into: Gathering, thing: _Thing, kind: str, name: str, edge: str) -> None:
    provider = thing.called(kind, name)
    if into.mention(thing.place, provider, kind=TYPES.get(kind, kind)):
        into.depends(thing.place, thing.id, provider, edge)
