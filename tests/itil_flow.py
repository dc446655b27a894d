"""The flow of event management as ITIL draws it, arrow by arrow: what happens, and the one place where it ends.

Every arrow has CIs of its own, so all of them can happen at once in one installation. What came of it is told in lines
such as `response restart-web effective: web-1`; the arrows' lines together are all there are. The same table is played
through the core (test_itil_flow.py) and through workers on Kafka (live/test_live_itil_flow.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from opsbridge.core.decisions import SituationUpdate
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)

TOPOLOGY: Final = """
cis:
  - {id: sw-1, type: switch, group: network}
  - {id: host-1, depends_on: [sw-1]}
  - {id: host-2, depends_on: [sw-1]}
  - {id: host-3, depends_on: [sw-1]}
  - {id: shop, type: business_service, tier: 1, users: 5000, depends_on: [host-1]}
  - {id: web-1, type: web}
  - {id: web-2, type: web}
  - {id: disk-1}
  - {id: printer-1}
  - {id: batch-1}
  - {id: batch-2}
  - {id: batch-3}
  - {id: cache-1}
  - {id: oven-1}
  - {id: desk-1, group: service-desk}
  - {id: desk-2}
  - {id: log-1}
  - {id: noise-1}
"""

RULES: Final = """
version: 1
rules:
  - {id: filtered, kind: filter, match: {class: Chatter}, action: drop}
  - {id: informed, kind: classify, match: {class: LoginSucceeded}, significance: informational}
  - {id: no-action, kind: respond, match: {root.class: CacheCold}, response: none}
  - {id: restart-web, kind: respond, match: {root.class: WebDown}, response: auto_response, action: restart,
     parameters: {host: "{root.ci}"}, deadline: 20s, verify: {by: cleared, within: 30s}, before_incident: true}
  - {id: hope, kind: respond, match: {root.class: WebHung}, response: auto_response, action: hope,
     deadline: 20s, verify: {by: cleared, within: 2s}, before_incident: true}
  - {id: extend-disk, kind: respond, match: {root.class: DiskFilling}, response: change,
     title: "more disk for {root.ci}"}
  - {id: no-incident-of-disks, kind: respond, match: {root.class: [DiskFilling, TonerLow, OvenWarm]}, response: none}
  - {id: new-toner, kind: respond, match: {root.class: TonerLow}, response: request, title: "toner for {root.ci}"}
  - {id: tell-the-kitchen, kind: respond, match: {root.class: OvenWarm}, response: notification, to: kitchen,
     text: "{root.ci} is warm"}
  - {id: batch-recurs, kind: respond, match: {root.class: BatchFailed}, response: problem, same: [root.class],
     times: 3, within: 1h}
"""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One arrow of the flow."""

    name: str
    events: tuple[tuple[float, str, str, str], ...] = ()
    """Seconds since the start, CI, class, severity or `resolved`."""
    garbage: bytes = b""
    says: tuple[tuple[str, str], ...] = ()
    """When this line is so, somebody says this about the incident of its CI."""
    ends: tuple[str, ...] = ()
    """The lines that are so in the end."""


ARROWS: Final = (
    Arrow(
        "event occurs -> notified: what is no event is kept with its reason",
        garbage=b'{"id": "cut off',
        ends=("dead letter invalid_json",),
    ),
    Arrow(
        "notified -> detected -> first-level correlation -> filtered",
        ((0, "noise-1", "Chatter", "major"),),
        ends=("suppressed by filtered",),
    ),
    Arrow(
        "first level -> duplicates are one alert",
        ((0, "log-1", "LogFull", "major"), (1, "log-1", "LogFull", "major"), (2, "log-1", "LogFull", "major")),
        ends=("incident open: log-1",),
    ),
    Arrow(
        "significance: informational -> logged, closed",
        ((0, "noise-1", "LoginSucceeded", "minor"),),
        ends=("informational by informed",),
    ),
    Arrow(
        "significance: exception -> second-level correlation -> one incident of the silent root, with priority",
        (
            (0, "host-1", "HostDown", "critical"),
            (0.2, "host-2", "HostDown", "critical"),
            (0.4, "host-3", "HostDown", "critical"),
            (0.6, "shop", "HighErrorRate", "critical"),
        ),
        ends=("incident open P1: sw-1", "notification opened to network: sw-1"),
    ),
    Arrow(
        "further action? no -> closed, nobody is told",
        ((0, "cache-1", "CacheCold", "warning"),),
        ends=("no incident: cache-1",),
    ),
    Arrow(
        "response selection -> change",
        ((0, "disk-1", "DiskFilling", "warning"),),
        ends=("change extend-disk open: disk-1", "no incident: disk-1"),
    ),
    Arrow(
        "response selection -> request",
        ((0, "printer-1", "TonerLow", "warning"),),
        ends=("request new-toner open: printer-1", "no incident: printer-1"),
    ),
    Arrow(
        "response selection -> notification",
        ((0, "oven-1", "OvenWarm", "warning"),),
        ends=("notification told to kitchen: oven-1", "no incident: oven-1"),
    ),
    Arrow(
        "response selection -> incident, and recurring -> problem",
        tuple((float(number), f"batch-{number}", "BatchFailed", "major") for number in (1, 2, 3)),
        ends=(
            *(f"incident open of a problem: batch-{number}" for number in (1, 2, 3)),
            "problem open with 3 incidents: BatchFailed",
        ),
    ),
    Arrow(
        "response selection -> auto-response -> effective? yes: close, nobody is told",
        ((0, "web-1", "WebDown", "major"),),
        ends=("response restart-web effective: web-1", "no incident: web-1"),
    ),
    Arrow(
        "effective? no: back to second level, and to a human with all that was tried",
        ((0, "web-2", "WebHung", "major"),),
        ends=("response hope escalated: web-2", "incident open after hope escalated: web-2"),
    ),
    Arrow(
        "incident -> review of actions -> effective? yes: close",
        ((0, "desk-1", "DeskDown", "major"), (3, "desk-1", "DeskDown", "resolved")),
        says=(("incident resolved: desk-1", "close"),),
        ends=(
            "incident closed: desk-1",
            "notification opened to service-desk: desk-1",
            "notification resolved to service-desk: desk-1",
            "notification closed to service-desk: desk-1",
        ),
    ),
    Arrow(
        "review of actions -> effective? no: back",
        ((0, "desk-2", "DeskDown", "major"), (3, "desk-2", "DeskDown", "resolved")),
        says=(("incident resolved: desk-2", "reopen"),),
        ends=("incident reopened: desk-2",),
    ),
)

EXECUTOR: Final = {"restart": True, "hope": False}
"""Action -> whether what it does helps: the alert is resolved then. All of them succeed."""

Told = Incident | Problem | ChangeRequest | ServiceRequest | Response | Notification


class Outcome:
    """What has come of it: the newest of every record, in lines."""

    def __init__(self) -> None:
        self.records: dict[str, Told] = {}
        self.roots: dict[str, str] = {}
        """Situation -> CI; none of these is merged into another."""
        self.places: set[str] = set()

    def told(self, record: object) -> None:
        """Take in a record; records of one id in their order."""
        if isinstance(record, SituationUpdate):
            self.roots[record.situation.id] = record.situation.root.ci
            if record.situation.status == "merged":
                del self.roots[record.situation.id]
        elif isinstance(record, Told):
            self.records[record.id] = record

    def lines(self) -> set[str]:
        """What is so now."""
        found = set(self.places)
        for record in self.records.values():
            found |= set(self._lines(record))
        told = {record.situation for record in self.records.values() if isinstance(record, Incident)}
        return found | {f"no incident: {ci}" for situation, ci in self.roots.items() if situation not in told}

    def _lines(self, record: Told) -> Iterator[str]:
        match record:
            case Incident(status="merged"):
                pass
            case Incident():
                yield f"incident {record.status}{_more(record)}: {record.root.ci}"
            case Response():
                yield f"response {record.rule} {record.status}: {record.root.ci}"
            case ChangeRequest():
                yield f"change {record.rule} {record.status}: {record.root.ci}"
            case ServiceRequest():
                yield f"request {record.rule} {record.status}: {record.root.ci}"
            case Problem():
                yield f"problem {record.status} with {record.count} incidents: {', '.join(record.same)}"
            case Notification() if record.to:
                word = "told" if record.rule == "tell-the-kitchen" else record.reason
                yield f"notification {word} to {record.to}: {self.roots.get(record.situation, '?')}"

    def incident_of(self, ci: str) -> Incident:
        """The incident whose root is that CI."""
        (found,) = [each for each in self.records.values() if isinstance(each, Incident) and each.root.ci == ci]
        return found


def _more(incident: Incident) -> str:
    """What makes an incident special in an arrow."""
    if incident.attempts:
        tried = incident.attempts[-1]
        return f" after {tried.action} {tried.status}"
    if incident.problem:
        return " of a problem"
    return f" {incident.priority}" if incident.priority == "P1" else ""


def expected(arrows: Iterable[Arrow] = ARROWS) -> set[str]:
    """All lines that are so in the end."""
    return {line for arrow in arrows for line in arrow.ends}


class Audience:
    """Whoever hears the records and has something to say: executors and people of the table."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def feedback(self, outcome: Outcome, time: str) -> Iterator[tuple[dict[str, object], str]]:
        """What is said now that was not said before, as records of `feedback`, each with the CI that it helps; `time`
        is what their clocks show."""
        for record in list(outcome.records.values()):
            if isinstance(record, Response) and record.idempotency_key not in self._said | {""}:
                self._said.add(record.idempotency_key)
                common = {"time": time, "by": "executor", "response": record.id, "situation": record.situation,
                          "idempotency_key": record.idempotency_key}  # fmt: skip
                yield {"kind": "started", "id": f"s-{record.idempotency_key}", **common}, ""
                helped = record.ci if EXECUTOR[record.action] else ""
                yield (
                    {"kind": "result", "id": f"r-{record.idempotency_key}", "outcome": "succeeded", **common},
                    helped,
                )
        lines = outcome.lines()
        for arrow in ARROWS:
            for line, kind in arrow.says:
                if line in lines and line not in self._said:
                    self._said.add(line)
                    incident = outcome.incident_of(line.rpartition(": ")[2]).id
                    yield {"kind": kind, "id": f"p-{line}", "time": time, "by": "alice", "incident": incident}, ""


def class_on(ci: str) -> str:
    """The class of the alert that the table has on a CI."""
    return next(class_ for arrow in ARROWS for _, name, class_, _ in arrow.events if name == ci)
