"""What happens in the demo, and what must come of it: a seeded timetable of records and its own truth.

Two failures at once: an access switch that dies without a word, and a storage array in another site that takes its
hypervisors down one after the other and speaks last. Besides, two services that hang: a restart helps one of them, the
other has to be mended by people. Around them a flapping host, a system nobody has in the topology, noise that rules
withhold, and records that are no events. Pure: the same estate, seed and times give the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec

from opsbridge.core.graph import CIGraph
from opsbridge.core.times import rfc3339
from opsbridge.errors import OpsBridgeError

SHORTEST: Final = 20
"""Seconds below which the failures would not get apart: a situation is watched for 10 s before it is reported."""

ALERTING: Final = 0.95
"""The share of affected CIs that send something."""

Fate = tuple[str, ...]
"""Where a record must end: ("heard",), ("withheld", place, reason) or ("rejected", reason)."""

HEARD: Final[Fate] = ("heard",)

HUNG: Final = "ServiceHung"
"""The class that the demo's own rule restarts."""

HANGS: Final = "KE-0012"
"""The shipped known error of access switches that fall silent."""

RESTARTS: Final = 2
"""How often it does, as the rule says."""


class ScenarioError(OpsBridgeError):
    """The estate has not what the scenario needs."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish `at` milliseconds after the start."""

    at: int
    key: bytes
    value: bytes | None
    fate: Fate


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong: one incident must come of it, with this root and these CIs among its alerts."""

    root: str
    silent: bool
    cis: frozenset[str]
    """CIs whose alerts this failure alone explains."""
    known_error: str = ""
    """The shipped known error that it is a case of, if any."""


@dataclass(frozen=True, slots=True)
class Hang:
    """A service that hangs until something is done about it: it is restarted by a machine, which helps or does not."""

    ci: str
    helped: bool
    """By the first restart. Else two are made in vain, and people mend it once the incident tells them."""
    start_ms: int

    def mended(self, at: int) -> Record:
        """The record that says so, `at` milliseconds after the start."""
        name = f"demo-{self.start_ms}-mended-{self.ci}"
        return Record(
            at, self.ci.encode(), _encoded(_report(name, self.start_ms + at, self.ci, HUNG, "resolved")), HEARD
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """A timetable in the order of publishing, and its truth."""

    records: tuple[Record, ...]
    failures: tuple[Failure, ...]
    last_opening: int
    """Milliseconds after the start when the last new alert is published."""
    hangs: tuple[Hang, ...] = ()
    """Each adds a record in its time: when it was mended depends on what is done."""

    @property
    def fates(self) -> Counter[Fate]:
        """How many records must end where."""
        return Counter([record.fate for record in self.records] + [HEARD] * len(self.hangs))


# What a CI says when a provider of it has failed, by its type: class, severity and summary.
_SYMPTOMS: Final = {
    "hypervisor": ("HostUnreachable", "critical", "no answer from the management agent"),
    "virtual_machine": ("NodeDown", "critical", "ping lost"),
    "database": ("DatabaseDown", "critical", "no connection"),
    "database_cluster": ("ReplicationBroken", "major", "a member is missing"),
    "message_broker": ("BrokerDown", "critical", "no connection"),
    "message_broker_cluster": ("UnderReplicated", "major", "partitions without all replicas"),
    "load_balancer": ("PoolMembersDown", "major", "members failed their check"),
    "service": ("HighErrorRate", "major", "errors above 5 % of requests"),
    "business_service": ("ServiceDegraded", "critical", "users see errors"),
}
_TESTS: Final = ("test", "lab", "sandbox")
"""Environments that the shipped rules are silent about."""

_OTHER_SYMPTOM: Final = ("Unreachable", "major", "no answer")


def storm(graph: CIGraph, *, seed: int, seconds: float, start_ms: int) -> Scenario:
    """The demo's timetable on this estate, spread over `seconds`; event times count from `start_ms`.

    Raises `ScenarioError` if the estate has no access switch and no storage array with dependents, in different sites.
    """
    return _Timetable(graph, Random(seed), seconds, start_ms).scenario()  # noqa: S311 # a timetable, not a secret


@dataclass(slots=True)
class _Timetable:
    graph: CIGraph
    random: Random
    seconds: float
    start_ms: int
    records: list[Record] = field(default_factory=list)
    openings: list[int] = field(default_factory=list)
    ids: int = 0
    names: dict[int, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.names = {number: [] for number in range(len(self.graph))}
        for name, number in self.graph.numbers.items():
            self.names[number].append(name)

    def scenario(self) -> Scenario:
        switch = self._largest("access_switch", lambda _: True)
        array = self._largest("storage_array", lambda site: site != self.graph.cis[switch].site)
        dying, starving = set(self.graph.impacted(switch)), set(self.graph.impacted(array))
        silent = self._switch_dies(switch)
        slow = self._array_fails(array, busy=silent)
        bystanders = [
            number
            for number, ci in enumerate(self.graph.cis)
            if ci.type == "virtual_machine" and number not in dying | starving and ci.environment == "production"
        ]
        if not bystanders:
            raise ScenarioError("the demo needs a virtual machine that no failure of it affects")
        # what depends on it must not suffer from the failures too: it would be anyone's guess which of them to blame
        apart = [each for each in bystanders if not (dying | starving).intersection(self.graph.impacted(each))]
        if not apart:
            raise ScenarioError("the demo needs a virtual machine that shares no dependents with its failures")
        flapping, *hanging = self._strangers(apart, 3)
        self._flaps(flapping)
        hangs = (self._hangs(hanging[0], 0.02, helped=True), self._hangs(hanging[1], 0.04, helped=False))
        unknown = self._unknown()
        self._noise(bystanders)
        self._poison()
        failures = (
            Failure(self._id(switch), silent=True, cis=self._heard_of(silent - starving), known_error=HANGS),
            Failure(self._id(array), silent=False, cis=self._heard_of(slow - dying)),
            Failure(self._id(flapping), silent=False, cis=frozenset({self._id(flapping)})),
            Failure(unknown, silent=False, cis=frozenset({unknown})),
            *(Failure(each.ci, silent=False, cis=frozenset({each.ci})) for each in hangs if not each.helped),
        )
        self.records.sort(key=lambda record: record.at)  # stable: equal times keep the order of writing
        return Scenario(tuple(self.records), failures, max(self.openings), hangs)

    def _strangers(self, numbers: Sequence[int], count: int) -> list[int]:
        """So many of them that share neither provider nor dependent: what fails here has nothing to do with there."""
        chosen: list[int] = []
        taken: set[int] = set()
        for number in self.random.sample(numbers, len(numbers)):
            around = {number, *self.graph.providers[number], *self.graph.impacted(number)}
            if not around & taken:
                chosen.append(number)
                taken |= around
            if len(chosen) == count:
                return chosen
        raise ScenarioError(f"the demo needs {count} virtual machines that have nothing to do with each other")

    def _id(self, number: int) -> str:
        return self.graph.cis[number].id

    def _heard_of(self, numbers: Iterable[int]) -> frozenset[str]:
        """Those whose events the rules let pass."""
        cis = self.graph.cis
        return frozenset(cis[number].id for number in numbers if cis[number].environment not in _TESTS)

    def _largest(self, kind: str, at: Callable[[str], bool]) -> int:
        """The CI of that type, in a site that fits, that most others depend on."""
        fitting = [number for number, ci in enumerate(self.graph.cis) if ci.type == kind and at(ci.site)]
        sizes = {number: len(self.graph.impacted(number)) for number in fitting}
        best = max(fitting, key=lambda number: (sizes[number], self.graph.cis[number].id), default=None)
        if best is None or sizes[best] < 10:
            raise ScenarioError(
                f"the demo needs an estate with two sites and a CI of type {kind} that carries ten others"
            )
        return best

    # the failures

    def _switch_dies(self, switch: int) -> set[int]:
        """Everything behind the switch alarms within seconds; the switch itself cannot. Returns who alarmed."""
        alarming = set()
        for hops, level in enumerate(self.graph.downstream(switch)):
            for number in level:
                if hops and self._speaks(hops):
                    alarming.add(number)
                    begin = 0.1 + 0.03 * hops + self.random.uniform(0, 0.05)
                    self._symptom(number, begin, self.random.uniform(0.72, 0.8))
        return alarming

    def _array_fails(self, array: int, *, busy: set[int]) -> set[int]:
        """First the hypervisor with most behind it, much later the others, last the array. Returns who alarmed."""
        first = max(self.graph.dependents[array], key=lambda number: (len(self.graph.impacted(number)), number))
        early = {first, *self.graph.impacted(first)}
        alarming = {array}
        for hops, level in enumerate(self.graph.downstream(array)):
            for number in level:
                if not hops or number in busy or not (number == first or self._speaks(hops)):
                    continue
                alarming.add(number)
                begin = (0.06 if number in early else 0.47) + 0.015 * hops + self.random.uniform(0, 0.03)
                self._symptom(number, begin, self.random.uniform(0.78, 0.86))
        self._alert(self._names(array), "ControllerFailed", "critical", "both controllers reset", 0.6, 0.84)
        return alarming

    def _speaks(self, hops: int) -> bool:
        """Whether an affected CI notices: the nearest nearly always, services far away that retry less often."""
        return self.random.random() < ALERTING * 0.97**hops

    def _symptom(self, number: int, begin: float, end: float) -> None:
        ci = self.graph.cis[number]
        class_, severity, summary = _SYMPTOMS.get(ci.type, _OTHER_SYMPTOM)
        fate = ("withheld", "suppressed", "drop-test-environments") if ci.environment in _TESTS else HEARD
        self._alert(self._names(number), class_, severity, summary, begin, end, fate)

    def _flaps(self, number: int) -> None:
        for turn in range(6):
            begin = 0.12 + turn * 0.1
            self._alert(self._names(number), "ServiceFlapping", "minor", "up and down", begin, begin + 0.05)

    def _hangs(self, number: int, begin: float, *, helped: bool) -> Hang:
        ci = self._id(number)
        self.openings.append(self._at(begin))
        self._event(begin, ci, HUNG, "major", "firing", "no answer from the service")
        return Hang(ci, helped, self.start_ms)

    def _unknown(self) -> str:
        name = f"pos-terminal-{self.random.randrange(1000, 9999)}"
        self._alert([name], "CardReaderFailed", "warning", "a till that nobody has in the topology", 0.3, 0.8)
        return name

    # what is no alert

    def _noise(self, bystanders: Sequence[int]) -> None:
        """Events that the shipped rules withhold, and info that no rule is needed for."""
        kinds: tuple[tuple[Fate, str, str, dict[str, str]], ...] = (
            (("withheld", "informational", "severity"), "SessionOpened", "info", {}),
            (("withheld", "informational", "host-load"), "HighCPU", "minor", {}),
            (("withheld", "suppressed", "drop-heartbeats"), "Heartbeat", "warning", {}),
            (("withheld", "suppressed", "drop-soft-states"), "CheckFailed", "major", {"state_type": "SOFT"}),
        )
        for _ in range(round(12 * self.seconds)):
            fate, class_, severity, labels = self.random.choice(kinds)
            ci = self.random.choice(self._names(self.random.choice(bystanders)))
            self._event(self.random.uniform(0, 0.9), ci, class_, severity, "firing", fate=fate, labels=labels)

    def _poison(self) -> None:
        """Records that are no events, each of them twice: none may stop or slow down its partition."""
        event = self._content(0.5, "web-01", "Poison", "major", "firing")
        invalid_json, invalid_field = ("rejected", "invalid_json"), ("rejected", "invalid_field")
        poison: tuple[tuple[bytes | None, Fate], ...] = (
            (b'{"id": "cut off in the mid', invalid_json),
            (b"\xff\xfe not even text", invalid_json),
            (msgspec.json.encode(event)[:-1] + b',"labels":NaN}', invalid_json),
            (None, invalid_json),
            (b"[" * 5000, invalid_field),
            (_encoded(event, severity=5), invalid_field),
            (_encoded(event, ci=None), invalid_field),
            (_encoded(event, time="yesterday"), invalid_field),
            (_encoded(event, time="2099-01-01T00:00:00Z"), ("rejected", "time_in_future")),
            (_encoded(event, time="1970-01-01T00:00:00Z"), ("rejected", "time_too_old")),
            (_encoded(event, summary="x" * 300_000), ("rejected", "too_large")),
        )
        for value, fate in poison * 2:
            self.records.append(Record(self._at(self.random.uniform(0.05, 0.9)), b"poison", value, fate))

    # one alert, one event

    def _alert(
        self,
        names: Sequence[str],
        class_: str,
        severity: str,
        summary: str,
        begin: float,
        end: float,
        fate: Fate = HEARD,
    ) -> None:
        """An alert from `begin` to `end` (shares of the whole time), repeated every few seconds as tools do."""
        name = self.random.choice(names)
        if fate == HEARD:
            self.openings.append(self._at(begin))
        self._event(begin, name, class_, severity, "firing", summary, fate=fate)
        time = begin
        while (time := time + self.random.uniform(1.5, 3.5) / self.seconds) < end:
            self._event(time, name, class_, severity, "firing", summary, fate=fate)
            if self.random.random() < 0.1:  # sent twice by a tool that was not sure
                self._event(time, name, class_, severity, "firing", summary, fate=fate)
        self._event(end, name, class_, None, "resolved")

    def _names(self, number: int) -> Sequence[str]:
        """What tools call a CI: its id, or one of its aliases."""
        return self.names[number]

    def _event(
        self,
        share: float,
        ci: str,
        class_: str,
        severity: str | None,
        state: str,
        summary: str = "",
        *,
        fate: Fate = HEARD,
        labels: dict[str, str] | None = None,
    ) -> None:
        content = self._content(share, ci, class_, severity, state, summary, labels)
        self.records.append(Record(self._at(share), ci.encode(), _encoded(content), fate))

    def _content(
        self,
        share: float,
        ci: str,
        class_: str,
        severity: str | None,
        state: str,
        summary: str = "",
        labels: dict[str, str] | None = None,
    ) -> dict[str, object]:
        self.ids += 1
        name, time_ms = f"demo-{self.start_ms}-{self.ids:05}", self.start_ms + self._at(share)
        return _report(name, time_ms, ci, class_, state, severity, summary, labels)

    def _at(self, share: float) -> int:
        return int(share * self.seconds * 1000)


def _report(
    name: str,
    time_ms: int,
    ci: str,
    class_: str,
    state: str,
    severity: str | None = None,
    summary: str = "",
    labels: dict[str, str] | None = None,
) -> dict[str, object]:
    return {
        "id": name,
        "time": rfc3339(time_ms),
        "ci": ci,
        "class": class_,
        "state": state,
        "severity": severity,
        "source": "demo",
        "summary": summary,
        "labels": labels or {},
    }


def _encoded(event: dict[str, object], **changed: object) -> bytes:
    return msgspec.json.encode({**event, **changed})
