"""How long an import takes, per format: an estate of so many CIs and dependencies, read, united and written as YAML.

`python -m benchmarks.importers [--imports 100000] [--formats csv native]`, or with all the others by `benchmarks`;
every format in one process, the same estate, a tree: CI n depends on CI n // 4.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import Final

from opsbridge.topology.importers import read, unite
from opsbridge.topology.model import CIEntry, Link, TopologyDocument
from opsbridge.topology.writing import to_yaml


def names(count: int) -> list[str]:
    return [f"ci-{number:06}" for number in range(count)]


def native(cis: list[str]) -> str:
    entries = [CIEntry(id=ci, type="vm", aliases=[f"{ci}.example"]) for ci in cis]
    links: list[list[str] | Link] = [[one, other] for one, other in edges(cis)]
    return to_yaml([TopologyDocument(cis=entries, depends_on=links)])


def edges(cis: list[str]) -> Iterator[tuple[str, str]]:
    return ((ci, cis[number // 4]) for number, ci in enumerate(cis) if number)


def node_link(cis: list[str]) -> str:
    nodes = [{"id": ci, "type": "vm", "aliases": [f"{ci}.example"]} for ci in cis]
    return json.dumps({"nodes": nodes, "edges": [{"source": one, "target": other} for one, other in edges(cis)]})


def graphml(cis: list[str]) -> str:
    nodes = "".join(f'<node id="{ci}"><data key="d0">vm</data></node>\n' for ci in cis)
    lines = "".join(f'<edge source="{one}" target="{other}"/>\n' for one, other in edges(cis))
    return (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d0" for="node" attr.name="type" '
        f'attr.type="string"/><graph edgedefault="directed">{nodes}{lines}</graph></graphml>'
    )


def csv(cis: list[str]) -> str:
    providers = dict(edges(cis))
    return "id,type,aliases,depends_on\n" + "".join(f"{ci},vm,{ci}.example,{providers.get(ci, '')}\n" for ci in cis)


def backstage(cis: list[str]) -> str:
    providers = dict(edges(cis))
    return "---\n".join(
        "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: {ci}}}\nspec: {{type: service, owner: team-a, dependsOn: [{providers.get(ci, '')}]}}\n"
        for ci in cis
    )


def servicenow(cis: list[str]) -> str:
    return "parent,type,child\n" + "".join(f"{one},Depends on::Used by,{other}\n" for one, other in edges(cis))


def kubernetes(cis: list[str]) -> str:
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": ci,
                "namespace": "a",
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"rs-{number // 4}", "controller": True}],
            },
            "spec": {"nodeName": f"node-{number // 50}"},
            "status": {"podIP": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"},
        }
        for number, ci in enumerate(cis)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})


def netbox(cis: list[str]) -> str:
    url = "https://netbox.example/api/dcim/devices/{}/"
    numbers = {ci: number for number, ci in enumerate(cis)}
    devices = [{"id": n, "url": url.format(n), "name": ci, "role": {"slug": "server"}} for ci, n in numbers.items()]
    cables = [
        {"id": n, "url": f"https://netbox.example/api/dcim/cables/{n}/"}
        | {
            f"{side}_terminations": [
                {"object_type": "dcim.interface", "object": {"device": {"url": url.format(numbers[end]), "name": end}}}
            ]
            for side, end in (("a", one), ("b", other))
        }
        for n, (one, other) in enumerate(edges(cis))
    ]
    return json.dumps({"results": devices + cables})


def nagios(cis: list[str]) -> str:
    providers = dict(edges(cis))
    return "".join(
        f"define host {{\n  host_name {ci}\n  address {ci}.example\n"
        + (f"  parents {providers[ci]}\n" if ci in providers else "")
        + "}\n"
        for ci in cis
    )


def icinga(cis: list[str]) -> str:
    hosts = "".join(f'object Host "{ci}" {{\n  address = "{ci}.example"\n}}\n' for ci in cis)
    return hosts + "".join(
        f'object Dependency "d-{one}" {{\n  parent_host_name = "{other}"\n  child_host_name = "{one}"\n}}\n'
        for one, other in edges(cis)
    )


def service_graph(cis: list[str]) -> str:
    return "".join(
        f'traces_service_graph_request_total{{client="{one}",server="{other}",connection_type=""}} 7\n'
        for one, other in edges(cis)
    )


ESTATES: Final[dict[str, Callable[[list[str]], str]]] = {
    "native": native,
    "node-link": node_link,
    "graphml": graphml,
    "csv": csv,
    "backstage": backstage,
    "servicenow": servicenow,
    "kubernetes": kubernetes,
    "netbox": netbox,
    "nagios": nagios,
    "icinga": icinga,
    "service-graph": service_graph,
}


def report(asked: argparse.Namespace) -> Iterator[str]:
    """A table of CPU seconds per format, without garbage collection, as the command does it."""
    count = asked.imports
    cis = names(count)
    yield "## Importers: files of other tools"
    yield ""
    yield f"| format | {count} CIs as | read | united | written | together |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name in asked.formats:
        content = ESTATES[name](cis).encode()
        gc.collect()
        gc.disable()
        begun = time.process_time()
        imported = read(f"estate-{name}", content, format_name=name)
        read_at = time.process_time()
        documents, _ = unite(imported.parts)
        united_at = time.process_time()
        text = to_yaml(documents)
        ended = time.process_time()
        gc.enable()
        assert not imported.findings, imported.findings[:3]
        assert len(documents[0].cis) >= count, name
        assert text
        seconds = (read_at - begun, united_at - read_at, ended - united_at, ended - begun)
        yield f"| {name} | {len(content) / 1e6:.1f} MB | {' | '.join(f'{each:.2f} s' for each in seconds)} |"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that both `benchmarks.importers` and `benchmarks` take."""
    parser.add_argument("--imports", type=int, default=10_000, metavar="CIS", help="CIs in files (%(default)s)")
    parser.add_argument("--formats", nargs="+", default=[*ESTATES], choices=ESTATES, help="of files; else all")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importers", description="Imports, per format.")
    arguments(parser)
    for line in report(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
