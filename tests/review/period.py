"""A period with something of everything in it, for the tests: estate, rules, events, feedback and context."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from opsbridge.cli.payloads import Reading
from opsbridge.cli.preparing import Prepared, prepare
from opsbridge.cli.replay import tell_meanwhile
from opsbridge.review.figures import review
from opsbridge.review.model import Review
from opsbridge.review.outages import Known
from opsbridge.review.recorded import Recorded

TOPOLOGY = """\
cis:
  - {id: sw, type: switch, tier: 1, owner: network}
  - {id: shop, type: service, service: true, tier: 1, users: 2000, depends_on: [h1]}
  - {id: h1, aliases: [10.0.0.1], depends_on: [sw]}
  - {id: h2, depends_on: [sw]}
  - {id: h3, depends_on: [sw]}
  - {id: db, type: database, owner: data}
  - {id: web, owner: web-team}
  - {id: disk, owner: data}
  - {id: lonely}
  - {id: flap}
  - {id: held}
"""

RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
  - {id: to-security, kind: filter, action: route, to: security, match: {class: Login}}
  - {id: disks-are-minor, kind: classify, severity: minor, match: {class: DiskSlow}}
  - {id: samples, kind: classify, significance: informational, match: {class: Sample}}
  - {id: never-used, kind: filter, action: drop, match: {class: Nothing}}
  - {id: wait-a-minute, kind: hold, for: 1m, match: {ci: held}}
  - {id: it-flaps, kind: flapping, match: {ci: flap}, enter: 4, leave: 1, within: 10m}
  - id: many-logins
    kind: threshold
    match: {class: Sample}
    type: event_count
    condition: {gte: 3}
    timespan: 1m
    group_by: [ci]
    raise: {class: TooMany, severity: major}
  - {id: nobody-cares, kind: respond, response: none, match: {root.ci: lonely}}
  - id: restart-web
    kind: respond
    response: auto_response
    match: {root.ci: web}
    action: restart
    verify: {by: result}
  - id: restart-db
    kind: respond
    response: auto_response
    match: {root.ci: db}
    action: restart
    verify: {by: result}
  - {id: replace-disk, kind: respond, response: change, match: {root.ci: disk}, title: "replace {root.ci}"}
  - {id: ask-somebody, kind: respond, response: request, match: {root.ci: disk}, title: "look at {root.ci}"}
  - {id: tell-web, kind: respond, response: notification, match: {root.ci: web}, to: web-team, text: "look"}
  - {id: web-again, kind: respond, response: problem, match: {root.ci: web}, same: [root.ci], times: 2, within: 1d}
"""


def at(second: float) -> str:
    minutes, seconds = divmod(second, 60)
    return f"2026-01-01T{12 + int(minutes) // 60:02}:{int(minutes) % 60:02}:{seconds:06.3f}Z"


def event(number: int, second: float, ci: str, class_: str = "Down", **more: object) -> bytes:
    content: dict[str, object] = {"id": f"e{number}", "time": at(second), "ci": ci, "class": class_}
    state = "resolved" if more.get("state") == "resolved" else "firing"
    content |= {"state": state} if state == "resolved" else {"state": state, "severity": "critical"}
    return json.dumps(content | {"source": "probe"} | more).encode()


def events() -> list[bytes]:
    """In order of time, but for one that is late."""
    timed: list[tuple[float, bytes]] = []
    number = 0

    def add(second: float, ci: str, class_: str = "Down", **more: object) -> None:
        nonlocal number
        number += 1
        timed.append((second, event(number, second, ci, class_, **more)))

    for again in range(4):
        for ci in ("h1", "10.0.0.1", "h2", "h3"):
            add(10 + again * 5, ci)
    for ci in ("h1", "h2", "h3"):
        add(300, ci, state="resolved")
    add(20, "db", "DatabaseDown")
    add(21, "web", "ProcessDied")
    add(200, "web", "ProcessDied", state="resolved")
    add(640, "web", "ProcessDied")
    add(30, "disk", "DiskSlow")
    add(31, "lonely", "Whatever")
    add(32, "stranger", "Whatever", severity="warning")
    add(400, "lonely", "Whatever", state="resolved")
    add(35, "held", "Slow")
    add(50, "held", "Slow", state="resolved")
    for turn in range(6):
        add(60 + turn * 20, "flap", "PortDown")
        add(70 + turn * 20, "flap", "PortDown", state="resolved")
    for second in (5, 6, 7, 8):
        add(second, "h2", "Sample", severity="info")
        add(second, "h2", "Heartbeat", severity="info")
    add(40, "h3", "Login", severity="info")
    add(41, "h3", "Gone", state="resolved")
    timed.append((42, b"no event at all"))
    timed.append((43, b'{"id": "half"}'))
    timed.append((44, event(900, 44, "h1", time="2999-01-01T00:00:00Z")))
    timed.append((45, event(901, 22, "h3", "HighLatency", severity="major", source="other")))
    timed.append((700, event(902, 700, "sw", "Note", severity="info")))
    return [content for _, content in sorted(timed, key=lambda one: one[0])]


CONTEXT = [
    {"kind": "change", "id": "CHG-1", "cis": ["sw"], "title": "new firmware", "begins": at(0), "state": "done"},
    {"kind": "change", "id": "CHG-2"},
]


class Period:
    """The files of the period in a directory, and what comes of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.topology = self._file("estate.yaml", [TOPOLOGY.encode()])
        self.rules = self._file("rules.yaml", [RULES.encode()])
        self.events = self._file("events.jsonl", events())
        self.context = self._file("context.jsonl", [json.dumps(each).encode() for each in CONTEXT])
        self.made: Prepared = prepare([self.topology], [self.rules])
        self.feedback = self._file("feedback.jsonl", [])
        self.feedback = self._file("feedback.jsonl", self.said())

    def _file(self, name: str, lines: Iterable[bytes]) -> Path:
        path = self.directory / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    def said(self) -> list[bytes]:
        """What people and executors say: acknowledge, results of both auto-responses, and to something unknown."""
        told = [record for record in self.records() if record.entity in ("incidents", "responses")]
        values = [json.loads(record.value or b"") for record in told]
        storm = next(each["id"] for each in values if each["id"].startswith("INC") and each["root"]["ci"] in ("sw",))
        said: list[dict[str, object]] = [
            {"kind": "acknowledge", "id": "f1", "time": at(60), "by": "kim", "incident": storm},
            {"kind": "assign", "id": "f2", "time": at(61), "by": "kim", "incident": storm, "to": "kim"},
            {"kind": "comment", "id": "f3", "time": at(62), "by": "kim", "incident": "INC-0123456789abcdef"},
        ]
        asked: dict[str, dict[str, object]] = {}
        for each in values:
            if each["id"].startswith("RSP") and each["idempotency_key"]:
                asked.setdefault(each["ci"], each)
        for number, (ci, outcome) in enumerate((("web", "succeeded"), ("db", "failed"))):
            said.append(
                {"kind": "result", "id": f"r{number}", "time": at(45 + number), "by": "executor", "outcome": outcome}
                | {"response": asked[ci]["id"], "situation": asked[ci]["situation"]}
                | {"idempotency_key": asked[ci]["idempotency_key"], "output": "done"}
            )
        return [*(json.dumps(each).encode() for each in said), b"{}", b"no feedback"]

    def records(self, tell: Callable[[Recorded], None] | None = None) -> list[Recorded]:
        """What the topics would have."""
        records: list[Recorded] = []
        run = self.made(records=tell or records.append)
        tell_meanwhile(run, str(self.feedback), str(self.context), lambda _refused: None)
        for _, payload in Reading().events(str(self.events)):
            run.read(payload)
        run.finish()
        return records

    def review(
        self,
        records: Iterable[Recorded],
        outages: list[Known] | None = None,
        *,
        back: int = 0,
        until: int | None = None,
    ) -> Review:
        kinds = {rule.id: rule.kind for rule in self.made.rules.rules}
        return review(records, self.made.graph, self.made.rules.book, kinds, outages, back=back, until=until)
