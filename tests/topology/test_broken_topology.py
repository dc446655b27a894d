"""Every message that topology files can be refused with, at its exact place, and every warning they can get."""

from pathlib import Path

import pytest

from opsbridge.topology import TopologyError, load_topology

TWO = "cis: [{id: db-01, aliases: [10.0.0.1]}, {id: web-01}]\n"
WINDOW = "days and times like 'Mon-Fri 08:00-18:00' or 'Sat,Sun 10:00-12:00,22:00-02:00'"
NAME = "a name: not empty, no blanks around it, no control characters"

OPENED = "a [ that is opened here is not closed"
TAB = "character that cannot start any token; indent with spaces, and put quotes around text that starts with @, % or `"

BROKEN: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "not yaml": (
        {"a.yaml": "cis:\n  - id: [a\n"},
        [f"a.yaml:2:9: broken YAML: while parsing a flow sequence did not find expected ',' or ']'; {OPENED}"],
    ),
    "tab": (
        {"a.yaml": "cis:\n\t- id: a\n"},
        [f"a.yaml:2:1: broken YAML: while scanning for the next token found {TAB}"],
    ),
    "control character": (
        {"a.yaml": "cis:\n  - id: a\x01b\n"},
        ["a.yaml:2:10: broken YAML: the control character 0x01 is not allowed"],
    ),
    "not utf-8": ({"a.yaml": b"cis:\n  - id: \xc3\xa4\xff\n"}, ["a.yaml:2:10: not UTF-8 text: byte 0xff"]),
    "key twice in yaml": ({"a.yaml": "cis:\n  - id: a\n    id: b\n"}, ["a.yaml:3:5: the key 'id' is said twice"]),
    "key is a template": (
        {"a.yaml": "cis:\n  - {{ hosts }}\n"},
        ["a.yaml:2:6: broken YAML: a key must be plain text; put quotes around text that starts with { [ or *"],
    ),
    "unknown anchor": (
        {"a.yaml": "cis:\n  - id: *db\n"},
        ["a.yaml:2:9: broken YAML: there is no anchor &db before this; put quotes around text with *"],
    ),
    "anchor in itself": (
        {"a.yaml": "cis: &all\n  - id: x\n    depends_on: *all\n"},
        ["a.yaml:3:17: broken YAML: the anchor &all contains itself"],
    ),
    "nested deeply": ({"a.yaml": "- " * 100_000}, ["a.yaml:1:401: broken YAML: nested too deeply"]),
    "tag": (
        {"a.yaml": "cis:\n  - id: !!python/name:os.system x\n"},
        ["a.yaml:2:9: broken YAML: the tag tag:yaml.org,2002:python/name:os.system has no meaning here"],
    ),
    "merge of a scalar": (
        {"a.yaml": "cis:\n  - {id: a, <<: 3}\n"},
        ["a.yaml:2:18: broken YAML: << takes mappings only"],
    ),
    "not json": ({"a.json": '{"cis": [\n  {"id" "a"}]}'}, ["a.json:2:9: broken JSON: Expecting ':' delimiter"]),
    "json with NaN": (
        {"a.json": '{"cis": [{"id": "NaN",\n "tier": NaN}]}'},
        ["a.json:2:10: broken JSON: NaN is not a JSON value"],
    ),
    "key twice in json": (
        {"a.json": '{"cis": [{"id": "a"}, {"id": "b",\n "id": "c"}], "depends_on": [["id", "id"]]}'},
        ["a.json:2:2: the key 'id' is said twice"],
    ),
    "json nested deeply": ({"a.json": "[" * 100_000}, ["a.json:1:1: broken JSON: nested too deeply"]),
    "json long number": (
        {"a.json": '{"cis": [], "tier": ' + "9" * 5000 + "}"},
        ["a.json:1:1: broken JSON: a number has too many digits"],
    ),
    "json half a pair": (
        {"a.json": '{"cis": [{"id": "a\\ud800"}]}'},
        ["a.json:1:17: cis[0].id: must be text, not half of a surrogate pair"],
    ),
    "not a mapping": ({"a.yaml": "- id: a\n"}, ["a.yaml:1:1: must be a mapping, not a list"]),
    "second document not a mapping": (
        {"a.yaml": TWO + "---\njust\n"},
        ["a.yaml:3:1: must be a mapping, not 'just'"],
    ),
    "entry not a mapping": ({"a.yaml": "cis:\n  - web-01\n"}, ["a.yaml:2:5: cis[0]: must be a mapping, not 'web-01'"]),
    "not a list": ({"a.yaml": "cis: {id: a}\n"}, ["a.yaml:1:6: cis: must be a list, not a mapping"]),
    "nothing where a list belongs": ({"a.yaml": "cis:\n"}, ["a.yaml:1:5: cis: must be a list, not nothing"]),
    "no id": ({"a.yaml": "cis:\n  - type: vm\n"}, ["a.yaml:2:5: cis[0].id: is required"]),
    "id is a number": (
        {"a.yaml": "cis:\n  - id: 4711\n"},
        ["a.yaml:2:9: cis[0].id: must be text, not the number 4711; put it in quotes"],
    ),
    "id is true": (
        {"a.yaml": "cis:\n  - id: true\n"},
        ["a.yaml:2:9: cis[0].id: must be text, not true; put it in quotes"],
    ),
    "id with a control character": (
        {"a.json": '{"cis": [{"id": "a\\u001fb"}]}'},
        [f"a.json:1:17: cis[0].id: must be {NAME}; it is 'a\\x1fb'"],
    ),
    "empty alias": (
        {"a.yaml": 'cis:\n  - id: a\n    aliases: [b, ""]\n'},
        [f"a.yaml:3:18: cis[0].aliases[1]: must be {NAME}; it is ''"],
    ),
    "long value is cut": (
        {"a.yaml": f"cis:\n  - id: a\n    tier: {'x' * 1000}\n"},
        [f"a.yaml:3:11: cis[0].tier: must be a whole number, not '{'x' * 60}...'"],
    ),
    "every field at once": (
        {
            "a.yaml": "cis:\n  - id: a\n    tier: 1.5\n    monitored: no\n    service: 1\n    aliases: b\n"
            "    owner: [x]\n"
        },
        [
            "a.yaml:3:11: cis[0].tier: must be a whole number, not the number 1.5",
            "a.yaml:4:16: cis[0].monitored: must be true or false, not 'no'",
            "a.yaml:5:14: cis[0].service: must be true or false, not the number 1",
            "a.yaml:6:14: cis[0].aliases: must be a list, not 'b'; say [b]",
            "a.yaml:7:12: cis[0].owner: must be text, not a list",
        ],
    ),
    "unknown field with a near one": (
        {"a.yaml": "cis:\n  - id: a\n    ownr: team\n"},
        ["a.yaml:3:5: cis[0].ownr: unknown field; did you mean 'owner'?"],
    ),
    "unknown field": (
        {"a.yaml": "cis: []\nversion: 1\n"},
        ["a.yaml:2:1: version: unknown field; known are cis, depends_on, origin, precedence"],
    ),
    "unknown field in json": (
        {"a.json": '{"cis": [{"id": "a",\n\t"Owner": "x"}]}'},
        ["a.json:2:2: cis[0].Owner: unknown field; did you mean 'owner'?"],
    ),
    "edge of one": (
        {"a.yaml": TWO + "depends_on:\n  - [web-01]\n"},
        ["a.yaml:3:5: depends_on[0]: must have 2 entries, not 1"],
    ),
    "edge of three": (
        {"a.yaml": TWO + "depends_on:\n  - [web-01, db-01, db-01]\n"},
        ["a.yaml:3:5: depends_on[0]: must have 2 entries, not 3"],
    ),
    "id twice in a file": (
        {"a.yaml": "cis:\n  - id: a\n  - id: b\n  - id: a\n"},
        ["a.yaml:4:9: cis[2].id: 'a' is defined twice, first at a.yaml:2:9"],
    ),
    "id twice in two files": (
        {"a.yaml": TWO, "b.json": '{"cis": [\n  {"id": "web-01"}]}'},
        ["b.json:2:10: cis[0].id: 'web-01' is defined twice, first at a.yaml:1:46"],
    ),
    "id twice in two documents": (
        {"a.yaml": TWO + "---\n" + "cis:\n  - id: web-01\n"},
        ["a.yaml:4:9: cis[0].id: 'web-01' is defined twice, first at a.yaml:1:46"],
    ),
    "nobody can be fewer than none": (
        {"a.yaml": "cis:\n  - id: a\n    users: -1\n    links: [1]\n"},
        [
            "a.yaml:3:12: cis[0].users: must be at least 0, not -1",
            "a.yaml:4:13: cis[0].links[0]: must be text, not the number 1; put it in quotes",
        ],
    ),
    "alias of two": (
        {"a.yaml": TWO, "b.yaml": "cis:\n  - id: c\n    aliases:\n      - 10.0.0.1\n"},
        ["b.yaml:4:9: cis[0].aliases[0]: '10.0.0.1' is already an alias of 'db-01', defined at a.yaml:1:12"],
    ),
    "alias is an id": (
        {"a.yaml": "cis:\n  - id: a\n    aliases: [b]\n  - id: b\n"},
        ["a.yaml:3:15: cis[0].aliases[0]: 'b' is the id of another CI, defined at a.yaml:4:9"],
    ),
    "unknown provider": (
        {"a.yaml": TWO + "---\ncis:\n  - id: c\n    depends_on: [web-01, db-O1]\n"},
        ["a.yaml:5:26: cis[0].depends_on[1]: no CI has the id or alias 'db-O1'; did you mean 'db-01'?"],
    ),
    "unknown ends, no near name": (
        {"a.yaml": TWO + "depends_on:\n  - [web-01, qqq]\n  - [zzz, DB-01]\n"},
        [
            "a.yaml:3:14: depends_on[0][1]: no CI has the id or alias 'qqq'",
            "a.yaml:4:6: depends_on[1][0]: no CI has the id or alias 'zzz'",
            "a.yaml:4:11: depends_on[1][1]: no CI has the id or alias 'DB-01'; did you mean 'db-01'?",
        ],
    ),
    "mapping of a dependency": (
        {
            "a.yaml": TWO
            + "---\ncis:\n  - id: c\n    depends_on:\n      - {on: db-O1, type: 1}\n      - {type: calls}\n"
            "      - {on: web-01, undirected: true}\n      - {on: web-O1}\n"
        },
        [
            "a.yaml:6:14: cis[0].depends_on[0].on: no CI has the id or alias 'db-O1'; did you mean 'db-01'?",
            "a.yaml:6:27: cis[0].depends_on[0].type: must be text, not the number 1; put it in quotes",
            "a.yaml:7:9: cis[0].depends_on[1].on: is required",
            "a.yaml:8:22: cis[0].depends_on[2].undirected: unknown field; known are on, type",
            "a.yaml:9:14: cis[0].depends_on[3].on: no CI has the id or alias 'web-O1'; did you mean 'web-01'?",
        ],
    ),
    "mapping of a link": (
        {
            "a.yaml": TWO + "depends_on:\n  - {from: web-01, on: db-O1, undirected: true}\n  - {on: web-01}\n"
            "  - {from: web-01, on: db-01, undirected: yes}\n  - {from: web-01, to: db-01}\n  - web-01\n"
        },
        [
            "a.yaml:3:24: depends_on[0].on: no CI has the id or alias 'db-O1'; did you mean 'db-01'?",
            "a.yaml:4:5: depends_on[1].from: is required",
            "a.yaml:5:43: depends_on[2].undirected: must be true or false, not 'yes'",
            "a.yaml:6:5: depends_on[3].on: is required",
            "a.yaml:6:20: depends_on[3].to: unknown field; known are from, on, type, undirected",
            "a.yaml:7:5: depends_on[4]: must be a list, not 'web-01'; say [web-01]",
        ],
    ),
    "groups that are no groups": (
        {
            "a.yaml": "cis:\n  - id: a\n    needs:\n      - {of: [b], at_leest: 1}\n      - {at_least: 1}\n"
            "      - {of: b}\n      - {of: [{weight: 1}, {ci: b, wait: 2}, 3], at_least: one}\n"
            "  - id: b\n    needs: [b]\n"
        },
        [
            "a.yaml:4:19: cis[0].needs[0].at_leest: unknown field; did you mean 'at_least'?",
            "a.yaml:5:9: cis[0].needs[1].of: is required",
            "a.yaml:6:14: cis[0].needs[2].of: must be a list, not 'b'; say [b]",
            "a.yaml:7:15: cis[0].needs[3].of[0].ci: is required",
            "a.yaml:7:36: cis[0].needs[3].of[1].wait: unknown field; known are ci, weight",
            "a.yaml:7:46: cis[0].needs[3].of[2]: must be text, not the number 3; put it in quotes",
            "a.yaml:7:60: cis[0].needs[3].at_least: must be a whole number, not 'one'",
            "a.yaml:9:13: cis[1].needs[0]: must be a mapping, not 'b'",
        ],
    ),
    "groups that cannot be": (
        {
            "a.yaml": "cis:\n  - {id: b, aliases: [B]}\n  - {id: c}\n  - id: a\n    needs:\n"
            "      - {of: [b, c], at_least: 3}\n      - {of: [b, {ci: c, weight: 2}], at_least: 4}\n"
            "      - {of: [b, c], at_least: 0}\n      - {of: [b, B]}\n      - {of: [b, {ci: b}]}\n"
            "      - {of: [b, {ci: c, weight: 0}]}\n      - {of: [b, a]}\n      - {of: []}\n"
            "      - {of: [d, c], at_least: 9}\n"
        },
        [
            "a.yaml:6:32: cis[2].needs[0].at_least: must be from 1 to 2, the weight of the whole group, not 3",
            "a.yaml:7:49: cis[2].needs[1].at_least: must be from 1 to 3, the weight of the whole group, not 4",
            "a.yaml:8:32: cis[2].needs[2].at_least: must be from 1 to 2, the weight of the whole group, not 0",
            "a.yaml:9:18: cis[2].needs[3].of[1]: 'B' is in this group already",
            "a.yaml:10:23: cis[2].needs[4].of[1].ci: 'b' is in this group already",
            "a.yaml:11:34: cis[2].needs[5].of[1].weight: must be at least 1, not 0",
            "a.yaml:12:18: cis[2].needs[6].of[1]: 'a' cannot be in a group that it needs itself",
            "a.yaml:13:14: cis[2].needs[7].of: must name at least one CI",
            "a.yaml:14:15: cis[2].needs[8].of[0]: no CI has the id or alias 'd'",
        ],
    ),
    "service time": (
        {
            "a.yaml": "cis:\n  - id: a\n"
            "    service_time: [Mon-Fri 8-18, Mo 08:00-18:00, Mon 24:00-08:00, 'Mon, Tue 08:00-09:00']\n"
            "  - id: b\n    service_time: Mon 08:00-18:00\n    time_zone: 1\n"
        },
        [
            *(
                f"a.yaml:3:{column}: cis[0].service_time[{number}]: must be {WINDOW}; it is {text!r}"
                for number, (column, text) in enumerate(
                    [
                        (20, "Mon-Fri 8-18"),
                        (34, "Mo 08:00-18:00"),
                        (50, "Mon 24:00-08:00"),
                        (67, "Mon, Tue 08:00-09:00"),
                    ]
                )
            ),
            "a.yaml:5:19: cis[1].service_time: must be a list, not 'Mon 08:00-18:00'",
            "a.yaml:6:16: cis[1].time_zone: must be text, not the number 1; put it in quotes",
        ],
    ),
    "service time that means nothing": (
        {
            "a.yaml": "cis:\n  - {id: a, service_time: [Mon 08:00-08:00], time_zone: europe/berlin}\n"
            "  - {id: b, service_time: [Tue 08:00-09:00], time_zone: ../../etc/passwd}\n"
        },
        [
            "a.yaml:2:28: cis[0].service_time[0]: '08:00-08:00' ends when it begins; a whole day is 00:00-24:00",
            "a.yaml:2:57: cis[0].time_zone: there is no time zone 'europe/berlin'; did you mean 'Europe/Berlin'?",
            "a.yaml:3:57: cis[1].time_zone: there is no time zone '../../etc/passwd'",
        ],
    ),
    "wrong value brought by a merge": (
        {"a.yaml": "cis:\n  - &base {id: a, tier: one}\n  - <<: *base\n    id: b\n"},
        [
            "a.yaml:2:25: cis[0].tier: must be a whole number, not 'one'",
            "a.yaml:3:5: cis[1].tier: must be a whole number, not 'one'",
        ],
    ),
    "one wrong field does not make edges wrong": (
        {
            "a.yaml": "cis:\n  - {id: a, tier: one, depends_on: [gone]}\n  - 3\n",
            "b.yaml": "depends_on: [[a, x], [a, 3]]\n",
        },
        [
            "a.yaml:2:19: cis[0].tier: must be a whole number, not 'one'",
            "a.yaml:2:37: cis[0].depends_on[0]: no CI has the id or alias 'gone'",
            "a.yaml:3:5: cis[1]: must be a mapping, not the number 3",
            "b.yaml:1:18: depends_on[0][1]: no CI has the id or alias 'x'",
            "b.yaml:1:26: depends_on[1][1]: must be text, not the number 3; put it in quotes",
        ],
    ),
    "a file that does not parse may define the missing": (
        {"a.yaml": "cis: [\n", "b.yaml": "cis:\n  - {id: b, depends_on: [a]}\n  - id: b\n"},
        [
            "a.yaml:2:1: broken YAML: while parsing a flow node did not find expected node content",
            "b.yaml:3:9: cis[1].id: 'b' is defined twice, first at b.yaml:2:10",
        ],
    ),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: dict[str, str | bytes]) -> list[str]:
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(files)


@pytest.mark.parametrize("name", BROKEN)
def test_refused(name: str) -> None:
    files, expected = BROKEN[name]
    with pytest.raises(TopologyError) as refused:
        load_topology(write(files))
    assert str(refused.value).splitlines() == expected
    assert refused.value.exit_code == 2


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"^gone\.yaml: cannot be read: No such file or directory$"):
        load_topology(["gone.yaml"])


def test_an_unknown_end_in_a_large_estate_still_gets_its_nearest_name() -> None:
    cis = "\n".join(f"  - id: host-{number:05d}" for number in range(3000))
    write({"a.yaml": f"cis:\n{cis}\ndepends_on:\n  - [host-00001, hots-00002]\n"})
    with pytest.raises(TopologyError, match=r"a\.yaml:3003:18: .*'hots-00002'; did you mean '.*host-00002'"):
        load_topology(["a.yaml"])


EMPTY = "the topology has no CIs: every event will be correlated alone"
ODD: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "empty file": ({"a.yaml": "# nothing yet\n"}, ["a.yaml:1:1: the file is empty", f"a.yaml: {EMPTY}"]),
    "blank json": ({"a.json": "\n"}, ["a.json:1:1: the file is empty", f"a.json: {EMPTY}"]),
    "no cis": ({"a.yaml": "cis: []\n"}, [f"a.yaml: {EMPTY}"]),
    "self-dependency of an entry": (
        {"a.yaml": "cis:\n  - id: a\n    aliases: [b]\n    depends_on: [b]\n"},
        ["a.yaml:4:18: cis[0].depends_on[0]: 'b' depends on itself; ignored"],
    ),
    "self-dependency of an edge": (
        {"a.yaml": "cis: [{id: a}]\ndepends_on:\n  - [a, a]\n"},
        ["a.yaml:3:5: depends_on[0]: 'a' depends on itself; ignored"],
    ),
    "self-dependency of a mapping": (
        {"a.yaml": "cis:\n  - id: a\n    depends_on: [{on: a}]\ndepends_on:\n  - {from: a, on: a, undirected: true}\n"},
        [
            "a.yaml:3:18: cis[0].depends_on[0]: 'a' depends on itself; ignored",
            "a.yaml:5:5: depends_on[0]: 'a' depends on itself; ignored",
        ],
    ),
    "time zone for nothing": (
        {"a.yaml": "cis:\n  - {id: a, time_zone: UTC}\n"},
        ["a.yaml:2:13: cis[0].time_zone: says nothing without service_time"],
    ),
    "alias said already": (
        {"a.yaml": "cis:\n  - id: a\n    aliases: [b, a, b]\n"},
        [
            "a.yaml:3:18: cis[0].aliases[1]: 'a' already is a name of this CI",
            "a.yaml:3:21: cis[0].aliases[2]: 'b' already is a name of this CI",
        ],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_accepted_with_a_warning(name: str) -> None:
    files, expected = ODD[name]
    topology = load_topology(write(files))
    assert [str(finding) for finding in topology.findings] == expected
    assert {finding.level for finding in topology.findings} == {"warning"}


def test_a_directory_without_files_is_accepted_with_a_warning() -> None:
    write({"estate/.hidden.yaml": TWO, "estate/notes.txt": "nothing"})
    findings = load_topology(["estate"]).findings
    assert [str(finding) for finding in findings] == ["estate: no files here (*.json *.yaml *.yml)", f"estate: {EMPTY}"]
