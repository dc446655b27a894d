"""What becomes of a realistic file of each tool: the CIs, what they need, and what is said of the rest."""

from pathlib import Path

import pytest

from opsbridge.topology.importers import FORMATS, Options, read, unite
from opsbridge.topology.importers.servicenow import RELATIONSHIPS
from opsbridge.topology.model import CIEntry, Dependency, Link, Member, TopologyDocument

FILES = Path(__file__).parent / "files"


def imported(*names: str, **options: str) -> tuple[TopologyDocument, list[str]]:
    """The one document of these files, and every finding."""
    read_ones = [read(name, (FILES / name).read_bytes(), Options(**options)) for name in names]  # type: ignore[arg-type]
    documents, findings = unite([part for one in read_ones for part in one.parts])
    (document,) = documents
    return document, [f"{each.level}: {each}" for one in read_ones for each in one.findings] + list(map(str, findings))


def by_id(document: TopologyDocument) -> dict[str, CIEntry]:
    return {entry.id: entry for entry in document.cis}


def edges(document: TopologyDocument) -> set[str]:
    """`dependent > provider (type)`, `one - other (type)` of peers."""
    said = {
        f"{entry.id} > {on.on} ({on.type})" if isinstance(on, Dependency) else f"{entry.id} > {on}"
        for entry in document.cis
        for on in entry.depends_on
    }
    links = [link for link in document.depends_on if isinstance(link, Link)]
    return said | {f"{link.from_} - {link.on} ({link.type})" for link in links if link.undirected}


def groups(document: TopologyDocument) -> dict[str, str]:
    return {
        f"{entry.id} {need.name}": f"{need.at_least} of "
        + " ".join(each.ci if isinstance(each, Member) else each for each in need.of)
        for entry in document.cis
        for need in entry.needs
    }


RECOGNISED = {
    "kubectl.json": "kubernetes",
    "netbox-devices.json": "netbox",
    "netbox-cables.json": "netbox",
    "cmdb_rel_ci.json": "servicenow",
    "cmdb_ci.json": "servicenow",
    "d3.json": "node-link",
    "estate.graphml": "graphml",
    "cis.csv": "csv",
    "edges.tsv": "csv",
    "catalog-info.yaml": "backstage",
    "hosts.cfg": "nagios",
    "icinga.conf": "icinga",
    "service-graph.prom": "service-graph",
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_format_is_recognised_by_what_is_in_the_file(name: str) -> None:
    content = (FILES / name).read_bytes()
    assert read(name, content).format == RECOGNISED[name]
    suffix = ".json" if name.endswith("json") else ""
    assert read(f"stdin{suffix}", content).format == RECOGNISED[name]


def test_every_format_has_a_file_here() -> None:
    assert {*RECOGNISED.values(), "native"} == set(FORMATS)


def test_kubernetes() -> None:
    document, findings = imported("kubectl.json")
    assert findings == []
    cis = by_id(document)
    assert cis["shop/deployment/checkout"].aliases == [
        "checkout",
        "checkout-58b7f6d4c",
        "checkout-6f9d7c5b8",
        "shop/replicaset/checkout-58b7f6d4c",
        "shop/replicaset/checkout-6f9d7c5b8",
    ]
    assert cis["shop/deployment/checkout"].owner == "team-checkout"
    assert "checkout.shop.svc.cluster.local" in cis["shop/service/checkout"].aliases
    assert cis["shop/service/checkout"].type == "kubernetes_service"
    assert "10.244.1.17" in cis["shop/pod/checkout-6f9d7c5b8-4kq2x"].aliases
    assert cis["node/worker-1"].aliases == ["10.80.0.11", "worker-1"]
    assert not any("nightly-report-29120640-6pxqv" in ci or "configmap" in ci for ci in cis)
    assert groups(document) == {
        "shop/deployment/checkout pods": "1 of shop/pod/checkout-6f9d7c5b8-4kq2x shop/pod/checkout-6f9d7c5b8-z8wpl",
        "shop/statefulset/orders-db pods": "2 of shop/pod/orders-db-0 shop/pod/orders-db-1 shop/pod/orders-db-2",
    }
    assert {
        "shop/pod/checkout-6f9d7c5b8-4kq2x > node/worker-1 (runs_on)",
        "shop/service/checkout > shop/deployment/checkout (runs_on)",
        "shop/ingress/storefront > shop/service/checkout (calls)",
        "shop/pod/orders-db-0 > shop/persistentvolumeclaim/data-orders-db-0 (hosted_on)",
        "shop/persistentvolumeclaim/data-orders-db-0 > persistentvolume/pvc-000 (hosted_on)",
    } <= edges(document)


def test_a_bare_name_is_an_alias_only_where_it_says_which() -> None:
    pods = b"""{"apiVersion": "v1", "kind": "PodList", "items": [
        {"metadata": {"name": "web-0", "namespace": "a"}}, {"metadata": {"name": "web-0", "namespace": "b"}}]}"""
    documents, findings = unite(read("pods.json", pods).parts)
    assert {ci: entry.aliases for ci, entry in by_id(documents[0]).items()} == {"a/pod/web-0": [], "b/pod/web-0": []}
    assert findings == []


def test_netbox_from_three_files_in_any_order() -> None:
    names = "netbox-cables.json", "netbox-devices.json", "netbox-virtual.json"
    document, findings = imported(*names)
    assert findings == [
        "warning: netbox-cables.json:386:3: a cable that does not end at two devices; left out",
        "netbox-cables.json: 1 CI is known only as an end of a dependency: feed-A",
    ]
    assert imported(*reversed(names))[0] == document
    assert groups(document) == {
        "esx-n1 power": "1 of pdu-a1 pdu-b1",
        "esx-n1 uplinks": "1 of acc-n1 acc-n2",
        "vmw-north hosts": "1 of esx-n1 esx-n2",
    }
    assert edges(document) == {
        "acc-n1 > core-n1 (connects_via)",
        "acc-n1 - acc-n2 (connects_via)",
        "esx-n2 > acc-n1 (connects_via)",
        "esx-n2 - panel-7 (connects_via)",
        "blade-1 > blade-ch1 (hosted_on)",
        "mes-app-1 > vmw-north (runs_on)",
        "mes-db-1 > esx-n1 (runs_on)",
        "pdu-a1 > feed-A (powered_by)",
    }
    cis = by_id(document)
    assert cis["esx-n1"].aliases == ["10.9.1.1", "dcim/devices/4", "esx-n1.plant.example"]
    assert (cis["esx-n1"].type, cis["esx-n1"].site, cis["esx-n1"].owner) == ("hypervisor", "plant-north", "Plant IT")
    assert cis["panel-7"].monitored is False
    assert "old-n9" not in cis


def test_servicenow_by_display_value_and_by_sys_id() -> None:
    document, findings = imported("cmdb_rel_ci.json", "cmdb_ci.json")
    assert findings == [
        "warning: cmdb_rel_ci.json:86:3: a relationship must have a parent and a child; left out",
        "warning: cmdb_rel_ci.json:72:3: type: 1 relationships of the unknown type 'Sings to::Heard by'; left out",
        "info: cmdb_ci.json: 1 CI is retired and left out",
        "cmdb_ci.json: aa05: the alias 'trace' is a name of 'aa04' as well; left out",
        "cmdb_rel_ci.json: 3 CIs are known only as an end of a dependency: Track and Trace, trace-api, trace-lb",
    ]
    assert edges(document) == {
        "Track and Trace > trace-api",
        "trace-api > ESX-17 (hosted_on)",
        "aa04 - aa05 (connects_via)",
    }
    assert groups(document) == {"trace-lb members": "1 of aa04 aa05"}
    cis = by_id(document)
    assert (cis["aa04"].name, cis["aa04"].group, cis["aa04"].type) == ("trace", "Linux", "linux_server")
    assert cis["ESX-17"].aliases == ["10.7.0.17", "aa03", "esx-17"]


def test_a_cable_brings_no_decommissioned_device_back() -> None:
    def device(number: int, name: str, status: str) -> str:
        url = f"http://netbox.example/api/dcim/devices/{number}/"
        return f'{{"url": "{url}", "name": "{name}", "role": {{"slug": "server"}}, "status": {{"value": "{status}"}}}}'

    def end(number: int, name: str) -> str:
        of = f'{{"url": "http://netbox.example/api/dcim/devices/{number}/", "name": "{name}"}}'
        return f'[{{"object_type": "dcim.interface", "object": {{"device": {of}}}}}]'

    cable = '{{"url": "http://netbox.example/api/dcim/cables/1/", "a_terminations": {}, "b_terminations": {}}}'
    devices = [device(1, "sw-1", "active"), device(2, "srv-1", "decommissioning"), device(3, "srv-1", "active")]
    cables = [cable.format(end(number, "srv-1"), end(1, "sw-1")) for number in (2, 3)]
    texts = [f'{{"results": [{", ".join(each)}]}}' for each in (devices, cables)]
    read_ones = [read(f"{number}.json", text.encode()) for number, text in enumerate(texts)]
    (document,), findings = unite([part for one in read_ones for part in one.parts])
    assert list(by_id(document)) == ["dcim/devices/3", "sw-1"]
    assert len(document.depends_on) == 1
    assert [each.level for each in findings] == ["info"]


def test_a_relationship_brings_no_retired_ci_back_and_tells_what_only_it_names() -> None:
    cis = b"name,sys_class_name,sys_id,operational_status\nshop,cmdb_ci_service,aa01,Operational\nold-1,,aa02,Retired\n"
    relations = b"parent,type,child\nshop,Depends on::Used by,old-1\nshop,Depends on::Used by,web-01\n"
    read_ones = [read("ci.csv", cis), read("rel.csv", relations)]
    (document,), findings = unite([part for one in read_ones for part in one.parts])
    assert edges(document) == {"shop > web-01"}
    assert list(by_id(document)) == ["shop", "web-01"]
    assert [(each.level, str(each)) for each in findings] == [
        ("info", "rel.csv: 1 CI is known only as an end of a dependency: web-01"),
        ("info", "rel.csv:2:1: old-1: is left out as its own record says; so is its dependency"),
    ]


@pytest.mark.parametrize("kind", RELATIONSHIPS)
def test_a_relationship_means_the_same_from_both_ends(kind: str) -> None:
    """`A::B` from parent to child is `B::A` from child to parent."""
    parent, child = kind.split("::")
    turned = RELATIONSHIPS.get(f"{child}::{parent}")
    meaning = RELATIONSHIPS[kind]
    opposite = {"parent needs child": "child needs parent", "child needs parent": "parent needs child"}
    if turned is not None:
        assert turned.needs == opposite.get(meaning.needs, meaning.needs)
        assert turned.kind == meaning.kind


def test_node_link_with_links_and_foreign_attributes() -> None:
    document, findings = imported("d3.json")
    assert findings == []
    assert edges(document) == {"7 > db (calls)", "gw > 7"}
    cis = by_id(document)
    assert (cis["7"].name, cis["7"].tier, cis["7"].service) == ("Billing", 1, True)
    assert (cis["gw"].type, cis["gw"].site, cis["db"].owner, cis["db"].aliases) == (
        "gateway",
        "ber1",
        "dba",
        ["10.1.1.5"],
    )
    turned, _ = imported("d3.json", direction="target-depends-on-source")
    assert edges(turned) == {"db > 7 (calls)", "7 > gw"}


def test_graphml() -> None:
    document, findings = imported("estate.graphml")
    assert findings == []
    assert edges(document) == {"tv-head-end > mux-4", "mux-4 > sat-rx-2 (connects_via)"}
    assert by_id(document)["mux-4"].aliases == ["10.3.3.4", "mux-4.tv.example"]
    assert by_id(document)["tv-head-end"].tier == 1


def test_a_drawing_of_yed_goes_by_its_labels() -> None:
    node = """<node id="n{}"><data key="d6"><y:ShapeNode><y:NodeLabel>{}</y:NodeLabel></y:ShapeNode></data></node>"""
    labels = ["web-1", "rack\n  7", "spare", "spare"]
    drawn = f"""<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
<key for="node" id="d6" yfiles.type="nodegraphics"/><graph edgedefault="directed" id="G">
{"".join(map(node.format, range(4), labels))}<edge source="n0" target="n1"/><edge source="n1" target="n2"/>
</graph></graphml>"""
    (document,), findings = unite(read("estate.graphml", drawn.encode()).parts)
    assert [(entry.id, entry.name) for entry in document.cis] == [
        ("n2", "spare"),
        ("n3", "spare"),
        ("rack 7", ""),
        ("web-1", ""),
    ]
    assert edges(document) == {"web-1 > rack 7", "rack 7 > n2"}
    assert findings == []


def test_undirected_graphml_gives_peers_unless_a_direction_is_said() -> None:
    document, findings = imported("undirected.graphml")
    assert edges(document) == {"mux-4 - tv-head-end ()", "mux-4 - sat-rx-2 (connects_via)"}
    assert "say --direction source-depends-on-target" in findings[0]
    document, findings = imported("undirected.graphml", direction="source-depends-on-target")
    assert edges(document) == {"tv-head-end > mux-4", "mux-4 > sat-rx-2 (connects_via)"}
    assert findings == []


def test_tables() -> None:
    document, findings = imported("cis.csv", "edges.tsv")
    assert findings == [
        "warning: cis.csv:3:1: lab-db-1: tier: must be a whole number, not 'x'; left out",
        "warning: cis.csv:4:1: nothing in the column hostname; left out",
        "warning: cis.csv:5:1: lab-web-1: is defined twice, first in line 2; the first counts",
        "warning: edges.tsv:4:1: a dependency must name both ends; left out",
        "edges.tsv: 3 CIs are known only as an end of a dependency: lab-nas-1, lab-sw-1, lab-sw-2",
    ]
    assert edges(document) == {
        "lab-web-1 > lab-db-1",
        "lab-db-1 > lab-nas-1 (hosted_on)",
        "lab-sw-1 - lab-sw-2 (connects_via)",
    }
    web = by_id(document)["lab-web-1"]
    assert web.aliases == ["10.5.0.1", "lab.example", "www.lab.example"]
    assert (web.tier, web.monitored, by_id(document)["lab-db-1"].monitored) == (2, True, False)
    assert by_id(document)["lab-db-1"].owner == "team-db; on call"


def test_backstage() -> None:
    document, findings = imported("catalog-info.yaml")
    sorter = "component:default/sorter-ui: dependsOn:"
    none = "is no reference to an entity that can fail; left out"
    only = "known only as an end of a dependency"
    assert findings == [
        "warning: catalog-info.yaml:39:1: an entity with no metadata.name; left out",
        f"warning: catalog-info.yaml:47:56: {sorter} 'group:team-x' {none}",
        f"warning: catalog-info.yaml:47:72: {sorter} 'a:b:c/d' {none}",
        f"catalog-info.yaml: 2 CIs are {only}: api:default/address-check, component:geo/geocoder",
    ]
    assert edges(document) == {
        "component:default/parcel-tracker > resource:default/parcels-db",
        "component:default/parcel-tracker > component:geo/geocoder",
        "component:default/parcel-tracker > component:default/sorter-ui",
        "component:default/parcel-tracker > api:default/address-check (calls)",
        "api:default/parcel-api > component:default/parcel-tracker (runs_on)",
        "system:default/logistics > component:default/parcel-tracker",
        "system:default/logistics > resource:default/parcels-db",
    }
    tracker = by_id(document)["component:default/parcel-tracker"]
    assert tracker.aliases == ["PTRK001", "parcel-tracker", "parcel-tracker-k8s"]
    assert (tracker.owner, tracker.environment, tracker.name) == ("team-parcels", "production", "Parcel tracker")
    assert by_id(document)["system:default/logistics"].service is True


def test_nagios() -> None:
    document, findings = imported("hosts.cfg")
    assert findings == [
        "warning: hosts.cfg:60:1: define host: is not closed before the file ends",
        "warning: hosts.cfg:28:1: use: there is no template 'missing-template' for a host here",
        "warning: hosts.cfg:48:1: host_name: 'sw-*' is a pattern, and patterns are not evaluated; left out",
        "warning: hosts.cfg:48:1: define servicedependency: names no host at one of its ends; left out",
        "hosts.cfg: 1 CI is known only as an end of a dependency: rip-server",
    ]
    assert groups(document) == {"press-1 parents": "1 of sw-1 sw-2"}
    assert edges(document) == {
        "sw-1 > rtr-1 (connects_via)",
        "sw-2 > rtr-1 (connects_via)",
        "press-1 > rip-server",
    }
    press = by_id(document)["press-1"]
    assert (press.type, press.owner, press.aliases) == ("printing_press", "team-print", ["172.16.1.1"])
    assert by_id(document)["sw-1"].name == "Switch in hall 1"
    assert "generic-host" not in by_id(document)
    assert by_id(document)["cut-off"].aliases == ["172.16.1.9"]


def test_an_icinga_object_on_one_line() -> None:
    said = b'object Host "a" { address = "10.0.0.1", vars.type = "db", display_name = "A"; vars.site = "x" }\n'
    (ci,) = read("a.conf", said).documents[0].cis
    assert (ci.aliases, ci.type, ci.name, ci.site) == (["10.0.0.1"], "db", "A", "x")


def test_icinga() -> None:
    document, findings = imported("icinga.conf")
    assert findings == [
        "warning: icinga.conf:24:1: ticket-1: if: is a program, and programs are not evaluated; left out",
        "warning: icinga.conf:43:1: apply Dependency is a rule, and rules are not evaluated; left out",
        "warning: icinga.conf:47:1: apply Service is a rule, and rules are not evaluated; left out",
        "warning: icinga.conf:41:1: odd: a dependency without child_host_name and parent_host_name; left out",
        "icinga.conf: 1 CI is known only as an end of a dependency: ferry-db",
    ]
    assert groups(document) == {"ticket-1 uplinks": "1 of pier-rtr-1 pier-rtr-2"}
    assert edges(document) == {"ticket-1 > ferry-db"}
    ticket = by_id(document)["ticket-1"]
    assert (ticket.name, ticket.owner, ticket.type) == ('Ticket machine "A"', "team-tickets", "ticket_machine")
    assert ticket.aliases == ["198.51.100.20", "2001:db8::20"]
    assert ticket.runbook == "https://wiki.ferry.example/ticket"
    assert by_id(document)["pier-rtr-1"].owner == "team-bridge"


def test_service_graph() -> None:
    document, findings = imported("service-graph.prom")
    assert findings == [
        (
            "warning: service-graph.prom:9:1: no series of traces_service_graph_request_total with client and server; "
            "left out"
        ),
    ]
    assert edges(document) == {
        "frontdesk > rooms (calls)",
        "rooms > rooms-pg (calls)",
        'rooms > events "v2" (calls)',
    }
    assert by_id(document)["rooms-pg"].type == "database"
    assert "user" not in by_id(document)


def test_origin_and_precedence_are_those_of_the_format_or_the_user() -> None:
    content = (FILES / "d3.json").read_bytes()
    assert read("d3.json", content).documents[0].origin == "node-link"
    (named,) = read("d3.json", content, Options(origin="cmdb", precedence=5)).documents
    assert (named.origin, named.precedence) == ("cmdb", 5)
